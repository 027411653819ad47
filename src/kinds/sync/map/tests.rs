//! What can be made into what, as tables.

use proptest::prelude::*;

use super::super::testing::spec;
use super::super::value::shown;
use super::*;

fn maker(section: &str) -> Result<Maker, Trouble> {
    let text = format!(
        "source: {{ csv: {{ path: a }} }}\ncolumns: {{ a: {section} }}\n\
         destination: {{ sqlite: {{ path: a, table: a }} }}\n"
    );
    let spec = spec(&text);
    Maker::new("a", &spec.columns.0[0].1.value)
}

/// What a cell becomes; why not, behind a `!`.
fn made(section: &str, cell: Cell<'_>, sheet: Option<&str>) -> String {
    let maker = maker(section).unwrap();
    let sheet = sheet.map(|zone| TimeZone::get(zone).unwrap());
    let mut room = Room::default();
    match maker.make(cell, sheet.as_ref(), &mut room) {
        Ok(value) => shown(value, maker.kind()),
        Err(Wrong(why)) => format!("!{why}"),
    }
}

#[test]
fn texts_are_read_strictly() {
    for (section, text, value) in [
        ("{ type: int }", " 12 ", "12"),
        ("{ type: int }", "12.0", "12"),
        ("{ type: int }", "1.2e1", "12"),
        ("{ type: int }", "12.5", "!it is no whole number"),
        ("{ type: int }", "9223372036854775808", "!it is too large for 64 bits"),
        ("{ type: int }", "NaN", "!it is no number"),
        ("{ type: int }", "0x10", "!it is no number"),
        ("{ type: int }", "", "null"),
        ("{ type: float }", "1e3", "1000"),
        ("{ type: float }", "-0.0", "0"),
        ("{ type: float }", "Infinity", "!it is no number"),
        ("{ type: float }", "nan", "!it is no number"),
        ("{ type: float }", "1e999", "!it is not finite"),
        ("{ type: 'decimal(12,2)' }", "0.1", "0.10"),
        ("{ type: 'decimal(12,2)' }", "-1234.50", "-1234.50"),
        (
            "{ type: 'decimal(12,2)' }",
            "1.005",
            "!it has more digits behind the point than the column",
        ),
        ("{ type: 'decimal(4,2)' }", "123.4", "!it has more digits than the column"),
        (
            "{ type: 'decimal(38,0)' }",
            "99999999999999999999999999999999999999",
            "99999999999999999999999999999999999999",
        ),
        ("{ type: 'decimal(12,2)', apply: decimal_comma }", "1.234,50", "1234.50"),
        ("{ type: 'decimal(12,2)', apply: ungroup }", "1,234.50", "1234.50"),
        ("{ type: bool }", "Yes", "true"),
        ("{ type: bool }", "0", "false"),
        ("{ type: bool }", "maybe", "!it is neither true nor false"),
        ("{ type: text }", " a ", " a "),
        ("{ type: text, apply: [trim, squeeze, upper] }", " a   b ", "A B"),
        ("{ type: text, apply: digits }", "+47 22 33", "472233"),
        ("{ type: text, null_if: [n/a, '-'] }", "n/a", "null"),
        ("{ type: int, null_if: '-', default: 7 }", "-", "7"),
        ("{ type: json }", "{\"b\": 1.50, \"a\": [1, null]}", "{\"a\":[1,null],\"b\":1.50}"),
        ("{ type: json }", "{\"a\": NaN}", "!it is no JSON"),
        ("{ type: date }", "2026-01-31", "2026-01-31"),
        ("{ type: date }", "2026-02-30", "!it is no day of ISO 8601"),
        (
            "{ type: date }",
            "2026-01-31T10:00",
            "!it has a time of day: make the column a `timestamp`",
        ),
        ("{ type: date, format: '%d/%m/%Y' }", "31/01/2026", "2026-01-31"),
    ] {
        assert_eq!(made(section, Cell::Text(text), None), value, "{section} {text:?}");
    }
}

#[test]
fn times_are_read_in_their_zone() {
    const UTC: &str = "{ type: timestamp, zone: UTC }";
    const OSLO: &str = "{ type: timestamp, zone: Europe/Oslo }";
    for (section, text, value) in [
        ("{ type: timestamp }", "2026-01-01T12:00:00+01:00", "2026-01-01T11:00:00Z"),
        ("{ type: timestamp }", "2026-01-01 12:00:00.1234567Z", "2026-01-01T12:00:00.123456Z"),
        (
            "{ type: timestamp }",
            "2026-01-01 12:00",
            "!it names no zone, and neither does the column: give it a `zone`",
        ),
        (UTC, "2026-01-01 12:00", "2026-01-01T12:00:00Z"),
        (UTC, "2026-01-01", "2026-01-01T00:00:00Z"),
        (OSLO, "2026-07-01T12:00", "2026-07-01T10:00:00Z"),
        // An offset of its own wins.
        (OSLO, "2026-07-01T12:00Z", "2026-07-01T12:00:00Z"),
        // A clock that was set forward never shows 02:30; it is as much later.
        (OSLO, "2026-03-29T02:30", "2026-03-29T01:30:00Z"),
        // One that was set back shows it twice; the first counts.
        (OSLO, "2026-10-25T02:30", "2026-10-25T00:30:00Z"),
        ("{ type: timestamp, format: epoch_s }", "1.5", "1970-01-01T00:00:01.5Z"),
        ("{ type: timestamp, format: epoch_ms }", "-1", "1969-12-31T23:59:59.999Z"),
        ("{ type: timestamp, format: serial, zone: UTC }", "2.5", "1900-01-01T12:00:00Z"),
        (
            "{ type: timestamp, format: '%d/%m/%Y %H:%M', zone: Europe/Oslo }",
            "01/02/2026 12:30",
            "2026-02-01T11:30:00Z",
        ),
        (
            "{ type: timestamp, format: '%d/%m/%Y', zone: UTC }",
            "soon",
            "!it is not written in the column's format",
        ),
    ] {
        assert_eq!(made(section, Cell::Text(text), None), value, "{section} {text:?}");
    }
}

#[test]
fn cells_of_a_sheet_are_its_serial_days_in_its_zone() {
    const TIME: &str = "{ type: timestamp, zone: sheet }";
    let oslo = Some("Europe/Oslo");
    // The damage test: 46023.5 is noon in Oslo, not noon in UTC.
    assert_eq!(made(TIME, Cell::Number("46023.5"), oslo), "2026-01-01T11:00:00Z");
    assert_eq!(made(TIME, Cell::Float(46023.5), oslo), "2026-01-01T11:00:00Z");
    assert_eq!(made(TIME, Cell::Number("46023.520833333336"), oslo), "2026-01-01T11:30:00Z");
    assert_eq!(made("{ type: date }", Cell::Int(46023), oslo), "2026-01-01");
    let late = "!it has a time of day: make the column a `timestamp`";
    assert_eq!(made("{ type: date }", Cell::Number("46023.5"), oslo), late);
    let none = "!the source has no zone: `sheet` can't be it";
    assert_eq!(made(TIME, Cell::Number("46023.5"), None), none);
    let number = "!it is a number: give the column a `format`, such as `epoch_s`";
    assert_eq!(made("{ type: timestamp }", Cell::Number("46023.5"), None), number);
}

#[test]
fn cells_that_are_no_texts_are_made_too() {
    for (section, cell, value) in [
        ("{ type: text }", Cell::Number("1.50"), "1.50"),
        ("{ type: text }", Cell::Bool(true), "true"),
        ("{ type: text }", Cell::Json("{ \"a\" : 1 }"), "{\"a\":1}"),
        ("{ type: text }", Cell::Missing, "null"),
        ("{ type: text, default: none }", Cell::Null, "none"),
        ("{ type: text }", Cell::Broken("#N/A"), "!the source could not compute it"),
        ("{ type: text, null_if: '#N/A' }", Cell::Broken("#N/A"), "null"),
        ("{ type: int }", Cell::Float(12.0), "12"),
        ("{ type: int }", Cell::Bool(true), "!it is a truth value"),
        ("{ type: float }", Cell::Float(f64::NAN), "!it is not finite"),
        ("{ type: float }", Cell::Float(f64::INFINITY), "!it is not finite"),
        ("{ type: 'decimal(20,2)' }", Cell::Float(0.1), "0.10"),
        ("{ type: json }", Cell::Json("\"a\""), "\"a\""),
        ("{ type: json }", Cell::Json("null"), "null"),
    ] {
        assert_eq!(made(section, cell, None), value, "{section} {cell:?}");
    }
}

#[test]
fn columns_that_can_t_work_are_told() {
    for (section, told) in [
        ("{ type: timestamp, zone: Europe/Olso }", "column `a`: there is no zone `Europe/Olso`"),
        ("{ type: int, default: x }", "column `a`: `default` is `x`: it is no number"),
    ] {
        assert_eq!(maker(section).unwrap_err().message, told);
    }
}

proptest! {
    /// No digit of a decimal is lost, whatever its size.
    #[test]
    fn decimals_are_exact(digits in -10_i128.pow(37)..10_i128.pow(37), scale in 0_u8..20) {
        let text = super::super::value::decimal(digits, scale);
        prop_assert_eq!(number::decimal(&text, 38, scale), Ok(digits));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,24}", scale in 0_u8..38) {
        let _one = number::decimal(&text, 38, scale);
        let _two = number::float(&text).map(|value| assert!(value.is_finite()));
        let zone = Some(&TimeZone::UTC);
        for format in [Format::Iso, Format::Serial, Format::EpochS, Format::EpochMs] {
            let _three = time::timestamp(&text, &format, zone);
            let _four = time::date(&text, &format, zone);
        }
    }

    /// Another way to write the same JSON is the same text.
    #[test]
    fn json_has_one_form(numbers in prop::collection::btree_map("[a-é\"\\\\]{0,3}", any::<i32>(), 0..6)) {
        let (mut one, mut other) = (String::new(), String::new());
        canonical(&serde_json::to_string(&numbers).unwrap(), &mut one).unwrap();
        let backwards: Vec<String> = numbers.iter().rev()
            .map(|(key, value)| format!("{} : {value}", serde_json::to_string(key).unwrap()))
            .collect();
        canonical(&format!("{{ {} }}", backwards.join(" ,\n")), &mut other).unwrap();
        prop_assert_eq!(one, other);
    }
}
