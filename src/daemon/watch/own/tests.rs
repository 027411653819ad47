//! The daemon's looks at itself, over a real store and in simulated time.

use tokio::sync::mpsc;

use super::*;
use crate::clock::SimClock;
use crate::engine::View;
use crate::model::{Incident, IncidentState, Severity, Subject};
use crate::spec::{self, Settings};
use crate::store::sqlite::Sqlite;
use crate::store::{JobEntry, ObservationQuery};

const JOB: &str =
    "name: box\nschedule: { every: 1m }\nhealth: { checks: [{ name: disk, disk: { path: / } }] }\n";

struct House {
    dir: tempfile::TempDir,
    store: Arc<Sqlite>,
    clock: SimClock,
    view: watch::Sender<Arc<View>>,
    advance: watch::Sender<Advance>,
    outbox: watch::Sender<Progress>,
    own: Own,
}

impl House {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("jobs.d")).unwrap();
        std::fs::write(dir.path().join("jobs.d/box.yaml"), JOB).unwrap();
        let clock = SimClock::at("2026-11-25T09:00:00Z".parse().unwrap());
        let catalog = Arc::new(spec::load(&Settings::defaults(dir.path()), clock.now(), None));
        assert_eq!(catalog.jobs.len(), 1);
        let store = Arc::new(Sqlite::open(dir.path().join("jada.db")).unwrap());
        let entries = catalog.jobs.values().map(|job| JobEntry {
            name: job.name.clone(),
            revision: job.revision,
            schedule: job.schedule_revision,
        });
        store.sync_jobs(entries.collect(), clock.now()).await.unwrap();
        let view = watch::Sender::new(Arc::new(View { catalog, ..View::default() }));
        let advance = watch::Sender::new(Advance::NONE);
        let outbox = watch::Sender::new(Progress::Waiting { until: None });
        let parts = parts(&store, &clock, (&view, &advance, &outbox), dir.path());
        let own = Own::new(parts);
        Self { dir, store, clock, view, advance, outbox, own }
    }

    async fn pass(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.own.step().await;
    }

    fn dispatch(&self, dispatch: Progress) {
        self.advance.send_replace(Advance { dispatch, ..Advance::NONE });
    }

    fn trouble(&self, why: Option<&str>) {
        self.view.send_modify(|view| {
            let store_trouble = why.map(Into::into);
            *view = Arc::new(View { store_trouble, ..View::clone(view) });
        });
    }

    /// `KEY STATE` of each incident, oldest first.
    async fn incidents(&self) -> Vec<String> {
        let mut all = self.store.incidents(true, 100).await.unwrap();
        all.reverse();
        let state = |one: &Incident| match one.state {
            IncidentState::Open => "open",
            IncidentState::Resolved => "over",
        };
        all.iter().map(|one| format!("{} {}", one.key, state(one))).collect()
    }
}

fn parts(
    store: &Arc<Sqlite>,
    clock: &SimClock,
    (view, advance, outbox): (
        &watch::Sender<Arc<View>>,
        &watch::Sender<Advance>,
        &watch::Sender<Progress>,
    ),
    dir: &std::path::Path,
) -> Parts {
    let (requests, _asked) = mpsc::channel(1);
    let passed = clock.clone();
    Parts {
        store: Arc::clone(store) as Arc<dyn Store>,
        clock: Arc::new(clock.clone()),
        engine: Handle::new(requests, view.subscribe()),
        advance: advance.subscribe(),
        data_dir: dir.to_owned(),
        notify: Vec::new(),
        awake: Arc::new(move || passed.passed()),
        delivering: outbox.subscribe(),
        heart: None,
        node: "here".into(),
    }
}

#[tokio::test]
async fn a_loop_that_hangs_is_an_incident_until_it_comes_round() {
    let mut house = House::new().await;
    house.dispatch(Progress::Working { since: house.clock.passed() });
    house.pass(29).await;
    assert_eq!(house.incidents().await, [""; 0]);
    house.pass(1).await;
    house.pass(20).await;
    assert_eq!(house.incidents().await, ["daemon/lag#lag open"]);
    house.dispatch(Progress::Waiting { until: None });
    house.pass(1).await;
    assert_eq!(house.incidents().await, ["daemon/lag#lag over"]);
    // A wait that is over counts from when that was first seen: suspend is no lag.
    house.dispatch(Progress::Waiting { until: Some(house.clock.now()) });
    house.clock.step_to(house.clock.now() + Duration::from_hours(8));
    house.own.step().await;
    house.pass(29).await;
    assert_eq!(house.incidents().await.last().unwrap(), "daemon/clock#clock.skew open");
    house.pass(1).await;
    assert!(house.incidents().await.contains(&"daemon/lag#lag open".to_owned()));
}

#[tokio::test]
async fn what_an_earlier_daemon_left_open_ends() {
    let mut house = House::new().await;
    house.dispatch(Progress::Working { since: house.clock.passed() });
    house.pass(31).await;
    house.dispatch(Progress::Waiting { until: None });
    let parts = parts(
        &house.store,
        &house.clock,
        (&house.view, &house.advance, &house.outbox),
        house.dir.path(),
    );
    house.own = Own::new(parts);
    assert!(house.own.remember().await);
    house.pass(1).await;
    assert_eq!(house.incidents().await, ["daemon/lag#lag over"]);
}

#[tokio::test]
async fn a_store_that_failed_is_told_when_it_works_again() {
    let mut house = House::new().await;
    house.own.step().await;
    for (round, minutes) in [(1, 3), (2, 30)] {
        house.trouble(Some("can't write the store: database or disk is full"));
        house.pass(0).await;
        house.pass(minutes * 60).await;
        let before = house.store.incidents(true, 100).await.unwrap();
        assert!(before.iter().all(|one| one.state == IncidentState::Resolved));
        house.trouble(None);
        house.pass(1).await;
        house.pass(1).await;
        let told = house.store.incidents(true, 1).await.unwrap().remove(0);
        assert_eq!(
            (told.key.as_str(), told.state),
            ("daemon/store#disk.full", IncidentState::Resolved)
        );
        assert!(told.title.starts_with("the store could not be written for"), "{}", told.title);
        let query = ObservationQuery {
            check: Subject::parse("daemon/store"),
            limit: 10,
            ..Default::default()
        };
        assert_eq!(house.store.observations(query).await.unwrap().len(), round);
    }
}

#[tokio::test]
async fn a_leap_of_the_clock_is_told_for_a_while() {
    let mut house = House::new().await;
    house.own.step().await;
    house.clock.step_to(house.clock.now() - Duration::from_hours(2));
    house.own.step().await;
    let told = house.store.incidents(false, 1).await.unwrap().remove(0);
    assert_eq!((told.severity, told.root.as_str()), (Severity::Warning, "host/clock"));
    assert_eq!(told.title, "the clock was set back by 2h");
    house.pass(599).await;
    assert_eq!(house.incidents().await, ["daemon/clock#clock.skew open"]);
    house.pass(1).await;
    assert_eq!(house.incidents().await, ["daemon/clock#clock.skew over"]);
}

#[tokio::test]
async fn a_check_that_nobody_looks_at_is_told() {
    let mut house = House::new().await;
    house.own.step().await;
    // Three slots and a minute, and a minute to make sure.
    house.pass(241).await;
    assert_eq!(house.incidents().await, [""; 0]);
    house.pass(61).await;
    let told = house.store.incidents(false, 1).await.unwrap().remove(0);
    assert_eq!((told.key.as_str(), told.affected.len()), ("daemon/looks#absent", 1));
    assert_eq!(told.title, "the check box/disk is not looked at");
    // Somebody looks again.
    let job = JobName::parse("box").unwrap();
    let check = Subject::check(&job, "disk");
    let look = Observation {
        subject: Subject::part("disk"),
        check,
        at: house.clock.now(),
        took: Duration::ZERO,
        verdict: Verdict::Ok,
        fault: None,
        text: String::new(),
        run: None,
    };
    let batch = Batch { now: house.clock.now(), changes: vec![Change::Observe(vec![look])] };
    house.store.commit(batch).await.unwrap();
    house.pass(121).await;
    assert_eq!(house.incidents().await, ["daemon/looks#absent over"]);
}
