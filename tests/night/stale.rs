//! The other half of that night: data that goes stale or away behind jobs that end well.
//!
//! Owns the story of a sync that a guard holds until a person has looked, and of a script that exits with 0
//! over stale data.

use std::fs;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::site::Site;

const JOBS: &str = "\
name: port-sheet
schedule: { every: 1d }
alert: { failures: 5, within: 1h }
sync:
  source: { csv: { path: in.csv } }
  columns:
    booking_id: { from: 'Booking #', type: text, key: true }
    port: { from: Port, type: text, required: true }
  destination: { sqlite: { path: out.db, table: bookings } }
  mode: mirror
  guards: { on_empty: hold, max_delete: 2 rows }
---
name: old-script
freshness: { breach: 1h, probe: { file: { path: out.csv } } }
command: { run: ['true'] }
";

/// A source that gives some rows, and then keeps everybody waiting.
const SLOW: &str = "\
name: slow
sync:
  source:
    command:
      run: 'n=0; while [ $n -lt 3000 ]; do n=$((n + 1)); echo \"{\\\"id\\\": $n}\"; done; sleep 60'
  columns: { id: { type: int, key: true } }
  destination: { sqlite: { path: slow.db, table: t } }
  mode: upsert
";

const HEAD: &str = "Booking #,Port\n";

/// The rows at the destination.
fn rows(site: &Site) -> Vec<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = rusqlite::Connection::open_with_flags(site.path("out.db"), flags).unwrap();
    let mut query =
        db.prepare("select booking_id || ' ' || port from bookings order by 1").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn diff(site: &Site) -> Json {
    let output = site.ctl(&["sync", "diff", "port-sheet", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_a_guard_holds_waits_for_a_person_and_is_committed_once() {
    let mut site = Site::new("", JOBS);
    let full = "B-1,Oslo\nB-2,Oslo\nB-3,Oslo\nB-4,Oslo\nB-5,Oslo\n";
    site.put("in.csv", &(HEAD.to_owned() + full));
    site.consent();
    site.start();
    let told = site.told(0, &["run", "port-sheet", "--wait"]);
    assert!(told.contains("committed: 5 inserted"), "{told}");

    // Somebody deletes rows; then the sheet is emptied; then a column is renamed. Each time the script of
    // that night would have said that all is well.
    site.put("in.csv", &(HEAD.to_owned() + "B-1,Bergen\n"));
    let told = site.told(1, &["run", "port-sheet", "--wait"]);
    assert!(told.contains("held: max_delete"), "{told}");
    let open = site.json(&["incidents"]);
    assert_eq!(open.len(), 1, "{open:#?}");
    let incident = &open[0];
    assert_eq!(incident["key"], "job/port-sheet#held");
    assert_eq!(incident["class"], "held");
    assert_eq!(incident["fix"], "jadactl sync diff port-sheet");
    let detail = incident["detail"].as_str().unwrap();
    assert!(detail.contains("1 update, 4 delete") && detail.contains("B-3"), "{detail}");
    assert_eq!(rows(&site).len(), 5, "nothing was touched");

    let told = site.told(1, &["sync", "diff", "port-sheet"]);
    assert!(told.contains("0 insert, 1 update, 4 delete, 0 same"), "{told}");
    let held = diff(&site)["held"].to_string();
    assert!(told.contains(&format!("jadactl sync approve port-sheet {held}")), "{told}");

    site.told(0, &["sync", "approve", "port-sheet", &held]);
    site.until("the incident is over", || site.json(&["incidents"]).is_empty().then_some(()));
    assert_eq!(rows(&site), ["B-1 Bergen"]);
    // It was no standing permission, and there is nothing more to approve.
    site.told(1, &["sync", "approve", "port-sheet", &held]);
    assert_eq!(diff(&site)["held"], json!(null));

    site.put("in.csv", HEAD);
    let told = site.told(1, &["run", "port-sheet", "--wait"]);
    assert!(told.contains("held: on_empty"), "{told}");
    site.put("in.csv", "Booking no,Port\nB-1,Bergen\n");
    let told = site.told(1, &["run", "port-sheet", "--wait"]);
    assert!(told.contains("failed:schema") && told.contains("Booking no"), "{told}");
    assert_eq!(rows(&site), ["B-1 Bergen"]);
    let state = site.told(0, &["sync", "state", "show", "port-sheet"]);
    assert!(state.contains("1 row"), "{state}");
}

#[test]
fn a_script_that_ends_well_over_stale_data_is_told_of() {
    let mut site = Site::new("", JOBS);
    site.put("out.csv", "x\n");
    site.consent();
    site.start();
    site.told(0, &["run", "old-script", "--wait"]);
    let file = fs::File::options().write(true).open(site.path("out.csv")).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.set_modified(modified - Duration::from_hours(3)).unwrap();
    let told = site.told(1, &["run", "old-script", "--wait"]);
    assert!(told.contains("the data is 3h old (newest: "), "{told}");
    assert!(told.contains("although the job ended well"), "{told}");
    let open = site.json(&["incidents"]);
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!(open[0]["key"], "job/old-script#stale");
    site.put("out.csv", "y\n");
    site.told(0, &["run", "old-script", "--wait"]);
    assert!(site.json(&["incidents"]).is_empty());
}

#[test]
fn columns_are_written_from_a_source() {
    let site = Site::new("", JOBS);
    site.put("in.csv", &(HEAD.to_owned() + "B-1,Oslo\nB-2,Bergen\n"));
    let told = site.told(0, &["sync", "infer", "--source", "in.csv"]);
    assert!(told.contains("booking: { from: \"Booking #\", type: text, key: true }"), "{told}");
    let unwritten = "name: x\nsync: { source: { csv: { path: in.csv } } }\n";
    site.put("draft.yaml", unwritten);
    let again = site.told(0, &["sync", "infer", "--source", "draft.yaml"]);
    assert_eq!(again, told);
}

#[test]
fn how_far_a_sync_is_can_be_asked_while_it_goes_on() {
    let mut site = Site::new("", SLOW);
    site.consent();
    site.start();
    site.told(0, &["run", "slow"]);
    let run = site.until("some rows", || {
        let run = site.json(&["runs", "--live"]).pop()?;
        (run["progress"]["rows"].as_u64()? >= 1000).then_some(run)
    });
    let words = run["progress"]["words"].as_str().unwrap();
    assert!(words.starts_with("reads: ") && words.ends_with(" rows/s"), "{words}");
    site.told(0, &["cancel", &run["id"].to_string()]);
    let ended = site.until("its end", || {
        let run = site.json(&["runs", "--job", "slow"]).remove(0);
        (run["state"] == "finished").then_some(run)
    });
    assert_eq!(ended["progress"], json!(null));
    assert_eq!(ended["class"], "cancelled");
}
