//! Whatever stands in a job file, it is read to its end, and what is told about it has a place in it.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::file::Reader;
use super::settings::Settings;
use crate::yaml::render;

/// Every common key, so that a small change meets each of them.
const JOB: &str = r#"# a job: ü
name: orders
description: "copies {{slot}}"
enabled: true
labels: { team: data, tier: 1 }
schedule:
  - { cron: "15 2 * * MON-FRI", timezone: Europe/Berlin, jitter: 5m, dst: { gap: skip } }
  - { at: [2027-01-01, 2027-02-01T09:00], except: 2027-01-01..2027-01-02 }
catch_up: { mode: all, window: 2h, max: 5 }
overlap: { mode: queue_all, max: 3 }
deadline: 30m
timeout: { after: 5m, grace: 10s }
retry: { attempts: 3, backoff: { initial: 1s, factor: 2, max: 1m, jitter: 20% }, on: [lost] }
credentials: { sheets: google/ops, api: { use: api, env: API, scopes: [a], min_ttl: 5m } }
env: { TARGET: "{{params.target}}", API_TOKEN: $TOKEN }
working_dir: .
limits: { memory: 64MiB, cpu_time: 5m }
pool: db
after: [other, another]
freshness: 2d
alert: { failures: 2, within: 3d, notify: [ops] }
params: { target: /srv, list: [1, { a: null }] }
command:
  run: [sh, -c, "echo {{params.target}} postgres://u:{{env.HOME}}@h/d"]
  transient: { exit_codes: [75], stderr_match: 'timeout' }
"#;

fn read(bytes: &[u8]) {
    let settings = Settings::defaults(Path::new("/nowhere"));
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    let path: Arc<Path> = Path::new("/nowhere/jobs.d/orders.yaml").into();
    let read = Reader::new(&settings, now).bytes(&path, bytes.to_vec());
    for diagnostic in &read.diagnostics {
        if let Some(span) = diagnostic.span {
            let text = diagnostic.source.text();
            assert!(text.get(span.range()).is_some(), "{span:?} cuts a character of {text:?}");
        }
    }
    let report = render::human(&read.diagnostics, false);
    assert_eq!(report.is_empty(), read.diagnostics.is_empty());
    assert!(read.is_good() || !report.is_empty());
}

#[test]
fn the_job_itself_lacks_only_what_is_declared_elsewhere() {
    let settings = Settings::defaults(Path::new("/"));
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    let path: Arc<Path> = Path::new("/jobs.d/orders.yaml").into();
    let read = Reader::new(&settings, now).bytes(&path, JOB.as_bytes().to_vec());
    let mut codes: Vec<_> =
        read.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.code).collect();
    codes.sort();
    insta::assert_snapshot!(format!("{codes:?}"), @"[UnknownCredential, UnknownCredential, UnknownNotifier, UnknownPool]");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_edit_is_read_to_its_end(
        from in 0..JOB.len(),
        length in 0_usize..40,
        put in prop_oneof![
            Just(String::new()),
            "[ -~\n\t]{0,12}",
            "\\PC{0,6}",
            Just("{{".to_owned()),
            Just("ghp_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX".to_owned()),
            Just("postgres://ü:pässwörd@h".to_owned()),
            Just("\n---\n".to_owned()),
        ],
    ) {
        let bytes = JOB.as_bytes();
        let mut edited = bytes[..from].to_vec();
        edited.extend(put.as_bytes());
        edited.extend(&bytes[(from + length).min(bytes.len())..]);
        read(&edited);
    }

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
    }
}
