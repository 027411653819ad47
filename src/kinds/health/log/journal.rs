//! A log that is the journal.
//!
//! Owns the pages of a look. Refuses to call well what it could not read.

use jiff::Timestamp;

use super::mark::Place;
use super::{Catch, Seen, Sieve};
use crate::clock::Clock;
use crate::kinds::systemd::Scope;
use crate::kinds::systemd::journal::{self, From};
use crate::model::Fault;

/// Entries of a page, and most pages of a look; the next one goes on from there.
const PAGE: usize = 1000;
const PAGES: usize = 50;

/// A look.
pub(super) struct Ask<'a> {
    pub(super) unit: String,
    pub(super) scope: Scope,
    pub(super) clock: &'a dyn Clock,
    pub(super) now: Timestamp,
}

impl Ask<'_> {
    /// Reads on from a place; without one, the end is where the next look begins.
    pub(super) async fn read(&self, from: Option<&Place>, sieve: &Sieve) -> Result<Seen, String> {
        let from = from.filter(|place| match place {
            Place::Journal { unit, .. } => *unit == self.unit,
            Place::File(_) | Place::NoFile { .. } => false,
        });
        let Some(Place::Journal { cursor, since, .. }) = from else {
            let page = self.page(From::Tail(1), 1).await?;
            let gap = page.partial.map(|why| (why, Fault::PermissionDenied));
            return Ok(Seen {
                catch: Catch::default(),
                next: self.place(page.cursor, self.now),
                gap,
            });
        };
        let (mut catch, mut cursor, mut gap) = (Catch::default(), cursor.clone(), None);
        for _ in 0..PAGES {
            let begin = match &cursor {
                Some(cursor) => From::Cursor(cursor.clone()),
                None => From::Since(*since),
            };
            let page = self.page(begin, PAGE).await?;
            for entry in &page.entries {
                entry.message.lines().for_each(|line| sieve.take(line.as_bytes(), &mut catch));
            }
            if page.lost {
                let why = "the journal was begun anew: entries since the last look may be missing";
                gap = Some((why.to_owned(), Fault::Truncated));
            }
            gap = gap.or(page.partial.map(|why| (why, Fault::PermissionDenied)));
            cursor = page.cursor.or(cursor);
            if !page.more {
                break;
            }
        }
        Ok(Seen { catch, next: self.place(cursor, *since), gap })
    }

    async fn page(&self, from: From, most: usize) -> Result<journal::Page, String> {
        let unit = Some(self.unit.clone());
        let ask = journal::Ask { unit, scope: self.scope, from, most, directory: None };
        journal::read(&ask, self.clock).await
    }

    fn place(&self, cursor: Option<String>, since: Timestamp) -> Place {
        Place::Journal { unit: self.unit.clone(), cursor, since }
    }
}
