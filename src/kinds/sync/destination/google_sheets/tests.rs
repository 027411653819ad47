//! A tab that is written, against the stand-in.

use super::super::super::columns::ColumnType;
use super::super::super::destination::Destination;
use super::super::super::ledger::State;
use super::super::super::sheets::fake::What;
use super::super::super::sheets::tests::Google;
use super::super::super::testing::spec;
use super::super::super::wire::stand::{Stand, told};
use super::*;
use crate::model::RunId;

fn columns() -> Vec<Column> {
    let column = |name: &str, kind, key| Column { name: name.to_owned(), kind, key, required: key };
    vec![
        column("id", ColumnType::Text, true),
        column("cost", ColumnType::Decimal { precision: 12, scale: 2 }, false),
        column("crew", ColumnType::Int, false),
        column("eta", ColumnType::Timestamp, false),
    ]
}

fn row(id: &str, cost: i128, crew: Option<i64>, eta: i64) -> Vec<u8> {
    let mut row = Vec::new();
    encode(Value::Text(id), &mut row);
    encode(Value::Decimal(cost), &mut row);
    encode(crew.map_or(Value::Null, Value::Int), &mut row);
    encode(Value::Timestamp(eta), &mut row);
    row
}

fn key(id: &str) -> Vec<u8> {
    let mut key = Vec::new();
    encode(Value::Text(id), &mut key);
    key
}

fn ledger() -> Ledger {
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    Ledger {
        version: 1,
        run: RunId(1),
        committed_at: at,
        read_at: at,
        rows: 1,
        fingerprint: String::new(),
        section: String::new(),
        state: State::default(),
        history: Vec::new(),
        earlier: Vec::new(),
    }
}

fn job(google: &Google) -> String {
    let url = &google.web.url;
    format!(
        "source: {{ csv: {{ path: a.csv }} }}\ncolumns: {{ id: {{ type: text, key: true }} }}\n\
         destination: {{ google_sheets: {{ spreadsheet: book-1, tab: Port Sheet, credential: api, \
         api_url: '{url}' }} }}\nmode: upsert\n"
    )
}

/// Begins on the tab; gives the session and what was found.
fn begin(stand: &Stand, google: &Google) -> Result<(Session, Found), Trouble> {
    let text = job(google);
    let attempt = stand.attempt(&text);
    let Destination::GoogleSheets(section) = &spec(&text).destination.value else {
        panic!("a sheet")
    };
    let columns = columns();
    section.begin(&attempt.tools, Shape { stream: "port-sheet", columns: &columns })
}

fn carry(
    stand: &Stand,
    google: &Google,
    effect: Effect,
    steps: &[Move<'_>],
) -> Result<(), Trouble> {
    let (session, _) = begin(stand, google)?;
    let mut moves =
        |each: super::super::EachMove<'_>| steps.iter().try_for_each(|step| each(*step));
    session.carry_out(effect, &mut moves, &ledger())
}

fn shown(google: &Google) -> String {
    let fake = google.fake.lock().unwrap();
    let rows = fake.book.tabs[1].rows.iter();
    rows.map(|row| serde_json::to_string(row).unwrap() + "\n").collect()
}

/// 2026-01-01 at noon in UTC.
const NOON: i64 = 1_767_268_800_000_000;

#[test]
fn a_new_tab_gets_headers_and_rows_in_one_write_and_is_read_back() {
    let (google, stand) = (Google::with(json!([])), Stand::new());
    let rows = [row("=SUM(A1)", 1250, Some(7), NOON), row("b", 5, None, NOON)];
    carry(&stand, &google, Effect::Replace, &rows.each_ref().map(|row| Move::Insert(row))).unwrap();
    insta::assert_snapshot!(shown(&google), @r#"
    ["id","cost","crew","eta"]
    ["=SUM(A1)","12.50",7,"2026-01-01T12:00:00Z"]
    ["b","0.05","","2026-01-01T12:00:00Z"]
    "#);
    let calls = google.calls();
    let methods: Vec<_> =
        calls.iter().map(|id| id.trim_start_matches("sheets.spreadsheets.")).collect();
    assert_eq!(methods, ["get", "values.get", "values.batchUpdate", "values.get"]);
    // What was written is what is found.
    let (mut session, found) = begin(&stand, &google).unwrap();
    assert_eq!((found.rows, found.ledger.is_some()), (2, true));
    let mut current = Vec::new();
    session
        .current(&mut |row| {
            current.push(row.to_vec());
            Ok(())
        })
        .unwrap();
    assert_eq!(current, rows);
}

#[test]
fn rows_keep_their_places_and_what_people_write_beside_them() {
    let google = Google::with(json!([
        ["id", "cost", "mine", "crew", "eta"],
        ["a", "1.00", "note of a", 1, "2026-01-01T12:00:00Z"],
        ["b", "2.00", "note of b", 2, "2026-01-01T12:00:00Z"],
        ["c", "3.00", "note of c", "many", "2026-01-01T12:00:00Z"],
    ]));
    let stand = Stand::new();
    let (c, d, e) =
        (row("c", 400, Some(4), NOON), row("d", 500, Some(5), NOON), row("e", 6, None, NOON));
    let gone = key("b");
    let steps = [Move::Delete(&gone), Move::Update(&c), Move::Insert(&d), Move::Insert(&e)];
    carry(&stand, &google, Effect::Merge, &steps).unwrap();
    insta::assert_snapshot!(shown(&google), @r#"
    ["id","cost","mine","crew","eta"]
    ["a","1.00","note of a",1,"2026-01-01T12:00:00Z"]
    ["d","5.00","note of b",5,"2026-01-01T12:00:00Z"]
    ["c","4.00","note of c",4,"2026-01-01T12:00:00Z"]
    ["e","0.06","","","2026-01-01T12:00:00Z"]
    "#);
}

#[test]
fn a_lost_answer_writes_nothing_twice() {
    let (google, stand) = (Google::with(json!([])), Stand::new());
    google.fault("values.batchUpdate", What::Lost);
    let a = row("a", 100, Some(1), NOON);
    carry(&stand, &google, Effect::Add, &[Move::Insert(&a)]).unwrap();
    google.fault("values.batchUpdate", What::Lost);
    carry(&stand, &google, Effect::Add, &[Move::Insert(&a)]).unwrap();
    assert_eq!(google.fake.lock().unwrap().book.tabs[1].rows.len(), 3);
    assert_eq!(google.calls().iter().filter(|id| id.ends_with("batchUpdate")).count(), 4);
}

#[test]
fn the_ledger_is_written_only_behind_what_was_read_back() {
    let (google, stand) = (Google::with(json!([])), Stand::new());
    let a = row("a", 100, Some(1), NOON);
    // The second look, after the write, finds what somebody else has put there.
    google.fault("values.get", What::Edit(|_| ()));
    google.fault("values.get", What::Edit(|book| book.rows()[1][1] = "9.99".into()));
    let trouble = carry(&stand, &google, Effect::Replace, &[Move::Insert(&a)]).unwrap_err();
    assert!(
        told(&trouble).starts_with("failed:destination: row 2 of the tab `Port Sheet` is not"),
        "{}",
        told(&trouble)
    );
    assert_eq!(begin(&stand, &google).unwrap().1.ledger, None);
}

#[test]
fn a_grid_that_is_too_small_is_enlarged() {
    let (google, stand) = (Google::with(json!([])), Stand::new());
    google.fake.lock().unwrap().book.tabs[1].row_count = 2;
    let rows = [row("a", 1, None, NOON), row("b", 2, None, NOON), row("c", 3, None, NOON)];
    carry(&stand, &google, Effect::Replace, &rows.each_ref().map(|row| Move::Insert(row))).unwrap();
    assert_eq!(google.fake.lock().unwrap().book.tabs[1].row_count, 4);
    google.calls();
    // Fewer rows clear the rest.
    carry(&stand, &google, Effect::Replace, &[Move::Insert(&rows[2])]).unwrap();
    assert_eq!(begin(&stand, &google).unwrap().1.rows, 1);
}

#[test]
fn a_tab_without_our_headers_is_somebody_elses() {
    for (rows, words) in [
        (
            json!([["id", "cost", "crew"]]),
            "failed:schema: the tab `Port Sheet` has no header `eta`: write it into D1",
        ),
        (json!([[], ["something"]]), "failed:schema: 'Port Sheet' has no headers in row 1"),
    ] {
        let told = told(&begin(&Stand::new(), &Google::with(rows)).map(drop).unwrap_err());
        assert!(told.starts_with(words), "{told}");
    }
    let google = Google::with(json!([]));
    google.fake.lock().unwrap().book.tabs.pop();
    let told = told(&begin(&Stand::new(), &google).map(drop).unwrap_err());
    assert_eq!(told, "failed:not_found: there is no tab `Port Sheet`; there are `Notes`");
}

#[test]
fn many_cells_go_in_portions_that_stay_in_order() {
    let block = |row, rows| Block { row, rows: vec![vec![Json::Null; 2]; rows] };
    let portions = portions(vec![block(0, 1), block(3, 5), block(9, 2)], 4);
    let shape: Vec<Vec<_>> = portions
        .iter()
        .map(|blocks| blocks.iter().map(|block| (block.row, block.rows.len())).collect())
        .collect();
    assert_eq!(shape, [vec![(0, 1)], vec![(3, 2)], vec![(5, 2)], vec![(7, 1)], vec![(9, 2)]]);
}
