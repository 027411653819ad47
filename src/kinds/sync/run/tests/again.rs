//! Attempts that come after one of the same run.

use super::*;
use crate::model::RunId;

/// Runs a job once more, as a later attempt of a run.
fn again(bench: &Bench, text: &str, run: i64) -> String {
    let mut attempt = bench.attempt(text);
    (attempt.tools.run, attempt.tools.no) = (RunId(run), 2);
    Bench::run_as(text, &attempt)
}

#[test]
fn rows_of_a_run_are_added_once_however_often_it_tries() {
    for mode in ["mode: append", "mode: snapshot"] {
        let (bench, job) = (Bench::new(), job(mode));
        bench.many(2);
        let first = bench.run(&job);
        // The answer to the commit was lost, so nothing of it was noted here.
        std::fs::remove_file(bench.path("sync/port-sheet/ledger.json")).unwrap();
        bench.clock.advance(std::time::Duration::from_secs(60));
        assert_eq!(again(&bench, &job, 1), first, "{mode}");
        assert_eq!(bench.count(), 2, "{mode}");
        // Another run adds its own, and so does one of a daemon that counts from 1 again.
        bench.clock.advance(std::time::Duration::from_secs(60));
        let mut next = bench.attempt(&job);
        next.tools.run = RunId(2);
        Bench::run_as(&job, &next);
        assert_eq!(bench.count(), 4, "{mode}");
        std::fs::remove_dir_all(bench.path("sync")).unwrap();
        bench.clock.advance(std::time::Duration::from_secs(60));
        again(&bench, &job, 2);
        assert_eq!(bench.count(), 6, "{mode}");
    }
}

#[test]
fn an_attempt_after_one_that_did_not_commit_adds_its_rows() {
    let (bench, job) = (Bench::new(), job("mode: append"));
    bench.many(2);
    bench.run(&job);
    bench.sql("CREATE TRIGGER no BEFORE INSERT ON ports BEGIN SELECT RAISE(ABORT, 'no'); END");
    let told = bench.run(&job);
    assert!(told.starts_with("failed:destination"), "{told}");
    bench.sql("DROP TRIGGER no");
    assert!(again(&bench, &job, 2).starts_with("committed: 2 inserted"));
    assert_eq!(bench.count(), 4);
}

#[test]
fn a_program_that_ends_well_while_the_daemon_goes_down_counts_for_nothing() {
    let bench = Bench::new();
    let text = job(MIRROR).replace("csv: { path: ports.csv }", "command: { run: cat ports.jsonl }");
    let whole = "{\"id\":1,\"port\":\"OSL\"}\n{\"id\":2,\"port\":\"BGO\"}\n";
    std::fs::write(bench.path("ports.jsonl"), whole).unwrap();
    assert!(bench.ticking(|| bench.run(&text)).starts_with("committed: 2 inserted"));
    // It was told to end too, and wrote only half of it.
    std::fs::write(bench.path("ports.jsonl"), &whole[..=whole.len() / 2]).unwrap();
    let attempt = bench.attempt(&text);
    attempt.tools.leaving.begin();
    let trouble = bench.ticking(|| pipeline(&spec(&text), &attempt.tools)).unwrap_err();
    assert_eq!(trouble.ending.word(), "cancelled");
    assert_eq!(Failure::from(trouble).class, FailureClass::Lost);
    assert_eq!(bench.count(), 2);
}

#[test]
fn a_merge_reads_again() {
    let (bench, job) = (Bench::new(), job(MIRROR));
    bench.many(2);
    bench.run(&job);
    bench.many(3);
    assert_eq!(again(&bench, &job, 1), "committed: 1 inserted, 0 updated, 0 deleted, 2 same");
}
