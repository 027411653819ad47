//! Places in a sheet, as people write them: `'Port Sheet'!B7`.
//!
//! Owns the letters of columns, the quoting of tabs, and the corner of a range. Pure.

/// The letters of a column, from 0.
pub(in super::super) fn letters(column: usize) -> String {
    let mut column = column + 1;
    let mut letters = Vec::new();
    while column > 0 {
        let digit = u8::try_from((column - 1) % 26).expect("it is less than 26");
        letters.push(char::from(b'A' + digit));
        column = (column - 1) / 26;
    }
    letters.iter().rev().collect()
}

/// The name of a tab, as a range has it.
pub(in super::super) fn quoted(tab: &str) -> String {
    format!("'{}'", tab.replace('\'', "''"))
}

/// Where a range begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Area {
    /// Its first column, from 0.
    pub(in super::super) column: usize,
    /// Its first row, from 0.
    pub(in super::super) row: u64,
}

impl Area {
    /// Where `'Port Sheet'!B2:K1000` begins; `A1` where it does not say.
    pub(in super::super) fn of(range: &str) -> Self {
        let cells = range.rsplit_once('!').map_or(range, |(_, cells)| cells);
        let first = cells.split(':').next().unwrap_or_default().trim_start_matches('$');
        let end = first.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(first.len());
        let (letters, digits) = first.split_at(end);
        // A range without any cells is the name of a tab.
        if letters.len() > 3 {
            return Self::default();
        }
        let column = letters
            .bytes()
            .fold(0, |sum, letter| sum * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1);
        let row = digits.trim_start_matches('$').parse().unwrap_or(1_u64);
        Self { column: column.saturating_sub(1), row: row.saturating_sub(1) }
    }

    /// The place of a cell in it.
    pub(in super::super) fn cell(self, row: u64, column: usize) -> String {
        format!("{}{}", letters(self.column + column), self.row + row + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_letters() {
        for (column, text) in
            [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA")]
        {
            assert_eq!(letters(column), text);
            assert_eq!(Area::of(&format!("{text}7")).column, column);
        }
    }

    #[test]
    fn a_range_has_a_corner() {
        for (range, cell) in [
            ("'Port Sheet'!B3:K1000", "B3"),
            ("A1:K", "A1"),
            ("'it''s!odd'!C5", "C5"),
            ("Sheet1", "A1"),
            ("K", "K1"),
            ("5:9", "A5"),
            ("$B$4:C", "B4"),
        ] {
            assert_eq!(Area::of(range).cell(0, 0), cell, "{range}");
        }
        assert_eq!(Area::of("B3:K").cell(2, 1), "C5");
        assert_eq!(quoted("it's"), "'it''s'");
    }
}
