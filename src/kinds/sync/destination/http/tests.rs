//! Records that are sent to a server that does not always take them.

use super::super::super::columns::ColumnType;
use super::super::super::destination::{Destination, EachMove};
use super::super::super::ledger::State;
use super::super::super::testing::spec;
use super::super::super::value::encode;
use super::super::super::wire::stand::{Reply, Stand, Web, told};
use super::*;
use crate::model::RunId;

fn columns() -> Vec<Column> {
    let column = |name: &str, kind, key| Column { name: name.to_owned(), kind, key, required: key };
    let cost = ColumnType::Decimal { precision: 9, scale: 2 };
    vec![column("id", ColumnType::Text, true), column("cost", cost, false)]
}

fn row(id: &str, cost: i128) -> Vec<u8> {
    let mut row = Vec::new();
    encode(Value::Text(id), &mut row);
    encode(Value::Decimal(cost), &mut row);
    row
}

fn carry(stand: &Stand, web: &Web, keys: &str, steps: &[Move<'_>]) -> Result<(), Trouble> {
    let text = format!(
        "source: {{ csv: {{ path: a.csv }} }}\ncolumns: {{ id: {{ type: text, key: true }} }}\n\
         destination: {{ http: {{ url: '{}/rows', credential: api, {keys} }} }}\nmode: upsert\n",
        web.url
    );
    let attempt = stand.attempt(&text);
    let Destination::Http(section) = &spec(&text).destination.value else { panic!("http") };
    let columns = columns();
    let (session, _) =
        section.begin(&attempt.tools, Shape { stream: "port-sheet", columns: &columns })?;
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    let ledger = Ledger {
        version: 1,
        run: RunId(1),
        committed_at: at,
        read_at: at,
        rows: 1,
        fingerprint: String::new(),
        section: String::new(),
        state: State::default(),
        history: Vec::new(),
        earlier: Vec::new(),
    };
    let mut moves = |each: EachMove<'_>| steps.iter().try_for_each(|step| each(*step));
    session.carry_out(&columns, &mut moves, &ledger)
}

fn keys_of(web: &Web) -> Vec<String> {
    web.seen().iter().map(|seen| seen.header("idempotency-key").to_owned()).collect()
}

#[test]
fn each_record_is_one_request_with_a_key_of_its_own() {
    let (stand, web) = (Stand::new(), Web::answering([Reply::of(201, "{}")]));
    let (a, b) = (row("a/?#", 1250), row("b", 5));
    let mut gone = Vec::new();
    encode(Value::Text("x y"), &mut gone);
    let more = format!(
        "delete_url: '{}/rows/{{{{record.id}}}}', headers: {{ X-Row: '{{{{record.id}}}}' }}",
        web.url
    );
    let steps = [Move::Delete(&gone), Move::Update(&a), Move::Insert(&b)];
    carry(&stand, &web, &more, &steps).unwrap();
    let lines: Vec<_> = web
        .seen()
        .iter()
        .map(|seen| format!("{} {} {}", seen.line, seen.header("x-row"), seen.body))
        .collect();
    assert_eq!(
        lines,
        [
            "DELETE /rows/x%20y HTTP/1.1 x y ",
            r#"POST /rows HTTP/1.1 a/?# {"cost":"12.50","id":"a/?#"}"#,
            r#"POST /rows HTTP/1.1 b {"cost":"0.05","id":"b"}"#,
        ]
    );
    let keys: std::collections::BTreeSet<_> = keys_of(&web).into_iter().collect();
    assert_eq!((keys.len(), keys.first().map(String::len)), (3, Some(64)));
}

#[test]
fn after_a_failure_in_the_middle_the_keys_are_the_same_and_after_a_commit_they_are_not() {
    let (stand, web) = (
        Stand::new(),
        Web::answering([Reply::of(200, ""), Reply::of(422, "no"), Reply::of(200, "")]),
    );
    let (a, b) = (row("a", 1), row("b", 2));
    let steps = [Move::Insert(&a), Move::Insert(&b)];
    let told = told(&carry(&stand, &web, "method: PUT", &steps).unwrap_err());
    assert!(
        told.starts_with("failed:config: ") && told.contains("(record id=b; 1 were sent before it"),
        "{told}"
    );
    carry(&stand, &web, "method: PUT", &steps).unwrap();
    carry(&stand, &web, "method: PUT", &steps).unwrap();
    let keys = keys_of(&web);
    assert_eq!(keys[..2], keys[2..4]);
    assert!(!keys[..2].contains(&keys[4]), "a row that comes back later is another change");
}

#[test]
fn a_post_whose_answer_is_lost_is_sent_again_only_where_the_server_knows_the_key() {
    let a = row("a", 1);
    for (keys, tries) in
        [("method: POST", 1), ("idempotency_header: X-Once", 2), ("method: PUT", 2)]
    {
        let (stand, web) =
            (Stand::new(), Web::answering([Reply::of(200, "").broken(), Reply::of(200, "")]));
        let done = carry(&stand, &web, keys, &[Move::Insert(&a)]);
        assert_eq!((done.is_ok(), web.seen().len()), (tries == 2, tries), "{keys}");
    }
}

#[test]
fn what_is_gone_already_is_deleted() {
    let (stand, web) = (Stand::new(), Web::answering([Reply::of(404, "")]));
    let mut gone = Vec::new();
    encode(Value::Text("x"), &mut gone);
    let url = format!("delete_url: '{}/rows/{{{{record.id}}}}'", web.url);
    carry(&stand, &web, &url, &[Move::Delete(&gone)]).unwrap();
    carry(&stand, &web, "method: PUT", &[Move::Delete(&gone)]).unwrap();
    assert_eq!(web.seen().len(), 1, "without an address nothing is deleted");
}
