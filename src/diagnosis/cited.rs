//! The numbers of evidence: each is given where it is cited first, so that an answer's are few and in order.
//!
//! Owns the numbering and the sentence of one piece. Refuses to decide what is cited.

use super::answer::Item;
use super::evidence::{Board, Evidence, Source};
use crate::model::Verdict;

/// What was cited so far, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Cited(Vec<usize>);

impl Cited {
    /// The number of a piece: `E1` for the first that is cited.
    pub(super) fn cite(&mut self, at: usize) -> String {
        let place = self.0.iter().position(|known| *known == at).unwrap_or_else(|| {
            self.0.push(at);
            self.0.len() - 1
        });
        format!("E{}", place + 1)
    }

    /// Everything that was cited.
    pub(super) fn items(&self, board: &Board) -> Vec<Item> {
        let numbered = self.0.iter().enumerate();
        numbered.map(|(place, at)| item(place + 1, &board.all[*at])).collect()
    }
}

/// What a piece says, in one line.
pub(super) fn sentence(board: &Board, at: usize) -> String {
    let one = &board.all[at];
    let often = match (&one.source, one.count) {
        (Source::Runs(_), 2..) => format!("in {} runs: ", one.count),
        (_, 3..) if one.source != Source::Correlation => format!("{} times: ", one.count),
        _ => String::new(),
    };
    match one.text.as_str() {
        "" => format!("{often}{}", one.verdict.word()),
        text => format!("{often}{text}"),
    }
}

fn item(number: usize, one: &Evidence) -> Item {
    let fails = one.verdict != Verdict::Ok;
    Item {
        id: format!("E{number}"),
        node: one.subject.to_string(),
        verdict: one.verdict.word().to_owned(),
        class: one.fault.filter(|_| fails).map(|fault| fault.word().to_owned()),
        at: one.at,
        since: one.since,
        until: one.at.saturating_add(one.ttl).unwrap_or(jiff::Timestamp::MAX),
        direct: one.direct,
        source: one.source.words(),
        count: one.count,
        run: one.run.map(|run| run.0),
        text: one.text.clone(),
    }
}
