//! What queries of every database have: where a row is, and where a read begins.
//!
//! Owns the parameter `:cursor` in a text of SQL. Refuses to know a database.

use std::fmt;

use super::super::trouble::Trouble;
use super::Start;

/// The parameter.
pub(super) const PARAMETER: &str = ":cursor";

/// Where a row is, by its number.
pub(super) struct Place(pub(super) u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.0)
    }
}

/// The value of the parameter. A comparison with none is never true, so that a query without a beginning
/// would give nothing and look as if there were nothing: that is refused, unless it asks for just this.
pub(super) fn cursor<'s>(
    key: &str,
    sql: &str,
    start: &'s Start,
) -> Result<Option<&'s str>, Trouble> {
    let asks = sql.to_ascii_lowercase().contains(":cursor is null");
    match &start.cursor {
        Some(cursor) => Ok(Some(cursor)),
        None if asks => Ok(None),
        None => Err(Trouble::config(format!(
            "`{key}.query` has `{PARAMETER}`, and nothing says where the first read begins: add \
             `initial` to `cursor`"
        ))),
    }
}

/// The text with another name for the parameter, and whether it has it; what stands in quotes or comments
/// is left alone.
pub(super) fn renamed(sql: &str, name: &str) -> (String, bool) {
    let (mut out, mut found, mut rest) = (String::with_capacity(sql.len()), false, sql);
    while let Some(at) = rest.find(['\'', '"', '-', '/', '$', ':']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if is_parameter(from) {
            out.push_str(name);
            (found, rest) = (true, &from[PARAMETER.len()..]);
            continue;
        }
        let (taken, after) = from.split_at(skipped(from));
        out.push_str(taken);
        rest = after;
    }
    out.push_str(rest);
    (out, found)
}

fn is_parameter(text: &str) -> bool {
    let after = text.strip_prefix(PARAMETER).map(|after| after.chars().next());
    after.is_some_and(|next| next.is_none_or(|next| !next.is_alphanumeric() && next != '_'))
}

/// Bytes that are to be left alone at the beginning of a text: a quoted one, a comment, a cast, or a sign.
fn skipped(text: &str) -> usize {
    let closed = |open: usize, end: &str| {
        let found = text[open..].find(end);
        found.map_or(text.len(), |at| open + at + end.len())
    };
    match text.as_bytes() {
        [quote @ (b'\'' | b'"'), ..] => closed(1, if *quote == b'"' { "\"" } else { "'" }),
        [b'-', b'-', ..] => closed(2, "\n"),
        [b'/', b'*', ..] => closed(2, "*/"),
        [b':', b':', ..] => 2,
        [b'$', ..] => {
            let tag = text[1..].find('$').map(|end| &text[..end + 2]);
            let word =
                |tag: &&str| tag[1..tag.len() - 1].chars().all(|c| c.is_alphanumeric() || c == '_');
            tag.filter(word).map_or(1, |tag| closed(tag.len(), tag))
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_parameter_is_renamed() {
        let cases = [
            ("SELECT a FROM t WHERE b > :cursor", "SELECT a FROM t WHERE b > $1", true),
            ("x >= :cursor::timestamptz AND y<:cursor)", "x >= $1::timestamptz AND y<$1)", true),
            ("':cursor' \":cursor\" -- :cursor\n/* :cursor */", "", false),
            ("'it''s :cursor'", "", false),
            ("$$ :cursor $$ $a$ :cursor $a$ a::cursor :cursors $1 - / é'", "", false),
        ];
        for (sql, expected, found) in cases {
            let expected = if found { expected } else { sql };
            assert_eq!(renamed(sql, "$1"), (expected.to_owned(), found));
        }
    }
}
