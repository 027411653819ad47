//! From what probes found to verdicts, and from verdicts to the outcome of a run.
//!
//! Owns the words: the line of each check, and the one line of the run. Refuses to know how anything was
//! found out.

use super::measure::{Measured, Reading};
use super::probe::{Cause, Found, Verdict};
use super::spec::{Check, Expectation};
use crate::model::{Failure, FailureClass, Outcome};

/// Checks that one line names.
const NAMED: usize = 3;

/// What a check came to.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    name: String,
    verdict: Verdict,
    text: String,
    cause: Cause,
}

/// Holds what was found against what is expected.
pub(super) fn judge(check: &Check, found: Found) -> Judged {
    let name = check.name.value.clone();
    let (own, said, reading, cause) = match found {
        Found::Down(text, cause) => return Judged { name, verdict: Verdict::Fail, text, cause },
        Found::Unknown(text, cause) => {
            return Judged { name, verdict: Verdict::Unknown, text, cause };
        }
        Found::Values(reading, cause) => (Verdict::Ok, String::new(), reading, cause),
        Found::Judged(verdict, said, reading) => (verdict, said, reading, Cause::TRANSIENT),
    };
    let expect = check.expect.iter().filter_map(|one| broken(one, &reading, Verdict::Fail));
    let warn = check.warn.iter().filter_map(|one| broken(one, &reading, Verdict::Warn));
    let broken: Vec<(Verdict, String)> = expect.chain(warn).collect();
    let verdict = broken.iter().map(|(verdict, _)| *verdict).max().unwrap_or(Verdict::Ok).max(own);
    let mut texts = vec![said];
    texts.extend(broken.into_iter().filter(|(of, _)| *of == verdict).map(|(_, text)| text));
    texts.retain(|text| !text.is_empty());
    if texts.is_empty() {
        texts.push(reading.shown());
    }
    Judged { name, verdict, text: texts.join("; "), cause }
}

/// The verdict and the words where an expectation does not hold.
fn broken(
    expectation: &Expectation,
    reading: &Reading,
    verdict: Verdict,
) -> Option<(Verdict, String)> {
    let name = &expectation.value;
    let Some(value) = reading.get(name) else {
        return Some((Verdict::Unknown, format!("it did not report `{name}`")));
    };
    if let Measured::Missing(why) = value {
        return Some((verdict, why.clone()));
    }
    match expectation.condition.holds(value) {
        Ok(true) => None,
        Ok(false) => {
            let shown = value.shown(expectation.condition.unit());
            let expected = expectation.condition.shown();
            Some((verdict, format!("{name} {shown}, expected {expected}")))
        }
        Err(error) => Some((Verdict::Unknown, format!("{name}: {error}"))),
    }
}

/// The lines of all checks, one each.
pub(super) fn lines(checks: &[Judged]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let line = |check: &Judged| {
        let (verdict, name, text) = (check.verdict.word(), &check.name, one_line(&check.text));
        format!("{verdict:<7}  {name:<width$}  {text}").trim_end().to_owned() + "\n"
    };
    checks.iter().map(line).collect()
}

/// The outcome of the run.
pub(super) fn outcome(checks: &[Judged]) -> Outcome {
    let of = |verdict| checks.iter().filter(|check| check.verdict == verdict).collect::<Vec<_>>();
    let (failed, unknown, warned) = (of(Verdict::Fail), of(Verdict::Unknown), of(Verdict::Warn));
    let total = checks.len();
    if failed.is_empty() && unknown.is_empty() {
        return Outcome::Succeeded { note: note(total, &warned) };
    }
    let mut message = match (failed.len(), unknown.len()) {
        (0, unknown) => format!("{unknown} of {} could not look", counted(total)),
        (failed, 0) => format!("{failed} of {} failed", counted(total)),
        (failed, unknown) => {
            format!("{failed} of {} failed and {unknown} could not look", counted(total))
        }
    };
    let worst = if failed.is_empty() { &unknown } else { &failed };
    message = format!("{message}: {}", named(worst));
    let classes: Vec<FailureClass> = worst.iter().map(|check| check.cause.class).collect();
    // One cause behind all of them is the cause of the run; of several, the run may be tried again.
    let same = classes.iter().all(|class| *class == classes[0]);
    let class = if same { classes[0] } else { FailureClass::Transient };
    let retry_after = worst.iter().filter_map(|check| check.cause.retry_after).max();
    let retry_after = retry_after.filter(|_| class == FailureClass::Throttled);
    Outcome::Failed(Failure { retry_after, ..Failure::new(class, message) })
}

fn note(total: usize, warned: &[&Judged]) -> String {
    match warned.len() {
        0 => format!("{} ok", counted(total)),
        n => format!("{} ok, {n} of them with a warning: {}", counted(total), named(warned)),
    }
}

fn counted(checks: usize) -> String {
    if checks == 1 { "1 check".to_owned() } else { format!("{checks} checks") }
}

/// The first few checks with their words.
fn named(checks: &[&Judged]) -> String {
    let first = checks.iter().take(NAMED);
    let mut texts: Vec<String> =
        first.map(|check| format!("{}: {}", check.name, one_line(&check.text))).collect();
    if checks.len() > NAMED {
        texts.push(format!("and {} more", checks.len() - NAMED));
    }
    texts.join("; ")
}

/// Text from elsewhere, without what would break a line or a terminal, and of bounded length.
fn one_line(text: &str) -> String {
    const SHOWN: usize = 300;
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = clean.take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        line.push('…');
    }
    line
}
