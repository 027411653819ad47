//! The protocol: which message may come when, and what each does.
//!
//! Owns the order (SCHEMA before RECORD), the streams that are not wanted, and the last STATE. Refuses to
//! know how the tap runs and ends.

use std::collections::BTreeMap;

use super::super::super::columns::Column;
use super::super::super::intake::Intake;
use super::super::super::tools::Tools;
use super::super::super::trouble::{Ending, Trouble};
use super::super::lines::{Feed, Lines};
use super::message::Message;
use super::{catalog, schema};

/// Names that are remembered of what is left out.
const NAMES_MAX: usize = 100;

/// A read of one stream.
pub(super) struct Protocol<'a> {
    wanted: &'a [String],
    declared: Option<Vec<Column>>,
    state: Option<String>,
    versions: u64,
    /// Records of other streams, by stream.
    others: BTreeMap<String, u64>,
    /// Messages of types that the specification does not know, by type.
    unknown: BTreeMap<String, u64>,
}

impl<'a> Protocol<'a> {
    /// For a stream by its names.
    pub(super) fn of(wanted: &'a [String]) -> Self {
        Self {
            wanted,
            declared: None,
            state: None,
            versions: 0,
            others: BTreeMap::new(),
            unknown: BTreeMap::new(),
        }
    }

    /// Takes every message.
    pub(super) fn take<F: Feed>(
        &mut self,
        lines: &mut Lines<F>,
        intake: &mut Intake<'_>,
    ) -> Result<(), Trouble> {
        while lines.next()? {
            let (at, line) = lines.line()?;
            let message = Message::read(line)
                .map_err(|words| Trouble::source(format!("{}: {words}", lines.here())))?;
            match message {
                Message::Record { stream, record } if self.is_wanted(&stream) => {
                    if self.declared.is_none() {
                        let message = format!("{}: a RECORD before its SCHEMA", lines.here());
                        return Err(Trouble::source(message));
                    }
                    intake.json(&at, record.get())?;
                }
                Message::Record { stream, .. } => count(&mut self.others, &stream, 1),
                Message::Schema { stream, schema, keys } if self.is_wanted(&stream) => {
                    self.declare(schema::columns(&stream, schema.get(), &keys)?, intake)?;
                }
                Message::State(value) => {
                    let state = self.state.get_or_insert_default();
                    state.clear();
                    state.push_str(value.get());
                }
                Message::ActivateVersion { stream } => {
                    self.versions += u64::from(self.is_wanted(&stream));
                }
                Message::Batch { stream } if self.is_wanted(&stream) => {
                    let message = format!(
                        "{}: the tap puts rows into files (BATCH), which are not read; take \
                         `batch_config` out of its configuration",
                        lines.here()
                    );
                    return Err(Trouble::source(message).for_good());
                }
                Message::Schema { stream, .. } | Message::Batch { stream } => {
                    count(&mut self.others, &stream, 0);
                }
                Message::Other(kind) => count(&mut self.unknown, &kind, 1),
            }
            intake.bytes(lines.bytes());
        }
        Ok(())
    }

    /// Closes a read that ended well: says what was left out, and gives the last state.
    pub(super) fn end(self, tools: &Tools) -> Result<Option<String>, Trouble> {
        if self.declared.is_none() {
            let names: Vec<String> = self.others.into_keys().collect();
            let wanted = self.wanted.first().map(String::as_str).unwrap_or_default();
            let absent = catalog::absent(wanted, &names);
            return Err(Trouble { ending: Ending::Schema, ..absent });
        }
        for (kind, count) in &self.unknown {
            tools.say(&format!(
                "jada: warning: {count} messages of the type `{kind}` were left out, which the \
                 specification does not know"
            ));
        }
        for (stream, count) in self.others.iter().filter(|(_, count)| **count > 0) {
            tools.say(&format!("jada: {count} records of the stream `{stream}` were left out"));
        }
        if self.versions > 0 {
            let count = self.versions;
            tools.say(&format!(
                "jada: {count} ACTIVATE_VERSION messages were left out: what is deleted is for `mode` \
                 and the guards to say"
            ));
        }
        Ok(self.state)
    }

    fn is_wanted(&self, stream: &str) -> bool {
        self.wanted.iter().any(|name| name == stream)
    }

    /// Taps repeat their schemas; one that changes under way would give rows of two kinds.
    fn declare(&mut self, columns: Vec<Column>, intake: &mut Intake<'_>) -> Result<(), Trouble> {
        match &self.declared {
            Some(declared) if *declared == columns => Ok(()),
            Some(declared) => {
                let changed = columns.iter().find(|column| !declared.contains(column));
                let gone = declared.iter().find(|column| !columns.contains(column));
                let name = changed.or(gone).map(|column| column.name.as_str()).unwrap_or_default();
                let message = format!("the tap changed its schema under way, in `{name}`");
                Err(Trouble::new(Ending::Schema, message))
            }
            None => {
                intake.declare(columns.clone())?;
                self.declared = Some(columns);
                Ok(())
            }
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    if let Some(count) = counts.get_mut(name) {
        *count += more;
    } else if counts.len() < NAMES_MAX {
        counts.insert(name.to_owned(), more);
    }
}
