//! A token server in this process, on a loopback port, with switches for everything that can go wrong.
//!
//! Owns grants, rotation with reuse detection, codes with PKCE, device codes and faults. It uses nothing of
//! the crate, so that the crate's own tests can include it too. Every secret that it hands out has the word
//! `canary` in it: what must not be found anywhere.

// Each test target uses a part of it.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    reason = "a part of it is used by each target"
)]

mod http;
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

pub use http::{Request, read, visit};

/// The confidential client.
pub const CLIENT: &str = "jada-test";
/// Its secret.
pub const SECRET: &str = "canary-client-secret";
/// The client without a secret.
pub const PUBLIC: &str = "jada-public";

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An answer of this status, with this body, and with headers besides.
    Answer { status: u16, headers: Vec<(String, String)>, body: String },
    /// The connection is reset before the request is read.
    Reset,
    /// The request is read, and nothing follows.
    Hang,
    /// The request is done, and the answer lost.
    LoseAnswer,
    /// The request is done, and half of the answer lost.
    TearAnswer,
}

impl Fault {
    /// An answer of this status with this body.
    pub fn answer(status: u16, body: &str) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.to_owned() }
    }

    /// The same with `Retry-After`.
    pub fn retry_after(status: u16, retry_after: &str) -> Self {
        let headers = vec![("Retry-After".to_owned(), retry_after.to_owned())];
        Self::Answer { status, headers, body: String::new() }
    }

    /// A page, as proxies and captive portals answer.
    pub fn html(status: u16) -> Self {
        let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
        let body = "<!doctype html><title>Sign in</title>".to_owned();
        Self::Answer { status, headers, body }
    }

    /// An OAuth error.
    pub fn error(status: u16, code: &str) -> Self {
        Self::answer(status, &format!(r#"{{"error": "{code}"}}"#))
    }
}

/// A refresh token.
struct Refresh {
    family: u64,
    spent: bool,
}

/// What a consent allows.
struct Family {
    scopes: String,
    revoked: bool,
}

/// A code that waits to be traded.
struct Code {
    challenge: String,
    redirect: String,
    scopes: String,
}

/// A device code.
struct Device {
    user_code: String,
    scopes: String,
    decision: Decision,
}

/// What the person at the other device has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Pending,
    SlowDownOnce,
    Consented,
    Denied,
    Expired,
}

struct State {
    now: Box<dyn Fn() -> i64 + Send>,
    skew: i64,
    rotates: bool,
    google: bool,
    expires_in: String,
    granted: Option<String>,
    account: String,
    next: u64,
    families: BTreeMap<u64, Family>,
    refresh: BTreeMap<String, Refresh>,
    access: BTreeMap<String, u64>,
    codes: BTreeMap<String, Code>,
    devices: BTreeMap<String, Device>,
    standing_fault: Option<Fault>,
    faults: VecDeque<Fault>,
    seen: Vec<Request>,
    exchanges: u64,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    over: AtomicBool,
}

/// A token server. It ends when this goes.
pub struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Fake {
    /// Starts one whose clock reads the seconds since 1970 that `now` tells.
    pub fn start(now: impl Fn() -> i64 + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let state = State {
            now: Box::new(now),
            skew: 0,
            rotates: false,
            google: false,
            expires_in: "3599".to_owned(),
            granted: None,
            account: "ops@example.com".to_owned(),
            next: 0,
            families: BTreeMap::new(),
            refresh: BTreeMap::new(),
            access: BTreeMap::new(),
            codes: BTreeMap::new(),
            devices: BTreeMap::new(),
            standing_fault: None,
            faults: VecDeque::new(),
            seen: Vec::new(),
            exchanges: 0,
        };
        let over = AtomicBool::new(false);
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), over });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.over.load(Ordering::Acquire) {
                    break;
                }
                let serving = Arc::clone(&serving);
                thread::spawn(move || server::serve(stream, &serving, address));
            }
        });
        Self { address, shared }
    }

    /// An address at this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A grant as a person's consent would make it: its refresh token.
    pub fn grant(&self, scopes: &str) -> String {
        self.state().consent(scopes)
    }

    /// Whether each refresh replaces the refresh token, and a second use of one kills its grant.
    pub fn rotate(&self, on: bool) {
        self.state().rotates = on;
    }

    /// Answers as Google does: no refresh token on refresh, and ends declared with the consent.
    pub fn google(&self, on: bool) {
        self.state().google = on;
    }

    /// What `expires_in` says, as JSON; empty leaves it out.
    pub fn expires_in(&self, json: &str) {
        json.clone_into(&mut self.state().expires_in);
    }

    /// What `scope` says instead of what was asked for.
    pub fn grants_only(&self, scopes: &str) {
        self.state().granted = Some(scopes.to_owned());
    }

    /// Who consents from now on.
    pub fn account(&self, account: &str) {
        account.clone_into(&mut self.state().account);
    }

    /// Ends every grant, as a person does who removes the app.
    pub fn revoke_all(&self) {
        self.state().families.values_mut().for_each(|family| family.revoked = true);
    }

    /// How far the `Date` of answers is ahead of the clock.
    pub fn skew(&self, seconds: i64) {
        self.state().skew = seconds;
    }

    /// What happens to every call of the token endpoint from now on; `None` mends it.
    pub fn fault(&self, fault: Option<Fault>) {
        self.state().standing_fault = fault;
    }

    /// What happens to the next calls of the token endpoint, one each.
    pub fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// Calls of the token endpoint so far.
    pub fn calls(&self) -> usize {
        self.state().seen.iter().filter(|request| request.path == "/token").count()
    }

    /// Exchanges that brought a token so far.
    pub fn exchanges(&self) -> u64 {
        self.state().exchanges
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Request> {
        self.state().seen.clone()
    }

    /// Waits until so many calls of the token endpoint have come in.
    pub fn await_calls(&self, calls: usize) {
        let mut state = self.state();
        while state.seen.iter().filter(|request| request.path == "/token").count() < calls {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What the person at the other device does to all device codes.
    pub fn decide(&self, decision: Decision) {
        self.state().devices.values_mut().for_each(|device| device.decision = decision);
    }

    /// Whether this access token would be taken.
    pub fn takes(&self, access: &str) -> bool {
        self.state().takes(access)
    }

    /// The same, for a server beside this one.
    pub fn taker(&self) -> impl Fn(&str) -> bool + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move |access| shared.state.lock().unwrap_or_else(PoisonError::into_inner).takes(access)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        let _wakes_the_listener = TcpStream::connect(self.address);
    }
}
