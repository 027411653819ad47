//! The office that faults are injected into: real engine, real store, simulated time, scripted work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jada::clock::{Clock, SimClock};
use jada::credentials::nature::Nature;
use jada::diagnosis::evidence::{Evidence, Source};
use jada::diagnosis::snapshot::{self, Known};
use jada::diagnosis::{Diagnosis, diagnose};
use jada::engine::credentials::{Credentials, Standings};
use jada::engine::dispatch::{Channels, Dispatcher, Parts};
use jada::engine::{Request, View};
use jada::kinds::output::Outputs;
use jada::kinds::{AttemptContext, Perform, Work};
use jada::model::{
    CredentialName, Failure, FailureClass, Fault, Observation, Outcome, Standing, Subject, Verdict,
};
use jada::plan::signature;
use jada::plan::state::Seats;
use jada::spec::{Catalog, Settings};
use jada::store::sqlite::{Options, Sqlite, Sync};
use jada::store::{NewNode, Store};
use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};

use super::scenario::{Fails, Look, Scenario, Stands, span};

/// When the doctor comes.
const NOW: &str = "2026-11-25T12:00:00Z";

const CREDENTIALS: &str = "\
credentials:
  google/ops: { oauth2: { token_url: 'https://oauth2.example.com/token', client_id: c1, scopes: [a] }, hosts: [sheets.example.com] }
  google/mail: { oauth2: { token_url: 'https://oauth2.example.com/token', client_id: c1, scopes: [a] } }
  vendor/key: { oauth2: { token_url: 'https://id.vendor.example/token', client_id: c2, scopes: [a] } }
";

const JOBS: &str = include_str!("office.yaml");

/// Performs by script: what is not said to fail succeeds.
struct Script {
    fails: Vec<(Phase, Fails)>,
    looks: Vec<(Phase, Look)>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug)]
struct Phase {
    from: Timestamp,
    until: Timestamp,
}

impl Phase {
    fn new(from: Option<&str>, until: Option<&str>) -> Self {
        let from = from.map_or(Timestamp::MAX, |from| visit() - span(from));
        let until = until.map_or(Timestamp::MAX, |until| visit() - span(until));
        Self { from, until }
    }

    fn has(self, at: Timestamp, flaps: bool) -> bool {
        let even = (at.as_second() / 60) % 2 == 0;
        self.from <= at && at < self.until && (!flaps || even)
    }
}

fn visit() -> Timestamp {
    NOW.parse().unwrap()
}

#[async_trait]
impl Perform for Script {
    async fn perform(&self, attempt: AttemptContext) -> Outcome {
        let now = attempt.clock.now();
        if let Work::Health(spec) = &*attempt.work {
            return self.look(&attempt, spec.checks.iter().map(|check| check.name.as_str()), now);
        }
        let here = |(phase, one): &&(Phase, Fails)| {
            one.job == attempt.job.as_str() && phase.has(now, one.flaps)
        };
        match self.fails.iter().find(here) {
            None => Outcome::Succeeded { note: String::new() },
            Some((_, one)) => {
                let class = FailureClass::from_word(&one.class).unwrap();
                Outcome::Failed(Failure::new(class, one.says.clone()))
            }
        }
    }
}

impl Script {
    fn look<'c>(
        &self,
        attempt: &AttemptContext,
        checks: impl Iterator<Item = &'c str>,
        now: Timestamp,
    ) -> Outcome {
        let mut bad = 0;
        for name in checks {
            let check = Subject::check(&attempt.job, name);
            let said =
                self.looks.iter().find(|(_, one)| format!("check/{}", one.check) == check.as_str());
            let subject = said
                .map_or_else(|| usual(&check), |(_, one)| Subject::parse(&one.subject).unwrap());
            let off = said.filter(|(phase, one)| phase.has(now, one.flaps)).map(|(_, one)| one);
            let verdict = off.map_or(Verdict::Ok, |one| Verdict::from_word(&one.verdict).unwrap());
            let text = off.map_or("fine", |one| one.says.as_str()).to_owned();
            let fault = off
                .and_then(|one| one.fault.as_deref())
                .map(|word| Fault::from_word(word).unwrap());
            let fault = fault.or_else(|| off.map(|_| signature::fault(None, &text)));
            bad += usize::from(verdict == Verdict::Fail);
            let run = Some(attempt.run);
            let took = Duration::from_millis(5);
            attempt.seen.push(Observation {
                check,
                subject,
                at: now,
                took,
                verdict,
                fault,
                text,
                run,
            });
        }
        match bad {
            0 => Outcome::Succeeded { note: String::new() },
            _ => Outcome::Failed(Failure::new(
                FailureClass::Transient,
                format!("{bad} checks failed"),
            )),
        }
    }
}

/// What the office's own checks look at.
fn usual(check: &Subject) -> Subject {
    let subject = match check.as_str() {
        "check/box/api" => "site/api.example.com",
        "check/box/shop" => "site/shop.vendor.example",
        "check/box/disk" => "host/disk",
        "check/box/memory" => "host/memory",
        other => other,
    };
    Subject::parse(subject).unwrap()
}

/// See the module's words.
pub(crate) struct Office<'s> {
    scenario: &'s Scenario,
    _dir: TempDir,
    clock: SimClock,
    store: Arc<Sqlite>,
    catalog: Arc<Catalog>,
    settings: Settings,
    standings: watch::Sender<Arc<Standings>>,
    dispatcher: Dispatcher,
    _requests: mpsc::Sender<Request>,
    _view: watch::Receiver<Arc<View>>,
    _reload: mpsc::Receiver<oneshot::Sender<()>>,
    wake: Option<Timestamp>,
}

impl<'s> Office<'s> {
    pub(crate) async fn open(scenario: &'s Scenario) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let start = visit() - span(&scenario.length);
        let clock = SimClock::at(start);
        std::fs::write(dir.path().join("jada.yaml"), CREDENTIALS).unwrap();
        let settings = jada::spec::config::read(&dir.path().join("jada.yaml")).settings;
        std::fs::create_dir(&settings.jobs_dir).unwrap();
        let text = format!("{JOBS}---\n{}", scenario.jobs);
        let text = text.trim_end_matches("---\n");
        std::fs::write(settings.jobs_dir.join("office.yaml"), text).unwrap();
        let catalog = Arc::new(jada::spec::load(&settings, start, None));
        let errors: Vec<_> = catalog.diagnostics().filter(|one| one.is_error()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", scenario.name);
        let options = Options { sync: Sync::Off, ..Options::default() };
        let store = Arc::new(Sqlite::open_with(dir.path().join("jada.db"), options).unwrap());
        let node = NewNode { name: "box".into(), boot: "b".into(), pid: 1, started_at: start };
        let node = store.register(node).await.unwrap();
        let (requests, inbox) = mpsc::channel(8);
        let (view, shown) = watch::channel(Arc::new(View::default()));
        let (reload, asked) = mpsc::channel(1);
        let standings =
            watch::Sender::new(Arc::new(standings(&scenario.credentials, &settings, start)));
        let phase =
            |from: &str, until: Option<&String>| Phase::new(Some(from), until.map(String::as_str));
        let script = Script {
            fails: scenario
                .fails
                .iter()
                .map(|one| (phase(&one.from, one.until.as_ref()), one.clone()))
                .collect(),
            looks: scenario
                .looks
                .iter()
                .map(|one| (Phase::new(one.from.as_deref(), one.until.as_deref()), one.clone()))
                .collect(),
        };
        let parts = Parts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            clock: Arc::new(clock.clone()),
            perform: Arc::new(script),
            node,
            outputs: Outputs::at(dir.path()),
            seats: Seats { running: 64, pools: [].into() },
            credentials: Credentials::of(&settings.credentials, standings.subscribe()),
        };
        let channels = Channels { requests: inbox, view, reload };
        let dispatcher = Dispatcher::new(parts, channels, Arc::clone(&catalog));
        Self {
            scenario,
            _dir: dir,
            clock,
            store,
            catalog,
            settings,
            standings,
            dispatcher,
            _requests: requests,
            _view: shown,
            _reload: asked,
            wake: None,
        }
    }

    /// Lets time pass until the doctor comes.
    pub(crate) async fn live(&mut self) {
        let mut changes: Vec<Timestamp> =
            self.scenario.credentials.iter().map(|one| visit() - span(&one.from)).collect();
        changes.sort_unstable();
        loop {
            self.settle().await;
            let now = self.clock.now();
            let change = changes.iter().copied().find(|at| *at > now);
            let next = self.wake.into_iter().chain(change).chain([visit()]).min().unwrap();
            if now >= visit() {
                return;
            }
            let step = next.duration_since(now).unsigned_abs().max(Duration::from_millis(1));
            self.clock.advance(step);
            if changes.contains(&self.clock.now()) {
                let all = standings(&self.scenario.credentials, &self.settings, self.clock.now());
                self.standings.send_replace(Arc::new(all));
            }
        }
    }

    async fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..400 {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            self.wake = self.dispatcher.step().await;
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            let rests = self.dispatcher.is_settled();
            let waits = self.wake.is_none_or(|wake| wake > self.clock.now());
            quiet = if rests && waits { quiet + 1 } else { 0 };
            if quiet == 2 {
                return;
            }
        }
        panic!("{}: the loop does not come to rest", self.scenario.name);
    }

    /// What the doctor says.
    pub(crate) async fn doctor(&self) -> Diagnosis {
        let now = self.clock.now();
        let natures = self.settings.credentials.iter();
        let known = Known {
            catalog: Arc::clone(&self.catalog),
            natures: Arc::new(
                natures.map(|(name, one)| (name.clone(), Nature::of(one, None))).collect(),
            ),
            standings: Arc::clone(&self.standings.borrow()),
        };
        let mut case = snapshot::read(&*self.store, &known, now).await.unwrap();
        for seen in &self.scenario.seen {
            let node = Subject::parse(&seen.node).unwrap();
            let verdict = Verdict::from_word(&seen.verdict).unwrap();
            let source = Source::Probe(seen.node.clone());
            case.board.add(Evidence {
                fault: seen.fault.as_deref().map(|word| Fault::from_word(word).unwrap()),
                since: seen.from.as_deref().map_or(now, |from| now - span(from)),
                text: seen.says.clone(),
                ..Evidence::new(node, verdict, source, now)
            });
        }
        diagnose(case)
    }

    /// The roots of the open incidents, sorted.
    pub(crate) async fn open_roots(&self) -> Vec<String> {
        let open = self.store.incidents(false, 100).await.unwrap();
        let mut roots: Vec<String> = open
            .into_iter()
            .filter(|one| one.severity == jada::model::Severity::Error)
            .map(|one| one.root)
            .collect();
        roots.sort();
        roots
    }
}

/// How every credential stands at a time.
fn standings(said: &[Stands], settings: &Settings, now: Timestamp) -> Standings {
    let mut all: BTreeMap<CredentialName, Standing> = BTreeMap::new();
    for name in settings.credentials.keys() {
        let mut well = Standing::unknown(now);
        well.state = serde_json::from_value(json!("healthy")).unwrap();
        (well.generation, well.last_refresh) = (1, Some(now));
        all.insert(name.clone(), well);
    }
    for one in said {
        let from = visit() - span(&one.from);
        if from > now {
            continue;
        }
        let mut standing = Standing::unknown(from);
        standing.state = serde_json::from_value(json!(one.state)).unwrap();
        standing.class = serde_json::from_value(json!(one.class)).unwrap();
        standing.error.clone_from(&one.error);
        standing.words.clone_from(&one.words);
        standing.generation = 1;
        standing.deaths = one.deaths.iter().map(|ago| visit() - span(ago)).collect();
        all.insert(CredentialName::parse(&one.name).unwrap(), standing);
    }
    all.into_iter().collect()
}
