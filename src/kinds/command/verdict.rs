//! From the end of a program to an outcome.
//!
//! Owns the class of each end and the words for it. Refuses to know how the program ran.

use std::os::unix::process::ExitStatusExt;

use super::spec::{CommandSpec, PatternText, Run, Signs};
use crate::kinds::StopReason;
use crate::kinds::process::{Capture, Exit, Pattern};
use crate::model::{Failure, FailureClass, Outcome};

/// The patterns of a section, compiled for one attempt.
#[derive(Debug)]
pub(super) struct Watch {
    auth: Compiled,
    transient: Compiled,
}

#[derive(Debug, Default)]
struct Compiled {
    stdout: Option<Pattern>,
    stderr: Option<Pattern>,
}

impl Watch {
    pub(super) fn new(spec: &CommandSpec) -> Result<Self, String> {
        let auth = Compiled::new(spec.auth_failure.as_ref())?;
        let transient = Compiled::new(spec.transient.as_ref())?;
        Ok(Self { auth, transient })
    }

    pub(super) fn stdout(&self) -> impl Iterator<Item = &Pattern> {
        self.auth.stdout.iter().chain(&self.transient.stdout)
    }

    pub(super) fn stderr(&self) -> impl Iterator<Item = &Pattern> {
        self.auth.stderr.iter().chain(&self.transient.stderr)
    }

    /// The outcome of an end. A refused credential is one whatever the exit code: the script that
    /// prints `token error` and exits 0 is how a dead credential stays unseen.
    pub(super) fn judge(&self, spec: &CommandSpec, exit: &Exit, capture: &Capture<'_>) -> Outcome {
        let code = exit.status.code();
        let has = |signs: &Option<Signs>| {
            signs.as_ref().is_some_and(|signs| {
                signs.exit_codes.0.iter().any(|known| Some(i32::from(known.value)) == code)
            })
        };
        if exit.stopped.is_some() {
            return failed(stopped_class(exit.stopped), &last_words(exit, None), exit);
        }
        let refused = self.auth.found_in(capture);
        if refused.is_some() || has(&spec.auth_failure) {
            let line = refused.or_else(|| last_line(capture));
            return failed(FailureClass::Unauthorized, &last_words(exit, line), exit);
        }
        if code.is_some_and(|code| spec.is_success(code)) {
            return Outcome::Succeeded { note: exit.remarks.join("; ") };
        }
        let sign = self.transient.found_in(capture);
        let class = match &spec.transient {
            Some(_) if sign.is_some() || has(&spec.transient) => FailureClass::Transient,
            Some(_) => FailureClass::Permanent,
            None => class_of(code, &spec.run),
        };
        failed(class, &last_words(exit, sign.or_else(|| last_line(capture))), exit)
    }
}

impl Compiled {
    fn new(signs: Option<&Signs>) -> Result<Self, String> {
        let Some(signs) = signs else { return Ok(Self::default()) };
        let compile = |text: &Option<PatternText>| {
            text.as_ref().map(|text| Pattern::parse(&text.0)).transpose()
        };
        Ok(Self { stdout: compile(&signs.stdout_match)?, stderr: compile(&signs.stderr_match)? })
    }

    fn found_in(&self, capture: &Capture<'_>) -> Option<String> {
        let stderr = self.stderr.as_ref().and_then(|pattern| capture.stderr.found(pattern));
        stderr.or_else(|| capture.stdout.found(self.stdout.as_ref()?))
    }
}

/// The class of a failing end that the section says nothing about. People who write `retry` want a plain
/// failing program tried again; a program that the shell can't find stays unfound.
fn class_of(code: Option<i32>, run: &Run) -> FailureClass {
    match (code, run) {
        (Some(126 | 127), Run::Shell(_)) => FailureClass::Permanent,
        _ => FailureClass::Transient,
    }
}

fn stopped_class(reason: Option<StopReason>) -> FailureClass {
    match reason {
        Some(StopReason::TimedOut) => FailureClass::TimedOut,
        Some(StopReason::Cancelled) | None => FailureClass::Cancelled,
        Some(StopReason::Shutdown) => FailureClass::Lost,
    }
}

fn failed(class: FailureClass, message: &str, exit: &Exit) -> Outcome {
    let exit_code = exit.status.code();
    Outcome::Failed(Failure { exit_code, ..Failure::new(class, message) })
}

/// The last thing that the program said: errors tell more than results.
fn last_line(capture: &Capture<'_>) -> Option<String> {
    capture.stderr.last_line().or_else(|| capture.stdout.last_line())
}

/// How it ended, what it said, and what else there is to know, in one line.
fn last_words(exit: &Exit, line: Option<String>) -> String {
    let mut words = match (exit.status.code(), exit.status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        // Who killed it is known then, and told behind it.
        (None, Some(9)) if exit.stopped.is_some() => "ended by SIGKILL".to_owned(),
        (None, Some(signal)) => format!("ended by {}", signal_words(signal)),
        (None, None) => "ended in an unknown way".to_owned(),
    };
    if let Some(line) = line {
        words = format!("{words}: {line}");
    }
    for remark in &exit.remarks {
        words = format!("{words}; {remark}");
    }
    words
}

fn signal_words(signal: i32) -> String {
    let words = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL (by hand, or for lack of memory)",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU: it used up limits.cpu_time",
        25 => "SIGXFSZ: it wrote beyond limits.file_size",
        _ => return format!("signal {signal}"),
    };
    words.to_owned()
}
