//! What a guard holds, and the way from there.

use super::*;
use crate::model::RunId;

const GUARDED: &str = "mode: mirror\nguards: { on_empty: hold, max_shrink: 20% }";

fn report(bench: &Bench, text: &str, held: bool) -> super::super::super::desk::Report {
    match bench.ask(text, Ask::Diff { held }).unwrap() {
        Answer::Diff(report) => report,
        other => panic!("{other:?}"),
    }
}

fn guarded() -> (Bench, String) {
    let (bench, job) = (Bench::new(), job(GUARDED));
    bench.many(100);
    assert!(bench.run(&job).starts_with("committed: 100 inserted"));
    bench.many(3);
    (bench, job)
}

#[test]
fn a_guard_holds_and_touches_nothing() {
    let (bench, job) = guarded();
    let ledger = bench.ledger();
    assert_eq!(
        bench.run(&job),
        "held: max_shrink: 3 rows where 100 were: 97 fewer (97 %), and 20 % is the most"
    );
    assert_eq!((bench.count(), bench.ledger()), (100, ledger));
    assert_eq!(bench.kept(), ["2-1.stage", "held.json"]);
    let report = report(&bench, &job, true);
    assert_eq!(report.held, Some(RunId(2)));
    assert_eq!((report.changes.deleted, report.changes.same), (97, 3));
    assert_eq!(report.samples.deleted.len(), 10);
    assert_eq!(report.tripped[0].guard, "max_shrink");
    assert_eq!(report.last.unwrap().rows, 100);
}

#[test]
fn the_trouble_names_the_command_to_type_next() {
    let (bench, job) = guarded();
    let trouble = pipeline(&spec(&job), &bench.attempt(&job).tools).unwrap_err();
    let failure = Failure::from(trouble);
    assert_eq!(failure.class, FailureClass::Permanent);
    assert_eq!(failure.mend.as_deref(), Some("jadactl sync diff port-sheet"));
}

#[test]
fn an_approved_snapshot_is_committed_once() {
    let (bench, job) = guarded();
    bench.run(&job);
    let report = report(&bench, &job, true);
    let run = report.held.unwrap();
    // The source is another one by now: what was looked at is committed, not what it says today.
    bench.many(1);
    let told = bench.ask(&job, Ask::Approve(run)).unwrap();
    assert_eq!(told, Answer::Approved { run, digest: report.digest });
    assert_eq!(bench.run(&job), "committed: 0 inserted, 0 updated, 97 deleted, 3 same");
    assert_eq!((bench.count(), bench.kept()), (3, Vec::new()));
    // It was for that snapshot alone.
    assert!(bench.run(&job).starts_with("held: max_shrink"), "no standing leave");
}

#[test]
fn an_approval_is_void_where_the_destination_moved() {
    let (bench, job) = guarded();
    bench.run(&job);
    bench.ask(&job, Ask::Approve(RunId(2))).unwrap();
    bench.sql("UPDATE ports SET port = 'HAU' WHERE id = 77");
    let told = bench.run(&job);
    let void = "failed:state: the approval of run 2 is void: the destination moved";
    assert!(told.starts_with(void), "{told}");
    assert_eq!(bench.count(), 100);
    // It is used up, and the snapshot can be looked at again.
    let report = report(&bench, &job, true);
    assert_eq!(report.held, Some(RunId(2)));
    assert!(report.moved);
    assert!(report.notes[0].contains("moved"), "{:?}", report.notes);
    assert!(bench.run(&job).starts_with("held"));
}

#[test]
fn an_approval_is_of_one_run() {
    let (bench, job) = guarded();
    let trouble = bench.ask(&job, Ask::Approve(RunId(2))).unwrap_err();
    assert_eq!(trouble.message, "run 2 holds no snapshot");
    let run = report(&bench, &job, false).held;
    assert_eq!(run, None);
    bench.run(&job);
    let held = report(&bench, &job, true).held.unwrap();
    let trouble = bench.ask(&job, Ask::Approve(RunId(99))).unwrap_err();
    assert_eq!(trouble.message, format!("run 99 holds no snapshot: run {held} does"));
}

#[test]
fn a_snapshot_that_went_bad_is_not_committed() {
    let (bench, job) = guarded();
    bench.run(&job);
    bench.ask(&job, Ask::Approve(RunId(2))).unwrap();
    let path = bench.path("sync/port-sheet/2-1.stage");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let told = bench.run(&job);
    assert!(told.starts_with("failed:state: the snapshot of run 2 can't be used"), "{told}");
    assert_eq!(bench.count(), 100);
}

#[test]
fn two_trips_in_a_row_approve_nothing() {
    let (bench, job) = guarded();
    for _trip in 0..3 {
        assert!(bench.run(&job).starts_with("held: max_shrink"));
    }
    assert_eq!(bench.count(), 100);
    assert_eq!(bench.kept(), ["4-1.stage", "held.json"], "only the last one is kept");
}

#[test]
fn a_good_run_lets_go_of_what_was_held() {
    let (bench, job) = guarded();
    bench.run(&job);
    bench.many(95);
    assert!(bench.run(&job).starts_with("committed"));
    assert_eq!(bench.kept(), Vec::<String>::new());
}

#[test]
fn a_dry_run_touches_nothing() {
    let (bench, job) = guarded();
    let before = (bench.count(), bench.ledger());
    let dry = report(&bench, &job, false);
    assert_eq!((dry.held, dry.rows, dry.changes.deleted), (None, 3, 97));
    assert_eq!(dry.tripped.len(), 1);
    assert_eq!((bench.count(), bench.ledger()), before);
    assert_eq!(bench.kept(), Vec::<String>::new());
    // A run of the same data comes to the same digest.
    bench.run(&job);
    assert_eq!(report(&bench, &job, true).digest, dry.digest);
}

#[test]
fn the_digest_does_not_hang_on_the_order_of_a_read() {
    let (bench, job) = (Bench::new(), job(MIRROR));
    bench.ports(&[(1, "OSL"), (2, "BGO"), (3, "TRD")]);
    let one = report(&bench, &job, false).digest;
    bench.ports(&[(3, "TRD"), (1, "OSL"), (2, "BGO")]);
    assert_eq!(report(&bench, &job, false).digest, one);
    bench.ports(&[(3, "TRD"), (1, "OSL"), (2, "BOO")]);
    assert_ne!(report(&bench, &job, false).digest, one);
}
