//! Finds a job's columns in a row of headers.
//!
//! Owns how headers are compared, and what is said about one that is not there. Refuses to know where they
//! come from.

use std::collections::HashMap;

use super::super::layout::Layout;
use super::super::trouble::{Ending, Trouble};
use super::super::value::shortened;

/// Where a source's columns stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Header {
    /// For each column of the job, the index of its field; `None` where the column has a default.
    pub(in super::super) fields: Vec<Option<usize>>,
    /// Indexes of fields that no column takes, in the order of their names.
    pub(in super::super) unknown: Vec<usize>,
    /// Fields that there are in all.
    pub(super) width: usize,
    /// The name of each field.
    pub(super) names: Vec<String>,
    /// Where the header of each column of the job stands.
    pub(super) places: Vec<String>,
}

/// How headers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct HeaderRules {
    /// Spaces around them and the case of letters do not count.
    pub(in super::super) folded: bool,
    /// One that stands twice is an error, also where no column takes it.
    pub(in super::super) no_duplicates: bool,
}

impl HeaderRules {
    fn fold(self, name: &str) -> String {
        if self.folded { name.trim().to_lowercase() } else { name.to_owned() }
    }
}

/// A row of headers, as it is looked through.
struct Row<'a> {
    names: &'a [&'a str],
    folded: Vec<String>,
    place: &'a dyn Fn(usize) -> String,
}

/// Finds them; `place` names a header by its index.
pub(super) fn find(
    layout: &Layout,
    names: &[&str],
    rules: HeaderRules,
    place: &dyn Fn(usize) -> String,
) -> Result<Header, Trouble> {
    let folded: Vec<String> = names.iter().map(|name| rules.fold(name)).collect();
    let row = Row { names, folded, place };
    if rules.no_duplicates {
        row.no_duplicates()?;
    }
    let wanted: Vec<String> = layout.made.iter().map(|made| rules.fold(&made.from)).collect();
    let mut header = Header { width: names.len(), ..Header::default() };
    for (at, made) in layout.made.iter().enumerate() {
        let mut found = (0..names.len()).filter(|index| row.folded[*index] == wanted[at]);
        let field = match (found.next(), found.next()) {
            (Some(first), Some(second)) => return Err(row.twice(first, second)),
            (Some(field), None) => Some(field),
            (None, _) if made.maker.has_default() => None,
            (None, _) => return Err(row.absent(&layout.columns[at].name, &made.from, &wanted)),
        };
        header.places.push(field.map(place).unwrap_or_default());
        header.fields.push(field);
    }
    header.names = names.iter().map(|name| (*name).to_owned()).collect();
    header.unknown = (0..names.len())
        .filter(|index| !names[*index].trim().is_empty())
        .filter(|index| !header.fields.contains(&Some(*index)))
        .collect();
    header.unknown.sort_by_key(|index| names[*index]);
    Ok(header)
}

impl Row<'_> {
    fn no_duplicates(&self) -> Result<(), Trouble> {
        let mut seen = HashMap::new();
        for (index, name) in self.folded.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            if let Some(first) = seen.insert(name, index) {
                return Err(self.twice(first, index));
            }
        }
        Ok(())
    }

    fn twice(&self, first: usize, second: usize) -> Trouble {
        let name = shortened(self.names[first], 60);
        let (first, second) = ((self.place)(first), (self.place)(second));
        let message = format!(
            "the header `{name}` stands twice, in {first} and in {second}: nobody can tell which one \
             is meant; rename one of them"
        );
        Trouble::new(Ending::Schema, message)
    }

    /// The nearest header is one that no other column takes, if there is such a one.
    fn absent(&self, column: &str, from: &str, wanted: &[String]) -> Trouble {
        let target = from.trim().to_lowercase();
        let near = |index: &usize| {
            let likeness = strsim::jaro_winkler(&self.names[*index].trim().to_lowercase(), &target);
            let free = !wanted.contains(&self.folded[*index]);
            (free, likeness)
        };
        let named = (0..self.names.len()).filter(|index| !self.names[*index].trim().is_empty());
        let nearest = named.max_by(|a, b| {
            let (a, b) = (near(a), near(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        let message = match nearest {
            None => {
                format!("no header `{from}` for the column `{column}`: there are no headers at all")
            }
            Some(index) => format!(
                "no header `{from}` for the column `{column}`; the nearest is `{}` in {}: if it was \
                 renamed, write that into `from`",
                shortened(self.names[index], 60),
                (self.place)(index)
            ),
        };
        Trouble::new(Ending::Schema, message)
    }
}
