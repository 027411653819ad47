//! `sync diff`: what a commit would change.
//!
//! Owns how it reads: counts, keys, guards that trip, and the command to type next.

use super::desk;
use crate::cli::Session;
use crate::cli::exit::{Exit, Result};
use crate::cli::print::{time, wrapped};
use crate::kinds::sync::desk::{Answer, Ask, Report};
use crate::web::words::count;

/// Shows what a sync would change: of the snapshot that a guard holds, or else of a fresh read.
///
/// Nothing is changed. Rows are counted as insert, update, delete and same, with the keys of some of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "The exit code is 1 where a guard trips: the run would be held.")]
pub(super) struct DiffArgs {
    /// The job
    job: String,
    /// Read the source, also where a snapshot is held
    #[arg(long)]
    fresh: bool,
}

pub(super) async fn diff(session: &mut Session, args: &DiffArgs) -> Result<Exit> {
    let job = desk::job(session, &args.job)?;
    let answer = desk::ask(session, &job, Ask::Diff { held: !args.fresh }).await?;
    let Answer::Diff(report) = &answer else { return Err(desk::odd(&answer)) };
    if session.print.json {
        session.print.json(report)?;
    } else {
        for line in lines(job.name.as_str(), report, session.print.width) {
            session.print.line(&line)?;
        }
    }
    Ok(if report.tripped.is_empty() { Exit::Done } else { Exit::BadNews })
}

/// The report, in lines.
fn lines(job: &str, report: &Report, width: usize) -> Vec<String> {
    let read_at = time(report.read_at);
    let changes = report.changes;
    let mut lines = vec![
        match report.held {
            Some(run) => format!("{job}: held by run {run}, read {read_at}"),
            None => format!("{job}: read {read_at}, nothing is held"),
        },
        format!(
            "{} read: {} insert, {} update, {} delete, {} same",
            count(report.rows, "row"),
            changes.inserted,
            changes.updated,
            changes.deleted,
            changes.same
        ),
    ];
    if report.bad > 0 {
        lines.push(format!("{} left out: see the quarantine", count(report.bad, "bad row")));
    }
    if let Some(last) = &report.last {
        let at = time(last.committed_at);
        let by = if last.run.0 == 0 { "by hand".to_owned() } else { format!("run {}", last.run) };
        lines.push(format!("last commit: {by}, {at}, {}", count(last.rows, "row")));
    }
    let samples = &report.samples;
    let keys = [
        ("insert", &samples.inserted, changes.inserted),
        ("update", &samples.updated, changes.updated),
        ("delete", &samples.deleted, changes.deleted),
    ];
    for (word, keys, all) in keys.into_iter().filter(|(_, keys, _)| !keys.is_empty()) {
        let more = all.saturating_sub(keys.len() as u64);
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        labelled(word, &(keys.join(", ") + &more), width, &mut lines);
    }
    for note in &report.notes {
        labelled("note", note, width, &mut lines);
    }
    for tripped in &report.tripped {
        labelled("guard", &format!("{}: {}", tripped.guard, tripped.why), width, &mut lines);
    }
    lines.push(next(job, report));
    lines
}

/// A text behind a word, with the following lines under its beginning.
fn labelled(word: &str, text: &str, width: usize, lines: &mut Vec<String>) {
    for (at, line) in wrapped(text, width.saturating_sub(8)).iter().enumerate() {
        lines.push(format!("{:<8}{line}", if at == 0 { word } else { "" }));
    }
}

/// What to type next.
fn next(job: &str, report: &Report) -> String {
    match (report.held, report.tripped.is_empty()) {
        (Some(_), _) if report.moved => {
            format!("it can't be approved any more; read and judge anew: jadactl run {job} --wait")
        }
        (Some(run), _) => format!("commit exactly this once: jadactl sync approve {job} {run}"),
        (None, false) => format!("a run would be held: jadactl run {job} --wait"),
        (None, true) => format!("no guard trips: jadactl run {job} --wait"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::sync::desk::{Changes, Last, Samples, Tripped};
    use crate::model::RunId;

    fn report() -> Report {
        let read_at = "2026-11-25T09:00:00Z".parse().expect("an instant");
        let keys = |from: u32, to: u32| (from..to).map(|n| format!("B-{n}")).collect();
        Report {
            held: Some(RunId(12)),
            moved: false,
            read_at,
            rows: 3,
            bad: 1,
            changes: Changes { inserted: 1, updated: 0, deleted: 97, same: 2 },
            samples: Samples {
                inserted: keys(1001, 1002),
                updated: Vec::new(),
                deleted: keys(100_000_010, 100_000_020),
            },
            tripped: vec![Tripped {
                guard: "max_delete".into(),
                why: "97 of 99 rows would be deleted, and at most 20 rows may be in one run".into(),
            }],
            notes: Vec::new(),
            digest: "d".into(),
            last: Some(Last {
                run: RunId(11),
                committed_at: read_at,
                rows: 99,
                cursor: None,
                left: None,
            }),
        }
    }

    #[test]
    fn a_report_reads_well_at_eighty_columns() {
        let held = lines("port-sheet", &report(), 80);
        let moved = lines("port-sheet", &Report { moved: true, ..report() }, 80);
        let last =
            "it can't be approved any more; read and judge anew: jadactl run port-sheet --wait";
        assert_eq!(moved.last().map(String::as_str), Some(last));
        let fresh = Report { held: None, tripped: Vec::new(), ..report() };
        let all = [held, lines("port-sheet", &fresh, 80)].concat();
        assert!(all.iter().all(|line| line.chars().count() <= 80), "{all:#?}");
        insta::assert_snapshot!(all.join("\n"), @r"
        port-sheet: held by run 12, read 2026-11-25 09:00:00Z
        3 rows read: 1 insert, 0 update, 97 delete, 2 same
        1 bad row left out: see the quarantine
        last commit: run 11, 2026-11-25 09:00:00Z, 99 rows
        insert  B-1001
        delete  B-100000010, B-100000011, B-100000012, B-100000013, B-100000014,
                B-100000015, B-100000016, B-100000017, B-100000018, B-100000019, and 87
                more
        guard   max_delete: 97 of 99 rows would be deleted, and at most 20 rows may be
                in one run
        commit exactly this once: jadactl sync approve port-sheet 12
        port-sheet: read 2026-11-25 09:00:00Z, nothing is held
        3 rows read: 1 insert, 0 update, 97 delete, 2 same
        1 bad row left out: see the quarantine
        last commit: run 11, 2026-11-25 09:00:00Z, 99 rows
        insert  B-1001
        delete  B-100000010, B-100000011, B-100000012, B-100000013, B-100000014,
                B-100000015, B-100000016, B-100000017, B-100000018, B-100000019, and 87
                more
        no guard trips: jadactl run port-sheet --wait
        ");
    }
}
