//! What is told of sections that can not work.

use std::collections::BTreeMap;

use crate::kinds::template::Names;
use crate::kinds::{Work, check};
use crate::yaml::decode::choice::OneOf;
use crate::yaml::{Decoder, Source, parse};

/// What is told of a `sync` section, `CODE place -> message; help` a line.
fn told(text: &str) -> String {
    let source = Source::new("job.yaml", text);
    let (documents, wrong) = parse(&source);
    assert!(wrong.is_empty(), "{wrong:?}");
    let mut cx = Decoder::new(&source);
    let work = Work::decode_at("sync", &documents[0].root, &mut cx);
    let params = BTreeMap::new();
    let names = Names { params: &params, env: Vec::new(), bindings: &[], more: Vec::new() };
    check(work.as_ref(), None, &names, &mut cx);
    let mut found = cx.finish();
    crate::yaml::arrange(&mut found);
    let lines = found.iter().map(|one| {
        let at = one.span.map(|span| one.source.slice(span)).unwrap_or_default();
        let at: String = at.chars().take(40).collect();
        format!("{} {at} -> {}; {}", one.code, one.message, one.help.clone().unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join("\n")
}

const CSV: &str = "source: { csv: { path: in.csv } }";
const SQLITE: &str = "destination: { sqlite: { path: out.db, table: t } }";
const COLUMNS: &str =
    "columns: { id: { from: Id, type: text, key: true }, at: { from: When, type: timestamp } }";

fn job(source: &str, columns: &str, destination: &str, rest: &str) -> String {
    told(&[source, columns, destination, rest].join("\n"))
}

#[test]
fn what_is_good_is_not_told() {
    let http = "source: { http_json: { url: \"https://api.example.com/{{job.name}}\", \
                params: { since: \"{{cursor}}\" }, paginate: { token: next, param: page }, \
                cursor: { field: When, initial: 2024-01-01 } } }";
    let sheet = "source: { google_sheets: { spreadsheet: abc, range: \"A1:K\", sheet_id: 0, \
                 credential: sheets, unchanged: { probe: drive_version } } }";
    for (source, rest) in [
        (CSV, "mode: append"),
        (CSV, "mode: upsert\nguards: { max_change: 10%, unique: id, max_null: { at: 5% } }"),
        (CSV, "mode: mirror\nguards: { on_empty: hold, max_shrink: 20%, canary: { id: X } }"),
        (http, "mode: incremental\nguards: { max_age_of_newest: 2d }"),
        (sheet, "mode: mirror\nguards: { on_empty: allow, max_delete: [20 rows, { 30%: 7d }] }"),
    ] {
        assert_eq!(job(source, COLUMNS, SQLITE, rest), "", "{source} {rest}");
    }
    let tap = "source: { singer: { run: [tap], stream: issues, credential: github, \
               config: { token: \"{{credential.token}}\", repository: a/b } } }";
    assert_eq!(told(&[tap, SQLITE, "mode: upsert"].join("\n")), "");
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = "source: { csv: { path: in.csv, url: ftp://x, delimiter: ab } }
columns:
  id: { from: \"{{x}}\", type: json, key: true, on_bad: null }
  ID: { type: text, zone: UTC, format: epoch }
  eta: { from: ETA, type: timestamp, zone: Europe/Olso, format: epochs }
  etd: { type: timestamp, zone: sheet, format: \"%Q\" }
bad_rows: { max: 1% }
destination: { parquet: { path: \"out/{{slto}}\", layout: file_per_run } }
mode: mirror
guards: { min_rows: 5, max_null: { ETA: 5 rows }, canary: { idd: 1 }, max_age_of_newest: 2d }";
    insta::assert_snapshot!(told(text), @r#"
    J056 ftp://x -> the file is named twice; keep one of `path` and `url`
    J030 ab -> `ab` can't stand between two fields; write one ASCII character, such as `;` or `"\t"`
    J056 id -> `id` is part of the key, which can't be null; remove `on_bad`: a row without a key is a bad row
    J056 json -> a row can't be known by a column of the type `json`; take `text`, `int` or `decimal(…)` for it, or another column as the key
    J026 ID -> two columns are called `ID`, but for capital letters; rename one of the two
    J056 UTC -> a column of the type `text` has no zone; remove `zone`, or write `type: timestamp`
    J056 epoch -> a column of the type `text` has no format of times; remove `format`, or write `type: timestamp` or `type: date`
    J041 Europe/Olso -> unknown time zone `Europe/Olso`; did you mean `Europe/Oslo`?
    J065 epochs -> `epochs` is no format of a time; did you mean `epoch_s`?
    J056 sheet -> only a spreadsheet says which zone `sheet` is; write the zone's name, such as `UTC` or `Europe/Oslo`
    J056 1% -> `max` has no effect with the action `fail`: the first bad row fails the run; write `action: quarantine` or `action: skip`, or remove it
    J051 slto -> there is no value `slto`; did you mean `slot`?
    J056 mirror -> `mirror` changes rows of earlier runs, whose files stay as they are; write `layout: single_file`, or the mode `append`, `snapshot` or `incremental`
    J064 mirror -> `mirror` deletes what was not read: say what follows if nothing was; add `guards: { on_empty: hold }`: nothing is touched until a person has looked; with `allow`, everything is deleted
    J063 ETA -> there is no column `ETA`; did you mean `eta`?
    J030 5 rows -> `max_null` of `ETA` is a share of the rows; write it like `5%`
    J063 idd -> there is no column `idd`; did you mean `id`?
    J056 2d -> the newest row is told by the cursor, and the source has none; add `cursor: { field: updated_at }` to the source, or remove this guard
    "#);
}

#[test]
fn a_mode_has_what_it_needs() {
    let no_key = "columns: { id: { type: text } }";
    let cursor = "source: { sqlite: { path: a.db, query: select 1, cursor: { field: Wen } } }";
    let told = [
        told(&[CSV, SQLITE].join("\n")),
        job(CSV, no_key, SQLITE, "mode: mirror\nguards: { on_empty: hold }"),
        job(CSV, COLUMNS, SQLITE, "mode: replace"),
        job(CSV, COLUMNS, SQLITE, "mode: incremental"),
        job(cursor, COLUMNS, SQLITE, "mode: upsert\nguards: { max_delete: 20, max_shrink: 5% }"),
        job(
            CSV,
            COLUMNS,
            "destination: { http: { url: \"https://x.example/{{record.idd}}\" } }",
            "mode: mirror\nguards: { on_empty: hold }",
        ),
        job(
            CSV,
            no_key,
            "destination: { google_sheets: { spreadsheet: x, tab: y, credential: z } }",
            "mode: upsert",
        ),
    ];
    insta::assert_snapshot!(told.join("\n--\n"), @r"
    J022 source -> `sync` lacks the key `columns`: what the destination's columns are made of; add `columns: { id: { from: Header, type: text, key: true } }`; `jadactl sync infer` writes them from the source
    J022 source -> `sync` lacks the key `mode`: what becomes of what the destination holds; add `mode:` with one of append, replace, upsert, mirror, snapshot, incremental
    --
    J022 mirror -> `mirror` finds rows by their key, and no column has `key: true`; add `key: true` to the columns that a row is known by, or write `mode: replace`
    --
    J064 replace -> `replace` deletes what was not read: say what follows if nothing was; add `guards: { on_empty: hold }`: nothing is touched until a person has looked; with `allow`, everything is deleted
    --
    J022 incremental -> `incremental` reads what is newer than a cursor, and the source has none; add `cursor: { field: updated_at }` to the source (http_json, sqlite or postgres), or write `mirror` or `upsert`
    --
    J056 Wen -> a cursor has no effect with the mode `upsert`; write `mode: incremental`, or remove it
    J056 Wen -> the query takes no notice of the cursor, and reads everything each time; add `where Wen > :cursor` to it
    J063 Wen -> no column is made of `Wen`, by which the source is read; did you mean `When`?
    J030 20 -> expected a bound with its unit: `20%` or `200 rows`; write `20%` or `20 rows`
    --
    J051 record.idd -> `record` has no `idd`; did you mean `record.id`?
    J056 mirror -> `mirror` deletes rows, and nothing says by which address; add `delete_url:` to the destination, or write `mode: upsert`
    --
    J056 y -> a sheet is written by key, and no column has `key: true`; add `key: true` to those that a row is known by
    J022 upsert -> `upsert` finds rows by their key, and no column has `key: true`; add `key: true` to the columns that a row is known by, or write `mode: replace`
    ");
}

/// What is written wrongly is there: nobody is told to add it, too.
#[test]
fn a_key_that_is_refused_is_not_called_missing() {
    let guards =
        "guards: { on_empty: hold, max_shrink: 20, max_delete: 150%, max_change: 20 percent }";
    let told = [
        job(CSV, COLUMNS, SQLITE, &format!("mode: mirror\n{guards}")),
        job(CSV, COLUMNS, SQLITE, "mode: miror"),
    ];
    insta::assert_snapshot!(told.join("\n--\n"), @r"
    J030 20 -> expected a bound with its unit: `20%` or `200 rows`; write `20%` or `20 rows`
    J030 150% -> expected a bound with its unit: `20%` or `200 rows`; a share is at most `100%`; without the guard, there is no bound
    J030 20 percent -> expected a bound with its unit: `20%` or `200 rows`; write it like `20%` or `200 rows`
    --
    J031 miror -> unknown word `miror`; did you mean `mirror`?
    ");
}

/// What a stranger writes who has read the examples in passing.
#[test]
fn a_near_miss_is_led_home() {
    let address = "https://docs.google.com/spreadsheets/d/1AbC-d_e/edit#gid=0";
    let sheet = format!(
        "source: {{ google_sheets: {{ spreadsheet: \"{address}\", sheet_id: 0, credential: c }} }}"
    );
    let tab = format!(
        "destination: {{ google_sheets: {{ spreadsheet: \"{address}\", tab: x, credential: c }} }}"
    );
    let types = "columns: { id: { type: integer, key: true }, n: { type: \"decimal(40,2)\" } }";
    let cursor = "source: { http_json: { url: https://x.example/a, params: { page: cursor }, \
                  cursor: { field: When } } }";
    let told = [
        job(&sheet, COLUMNS, SQLITE, "mode: upsert"),
        job(CSV, COLUMNS, &tab, "mode: upsert"),
        job(CSV, types, SQLITE, "mode: upsert"),
        job(CSV, COLUMNS, "destination: { csv: { path: ./in.csv } }", "mode: upsert"),
        job(cursor, COLUMNS, SQLITE, "mode: incremental"),
    ];
    insta::assert_snapshot!(told.join("\n--\n"), @r#"
    J058 https://docs.google.com/spreadsheets/d/1 -> this is the address of the spreadsheet, and not its id; write `spreadsheet: 1AbC-d_e`
    --
    J058 https://docs.google.com/spreadsheets/d/1 -> this is the address of the spreadsheet, and not its id; write `spreadsheet: 1AbC-d_e`
    --
    J031 integer -> `integer` is no type of a column; did you mean `int`?
    J031 decimal(40,2) -> `decimal(40,2)` is no type of a column; write `decimal(12,2)`: digits in all, at most 38, and how many of them are behind the point
    --
    J056 ./in.csv -> the destination is the file that is read; write to another file
    --
    J056 When -> no request names the cursor, so everything is read each time; add `params: { updated_since: "{{cursor}}" }`, as the API calls it
    "#);
}

#[test]
fn a_source_is_asked_in_one_way() {
    let sources = [
        "csv: { delimiter: ';' }",
        "jsonl: { path: a, credential: x, unchanged: { probe: etag } }",
        "http_json: { url: \"https://x/{{cursor}}\", body: b, paginate: { token: a, page: 1 } }",
        "http_json: { url: \"x\", paginate: { offset: true }, rate: { requests: 0, per: 1m } }",
        "http_json: { url: \"https://x\", paginate: { size: 5 } }",
        "google_sheets: { spreadsheet: x, credential: y, header: { row: 0 } }",
        "google_sheets: { spreadsheet: x, credential: y, range: \"T!A:K\", sheet_id: 5, \
         unchanged: { probe: mtime } }",
        "postgres: { url: mysql://x, query: \"select :cursor\" }",
        "postgres: { url: \"postgres://me:{{run.id}}@db/app\", query: \"select 1\" }",
        "singer: { stream: s, config: { tokn: \"{{credential.token}}\" }, config_writeback: token }",
    ];
    let told = sources
        .map(|source| job(&format!("source: {{ {source} }}"), COLUMNS, SQLITE, "mode: append"));
    insta::assert_snapshot!(told.join("\n--\n"), @r#"
    J022 { csv: { delimiter: ';' } } -> nothing says where the file is; add `path:` for a file on this host, or `url:` for one over HTTP
    --
    J056 x -> a file on this host is shown no credential; remove `credential`, or write `url` instead of `path`
    J056 etag -> this source can't be asked for its `etag`; write `probe: mtime`
    --
    J051 cursor -> there is no value `cursor`; there are params.NAME, env.NAME, job.name, run.id and slot
    J056 b -> a GET sends no body; write `method: POST`, or put it into `params`
    J056 { token: a, page: 1 } -> the next page is found in one way: token or page; keep one of them
    --
    J030 x -> at this rate nothing is ever asked; write it like `rate: { requests: 50, per: 1m }`
    J058 x -> this is no address: relative URL without a base; write it like `https://example.com/items`
    J022 { offset: true } -> `offset` needs the number of records that are asked for at a time; add `size: 100` and `size_param:`
    J022 { offset: true } -> `offset` needs the parameter that names the page; add `param:` with its name
    --
    J022 { size: 5 } -> nothing says how the next page is found; add one of `token: PATH`, `page: 1`, `offset: true` and `link: header`
    --
    J022 { google_sheets: { spreadsheet: x, crede -> nothing says which tab is read; write `range: "TAB!A:K"`, or `sheet_id:` with the number behind `gid=` in the address
    J030 { google_sheets: { spreadsheet: x, crede -> rows are counted from 1; write `header: { row: 1 }`
    --
    J056 T!A:K -> the tab is named twice: by `sheet_id` and in `range`; keep `sheet_id`, which stays when the tab is renamed, and the cells alone: `range: "A:K"`
    J056 mtime -> this source can't be asked for its `mtime`; write `probe: drive_version`
    --
    J058 mysql://x -> this is no address of a Postgres server; write `postgres://user@host/database`
    J022 select :cursor -> the query asks for `:cursor`, and nothing says what that is; add `cursor: { field: COLUMN, initial: VALUE }` to the source
    --
    J058 postgres://me:{{run.id}}@db/app -> a password must not stand here; leave it out, and name a `credential` that holds it
    --
    J022 { singer: { stream: s, config: { tokn: " -> nothing says which tap runs; add `package: { pip: "tap-NAME==1.2.3" }`, or `run: [PROGRAM]` for one that is installed
    J051 credential.token -> there is no value `credential`; there are params.NAME, env.NAME, job.name, run.id and slot
    J020 token -> the configuration has no `token` to be kept; did you mean `tokn`?
    "#);
}
