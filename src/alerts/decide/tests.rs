//! Decisions over time: stories with a clock, a store and notifiers that answer as the story says.
//!
//! Owns the stage, and the stories that other monitors' failures tell. Each decision reads the store anew, so
//! that a restart could come at any point.

mod chaos;
mod stage;

use std::time::Duration;

use stage::{Answer, Stage, settings};

use super::super::maintenance::{Begins, Ends, Window};
use super::LAST_RESORT;
use crate::model::{Event, Opening, Severity, Told};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// A beginning is told once, after its group wait, and its end at once.
#[tokio::test]
async fn a_beginning_and_an_end() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.open("job/a").await;
    stage.pass(10 * MINUTE).await;
    stage.open("job/a").await;
    stage.pass(10 * MINUTE).await;
    stage.close("job/a", "it works again").await;
    stage.pass(10 * MINUTE).await;
    assert_eq!(stage.told(), ["0:00:30 ops opened job/a", "0:20:00 ops resolved job/a"]);
}

/// The cause itself does not wait.
#[tokio::test]
async fn a_confirmed_root_is_told_at_once() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.open("credential/google").await;
    stage.pass(MINUTE).await;
    assert_eq!(stage.told(), ["0:00:00 ops opened credential/google"]);
}

/// kuma-6046, kuma-7436: sent once while the network was the thing that was down, and forgotten.
#[tokio::test]
async fn kuma_6046_what_could_not_be_sent_is_sent_later() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.answer("ops", Answer::Silent);
    stage.open("site/a").await;
    stage.pass(3 * HOUR).await;
    assert_eq!(stage.by("ops"), Vec::<String>::new());
    stage.answer("ops", Answer::Takes);
    stage.pass(HOUR / 2).await;
    assert_eq!(stage.count(" ops opened site/a"), 1, "{:?}", stage.told());
    assert_eq!(stage.by("ops").len(), 1);
}

/// gatus: an outage that ended before its message got out was never told.
#[tokio::test]
async fn gatus_lost_trigger_an_outage_that_ended_is_one_message() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.answer("ops", Answer::Silent);
    stage.open("site/a").await;
    stage.pass(HOUR).await;
    stage.close("site/a", "it answers again").await;
    stage.pass(HOUR).await;
    stage.answer("ops", Answer::Takes);
    stage.pass(HOUR).await;
    let about = stage.by("ops");
    assert_eq!(about.len(), 1, "{about:?}");
    assert!(about[0].contains("ops whole resolved"), "{about:?}");
    assert_eq!(stage.subject(), "was down 08:00–09:00 UTC: site/a fails");
}

/// am-2754, am-3034, am-226: the end of what was silenced after it had been told never came.
#[tokio::test]
async fn am_2754_an_end_is_told_through_a_silence() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.open("job/a").await;
    stage.pass(MINUTE).await;
    stage.silence("job/*", 5 * HOUR).await;
    stage.pass(2 * HOUR).await;
    stage.close("job/a", "it works again").await;
    stage.pass(MINUTE).await;
    assert_eq!(stage.told(), ["0:00:30 ops opened job/a", "2:01:00 ops resolved job/a"]);
}

/// What begins under a silence waits for its end, and is not told at all where it is over by then.
#[tokio::test]
async fn only_a_beginning_is_silenced() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.silence("job/*", HOUR).await;
    stage.open("job/a").await;
    stage.open("job/b").await;
    stage.open("site/c").await;
    stage.pass(HOUR / 2).await;
    let held = stage.held().await;
    assert_eq!(
        held,
        ["job/a: silence 1 by ann: moving house", "job/b: silence 1 by ann: moving house"]
    );
    stage.close("job/b", "it works again").await;
    stage.pass(HOUR).await;
    assert_eq!(
        stage.told(),
        ["0:00:30 ops opened site/c", "1:00:00 ops opened job/a", "1:00:30 ops reminder site/c"]
    );
    assert_eq!(stage.states("job/b").await, [Told::Dropped, Told::Dropped]);
}

/// kuma-2846: a window that ends is no reason to tell what was known before it began.
#[tokio::test]
async fn kuma_2846_leaving_maintenance_tells_only_what_differs() {
    let mut alerts = settings(&["ops"]);
    // The stage begins at 08:00 UTC.
    alerts.maintenance = vec![Window {
        name: "upgrade".to_owned(),
        nodes: Vec::new(),
        begins: Begins::Weekly { days: Vec::new(), at: "08:10".parse().unwrap() },
        ends: Ends::At("10:00".parse().unwrap()),
        zone: jiff::tz::TimeZone::UTC,
    }];
    let mut stage = Stage::new(alerts);
    stage.open("job/before").await;
    stage.pass(20 * MINUTE).await;
    stage.open("job/inside").await;
    stage.open("job/over").await;
    stage.pass(40 * MINUTE).await;
    stage.close("job/over", "it works again").await;
    stage.pass(90 * MINUTE).await;
    assert_eq!(
        stage.told(),
        ["0:00:30 ops opened job/before", "2:00:00 ops opened job/inside"],
        "the reminder of what was known is put off as well"
    );
    stage.pass(HOUR).await;
    assert_eq!(stage.count("ops reminder job/before"), 1);
}

/// kuma-4779: 2,800 monitors were 28,000 messages.
#[tokio::test]
async fn kuma_4779_a_storm_is_one_message() {
    let mut stage = Stage::new(settings(&["ops"]));
    for one in 0..280 {
        stage.open(&format!("check/net/{one:03}")).await;
    }
    stage.pass(10 * MINUTE).await;
    assert_eq!(stage.told(), ["0:00:30 ops digest of 280"]);
    for one in 0..280 {
        stage.close(&format!("check/net/{one:03}"), "it answers again").await;
    }
    stage.pass(10 * MINUTE).await;
    assert_eq!(stage.told()[1..], ["0:10:00 ops digest of 280".to_owned()]);
}

/// More messages than a notifier takes wait, and go out together; none is dropped.
#[tokio::test]
async fn what_is_beyond_the_limit_becomes_a_digest() {
    let mut stage = Stage::new(settings(&["ops"]));
    for one in 0..60 {
        stage.open(&format!("job/{one:02}")).await;
        stage.pass(40).await;
    }
    stage.pass(3 * HOUR).await;
    for one in 0..60 {
        assert_eq!(stage.times_told(&format!("job/{one:02}"), Event::Opened), 1, "job/{one:02}");
    }
    stage.assert_limits(6, 20);
}

/// Reminders come later and later, and none for what somebody knows of.
#[tokio::test]
async fn reminders_back_off_and_end_with_an_acknowledgement() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.open("job/a").await;
    stage.pass(80 * HOUR).await;
    stage.acknowledge("job/a").await;
    stage.pass(100 * HOUR).await;
    stage.close("job/a", "it works again").await;
    stage.pass(HOUR).await;
    assert_eq!(
        stage.told(),
        [
            "0:00:30 ops opened job/a",
            "1:00:30 ops reminder job/a",
            "5:00:30 ops reminder job/a",
            "29:00:30 ops reminder job/a",
            "53:00:30 ops reminder job/a",
            "77:00:30 ops reminder job/a",
            "180:00:00 ops resolved job/a",
        ]
    );
}

#[tokio::test]
async fn a_job_may_ask_for_no_reminders() {
    let mut stage = Stage::new(settings(&["ops"]));
    let opening = Opening { remind: Some(Vec::new()), ..stage.opening("job/a") };
    stage.open_as(opening).await;
    stage.pass(80 * HOUR).await;
    assert_eq!(stage.told(), ["0:00:30 ops opened job/a"]);
}

/// The effect of a cause that is known by now is not told; where it was, its end is.
#[tokio::test]
async fn an_effect_of_a_known_cause_is_not_told() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.open("job/late").await;
    stage.pass(MINUTE).await;
    stage.open("job/early").await;
    stage.pass(10).await;
    stage.open("credential/google").await;
    stage.close("job/early", "its cause is known: credential/google").await;
    stage.close("job/late", "its cause is known: credential/google").await;
    stage.pass(10 * MINUTE).await;
    assert_eq!(
        stage.told(),
        [
            "0:00:30 ops opened job/late",
            "0:01:10 ops opened credential/google",
            "0:01:10 ops resolved job/late",
        ]
    );
    assert_eq!(stage.states("job/early").await, [Told::Dropped, Told::Dropped]);
}

/// What comes and goes is told once, and then when it is calm.
#[tokio::test]
async fn flapping_is_told_once() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.open("job/a").await;
    stage.pass(5 * MINUTE).await;
    stage.flap("job/a", true).await;
    for _ in 0..20 {
        stage.pass(5 * MINUTE).await;
        stage.flap("job/a", true).await;
    }
    stage.pass(30 * HOUR).await;
    stage.close("job/a", "it is calm").await;
    stage.pass(MINUTE).await;
    assert_eq!(
        stage.told(),
        ["0:00:30 ops opened job/a", "0:05:00 ops flapping job/a", "31:45:00 ops resolved job/a"]
    );
}

/// A warning that becomes an error is told again, once.
#[tokio::test]
async fn what_becomes_worse_is_told_again() {
    let mut stage = Stage::new(settings(&["ops"]));
    let warning = Opening { severity: Severity::Warning, ..stage.opening("job/a") };
    stage.open_as(warning).await;
    stage.pass(5 * MINUTE).await;
    stage.open("job/a").await;
    stage.pass(5 * MINUTE).await;
    assert_eq!(stage.told(), ["0:00:30 ops opened job/a", "0:05:30 ops opened job/a"]);
}

/// A notifier that refuses is told of through another one, and so is what it refused.
#[tokio::test]
async fn who_refuses_is_told_of_through_another_one() {
    let mut alerts = settings(&["mail", "ops"]);
    stage::fallback(&mut alerts, "ops", &["mail"]);
    let mut stage = Stage::new(alerts);
    stage.answer("ops", Answer::Refuses);
    stage.notify(&["ops"]);
    stage.open("credential/google").await;
    stage.pass(10 * MINUTE).await;
    assert_eq!(
        stage.told(),
        ["0:00:00 mail opened credential/google", "0:00:30 mail opened notifier/ops"]
    );
    stage.answer("ops", Answer::Takes);
    stage.pass(HOUR).await;
    stage.close("credential/google", "it works again").await;
    stage.pass(MINUTE).await;
    assert_eq!(stage.times_told("credential/google", Event::Opened), 2, "{:?}", stage.told());
    assert_eq!(
        stage.times_told("credential/google", Event::Resolved),
        2,
        "who was told of the one …"
    );
    assert_eq!(stage.times_told("notifier/ops", Event::Resolved), 1);
}

/// Where nobody can be reached, the last resort is told, once; nothing is given up before a day of trying.
#[tokio::test]
async fn the_last_resort_is_told_when_all_fail() {
    let mut alerts = settings(&["mail", "ops"]);
    stage::fallback(&mut alerts, "ops", &["mail"]);
    let mut stage = Stage::new(alerts);
    stage.answer("ops", Answer::Silent);
    stage.answer("mail", Answer::Refuses);
    stage.notify(&["ops"]);
    stage.open("job/a").await;
    stage.pass(20 * HOUR).await;
    assert_eq!(stage.times_told("job/a", Event::Opened), 1, "{:?}", stage.told());
    assert!(stage.told().iter().any(|line| line.ends_with("!last-resort opened job/a")));
    assert!(stage.told().iter().any(|line| line.ends_with("!last-resort opened notifier/ops")));
    stage.pass(30 * HOUR).await;
    let states = stage.states("job/a").await;
    assert!(states.contains(&Told::GivenUp), "{states:?}");
}

/// Nothing is lost with the notifier down for a day.
#[tokio::test]
async fn a_day_without_the_notifier_loses_nothing() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.answer("ops", Answer::Silent);
    stage.open("job/goes-on").await;
    stage.pass(HOUR).await;
    stage.open("job/is-over").await;
    stage.pass(HOUR).await;
    stage.close("job/is-over", "it works again").await;
    stage.pass(22 * HOUR).await;
    stage.answer("ops", Answer::Takes);
    stage.pass(2 * HOUR).await;
    assert_eq!(stage.count(" ops opened job/goes-on"), 1, "{:?}", stage.told());
    assert_eq!(stage.count(" ops whole resolved job/is-over"), 1, "{:?}", stage.told());
    assert_eq!(stage.count(" ops opened job/is-over"), 0);
}

/// A notifier that `jada.yaml` no longer has does not hold its rows for ever, and hides nothing.
#[tokio::test]
async fn a_notifier_that_is_gone_is_not_silence() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.notify(&["gone"]);
    stage.open("job/a").await;
    stage.pass(HOUR).await;
    assert_eq!(stage.held().await, ["job/a: jada.yaml has no notifier `gone`"]);
    assert!(
        stage.told().iter().any(|line| line.ends_with("!last-resort opened job/a")),
        "{:?}",
        stage.told()
    );
    stage.pass(25 * HOUR).await;
    assert!(stage.states("job/a").await.contains(&Told::Dropped));
}

/// Where a notifier got another name, those hear of it who hear of what names nobody.
#[tokio::test]
async fn a_notifier_that_got_another_name_is_not_the_last_resort() {
    let mut alerts = settings(&["ops"]);
    alerts.notify = vec!["ops".into()];
    let mut stage = Stage::new(alerts);
    stage.notify(&["gone"]);
    stage.open("job/a").await;
    stage.pass(MINUTE).await;
    stage.close("job/a", "it works again").await;
    stage.pass(25 * HOUR).await;
    assert_eq!(stage.told(), ["0:00:00 ops opened job/a", "0:01:00 ops resolved job/a"]);
}

/// The other side's word counts for when it is asked again.
#[tokio::test]
async fn retry_after_is_heeded() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.answer("ops", Answer::Busy(Duration::from_mins(40)));
    stage.open("site/a").await;
    stage.pass(30 * MINUTE).await;
    assert_eq!(stage.tries() - stage.by(LAST_RESORT).len(), 1);
    stage.answer("ops", Answer::Takes);
    stage.pass(11 * MINUTE).await;
    assert_eq!(stage.by("ops"), ["0:40:00 ops opened site/a"]);
}

/// A server that asks for a long wait is no reason to tell nobody meanwhile.
#[tokio::test]
async fn others_help_while_one_asks_to_wait() {
    let mut alerts = settings(&["mail", "ops"]);
    stage::fallback(&mut alerts, "ops", &["mail"]);
    let mut stage = Stage::new(alerts);
    stage.answer("ops", Answer::Busy(Duration::from_hours(2)));
    stage.open("site/a").await;
    stage.pass(HOUR).await;
    assert_eq!(stage.tries(), 3, "one of ops, the others told: {:?}", stage.told());
    assert_eq!(
        stage.by("mail"),
        ["0:05:00 mail opened site/a", "0:05:30 mail opened notifier/ops"]
    );
}

/// Where one row knocks in vain for all, the others wait behind it: they get out by the fallback as well, and
/// where there is none, by the last resort.
#[tokio::test]
async fn what_waits_behind_another_row_is_told_by_others() {
    for (fallback, by) in [(&["mail"][..], "mail"), (&[][..], LAST_RESORT)] {
        let mut alerts = settings(&["mail", "ops"]);
        stage::fallback(&mut alerts, "ops", fallback);
        let mut stage = Stage::new(alerts);
        stage.answer("ops", Answer::Silent);
        stage.open("job/a").await;
        stage.pass(HOUR).await;
        stage.open("job/b").await;
        stage.pass(MINUTE).await;
        let wanted = format!("1:00:30 {by} opened job/b");
        assert_eq!(stage.count(&wanted), 1, "{wanted}: {:?}", stage.told());
        stage.pass(2 * HOUR).await;
        assert_eq!(stage.times_told("job/b", Event::Opened), 1, "{:?}", stage.told());
        stage.answer("ops", Answer::Takes);
        stage.pass(HOUR).await;
        assert_eq!(stage.times_told("job/b", Event::Opened), 2, "{:?}", stage.told());
    }
}

/// What a clock that was a year ahead wrote does not wait for a year, nor does what is written after it.
#[tokio::test]
async fn a_clock_that_was_ahead_holds_nothing() {
    let mut stage = Stage::new(settings(&["ops"]));
    for one in 0..6 {
        stage.open(&format!("job/told-{one}")).await;
        stage.pass(MINUTE / 2).await;
    }
    stage.answer("ops", Answer::Silent);
    stage.open("job/tried").await;
    stage.pass(MINUTE).await;
    stage.open("job/new").await;
    stage.step_back(365 * 24 * HOUR);
    stage.open("job/after").await;
    stage.answer("ops", Answer::Takes);
    stage.pass(2 * MINUTE).await;
    for job in ["job/tried", "job/new", "job/after"] {
        assert_eq!(stage.times_told(job, Event::Opened), 1, "{job}: {:?}", stage.told());
    }
}

/// What names nobody is told to whoever hears of such things: nothing fails in silence.
#[tokio::test]
async fn what_names_nobody_is_told_as_well() {
    let mut alerts = settings(&["ops"]);
    alerts.notify = vec!["ops".into()];
    let mut stage = Stage::new(alerts);
    stage.notify(&[]);
    stage.open("file/jobs.d/a.yaml").await;
    stage.pass(MINUTE).await;
    stage.close("file/jobs.d/a.yaml", "the file is valid").await;
    stage.pass(MINUTE).await;
    stage.open("file/jobs.d/a.yaml").await;
    stage.pass(MINUTE).await;
    assert_eq!(
        stage.told(),
        [
            "0:00:30 ops opened file/jobs.d/a.yaml",
            "0:01:00 ops resolved file/jobs.d/a.yaml",
            "0:02:30 ops opened file/jobs.d/a.yaml",
        ]
    );
}
