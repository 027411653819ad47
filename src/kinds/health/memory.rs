//! The `memory` probe: how much of this host's memory is in use.

use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::Found;
use super::spec::Expectation;

/// What it measures.
pub(super) const MEASURES: &[(&str, Quantity)] =
    &[("used", Quantity::Bytes), ("available", Quantity::Bytes), ("swap", Quantity::Bytes)];

/// What is expected where nothing is said.
pub(super) fn defaults() -> Vec<Expectation> {
    vec![Expectation::below("used", 0.9, Unit::Share)]
}

/// Reads /proc/meminfo.
pub(super) fn read() -> Found {
    match std::fs::read_to_string("/proc/meminfo") {
        Ok(text) => match reading(&text) {
            Some(reading) => Found::values(reading),
            None => Found::unknown("/proc/meminfo lacks MemTotal or MemAvailable"),
        },
        Err(error) => Found::unknown(format!("can't read /proc/meminfo: {error}")),
    }
}

/// Used is what is not available: caches that the kernel would give up are not in use.
fn reading(text: &str) -> Option<Reading> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        kilobytes.checked_mul(1024)
    };
    let (total, available) = (value("MemTotal")?, value("MemAvailable")?);
    let swap = value("SwapTotal").unwrap_or_default();
    let swapped = swap.saturating_sub(value("SwapFree").unwrap_or_default());
    let reading = Reading::default()
        .with("used", Measured::part(total.saturating_sub(available), total, Unit::Bytes))
        .with("available", Measured::part(available, total, Unit::Bytes))
        .with("swap", Measured::part(swapped, swap, Unit::Bytes));
    Some(reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_would_give_up_is_available() {
        let text = "MemTotal:        1000 kB\nMemFree:           50 kB\nMemAvailable:     750 kB\n\
                    SwapTotal:          0 kB\nSwapFree:           0 kB\n";
        assert_eq!(reading(text).unwrap().shown(), "used 25%, available 75%, swap 0%");
        assert_eq!(reading("MemTotal: 1000 kB\nMemFree: 50 kB\n"), None);
        assert_eq!(reading("nonsense"), None);
    }
}
