//! Numbers as they are written, exactly.
//!
//! Owns the one reading of a decimal number; nothing passes through binary floating point. Refuses to round.

use super::Wrong;

/// A number: `mantissa` times ten to the power of `exponent`, the mantissa without zeros at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exact {
    negative: bool,
    mantissa: u128,
    exponent: i32,
}

/// Largest exponent that is looked at: beyond it no column can hold the number.
const EXPONENT_MAX: i32 = 10_000;

impl Exact {
    /// Reads `-12.50`, `+3`, `.5`, `1e3`. No spaces, no signs of groups, never `NaN` or `Infinity`.
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        const NO_NUMBER: Wrong = Wrong("it is no number");
        let (negative, text) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (digits, power) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], power(&text[at + 1..])?),
            None => (text, 0),
        };
        let mut exact = Self { negative, mantissa: 0, exponent: power };
        let (mut zeros, mut behind_point, mut any) = (0_u32, false, false);
        for byte in digits.bytes() {
            match byte {
                b'.' if !behind_point => behind_point = true,
                b'0'..=b'9' => {
                    any = true;
                    exact.exponent -= i32::from(behind_point);
                    zeros += 1;
                    if byte != b'0' {
                        exact.push(zeros, byte - b'0')?;
                        zeros = 0;
                    }
                }
                _ => return Err(NO_NUMBER),
            }
        }
        if !any {
            return Err(NO_NUMBER);
        }
        exact.exponent = exact.exponent.saturating_add(i32::try_from(zeros).unwrap_or(i32::MAX));
        Ok(exact)
    }

    /// Appends a digit that closes a row of so many, all before it zeros.
    fn push(&mut self, digits: u32, digit: u8) -> Result<(), Wrong> {
        let shifted = match self.mantissa {
            0 => Some(0),
            some => 10_u128.checked_pow(digits).and_then(|power| some.checked_mul(power)),
        };
        let pushed = shifted.and_then(|shifted| shifted.checked_add(digit.into()));
        self.mantissa = pushed.ok_or(Wrong("it has more than 38 digits"))?;
        Ok(())
    }

    /// Its digits with so many behind the point, where that loses nothing.
    pub(super) fn scaled(self, scale: u8) -> Result<i128, Wrong> {
        if self.mantissa == 0 {
            return Ok(0);
        }
        let shift = self.exponent + i32::from(scale);
        let power = u32::try_from(shift).map_err(|_| match scale {
            0 => Wrong("it is no whole number"),
            _ => Wrong("it has more digits behind the point than the column"),
        })?;
        let large = Wrong("it is too large");
        let digits = 10_u128.checked_pow(power).and_then(|power| self.mantissa.checked_mul(power));
        let digits = i128::try_from(digits.ok_or(large)?).map_err(|_| large)?;
        Ok(if self.negative { -digits } else { digits })
    }

    /// The same, what is finer cut off towards the past.
    pub(super) fn floored(self, scale: u8) -> Result<i128, Wrong> {
        let finer = -(self.exponent + i32::from(scale));
        let Ok(finer @ 1..) = u32::try_from(finer) else { return self.scaled(scale) };
        let divisor = 10_u128.checked_pow(finer).unwrap_or(u128::MAX);
        let whole =
            i128::try_from(self.mantissa / divisor).map_err(|_| Wrong("it is too large"))?;
        let rest = !self.mantissa.is_multiple_of(divisor);
        Ok(if self.negative { -whole - i128::from(rest) } else { whole })
    }
}

fn power(text: &str) -> Result<i32, Wrong> {
    let power = text.parse().map_err(|_| Wrong("it is no number"))?;
    if (-EXPONENT_MAX..=EXPONENT_MAX).contains(&power) {
        Ok(power)
    } else {
        Err(Wrong("it is too large or too small"))
    }
}

/// A whole number of 64 bits. `12.0` and `1.2e1` are one; `12.5` is none.
pub(super) fn int(text: &str) -> Result<i64, Wrong> {
    if let Ok(value) = text.parse() {
        return Ok(value);
    }
    let whole = Exact::read(text)?.scaled(0)?;
    i64::try_from(whole).map_err(|_| Wrong("it is too large for 64 bits"))
}

/// A decimal number of a column's precision and scale, as its digits.
pub(super) fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, Wrong> {
    let digits = Exact::read(text)?.scaled(scale)?;
    if digits.unsigned_abs() < 10_u128.pow(precision.into()) {
        Ok(digits)
    } else {
        Err(Wrong("it has more digits than the column"))
    }
}

/// A binary number, the closest one; never the negative zero, `NaN` or `Infinity`.
pub(super) fn float(text: &str) -> Result<f64, Wrong> {
    let written =
        text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    let value = written.then(|| text.parse::<f64>().ok()).flatten();
    finite(value.ok_or(Wrong("it is no number"))?)
}

/// The same of a number that is one already.
pub(super) fn finite(value: f64) -> Result<f64, Wrong> {
    if value.is_finite() { Ok(value + 0.0) } else { Err(Wrong("it is not finite")) }
}
