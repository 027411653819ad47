//! Values as text: how each is written where there is no better form for it, and read back.
//!
//! Owns the one text of a value: times in UTC with `Z`, decimals with all digits of their scale. What `read`
//! takes is exactly what `append` makes, so that a text of somebody else counts as different and is
//! replaced. Refuses to guess what such a text means: that is `map`.

use super::columns::{Column, ColumnType};
use super::value::{Value, Values};

const DAY: i64 = 86_400_000_000;

/// Appends a value's text; of no value, nothing.
pub(super) fn append(value: Value<'_>, kind: ColumnType, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Text(text) | Value::Json(text) => out.push_str(text),
        Value::Int(number) => whole(number.unsigned_abs().into(), number < 0, 0, out),
        Value::Float(number) => float(number, out),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Decimal(digits) => whole(digits.unsigned_abs(), digits < 0, scale(kind), out),
        Value::Date(day) => date(day.into(), out),
        Value::Timestamp(micros) => timestamp(micros, out),
    }
}

/// Reads what `append` made of a value of this type; `None` for any other text.
pub(super) fn read(text: &str, kind: ColumnType) -> Option<Value<'_>> {
    Some(match kind {
        ColumnType::Text => Value::Text(text),
        ColumnType::Json => Value::Json(text),
        ColumnType::Int => Value::Int(i64::try_from(read_whole(text, 0)?).ok()?),
        ColumnType::Float => Value::Float(read_float(text)?),
        ColumnType::Bool => Value::Bool(match text {
            "true" => true,
            "false" => false,
            _ => return None,
        }),
        ColumnType::Decimal { scale, .. } => Value::Decimal(read_whole(text, scale)?),
        ColumnType::Date => Value::Date(i32::try_from(read_date(text)?).ok()?),
        ColumnType::Timestamp => Value::Timestamp(read_timestamp(text)?),
    })
}

/// The key of an encoded row in words: `booking_id=B1, port=Oslo`; of a table without one, the whole row.
pub(super) fn key_of(columns: &[Column], row: &[u8]) -> String {
    let keyed = columns.iter().any(|column| column.key);
    let pairs = columns.iter().zip(Values::of(row)).filter(|(column, _)| !keyed || column.key);
    words(pairs)
}

/// The same of the encoded values of the key's columns alone.
pub(super) fn key_alone(columns: &[Column], key: &[u8]) -> String {
    words(columns.iter().filter(|column| column.key).zip(Values::of(key)))
}

fn words<'a>(pairs: impl Iterator<Item = (&'a Column, Value<'a>)>) -> String {
    const SHOWN: usize = 60;
    let mut out = String::new();
    for (column, value) in pairs {
        if !out.is_empty() {
            out.push_str(", ");
        }
        let mut text = String::new();
        append(value, column.kind, &mut text);
        if value == Value::Null {
            text.push_str("null");
        }
        out.push_str(&column.name);
        out.push('=');
        out.extend(text.chars().take(SHOWN));
        if text.chars().count() > SHOWN {
            out.push('…');
        }
    }
    out
}

fn scale(kind: ColumnType) -> u8 {
    match kind {
        ColumnType::Decimal { scale, .. } => scale,
        _ => 0,
    }
}

/// Writes digits with a point before the last `scale` of them.
fn whole(mut left: u128, negative: bool, scale: u8, out: &mut String) {
    // 39 digits of the greatest number, a point, and zeros before it.
    let mut text = [0_u8; 84];
    let mut at = text.len();
    let mut digits = 0;
    while left > 0 || digits <= scale {
        if digits == scale && scale > 0 {
            at -= 1;
            text[at] = b'.';
        }
        at -= 1;
        // Most numbers fit in 64 bits, where a division costs little.
        let digit = match u64::try_from(left) {
            Ok(small) => {
                left = (small / 10).into();
                u8::try_from(small % 10)
            }
            Err(_) => {
                let digit = u8::try_from(left % 10);
                left /= 10;
                digit
            }
        };
        text[at] = b'0' + digit.expect("a digit is below ten");
        digits += 1;
    }
    if negative {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&text[at..]).expect("digits are ASCII"));
}

/// Shortest digits that give the same number again, with an exponent where it would be long.
fn float(number: f64, out: &mut String) {
    use std::fmt::Write as _;
    let size = number.abs();
    let written = if size != 0.0 && !(1e-5..1e16).contains(&size) {
        write!(out, "{number:e}")
    } else {
        write!(out, "{number}")
    };
    written.expect("a text takes everything");
}

fn date(day: i64, out: &mut String) {
    let (year, month, day) = civil(day);
    if (0..=9999).contains(&year) {
        padded(year, 4, out);
    } else {
        out.push(if year < 0 { '-' } else { '+' });
        padded(year.abs(), 6, out);
    }
    out.push('-');
    padded(month, 2, out);
    out.push('-');
    padded(day, 2, out);
}

fn timestamp(micros: i64, out: &mut String) {
    date(micros.div_euclid(DAY), out);
    let time = micros.rem_euclid(DAY);
    let (seconds, fraction) = (time / 1_000_000, time % 1_000_000);
    for (sign, part) in [('T', seconds / 3600), (':', seconds / 60 % 60), (':', seconds % 60)] {
        out.push(sign);
        padded(part, 2, out);
    }
    if fraction != 0 {
        out.push('.');
        padded(fraction, 6, out);
    }
    out.push('Z');
}

fn padded(number: i64, digits: usize, out: &mut String) {
    let mut text = [b'0'; 20];
    let (mut left, mut at) = (number.unsigned_abs(), text.len());
    while left > 0 {
        at -= 1;
        text[at] = b'0' + u8::try_from(left % 10).expect("a digit is below ten");
        left /= 10;
    }
    let at = at.min(text.len() - digits);
    out.push_str(std::str::from_utf8(&text[at..]).expect("digits are ASCII"));
}

/// Year, month and day of a day since 1970-01-01, in the calendar that goes on for ever both ways. Eras of
/// 400 years begin in March, so that the leap day comes last.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The day of a date; the other way round.
fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Reads digits with exactly `scale` of them behind the point.
fn read_whole(text: &str, scale: u8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (before, behind) = match scale {
        0 => (digits, ""),
        _ => digits.split_once('.')?,
    };
    let wrong = before.is_empty()
        || behind.len() != usize::from(scale)
        || before.len() > 1 && before.starts_with('0');
    if wrong {
        return None;
    }
    let number = if before.len() + behind.len() <= 18 {
        // What fits in 64 bits is read there: it takes a fraction of the time.
        let mut number = 0_i64;
        for digit in before.bytes().chain(behind.bytes()) {
            number = number * 10 + i64::from(of_digit(digit)?);
        }
        i128::from(number)
    } else {
        let mut number = 0_i128;
        for digit in before.bytes().chain(behind.bytes()) {
            number = number.checked_mul(10)?.checked_sub(of_digit(digit)?.into())?;
        }
        // It was counted downwards, since there is one more below zero than above.
        return if negative { Some(number) } else { number.checked_neg() };
    };
    match negative {
        true if number == 0 => None,
        true => Some(-number),
        false => Some(number),
    }
}

fn of_digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

fn read_float(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    // `append` never writes another zero, and `parse` knows words that are no numbers.
    number.is_finite().then_some(if number == 0.0 { 0.0 } else { number })
}

/// A part of a text that is digits only.
fn part(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| Some(number * 10 + i64::from(of_digit(*byte)?)))
}

/// The day that a date names.
fn read_date(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (year, rest) = match bytes.first()? {
        sign @ (b'-' | b'+') => {
            let year = part(bytes.get(1..7)?)?;
            let year = if *sign == b'-' { -year } else { year };
            let long = !(0..=9999).contains(&year);
            (long.then_some(year)?, bytes.get(7..)?)
        }
        _ => (part(bytes.get(..4)?)?, bytes.get(4..)?),
    };
    let [b'-', month @ .., b'-', _, _] = rest else { return None };
    let (month, day) = (part(month)?, part(&rest[4..])?);
    let found = day_of(year, month, day);
    // A thirtieth of February would be another day.
    (rest.len() == 6 && civil(found) == (year, month, day)).then_some(found)
}

fn read_timestamp(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let time = time.as_bytes();
    let fraction = match time.len() {
        8 => 0,
        15 if time[8] == b'.' => part(&time[9..]).filter(|fraction| *fraction != 0)?,
        _ => return None,
    };
    let (hour, minute, second) = (part(&time[..2])?, part(&time[3..5])?, part(&time[6..8])?);
    let legal = time[2] == b':' && time[5] == b':' && hour < 24 && minute < 60 && second < 60;
    let seconds = hour * 3600 + minute * 60 + second;
    let day = read_date(date)?.checked_mul(DAY)?;
    legal.then_some(day.checked_add(seconds * 1_000_000 + fraction)?)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any value of a type, none included.
    pub(in super::super) fn any_value(kind: ColumnType) -> BoxedStrategy<Owned> {
        let some = match kind {
            ColumnType::Text => {
                let odd = prop::sample::select(vec![
                    "",
                    "007",
                    "1e3",
                    "\\N",
                    "\\.",
                    "NULL",
                    "true",
                    " x ",
                    "a\tb\nc\r\\d",
                    "'\"",
                    "é",
                ]);
                prop_oneof![odd.prop_map(str::to_owned), "[^\0]{0,12}"]
                    .prop_map(Owned::Text)
                    .boxed()
            }
            ColumnType::Json => {
                let odd = vec!["{\"a\":[1,\"\\n\"]}", "1", "\"x\"", "[]", "true", "1.50"];
                prop::sample::select(odd).prop_map(|text| Owned::Json(text.to_owned())).boxed()
            }
            ColumnType::Int => any::<i64>().prop_map(Owned::Int).boxed(),
            ColumnType::Float => {
                let number = prop_oneof![any::<f64>(), Just(3.0), Just(1e300), Just(5e-324)];
                let number = number.prop_filter("finite", |number| number.is_finite());
                number.prop_map(|number| Owned::Float(number + 0.0)).boxed()
            }
            ColumnType::Bool => any::<bool>().prop_map(Owned::Bool).boxed(),
            ColumnType::Decimal { precision, .. } => {
                let most = 10_i128.pow(precision.into()) - 1;
                (-most..=most).prop_map(Owned::Decimal).boxed()
            }
            // From the year 1 to the year 9999, which every end knows.
            ColumnType::Date => (-719_162..=2_932_896_i32).prop_map(Owned::Date).boxed(),
            ColumnType::Timestamp => {
                let whole = (-62_135_596_800..=253_402_300_799_i64).prop_map(|s| s * 1_000_000);
                let fine = -62_135_596_800_000_000..=253_402_300_799_999_999_i64;
                prop_oneof![whole, fine].prop_map(Owned::Timestamp).boxed()
            }
        };
        prop_oneof![1 => Just(Owned::Null), 6 => some].boxed()
    }

    /// A value that owns its text.
    #[derive(Clone, Debug, PartialEq)]
    pub(in super::super) enum Owned {
        Null,
        Text(String),
        Int(i64),
        Float(f64),
        Decimal(i128),
        Bool(bool),
        Timestamp(i64),
        Date(i32),
        Json(String),
    }

    impl Owned {
        pub(in super::super) fn value(&self) -> Value<'_> {
            match self {
                Self::Null => Value::Null,
                Self::Text(text) => Value::Text(text),
                Self::Int(number) => Value::Int(*number),
                Self::Float(number) => Value::Float(*number),
                Self::Decimal(digits) => Value::Decimal(*digits),
                Self::Bool(is) => Value::Bool(*is),
                Self::Timestamp(micros) => Value::Timestamp(*micros),
                Self::Date(day) => Value::Date(*day),
                Self::Json(text) => Value::Json(text),
            }
        }
    }

    /// One of each type, decimals of several scales.
    pub(in super::super) fn kinds() -> Vec<ColumnType> {
        let words =
            "text int float bool timestamp date json decimal(38,10) decimal(5,5) decimal(18,0)";
        words.split(' ').map(|word| ColumnType::parse(word).unwrap()).collect()
    }

    fn text(value: Value<'_>, kind: ColumnType) -> String {
        let mut out = String::new();
        append(value, kind, &mut out);
        out
    }

    #[test]
    fn each_type_is_written_in_one_way() {
        let cents = ColumnType::Decimal { precision: 12, scale: 2 };
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_microsecond();
        let cases = [
            (Value::Decimal(1250), cents, "12.50"),
            (Value::Decimal(-5), cents, "-0.05"),
            (Value::Decimal(0), cents, "0.00"),
            (Value::Int(i64::MIN), ColumnType::Int, "-9223372036854775808"),
            (Value::Float(0.1), ColumnType::Float, "0.1"),
            (Value::Float(1e300), ColumnType::Float, "1e300"),
            (Value::Bool(true), ColumnType::Bool, "true"),
            (Value::Date(0), ColumnType::Date, "1970-01-01"),
            (Value::Date(-719_529), ColumnType::Date, "-000001-12-31"),
            (
                Value::Timestamp(at("2026-01-02T03:04:05Z")),
                ColumnType::Timestamp,
                "2026-01-02T03:04:05Z",
            ),
            (Value::Timestamp(-1), ColumnType::Timestamp, "1969-12-31T23:59:59.999999Z"),
            (
                Value::Timestamp(at("2024-02-29T00:00:00.5Z")),
                ColumnType::Timestamp,
                "2024-02-29T00:00:00.500000Z",
            ),
        ];
        for (value, kind, expected) in cases {
            assert_eq!(text(value, kind), expected);
            assert_eq!(read(expected, kind), Some(value), "{expected}");
        }
    }

    #[test]
    fn a_text_of_somebody_else_is_not_read() {
        let cents = ColumnType::Decimal { precision: 12, scale: 2 };
        let cases = [
            (cents, ["12.5", "12", "012.50", "-0.00", "1,50", ".50", "12.500"].as_slice()),
            (ColumnType::Int, &["", "-", "+1", "01", "-0", "1.0", "9223372036854775808"]),
            (ColumnType::Date, &["2026-02-30", "2026-1-2", "2026/01/02", "+002026-01-02", "", "x"]),
            (
                ColumnType::Timestamp,
                &[
                    "2026-01-02T03:04:05",
                    "2026-01-02 03:04:05Z",
                    "2026-01-02T03:04:05+00:00",
                    "2026-01-02T03:04:05.5Z",
                    "2026-01-02T03:04:05.000000Z",
                    "2026-01-02T24:00:00Z",
                    "2026-01-02T03:04:60Z",
                ],
            ),
            (ColumnType::Bool, &["t", "1", "TRUE", ""]),
            (ColumnType::Float, &["inf", "NaN", "", "x"]),
        ];
        for (kind, texts) in cases {
            for text in texts {
                assert_eq!(read(text, kind), None, "{text} as {}", kind.words());
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (kind, value) in prop::sample::select(kinds())
                .prop_flat_map(|kind| (Just(kind), any_value(kind)))
        ) {
            let value = value.value();
            if value != Value::Null {
                let text = text(value, kind);
                prop_assert_eq!(read(&text, kind), Some(value));
            }
        }

        #[test]
        fn the_calendar_is_jiffs(day in -4_371_222_i32..2_932_896) {
            let date = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day);
            let expected = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
            prop_assert_eq!(civil(day.into()), expected);
            prop_assert_eq!(day_of(expected.0, expected.1, expected.2), i64::from(day));
        }
    }
}
