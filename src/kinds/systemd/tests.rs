//! Units and journals of a real systemd.

use std::time::Duration;

use super::real::Manager;
use super::*;
use crate::clock::{Clock, SystemClock};
use journal::{Ask, From};

const LOOP: &str = "[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=1h\n";
const WELL: &str = "[Service]\nExecStart=/bin/sh -c 'cat DIR/fifo; exit 3'\nExecStartPre=/bin/sh -c \
                    'test -p DIR/fifo || mkfifo DIR/fifo'\nRestart=on-failure\nRestartSec=0\n\
                    StartLimitIntervalSec=0\n";
const WATCHED: &str = "[Service]\nType=notify\nNotifyAccess=all\nWatchdogSec=100ms\n\
                       ExecStart=/bin/sh -c 'systemd-notify --ready; cat DIR/nothing'\n\
                       ExecStartPre=/bin/sh -c 'mkfifo DIR/nothing'\n";
const UNITS: &[(&str, &str)] = &[
    ("well.service", WELL),
    ("loop.service", LOOP),
    ("watched.service", WATCHED),
    ("once.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c '>DIR/ran'\n"),
    ("broken.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 7'\n"),
    ("nowhere.service", "[Service]\nExecStart=/nowhere/at/all\n"),
    ("slow.service", "[Service]\nExecStart=/bin/true\n"),
    ("slow.timer", "[Timer]\nOnActiveSec=1d\n"),
];

struct Bench {
    manager: Manager,
    buses: Buses,
    bus: Bus,
}

impl Bench {
    fn new(manager: Manager) -> Self {
        let bus = Bus { scope: Scope::System, address: Some(manager.bus()) };
        Self { manager, buses: Buses::default(), bus }
    }

    async fn unit(&self, name: &str) -> Unit {
        read(&self.buses, &self.bus, name, &SystemClock).await.unwrap()
    }

    /// The unit when this holds of it.
    async fn until(&self, name: &str, holds: impl Fn(&Unit) -> bool) -> Unit {
        let mut last = Unit::default();
        for _ in 0..2_000 {
            last = self.unit(name).await;
            if holds(&last) {
                return last;
            }
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
        panic!("{last:?}");
    }
}

fn state(unit: &Unit) -> String {
    format!("{} {} {}", unit.active, unit.sub, unit.result)
}

#[tokio::test]
async fn units_are_told_as_their_manager_knows_them() {
    let Some(manager) = Manager::user(UNITS) else { return };
    let bench = Bench::new(manager);
    for name in ["well", "loop", "watched", "once", "broken", "nowhere", "slow.timer"] {
        bench.manager.call("StartUnit", &full_name(name));
    }
    let well = bench.until("well", |unit| unit.sub == "running").await;
    assert_eq!(
        (well.restarts, well.kind.as_str(), well.result.as_str()),
        (Some(0), "simple", "success")
    );
    let age = SystemClock.now().duration_since(well.since.unwrap());
    assert!(age.as_secs() < 60, "{age:?}");
    // Here the memory controller is not systemd's, as in many containers.
    assert!(well.memory.unwrap() > 100_000, "{well:?}");
    let looping = bench.until("loop", |unit| unit.sub == "auto-restart").await;
    assert_eq!(state(&looping), "activating auto-restart exit-code");
    assert_eq!(looping.exit_status, 1);
    let watched = bench.until("watched", |unit| unit.active == "failed").await;
    assert_eq!(watched.result, "watchdog");
    // What is over is forgotten by its manager: not even since when is known.
    let ran = bench.manager.dir().join("ran");
    let once = bench.until("once", |unit| ran.exists() && unit.active == "inactive").await;
    assert_eq!((state(&once).as_str(), once.kind.as_str()), ("inactive dead success", "oneshot"));
    let broken = bench.until("broken", |unit| unit.active == "failed").await;
    assert_eq!((broken.result.as_str(), broken.exit_status), ("exit-code", 7));
    let nowhere = bench.until("nowhere", |unit| unit.active == "failed").await;
    assert_eq!((nowhere.result.as_str(), nowhere.exit_status), ("exit-code", 203));
    let timer = bench.unit("slow.timer").await;
    assert_eq!((state(&timer).as_str(), timer.restarts), ("active waiting success", None));
    let slow = bench.unit("slow").await;
    assert_eq!((state(&slow).as_str(), slow.is_triggered), ("inactive dead success", true));
    let gone = bench.unit("wel").await;
    assert_eq!((gone.exists(), gone.instead.as_deref()), (false, Some("well.service")));

    // The service ends whenever somebody lets go of its pipe, and is started again.
    for restarts in 1..=2 {
        drop(
            std::fs::OpenOptions::new().write(true).open(bench.manager.dir().join("fifo")).unwrap(),
        );
        // Its result is that of the time before until it runs again.
        let is_back = |unit: &Unit| unit.sub == "running" && unit.result == "success";
        bench.until("well", |unit| unit.restarts == Some(restarts) && is_back(unit)).await;
    }
}

#[tokio::test]
async fn a_bus_that_was_started_again_is_found_again() {
    let Some(manager) = Manager::user(UNITS) else { return };
    let bench = Bench::new(manager);
    assert!(bench.unit("once").await.exists());
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    bench.manager.call("RestartUnit", "dbus.service");
    let once = bench.until("once", Unit::exists).await;
    assert_eq!(once.active, "inactive");
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), tasks);

    // And nothing is left of a connection when nobody needs it any more.
    let metrics = tokio::runtime::Handle::current().metrics();
    drop(bench.buses);
    for _ in 0..1_000 {
        if metrics.num_alive_tasks() == 0 {
            return;
        }
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
    panic!("{} tasks are left", metrics.num_alive_tasks());
}

#[tokio::test]
async fn a_host_without_systemd_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let address = format!("unix:path={}/none", dir.path().display());
    for (bus, way_out) in [
        (Bus { scope: Scope::System, address: Some(address.clone()) }, "is `bus` right?"),
        (Bus { scope: Scope::System, address: Some("nonsense".to_owned()) }, "is `bus` right?"),
    ] {
        let trouble = read(&Buses::default(), &bus, "x", &SystemClock).await.unwrap_err();
        let words = trouble.words(&bus);
        assert!(matches!(trouble, Trouble::NoSystemd(_)), "{trouble:?}");
        assert!(words.starts_with("no systemd answers: ") && words.contains(way_out), "{words}");
    }
    let usual = Bus { scope: Scope::System, address: None };
    let words = Trouble::NoSystemd("x".to_owned()).words(&usual);
    assert!(words.contains("use `process` or `command` instead"), "{words}");
}

#[tokio::test]
async fn the_journal_is_read_on_from_a_cursor() {
    let said = "[Service]\nType=oneshot\nExecStart=/bin/sh -c \"echo '[port-sheet] token error: HTTP \
                Error 400: Bad Request'; echo last\"\n";
    let Some(manager) = Manager::system(&[("sync.service", said)]) else { return };
    let bench = Bench::new(manager);
    let ask = |from: From, most: usize| Ask {
        unit: Some("sync".to_owned()),
        scope: Scope::System,
        from,
        most,
        directory: Some(bench.manager.journal()),
    };
    let page = async |from: From, most: usize| {
        journal::read(&ask(from, most), &SystemClock).await.unwrap()
    };
    let texts = |page: &journal::Page| -> Vec<String> {
        let own = page.entries.iter().filter(|entry| entry.program.as_deref() == Some("sh"));
        own.map(|entry| entry.message.clone()).collect()
    };
    let run = async || {
        bench.manager.call("StartUnit", "sync.service");
        bench.until("sync", |unit| unit.active == "inactive").await
    };
    run().await;
    let settled = async |from: From, lines: usize| {
        for _ in 0..1_000 {
            let page = page(from.clone(), 1_000).await;
            if texts(&page).len() >= lines {
                return page;
            }
            SystemClock.sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", page(from, 1_000).await);
    };
    let first = settled(From::Tail(100), 2).await;
    // The story that all this is for: nothing is wrong by any state.
    let unit = bench.until("sync", |unit| unit.active == "inactive").await;
    assert_eq!(state(&unit), "inactive dead success");
    assert_eq!(texts(&first), ["[port-sheet] token error: HTTP Error 400: Bad Request", "last"]);
    let line = first.entries.iter().find(|entry| entry.message == "last").unwrap();
    assert_eq!((line.priority, line.unit.as_deref()), (Some(6), Some("sync.service")));
    assert!(!first.more && !first.lost && first.partial.is_none(), "{first:?}");

    // Nothing new behind the last cursor; then all of the next run, page by page, each line once.
    let mut cursor = page(From::Tail(1), 1).await.cursor.unwrap();
    let none = page(From::Cursor(cursor.clone()), 10).await;
    assert_eq!((none.entries.len(), none.cursor), (0, None));
    run().await;
    settled(From::Cursor(cursor.clone()), 2).await;
    let mut seen = Vec::new();
    loop {
        let next = page(From::Cursor(cursor.clone()), 1).await;
        assert!(next.entries.len() <= 1);
        seen.extend(texts(&next));
        cursor = next.cursor.clone().unwrap_or(cursor);
        if !next.more {
            break;
        }
    }
    assert_eq!(seen, ["[port-sheet] token error: HTTP Error 400: Bad Request", "last"]);

    let lost = page(From::Cursor("s=nonsense".to_owned()), 10).await;
    assert!(lost.lost && lost.cursor.is_some() && lost.entries.is_empty(), "{lost:?}");
    let nowhere = Ask { directory: Some("/nowhere".into()), ..ask(From::Tail(1), 1) };
    let words = journal::read(&nowhere, &SystemClock).await.unwrap_err();
    assert!(words.contains("/nowhere"), "{words}");
}
