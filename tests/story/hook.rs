//! A webhook that keeps what it is told, and can be down.
//!
//! Owns the wire of it. Refuses to know what a scenario is about.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;

/// What it knows.
#[derive(Default)]
struct Known {
    told: Vec<Json>,
    /// Keys of messages that were taken: the same one again is the same message.
    keys: Vec<String>,
    down: bool,
    refused: usize,
}

pub(crate) struct Hook {
    pub(crate) url: String,
    known: Arc<Mutex<Known>>,
}

impl Hook {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let known = Arc::new(Mutex::new(Known::default()));
        let serving = Arc::clone(&known);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &serving);
            }
        });
        Self { url, known }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_up(&self, up: bool) {
        self.known().down = !up;
    }

    /// Messages that it did not take.
    pub(crate) fn refused(&self) -> usize {
        self.known().refused
    }

    /// What it was told since the last [`Hook::take`].
    pub(crate) fn told(&self) -> Vec<Json> {
        self.known().told.clone()
    }

    pub(crate) fn take(&self) -> Vec<Json> {
        std::mem::take(&mut self.known().told)
    }
}

fn answer(mut stream: TcpStream, known: &Mutex<Known>) {
    let mut read = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut key) = (0, String::new());
    loop {
        let mut line = String::new();
        if read.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        let line = line.to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if let Some(value) = line.strip_prefix("idempotency-key:") {
            value.trim().clone_into(&mut key);
        }
    }
    let mut body = vec![0; length];
    if length == 0 || read.read_exact(&mut body).is_err() {
        return;
    }
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let status = if known.down {
        known.refused += 1;
        503
    } else {
        if key.is_empty() || !known.keys.contains(&key) {
            known.told.push(serde_json::from_slice(&body).unwrap());
            known.keys.push(key);
        }
        200
    };
    drop(known);
    let _gone =
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}
