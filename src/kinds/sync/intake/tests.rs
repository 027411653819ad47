//! What is taken, and what is refused, while rows come in.

use super::super::testing::Bench;
use super::*;

fn job(columns: &str, more: &str) -> String {
    format!(
        "source: {{ csv: {{ path: a }} }}\ncolumns: {{ {columns} }}\n\
         destination: {{ sqlite: {{ path: a, table: a }} }}\n{more}\n"
    )
}

const TWO: &str = "id: { from: \"Booking #\", type: int, key: true }, port: { type: text }";

/// Gives rows of texts under headers; what came of it.
fn table(text: &str, headers: &[&str], rows: &[&[&str]]) -> Result<Vec<String>, String> {
    let (bench, rules) = (Bench::new(), HeaderRules { folded: true, no_duplicates: false });
    let taken = Bench::take(text, &bench.attempt(text), |intake| {
        let header = intake.header(headers, rules, &|index| format!("field {}", index + 1))?;
        for (at, row) in rows.iter().enumerate() {
            let field =
                |index: usize| row.get(index).map_or(Cell::Missing, |text| Cell::Text(text));
            intake.fields(&format!("row {}", at + 2), &header, &field)?;
        }
        Ok(())
    });
    taken.map_err(|trouble| format!("{}: {}", trouble.ending.word(), trouble.message))
}

fn records(text: &str, records: &[&str]) -> Result<Vec<String>, String> {
    let bench = Bench::new();
    let taken = Bench::take(text, &bench.attempt(text), |intake| {
        for (at, record) in records.iter().enumerate() {
            intake.json(&format!("line {}", at + 1), record)?;
        }
        Ok(())
    });
    taken.map_err(|trouble| format!("{}: {}", trouble.ending.word(), trouble.message))
}

#[test]
fn duplicate_mapped_header_and_absent_mapped_header() {
    let job = job(TWO, "");
    let rows: &[&[&str]] = &[&["1", "OSL"]];
    assert_eq!(table(&job, &[" booking #", "PORT"], rows).unwrap(), ["id=1 port=OSL"]);
    assert_eq!(
        table(&job, &["Booking no", "port"], rows).unwrap_err(),
        "failed:schema: no header `Booking #` for the column `id`; the nearest is `Booking no` in \
         field 1: if it was renamed, write that into `from`"
    );
    assert_eq!(
        table(&job, &["Booking #", "port", "Port "], rows).unwrap_err(),
        "failed:schema: the header `port` stands twice, in field 2 and in field 3: nobody can tell \
         which one is meant; rename one of them"
    );
    assert!(table(&job, &[], rows).unwrap_err().ends_with("there are no headers at all"));
}

#[test]
fn row_shorter_or_longer_than_header() {
    let rows: &[&[&str]] = &[&["1"], &["2", "BGO", "more"]];
    let headers = ["Booking #", "port"];
    assert_eq!(table(&job(TWO, ""), &headers, rows).unwrap(), ["id=1 port=null", "id=2 port=BGO"]);
    let told = table(&job(TWO, "unknown_columns: fail"), &headers, rows).unwrap_err();
    assert!(told.starts_with("failed:schema: no column takes `field 3` in row 3"), "{told}");
    let kept = table(&job(TWO, "unknown_columns: keep_json"), &headers, rows).unwrap();
    assert_eq!(
        kept,
        ["id=1 port=null unknown=null", "id=2 port=BGO unknown={\"field 3\":\"more\"}"]
    );
}

#[test]
fn unknown_columns_are_ignored_told_refused_or_kept() {
    let (headers, rows): (_, &[&[&str]]) =
        (["Booking #", "port", "zeta", "alfa"], &[&["1", "OSL", "z", "a"]]);
    assert_eq!(table(&job(TWO, "unknown_columns: ignore"), &headers, rows).unwrap().len(), 1);
    let told = table(&job(TWO, "unknown_columns: fail"), &headers, rows).unwrap_err();
    assert!(told.contains("no column takes `alfa` in field 4"), "{told}");
    let kept = table(&job(TWO, "unknown_columns: keep_json"), &headers, rows).unwrap();
    assert_eq!(kept, ["id=1 port=OSL unknown={\"alfa\":\"a\",\"zeta\":\"z\"}"]);
    let (bench, text) = (Bench::new(), job(TWO, ""));
    let attempt = bench.attempt(&text);
    Bench::take(&text, &attempt, |intake| {
        intake.json(&"line 1", "{\"Booking #\":1,\"port\":\"a\",\"new\":1}")?;
        intake.json(&"line 2", "{\"Booking #\":2,\"port\":\"a\",\"new\":1}")
    })
    .unwrap();
    assert_eq!(bench.said(&attempt).matches("no column takes `new`").count(), 1, "told once");
}

#[test]
fn type_mismatch_names_its_cell() {
    let told = table(&job(TWO, ""), &["port", "Booking #"], &[&["OSL", "twelve"]]).unwrap_err();
    assert_eq!(
        told,
        "failed:mapping: row 2, below field 2: `twelve` is no int for the column `id`: it is no number"
    );
    let lenient = "id: { type: int, key: true }, crew: { type: int, on_bad: null }";
    assert_eq!(
        table(&job(lenient, ""), &["id", "crew"], &[&["1", "x"]]).unwrap(),
        ["id=1 crew=null"]
    );
}

#[test]
fn records_are_found_by_name_and_by_path() {
    let columns = "id: { type: int, key: true }, city: { from: address.city, type: text }, \
                   all: { from: address, type: json }, dotted: { from: a.b, type: int, default: '' }";
    let found = records(
        &job(columns, ""),
        &[
            r#"{"id": 1, "address": {"zip": 1.0, "city": "Os\u006co"}, "a.b": 7}"#,
            r#"{"address": {"city": null}, "id": 2}"#,
        ],
    );
    assert_eq!(
        found.unwrap(),
        [
            "id=1 city=Oslo all={\"city\":\"Oslo\",\"zip\":1.0} dotted=7",
            "id=2 city=null all={\"city\":null} dotted=null"
        ]
    );
}

#[test]
fn a_body_that_is_no_json_is_refused() {
    let columns = "id: { type: int, key: true }";
    for (record, told) in [
        ("{\"id\": NaN}", "failed:source: line 1 is no JSON"),
        ("{\"id\": Infinity}", "failed:source: line 1 is no JSON"),
        ("{\"id\": 1", "failed:source: line 1 is no JSON"),
        ("{\"id\": 1} x", "failed:source: line 1 is no JSON"),
        ("<html>", "failed:source: line 1 is no JSON"),
        ("[1]", "failed:source: line 1 is no JSON object"),
        ("{\"no\": 1}", "failed:mapping: line 1: `` is no int for the column `id`"),
    ] {
        let found = records(&job(columns, ""), &[record]).unwrap_err();
        assert!(found.starts_with(told), "{record}: {found}");
    }
}

#[test]
fn a_field_that_no_record_has_was_renamed() {
    let columns = "id: { type: int, key: true }, port: { type: text }";
    let told = records(&job(columns, ""), &["{\"id\": 1, \"ports\": \"OSL\"}"]).unwrap_err();
    assert!(told.starts_with("failed:schema: no record has the field `port`"), "{told}");
    assert!(told.contains("the nearest is `ports`"), "{told}");
    // One record may leave it out.
    let some = ["{\"id\": 1}", "{\"id\": 2, \"port\": \"OSL\"}"];
    assert_eq!(records(&job(columns, ""), &some).unwrap().len(), 2);
    let lenient = "id: { type: int, key: true }, port: { type: text, default: '' }";
    assert_eq!(records(&job(lenient, ""), &["{\"id\": 1}"]).unwrap(), ["id=1 port=null"]);
}

#[test]
fn unknown_fields_are_kept_in_one_form() {
    let columns = "id: { type: int, key: true }";
    let kept = records(
        &job(columns, "unknown_columns: keep_json"),
        &["{\"z\": 1.50, \"id\": 1, \"a\": [ 1 ]}"],
    );
    assert_eq!(kept.unwrap(), ["id=1 unknown={\"a\":[1],\"z\":1.50}"]);
}
