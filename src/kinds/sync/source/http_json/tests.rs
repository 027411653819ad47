//! Pages of records from a server that does not do as one wishes.

use std::fmt::Write;

use super::super::super::wire::stand::{Reply, Seen, Stand, Web, told};
use super::*;

type Handler = Box<dyn FnMut(&Seen) -> Reply + Send>;

/// A job that reads `url` by what is in `keys`.
fn job(url: &str, keys: &str) -> String {
    format!(
        "source: {{ http_json: {{ url: '{url}/items', {keys} }} }}\n\
         columns: {{ id: {{ type: int, key: true }}, name: {{ type: text }} }}\n\
         destination: {{ jsonl: {{ path: out.jsonl }} }}\nmode: upsert\n"
    )
}

fn items(ids: std::ops::Range<u64>) -> String {
    let mut list = String::new();
    for id in ids {
        let comma = if list.is_empty() { "" } else { "," };
        write!(list, r#"{comma}{{"id":{id},"name":"n{id}"}}"#).unwrap();
    }
    format!("[{list}]")
}

/// The value of a parameter.
fn param(seen: &Seen, name: &str) -> Option<u64> {
    let url = Url::parse(&format!("http://x{}", seen.target())).unwrap();
    let pairs: Vec<_> = url.query_pairs().collect();
    pairs.iter().find(|(key, _)| key == name)?.1.parse().ok()
}

#[test]
fn bad_answers_are_never_no_rows() {
    let keys = "records: data.items, expect: { content_type: application/json, absent: [error] }";
    let cases = [
        (
            Reply::json(r#"{"data":{"entries":[]}}"#),
            "failed:source: there is no `data.items` in the answer of HOST: {",
        ),
        (
            Reply::json(r#"{"error":"quota exceeded","data":{"items":[]}}"#),
            "failed:source: the answer of HOST has `error` in it: \"quota exceeded\"",
        ),
        (
            Reply::json(r#"{"data":{"items":null}}"#),
            "failed:source: `data.items` in the answer of HOST is null, not a list",
        ),
        (
            Reply::json(r#"{"data":{"items":{}}}"#),
            "failed:source: `data.items` in the answer of HOST is an object, not a list",
        ),
        (
            Reply::json(r#"{"data":{"items":[7]}}"#),
            "failed:source: page 1, record 1 is a plain value, not an object",
        ),
        (
            Reply::of(200, "<html>Log in</html>").with("content-type", "text/html"),
            "failed:source: HOST answered with text/html, not application/json; a page such as that of a login?",
        ),
        (
            Reply::of(200, "{}").with("content-type", "text/plain"),
            "failed:source: HOST answered with text/plain, not application/json",
        ),
        (
            Reply::of(200, "{}"),
            "failed:source: HOST answered with no content type, not application/json",
        ),
        (
            Reply::json("<html>Log in</html>"),
            "failed:source: the answer of HOST is no JSON: expected value at line 1 column 1: <html>",
        ),
        (Reply::json(""), "failed:source: the answer of HOST is no JSON: EOF while parsing"),
        (
            Reply::json(r#"{"data":{"items":[{"id":1},"#),
            "failed:source: the answer of HOST is no JSON: EOF while parsing",
        ),
    ];
    for (reply, words) in cases {
        let web = Web::answering([reply]);
        let host = web.url.trim_start_matches("http://").to_owned();
        let trouble = Stand::new().read(&job(&web.url, keys)).unwrap_err();
        let told = told(&trouble);
        assert!(told.starts_with(&words.replace("HOST", &host)), "{told}");
        assert_eq!(web.seen().len(), 1);
    }
}

#[test]
fn an_empty_list_that_is_there_is_no_rows() {
    let web = Web::answering([Reply::json(r#"{"error":null,"data":{"items":[]}}"#)]);
    let keys = "records: data.items, expect: { absent: [error] }";
    assert_eq!(Stand::new().read(&job(&web.url, keys)), Ok(Vec::new()));
}

#[test]
fn pages_are_followed_to_the_last() {
    // 5 records, 2 a page, whatever the client wants.
    let page = |from: u64| items(from.min(5)..(from + 2).min(5));
    let by_token = move |seen: &Seen| {
        let from = param(seen, "page_token").unwrap_or(0);
        let next = if from + 2 < 5 { format!("\"{}\"", from + 2) } else { "null".to_owned() };
        Reply::json(format!(r#"{{"items":{},"next":{next},"total":"5"}}"#, page(from)))
    };
    let by_page = move |seen: &Seen| {
        Reply::json(format!(r#"{{"items":{}}}"#, page((param(seen, "page").unwrap() - 1) * 2)))
    };
    let by_offset = move |seen: &Seen| {
        assert_eq!(param(seen, "limit"), Some(100));
        Reply::json(format!(r#"{{"items":{}}}"#, page(param(seen, "offset").unwrap())))
    };
    let by_header = move |seen: &Seen| {
        let from = param(seen, "from").unwrap_or(0);
        let reply = Reply::json(format!(r#"{{"items":{}}}"#, page(from)));
        match from + 2 {
            next if next < 5 => reply.with("link", &format!("</items?from={next}>; rel=\"next\"")),
            _ => reply,
        }
    };
    let by_path = move |seen: &Seen| {
        let from = param(seen, "from").unwrap_or(0);
        let next = if from + 2 < 5 { format!("?from={}", from + 2) } else { String::new() };
        Reply::json(format!(r#"{{"items":{},"links":{{"next":"{next}"}}}}"#, page(from)))
    };
    let cases: [(&str, Handler, usize); 5] = [
        ("{ token: next, total: total }", Box::new(by_token), 3),
        ("{ page: 1 }", Box::new(by_page), 4),
        ("{ offset: true, size: 100 }", Box::new(by_offset), 4),
        ("{ link: header }", Box::new(by_header), 3),
        ("{ link: links.next }", Box::new(by_path), 3),
    ];
    for (paginate, handler, requests) in cases {
        let web = Web::start(handler);
        let rows =
            Stand::new().read(&job(&web.url, &format!("records: items, paginate: {paginate}")));
        let want: Vec<_> = (0..5).map(|id| format!("id={id} name=n{id}")).collect();
        assert_eq!(rows, Ok(want), "{paginate}");
        assert_eq!(web.seen().len(), requests, "{paginate}: {:?}", web.targets());
    }
}

#[test]
fn what_is_missing_at_the_end_is_truncated() {
    let full = |next: &str, total: u64| {
        Reply::json(format!(r#"{{"items":{},"next":{next},"total":{total}}}"#, items(0..2)))
    };
    let cases = [
        // The total is not what was read.
        (
            "{ token: next, total: total }",
            vec![full("null", 3)],
            "2 of 3 records were read, on 1 pages",
        ),
        (
            "{ page: 1, total: total }",
            vec![full("null", 3), Reply::json(r#"{"items":[],"total":3}"#)],
            "2 of 3 records were read",
        ),
        // There is a page behind the last that may be read.
        (
            "{ token: next, max_pages: 1 }",
            vec![full("\"a\"", 2)],
            "there are more than the 1 pages of `max_pages`",
        ),
        // Pages go in a circle.
        ("{ token: next }", vec![full("\"a\"", 2)], "the page token of page 2 was there before"),
        (
            "{ link: next }",
            vec![full("\"/items?x=1\"", 2)],
            "the address of a next page of page 2 was there before",
        ),
        ("{ page: 1 }", vec![full("null", 2)], "page 2 has the records of an earlier one"),
        (
            "{ offset: true, param: start }",
            vec![full("null", 2)],
            "does the API know the parameter `start`?",
        ),
    ];
    for (paginate, replies, words) in cases {
        let web = Web::answering(replies);
        let text = job(&web.url, &format!("records: items, paginate: {paginate}"));
        let told = told(&Stand::new().read(&text).unwrap_err());
        assert!(
            told.starts_with("failed:truncated: ") && told.contains(words),
            "{paginate}: {told}"
        );
        assert!(web.seen().len() <= 3);
    }
    let web = Web::answering([Reply::json("[]").with("link", "</2>; rel=next")]);
    let told = told(&Stand::new().read(&job(&web.url, "method: GET")).unwrap_err());
    assert!(told.contains("paginate: { link: header }"), "{told}");
}

#[test]
fn a_failure_on_the_second_page_is_a_failure() {
    for (status, ending) in
        [(403, "failed:permission"), (404, "failed:not_found"), (500, "failed:source")]
    {
        let first = Reply::json(format!(r#"{{"items":{},"next":"b"}}"#, items(0..2)));
        let web = Web::answering([first, Reply::of(status, "")]);
        let text =
            job(&web.url, "records: items, paginate: { token: next }, retry: { max_elapsed: 3s }");
        let told = told(&Stand::new().read(&text).unwrap_err());
        assert!(told.starts_with(ending), "{told}");
    }
}

#[test]
fn a_next_page_elsewhere_gets_nothing_that_is_not_its_own() {
    let other = Web::answering([Reply::json(r#"{"items":[],"next":""}"#)]);
    let page = |url: &str| Reply::json(format!(r#"{{"items":[],"next":"{url}/items"}}"#));
    // Without a credential it stays where it is.
    let web = Web::answering([page(&other.url)]);
    let told_ = told(
        &Stand::new().read(&job(&web.url, "records: items, paginate: { link: next }")).unwrap_err(),
    );
    assert!(told_.contains("the next page is said to be on"), "{told_}");
    // With one, the declaration decides: 127.0.0.1 may see it, localhost may not.
    let keys =
        "records: items, credential: api, paginate: { link: next }, headers: { Cookie: mine }";
    assert_eq!(Stand::new().read(&job(&web.url, keys)), Ok(Vec::new()));
    assert_eq!(other.seen()[0].header("cookie"), "");
    let web = Web::answering([page(&other.url.replace("127.0.0.1", "localhost"))]);
    let told = told(&Stand::new().read(&job(&web.url, keys)).unwrap_err());
    assert!(told.contains("localhost may not see the credential test/api"), "{told}");
    assert_eq!(other.seen().len(), 1);
}

#[test]
fn the_cursor_stands_where_it_is_asked_for_and_a_first_read_leaves_it_out() {
    let web = Web::answering([Reply::json("[]")]);
    let keys = "params: { since: '{{cursor}}', n: 5 }, cursor: { field: id }";
    let start = Start { cursor: Some("2026-01-01T00:00:00Z".to_owned()), ..Start::default() };
    Stand::new().read_from(&job(&web.url, keys), start).unwrap();
    Stand::new().read_from(&job(&web.url, keys), Start::default()).unwrap();
    assert_eq!(web.targets(), ["/items?since=2026-01-01T00%3A00%3A00Z&n=5", "/items?n=5"]);
}

#[test]
fn a_post_is_repeated_only_where_that_is_declared() {
    for (keys, tries) in [("", 1), (", idempotent: true", 2)] {
        let web = Web::answering([Reply::of(503, ""), Reply::json("[]")]);
        let text = job(&web.url, &format!("method: POST, body: '{{}}'{keys}"));
        assert_eq!(Stand::new().read(&text).is_ok(), tries == 2);
        assert_eq!(web.seen().len(), tries);
        assert_eq!(web.seen()[0].body, "{}");
    }
}
