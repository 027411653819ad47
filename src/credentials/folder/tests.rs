//! What is written is read again, what is bad is named, and nothing is deleted.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::clock::{SimClock, SystemClock};
use crate::credentials::mint::{Token, TokenValue};
use crate::credentials::record::Grant;
use crate::credentials::secret::Secret;
use crate::model::{CredentialClass, KnownEnd, Standing};

/// Makes a file bad.
type Spoil = fn(&Path);

const CANARY: &str = "canary-0a1b2c3d4e5f";

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn name() -> CredentialName {
    CredentialName::parse("google/ops").unwrap()
}

fn record(value: TokenValue) -> Record {
    let grant = |text: &str| Grant {
        refresh_token: Secret::new(format!("{CANARY}-{text}")),
        generation: 3,
        scopes: vec!["a".into()],
        consented_at: now(),
        obtained_at: now(),
        ends: vec![KnownEnd { at: now(), clock: "declared".into() }],
    };
    Record {
        name: name(),
        provider: "google".into(),
        account: Some("ops@example.com".into()),
        grant: Some(grant("now")),
        previous: Some(grant("before")),
        token: Some(Token { value, expires_at: Some(now()), scopes: Some(vec!["a".into()]) }),
        standing: Standing::unknown(now()),
        minted: 7,
    }
}

fn bearer() -> Record {
    record(TokenValue::Bearer(Secret::new(format!("{CANARY}-token"))))
}

struct Place {
    dir: tempfile::TempDir,
    folder: Folder,
    clock: SimClock,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        Self { folder, dir, clock: SimClock::at(now()) }
    }

    async fn held(&self) -> Held {
        self.folder.lock(&name(), Duration::from_secs(1), &self.clock).await.unwrap()
    }

    async fn keeps(record: &Record) -> Self {
        let place = Self::new();
        place.held().await.write(record).unwrap();
        place
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join("credentials").join(file)
    }

    /// Every file in the folder, with its content.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.path("")).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = entries
            .map(|entry| {
                let name = entry.file_name().to_str().unwrap().to_owned();
                (name, fs::read(entry.path()).unwrap_or_default())
            })
            .collect();
        files.sort();
        files
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The words, with the folder's path replaced.
fn words(place: &Place, evidence: &Evidence) -> String {
    assert_eq!(evidence.class, CredentialClass::LocalStore);
    assert!(!evidence.words.contains(CANARY), "{}", evidence.words);
    evidence.words.replace(place.path("").to_str().unwrap().trim_end_matches('/'), "DIR")
}

#[tokio::test]
async fn every_form_of_token_is_read_as_it_was_written() {
    let secret = || Secret::new("s");
    let values = [
        TokenValue::Bearer(secret()),
        TokenValue::Basic { user: "u".into(), password: secret() },
        TokenValue::Header { name: "X-Api-Key".into(), key: secret() },
        TokenValue::Aws {
            access_key_id: "k".into(),
            secret_access_key: secret(),
            session_token: Some(secret()),
        },
    ];
    for value in values {
        let record = record(value);
        let place = Place::keeps(&record).await;
        assert_eq!(place.folder.read(&name()), Ok(Some(record)));
        assert_eq!(place.folder.names().unwrap(), [name()]);
    }
    let place = Place::new();
    assert_eq!(place.folder.read(&name()), Ok(None));
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    let place = Place::keeps(&bearer()).await;
    let mut held = place.held().await;
    held.prove_writable().unwrap();
    held.journal(&Journal { generation: 1, fingerprint: "f".into(), started: now() }).unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(place.path("")), 0o700);
    let files = place.files();
    assert_eq!(files.len(), 4);
    for (file, _) in files {
        assert_eq!(mode(place.path(&file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn what_is_bad_is_named_with_the_way_out_and_left_alone() {
    let json = "google+ops.json";
    let spoil: [(&str, Spoil); 9] = [
        ("mode of the file", |path| chmod(path, 0o640)),
        ("mode of the folder", |path| chmod(path.parent().unwrap(), 0o750)),
        ("half-written", |path| {
            let text = fs::read(path).unwrap();
            fs::write(path, &text[..100]).unwrap();
        }),
        ("empty", |path| fs::write(path, "").unwrap()),
        ("a link", |path| {
            let other = path.with_file_name("other");
            fs::rename(path, &other).unwrap();
            symlink(other, path).unwrap();
        }),
        ("a second name", |path| fs::hard_link(path, path.with_file_name("other")).unwrap()),
        ("a folder", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("another's", |path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replace("google/ops", "google/sales")).unwrap();
        }),
        ("a newer form", |path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replace("\"version\":1", "\"version\":2")).unwrap();
        }),
    ];
    let mut told = String::new();
    for (case, spoil) in spoil {
        let place = Place::keeps(&bearer()).await;
        spoil(&place.path(json));
        let before = place.files();
        let evidence = place.folder.read(&name()).unwrap_err();
        writeln!(told, "{case}: {}", words(&place, &evidence)).unwrap();
        // The lock may not be taken either where the folder is open to others.
        if let Ok(held) = place.folder.lock(&name(), Duration::ZERO, &place.clock).await {
            assert_eq!(held.read().unwrap_err(), evidence, "{case}");
        }
        assert_eq!(place.files(), before, "{case}");
    }
    insta::assert_snapshot!(told, @r"
    mode of the file: DIR/google+ops.json has mode 0640, so others can get at it: `chmod 600 DIR/google+ops.json`; if somebody did, log in anew
    mode of the folder: DIR has mode 0750, so others can get at it: `chmod 700 DIR`; if somebody did, log in anew
    half-written: DIR/google+ops.json is cut off or damaged at line 1 column 100: put its backup there, or move it away and `jadactl auth login google/ops`
    empty: DIR/google+ops.json is cut off or damaged at line 1 column 0: put its backup there, or move it away and `jadactl auth login google/ops`
    a link: DIR/google+ops.json is a link: put the file itself there
    a second name: DIR/google+ops.json has 2 names: another name is a way past its folder; find it with `find / -samefile DIR/google+ops.json` and remove it
    a folder: DIR/google+ops.json is not a plain file: move it away
    another's: DIR/google+ops.json is of 'google/sales': put its backup there, or move it away and `jadactl auth login google/ops`
    a newer form: DIR/google+ops.json has form 2, and this program knows form 1: put its backup there, or move it away and `jadactl auth login google/ops`
    ");
}

#[tokio::test]
async fn a_folder_that_is_a_link_is_refused() {
    let place = Place::keeps(&bearer()).await;
    let dir = place.path("").parent().unwrap().join("credentials");
    fs::rename(&dir, place.dir.path().join("elsewhere")).unwrap();
    symlink(place.dir.path().join("elsewhere"), &dir).unwrap();
    let evidence = place.folder.read(&name()).unwrap_err();
    insta::assert_snapshot!(words(&place, &evidence), @"DIR is a link or no folder: put the folder itself there");
}

#[tokio::test]
async fn a_file_of_another_user_is_refused() {
    use std::os::unix::fs::chown;
    let place = Place::keeps(&bearer()).await;
    if chown(place.path("google+ops.json"), Some(54_321), None).is_err() {
        return; // Only root can give a file away.
    }
    let evidence = place.folder.read(&name()).unwrap_err();
    insta::assert_snapshot!(words(&place, &evidence), @"DIR/google+ops.json belongs to user 54321, and this runs as user 0: run it as that user, or `chown 0 DIR/google+ops.json`");
}

#[tokio::test]
async fn a_record_is_replaced_whole_or_not_at_all() {
    let place = Place::keeps(&bearer()).await;
    let mut next = bearer();
    next.minted = 8;
    let mut held = place.held().await;
    held.prove_writable().unwrap();
    // A reader without the lock sees the old one while the new one is under way.
    assert_eq!(place.folder.read(&name()).unwrap().unwrap().minted, 7);
    held.write(&next).unwrap();
    assert_eq!(place.folder.read(&name()).unwrap(), Some(next));
    drop(held);
    // A guard that goes without having written takes its room back.
    let mut held = place.held().await;
    held.prove_writable().unwrap();
    drop(held);
    let left: Vec<_> = place.files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["google+ops.json", "google+ops.lock"]);
    // What a killed writer left is no hindrance.
    fs::write(place.path("google+ops.json.new"), "half").unwrap();
    place.held().await.write(&bearer()).unwrap();
    assert_eq!(place.folder.read(&name()).unwrap(), Some(bearer()));
}

#[tokio::test]
async fn the_journal_tells_of_an_exchange_without_an_end() {
    let place = Place::new();
    let held = place.held().await;
    assert_eq!(held.leftover(), Ok(None));
    let journal = Journal { generation: 4, fingerprint: "0123456789".into(), started: now() };
    held.journal(&journal).unwrap();
    drop(held);
    let held = place.held().await;
    assert_eq!(held.leftover(), Ok(Some(journal)));
    held.clear_journal().unwrap();
    assert_eq!(held.leftover(), Ok(None));
    fs::write(place.path("google+ops.journal"), "{\"gener").unwrap();
    chmod(&place.path("google+ops.journal"), 0o600);
    assert_eq!(held.leftover(), Ok(None), "cut off: the exchange had not begun");
}

#[tokio::test]
async fn who_waits_for_a_lock_gets_it_or_is_told_who_has_it() {
    let name = name();
    let place = Place::new();
    let held = place.held().await;
    let waiting = place.folder.lock(&name, Duration::from_secs(90), &place.clock);
    let (waited, ()) = tokio::join!(waiting, async {
        // The wait is under way by now: it ends by the clock, which a test owns.
        tokio::task::yield_now().await;
        place.clock.advance(Duration::from_secs(90));
    });
    let evidence = waited.err().unwrap();
    insta::assert_snapshot!(words(&place, &evidence), @"DIR/google+ops.lock has been locked for 90 s by another process: `fuser DIR/google+ops.lock` names it");
    let waiting = place.folder.lock(&name, Duration::from_secs(90), &place.clock);
    let (waited, ()) = tokio::join!(waiting, async {
        tokio::task::yield_now().await;
        drop(held);
    });
    assert!(waited.is_ok());
}

#[test]
fn those_who_wait_for_a_lock_take_no_thread_from_who_holds_it_and_leave_none_behind() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let place = Place::new();
        let (name, held) = (name(), place.held().await);
        // Another folder in the place of another process.
        let other = Folder::at(place.dir.path());
        for folder in [&place.folder, &other] {
            let wait = || folder.lock(&name, Duration::from_secs(90), &place.clock);
            let waiting = futures_util::future::join_all([wait(), wait(), wait()]);
            let (waited, ()) = tokio::join!(waiting, async {
                tokio::task::yield_now().await;
                let work_under_the_lock = tokio::task::spawn_blocking(|| ());
                let patience = Duration::from_secs(10);
                let done = within(&SystemClock, patience, work_under_the_lock).await;
                place.clock.advance(Duration::from_secs(90));
                assert!(done.is_some(), "no thread is left for who holds the lock");
            });
            assert!(waited.iter().all(Result::is_err));
        }
        drop(held);
        let free = other.lock(&name, Duration::from_secs(1), &SystemClock).await;
        assert!(free.is_ok(), "who has given up does not get it");
    });
    runtime.shutdown_background();
}

fn opener(identity: &Secret) -> Opener {
    let identity = identity.clone();
    Arc::new(move || Identity::parse(&identity, "the identity"))
}

#[tokio::test]
async fn a_sealed_record_gives_nothing_away_and_opens_for_its_identity_alone() {
    let mut place = Place::keeps(&bearer()).await;
    let unsealed = place.folder.clone();
    let sealing = |opener: Opener| unsealed.clone().sealing(BTreeMap::from([(name(), opener)]));
    let (ours, other) = (Identity::generate(), Identity::generate());
    place.folder = sealing(opener(&ours));
    // A record of the time before is read, and sealed by the next write.
    assert_eq!(place.folder.read(&name()).unwrap(), Some(bearer()));
    place.held().await.write(&bearer()).unwrap();
    assert_eq!(place.folder.read(&name()).unwrap(), Some(bearer()));
    let text = fs::read(place.path("google+ops.json")).unwrap();
    let shows = |bytes: &[u8]| text.windows(bytes.len()).any(|window| window == bytes);
    assert!(!shows(CANARY.as_bytes()) && !shows(b"ops@example.com"));
    let wrong = [
        ("no identity", unsealed.clone()),
        ("another identity", sealing(opener(&other))),
        ("an identity that is none", sealing(opener(&Secret::new("# a comment\nno key")))),
        ("an empty one", sealing(opener(&Secret::new("")))),
        ("a place without one", sealing(Arc::new(|| Err(store("it is gone".into()))))),
    ];
    let mut told = String::new();
    for (case, folder) in wrong {
        writeln!(told, "{case}: {}", words(&place, &folder.read(&name()).unwrap_err())).unwrap();
    }
    insta::assert_snapshot!(told, @r"
    no identity: DIR/google+ops.json is sealed, and 'google/ops' has no `seal:`: put it back into jada.yaml, or move the file away and `jadactl auth login google/ops`
    another identity: DIR/google+ops.json is sealed for another identity: give the identity that it was sealed for
    an identity that is none: the identity holds no age identity: make an age identity with `age-keygen -o FILE`
    an empty one: the identity is empty: make an age identity with `age-keygen -o FILE`
    a place without one: it is gone
    ");
    // Without its identity nothing is spent, and nothing is written in the clear.
    let before = place.files();
    place.folder = sealing(Arc::new(|| Err(store("it is gone".into()))));
    let mut held = place.held().await;
    assert!(held.prove_writable().is_err());
    assert!(held.write(&bearer()).is_err());
    assert_eq!(place.files(), before);
}
