//! Alert rules and staleness in the real loop: restarts, lost commits and steps of the clock change no
//! decision; and what other monitors got wrong, by its name.

use std::time::Duration;

use jada::model::{Failure, FailureClass, Fault, Outcome, Severity, Verdict};
use jiff::Timestamp;

use super::world::{Chance, World};
use super::{MINUTE, seeds};

const HOUR: Duration = Duration::from_hours(1);

fn failed() -> Outcome {
    Outcome::Failed(Failure::new(FailureClass::Transient, "status 500"))
}

fn fine() -> Outcome {
    Outcome::Succeeded { note: String::new() }
}

/// A rule in YAML, and said a second time for the oracle.
struct Rule {
    yaml: &'static str,
    is_met: fn(&[(Timestamp, bool)]) -> bool,
    recover: usize,
}

/// Bad looks among those within `minutes` before the last one, its own time included.
fn bad_within(looks: &[(Timestamp, bool)], minutes: i64) -> usize {
    let last = looks[looks.len() - 1].0.as_millisecond();
    let inside = |at: &Timestamp| last - at.as_millisecond() < minutes * 60_000;
    looks.iter().filter(|(at, bad)| *bad && inside(at)).count()
}

const RULES: &[Rule] = &[
    Rule {
        yaml: "{ failures: 2, within: 1h, recover: 1 }",
        is_met: |looks| bad_within(looks, 60) >= 2,
        recover: 1,
    },
    Rule {
        yaml: "{ failures: 3, recover: 2 }",
        is_met: |looks| looks.len() >= 3 && looks[looks.len() - 3..].iter().all(|(_, bad)| *bad),
        recover: 2,
    },
    Rule {
        yaml: "{ failures: 2, of: 3, recover: 1 }",
        is_met: |looks| {
            looks[looks.len().saturating_sub(3)..].iter().filter(|(_, bad)| *bad).count() >= 2
        },
        recover: 1,
    },
    Rule {
        yaml: "{ ratio: 50%, within: 2h, samples: 4, recover: 2 }",
        is_met: |looks| {
            let last = looks[looks.len() - 1].0.as_millisecond();
            let inside = looks.iter().filter(|(at, _)| last - at.as_millisecond() < 7_200_000);
            let all = inside.count();
            all >= 4 && 2 * bad_within(looks, 120) >= all
        },
        recover: 2,
    },
    Rule {
        yaml: "{ for: 30m, recover: 1 }",
        is_met: |looks| {
            let row = looks.iter().rev().take_while(|(_, bad)| *bad).last().expect("the last is");
            looks[looks.len() - 1].0.as_millisecond() - row.0.as_millisecond() >= 1_800_000
        },
        recover: 1,
    },
];

/// What is open, told again from the whole history at every look, in the plainest way.
#[derive(Default)]
struct Oracle {
    seen: Vec<(Timestamp, bool)>,
    open: bool,
    flapping: bool,
}

impl Oracle {
    fn look(&mut self, rule: &Rule, at: Timestamp, bad: bool) {
        self.seen.push((at, bad));
        // What a clock that was ahead has seen lies in the future.
        let mut past: Vec<_> = self.seen.iter().copied().filter(|(seen, _)| *seen <= at).collect();
        past.sort_by_key(|(at, _)| *at);
        let tail = |count: usize| &past[past.len().saturating_sub(count)..];
        let recovered =
            past.len() >= rule.recover && tail(rule.recover).iter().all(|(_, bad)| !bad);
        let changes = tail(20).windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
        if self.open {
            self.flapping = changes > if self.flapping { 3 } else { 6 };
            self.open = !recovered || self.flapping;
        } else {
            self.open = bad && (rule.is_met)(&past);
            self.flapping = self.open && changes > 6;
        }
    }
}

/// One random stream: `kind` is the job's section, which decides whether runs or looks of a check count.
async fn stream(seed: u64, rule: &Rule, of_check: bool) {
    let kind = if of_check {
        "health: { checks: [{ name: site, tcp: { address: 'example.com:80' } }] }"
    } else {
        "command: { run: ['true'] }"
    };
    let file = format!("alert: {}\n{kind}\n", rule.yaml);
    let mut world = World::with(&[("a.yaml", &file)]).await;
    let (mut chance, mut oracle, mut refused) = (Chance::new(seed), Oracle::default(), 0);
    for step in 0..60 {
        // To the millisecond: two requests of one instant are one.
        world.pass(Duration::from_millis(30_000 + chance.below(20 * 60_000)));
        match chance.below(12) {
            0 => world.step_back(Duration::from_secs(chance.below(40 * 60))),
            1 | 2 => world.kill().await,
            _ => {}
        }
        world.settle().await;
        world.run("a").await;
        world.settle().await;
        if world.under_way().is_empty() {
            // A request that came while the clock was being put right was refused.
            refused += 1;
            assert!(refused < 10, "seed {seed}: {refused} of {step} requests were refused");
            continue;
        }
        let bad = chance.below(5) < 2;
        let seen = world.now();
        match (of_check, bad) {
            (true, true) => world.look("a", Verdict::Fail),
            (true, false) => world.look("a", Verdict::Ok),
            (false, true) => world.end("a", failed()),
            (false, false) => world.end("a", fine()),
        }
        match chance.below(6) {
            0 => world.fail_next_commit(true),
            1 => world.fail_next_commit(false),
            2 => world.fail_next_look(),
            _ => {}
        }
        world.settle().await;
        let at = if of_check { seen } else { world.last_end().await };
        oracle.look(rule, at, bad);
        let open = world.open_incidents().await;
        let told = (!open.is_empty(), open.first().is_some_and(|one| one.flapping));
        let want = (oracle.open, oracle.flapping);
        assert_eq!(told, want, "seed {seed}, step {step}, {}: {open:#?}", rule.yaml);
        assert!(open.len() <= 1, "one root, one incident");
    }
}

#[tokio::test]
async fn no_restart_no_lost_commit_and_no_clock_changes_a_decision() {
    for seed in seeds() {
        let rule = &RULES[usize::try_from(seed).expect("small") % RULES.len()];
        for of_check in [false, true] {
            stream(seed, rule, of_check).await;
        }
    }
}

/// Uptime Kuma #6866: a monitor that waits for 30 h stayed green for ever where it was restarted more often
/// than that, since its timer began anew each time. Here nothing is timed: the last success is stored.
#[tokio::test]
async fn kuma_6866() {
    let mut world =
        World::with(&[("a.yaml", "freshness: 30h\ncommand: { run: ['true'] }\n")]).await;
    world.run("a").await;
    world.settle().await;
    world.end("a", fine());
    world.settle().await;
    for _ in 0..5 {
        world.pass(359 * MINUTE);
        world.kill().await;
        world.settle().await;
        assert!(world.open_incidents().await.is_empty());
    }
    world.pass(5 * MINUTE);
    world.settle().await;
    let open = world.open_incidents().await;
    assert_eq!(open[0].key, "job/a#stale", "30 h after the success, to the second");
    world.kill().await;
    world.settle().await;
    assert_eq!(world.open_incidents().await.len(), 1, "and it stays open over a start");
}

/// Gatus #1237: a heartbeat of 25 h that was silent for 30 h was still green after a restart.
#[tokio::test]
async fn gatus_1237() {
    let mut world =
        World::with(&[("a.yaml", "freshness: 25h\ncommand: { run: ['true'] }\n")]).await;
    world.run("a").await;
    world.settle().await;
    world.end("a", fine());
    world.settle().await;
    world.stop();
    world.pass(30 * HOUR);
    world.start().await;
    world.settle().await;
    assert_eq!(
        world.open_incidents().await[0].title,
        "job a: no success for 1d 6h (allowed: 1d 1h)"
    );
}

/// A suspended host wakes up, and its clock is simply later: that is the same as a step of the clock.
#[tokio::test]
async fn staleness_is_seen_after_a_suspend_and_its_levels_are_told_in_turn() {
    let file = "freshness: { warn: 1h, breach: 3h }\ncommand: { run: ['true'] }\n";
    let mut world = World::with(&[("a.yaml", file)]).await;
    world.settle().await;
    // Never ran: that counts from when the job was first known, not from this moment.
    world.pass(59 * MINUTE);
    world.kill().await;
    world.settle().await;
    assert!(world.open_incidents().await.is_empty());
    let later = world.now() + 2 * MINUTE;
    world.set_clock(later);
    world.settle().await;
    assert_eq!(world.open_incidents().await[0].severity, Severity::Warning);
    let later = world.now() + 2 * HOUR;
    world.set_clock(later);
    world.settle().await;
    let open = world.open_incidents().await;
    assert_eq!((open.len(), open[0].severity), (1, Severity::Error));
    world.run("a").await;
    world.settle().await;
    world.end("a", fine());
    world.settle().await;
    assert!(world.open_incidents().await.is_empty());
}

/// Failures that are told already are not told a second time when the last success is too old as well.
#[tokio::test]
async fn a_stale_job_that_fails_is_one_incident() {
    let file = "freshness: 1h\ncommand: { run: ['true'] }\n";
    let mut world = World::with(&[("a.yaml", file)]).await;
    for _ in 0..3 {
        world.run("a").await;
        world.settle().await;
        world.end("a", failed());
        world.settle().await;
        world.pass(40 * MINUTE);
        world.settle().await;
        let open = world.open_incidents().await;
        assert_eq!((open.len(), open[0].fault), (1, Some(Fault::ServerError)), "{open:#?}");
    }
    world.run("a").await;
    world.settle().await;
    world.end("a", fine());
    world.settle().await;
    assert!(world.open_incidents().await.is_empty());
}

/// Two jobs look at the same site: one incident with both, until neither sees anything wrong.
#[tokio::test]
async fn checks_of_one_site_are_one_incident() {
    let file = "health: { checks: [{ name: site, tcp: { address: 'example.com:80' } }] }\n";
    let mut world = World::with(&[("a.yaml", file), ("b.yaml", file)]).await;
    let mut see = async |job: &str, verdict: Verdict| {
        world.pass(MINUTE);
        world.run(job).await;
        world.settle().await;
        world.look(job, verdict);
        world.settle().await;
        let open = world.open_incidents().await;
        let shown = |one: &jada::model::Incident| {
            let names: Vec<&str> = one.affected.iter().map(jada::model::JobName::as_str).collect();
            format!("{} {}", one.key, names.join("+"))
        };
        open.iter().map(shown).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(see("a", Verdict::Fail).await, "site/example.com#http.5xx a");
    assert_eq!(see("b", Verdict::Fail).await, "site/example.com#http.5xx a+b");
    for (job, verdict) in [("a", Verdict::Ok), ("a", Verdict::Ok), ("b", Verdict::Ok)] {
        assert!(!see(job, verdict).await.is_empty(), "{job}: b has not been ok twice yet");
    }
    assert_eq!(see("b", Verdict::Ok).await, "");
}

/// Edited away, a check can't say any more that all is well.
#[tokio::test]
async fn the_incident_of_a_check_that_is_gone_is_over() {
    let file = "health: { checks: [{ name: site, tcp: { address: 'example.com:80' } }] }\n";
    let mut world = World::with(&[("a.yaml", file)]).await;
    world.run("a").await;
    world.settle().await;
    world.look("a", Verdict::Fail);
    world.settle().await;
    assert_eq!(world.open_incidents().await.len(), 1);
    world.kill().await;
    world.settle().await;
    assert_eq!(world.open_incidents().await.len(), 1, "a start is no reason");
    world.write("a.yaml", &format!("enabled: false\n{file}")).await;
    world.settle().await;
    assert!(world.open_incidents().await.is_empty());
}

/// One run is one look, however often it was tried.
#[tokio::test]
async fn tries_within_a_run_are_no_looks() {
    let file = "alert: { failures: 2 }\nretry: { attempts: 3, backoff: { initial: 10s } }\n\
                health: { checks: [{ name: site, tcp: { address: 'example.com:80' } }] }\n";
    let mut world = World::with(&[("a.yaml", file)]).await;
    world.run("a").await;
    for _ in 0..3 {
        world.pass(MINUTE);
        world.settle().await;
        world.look("a", Verdict::Fail);
        world.settle().await;
    }
    assert!(world.open_incidents().await.is_empty(), "three tries are one failed run");
}

/// A check with an alert of its own is judged by that; the others by their job's.
#[tokio::test]
async fn a_check_has_an_alert_of_its_own() {
    let file = "health: { checks: [{ name: site, tcp: { address: 'example.com:80' }, \
                alert: { failures: 3, severity: warning } }] }\n";
    let mut world = World::with(&[("a.yaml", file)]).await;
    for look in 1..=3 {
        world.pass(MINUTE);
        world.run("a").await;
        world.settle().await;
        world.look("a", Verdict::Fail);
        world.settle().await;
        assert_eq!(world.open_incidents().await.len(), usize::from(look == 3), "look {look}");
    }
    assert_eq!(world.open_incidents().await[0].severity, Severity::Warning);
}

/// A success that takes next to no time is a warning, whatever restarts; an ordinary one ends it.
#[tokio::test]
async fn a_success_that_took_no_time_is_suspicious() {
    let mut world = World::with(&[("a.yaml", "command: { run: ['true'] }\n")]).await;
    for (took, want) in [(40, ""); 5].into_iter().chain([(1, "a"), (0, "a"), (38, "")]) {
        // Two requests of one instant are one.
        world.pass(MINUTE);
        world.run("a").await;
        world.settle().await;
        world.pass(Duration::from_secs(took));
        world.end("a", fine());
        world.settle().await;
        let open = world.open_incidents().await;
        let shown: Vec<&str> = open.iter().map(|one| one.affected[0].as_str()).collect();
        assert_eq!(shown.join(" "), want, "{took}: {open:#?}");
        for one in &open {
            assert_eq!(
                (one.key.as_str(), one.severity),
                ("job/a#exec.suspicious", Severity::Warning)
            );
        }
        world.kill().await;
        world.settle().await;
    }
}

const LOOKS: &str = "health: { checks: [{ name: site, tcp: { address: 'example.com:80' } }] }\n";
const USES: &str = "freshness: 1h\ncommand: { run: [curl, 'https://example.com/'] }\n";

/// A run of the health job, and what is open after it.
async fn seen(world: &mut World, verdict: Verdict) -> Vec<String> {
    world.pass(MINUTE);
    world.run("looks").await;
    world.settle().await;
    world.look("looks", verdict);
    world.settle().await;
    open_keys(world).await
}

/// A run of the job that uses the site, and what is open after it.
async fn used(world: &mut World, outcome: Outcome) -> Vec<String> {
    world.run("uses").await;
    world.settle().await;
    world.end("uses", outcome);
    world.settle().await;
    open_keys(world).await
}

async fn open_keys(world: &World) -> Vec<String> {
    world.open_incidents().await.into_iter().map(|one| one.key).collect()
}

/// A job that was hit by a site which has just come back.
async fn hit_by_a_site() -> World {
    let mut world = World::with(&[("looks.yaml", LOOKS), ("uses.yaml", USES)]).await;
    assert!(used(&mut world, fine()).await.is_empty());
    assert_eq!(seen(&mut world, Verdict::Fail).await, ["site/example.com#http.5xx"]);
    assert_eq!(used(&mut world, failed()).await, ["site/example.com#http.5xx"]);
    assert_eq!(world.open_incidents().await[0].affected.len(), 2, "it joins its cause");
    world.pass(2 * HOUR);
    world.settle().await;
    assert_eq!(open_keys(&world).await, ["site/example.com#http.5xx"], "stale, and told there");
    assert_eq!(seen(&mut world, Verdict::Ok).await.len(), 1);
    assert!(seen(&mut world, Verdict::Ok).await.is_empty());
    world
}

/// What another incident told of is nobody's once that is over: it gets a day, its period, and is told then.
#[tokio::test]
async fn staleness_is_told_after_the_cause_that_hid_it() {
    for (dies, succeeds) in [(false, false), (false, true), (true, false)] {
        let mut world = hit_by_a_site().await;
        world.pass(23 * HOUR);
        world.settle().await;
        assert!(open_keys(&world).await.is_empty(), "it has the time to succeed again");
        if succeeds {
            used(&mut world, fine()).await;
            world.pass(59 * MINUTE);
            world.settle().await;
            assert!(open_keys(&world).await.is_empty());
        }
        if dies {
            world.kill().await;
        }
        world.pass(HOUR + MINUTE);
        world.settle().await;
        assert_eq!(open_keys(&world).await, ["job/uses#stale"], "{dies} {succeeds}");
    }
}

/// A run that began before its cause was over may have failed by it; a later one fails by itself, and a job
/// that runs once a night is not kept silent for a day.
#[tokio::test]
async fn what_begins_after_its_cause_was_over_fails_by_itself() {
    let file = USES.replace("freshness: 1h\n", "");
    let mut world = World::with(&[("looks.yaml", LOOKS), ("uses.yaml", &file)]).await;
    seen(&mut world, Verdict::Fail).await;
    assert_eq!(used(&mut world, failed()).await, ["site/example.com#http.5xx"]);
    world.run("uses").await;
    world.settle().await;
    seen(&mut world, Verdict::Ok).await;
    assert!(seen(&mut world, Verdict::Ok).await.is_empty());
    world.end("uses", failed());
    world.settle().await;
    assert!(open_keys(&world).await.is_empty(), "it began while its cause went on");
    world.pass(Duration::from_secs(1));
    world.kill().await;
    world.settle().await;
    assert_eq!(used(&mut world, failed()).await, ["job/uses#http.5xx"]);
    assert!(used(&mut world, fine()).await.is_empty());
}

/// What comes back within half an hour is the same incident again, and later it is another one.
#[tokio::test]
async fn what_comes_back_soon_is_the_same_incident() {
    let mut world = World::with(&[("looks.yaml", LOOKS)]).await;
    let mut told = Vec::new();
    for pause in [0, 25, 31] {
        world.pass(pause * MINUTE);
        world.kill().await;
        world.settle().await;
        seen(&mut world, Verdict::Fail).await;
        let open = world.open_incidents().await;
        told.push((open[0].id, open[0].generation));
        seen(&mut world, Verdict::Ok).await;
        assert!(seen(&mut world, Verdict::Ok).await.is_empty());
    }
    assert_eq!(told[0].0, told[1].0);
    assert_eq!(told[0].1 + 1, told[1].1);
    assert_ne!(told[1].0, told[2].0);
    assert_eq!(told[2].1, told[0].1);
}
