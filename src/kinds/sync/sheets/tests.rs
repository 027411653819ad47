//! A sheet that is read, against the stand-in.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::super::source::{Read, Start};
use super::super::wire::stand::{Reply, Stand, TOKEN, Web, told};
use super::fake::discovery::Discovery;
use super::fake::{Book as Sheet, Fake, Fault, What};
use super::*;

/// The stand-in behind a server.
pub(in super::super) struct Google {
    pub(in super::super) fake: Arc<Mutex<Fake>>,
    pub(in super::super) web: Web,
}

impl Google {
    pub(in super::super) fn with(rows: Json) -> Self {
        let discovery = Discovery::find();
        if let Err(why) = &discovery {
            println!("requests are not judged: {why}");
        }
        let fake = Arc::new(Mutex::new(Fake::new(Sheet::of(rows), TOKEN, discovery.ok())));
        let answers = fake.clone();
        let web = Web::start(move |seen| {
            let verb = seen.line.split(' ').next().unwrap();
            let mut fake = answers.lock().unwrap();
            let answer = fake.answer(verb, seen.target(), seen.header("authorization"), &seen.body);
            let mut reply = Reply::of(answer.status, answer.body);
            for (name, value) in &answer.headers {
                reply = reply.with(name, value);
            }
            if answer.lost { Reply::of(200, "").broken() } else { reply }
        });
        Self { fake, web }
    }

    /// The methods that were called since the last look.
    pub(in super::super) fn calls(&self) -> Vec<String> {
        let mut fake = self.fake.lock().unwrap();
        assert_eq!(fake.complaints, Vec::<String>::new());
        std::mem::take(&mut fake.calls)
    }

    pub(in super::super) fn fault(&self, on: &'static str, what: What) {
        self.fake.lock().unwrap().faults.push_back(Fault { on, what });
    }
}

const COLUMNS: &str = "columns:
  booking_id: { from: 'Booking #', type: text, key: true }
  port: { from: Port, type: text, required: true }
  eta: { from: ETA, type: timestamp, zone: sheet }
  crew: { from: Crew, type: int }
destination: { jsonl: { path: out.jsonl } }
mode: upsert
";

fn job(google: &Google, keys: &str) -> String {
    let url = &google.web.url;
    format!(
        "source: {{ google_sheets: {{ spreadsheet: book-1, sheet_id: 7, range: 'A1:F', \
         credential: api, api_url: '{url}', {keys} }} }}\n{COLUMNS}"
    )
}

pub(super) fn ports() -> Json {
    json!([
        ["Booking #", " port ", "ETA", "Crew", "", "Notes"],
        ["B1", "Oslo", 46023.5, 12, "", "x"],
        ["B2", "Bergen", 46024, 7],
        [],
        ["B3", "Moss"],
    ])
}

#[test]
fn a_sheet_becomes_rows_in_its_own_zone() {
    let google = Google::with(ports());
    let rows = Stand::new().read(&job(&google, "")).unwrap();
    assert_eq!(
        rows,
        [
            // Noon in Oslo, which is an hour ahead in winter.
            "booking_id=B1 port=Oslo eta=2026-01-01T11:00:00Z crew=12",
            "booking_id=B2 port=Bergen eta=2026-01-01T23:00:00Z crew=7",
            "booking_id=B3 port=Moss eta=null crew=null",
        ]
    );
    assert_eq!(google.calls(), ["sheets.spreadsheets.get", "sheets.spreadsheets.values.get"]);
}

#[test]
fn three_requests_where_it_has_changed_and_one_where_it_has_not() {
    let (google, stand) = (Google::with(ports()), Stand::new());
    let text = job(&google, "unchanged: { probe: drive_version }");
    let (rows, came) = stand.read_from(&text, Start::default()).unwrap();
    let calls = ["drive.files.get", "sheets.spreadsheets.get", "sheets.spreadsheets.values.get"];
    assert_eq!((rows.len(), google.calls()), (3, calls.map(str::to_owned).to_vec()));
    let Read::All { left } = came else { panic!("it was read") };
    let again = Start { left, may_be_unchanged: true, ..Start::default() };
    let (rows, came) = stand.read_from(&text, again.clone()).unwrap();
    assert_eq!((rows.len(), came), (0, Read::Unchanged));
    assert_eq!(google.calls(), ["drive.files.get"]);
    // A probe proves nothing: after a while it is read again whatever the version says.
    let due = Start { may_be_unchanged: false, ..again.clone() };
    assert_eq!(stand.read_from(&text, due).unwrap().0.len(), 3);
    // What is edited between the version and the values is in the rows, and read again next time.
    google.fake.lock().unwrap().book.rows()[1][1] = "Larvik".into();
    google.fault("values.get", What::Edit(|book| book.rows()[1][1] = "Halden".into()));
    let (rows, came) = stand.read_from(&text, again).unwrap();
    assert!(rows[0].contains("port=Halden"), "{rows:?}");
    let Read::All { left } = came else { panic!("it was read") };
    let after = Start { left, may_be_unchanged: true, ..Start::default() };
    assert_eq!(stand.read_from(&text, after).unwrap().0.len(), 3, "the edit counts as a change");
}

type Edit = fn(&mut Vec<Vec<Json>>);

#[test]
fn a_damaged_sheet_is_never_no_rows() {
    let cases: [(Edit, &str); 8] = [
        (
            |rows| rows[0][2] = "Arrival".into(),
            "failed:schema: no header `ETA` for the column `eta`; the nearest is `",
        ),
        (
            |rows| rows[0][2] = "Port".into(),
            "failed:schema: the header ` port ` stands twice, in cell B1 and in cell C1",
        ),
        (
            |rows| rows[0][5] = "crew".into(),
            "failed:schema: the header `Crew` stands twice, in cell D1 and in cell F1",
        ),
        (Vec::clear, "failed:schema: 'Port Sheet'!A1:F has no headers in row 1: is it empty?"),
        (|rows| rows[0].clear(), "failed:schema: 'Port Sheet'!A1:F has no headers in row 1"),
        (|rows| rows[1][2] = "soon".into(), "failed:mapping: "),
        (|rows| rows[1][3] = "#N/A".into(), "failed:mapping: "),
        (|rows| rows[1][1] = "".into(), "failed:mapping: "),
    ];
    for (edit, words) in cases {
        let google = Google::with(ports());
        edit(google.fake.lock().unwrap().book.rows());
        let told = told(&Stand::new().read(&job(&google, "")).expect_err(words));
        assert!(told.starts_with(words), "{told}\n{words}");
    }
}

#[test]
fn no_rows_behind_the_header_are_no_rows_and_a_guard_decides() {
    let google = Google::with(ports());
    google.fake.lock().unwrap().book.rows().truncate(1);
    assert_eq!(Stand::new().read(&job(&google, "")), Ok(Vec::new()));
}

#[test]
fn sorted_rows_keep_their_identity() {
    let (google, stand) = (Google::with(ports()), Stand::new());
    let mut before = stand.read(&job(&google, "")).unwrap();
    google.fake.lock().unwrap().book.rows()[1..].reverse();
    let mut after = stand.read(&job(&google, "")).unwrap();
    assert_ne!(before, after);
    before.sort();
    after.sort();
    assert_eq!(before, after);
}

#[test]
fn a_tab_is_known_by_its_number() {
    let (google, stand) = (Google::with(ports()), Stand::new());
    google.fake.lock().unwrap().book.tabs[1].title = "It's / new!".to_owned();
    assert_eq!(stand.read(&job(&google, "")).unwrap().len(), 3);
    let elsewhere = job(&google, "").replace("sheet_id: 7", "sheet_id: 9");
    let told = told(&stand.read(&elsewhere).unwrap_err());
    let words = "failed:not_found: no tab has the `sheet_id` 9; there are 0 (`Notes`), 7";
    assert!(told.starts_with(words), "{told}");
    let named = "range: \"'It''s / new!'!A1:F\"";
    let named = job(&google, "").replace("sheet_id: 7, range: 'A1:F'", named);
    assert_eq!(stand.read(&named).unwrap().len(), 3);
}

#[test]
fn blank_rows_are_passed_over_or_end_the_range() {
    let (google, stand) = (Google::with(ports()), Stand::new());
    let rows = stand.read(&job(&google, "header: { blank_rows: stop }")).unwrap();
    assert_eq!(rows.len(), 2);
    // A title above the header.
    google.fake.lock().unwrap().book.rows().insert(0, vec!["Ports of 2026".into()]);
    let rows = stand.read(&job(&google, "header: { row: 2 }")).unwrap();
    assert_eq!(rows.len(), 3);
}

#[test]
fn refusals_of_the_api() {
    let error = |code: u16, reason: &str| json!({ "error": { "code": code, "message": "said so", "errors": [{ "reason": reason }] } });
    let cases = [
        (What::Answer(403, error(403, "forbidden")), "failed:permission: "),
        (What::Answer(404, error(404, "notFound")), "failed:not_found: "),
        (What::Answer(400, error(400, "badRequest")), "failed:config: "),
    ];
    for (what, words) in cases {
        let (google, stand) = (Google::with(ports()), Stand::new());
        google.fault("values.get", what);
        let told = told(&stand.read(&job(&google, "")).unwrap_err());
        assert!(told.starts_with(words) && told.contains("said so"), "{told}");
        assert_eq!((google.calls().len(), stand.waits().len()), (2, 0));
    }
    // A busy API is asked again when it wants to be, and a dead token is the credential's failure.
    let (google, stand) = (Google::with(ports()), Stand::new());
    google.fault("values.get", What::Busy(429, 20));
    google.fault("values.get", What::Lost);
    assert_eq!(stand.read(&job(&google, "")).unwrap().len(), 3);
    assert!(stand.waits()[0] >= 20, "{:?}", stand.waits());
    google.fake.lock().unwrap().token = "another".to_owned();
    let told = told(&stand.read(&job(&google, "")).unwrap_err());
    assert!(told.starts_with("failed:auth: test/api"), "{told}");
}

#[test]
fn a_quota_that_is_used_up_says_so() {
    let (google, stand) = (Google::with(ports()), Stand::new());
    google.fake.lock().unwrap().reads_left = 1;
    let told = told(&stand.read(&job(&google, "")).unwrap_err());
    assert!(told.starts_with("failed:quota: "), "{told}");
    assert!(stand.waits().iter().sum::<u64>() >= 60, "it waits across the minute first");
}

#[test]
fn zones_have_names_or_are_an_offset() {
    let offset = |name: &str| {
        let noon = "2026-01-01T12:00:00Z".parse().unwrap();
        zone(name).map(|zone| zone.to_offset(noon).seconds())
    };
    assert_eq!(offset("Europe/Oslo"), Some(3600));
    assert_eq!(offset("GMT-07:30"), Some(-27_000));
    assert_eq!(offset("GMT+3"), Some(10_800));
    assert_eq!(
        (offset("GMT*07:00"), offset("Nowhere/At_All"), offset("GMT+1:99")),
        (None, None, None)
    );
}

#[test]
fn a_name_can_t_leave_its_place_in_the_address() {
    let base = Url::parse("https://sheets.googleapis.com").unwrap();
    let url = under(&base, &["v4", "values", "'a/b?c#d%'!A:K"]);
    assert_eq!(url.as_str(), "https://sheets.googleapis.com/v4/values/'a%2Fb%3Fc%23d%25'!A:K");
}
