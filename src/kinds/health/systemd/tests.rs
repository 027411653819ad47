//! Units as they are judged, and real ones.

use super::*;
use crate::clock::SystemClock;
use crate::kinds::systemd::real::Manager;
use crate::model::JobName;

fn unit(states: &str) -> Unit {
    let mut words = states.split(' ').map(str::to_owned);
    let mut next = || words.next().unwrap_or_default();
    let (kind, load, active, sub, result) = (next(), next(), next(), next(), next());
    Unit { kind, load, active, sub, result, restarts: Some(2), ..Unit::default() }
}

#[test]
fn each_state_of_a_unit_has_its_verdict_and_its_fault() {
    for (states, verdict, fault) in [
        ("simple loaded active running success", Verdict::Ok, None),
        ("notify loaded reloading reload success", Verdict::Ok, None),
        ("oneshot loaded active exited success", Verdict::Ok, None),
        ("oneshot loaded inactive dead success", Verdict::Ok, None),
        ("oneshot loaded activating start success", Verdict::Ok, None),
        (" loaded active waiting success", Verdict::Ok, None),
        ("notify loaded activating start success", Verdict::Warn, Some(Fault::UnitInactive)),
        (
            "simple loaded deactivating stop-sigterm success",
            Verdict::Warn,
            Some(Fault::UnitInactive),
        ),
        ("simple loaded inactive dead success", Verdict::Fail, Some(Fault::UnitInactive)),
        (" loaded inactive dead success", Verdict::Fail, Some(Fault::UnitInactive)),
        ("oneshot loaded inactive dead exit-code", Verdict::Fail, Some(Fault::UnitFailed)),
        (
            "simple loaded activating auto-restart exit-code",
            Verdict::Fail,
            Some(Fault::UnitRestarts),
        ),
        ("simple loaded activating auto-restart success", Verdict::Fail, Some(Fault::UnitRestarts)),
        ("simple loaded activating auto-restart oom-kill", Verdict::Fail, Some(Fault::OomKill)),
        ("simple loaded failed failed oom-kill", Verdict::Fail, Some(Fault::OomKill)),
        ("simple loaded failed failed watchdog", Verdict::Fail, Some(Fault::UnitFailed)),
        ("simple loaded failed failed start-limit-hit", Verdict::Fail, Some(Fault::UnitRestarts)),
        ("simple masked inactive dead success", Verdict::Fail, Some(Fault::UnitInactive)),
        ("simple bad-setting inactive dead success", Verdict::Fail, Some(Fault::Configuration)),
    ] {
        let own = judge(&unit(states), &[], Some(2));
        assert_eq!((own.verdict, own.fault, own.grown), (verdict, fault, false), "{states}");
        // Who expects a state says himself which one is well.
        for named in ["active", "sub", "result"] {
            assert_eq!(judge(&unit(states), &[named], Some(2)).verdict, Verdict::Ok, "{states}");
        }
        assert_eq!(judge(&unit(states), &["memory"], Some(2)).verdict, verdict, "{states}");
    }
    let triggered = Unit { is_triggered: true, ..unit("simple loaded inactive dead success") };
    assert_eq!(judge(&triggered, &[], None).verdict, Verdict::Ok);
    let nowhere = Unit { exit_status: 203, ..unit("simple loaded failed failed exit-code") };
    assert_eq!(judge(&nowhere, &[], None).fault, Some(Fault::ExecMissing));
}

#[test]
fn restarts_count_from_the_last_look() {
    let running = unit("simple loaded active running success");
    for (before, wanted, verdict) in [
        (None, &[][..], Verdict::Ok),
        (Some(2), &[], Verdict::Ok),
        (Some(1), &[], Verdict::Fail),
        // Somebody started it anew, and the count with it.
        (Some(9), &[], Verdict::Ok),
        (Some(1), &["restarts"], Verdict::Ok),
        (Some(1), &["active"], Verdict::Fail),
    ] {
        let own = judge(&running, wanted, before);
        assert_eq!(own.verdict, verdict, "{before:?} {wanted:?}");
        assert_eq!(own.fault, (verdict == Verdict::Fail).then_some(Fault::UnitRestarts));
    }
    // What is worse stays what it is.
    let killed = unit("simple loaded failed failed oom-kill");
    assert_eq!(judge(&killed, &[], Some(1)).fault, Some(Fault::OomKill));
}

type Told = (Verdict, Option<Fault>, String);

/// One look, as `verdict fault text` and without what changes from host to host.
fn told(found: &Found) -> Told {
    let (verdict, text, cause) = match found {
        Found::Judged(verdict, text, _, cause) => (*verdict, text, cause),
        Found::Down(text, cause) => (Verdict::Fail, text, cause),
        Found::Unknown(text, cause) => (Verdict::Unknown, text, cause),
        Found::Values(..) => panic!("a unit is judged"),
    };
    let age = regex::Regex::new(", for [0-9.]+m?s").unwrap().replace(text, "");
    let memory = regex::Regex::new(r", [0-9.]+[KM]iB").unwrap().replace(&age, "");
    (verdict, cause.fault, memory.into_owned())
}

#[tokio::test]
async fn real_units_are_judged_and_their_last_words_are_told() {
    let dies = "[Service]\nExecStart=/bin/sh -c 'echo the pool is gone; exit 4'\n";
    let again = "[Service]\nExecStart=/bin/sh -c 'cat DIR/fifo'\nExecStartPre=/bin/sh -c 'test -p \
                 DIR/fifo || mkfifo DIR/fifo'\nRestart=always\nRestartSec=0\n\
                 StartLimitIntervalSec=0\n";
    let units = [("dies.service", dies), ("again.service", again)];
    let Some(manager) = Manager::system(&units) else { return };
    let (buses, data) = (Buses::default(), tempfile::tempdir().unwrap());
    let bus = Bus { scope: Scope::System, address: Some(manager.bus()) };
    let job = JobName::parse("pulse").unwrap();
    let journal = manager.journal();
    let look_for = async |unit: &str, wanted: &[&str]| {
        let ask = Ask {
            unit,
            bus: &bus,
            buses: &buses,
            wanted,
            recall: &Recall::of(data.path(), &job, unit),
            journal: Some(journal.clone()),
            clock: &SystemClock,
        };
        told(&read(&ask).await)
    };
    let look = async |unit: &str| look_for(unit, &[]).await;
    let until = async |unit: &str, holds: &dyn Fn(&Told) -> bool| {
        let mut last = look(unit).await;
        for _ in 0..1_000 {
            if holds(&last) {
                return last;
            }
            SystemClock.sleep(std::time::Duration::from_millis(10)).await;
            last = look(unit).await;
        }
        panic!("{last:?}");
    };

    manager.call("StartUnit", "dies.service");
    let died = until("dies", &|(_, _, text)| text.contains("pool")).await;
    let text = "ActiveState=failed SubState=failed Result=exit-code NRestarts=0 ExecMainStatus=4; \
                journal: the pool is gone";
    assert_eq!(died, (Verdict::Fail, Some(Fault::UnitFailed), text.to_owned()));

    manager.call("StartUnit", "again.service");
    let well = until("again", &|(verdict, ..)| *verdict == Verdict::Ok).await;
    assert_eq!(well.2, "ActiveState=active SubState=running Result=success NRestarts=0");
    drop(std::fs::OpenOptions::new().write(true).open(manager.dir().join("fifo")).unwrap());
    let restarted = until("again", &|(_, fault, _)| *fault == Some(Fault::UnitRestarts)).await;
    assert!(restarted.2.contains("NRestarts="), "{restarted:?}");
    until("again", &|(verdict, ..)| *verdict == Verdict::Ok).await;

    let (verdict, fault, text) = look("dyes").await;
    assert_eq!((verdict, fault), (Verdict::Fail, Some(Fault::NotFound)));
    assert!(text.ends_with("did you mean `dies.service`?"), "{text}");
    assert_eq!(look_for("dyes", &["active"]).await.0, Verdict::Warn);
    let (verdict, fault, text) = look("a/b").await;
    assert_eq!((verdict, fault), (Verdict::Unknown, Some(Fault::Configuration)), "{text}");
    drop(manager);
    let (verdict, fault, text) = look("dies").await;
    assert_eq!((verdict, fault), (Verdict::Unknown, Some(Fault::Configuration)));
    assert!(text.starts_with("no systemd answers: "), "{text}");
}
