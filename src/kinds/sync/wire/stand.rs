//! A server that answers as it is told, and an attempt that asks it: for tests of everything that speaks
//! HTTP. Waits are over at once, and noted.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::super::intake::Intake;
use super::super::source::{Read as Came, Start};
use super::super::testing::{Attempt, Bench, spec};
use super::super::trouble::Trouble;
use crate::clock::{Clock, SimClock, SystemClock};
use crate::credentials::declare::{Declaration, Provider, SecretPlace, Static, StaticSecret};
use crate::credentials::exchange::Wire as TokenWire;
use crate::credentials::folder::Folder;
use crate::credentials::keeper::Keeper;
use crate::credentials::providers::World;
use crate::credentials::redact::Redactor;
use crate::kinds::Setting;
use crate::model::{Binding, Channel, CredentialName};

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(in super::super) struct Seen {
    pub(in super::super) line: String,
    pub(in super::super) headers: BTreeMap<String, String>,
    pub(in super::super) body: String,
    /// Which connection it came on.
    pub(in super::super) connection: usize,
}

impl Seen {
    /// The path with its query.
    pub(in super::super) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    pub(in super::super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub(in super::super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    broken: bool,
}

impl Reply {
    pub(in super::super) fn json(body: impl Into<String>) -> Self {
        Self::of(200, body).with("content-type", "application/json; charset=utf-8")
    }

    pub(in super::super) fn of(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), broken: false }
    }

    pub(in super::super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The connection is closed in the middle of the body; without one, before any answer.
    pub(in super::super) fn broken(mut self) -> Self {
        self.broken = true;
        self
    }
}

type Handler = Box<dyn FnMut(&Seen) -> Reply + Send>;

/// A server on the loopback.
pub(in super::super) struct Web {
    pub(in super::super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Web {
    pub(in super::super) fn start(handler: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (handler, all) = (Arc::new(Mutex::new(Box::new(handler) as Handler)), seen.clone());
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let (handler, all) = (handler.clone(), all.clone());
                std::thread::spawn(move || serve(&stream, number, &all, &handler));
            }
        });
        Self { url, seen }
    }

    /// Answers in this order, and with the last one for ever.
    pub(in super::super) fn answering(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut replies: Vec<Reply> = replies.into_iter().collect();
        replies.reverse();
        Self::start(move |_| {
            let last = replies.last().cloned().unwrap();
            if replies.len() > 1 { replies.pop().unwrap() } else { last }
        })
    }

    pub(in super::super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(in super::super) fn targets(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.target().to_owned()).collect()
    }
}

fn serve(stream: &TcpStream, connection: usize, all: &Mutex<Vec<Seen>>, handler: &Mutex<Handler>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        let seen = Seen { line: line.trim_end().to_owned(), headers, body, connection };
        all.lock().unwrap().push(seen.clone());
        let reply = (handler.lock().unwrap())(&seen);
        let mut head =
            format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let whole = format!("{head}\r\n{}", reply.body);
        let much = if !reply.broken {
            whole.len()
        } else if reply.body.is_empty() {
            0
        } else {
            whole.len() - reply.body.len() / 2 - 1
        };
        let mut writer = stream;
        if writer.write_all(&whole.as_bytes()[..much]).is_err() || reply.broken {
            let _closed = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

/// A clock whose waits are over at once: time leaps over them, and they are noted.
pub(in super::super) struct Leaping {
    time: SimClock,
    waits: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Clock for Leaping {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    fn passed(&self) -> Duration {
        self.time.passed()
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.time.sleep_until(at).await;
    }

    async fn sleep(&self, time: Duration) {
        self.waits.lock().unwrap().push(time);
        self.time.advance(time);
    }
}

/// Attempts that ask servers.
pub(in super::super) struct Stand {
    pub(in super::super) bench: Bench,
    pub(in super::super) clock: Arc<Leaping>,
}

/// The token that attempts show.
pub(in super::super) const TOKEN: &str = "canary-token-0123456789";

impl Stand {
    pub(in super::super) fn new() -> Self {
        let bench = Bench::new();
        let clock = Leaping { time: bench.clock.clone(), waits: Mutex::default() };
        Self { bench, clock: Arc::new(clock) }
    }

    /// Puts another token in place.
    pub(in super::super) fn put_token(&self, token: &str) {
        let path = self.bench.path("token");
        std::fs::write(&path, token).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// An attempt of a job that binds the credential `api`, which this host may see.
    pub(in super::super) fn attempt(&self, text: &str) -> Attempt {
        if !self.bench.path("token").exists() {
            self.put_token(TOKEN);
        }
        let name = CredentialName::parse("test/api").unwrap();
        let secret = StaticSecret::Bearer(SecretPlace::File(self.bench.path("token")));
        let declaration = Declaration {
            name: name.clone(),
            description: String::new(),
            provider: Provider::Static(Static { secret, expires_on: None }),
            hosts: vec!["127.0.0.1".to_owned()],
            seal: None,
            revision: 1,
        };
        let clock = Arc::new(SystemClock);
        let world =
            World { wire: TokenWire::new(clock.clone()), clock, environment: Arc::new(|_| None) };
        let folder = Folder::at(&self.bench.path("credentials"));
        let declared = Arc::new(BTreeMap::from([(name.clone(), Arc::new(declaration))]));
        let mut attempt = self.bench.attempt(text);
        let keeper =
            Keeper::open(&declared, folder, Arc::new(world), Arc::new(Redactor::default()));
        let keeper = attempt.tools.handle.block_on(keeper);
        let binding = Binding {
            name: "api".into(),
            credential: name,
            scopes: Vec::new(),
            min_ttl: Duration::from_secs(60),
            channel: Channel::Variable("API".to_owned()),
        };
        let setting = Setting::clone(&attempt.tools.setting);
        attempt.tools.setting = Arc::new(Setting { bindings: Arc::from([binding]), ..setting });
        attempt.tools.keeper = Some(keeper);
        attempt.tools.clock = self.clock.clone();
        attempt
    }

    /// Seconds that were waited for, rounded down.
    pub(in super::super) fn waits(&self) -> Vec<u64> {
        self.clock.waits.lock().unwrap().iter().map(Duration::as_secs).collect()
    }

    /// Reads a job's source; gives its rows as `a=1 b=null`.
    pub(in super::super) fn read(&self, text: &str) -> Result<Vec<String>, Trouble> {
        self.read_from(text, Start::default()).map(|(rows, _)| rows)
    }

    /// The same from somewhere.
    pub(in super::super) fn read_from(
        &self,
        text: &str,
        start: Start,
    ) -> Result<(Vec<String>, Came), Trouble> {
        let attempt = self.attempt(text);
        let start = Start { now: attempt.tools.now(), ..start };
        let spec = spec(text);
        let mut came = Came::Unchanged;
        let rows = Bench::take(text, &attempt, |intake: &mut Intake<'_>| {
            came = spec.source.read(&attempt.tools, &start, intake)?;
            Ok(())
        })?;
        Ok((rows, came))
    }
}

/// How a trouble ends, in its words.
pub(in super::super) fn told(trouble: &Trouble) -> String {
    format!("{}: {}", trouble.ending.word(), trouble.message)
}
