//! Whole syncs into files, and from a tap.

use crate::kinds::sync::testing::{Bench, names};

fn job(to: &str, more: &str) -> String {
    format!(
        "source: {{ csv: {{ path: ports.csv }} }}\n\
         columns:\n  id: {{ type: int, key: true }}\n  port: {{ type: text }}\n\
         destination: {{ {to} }}\n{more}\n"
    )
}

const MIRROR: &str = "mode: mirror\nguards: { on_empty: hold }";

#[test]
fn one_file_is_mirrored_and_upserted_by_key() {
    for to in [
        "csv: { path: out }",
        "jsonl: { path: out }",
        #[cfg(feature = "parquet")]
        "parquet: { path: out }",
    ] {
        let bench = Bench::new();
        bench.ports(&[(1, "OSL"), (2, "BGO"), (3, "TRD")]);
        assert_eq!(
            bench.run(&job(to, MIRROR)),
            "committed: 3 inserted, 0 updated, 0 deleted, 0 same",
            "{to}"
        );
        bench.ports(&[(4, "SVG"), (1, "OSL"), (2, "BOO")]);
        assert_eq!(
            bench.run(&job(to, MIRROR)),
            "committed: 1 inserted, 1 updated, 1 deleted, 1 same",
            "{to}"
        );
        bench.ports(&[(2, "BGO"), (5, "TOS")]);
        assert_eq!(
            bench.run(&job(to, "mode: upsert")),
            "committed: 1 inserted, 1 updated, 0 deleted, 0 same",
            "{to}"
        );
        // All that are left must still be there.
        bench.ports(&[(1, "OSL"), (2, "BGO"), (4, "SVG"), (5, "TOS")]);
        assert_eq!(
            bench.run(&job(to, MIRROR)),
            "committed: 0 inserted, 0 updated, 0 deleted, 4 same",
            "{to}"
        );
        bench.ports(&[]);
        assert!(bench.run(&job(to, MIRROR)).starts_with("held: "), "{to}");
    }
}

#[test]
fn appends_go_behind_what_is_there_or_into_files_of_their_own() {
    let bench = Bench::new();
    bench.ports(&[(1, "OSL")]);
    let single = job("csv: { path: one.csv }", "mode: append");
    let folder = job("csv: { path: many, layout: file_per_run }", "mode: append");
    for _ in 0..2 {
        for text in [&single, &folder] {
            let told = bench.run(text);
            assert_eq!(told, "committed: 1 inserted, 0 updated, 0 deleted, 0 same");
        }
    }
    let one = std::fs::read_to_string(bench.path("one.csv")).unwrap();
    assert_eq!(one, "id,port\n1,OSL\n1,OSL\n");
    let mut files = names(&bench.path("many"));
    files.retain(|name| name.starts_with("2026"));
    assert_eq!(files.len(), 2, "{files:?}");
}

#[test]
fn a_file_without_its_manifest_is_no_first_sync() {
    let bench = Bench::new();
    bench.ports(&[(1, "OSL")]);
    let text = job("csv: { path: out.csv }", MIRROR);
    bench.run(&text);
    std::fs::remove_file(bench.path("out.csv.jada.json")).unwrap();
    assert!(bench.run(&text).starts_with("failed:state: "));
    std::fs::write(bench.path("out.csv.jada.json"), "{\"version\":1").unwrap();
    assert!(bench.run(&text).starts_with("failed:state: "));
    assert_eq!(std::fs::read_to_string(bench.path("out.csv")).unwrap(), "id,port\n1,OSL\n");
}

#[test]
fn a_tap_goes_on_from_its_last_state_and_a_failure_adopts_none() {
    let bench = Bench::new();
    let tap = |state: u32, end: &str| {
        let script = format!(
            "case \"$*\" in *--discover*) echo 'unrecognized arguments: --discover' >&2; exit 2;; esac\n\
             case \"$*\" in *--state*) from=$(tr -dc 0-9 < \"$4\");; *) from=0;; esac\n\
             echo '{{\"type\":\"SCHEMA\",\"stream\":\"a\",\"key_properties\":[\"id\"],\"schema\":\
             {{\"properties\":{{\"id\":{{\"type\":\"integer\"}},\"port\":{{\"type\":\"string\"}}}}}}}}'\n\
             echo \"{{\\\"type\\\":\\\"RECORD\\\",\\\"stream\\\":\\\"a\\\",\\\"record\\\":\
             {{\\\"id\\\":$((from+1)),\\\"port\\\":\\\"from $from\\\"}}}}\"\n\
             echo '{{\"type\":\"STATE\",\"value\":{{\"at\":{state}}}}}'\n{end}\n"
        );
        std::fs::write(bench.path("tap.sh"), script).unwrap();
    };
    let text = "source: { singer: { run: [/bin/sh, tap.sh], stream: a } }\n\
                destination: { sqlite: { path: ports.db, table: ports } }\nmode: upsert\n";
    let run = || bench.ticking(|| bench.run(text));
    tap(1, "");
    assert_eq!(run(), "committed: 1 inserted, 0 updated, 0 deleted, 0 same");
    tap(5, "exit 1");
    assert!(run().starts_with("failed:source: the tap ended with exit code 1"));
    tap(6, "");
    assert_eq!(run(), "committed: 1 inserted, 0 updated, 0 deleted, 0 same");
    assert_eq!(bench.held(), [(1, "from 0".into()), (2, "from 1".into())]);
}
