//! Rows of one read that have the same key.
//!
//! Owns what follows from them. Refuses to know how keys are found.

use super::columns::Column;
use super::spec::Dedupe;
use super::stage::sort::Sorted;
use super::stage::{Fate, Fates, Stage};
use super::trouble::{Ending, Trouble};
use super::value::Keys;

/// Leaves out all but one of them, or says that they are there. Gives how many were left out.
pub(super) fn dedupe(stage: &mut Stage, columns: &[Column], how: Dedupe) -> Result<u64, Trouble> {
    let keys = Keys::of(columns);
    if keys.is_whole() {
        return Ok(0);
    }
    let Some((sorted, fates)) = stage.sorted_with_fates()? else { return Ok(0) };
    match how {
        Dedupe::Fail => match first(sorted)? {
            None => Ok(0),
            Some(pair) => Err(twice(stage, &keys, columns, pair)?),
        },
        Dedupe::First | Dedupe::Last => {
            let count = drop_rows(sorted, fates, how)?;
            stage.dropped_more(count);
            Ok(count)
        }
    }
}

fn first(mut sorted: Sorted<'_>) -> Result<Option<[u64; 2]>, Trouble> {
    let mut last = None;
    while let Some(entry) = sorted.next()? {
        match last {
            Some((key, row)) if key == entry.key => return Ok(Some([row, entry.row])),
            _ => last = Some((entry.key, entry.row)),
        }
    }
    Ok(None)
}

/// Rows of a key come in the order in which they were read.
fn drop_rows(mut sorted: Sorted<'_>, fates: &mut Fates, how: Dedupe) -> Result<u64, Trouble> {
    let (mut last, mut count) = (None, 0);
    while let Some(entry) = sorted.next()? {
        if let Some((key, row)) = last
            && key == entry.key
        {
            count += 1;
            let goes = if how == Dedupe::First { entry.row } else { row };
            fates.set(goes, Fate::Dropped);
            if how == Dedupe::First {
                continue;
            }
        }
        last = Some((entry.key, entry.row));
    }
    Ok(count)
}

fn twice(
    stage: &mut Stage,
    keys: &Keys,
    columns: &[Column],
    [first, second]: [u64; 2],
) -> Result<Trouble, Trouble> {
    let mut key = String::new();
    stage.all(&mut |at, row| {
        if at == first {
            key = keys.shown(row, columns);
        }
        Ok(())
    })?;
    let message = format!(
        "rows {} and {} have the same key, `{key}`: correct the source, or say `dedupe: last`",
        first + 1,
        second + 1
    );
    Ok(Trouble::new(Ending::Mapping, message))
}
