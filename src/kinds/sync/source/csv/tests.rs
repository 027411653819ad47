use std::path::Path;

use super::rows::{Next, Rows};
use crate::kinds::sync::source::Start;
use crate::kinds::sync::source::file::{Address, Input, Opened};

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
