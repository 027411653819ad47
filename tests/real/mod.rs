//! A certified OpenID server in another process, and as much of a browser as it takes to consent there.
//!
//! It needs Node and the packages that `.ci/run` installs beside the build; without them its tests say so
//! and pass, unless `JADA_TEST_OIDC=required` is set.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};

/// The server. It ends when this goes.
pub(crate) struct Oidc {
    process: Child,
    port: u16,
}

/// An answer.
struct Page {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Oidc {
    /// Starts one, or says why there is none.
    pub(crate) fn start() -> Result<Self, String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../oidc");
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/real/oidc/server.mjs");
        let missing = |why: String| {
            let required = std::env::var("JADA_TEST_OIDC").is_ok_and(|value| value == "required");
            assert!(!required, "{why}");
            Err(format!("skipped: {why}"))
        };
        if !folder.join("node_modules/oidc-provider").is_dir() {
            return missing(format!("no oidc-provider in {}", folder.display()));
        }
        let mut command = Command::new("node");
        command.arg(script).arg(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = match command.stderr(Stdio::null()).spawn() {
            Ok(process) => process,
            Err(error) => return missing(format!("node does not start: {error}")),
        };
        let mut line = String::new();
        let stdout = process.stdout.as_mut().expect("the output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Ok(Self { process, port })
    }

    /// Its address.
    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Works one of its switches.
    pub(crate) fn admin(&self, action: &str, body: &Json) -> Json {
        let url = format!("{}/admin/{action}", self.issuer());
        let page = ask("POST", &url, &BTreeMap::new(), ("application/json", &body.to_string()));
        assert_eq!(page.status, 200, "{action}: {}", page.body);
        serde_json::from_str(&page.body).expect("JSON")
    }

    /// A refresh token as a consent would make it.
    pub(crate) fn grant(&self, client: &str) -> String {
        let asked = json!({ "client": client, "scope": "openid offline_access a" });
        let granted = self.admin("grant", &asked);
        granted["refresh_token"].as_str().expect("a token").to_owned()
    }

    /// Calls of its token endpoint so far.
    pub(crate) fn calls(&self) -> u64 {
        self.admin("stats", &json!({}))["calls"].as_u64().expect("a count")
    }

    /// Why it refused, as its own books say and its answers do not.
    pub(crate) fn causes(&self) -> Vec<String> {
        let stats = self.admin("stats", &json!({}));
        let causes = stats["causes"].as_array().expect("a list").iter();
        causes.filter_map(Json::as_str).map(str::to_owned).collect()
    }

    /// Opens an address, and fills in and sends every form that comes, as a person who consents does:
    /// where they are sent to elsewhere, or the last page.
    pub(crate) fn consent(&self, address: &str, user_code: &str) -> String {
        let mut cookies = BTreeMap::new();
        let mut page = ask("GET", address, &cookies, ("", ""));
        for _ in 0..20 {
            for (_, cookie) in page.headers.iter().filter(|(name, _)| name == "set-cookie") {
                let pair = cookie.split(';').next().unwrap_or_default();
                let (name, value) = pair.split_once('=').expect("a cookie");
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let location = page.headers.iter().find(|(name, _)| name == "location");
            if let Some((_, location)) = location {
                let next = self.absolute(location);
                if !next.starts_with(&self.issuer()) {
                    return next;
                }
                page = ask("GET", &next, &cookies, ("", ""));
            } else if let Some((action, form)) = form(&page.body, user_code) {
                let kind = "application/x-www-form-urlencoded";
                page = ask("POST", &self.absolute(&action), &cookies, (kind, &form));
            } else {
                return page.body;
            }
        }
        panic!("no end of forms: {}", page.body)
    }

    fn absolute(&self, address: &str) -> String {
        if address.starts_with('/') {
            format!("{}{address}", self.issuer())
        } else {
            address.to_owned()
        }
    }
}

impl Drop for Oidc {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _gone = self.process.kill().and_then(|()| self.process.wait().map(drop));
    }
}

/// The first form of a page: where it goes, and what is sent.
fn form(page: &str, user_code: &str) -> Option<(String, String)> {
    let form = page.split_once("<form")?.1.split_once("</form>")?.0;
    let action = attribute(form, "action")?.replace("&amp;", "&");
    let mut sent = oauth2::url::form_urlencoded::Serializer::new(String::new());
    for input in form.split("<input").skip(1) {
        let input = input.split('>').next().unwrap_or_default();
        let Some(name) = attribute(input, "name") else { continue };
        let value = match name.as_str() {
            "login" => "ops".to_owned(),
            "password" => "any".to_owned(),
            "user_code" => user_code.to_owned(),
            _ => attribute(input, "value").unwrap_or_default(),
        };
        sent.append_pair(&name, &value);
    }
    Some((action, sent.finish()))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split_once(&format!("{name}=\""))?.1;
    Some(rest.split('"').next().unwrap_or_default().to_owned())
}

fn ask(
    method: &str,
    url: &str,
    cookies: &BTreeMap<String, String>,
    (kind, body): (&str, &str),
) -> Page {
    let rest = url.strip_prefix("http://").expect("a plain address");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    // In version 1.0 an answer comes whole, and ends with the connection.
    let mut text = format!("{method} /{path} HTTP/1.0\r\nHost: {host}\r\n");
    let cookies: Vec<String> =
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !cookies.is_empty() {
        let _fits = write!(text, "Cookie: {}\r\n", cookies.join("; "));
    }
    if method == "POST" {
        let _fits = write!(text, "Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
    }
    let mut stream = TcpStream::connect(host).expect("the server");
    write!(stream, "{text}\r\n{body}").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    };
    Page { status, headers: head.lines().filter_map(header).collect(), body: body.to_owned() }
}
