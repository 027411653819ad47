//! Whether an alert rule can fire under a schedule.
//!
//! Owns the warnings about rules that never do, or only by luck. Refuses to judge looks (`plan::alert`).

use std::time::Duration;

use jiff::Timestamp;

use crate::kinds::alert::AlertSection;
use crate::model::AlertWhen;
use crate::plan::schedule::{Due, Schedule};
use crate::yaml::{Code, Decoder, Span};

/// Slots that are looked at.
const SLOTS: usize = 64;

/// Warns of an alert rule that the schedule can't fulfil.
pub(super) fn alert(section: &AlertSection, schedule: &Schedule, now: Timestamp, cx: &mut Decoder) {
    let Some(at) = section.within.map(|time| time.span) else { return };
    let rule = section.rule();
    let looked_at = match rule.when {
        AlertWhen::Within { failures, .. } => failures,
        AlertWhen::Ratio { samples, .. } => samples,
        AlertWhen::InARow { .. } | AlertWhen::Of { .. } | AlertWhen::For(_) => return,
    };
    let slots: Vec<Due> = schedule.slots_after(now).take(SLOTS + looked_at as usize + 1).collect();
    match rule.when {
        AlertWhen::Within { failures, within } => {
            counted(&slots, (failures as usize, within), at, cx);
        }
        AlertWhen::Ratio { within, samples, .. } => {
            shared(&slots, (samples as usize, within), at, cx);
        }
        AlertWhen::InARow { .. } | AlertWhen::Of { .. } | AlertWhen::For(_) => {}
    }
}

/// `failures` within a time: whether so many runs ever fall into it, and whether they do by more than luck.
fn counted(slots: &[Due], (failures, within): (usize, Duration), at: Span, cx: &mut Decoder) {
    let Some((shortest, _)) = spans(slots, failures) else { return };
    if failures < 2 {
        return;
    }
    if shortest >= within {
        let message = format!(
            "{failures} failures can't fall into this time: the slots of {failures} runs are {} apart",
            shown(shortest)
        );
        let help = "make `within` longer than that, or ask for fewer failures";
        cx.report(Code::RuleNeverFires, at, message).help(help);
        return;
    }
    // With one success in between, as many failures lie over one run more: the edge that is hit in practice.
    let Some((shortest, longest)) = spans(slots, failures + 1) else { return };
    if is_even(slots) && shortest <= within && within <= longest {
        let apart = if shortest == longest {
            shown(shortest)
        } else {
            format!("{} to {}", shown(shortest), shown(longest))
        };
        let message = format!(
            "{failures} failures with a success in between fall into this time only by luck: their slots are {apart} apart, and what is exactly this old is outside"
        );
        let wide = shown(within + (longest / u32::try_from(failures).unwrap_or(1) / 2));
        let help = format!(
            "write `within: {wide}`, or count runs instead: `{{ failures: {failures}, of: {} }}`",
            failures + 1
        );
        cx.report(Code::RuleNeverFires, at, message).help(help);
    }
}

/// A share of at least `samples` looks within a time: whether there are ever so many.
fn shared(slots: &[Due], (samples, within): (usize, Duration), at: Span, cx: &mut Decoder) {
    let Some((shortest, _)) = spans(slots, samples) else { return };
    if shortest >= within {
        let message = format!(
            "{samples} looks never fall into this time: that many slots are {} apart",
            shown(shortest)
        );
        let help = "a share says something of many looks only; of a few, count: `{ failures: 2, within: 1h }`";
        cx.report(Code::RuleNeverFires, at, message).help(help);
    }
}

/// The shortest and the longest time over so many runs in a row, their jitter included.
fn spans(slots: &[Due], runs: usize) -> Option<(Duration, Duration)> {
    let last = runs.checked_sub(1)?;
    let span = |row: &[Due]| row[last].fire_at.duration_since(row[0].fire_at).unsigned_abs();
    let spans: Vec<Duration> = slots.windows(runs).map(span).collect();
    Some((*spans.iter().min()?, *spans.iter().max()?))
}

/// Whether the slots, without their jitter, come at one pace.
fn is_even(slots: &[Due]) -> bool {
    let mut steps = slots.windows(2).map(|pair| pair[1].slot.duration_since(pair[0].slot));
    let first = steps.next();
    steps.all(|step| Some(step) == first)
}

/// A time as people write it: `1h30m`.
fn shown(time: Duration) -> String {
    let mut left = time.as_secs();
    let mut take = |(unit, seconds): (&str, u64)| {
        let count = left / seconds;
        left %= seconds;
        (count > 0).then(|| format!("{count}{unit}"))
    };
    let parts = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)].map(&mut take);
    parts.into_iter().flatten().collect()
}
