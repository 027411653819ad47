//! Lines are added, read back, and hold no secret.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::credentials::mint::{Token, TokenValue};
use crate::credentials::secret::Secret;
use crate::model::Standing;

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn record(name: &str) -> Record {
    Record {
        name: CredentialName::parse(name).unwrap(),
        provider: "google".into(),
        account: Some("ops@example.com".into()),
        grant: None,
        previous: None,
        token: Some(Token {
            value: TokenValue::Bearer(Secret::new("canary-0a1b2c3d4e5f")),
            expires_at: Some(now()),
            scopes: None,
        }),
        standing: Standing::unknown(now()),
        minted: 7,
    }
}

#[test]
fn lines_are_added_and_read_by_credential() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::of(Folder::at(dir.path()), "daemon");
    let (one, two) = (record("a/one"), record("a/two"));
    assert_eq!(audit.read(&one.name), Ok(Vec::new()));
    let mut entry = audit.entry(&one, Act::Inject, now());
    entry.job = Some(JobName::parse("sync").unwrap());
    entry.fingerprint = Some(audit.fingerprint("canary-0a1b2c3d4e5f").unwrap());
    audit.append(&entry).unwrap();
    audit.append(&audit.entry(&two, Act::Mint, now())).unwrap();
    // A line that a full disk cut off hides no other.
    let path = dir.path().join("credentials").join(FILE);
    let mut text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("canary"), "{text}");
    text.push_str("{\"time\":\n");
    std::fs::write(&path, text).unwrap();
    audit.append(&audit.entry(&one, Act::RefreshOk, now())).unwrap();
    let acts = |record: &Record| -> Vec<Act> {
        audit.read(&record.name).unwrap().into_iter().map(|entry| entry.event).collect()
    };
    assert_eq!(acts(&one), [Act::Inject, Act::RefreshOk]);
    assert_eq!(acts(&two), [Act::Mint]);
    assert_eq!(audit.read(&one.name).unwrap()[0], entry);
}

#[test]
fn a_long_file_is_put_aside_and_still_read() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::of(Folder::at(dir.path()), "daemon");
    let one = record("a/one");
    audit.append(&audit.entry(&one, Act::Mint, now())).unwrap();
    let path = dir.path().join("credentials").join(FILE);
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(LONG + 1).unwrap();
    audit.append(&audit.entry(&one, Act::Adopt, now())).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 4096);
    let acts: Vec<_> = audit.read(&one.name).unwrap().into_iter().map(|e| e.event).collect();
    assert_eq!(acts, [Act::Mint, Act::Adopt]);
}

#[test]
fn a_fingerprint_is_the_same_on_one_host_and_says_nothing_elsewhere() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let audit = |dir: &tempfile::TempDir| Audit::of(Folder::at(dir.path()), "cli");
    let first = audit(&here).fingerprint("password").unwrap();
    assert_eq!(first.len(), 10);
    assert_eq!(audit(&here).fingerprint("password").unwrap(), first, "after a restart");
    assert_ne!(audit(&here).fingerprint("passworD").unwrap(), first);
    assert_ne!(audit(&there).fingerprint("password").unwrap(), first);
    std::fs::write(here.path().join("credentials").join(KEY), "short").unwrap();
    let words = audit(&here).fingerprint("password").unwrap_err().words;
    assert!(words.contains("is cut off"), "{words}");
}

#[test]
fn threads_write_whole_lines_and_agree_on_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::of(Folder::at(dir.path()), "daemon");
    let one = record("a/one");
    let prints = Mutex::new(std::collections::BTreeSet::new());
    let written = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                prints.lock().unwrap().insert(audit.fingerprint("x").unwrap());
                for _ in 0..50 {
                    audit.append(&audit.entry(&one, Act::Inject, now())).unwrap();
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(prints.into_inner().unwrap().len(), 1);
    assert_eq!(audit.read(&one.name).unwrap().len(), written.into_inner());
}
