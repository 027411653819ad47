//! The `load` probe: how many processes want to run on this host.

use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::Found;
use super::spec::Expectation;

/// What it measures.
pub(super) const MEASURES: &[(&str, Quantity)] = &[
    ("1m", Quantity::Number),
    ("5m", Quantity::Number),
    ("15m", Quantity::Number),
    ("per_core", Quantity::Number),
];

/// What is expected where nothing is said.
pub(super) fn defaults() -> Vec<Expectation> {
    vec![Expectation::below("per_core", 4.0, Unit::Plain)]
}

/// Reads /proc/loadavg.
pub(super) fn read() -> Found {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    match std::fs::read_to_string("/proc/loadavg") {
        Ok(text) => match reading(&text, cores) {
            Some(reading) => Found::values(reading),
            None => Found::unknown(format!("can't make sense of /proc/loadavg: {text}")),
        },
        Err(error) => Found::unknown(format!("can't read /proc/loadavg: {error}")),
    }
}

/// By processors it is the 5-minute load that counts: the 1-minute one jumps with every build.
fn reading(text: &str, cores: usize) -> Option<Reading> {
    let mut fields = text.split_whitespace().map(|field| field.parse::<f64>().ok());
    let mut next = || fields.next().flatten();
    let (one, five, fifteen) = (next()?, next()?, next()?);
    let cores = f64::from(u32::try_from(cores).unwrap_or(u32::MAX));
    let number = |number| Measured::Number(number, Unit::Plain);
    let reading = Reading::default()
        .with("1m", number(one))
        .with("5m", number(five))
        .with("15m", number(fifteen))
        .with("per_core", number(five / cores));
    Some(reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_read() {
        let reading = reading("0.52 3.00 0.59 3/812 12345\n", 2).unwrap();
        assert_eq!(reading.shown(), "1m 0.52, 5m 3, 15m 0.59, per_core 1.5");
        assert_eq!(super::reading("0.52 x", 2), None);
    }
}
