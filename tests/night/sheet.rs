//! The sync that this project comes from, with the real daemon: a Google sheet into a table, as twenty lines.
//!
//! Owns the story of a sheet that changes, stays, and is refused, for a service account and for a person's
//! consent. The sheet is the stand-in of `tests/sheets`; how it is read is proved beside the source.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value as Json, json};

use super::fake::{CLIENT, SECRET, read};
use super::sheets::discovery::Discovery;
use super::sheets::{Answer, Book, Fake};
use super::site::Site;

/// The job. A day is half an hour here, lest a slot comes due in the middle of the story.
const JOB: &str = "\
name: port-sheet
schedule: { every: 1d }
credentials: { sheets: google/ops }
freshness: 2d
sync:
  source:
    google_sheets:
      spreadsheet: book-1
      range: Port Sheet!A1:D
      credential: sheets
      unchanged: { probe: drive_version }
      api_url: URL
  columns:
    booking_id: { from: 'Booking #', type: text, key: true }
    port: { from: Port, type: text, required: true }
    eta: { from: ETA, type: timestamp, zone: sheet }
    crew: { from: Crew, type: int }
  destination: { sqlite: { path: bookings.db, table: port_sheet } }
  mode: mirror
  guards: { on_empty: hold, min_rows: 2, max_delete: 50% }
";

const KEY: &str = include_str!("../keys/rsa-pkcs8.pem");

/// Whether an access token is good; nothing leaves it to the stand-in.
type Takes = Box<dyn Fn(&str) -> bool + Send>;

/// The stand-in behind a port.
struct Google {
    url: String,
    fake: Arc<Mutex<Fake>>,
}

impl Google {
    fn start(takes: Option<Takes>) -> Self {
        let rows = json!([
            ["Booking #", "Port", "ETA", "Crew"],
            ["B1", "Oslo", 46023.5, 12],
            ["B2", "Bergen", 46024, 7],
            ["B3", "Moss"],
        ]);
        let book = Book::of(rows);
        let fake = Arc::new(Mutex::new(Fake::new(book, "canary-access-1", Discovery::find().ok())));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = Arc::clone(&fake);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Ok(request) = read(&stream) else { continue };
                let shown = request.headers.get("authorization").cloned().unwrap_or_default();
                let mut fake = serving.lock().unwrap();
                if let Some(takes) = &takes {
                    let token = shown.trim_start_matches("Bearer ");
                    if takes(token) { token } else { "none" }.clone_into(&mut fake.token);
                }
                let answer = fake.answer(&request.method, &request.target, &shown, &request.body);
                drop(fake);
                let _gone = stream.write_all(text(&answer).as_bytes());
            }
        });
        Self { url, fake }
    }

    fn fake(&self) -> MutexGuard<'_, Fake> {
        self.fake.lock().unwrap()
    }

    /// The methods that were called since the last look, without those of the token endpoint.
    fn calls(&self) -> Vec<String> {
        let mut fake = self.fake();
        assert_eq!(fake.complaints, Vec::<String>::new());
        let mut calls = std::mem::take(&mut fake.calls);
        calls.retain(|call| call != "token");
        calls
    }
}

fn text(answer: &Answer) -> String {
    let mut text = format!("HTTP/1.1 {} Fake\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        let _fits = write!(text, "{name}: {value}\r\n");
    }
    let _fits = write!(text, "content-length: {}\r\n\r\n{}", answer.body.len(), answer.body);
    text
}

/// A site with the job, whose credential `google/ops` is declared so.
fn site(url: &str, declared: &str) -> Site {
    let site = Site::new("", &JOB.replace("URL", url));
    let settings = format!(
        "credentials:\n  google/ops:\n    hosts: ['127.0.0.1']\n    {declared}\n\
         notifiers: {{ ops: {{ command: {{ run: [id] }} }} }}\n"
    );
    site.put("jada.yaml", &settings);
    site
}

fn rows(site: &Site) -> Vec<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = rusqlite::Connection::open_with_flags(site.path("bookings.db"), flags).unwrap();
    let sql = "select concat_ws(' ', booking_id, port, eta, crew) from port_sheet order by 1";
    let mut query = db.prepare(sql).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn run(site: &Site, code: i32) -> String {
    site.told(code, &["run", "port-sheet", "--wait"])
}

/// Three requests where it has changed, one where it has not, and never a mix.
fn goes_well(site: &Site, google: &Google) {
    let all = ["drive.files.get", "sheets.spreadsheets.get", "sheets.spreadsheets.values.get"];
    let told = run(site, 0);
    assert!(told.contains("committed: 3 inserted"), "{told}");
    assert_eq!(google.calls(), all);
    let told = run(site, 0);
    assert!(told.contains("unchanged"), "{told}");
    assert_eq!(google.calls(), all[..1]);
    google.fake().book.rows()[1][1] = "Larvik".into();
    let told = run(site, 0);
    assert!(told.contains("1 updated") && told.contains("2 same"), "{told}");
    assert_eq!(google.calls(), all);
    assert_eq!(
        rows(site),
        ["B1 Larvik 2026-01-01T11:00:00Z 12", "B2 Bergen 2026-01-01T23:00:00Z 7", "B3 Moss"]
    );
}

/// What is revoked is found out once, told once, and asked for no more.
fn is_refused(site: &Site, google: &Google, fix: &str) {
    google.fake().book.rows()[1][1] = "Halden".into();
    let told = run(site, 1);
    assert!(told.contains("google/ops") && told.contains(fix), "{told}");
    assert_eq!(google.calls(), ["drive.files.get"]);
    let told = run(site, 1);
    assert!(told.contains("blocked") && told.contains(fix), "{told}");
    assert_eq!(google.calls(), [""; 0], "what is dead is not asked again");
    let open = site.json(&["incidents"]);
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!(open[0]["key"], "credential/google/ops");
    assert_eq!(open[0]["affected"], json!(["port-sheet"]));
    assert_eq!(open[0]["fix"], fix);
    assert_eq!(rows(site).len(), 3, "nothing was touched");
}

fn is_mended(site: &Site) {
    site.until("it is let go", || {
        let output = site.ctl(&["run", "port-sheet", "--wait"]);
        output.status.success().then_some(())
    });
    assert!(rows(site)[0].starts_with("B1 Halden "), "{:?}", rows(site));
    assert_eq!(site.json(&["incidents"]), [json!(null); 0]);
    let state = site.told(0, &["sync", "state", "show", "port-sheet"]);
    assert!(state.contains("3 rows"), "{state}");
}

#[test]
fn a_sheet_is_read_with_the_consent_of_a_person() {
    let mut site = site("http://127.0.0.1:9", "");
    let google = Google::start(Some(Box::new(site.server.taker())));
    site.server.google(true);
    let client = json!({ "installed": {
        "client_id": CLIENT, "client_secret": SECRET, "token_uri": site.server.url("/token"),
    } });
    site.put("client.json", &client.to_string());
    let declared = "google: { client: { file: client.json }, scopes: [spreadsheets] }";
    let settings = site.text("jada.yaml").replace("    \n", &format!("    {declared}\n"));
    site.put("jada.yaml", &settings);
    site.put("jobs.d/all.yaml", &JOB.replace("URL", &google.url));
    consent(&site);
    site.start();
    goes_well(&site, &google);
    site.server.revoke_all();
    is_refused(&site, &google, "jadactl auth login google/ops");
    consent(&site);
    is_mended(&site);
}

/// A new grant, taken over from a file as Google's libraries write it.
fn consent(site: &Site) {
    let grant = site.server.grant("https://www.googleapis.com/auth/spreadsheets");
    let text = json!({ "client_id": CLIENT, "client_secret": SECRET, "refresh_token": grant });
    site.put("user.json", &text.to_string());
    site.told(0, &["auth", "import", "google/ops", "--from", "user.json"]);
}

#[test]
fn a_sheet_is_read_with_a_service_account() {
    let google = Google::start(None);
    let declared = "google_service_account: { key: { file: robot.json }, scopes: [spreadsheets] }";
    let mut site = site(&google.url, declared);
    let key: Json = json!({
        "type": "service_account",
        "client_email": "robot@example.test",
        "private_key_id": "k1",
        "private_key": KEY,
        "token_uri": format!("{}/token", google.url),
    });
    site.put("robot.json", &key.to_string());
    site.start();
    goes_well(&site, &google);
    // Somebody deletes the key in the console: tokens are refused, and no new one is given.
    google.fake().token = "canary-access-2".to_owned();
    google.fake().revoked = true;
    is_refused(&site, &google, "jadactl auth rotate google/ops --from FILE");
    google.fake().revoked = false;
    site.put("new.json", &key.to_string().replace("\"k1\"", "\"k2\""));
    site.told(0, &["auth", "rotate", "google/ops", "--from", "new.json"]);
    is_mended(&site);
}
