//! A refresh against a server that counts, with crashes at every step and fifty processes at once.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use super::*;
use crate::clock::{SimClock, SystemClock};
use crate::credentials::horizon::Terms;
use crate::credentials::mint::{Token, TokenValue};
use crate::credentials::secret::Secret;
use crate::model::CredentialName;

mod processes;

/// The variable that makes a test binary a child: what it does, where, and at which step it dies.
const CHILD: &str = "JADA_TEST_REFRESH";

/// The step at which the answer is under way.
const ON_THE_WIRE: u32 = 60;

/// Ends this process as `kill -9` does, where the parent asked for it.
pub(super) fn step(number: u32) {
    let asked = std::env::var(CHILD).ok();
    if asked.is_some_and(|asked| processes::Errand::parse(&asked).dies_at == number) {
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
    }
}

/// How a server treats refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rotation {
    /// They stay.
    Off,
    /// Each is good for one use, and for another while its successor was not used.
    Grace,
    /// Each is good for one use; a second one ends all of the family.
    Strict,
}

/// A token server that keeps count. Its protocol is a line with the refresh token, and a line back.
struct Server {
    port: u16,
    books: Arc<Mutex<Books>>,
}

struct Books {
    rotation: Rotation,
    /// The newest refresh token is `r-N`.
    newest: u64,
    family_dead: bool,
    exchanges: u64,
    refused: u64,
}

impl Books {
    fn answer(&mut self, token: &str) -> String {
        let live = format!("r-{}", self.newest);
        let before = format!("r-{}", self.newest.saturating_sub(1));
        let known = token == live || (self.rotation == Rotation::Grace && token == before);
        if self.family_dead || !known {
            self.family_dead |= self.rotation == Rotation::Strict;
            self.refused += 1;
            return "refused".to_owned();
        }
        self.exchanges += 1;
        if self.rotation == Rotation::Off {
            return format!("ok a-{} -", self.exchanges);
        }
        if token == live {
            self.newest += 1;
        }
        format!("ok a-{} r-{}", self.exchanges, self.newest)
    }
}

impl Server {
    fn new(rotation: Rotation) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (newest, family_dead, exchanges, refused) = (0, false, 0, 0);
        let books =
            Arc::new(Mutex::new(Books { rotation, newest, family_dead, exchanges, refused }));
        let kept = Arc::clone(&books);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                let answer = kept.lock().unwrap().answer(line.trim());
                // Whoever asked may be dead by now.
                let _lost = writeln!(stream, "{answer}");
            }
        });
        Self { port, books }
    }

    /// Exchanges and refusals so far.
    fn count(&self) -> (u64, u64) {
        let books = self.books.lock().unwrap();
        (books.exchanges, books.refused)
    }
}

fn exchange(port: u16, token: &str, now: Timestamp) -> Result<Minted, Evidence> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    writeln!(stream, "{token}").unwrap();
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).unwrap();
    step(ON_THE_WIRE);
    let mut words = answer.split_whitespace();
    if words.next() != Some("ok") {
        let mut evidence = Evidence::new(Class::ReauthRequired, "HTTP 400 invalid_grant");
        evidence.error = Some("invalid_grant".into());
        return Err(evidence);
    }
    let (access, refresh) = (words.next().unwrap(), words.next().unwrap());
    Ok(minted(access, (refresh != "-").then_some(refresh), now))
}

fn minted(access: &str, refresh: Option<&str>, now: Timestamp) -> Minted {
    Minted {
        token: Token {
            value: TokenValue::Bearer(Secret::new(access)),
            expires_at: Some(horizon::after(now, Duration::from_secs(3600))),
            scopes: None,
        },
        refresh_token: refresh.map(Secret::new),
        ends: Vec::new(),
        account: None,
        skew: None,
    }
}

fn name() -> CredentialName {
    CredentialName::parse("test/one").unwrap()
}

fn nature(rotates: Option<bool>) -> Nature {
    Nature {
        program: Duration::ZERO,
        name: name(),
        provider: "oauth2",
        client: Some("client-12345678".into()),
        has_grant: true,
        rotates,
        keeps_token: true,
        refreshes: true,
        terms: Terms::default(),
        scopes: vec!["a".into()],
        places: Vec::new(),
        sources: Vec::new(),
    }
}

fn logged_in(now: Timestamp) -> Record {
    let grant = Grant {
        refresh_token: Secret::new("r-0"),
        generation: 1,
        scopes: vec!["a".into()],
        consented_at: now,
        obtained_at: now,
        ends: Vec::new(),
    };
    let mut standing = Standing::unknown(now);
    standing.generation = 1;
    Record {
        name: name(),
        provider: "oauth2".into(),
        account: None,
        grant: Some(grant),
        previous: None,
        token: None,
        standing,
        minted: 1,
    }
}

/// One credential on disk, and a clock.
struct Place {
    dir: tempfile::TempDir,
    folder: Folder,
    audit: Audit,
    clock: SimClock,
    nature: Nature,
}

impl Place {
    async fn new(rotates: Option<bool>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        // Children go by real time, and both must agree on what is fresh.
        let clock = SimClock::at(SystemClock.now());
        let place = Self {
            audit: Audit::of(folder.clone(), "daemon"),
            nature: nature(rotates),
            folder,
            dir,
            clock,
        };
        place.keep(&logged_in(place.clock.now())).await;
        place
    }

    async fn keep(&self, record: &Record) {
        self.held().await.write(record).unwrap();
    }

    async fn held(&self) -> Held {
        self.folder.lock(&name(), self.nature.patience(), &self.clock).await.unwrap()
    }

    fn ask(&self, why: Why) -> Ask<'_> {
        let Self { folder, audit, clock, nature, .. } = self;
        Ask { nature, folder, audit, clock, why }
    }

    fn record(&self) -> Record {
        self.folder.read(&name()).unwrap().unwrap()
    }

    fn stale(&self) -> Why {
        Why::Stale { min_ttl: Duration::from_secs(60), asked_at: self.clock.now() }
    }

    async fn refreshes(&self, server: &Server) -> Result<Record, Failed> {
        let (port, clock) = (server.port, self.clock.clone());
        let mint = move |grant: Option<Grant>| -> BoxFuture<'static, _> {
            let now = clock.now();
            Box::pin(async move { exchange(port, grant.unwrap().refresh_token.expose(), now) })
        };
        refresh(&self.ask(self.stale()), &mint).await.map(|fresh| fresh.record)
    }

    /// Answers with what the script says, in turn, and notes which refresh tokens were spent.
    async fn follows(&self, script: &Script, why: Why) -> Result<Fresh, Failed> {
        let script = script.clone();
        let mint = move |grant: Option<Grant>| -> BoxFuture<'static, _> {
            let script = script.clone();
            Box::pin(async move { script.next(grant.as_ref()) })
        };
        refresh(&self.ask(why), &mint).await
    }

    fn events(&self) -> Vec<Act> {
        let entries = self.audit.read(&name()).unwrap();
        entries.into_iter().map(|entry| entry.event).collect()
    }

    async fn leftover(&self) -> bool {
        self.held().await.leftover().unwrap().is_some()
    }
}

#[derive(Clone)]
struct Script(Arc<Mutex<(Vec<String>, Vec<Answer>)>>);

type Answer = Result<Minted, Evidence>;

impl Script {
    fn of(mut answers: Vec<Result<Minted, Evidence>>) -> Self {
        answers.reverse();
        Self(Arc::new(Mutex::new((Vec::new(), answers))))
    }

    fn next(&self, grant: Option<&Grant>) -> Result<Minted, Evidence> {
        let mut script = self.0.lock().unwrap();
        script.0.extend(grant.map(|grant| grant.refresh_token.expose().to_owned()));
        script.1.pop().expect("an answer is left")
    }

    /// The refresh tokens that were sent.
    fn spent(&self) -> Vec<String> {
        assert!(self.0.lock().unwrap().1.is_empty(), "every answer was asked for");
        self.0.lock().unwrap().0.clone()
    }
}

fn no(class: Class) -> Result<Minted, Evidence> {
    Err(Evidence::new(class, "as told"))
}

#[tokio::test]
async fn many_who_ask_at_once_get_one_exchange() {
    let place = Place::new(None).await;
    let script = Script::of(vec![Ok(minted("a-1", Some("r-1"), place.clock.now()))]);
    let asks = (0..20).map(|_| place.follows(&script, place.stale()));
    let records = futures_util::future::join_all(asks).await;
    let generations: BTreeSet<_> =
        records.into_iter().map(|fresh| fresh.unwrap().record.standing.generation).collect();
    assert_eq!(generations, BTreeSet::from([2]));
    assert_eq!(script.spent(), ["r-0"]);
}

#[tokio::test]
async fn what_cannot_be_written_stays_in_memory_under_the_lock() {
    let place = Place::new(Some(true)).await;
    let path = place.folder.record_path(&name());
    let (aside, now) = (path.with_extension("aside"), place.clock.now());
    let mint = move |_: Option<Grant>| -> BoxFuture<'static, _> {
        // The folder goes bad after the proof, while the server is asked.
        std::fs::rename(&path, &aside).unwrap();
        std::fs::create_dir(&path).unwrap();
        Box::pin(async move { Ok(minted("a-1", Some("r-1"), now)) })
    };
    let fresh = refresh(&place.ask(Why::Forced), &mint).await.map_err(|f| f.standing).unwrap();
    assert_eq!(fresh.record.standing.state, State::Healthy);
    let unsaved = fresh.unsaved.unwrap();
    assert_eq!(unsaved.evidence.class, Class::LocalStore);
    let again = unsaved.save().await.unwrap_err();
    // Nobody else may spend the old grant meanwhile.
    let other = place.folder.lock(&name(), Duration::ZERO, &place.clock).await;
    assert!(other.is_err());
    std::fs::remove_dir(place.folder.record_path(&name())).unwrap();
    again.save().await.map_err(|unsaved| unsaved.evidence).unwrap();
    assert_eq!(place.record(), fresh.record);
    assert!(!place.leftover().await);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_once_more_and_then_the_grant_before_is_tried() {
    use Class::{AmbiguousCommit as Lost, ReauthRequired as Dead, Transient};
    let won = |access| Ok(minted(access, None, SystemClock.now()));
    let cases = [
        ("the second time", vec![no(Lost), won("a")], vec!["r-1", "r-1"], None, false),
        (
            "by the one before",
            vec![no(Lost), no(Dead), won("a")],
            vec!["r-1", "r-1", "r-0"],
            None,
            false,
        ),
        (
            "not at all",
            vec![no(Lost), no(Dead), no(Dead)],
            vec!["r-1", "r-1", "r-0"],
            Some(Dead),
            false,
        ),
        ("lost twice", vec![no(Lost), no(Lost)], vec!["r-1", "r-1"], Some(Lost), true),
        (
            "lost, then down",
            vec![no(Lost), no(Transient)],
            vec!["r-1", "r-1"],
            Some(Transient),
            true,
        ),
        ("down", vec![no(Transient)], vec!["r-1"], Some(Transient), false),
    ];
    for (case, answers, spent, class, leftover) in cases {
        let place = Place::new(Some(true)).await;
        let mut record = place.record();
        let old = record.grant.clone().unwrap();
        record.grant = Some(Grant { refresh_token: Secret::new("r-1"), ..old.clone() });
        record.previous = Some(old);
        place.keep(&record).await;
        let script = Script::of(answers);
        let ended = place.follows(&script, place.stale()).await;
        assert_eq!(script.spent(), spent, "{case}");
        assert_eq!(ended.err().map(|failed| failed.standing.class.unwrap()), class, "{case}");
        assert_eq!(place.leftover().await, leftover, "{case}");
    }
}

#[tokio::test]
async fn a_refusal_is_confirmed_by_one_more_call_and_no_other_ever() {
    let place = Place::new(Some(false)).await;
    let script = Script::of(vec![no(Class::ReauthRequired), no(Class::ReauthRequired)]);
    let state = async |why| place.follows(&script, why).await.err().unwrap().standing.state;
    assert_eq!(state(place.stale()).await, State::RefreshFailing);
    // Many runs start within the minute.
    for _ in 0..20 {
        assert_eq!(state(place.stale()).await, State::RefreshFailing);
    }
    place.clock.advance(Duration::from_secs(60));
    assert_eq!(state(place.stale()).await, State::ReauthRequired);
    for days in 0..400 {
        place.clock.advance(Duration::from_secs(86_400 * days));
        assert_eq!(state(place.stale()).await, State::ReauthRequired);
    }
    assert_eq!(script.spent(), ["r-0", "r-0"]);
    let (fail, change) = (Act::RefreshFail, Act::StateChange);
    assert_eq!(place.events(), [fail, change, fail, change]);
}

#[tokio::test]
async fn a_failed_refresh_evicts_no_good_token() {
    let place = Place::new(Some(false)).await;
    let script = Script::of(vec![
        Ok(minted("a-1", None, place.clock.now())),
        no(Class::Transient),
        no(Class::Transient),
    ]);
    place.follows(&script, place.stale()).await.ok().unwrap();
    place.clock.advance(Duration::from_secs(1800));
    let longer = || Why::Stale { min_ttl: Duration::from_secs(3000), asked_at: place.clock.now() };
    let failed = place.follows(&script, longer()).await.err().unwrap();
    assert_eq!(failed.standing.state, State::RefreshFailing);
    // Whoever is content with what is left gets it, and nobody is asked.
    let fresh = place.follows(&script, place.stale()).await.ok().unwrap();
    assert_eq!(fresh.record.token, place.record().token);
    place.clock.advance(Duration::from_secs(1800));
    assert!(place.follows(&script, place.stale()).await.is_err());
    assert_eq!(script.spent().len(), 3);
}

#[tokio::test]
async fn the_grant_and_its_facts_are_merged_and_never_lost() {
    let place = Place::new(None).await;
    let now = place.clock.now();
    let mut first = minted("a-1", Some("r-1"), now);
    first.ends = vec![crate::model::KnownEnd { at: now, clock: "declared".into() }];
    first.account = Some("ops@example.com".into());
    first.token.scopes = Some(Vec::new());
    let script = Script::of(vec![Ok(first), Ok(minted("a-2", None, now))]);
    place.follows(&script, Why::Forced).await.ok().unwrap();
    let record = place.record();
    assert_eq!(record.previous.unwrap().refresh_token, Secret::new("r-0"));
    assert_eq!(record.account.as_deref(), Some("ops@example.com"));
    assert_eq!(record.standing.missing_scopes, ["a"]);
    place.follows(&script, Why::Forced).await.ok().unwrap();
    let record = place.record();
    let grant = record.grant.unwrap();
    assert_eq!(grant.refresh_token, Secret::new("r-1"), "an answer without one keeps it");
    assert_eq!((grant.generation, record.standing.generation, record.minted), (2, 3, 3));
    assert_eq!(grant.ends.len(), 1);
}

#[tokio::test]
async fn nobody_is_asked_without_a_grant_or_for_another_provider() {
    let place = Place::new(None).await;
    let mut record = place.record();
    let grant = record.grant.take();
    place.keep(&record).await;
    let none = Script::of(Vec::new());
    let failed = place.follows(&none, place.stale()).await.err().unwrap();
    assert_eq!(failed.standing.state, State::ReauthRequired);
    assert_eq!(failed.standing.deaths, [], "nobody ever consented");
    let words = failed.evidence.unwrap().words;
    assert_eq!(words, "nobody has logged in yet: jadactl auth login test/one");
    assert_eq!(place.record().standing, *failed.standing, "known since when");
    place.clock.advance(Duration::from_secs(3600));
    let again = place.follows(&none, place.stale()).await.err().unwrap();
    assert_eq!(again.standing.since, failed.standing.since, "asking again is no change");
    // What a person consented to elsewhere is not overwritten.
    (record.provider, record.grant) = ("google".into(), grant);
    place.keep(&record).await;
    let before = place.record();
    let failed = place.follows(&none, place.stale()).await.err().unwrap();
    assert_eq!(failed.standing.state, State::Misconfigured);
    assert_eq!(place.record(), before);
}

#[tokio::test]
async fn a_source_that_is_at_hand_leaves_no_copy_of_its_secret() {
    let mut place = Place::new(None).await;
    place.nature = Nature {
        has_grant: false,
        keeps_token: false,
        refreshes: false,
        provider: "static",
        ..place.nature.clone()
    };
    let mut record = place.record();
    (record.grant, record.provider) = (None, "static".into());
    place.keep(&record).await;
    let script = Script::of(vec![Ok(minted("key", None, place.clock.now()))]);
    let fresh = place.follows(&script, place.stale()).await.ok().unwrap();
    assert!(fresh.record.token.is_some());
    let kept = place.record();
    assert_eq!(kept.token, None);
    assert_eq!(kept.standing, fresh.record.standing);
}
