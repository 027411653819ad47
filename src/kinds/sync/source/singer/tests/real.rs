//! A real tap, from the package index, in an environment that is made for it. Left out where nobody says that
//! there is one.

use serde_json::json;

use super::{Seen, read};
use crate::kinds::sync::source::Start;
use crate::kinds::sync::testing::{Bench, names};

/// Everything that the tap needs, with versions.
const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/singer/tap-jsonl.lock");

fn is_wanted() -> bool {
    let wanted = std::env::var("JADA_TEST_SINGER").is_ok_and(|text| text == "required");
    if !wanted {
        println!("left out: JADA_TEST_SINGER=required says that pip can install tap-jsonl");
    }
    wanted
}

fn job(pip: &str, more: &str) -> String {
    format!(
        "source:\n  singer:\n    package: {{ pip: \"{pip}\", lock: \"{LOCK}\" }}\n    stream: rows\n    \
         config: {{ path: \"{{{{params.file}}}}\", stream_name: rows, primary_keys: [id] }}\n{more}\
         destination: {{ csv: {{ path: out.csv }} }}\nmode: append\n"
    )
}

fn run(bench: &Bench, text: &str, start: &Start) -> Result<Seen, String> {
    let file = bench.path("rows.jsonl").display().to_string();
    read(bench, "", &text.replace("{{params.file}}", &file), start)
}

#[test]
fn a_tap_of_the_singer_sdk_is_installed_once_and_read_to_its_end() {
    if !is_wanted() {
        return;
    }
    let bench = Bench::new();
    let rows = "{\"id\":1,\"name\":\"a\",\"at\":\"2026-01-01T01:00:00+01:00\",\"x\":1.5,\"tags\":[1]}\n\
                {\"id\":2,\"name\":null,\"at\":\"2026-01-02T00:00:00Z\",\"x\":2,\"tags\":[]}\n";
    std::fs::write(bench.path("rows.jsonl"), rows).unwrap();
    let text = job("tap-jsonl==0.3.1", "");
    let seen = run(&bench, &text, &Start::default()).unwrap();
    let mine = |row: &String| {
        row.split(' ').filter(|cell| !cell.starts_with("_sdc")).collect::<Vec<_>>().join(" ")
    };
    let rows: Vec<String> = seen.rows.iter().map(mine).collect();
    assert_eq!(
        rows,
        [
            "at=2026-01-01T00:00:00Z id=1 name=a tags=[1] x=1.5",
            "at=2026-01-02T00:00:00Z id=2 name=null tags=[] x=2"
        ]
    );
    for words in ["jada: installing tap-jsonl==0.3.1", "Successfully installed", "Processed 2 rows"]
    {
        assert!(seen.said.contains(words), "{}", seen.said);
    }
    let left = seen.left.unwrap();
    assert!(left["bookmarks"]["rows"].is_object(), "{left}");

    // The environment is there, and the tap is told where it was.
    let start = Start { left: Some(left.clone()), goes_on: true, ..Start::default() };
    let again = run(&bench, &text, &start).unwrap();
    assert!(!again.said.contains("jada: installing"), "{}", again.said);
    assert!(again.said.contains("with bookmark value: 20"), "{}", again.said);
    assert!(seen.said.contains("with bookmark value: None"), "{}", seen.said);
    assert_eq!(again.left.unwrap()["bookmarks"]["rows"].is_object(), json!(true));

    // A column of the job's own, and one that the tap does not have.
    let own = "columns: { id: { type: int, key: true }, named: { from: name, type: text } }\n";
    let seen = run(&bench, &job("tap-jsonl==0.3.1", own), &Start::default()).unwrap();
    assert_eq!(seen.rows, ["id=1 named=a", "id=2 named=null"]);
    let other = own.replace("from: name", "from: nam");
    let trouble = run(&bench, &job("tap-jsonl==0.3.1", &other), &Start::default()).err().unwrap();
    assert!(trouble.starts_with("failed:schema"), "{trouble}");
    let stream = text.replace("stream: rows\n", "stream: row\n");
    let trouble = run(&bench, &stream, &Start::default()).err().unwrap();
    assert_eq!(trouble, "failed:schema: the tap has no stream `row`; it has rows");

    // A tap without its file fails, and nothing of it counts.
    std::fs::remove_file(bench.path("rows.jsonl")).unwrap();
    let trouble = run(&bench, &text, &Start::default()).err().unwrap();
    assert!(trouble.starts_with("failed:schema: the tap's schema"), "{trouble}");
}

#[test]
fn a_package_that_can_not_be_installed_is_told_by_pip_and_leaves_nothing_that_counts() {
    if !is_wanted() {
        return;
    }
    let bench = Bench::new();
    let text = job("tap-jsonl==99.0.0", "").replace(&format!(", lock: \"{LOCK}\""), "");
    for _ in 0..2 {
        let trouble = run(&bench, &text, &Start::default()).err().unwrap();
        assert!(trouble.starts_with("failed:source: pip ended with exit code 1: "), "{trouble}");
        assert!(trouble.contains("tap-jsonl==99.0.0"), "{trouble}");
    }
    let text = text.replace("pip: ", "python: \"0.1\", pip: ");
    let trouble = run(&bench, &text, &Start::default()).err().unwrap();
    assert!(trouble.contains("there is no program 'python0.1'"), "{trouble}");
    let taps = names(&bench.path("taps"));
    let whole = |name: &String| bench.path("taps").join(name).join(".jada-complete").exists();
    assert!(!taps.iter().any(whole), "{taps:?}");
}
