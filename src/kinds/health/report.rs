//! From what probes found to verdicts, and from verdicts to the outcome of a run.
//!
//! Owns the words: the line of each check, and the one line of the run. Refuses to know how anything was
//! found out.

use std::time::Duration;

use jiff::Timestamp;

use super::fault;
use super::measure::{Measured, Reading};
use super::probe::{Cause, Found, Verdict};
use super::spec::{Check, Expectation};
use crate::model::{Failure, FailureClass, Fault, Outcome};

/// Checks that one line names.
const NAMED: usize = 3;

/// When a look was over, and how long it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) at: Timestamp,
    pub(super) took: Duration,
}

/// What a check came to.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    name: String,
    /// The verdict.
    pub(super) verdict: Verdict,
    text: String,
    cause: Cause,
    /// What is wrong; `None` of what is ok.
    pub(super) fault: Option<Fault>,
    /// The look.
    pub(super) look: Look,
}

impl Judged {
    /// What was seen, in one line.
    pub(super) fn line(&self) -> String {
        one_line(&self.text)
    }

    /// Whether a credential is what failed, and nothing was seen for that.
    pub(super) fn lacked_credential(&self) -> bool {
        self.verdict == Verdict::Unknown && self.cause.class == FailureClass::Unauthorized
    }
}

/// What a value says that is not as expected.
struct Broken<'a> {
    name: &'a str,
    verdict: Verdict,
    text: String,
    /// Whether there is no such value.
    missing: bool,
}

/// Holds what was found against what is expected.
pub(super) fn judge(check: &Check, found: Found, look: Look) -> Judged {
    let name = check.name.value.clone();
    let (own, said, reading, cause) = match found {
        Found::Down(text, cause) => (Verdict::Fail, text, None, cause),
        Found::Unknown(text, cause) => (Verdict::Unknown, text, None, cause),
        Found::Values(reading, cause) => (Verdict::Ok, String::new(), Some(reading), cause),
        Found::Judged(verdict, said, reading, cause) => (verdict, said, Some(reading), cause),
    };
    let reading = reading.as_ref();
    let broken = reading.map(|reading| all_broken(check, reading)).unwrap_or_default();
    let verdict = broken.iter().map(|one| one.verdict).max().unwrap_or(Verdict::Ok).max(own);
    let worst: Vec<&Broken> = broken.iter().filter(|one| one.verdict == verdict).collect();
    let mut texts = vec![said];
    texts.extend(worst.iter().map(|one| one.text.clone()));
    texts.retain(|text| !text.is_empty());
    if let (true, Some(reading)) = (texts.is_empty(), reading) {
        texts.push(reading.shown());
    }
    let text = texts.join("; ");
    let of_value = || {
        let first = worst.first()?;
        match fault::of_value(&check.probe, first.name, &cause) {
            Some(Fault::Threshold | Fault::Stale) if first.missing => Some(Fault::BadAnswer),
            known => known,
        }
    };
    let of_words = || fault::of_words(&check.probe, verdict, &cause, &text);
    let known = if own == verdict { cause.fault.or_else(of_value) } else { of_value() };
    let fault = (verdict != Verdict::Ok).then(|| known.unwrap_or_else(of_words));
    Judged { name, verdict, text, cause, fault, look }
}

/// Every expectation that does not hold.
fn all_broken<'a>(check: &'a Check, reading: &Reading) -> Vec<Broken<'a>> {
    let expect = check.expect.iter().filter_map(|one| broken(one, reading, Verdict::Fail));
    let warn = check.warn.iter().filter_map(|one| broken(one, reading, Verdict::Warn));
    expect.chain(warn).collect()
}

/// The verdict and the words where an expectation does not hold.
fn broken<'a>(
    expectation: &'a Expectation,
    reading: &Reading,
    verdict: Verdict,
) -> Option<Broken<'a>> {
    let name = expectation.value.as_str();
    let of = |verdict, text| Some(Broken { name, verdict, text, missing: false });
    let Some(value) = reading.get(name) else {
        return of(Verdict::Unknown, format!("it did not report `{name}`"));
    };
    if let Measured::Missing(why) = value {
        return Some(Broken { name, verdict, text: why.clone(), missing: true });
    }
    match expectation.condition.holds(value) {
        Ok(true) => None,
        Ok(false) => {
            let shown = value.shown(expectation.condition.unit());
            let expected = expectation.condition.shown();
            of(verdict, format!("{name} {shown}, expected {expected}"))
        }
        Err(error) => of(Verdict::Unknown, format!("{name}: {error}")),
    }
}

/// The lines of all checks, one each.
pub(super) fn lines(checks: &[Judged]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let line = |check: &Judged| {
        let (verdict, name, text) = (check.verdict.word(), &check.name, check.line());
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
        first.map(|check| format!("{}: {}", check.name, check.line())).collect();
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
