//! What becomes of the slots between a job's cursor and now.
//!
//! Owns the one routine for everything that lets time pass unseen: restart, suspend, a stopped
//! process, a stepped clock, a pause, and the normal case of one slot that is due. Refuses to know which
//! of them it was. A schedule is never replayed from before the cursor, and never fires early.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use super::schedule::{Due, Schedule};
use crate::model::{CatchUpMode, NotRun, Policy};

/// The newest slot is on time, rather than caught up, when it is at most this late.
pub const ON_TIME: Duration = Duration::from_secs(10);

/// Slots of one absence that get a row each; earlier ones are summed up in one row.
pub const ROWS_MAX: usize = 1000;

/// A cursor further ahead of now than this means that the clock was wrong then, not that it is slow now.
pub const CLOCK_ERROR: Duration = Duration::from_hours(3);

/// Longest default for how far back `latest` and `all` reach.
const WINDOW_MAX: Duration = Duration::from_hours(24);

/// A passed slot and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The slot.
    pub due: Due,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Slots that this stands for, from `due` on.
    pub count: u64,
}

/// What becomes of a passed slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It runs; the words say why so late, and are empty when it is on time.
    Fire(String),
    /// It does not.
    NotRun(NotRun, String),
}

/// The slots of one job up to now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Each passed slot, oldest first.
    pub decided: Vec<Decided>,
    /// The newest passed slot, or the cursor as it was.
    pub cursor: Timestamp,
    /// The first slot that is not due yet.
    pub next: Option<Due>,
}

/// Accounts for every slot after `cursor` that is due by `now`.
#[must_use]
pub fn account(
    schedule: &Schedule,
    policy: &Policy,
    paused: Option<&str>,
    cursor: Timestamp,
    now: Timestamp,
) -> Account {
    let passed = Passed::walk(schedule, cursor, now);
    let Some(newest) = passed.last.back().copied() else {
        return Account { decided: Vec::new(), cursor, next: passed.next };
    };
    let judge = Judge { policy, paused, now, newest, window: window(policy, newest, passed.next) };
    let mut decided = Vec::with_capacity(passed.last.len() + 1);
    if let Some((first, count)) = passed.earlier {
        let reason = format!("one of {count} slots that passed in a long absence");
        let verdict = match paused {
            Some(_) => judge.verdict(first, passed.last.len()),
            None => Verdict::NotRun(NotRun::Missed, reason),
        };
        decided.push(Decided { due: first, verdict, count });
    }
    for (index, due) in passed.last.iter().enumerate() {
        let newer = passed.last.len() - 1 - index;
        decided.push(Decided { due: *due, verdict: judge.verdict(*due, newer), count: 1 });
    }
    Account { decided, cursor: newest.slot, next: passed.next }
}

/// The instant that a cursor in the far future is put back to: the clock was wrong when it was written,
/// and to wait for that day would stop the job without a word. Slots that have a row stay unique.
#[must_use]
pub fn accept_clock(cursor: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let ahead = cursor.duration_since(now);
    (ahead.is_positive() && ahead.unsigned_abs() > CLOCK_ERROR).then_some(now)
}

struct Passed {
    /// The first slot that was dropped from `last`, and how many were.
    earlier: Option<(Due, u64)>,
    last: VecDeque<Due>,
    next: Option<Due>,
}

impl Passed {
    /// Looks at each slot up to now, or, after a long absence, at the newest ones only: years of a schedule
    /// that is due each second are counted, not walked.
    fn walk(schedule: &Schedule, cursor: Timestamp, now: Timestamp) -> Self {
        let mut passed = Self { earlier: None, last: VecDeque::new(), next: None };
        for due in schedule.slots_after(cursor) {
            if due.fire_at > now {
                passed.next = Some(due);
                break;
            }
            if passed.last.len() == ROWS_MAX {
                return Self::look_back(schedule, cursor, now);
            }
            passed.last.push_back(due);
        }
        passed
    }

    /// From the newest slot backwards.
    fn look_back(schedule: &Schedule, cursor: Timestamp, now: Timestamp) -> Self {
        let mut passed = Self { earlier: None, last: VecDeque::new(), next: None };
        let second = Duration::from_secs(1);
        let mut until = now;
        while passed.last.len() < ROWS_MAX
            && let Some(due) = schedule.last_between(cursor, until)
        {
            // Jitter may hold the newest one back.
            if due.fire_at <= now {
                passed.last.push_front(due);
            }
            until = due.slot - second;
        }
        let newest = passed.last.back().map_or(cursor, |due| due.slot);
        passed.next = schedule.next_after(newest);
        let count = schedule.count_between(cursor, until);
        passed.earlier = schedule.next_after(cursor).filter(|_| count > 0).map(|due| (due, count));
        passed
    }
}

/// How far back catch-up reaches: as declared, else one period, at most a day.
pub(super) fn window(policy: &Policy, newest: Due, next: Option<Due>) -> Duration {
    policy.catch_up.window.unwrap_or_else(|| {
        let period = next.map(|next| next.slot.duration_since(newest.slot).unsigned_abs());
        period.unwrap_or(WINDOW_MAX).min(WINDOW_MAX)
    })
}

struct Judge<'a> {
    policy: &'a Policy,
    paused: Option<&'a str>,
    now: Timestamp,
    newest: Due,
    window: Duration,
}

impl Judge<'_> {
    /// The verdict on a slot that has `newer` later ones among the passed.
    fn verdict(&self, due: Due, newer: usize) -> Verdict {
        let not = |verdict, reason: String| Verdict::NotRun(verdict, reason);
        if let Some(reason) = self.paused {
            let words = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            return not(NotRun::Skipped, format!("the job is paused{words}"));
        }
        let late = self.now.duration_since(due.fire_at).unsigned_abs();
        let newest = due == self.newest;
        if let Some(deadline) = self.policy.deadline
            && self.now.duration_since(due.slot).unsigned_abs() > deadline
        {
            let (deadline, late) = (words(deadline), words(late));
            return not(
                NotRun::Expired,
                format!("its start deadline of {deadline} had passed: found {late} late"),
            );
        }
        if newest && late <= ON_TIME {
            return Verdict::Fire(String::new());
        }
        self.caught_up(due, newer, late)
    }

    fn caught_up(&self, due: Due, newer: usize, late: Duration) -> Verdict {
        let missed = |reason: String| Verdict::NotRun(NotRun::Missed, reason);
        let absent = "the daemon was down, suspended or stopped at its time";
        let catch_up = self.policy.catch_up;
        let in_window = late <= self.window;
        match catch_up.mode {
            CatchUpMode::None => missed(format!("{absent} (catch_up: none)")),
            CatchUpMode::Latest if due != self.newest => {
                missed(format!("{absent}; a newer slot stands for it (catch_up: latest)"))
            }
            CatchUpMode::Latest | CatchUpMode::All if !in_window => missed(format!(
                "{absent}; found {} late, catch-up reaches back {}",
                words(late),
                words(self.window)
            )),
            CatchUpMode::All if newer >= catch_up.max as usize => {
                missed(format!("{absent}; catch-up runs the newest {} slots at most", catch_up.max))
            }
            CatchUpMode::Latest | CatchUpMode::All => {
                Verdict::Fire(format!("caught up {} late", words(late)))
            }
        }
    }
}

/// A duration in the two largest units that matter: `1d 2h`, `5m 30s`, `0.4s`.
#[must_use]
pub fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let Some(first) = units.iter().position(|(size, _)| seconds >= *size) else {
        return match time.as_millis() {
            0 => "0s".to_owned(),
            millis => format!("{millis}ms"),
        };
    };
    let (size, unit) = units[first];
    let mut text = format!("{}{unit}", seconds / size);
    if let Some((next, next_unit)) = units.get(first + 1) {
        let rest = seconds % size / next;
        if rest > 0 {
            text = format!("{text} {rest}{next_unit}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::CatchUp;
    use crate::plan::schedule::{TriggerSpec, When};

    const MINUTE: Duration = Duration::from_mins(1);

    fn every(period: Duration) -> Schedule {
        let trigger = TriggerSpec::new(When::Every(period));
        Schedule::compile(&[trigger], "job").expect("a legal period")
    }

    fn at(seconds: i64) -> Timestamp {
        // A whole minute, so that slots fall on multiples of 60.
        Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
    }

    fn policy(mode: CatchUpMode) -> Policy {
        Policy { catch_up: CatchUp { mode, ..CatchUp::default() }, ..Policy::default() }
    }

    /// Verdicts as letters, oldest first: `F` fires, `s m e b` as the not-run verdicts.
    fn letters(account: &Account) -> String {
        let letter = |decided: &Decided| match &decided.verdict {
            Verdict::Fire(_) => 'F',
            Verdict::NotRun(NotRun::Skipped, _) => 's',
            Verdict::NotRun(NotRun::Missed, _) => 'm',
            Verdict::NotRun(NotRun::Expired, _) => 'e',
            Verdict::NotRun(NotRun::Blocked, _) => 'b',
        };
        account.decided.iter().map(letter).collect()
    }

    #[test]
    fn what_becomes_of_passed_slots() {
        use CatchUpMode::{All, Latest, None as Never};
        let long = Some(Duration::from_hours(1));
        // (mode, window, cursor, now, verdicts) for a job every minute.
        let cases: &[(CatchUpMode, Option<Duration>, i64, i64, &str)] = &[
            (Latest, None, 0, 59, ""),
            (Never, None, 0, 60, "F"),
            (Never, None, 0, 70, "F"),
            (Never, None, 0, 71, "m"),
            (Latest, None, 0, 71, "F"),
            (Latest, None, 0, 240, "mmmF"),
            (Never, None, 0, 240, "mmmF"),
            (Never, None, 0, 255, "mmmm"),
            (All, None, 0, 240, "mmFF"),
            (All, long, 0, 240, "FFFF"),
            (Latest, Some(Duration::from_secs(20)), 0, 255, "mmmF"),
            (Latest, Some(Duration::from_secs(14)), 0, 255, "mmmm"),
        ];
        for (mode, window, cursor, now, want) in cases {
            let mut policy = policy(*mode);
            policy.catch_up.window = *window;
            let got = account(&every(MINUTE), &policy, None, at(*cursor), at(*now));
            assert_eq!(letters(&got), *want, "{mode:?} {window:?} {cursor} {now}");
            let newest = at(now - now % 60);
            assert_eq!(got.cursor, if want.is_empty() { at(*cursor) } else { newest });
            assert_eq!(got.next.map(|due| due.slot), Some(newest + MINUTE));
        }
    }

    #[test]
    fn all_runs_the_newest_up_to_its_cap() {
        let mut policy = policy(CatchUpMode::All);
        policy.catch_up.window = Some(Duration::from_hours(1));
        policy.catch_up.max = 2;
        let got = account(&every(MINUTE), &policy, None, at(0), at(240));
        assert_eq!(letters(&got), "mmFF");
    }

    #[test]
    fn a_deadline_beats_catch_up_and_a_pause_beats_both() {
        let mut policy = policy(CatchUpMode::All);
        policy.catch_up.window = Some(Duration::from_hours(1));
        policy.deadline = Some(Duration::from_secs(90));
        let deadline = account(&every(MINUTE), &policy, None, at(0), at(240));
        assert_eq!(letters(&deadline), "eeFF");
        let paused = account(&every(MINUTE), &policy, Some("holiday"), at(0), at(240));
        assert_eq!(letters(&paused), "ssss");
    }

    #[test]
    fn a_long_absence_is_summed_up_and_stays_complete() {
        let second = Duration::from_secs(1);
        let week = 7 * 86_400;
        let got = account(&every(second), &policy(CatchUpMode::Latest), None, at(0), at(week));
        assert_eq!(got.decided.len(), ROWS_MAX + 1);
        let slots: u64 = got.decided.iter().map(|decided| decided.count).sum();
        assert_eq!(slots, week.unsigned_abs());
        assert_eq!(got.decided[0].due.slot, at(1));
        assert_eq!(letters(&got).matches('F').count(), 1);
    }

    #[test]
    fn looking_back_finds_what_a_walk_finds() {
        let mut triggers =
            [60, 7, 3600].map(|period| TriggerSpec::new(When::Every(Duration::from_secs(period))));
        triggers[0].jitter = Duration::from_secs(50);
        triggers[1].jitter = Duration::from_secs(3600);
        for schedule in [&triggers[..1], &triggers[1..2], &triggers[..]] {
            let schedule = Schedule::compile(schedule, "job").expect("legal");
            for now in [200_000, 200_003, 200_006, 200_059] {
                let due: Vec<_> =
                    schedule.slots_after(at(0)).take_while(|due| due.fire_at <= at(now)).collect();
                let passed = Passed::walk(&schedule, at(0), at(now));
                let dropped = due.len() - ROWS_MAX;
                assert_eq!(passed.last, &due[dropped..]);
                assert_eq!(passed.earlier, Some((due[0], dropped as u64)));
                assert_eq!(passed.next, schedule.next_after(due[due.len() - 1].slot));
            }
        }
    }

    /// A board without a clock of its own starts in 1970, and hears the time later. Walked slot by slot, this
    /// takes minutes, in which nothing else is due.
    #[test]
    fn decades_of_seconds_are_no_walk() {
        let mut second = TriggerSpec::new(When::Cron("* * * * * *".into()));
        second.timezone = jiff::tz::TimeZone::get("Europe/Berlin").expect("known");
        let cron = Schedule::compile(&[second], "job").expect("legal");
        for schedule in [cron, every(Duration::from_secs(1))] {
            let policy = policy(CatchUpMode::Latest);
            let got = account(&schedule, &policy, None, Timestamp::UNIX_EPOCH, at(0));
            let slots: u64 = got.decided.iter().map(|decided| decided.count).sum();
            assert_eq!(slots, at(0).as_second().unsigned_abs());
            assert_eq!(got.cursor, at(0));
        }
    }

    #[test]
    fn a_cursor_in_the_far_future_is_an_error_of_the_clock() {
        let hours = |hours: i64| at(hours * 3600);
        assert_eq!(accept_clock(hours(0), hours(1)), None);
        assert_eq!(accept_clock(hours(3), hours(0)), None);
        assert_eq!(accept_clock(hours(4), hours(0)), Some(hours(0)));
    }

    #[test]
    fn durations_in_words() {
        let cases = [
            (0, "0s"),
            (400, "400ms"),
            (5_000, "5s"),
            (330_000, "5m 30s"),
            (3_600_000, "1h"),
            (93_600_000, "1d 2h"),
            (86_460_000, "1d"),
        ];
        for (millis, want) in cases {
            assert_eq!(words(Duration::from_millis(millis)), want);
        }
    }

    proptest! {
        /// However the time is cut into looks, each slot is accounted for exactly once, and none early.
        #[test]
        fn every_slot_once_however_often_one_looks(
            period in 1_u64..400,
            mode in prop::sample::select(vec![
                CatchUpMode::None, CatchUpMode::Latest, CatchUpMode::All,
            ]),
            looks in prop::collection::vec(0_i64..1000, 1..30),
        ) {
            let schedule = every(Duration::from_secs(period));
            let policy = policy(mode);
            let (mut cursor, mut now) = (at(0), at(0));
            let mut seen = Vec::new();
            for step in looks {
                now += Duration::from_secs(step.unsigned_abs());
                let account = account(&schedule, &policy, None, cursor, now);
                prop_assert!(account.next.is_some_and(|next| next.fire_at > now));
                for decided in &account.decided {
                    prop_assert!(decided.due.fire_at <= now);
                    seen.push(decided.due.slot);
                }
                cursor = account.cursor;
            }
            let mut expected = Vec::new();
            let mut from = at(0);
            while let Some(due) = schedule.next_after(from).filter(|due| due.fire_at <= now) {
                expected.push(due.slot);
                from = due.slot;
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
