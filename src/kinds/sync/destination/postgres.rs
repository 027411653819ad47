//! The `postgres` destination: a table of a Postgres database.
//!
//! Owns one transaction that holds the rows and the ledger. Refuses to judge a change.
//!
//! The table is locked against other writers (SHARE ROW EXCLUSIVE), never against readers: they see it as it
//! was until the commit. So `replace` is a DELETE of all rows, not a TRUNCATE, which would keep readers
//! waiting until the commit and show an empty table to those that began before; what the deleted rows took
//! up, autovacuum gives back. New rows are copied straight into the table. Changed and deleted ones are
//! copied into a temporary table, from where one statement merges them.

mod copied;
mod table;
mod writer;

use std::time::Duration;

use futures_util::StreamExt as _;

use self::table::Place;
use self::writer::Writer;
use super::super::columns::Column;
use super::super::diff::{Effect, Work};
use super::super::ledger::Ledger;
use super::super::postgres_link::{Link, Server};
use super::super::sql_text::names;
use super::super::tools::Tools;
use super::super::trouble::{Ending, Trouble};
use super::{Each, Found, Moves, Shape, step};
use crate::yaml::{Located, section};

section! {
    /// A table of a Postgres database.
    pub struct PostgresTable {
        /// Its address, without a password: `postgres://user@host/database`. A template.
        pub url: Located<String>,
        /// The credential with user and password, by the job's own name for it.
        pub credential: Option<Located<String>>,
        /// The table, with its schema or without: `ops.bookings`. It is made where it is missing.
        pub table: Located<String>,
    }
}

/// Messages of a copy that are taken at one time, where so many are there.
const AT_ONCE: usize = 1024;

/// Longest time that the answer to a commit is waited for.
const COMMIT: Duration = Duration::from_mins(10);

/// How often it is asked what became of a commit whose answer was lost.
const ASKED: u32 = 5;

/// How long is waited between.
const AGAIN: Duration = Duration::from_secs(2);

/// Under way: a transaction that nobody else can write beside. Dropped, it is rolled back.
pub(in super::super) struct Session {
    link: Link,
    to: PostgresTable,
    tools: Tools,
    place: Place,
    stream: String,
    columns: Vec<Column>,
    empty: bool,
}

impl PostgresTable {
    fn server(&self) -> Server<'_> {
        Server {
            url: &self.url,
            key: "destination.postgres.url",
            credential: self.credential.as_ref(),
            side: Ending::Destination,
        }
    }

    pub(super) fn begin(
        &self,
        tools: &Tools,
        shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        let link = Link::open(self.server(), tools)?;
        link.wait(link.client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"))?;
        let place = table::ready(&link, &self.table.value, shape.columns)?;
        let ledger = place.ledger(&link, shape.stream)?;
        let any = format!("SELECT EXISTS (SELECT 1 FROM {})", place.table);
        let some: bool = link.wait(link.client.query_one(&any, &[]))?.get(0);
        let session = Session {
            link,
            to: self.clone(),
            tools: tools.clone(),
            place,
            stream: shape.stream.to_owned(),
            columns: shape.columns.to_vec(),
            empty: !some,
        };
        step(1);
        Ok((session, Found { ledger, rows: some.into(), shows_rows: true }))
    }
}

impl Session {
    pub(super) fn current(&mut self, each: Each<'_>) -> Result<(), Trouble> {
        if self.empty {
            return Ok(());
        }
        let (link, place) = (&self.link, &self.place);
        let columns = names(self.columns.iter());
        let sql = format!("COPY (SELECT {columns} FROM {}) TO STDOUT", place.table);
        let stream = link.wait(link.client.copy_out(&sql))?;
        let mut pieces = std::pin::pin!(stream.ready_chunks(AT_ONCE));
        let mut lines = copied::Lines::new(&self.columns);
        while let Some(some) = link.wait(async { Ok(pieces.next().await) })? {
            for piece in some {
                let piece = piece.map_err(|error| link.trouble(&error))?;
                lines.take(&piece, each)?;
            }
        }
        Ok(())
    }

    pub(super) fn commit(self, work: &mut Work<'_>, ledger: &Ledger) -> Result<(), Trouble> {
        self.apply(work.effect, &mut |each| work.moves(each), ledger)
    }

    pub(super) fn apply(
        self,
        effect: Effect,
        moves: Moves<'_>,
        ledger: &Ledger,
    ) -> Result<(), Trouble> {
        let link = &self.link;
        if effect == Effect::Replace && !self.empty {
            let delete = format!("DELETE FROM {}", self.place.table);
            link.wait(link.client.execute(&delete, &[]))?;
        }
        let mut writer = Writer::new(link, &self.place, &self.columns);
        moves(&mut |step| writer.apply(step))?;
        writer.finish()?;
        step(4);
        let text = serde_json::to_string(ledger).expect("a ledger is made of plain data");
        self.place.record(link, (&self.stream, &text), ledger)?;
        link.go_on()?;
        step(5);
        match link.insist(COMMIT, link.client.batch_execute("COMMIT")) {
            Some(answered) => answered,
            None => self.ask_again(&text),
        }
    }

    /// Finds out what became of a commit whose answer was lost: the ledger knows.
    fn ask_again(&self, ours: &str) -> Result<(), Trouble> {
        let mut last = Trouble::cancelled();
        for no in 0..ASKED {
            if no > 0 && self.tools.wait(self.tools.clock.sleep(AGAIN)).is_err() {
                // Nobody may hear that nothing was changed where that is not known.
                break;
            }
            match self.to.committed(&self.tools, &self.place, &self.stream) {
                Ok(Some(text)) if text == ours => return Ok(()),
                Ok(_) => {
                    let words = "the connection was lost at the commit, and nothing was committed";
                    return Err(Trouble::destination(format!("{}: {words}", self.link.shown())));
                }
                Err(trouble) => last = trouble,
            }
        }
        let why = match last.ending {
            Ending::Cancelled => "the run was stopped meanwhile",
            _ => &last.message,
        };
        last.message = format!(
            "the connection was lost at the commit, and nobody can say what became of it, since {why}"
        );
        Err(last)
    }
}

impl PostgresTable {
    /// The ledger as it is, once the transaction before is over: it holds the table until then.
    fn committed(
        &self,
        tools: &Tools,
        place: &Place,
        stream: &str,
    ) -> Result<Option<String>, Trouble> {
        let link = Link::open(self.server(), tools)?;
        link.wait(link.client.batch_execute("BEGIN"))?;
        if !place.is_there(&link)? {
            return Ok(None);
        }
        place.lock(&link)?;
        place.ledger(&link, stream)
    }
}

#[cfg(test)]
pub(super) use tests::make;

#[cfg(test)]
mod tests;
