//! As much HTTP as a token server needs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The path with its query, as it came.
    pub target: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub form: BTreeMap<String, String>,
    pub body: String,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.to_string() }
    }

    pub fn text(&self, date: &str) -> String {
        let mut text =
            format!("HTTP/1.1 {} Fake\r\nDate: {date}\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            let _fits = write!(text, "{name}: {value}\r\n");
        }
        let _fits = write!(text, "Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        text
    }
}

/// Reads one request.
pub fn read(stream: &TcpStream) -> io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut parts = line.split_whitespace().map(str::to_owned);
    let (method, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (path, query) = (path.to_owned(), pairs(query));
    let is_form = headers.get("content-type").is_some_and(|kind| kind.contains("urlencoded"));
    let form = if is_form { pairs(&body) } else { BTreeMap::new() };
    Ok(Request { method, target, path, query, headers, form, body })
}

pub fn write(mut stream: &TcpStream, text: &str) {
    let _gone = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

pub fn pairs(text: &str) -> BTreeMap<String, String> {
    let text = oauth2::url::form_urlencoded::parse(text.as_bytes());
    text.map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

/// What a browser gets at an address: the status, where it is sent, and the page.
pub fn visit(address: &str) -> (u16, Option<String>, String) {
    let rest = address.strip_prefix("http://").expect("a plain address");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let stream = TcpStream::connect(host).expect("a listener");
    write(&stream, &format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    let mut text = String::new();
    let _torn = BufReader::new(&stream).read_to_string(&mut text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let location = head.lines().find_map(|line| line.strip_prefix("Location: "));
    (status, location.map(str::to_owned), body.to_owned())
}
