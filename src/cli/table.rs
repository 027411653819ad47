//! Plain tables that fit the terminal.
//!
//! Owns widths: every column is as wide as its widest cell, and what is too much is taken from the
//! last column first, whose cells then end in '…'. Refuses to know what the cells mean.

use std::io::{self, Write};

/// Columns of a terminal that does not tell its width.
pub(super) const WIDTH: usize = 80;

/// Narrower than this, a column says nothing.
const COLUMN_MIN: usize = 8;

const GAP: usize = 2;

/// Rows under headings.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    headings: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(headings: [&'static str; N]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        // A line feed in a message would break the table apart.
        self.rows
            .push(cells.map(|cell| plain(&cell.split_whitespace().collect::<Vec<_>>().join(" "))));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn print(&self, out: &mut dyn Write, width: usize) -> io::Result<()> {
        let widths = self.widths(width);
        print_row(out, &self.headings.map(str::to_owned), &widths)?;
        self.rows.iter().try_for_each(|row| print_row(out, row, &widths))
    }

    fn widths(&self, width: usize) -> [usize; N] {
        let mut widths = self.headings.map(length);
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(length(cell));
            }
        }
        let all: usize = widths.iter().sum::<usize>() + GAP * (N - 1);
        let mut excess = all.saturating_sub(width);
        // The last column gives first; then the widest of the others, which is a job's name.
        for column in std::iter::once(N - 1).chain(by_width(&widths)) {
            let given = excess.min(widths[column].saturating_sub(COLUMN_MIN));
            widths[column] -= given;
            excess -= given;
        }
        widths
    }
}

fn by_width<const N: usize>(widths: &[usize; N]) -> Vec<usize> {
    let mut columns: Vec<_> = (0..N - 1).collect();
    columns.sort_by_key(|column| std::cmp::Reverse(widths[*column]));
    columns
}

fn print_row<const N: usize>(
    out: &mut dyn Write,
    cells: &[String; N],
    widths: &[usize; N],
) -> io::Result<()> {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let cell = cut(cell, *width);
        line.push_str(&cell);
        line.extend(std::iter::repeat_n(' ', width + GAP - length(&cell)));
    }
    writeln!(out, "{}", line.trim_end())
}

/// The text, cut to `width` characters with a '…' at the end where something is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The text without what could command a terminal: messages quote what programs print.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(rows: &[[&str; 3]], width: usize) -> String {
        let mut table = Table::new(["JOB", "RUN", "REASON"]);
        for row in rows {
            table.row(row.map(str::to_owned));
        }
        let mut out = Vec::new();
        table.print(&mut out, width).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_last_column_is_cut_first() {
        let rows = [
            ["box-health", "12", ""],
            ["a", "7", "exit status 1: the backup disk\nis full and äöü"],
        ];
        insta::assert_snapshot!(printed(&rows, 80), @r"
        JOB         RUN  REASON
        box-health  12
        a           7    exit status 1: the backup disk is full and äöü
        ");
        insta::assert_snapshot!(printed(&rows, 40), @r"
        JOB         RUN  REASON
        box-health  12
        a           7    exit status 1: the bac…
        ");
    }

    #[test]
    fn no_cell_commands_the_terminal() {
        let text = printed(&[["a", "1", "\u{1b}[2Jgone\u{7}\r\n"]], 80);
        assert_eq!(text.lines().last().unwrap(), "a    1    \u{fffd}[2Jgone\u{fffd}");
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        let long = "x".repeat(63);
        let text = printed(&[[&long, "123456", &long]], 80);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(text.contains("  123456  xxxxxxx…"), "{text}");
    }
}
