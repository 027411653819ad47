//! Alert rules by tables, and the failures of other monitors by their names.

use super::*;
use crate::model::Failure;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("in range")
}

fn minutes(count: u64) -> Duration {
    Duration::from_mins(count)
}

fn looks_every(period: Duration, letters: &str) -> Vec<Look> {
    let verdict = |letter| match letter {
        '+' => Verdict::Ok,
        'w' => Verdict::Warn,
        '?' => Verdict::Unknown,
        _ => Verdict::Fail,
    };
    let mut at = now();
    let mut look = |letter| {
        let look = Look { at, verdict: verdict(letter), held: letter == 'h' };
        at -= period;
        look
    };
    letters.chars().map(&mut look).collect()
}

/// Looks as letters, newest first, ten minutes apart: `+` ok, `w` a warning, `-` a failure, `?` unknown,
/// `h` held.
fn looks(letters: &str) -> Vec<Look> {
    looks_every(minutes(10), letters)
}

fn rule(when: AlertWhen) -> AlertRule {
    AlertRule { when, ..AlertRule::default() }
}

fn row(failures: u32) -> AlertRule {
    rule(AlertWhen::InARow { failures })
}

fn within(failures: u32, within: Duration) -> AlertRule {
    rule(AlertWhen::Within { failures, within })
}

fn open(severity: Severity, failures: u32) -> Judgement {
    Judgement::Open { severity, failures, flapping: false }
}

fn failing(failures: u32) -> Judgement {
    open(Severity::Error, failures)
}

const ERROR: Option<Before> = Some(Before { severity: Severity::Error, flapping: false });

#[test]
fn what_opens() {
    let hour = minutes(60);
    let of = |failures, of| rule(AlertWhen::Of { failures, of });
    let ratio = |ratio, samples| rule(AlertWhen::Ratio { ratio, within: minutes(60), samples });
    let cases: &[(AlertRule, &str, Judgement)] = &[
        (row(1), "", Judgement::Quiet),
        (row(1), "-", failing(1)),
        (row(1), "+-", Judgement::Quiet),
        (row(2), "-+-", Judgement::Quiet),
        (row(2), "--+", failing(2)),
        // Interleaved successes do not hide what "two within an hour" asks for.
        (within(2, hour), "-+-", failing(2)),
        (within(2, hour), "-+++++-", Judgement::Quiet),
        (within(2, hour), "-++++-", failing(2)),
        (within(3, hour), "--", Judgement::Quiet),
        // Who holds waits for a person.
        (within(3, hour), "h+", failing(1)),
        (row(2), "h", failing(1)),
        (within(3, hour), "-h", Judgement::Quiet),
        (of(2, 3), "-+-", failing(2)),
        (of(2, 3), "-++-", Judgement::Quiet),
        (of(2, 3), "+--", Judgement::Quiet),
        (ratio(0.5, 4), "-+-+", failing(2)),
        (ratio(0.5, 4), "-++-+", Judgement::Quiet),
        (ratio(0.5, 4), "---", Judgement::Quiet),
        (ratio(0.5, 4), "------", failing(6)),
        (rule(AlertWhen::For(minutes(20))), "--", Judgement::Quiet),
        (rule(AlertWhen::For(minutes(20))), "---", failing(3)),
        (rule(AlertWhen::For(minutes(20))), "--+-", Judgement::Quiet),
    ];
    for (rule, letters, want) in cases {
        assert_eq!(judge(rule, 1, &looks(letters), None), *want, "{:?} {letters}", rule.when);
    }
}

#[test]
fn warnings_are_warnings_and_unknown_is_neither() {
    let says = |on_unknown| AlertRule { on_unknown, ..row(2) };
    let (keep, warn, fail) = (says(OnUnknown::Keep), says(OnUnknown::Warn), says(OnUnknown::Fail));
    let cases: &[(&AlertRule, &str, Judgement)] = &[
        (&keep, "ww", open(Severity::Warning, 2)),
        (&keep, "w", Judgement::Quiet),
        // A failure is a warning as well, but a warning is no failure.
        (&keep, "-w", open(Severity::Warning, 2)),
        (&keep, "w-", open(Severity::Warning, 2)),
        (&keep, "-?-", failing(2)),
        (&keep, "??", Judgement::Quiet),
        (&keep, "???+", open(Severity::Warning, 3)),
        (&keep, "??-?", Judgement::Quiet),
        (&warn, "??", open(Severity::Warning, 2)),
        (&fail, "?-", failing(2)),
    ];
    for (rule, letters, want) in cases {
        assert_eq!(judge(rule, 1, &looks(letters), None), *want, "{letters}");
    }
    let quiet = AlertRule { severity: Severity::Warning, ..row(1) };
    assert_eq!(judge(&quiet, 1, &looks("-"), None), open(Severity::Warning, 1));
}

#[test]
fn what_ends() {
    let warning = Some(Before { severity: Severity::Warning, flapping: false });
    let cases: &[(u32, Option<Before>, &str, Judgement)] = &[
        (1, ERROR, "+-", Judgement::Resolve),
        (2, ERROR, "+-", Judgement::Quiet),
        (2, ERROR, "++-", Judgement::Resolve),
        (2, ERROR, "+?+-", Judgement::Resolve),
        (2, ERROR, "?++-", Judgement::Quiet),
        // While it is open, each failure goes on with it, whatever the rule.
        (2, ERROR, "-+-", failing(1)),
        // What only warns is better than a failure once it has lasted.
        (2, ERROR, "w-", failing(2)),
        (2, ERROR, "ww-", open(Severity::Warning, 3)),
        (2, warning, "+w", Judgement::Quiet),
        (2, warning, "++w", Judgement::Resolve),
        (1, None, "+", Judgement::Quiet),
    ];
    for (recover, before, letters, want) in cases {
        assert_eq!(judge(&row(3), *recover, &looks(letters), *before), *want, "{letters}");
    }
}

#[test]
fn budgets_and_cancelled_runs_are_no_looks() {
    let failed = |class| Outcome::Failed(Failure::new(class, "x"));
    for class in [FailureClass::Exhausted, FailureClass::Cancelled] {
        assert_eq!(Look::of_end(now(), &failed(class)), None, "{class:?}");
    }
    for class in [FailureClass::Lost, FailureClass::TimedOut, FailureClass::Throttled] {
        assert_eq!(Look::of_end(now(), &failed(class)).map(|it| it.verdict), Some(Verdict::Fail));
    }
}

#[test]
fn a_look_from_a_clock_that_was_ahead_does_not_count() {
    let mut seen = looks("--");
    seen[1].at = now() + minutes(5);
    assert_eq!(judge(&row(2), 1, &seen, None), Judgement::Quiet);
    assert_eq!(judge(&within(2, minutes(60)), 1, &seen, None), Judgement::Quiet);
}

/// The window is `(t - W, t]`: exactly W old is outside, one millisecond less is inside.
#[test]
fn the_boundary_of_the_window_is_exactly_sixty_minutes() {
    let rule = within(2, minutes(60));
    assert_eq!(judge(&rule, 1, &looks_every(minutes(60), "--"), None), Judgement::Quiet);
    let inside = Duration::from_millis(60 * 60 * 1000 - 1);
    assert_eq!(judge(&rule, 1, &looks_every(inside, "--"), None), failing(2));
}

/// Prometheus' `increase(failures[1h]) > 1` fired after one failure, since it extrapolates: 1.022. Exactly
/// one failure never alerts, and exactly the second in the window does.
#[test]
fn prom_extrapolation() {
    let rule = within(2, minutes(60));
    let mut history: Vec<Look> = Vec::new();
    let mut before = None;
    let mut told = Vec::new();
    // Every 15 s for three hours; failures at minute 10, then at 90 and 120.
    for step in 0..720_u64 {
        let at = now() + Duration::from_secs(15 * step);
        let bad = [40, 360, 480].contains(&step);
        let verdict = if bad { Verdict::Fail } else { Verdict::Ok };
        history.insert(0, Look { at, verdict, held: false });
        match judge(&rule, 1, &history, before) {
            Judgement::Open { failures, .. } => {
                told.push((step, failures));
                before = ERROR;
            }
            Judgement::Resolve => before = None,
            Judgement::Flap(_) | Judgement::Quiet => {}
        }
    }
    assert_eq!(told, [(480, 2)]);
}

/// A check that fails every other time could never page: its counter was reset by each success.
#[test]
fn flapjack_689() {
    let every_other = "-+-+-+";
    assert_eq!(judge(&row(3), 2, &looks(every_other), None), Judgement::Quiet, "that was it");
    assert_eq!(judge(&within(3, minutes(60)), 2, &looks(every_other), None), failing(3));
    let of = rule(AlertWhen::Of { failures: 3, of: 6 });
    assert_eq!(judge(&of, 2, &looks(every_other), None), failing(3));
}

/// Only "N in a row" could be asked for; a window of time was not to be had.
#[test]
fn checkly_122() {
    let rule = within(3, minutes(60));
    let sparse = looks_every(minutes(1), "-+++++++++-++++++++++++++++++-");
    assert_eq!(judge(&rule, 2, &sparse, None), failing(3));
}

/// Monit sent a failure and a recovery for each change: three pairs within 20 s. What has to be good twice
/// does not recover in between, and what comes and goes all the same is told once.
#[test]
fn monit_flap() {
    let told = |recover: u32, letters: &str| {
        let oldest_first: Vec<char> = letters.chars().rev().collect();
        let (mut before, mut told): (Option<Before>, Vec<&str>) = (None, Vec::new());
        for end in 1..=oldest_first.len() {
            let seen: String = oldest_first[..end].iter().rev().collect();
            match judge(&row(1), recover, &looks_every(Duration::from_secs(5), &seen), before) {
                Judgement::Open { severity, flapping, .. } => {
                    match before {
                        None => told.push("opened"),
                        Some(it) if flapping && !it.flapping => told.push("flapping"),
                        Some(_) => {}
                    }
                    before = Some(Before { severity, flapping });
                }
                Judgement::Flap(flapping) => {
                    before = before.map(|it| Before { flapping, ..it });
                }
                Judgement::Resolve => {
                    told.push("resolved");
                    before = None;
                }
                Judgement::Quiet => {}
            }
        }
        told
    };
    assert_eq!(told(2, "+-+-+-"), ["opened"], "each success is followed by a failure");
    let wild = "+-+-+-+-+-+-+-+-+-+-";
    let pairs = ["opened", "resolved", "opened", "resolved", "opened", "resolved", "opened"];
    assert_eq!(told(1, wild)[..7], pairs, "until it is known to flap");
    assert_eq!(told(1, wild).len(), 7, "then it is quiet");
    let calm = format!("{}{wild}", "+".repeat(20));
    assert_eq!(told(1, &calm).last(), Some(&"resolved"), "and is over once it is calm");
    assert_eq!(told(1, &calm).len(), 8);
}
