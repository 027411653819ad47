//! Damage that other tools were seen to call a success: the source breaks, and the destination must stay.

use super::*;

fn after_good_data(broken: &str, guards: &str) -> (Bench, String) {
    let bench = Bench::new();
    let job = job(&format!("mode: mirror\nguards: {guards}"));
    bench.many(15);
    assert!(bench.run(&job).starts_with("committed: 15"));
    std::fs::write(bench.path("ports.csv"), broken).unwrap();
    let told = bench.run(&job);
    (bench, told)
}

#[test]
fn a_broken_source_never_empties_the_destination() {
    for (what, broken, result) in [
        (
            "all data rows deleted",
            "id,port\n",
            "held: on_empty: nothing was read; 15 rows are there",
        ),
        ("emptied whole", "", "failed:"),
        (
            "column renamed",
            "id,harbour\n1,OSL\n",
            "failed:schema: no header `port` for the column `port`; the nearest is `harbour`",
        ),
        (
            "one header duplicated",
            "id,port,port\n1,OSL,BGO\n",
            "failed:schema: the header `port` stands twice",
        ),
        ("text in a number column", "id,port\n1,OSL\nx,BGO\n", "failed:mapping:"),
        ("a key column without a value", "id,port\n,OSL\n", "failed:mapping:"),
    ] {
        let (bench, told) = after_good_data(broken, "{ on_empty: hold }");
        assert!(told.starts_with(result), "{what}: {told}");
        assert_eq!(bench.count(), 15, "{what}");
    }
}

#[test]
fn a_fall_from_a_hundred_rows_to_three_is_held() {
    let guards = "mode: mirror\nguards: { on_empty: hold, max_delete: 10 rows }";
    let (bench, job) = (Bench::new(), job(guards));
    bench.many(100);
    bench.run(&job);
    bench.many(3);
    assert_eq!(
        bench.run(&job),
        "held: max_delete: 97 rows of 100 would be deleted (97 %), and 10 rows is the most"
    );
    assert_eq!(bench.count(), 100);
}

#[test]
fn emptiness_may_be_allowed() {
    let (bench, told) = after_good_data("id,port\n", "{ on_empty: allow }");
    assert_eq!(told, "committed: 0 inserted, 0 updated, 15 deleted, 0 same");
    assert_eq!(bench.count(), 0);
}

#[test]
fn sorting_rows_another_way_moves_no_identity() {
    let (bench, job) = (Bench::new(), job(MIRROR));
    bench.ports(&[(1, "OSL"), (2, "BGO")]);
    bench.run(&job);
    bench.ports(&[(2, "BGO"), (1, "OSL")]);
    assert_eq!(bench.run(&job), "committed: 0 inserted, 0 updated, 0 deleted, 2 same");
}

#[test]
fn after_a_failure_the_next_run_takes_the_new_data() {
    let (bench, told) = after_good_data("id,port\nx,OSL\n", "{ on_empty: hold }");
    assert!(told.starts_with("failed:mapping"), "{told}");
    bench.many(20);
    let told = bench.run(&job(MIRROR));
    assert_eq!(told, "committed: 5 inserted, 0 updated, 0 deleted, 15 same");
}

#[test]
fn bad_rows_are_put_aside_as_far_as_the_job_allows() {
    let bench = Bench::new();
    std::fs::write(bench.path("ports.csv"), "id,port\n1,OSL\nx,BGO\n3,TRD\n").unwrap();
    let rules = |rules: &str| job(&format!("{MIRROR}\nbad_rows: {rules}"));
    let told = bench.run(&rules("{ action: quarantine, max: 10% }"));
    assert!(told.starts_with("failed:mapping: 1 row of 3 have values"), "{told}");
    let told = bench.run(&rules("{ action: quarantine, max: 1 row }"));
    assert_eq!(told, "committed: 2 inserted, 0 updated, 0 deleted, 0 same; 1 bad left out");
    let kept = bench.path("sync/port-sheet/quarantine-2-1.jsonl");
    let kept = std::fs::read_to_string(kept).unwrap();
    let line: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((line["column"].as_str(), line["value"].as_str()), (Some("id"), Some("x")));
    assert!(line["place"].as_str().unwrap().contains('3'), "{line}");
    let told = bench.run(&rules("{ action: skip }"));
    assert_eq!(told, "committed: 0 inserted, 0 updated, 0 deleted, 2 same; 1 bad left out");
    std::fs::write(bench.path("ports.csv"), "id,port\nx,OSL\n").unwrap();
    let told = bench.run(&rules("{ action: skip }"));
    assert!(told.starts_with("failed:mapping"), "not one row is good: {told}");
}
