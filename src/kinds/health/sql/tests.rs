//! Real databases.

use super::super::tests::Bench;
use crate::kinds::sync::postgres_server::Server;

#[tokio::test]
async fn a_value_of_sqlite_keeps_its_type() {
    let bench = Bench::new();
    let path = bench.dir.path().join("shop.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "create table orders (id integer, state text, at text);
             insert into orders values (1, 'stuck', '2026-11-25 11:00:00'), (2, 'done', null)",
        )
        .unwrap();
    for (query, rest, expected, look) in [
        ("select count(*) from orders", "", "ok rows 1, latency ", "ok -"),
        (
            "select count(*) from orders",
            ", expect: { value: '< 2' }",
            "fail value 2, expected < 2",
            "fail threshold",
        ),
        ("select state from orders", ", expect: { value: stuck, rows: 2 }", "ok rows 2", "ok -"),
        ("select max(at) from orders", ", expect: { age: '< 1s' }", "fail age ", "fail stale"),
        ("select null", ", expect: { age: '< 1h' }", "fail null is no time", "fail http.answer"),
        (
            "select 1 where false",
            ", expect: { value: 1 }",
            "fail the query gave no row",
            "fail http.answer",
        ),
        ("select 1 where false", ", expect: { rows: 0 }", "ok rows 0", "ok -"),
        ("selec 1", "", "unknown ", "unknown "),
        ("delete from orders", "", "unknown ", "unknown "),
        (
            "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n",
            ", timeout: 200ms",
            "unknown it could not be read within 200ms",
            "unknown exec.timeout",
        ),
    ] {
        let check = format!("sql: {{ sqlite: shop.db, query: \"{query}\" }}{rest}");
        let line = bench.line(&check).await;
        assert!(line.starts_with(expected), "{check}: {line}");
        let told = bench.look(&check).await;
        assert!(told.starts_with(&format!("check/pulse/it {look}")), "{check}: {told}");
    }
    let left: i64 =
        connection.query_row("select count(*) from orders", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 2);
    let line = bench.line("sql: { sqlite: gone.db, query: select 1 }").await;
    assert!(line.starts_with("unknown ") && line.contains("gone.db"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_of_postgres_keeps_its_type() {
    let Some(server) = Server::shared() else { return };
    let bench = Bench::new();
    let url = server.url("postgres");
    for (query, rest, expected, look) in [
        ("select 42::bigint", ", expect: { value: '> 41' }", "ok rows 1", "ok -"),
        (
            "select 1.5::numeric as x",
            ", expect: { value: '< 1.5' }",
            "fail value 1.5, ",
            "fail threshold",
        ),
        ("select true", ", expect: { value: true }", "ok rows 1", "ok -"),
        (
            "select now() - interval '3 hours'",
            ", expect: { age: '< 2h' }",
            "fail age 3h",
            "fail stale",
        ),
        ("select generate_series(1, 100000)", ", expect: { rows: 1000 }", "ok rows 1000", "ok -"),
        ("select 1 / 0", "", "unknown ", "unknown "),
        ("create table x (y int)", "", "unknown ", "unknown "),
        (
            "select pg_sleep(600)",
            ", timeout: 300ms",
            "unknown it could not",
            "unknown exec.timeout",
        ),
    ] {
        let check = format!("sql: {{ postgres: '{url}', query: \"{query}\" }}{rest}");
        let line = bench.line(&check).await;
        assert!(line.starts_with(expected), "{check}: {line}");
        let told = bench.look(&check).await;
        assert!(told.contains(&format!(" {look}")), "{check}: {told}");
    }
}
