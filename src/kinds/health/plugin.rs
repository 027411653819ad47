//! The `command` probe: a program after the convention of monitoring plugins.
//!
//! Owns the convention: exit codes, the first line, and the performance data behind `|`, as lenient as
//! plugins are sloppy. Refuses to know processes.

use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::{Cause, Found, Verdict};
use crate::clock::Clock;
use crate::kinds::command::Run;
use crate::kinds::output::Output;
use crate::kinds::process::{self, Capture, Exit, Program, Scan, SpawnError};
use crate::kinds::{Stop, StopReason};
use crate::model::Fault;
use crate::yaml::section;

/// What it measures beside what the plugin reports.
pub(super) const MEASURES: &[(&str, Quantity)] =
    &[("exit", Quantity::Number), ("output", Quantity::Text)];

/// Most bytes of output that are looked at.
const OUTPUT_MAX: usize = 64 * 1024;

section! {
    /// A program that judges by itself.
    pub struct PluginProbe {
        /// What runs: a list is a program with its arguments, a text is given to `/bin/sh -c`. Templates.
        pub run: Run,
    }
}

/// Runs it to its end, which a pulled stop brings about. `odd` knows exit codes that no plugin has.
pub(super) async fn read(
    program: Program<'_>,
    output: &Output,
    stop: &mut Stop,
    clock: &dyn Clock,
    odd: &(dyn Fn(i32, &str) -> Option<Found> + Sync),
) -> Found {
    let mut capture = Capture::seen(output, Scan::keeping(OUTPUT_MAX), Scan::default());
    match process::run(program, &mut capture, stop, clock).await {
        Ok(exit) => judge(&exit, &capture, odd),
        Err(SpawnError { class, message }) => {
            Found::Unknown(message, Cause { class, ..Cause::TRANSIENT })
        }
    }
}

fn judge(
    exit: &Exit,
    capture: &Capture<'_>,
    odd: &(dyn Fn(i32, &str) -> Option<Found> + Sync),
) -> Found {
    let output = String::from_utf8_lossy(capture.stdout.kept());
    let (line, data) = split(&output);
    let said = if line.is_empty() { capture.stderr.last_line().unwrap_or_default() } else { line };
    if let Some(reason) = exit.stopped {
        let (why, fault) = match reason {
            StopReason::TimedOut => ("it took too long and was ended", Some(Fault::TimedOut)),
            StopReason::Cancelled | StopReason::Shutdown => ("it was stopped", None),
        };
        return Found::blind(why, fault);
    }
    let Some(code) = exit.status.code() else {
        return Found::blind(format!("it was ended by {}", exit.status), Fault::ExecSignal);
    };
    let verdict = match code {
        0 => Verdict::Ok,
        1 => Verdict::Warn,
        2 => Verdict::Fail,
        3 => Verdict::Unknown,
        code => {
            if let Some(found) = odd(code, &said) {
                return found;
            }
            let why = format!("exit code {code} means nothing for a plugin: {said}");
            return match code {
                // What a shell says where it can't start a program.
                126 => Found::blind(why, Fault::PermissionDenied),
                127 => Found::blind(why, Fault::ExecMissing),
                _ => Found::unknown(why),
            };
        }
    };
    let mut reading = Reading::default()
        .with("exit", Measured::Number(code.into(), Unit::Plain))
        .with("output", Measured::Text(output.into_owned()));
    for (label, value) in data {
        reading = reading.with(label, value);
    }
    Found::Judged(verdict, said, reading, Cause::TRANSIENT)
}

/// The first line's text, and all performance data: behind the `|` of the first line, and behind the
/// `|` of a later one to the end.
fn split(output: &str) -> (String, Vec<(String, Measured)>) {
    let (first, rest) = output.split_once('\n').unwrap_or((output, ""));
    let (line, data) = first.split_once('|').unwrap_or((first, ""));
    let later = rest.split_once('|').map_or("", |(_, data)| data);
    let mut all = performance(data);
    all.extend(performance(later));
    (line.trim().to_owned(), all)
}

/// Reads `'label'=value[unit];warn;crit;min;max …`. What can't be read is passed over: plugins leave
/// fields and even values out.
fn performance(text: &str) -> Vec<(String, Measured)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((label, behind)) = label(rest) else { break };
        let end = behind.find(char::is_whitespace).unwrap_or(behind.len());
        let value = behind[..end].split(';').next().unwrap_or_default();
        found.extend(measured(value).map(|value| (label, value)));
        rest = behind[end..].trim_start();
    }
    found
}

/// A label, quoted or not, and what stands behind its `=`.
fn label(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let (label, behind) = text.split_once('=')?;
        return Some((label.trim().to_owned(), behind));
    };
    // Two quotes in a quoted label stand for one.
    let mut from = 0;
    loop {
        let at = from + quoted[from..].find('\'')?;
        match &quoted[at + 1..] {
            next if next.starts_with('\'') => from = at + 2,
            next => {
                let label = quoted[..at].replace("''", "'");
                return Some((label, next.trim_start().strip_prefix('=')?));
            }
        }
    }
}

/// A value with its unit. `U` says that it could not be told.
fn measured(text: &str) -> Option<Measured> {
    let text = text.replace(',', ".");
    let part = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    let most = text.find(|c| !part(c)).unwrap_or(text.len());
    // An `e` may be an exponent or the beginning of a unit.
    let number = |end| text[..end].parse::<f64>().ok().map(|number| (number, end));
    let (number, end) = (1..=most).rev().find_map(number)?;
    let (factor, unit) = match text[end..].trim() {
        "%" => (0.01, Unit::Share),
        "s" => (1.0, Unit::Time),
        "ms" => (1e-3, Unit::Time),
        "us" => (1e-6, Unit::Time),
        "ns" => (1e-9, Unit::Time),
        "B" => (1.0, Unit::Bytes),
        "KB" => (1024.0, Unit::Bytes),
        "MB" => (1024.0 * 1024.0, Unit::Bytes),
        "GB" => (1024.0 * 1024.0 * 1024.0, Unit::Bytes),
        "TB" => (1024.0 * 1024.0 * 1024.0 * 1024.0, Unit::Bytes),
        _ => (1.0, Unit::Plain),
    };
    Some(Measured::Number(number * factor, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn performance_data_is_read_as_plugins_write_it() {
        for (output, line, data) in [
            ("DISK OK\n", "DISK OK", ""),
            (
                "DISK OK - free 3 GB | /=2643MB;5948;5958;0;5968\n",
                "DISK OK - free 3 GB",
                "/ 2.58GiB",
            ),
            ("OK|time=0.012s;;;0 size=512B;;;", "OK", "time 12ms, size 512B"),
            ("OK | 'load 1'=0,5;; 'it''s'=3 p=97%;", "OK", "load 1 0.5, it's 3, p 97%"),
            ("PING OK | rta=12.5ms;100;500;0 pl=0%;20;60;0\n", "PING OK", "rta 12.5ms, pl 0%"),
            ("A | a=1\nlong text\nmore | b=2\nc=3c\n", "A", "a 1, b 2, c 3"),
            ("X | a=U;; b=-3 =", "X", "b -3"),
            ("X | rta=1.5e-03s;;; n=2E+2 m=3events", "X", "rta 1.5ms, n 200, m 3"),
            ("X | junk", "X", ""),
            ("X | 'open=1", "X", ""),
            ("|a=1", "", "a 1"),
            ("", "", ""),
        ] {
            let (found, values) = split(output);
            let mut reading = Reading::default();
            for (label, value) in values {
                reading = reading.with(label, value);
            }
            assert_eq!((found.as_str(), reading.shown().as_str()), (line, data), "{output}");
        }
    }

    proptest::proptest! {
        /// Plugins write anything.
        #[test]
        fn any_output_can_be_read(output in r"([a-z0-9.,;=%|' \n\r\t-]|é|''){0,60}") {
            split(&output);
        }
    }
}
