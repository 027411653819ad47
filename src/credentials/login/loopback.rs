//! The browser's way back on this host: a listener on 127.0.0.1 that takes one answer.
//!
//! Owns the port. Refuses anything but the answer to its own question, and to listen beyond it.

use std::io;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::asking::{Returned, redirect_to};
use super::{Asking, Error};
use crate::clock::{Clock, within};
use crate::credentials::secret::Secret;

/// Longest head of a request that is read.
const HEAD_MAX: usize = 16 * 1024;

/// How long one connection may take to say what it wants.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// Most connections at a time; others wait.
const OPEN_MAX: usize = 16;

/// How long nothing is accepted after that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// A listener on a port that the system chose.
#[derive(Debug)]
pub struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    /// Opens one.
    pub async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// Its port: what an ssh forward is made to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the browser is to be sent.
    #[must_use]
    pub fn redirect(&self) -> String {
        redirect_to(self.port)
    }

    /// Waits for the code that answers this question.
    pub async fn code(
        self,
        asking: &Asking,
        patience: Duration,
        clock: &dyn Clock,
    ) -> Result<Secret, Error> {
        let answered = self.answer(|state| asking.is_ours(state), clock);
        within(clock, patience, answered).await.unwrap_or(Err(Error::Expired))
    }

    /// The first answer whose state is ours. Whatever else comes in, a browser looking for an icon or
    /// somebody guessing, is sent away and changes nothing. Browsers open connections ahead of need, and
    /// leave them silent: no connection waits for another.
    pub(super) async fn answer(
        self,
        is_ours: impl Fn(&str) -> bool,
        clock: &dyn Clock,
    ) -> Result<Secret, Error> {
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if open.len() < OPEN_MAX => match accepted {
                    Ok((stream, _)) => open.push(attend(stream, &is_ours, clock)),
                    // No file descriptors left, most likely.
                    Err(_) => clock.sleep(PAUSE).await,
                },
                Some(answered) = open.next() => {
                    if let Some(code) = answered {
                        return code;
                    }
                }
            }
        }
    }
}

/// Attends to one connection: the code, when it brings the answer that is waited for.
async fn attend(
    mut stream: TcpStream,
    is_ours: &impl Fn(&str) -> bool,
    clock: &dyn Clock,
) -> Option<Result<Secret, Error>> {
    let head = within(clock, HEAD_PATIENCE, target(&mut stream)).await.flatten();
    let (status, words, code) = match head.and_then(|target| Returned::read(&target).ok()) {
        Some(Returned { state: Some(state), code }) if is_ours(&state) => {
            let words = match &code {
                Ok(_) => "You are logged in. This window can be closed.",
                Err(_) => "The consent was refused. This window can be closed.",
            };
            ("200 OK", words, Some(code))
        }
        _ => ("404 Not Found", "This is not the answer that is waited for.", None),
    };
    within(clock, HEAD_PATIENCE, page(&mut stream, status, words)).await;
    code
}

/// What a request asks for; `None` when it is no request.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut chunk = [0; 2048];
        let read = stream.read(&mut chunk).await.ok()?;
        if read == 0 || head.len() + read > HEAD_MAX {
            return None;
        }
        head.extend_from_slice(&chunk[..read]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut words = head.lines().next()?.split(' ');
    (words.next()? == "GET").then(|| words.next().map(str::to_owned)).flatten()
}

async fn page(stream: &mut TcpStream, status: &str, words: &str) {
    let body = format!("<!doctype html><title>JADA</title><p>{words}</p>");
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\
         Referrer-Policy: no-referrer\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let _gone = stream.write_all(text.as_bytes()).await;
    let _gone = stream.shutdown().await;
}
