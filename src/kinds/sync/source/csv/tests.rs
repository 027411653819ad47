//! CSV as it is and as it should not be.

use std::path::Path;

use super::rows::{Next, Rows};
use crate::kinds::sync::source::file::{Address, Input, Opened};
use crate::kinds::sync::source::{Read, Start};
use crate::kinds::sync::testing::{Bench, spec};

fn open(path: &Path) -> Input<'static> {
    let address = Address { path: None, url: None, credential: None, unchanged: None };
    match address.open_file(path.to_owned(), &Start::default()).unwrap() {
        Opened::Bytes(input) => *input,
        Opened::Unchanged => panic!("nobody asked for a probe"),
    }
}

/// Every row with its line, and at the end how it went.
fn all(bytes: &[u8]) -> (Vec<String>, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut rows = Rows::new(open(file.path()), b',');
    let mut seen = Vec::new();
    loop {
        match rows.next() {
            Ok(Next::Row) => {
                let fields: Vec<_> = rows.record().iter().collect();
                seen.push(format!("{}: {}", rows.place(), fields.join("|")));
            }
            Ok(Next::End) => {
                assert_eq!(rows.bytes(), bytes.len() as u64);
                rows.into_input().finish().unwrap();
                return (seen, "end".to_owned());
            }
            Err(trouble) => {
                let name = file.path().display().to_string();
                let message = trouble.message.replace(&name, "FILE");
                return (seen, format!("{}: {message}", trouble.ending.word()));
            }
        }
    }
}

#[test]
fn sound_files_are_read_to_their_end() {
    let cases: [(&[u8], &[&str]); 9] = [
        (b"", &[]),
        (b"\n\n", &[]),
        (b"a,b\n", &["line 1: a|b"]),
        (b"a,b\n1,2\n3,4", &["line 1: a|b", "line 2: 1|2", "line 3: 3|4"]),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4\r\n", &["line 1: a|b", "line 2: 1|2", "line 3: 3|4"]),
        (b"a\n\"x\ny\"\nz\n", &["line 1: a", "line 2: x\ny", "line 4: z"]),
        (b"a\n\"say \"\"hi\"\"\"", &["line 1: a", "line 2: say \"hi\""]),
        (b"a,b\n\n\n1\n1,2,3\n\n", &["line 1: a|b", "line 4: 1", "line 5: 1|2|3"]),
        ("a\n5\" pipe\næøå\n".as_bytes(), &["line 1: a", "line 2: 5\" pipe", "line 3: æøå"]),
    ];
    for (bytes, expected) in cases {
        let (seen, end) = all(bytes);
        assert_eq!(seen, expected, "{}", bytes.escape_ascii());
        assert_eq!(end, "end", "{}", bytes.escape_ascii());
    }
}

#[test]
fn damaged_files_are_refused_with_the_line() {
    let mut huge = b"a\n1\n\"".to_vec();
    huge.resize(20 * 1024 * 1024, b'x');
    let cases: [(&[u8], usize, &str); 5] = [
        (
            b"a,b\n1,2\n3,\"4\n5,6\n",
            2,
            "failed:truncated: FILE ends within a quotation; it is in the row that begins in line 3",
        ),
        (
            b"a\n\"",
            1,
            "failed:truncated: FILE ends within a quotation; it is in the row that begins in line 2",
        ),
        (
            b"a,b\r\n1,2\r\n3,\xe6\r\n",
            2,
            "failed:source: FILE, line 3: field 2 is not UTF-8; convert the file, for example with \
             `iconv -f WINDOWS-1252 -t UTF-8`",
        ),
        (
            b"\xff\xfea\0,\0b\0\n\0",
            0,
            "failed:source: FILE, line 1: field 1 is not UTF-8; convert the file, for example with \
             `iconv -f WINDOWS-1252 -t UTF-8`",
        ),
        (
            &huge,
            2,
            "failed:source: FILE, line 3: the row is larger than 16 MiB; perhaps a quotation is not \
             closed",
        ),
    ];
    for (bytes, rows, expected) in cases {
        let (seen, end) = all(bytes);
        assert_eq!(end, expected);
        assert_eq!(seen.len(), rows, "{expected}");
    }
}

/// Reads a file as a job of three columns does.
fn read(bytes: &[u8], more: &str) -> Result<Vec<String>, String> {
    let bench = Bench::new();
    std::fs::write(bench.path("in.csv"), bytes).unwrap();
    let rows = bench.read(&format!(
        "source: {{ csv: {{ path: in.csv, delimiter: \";\" }} }}\n\
         columns: {{ id: {{ type: int, key: true }}, name: {{ type: text }} }}\n\
         destination: {{ csv: {{ path: out.csv }} }}\nmode: append\n{more}"
    ));
    rows.map_err(|trouble| {
        let folder = format!("{}/", bench.dir.path().display());
        format!("{}: {}", trouble.ending.word(), trouble.message.replace(&folder, ""))
    })
}

#[test]
fn rows_that_are_ragged_and_files_that_are_bare() {
    for (bytes, more, expected) in [
        (
            &b"id;name\n1;a\n2\n3;c;more\n"[..],
            "",
            Ok(&["id=1 name=a", "id=2 name=null", "id=3 name=c"][..]),
        ),
        (b"id;name\n1;a;\n", "", Ok(&["id=1 name=a"])),
        (b"id;name\n", "", Ok(&[])),
        (
            b"",
            "",
            Err(
                "failed:schema: in.csv is empty, and has not even a header; a file without rows has one",
            ),
        ),
        (
            b"id;name\n3;c;more\n",
            "unknown_columns: fail\n",
            Err(
                "failed:schema: no column takes `field 3` in line 2, which has more fields than there \
                 are headers: add a column, or say `unknown_columns: ignore`",
            ),
        ),
    ] {
        let rows = read(bytes, more);
        let expected = expected.map(|rows| rows.iter().map(|row| (*row).to_owned()).collect());
        assert_eq!(rows, expected.map_err(str::to_owned), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_renamed_or_doubled_header_is_told_with_its_place() {
    for (bytes, words) in [
        (&b"id;nam\n1;a\n"[..], "nam"),
        (b"id;name;name\n1;a;b\n", "field 3"),
        (b"<html>\n<body>Sign in</body>\n", "id"),
    ] {
        let trouble = read(bytes, "").unwrap_err();
        assert!(trouble.starts_with("failed:schema: ") && trouble.contains(words), "{trouble}");
    }
}

#[test]
fn a_file_that_is_not_there_or_not_one_is_told_apart() {
    let bench = Bench::new();
    let text = |path: &str| {
        format!(
            "source: {{ csv: {{ path: {path} }} }}\ncolumns: {{ id: {{ type: int }} }}\n\
             destination: {{ csv: {{ path: out.csv }} }}\nmode: append\n"
        )
    };
    for (path, word) in [("absent.csv", "failed:not_found"), (".", "failed:config")] {
        assert_eq!(bench.read(&text(path)).unwrap_err().ending.word(), word, "{path}");
    }
}

/// What somebody else does to a file.
type Change = fn(&Path);

#[test]
fn a_file_that_changes_while_it_is_read_is_truncated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.csv");
    let changes: [(&str, Change); 3] = [
        ("grown", |path| {
            let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
            std::io::Write::write_all(&mut file, b"2\n").unwrap();
        }),
        ("replaced", |path| {
            let other = path.with_extension("new");
            std::fs::write(&other, "a\n1\n").unwrap();
            std::fs::rename(other, path).unwrap();
        }),
        ("removed", |path| std::fs::remove_file(path).unwrap()),
    ];
    for (what, change) in changes {
        std::fs::write(&path, "a\n1\n").unwrap();
        let mut rows = Rows::new(open(&path), b',');
        while rows.next().unwrap() == Next::Row {}
        let input = rows.into_input();
        assert!(input.finish().is_ok());
        change(&path);
        assert_eq!(input.finish().unwrap_err().ending.word(), "failed:truncated", "{what}");
    }
}

#[test]
fn a_probe_by_time_counts_only_for_a_file_that_has_settled() {
    let bench = Bench::new();
    let path = bench.path("in.csv");
    std::fs::write(&path, "id\n1\n").unwrap();
    let text = "source: { csv: { path: in.csv, unchanged: { probe: mtime } } }\n\
                columns: { id: { type: int } }\ndestination: { csv: { path: out.csv } }\nmode: append\n";
    let (attempt, spec) = (bench.attempt(text), spec(text));
    let read = |start: &Start| {
        let mut read = None;
        let take = Bench::take(text, &attempt, |intake| {
            read = Some(spec.source.read(&attempt.tools, start, intake)?);
            Ok(())
        });
        (take.unwrap().len(), read.unwrap())
    };
    let written: jiff::Timestamp = path.metadata().unwrap().modified().unwrap().try_into().unwrap();
    let start = Start { may_be_unchanged: true, now: written, ..Start::default() };
    assert_eq!(read(&start), (1, Read::All { left: None }), "it may change in the same tick");
    let start = Start { now: written + jiff::SignedDuration::from_secs(5), ..start };
    let (1, Read::All { left: Some(left) }) = read(&start) else { panic!("it has settled") };
    let start = Start { left: Some(left), ..start };
    assert_eq!(read(&start), (0, Read::Unchanged));
    assert_eq!(read(&Start { may_be_unchanged: false, ..start.clone() }).0, 1);
    std::fs::write(&path, "id\n1\n2\n").unwrap();
    assert_eq!(read(&start).0, 2);
}
