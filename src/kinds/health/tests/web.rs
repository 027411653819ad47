//! HTTP and TCP checks against a small server.
//!
//! Owns the server and its cases. Refuses to know hosts and plugins (`super`).

use super::*;

/// A server on the loopback that answers each path in its own way.
pub(super) struct Server {
    pub(super) address: String,
    task: AbortHandle,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let at = address.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, at.clone()));
            }
        });
        Self { address, task: task.abort_handle() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: tokio::net::TcpStream, at: String) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let (head, body) = match path.as_str() {
        "/ok" => {
            ("200 OK".to_owned(), r#"{"status":"up","queue":{"depth":7,"hosts":["a"]}}"#.to_owned())
        }
        "/echo" => ("200 OK".to_owned(), request.clone()),
        "/text" => ("200 OK".to_owned(), "hello\n".to_owned()),
        "/away" => (format!("302 Found\r\nlocation: http://{at}/ok"), String::new()),
        "/loop" => (format!("302 Found\r\nlocation: http://{at}/loop"), String::new()),
        "/outside" => ("302 Found\r\nlocation: https://example.invalid/".to_owned(), String::new()),
        "/denied" => ("403 Forbidden".to_owned(), String::new()),
        "/busy" => ("429 Too Many Requests\r\nretry-after: 30".to_owned(), String::new()),
        "/broken" => ("200 OK\r\ncontent-length: 100".to_owned(), "only this".to_owned()),
        "/huge" => ("200 OK".to_owned(), "x".repeat(3 << 20)),
        "/hang" => std::future::pending().await,
        "/close" => return,
        "/garbage" => ("\r\n\r\n".to_owned(), "no http at all".to_owned()),
        _ => ("503 Service Unavailable".to_owned(), "down".to_owned()),
    };
    let length = if head.contains("content-length") {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    let answer = format!("HTTP/1.1 {head}\r\n{length}connection: close\r\n\r\n{body}");
    let _gone = stream.write_all(answer.as_bytes()).await;
}

#[tokio::test]
async fn http_answers_are_held_against_what_is_expected() {
    let (bench, server) = (Bench::new(), Server::start().await);
    let cases = [
        ("/ok", "", "ok status 200, latency"),
        ("/away", "", "ok status 200, latency"),
        ("/outside", "", "ok status 302, latency"),
        ("/loop", "", "fail no answer from 127.0.0.1: more than 5 redirects"),
        ("/down", "", "fail status 503, expected 2xx or 3xx"),
        ("/down", "expect: { status: [200, 503] }", "ok status 503, latency"),
        ("/ok", "expect: { status: 204 }", "fail status 200, expected 204"),
        ("/ok", "expect: { latency: '< 1m' }", "ok status 200, latency"),
        ("/down", "warn: { status: 200 }", "fail status 503, expected 2xx or 3xx"),
        ("/ok", "warn: { status: 204 }", "warn status 200, expected 204"),
        ("/text", "expect: { body: hello }", "ok status 200, latency"),
        (
            "/text",
            "expect: { body: { contains: bye } }",
            "fail body \"hello\\n\", expected with \"bye\" in it",
        ),
        (
            "/ok",
            "expect: { json: { status: up, queue.depth: '< 10', queue.hosts.0: a } }",
            "ok status 200, latency",
        ),
        (
            "/ok",
            "expect: { json: { queue.depth: '< 5' } }",
            "fail json.queue.depth 7, expected < 5",
        ),
        (
            "/ok",
            "expect: { json: { status: '< 5' } }",
            "unknown json.status: \"up\" is not a plain number",
        ),
        (
            "/ok",
            "expect: { json: { queue.length: '< 5' } }",
            "fail there is no `queue.length` in the body",
        ),
        (
            "/text",
            "expect: { json: { a: 1 } }",
            "fail the body is no JSON: expected value at line 1 column 1",
        ),
        ("/huge", "expect: { body: { contains: x } }", "ok status 200, latency"),
        ("/huge", "expect: { json: { a: 1 } }", "fail the body is longer than 1 MiB"),
        ("/broken", "expect: { body: x }", "fail the body broke off: "),
        ("/close", "", "fail no answer from 127.0.0.1: "),
        ("/garbage", "", "fail no answer from 127.0.0.1: "),
        ("/hang", "timeout: 50ms", "fail no answer within 50ms"),
    ];
    for (path, rest, expected) in cases {
        let check = format!("http: {{ url: 'http://{}{path}' }}, {rest}", server.address);
        let line = bench.line(check.trim_end_matches([',', ' '])).await;
        assert!(line.starts_with(expected), "{path} {rest}: {line}");
    }
}

#[tokio::test]
async fn a_request_carries_what_it_is_given() {
    let (bench, server) = (Bench::new(), Server::start().await);
    let port = server.address.rsplit_once(':').unwrap().1;
    let check = format!(
        "http: {{ url: 'http://{{{{params.host}}}}:{port}/echo', method: POST, body: 'n={{{{run.id}}}}', \
         headers: {{ X-Slot: '{{{{slot}}}}' }} }}, \
         expect: {{ body: {{ matches: '(?s)^POST /echo.*x-slot: 2026-03-01T00:00:00Z' }} }}"
    );
    let line = bench.line(&check).await;
    assert!(line.starts_with("ok "), "{line}");
}

#[tokio::test]
async fn a_status_gives_the_failure_its_class() {
    let (bench, server) = (Bench::new(), Server::start().await);
    let run = async |paths: &[&str]| {
        let check = |path: &&str| {
            let name = path.trim_start_matches('/');
            format!("  - {{ name: {name}, http: {{ url: 'http://{}{path}' }} }}\n", server.address)
        };
        let checks: String = paths.iter().map(check).collect();
        let outcome = bench.run(&format!("checks:\n{checks}")).await;
        let Outcome::Failed(failure) = outcome else { panic!("it succeeded") };
        (failure.class.word(), failure.retry_after.map(|time| time.as_secs()))
    };
    assert_eq!(run(&["/denied"]).await, ("unauthorized", None));
    assert_eq!(run(&["/busy", "/ok"]).await, ("throttled", Some(30)));
    assert_eq!(run(&["/busy", "/denied"]).await, ("transient", None));
    assert_eq!(run(&["/down"]).await, ("transient", None));
}

#[tokio::test]
async fn a_port_takes_connections_or_is_down() {
    let (bench, server) = (Bench::new(), Server::start().await);
    let line = bench.line(&format!("tcp: {{ address: '{}' }}", server.address)).await;
    assert!(line.starts_with("ok latency "), "{line}");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [closed.to_string(), "no-such-host.invalid:80".to_owned()] {
        let line = bench.line(&format!("tcp: {{ address: '{address}' }}")).await;
        assert!(line.starts_with(&format!("fail can't connect to {address}: ")), "{line}");
    }
}
