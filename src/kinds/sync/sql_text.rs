//! The text of SQL statements: names in it, and lists of them.
//!
//! Owns quoting, which is the same in SQLite and Postgres. Values never stand in a text. Refuses to know
//! either database.

use super::columns::Column;

/// A name in double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The names of columns, with commas between them.
pub(super) fn names<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    list(columns, |column| quoted(&column.name))
}

/// What is made of each column, with commas between.
pub(super) fn list<'a>(
    columns: impl Iterator<Item = &'a Column>,
    each: impl FnMut(&'a Column) -> String,
) -> String {
    columns.map(each).collect::<Vec<_>>().join(", ")
}

/// A condition on each column of the key, all of which must hold.
pub(super) fn all<'a>(
    columns: impl Iterator<Item = &'a Column>,
    each: impl FnMut(&'a Column) -> String,
) -> String {
    columns.map(each).collect::<Vec<_>>().join(" AND ")
}

/// Columns that are part of the key.
pub(super) fn key(columns: &[Column]) -> impl Iterator<Item = &Column> + Clone {
    columns.iter().filter(|column| column.key)
}

/// The others.
pub(super) fn rest(columns: &[Column]) -> impl Iterator<Item = &Column> + Clone {
    columns.iter().filter(|column| !column.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_gets_out_of_its_quotes() {
        assert_eq!(quoted("a\"; DROP TABLE b; --"), "\"a\"\"; DROP TABLE b; --\"");
    }
}
