//! A stand-in for Google Sheets and the part of Drive that tells a file's version.
//!
//! Owns what a request means: who may ask, what is answered, which faults there are. Routes and validation
//! come from Google's discovery documents where those are there (`discovery`), and the official clients are
//! run against it (`check.py`, `node/check.mjs`). Refuses to listen: whoever has a server gives it requests.
//!
//! What the documents do not say, nobody has verified against Google: how values are rendered (here only
//! unformatted, and formatted as their plain text), quota timing, and how late Drive's version is.

mod book;
pub(crate) mod discovery;

use std::collections::VecDeque;

use serde_json::{Value as Json, json};

pub(crate) use book::Book;
use discovery::{Call, Discovery};

/// What an answer is.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The work is done, and the answer never arrives.
    pub(crate) lost: bool,
}

/// What goes wrong, once, in the order in which it is planned.
pub(crate) struct Fault {
    /// The method that it befalls, such as `values.get`; any that ends so.
    pub(crate) on: &'static str,
    pub(crate) what: What,
}

pub(crate) enum What {
    /// This answer instead of the work.
    Answer(u16, Json),
    /// The same with a `Retry-After`.
    Busy(u16, u64),
    /// The work is done, and the answer is lost.
    Lost,
    /// Something happens to the book before the work: a person edits it.
    Edit(fn(&mut Book)),
}

/// The stand-in.
pub(crate) struct Fake {
    pub(crate) book: Book,
    /// The token that is good.
    pub(crate) token: String,
    pub(crate) faults: VecDeque<Fault>,
    /// Reads that are left before the quota is used up.
    pub(crate) reads_left: u32,
    /// Methods that were called, in order.
    pub(crate) calls: Vec<String>,
    /// Requests that the documents do not allow. Of our client there must be none.
    pub(crate) complaints: Vec<String>,
    /// The last signed statement that was shown to the token endpoint.
    pub(crate) assertion: Option<String>,
    /// The key of the account is deleted, or its consent withdrawn: no grant is good any more.
    pub(crate) revoked: bool,
    discovery: Option<Discovery>,
}

impl Fake {
    pub(crate) fn new(book: Book, token: &str, discovery: Option<Discovery>) -> Self {
        Self {
            book,
            token: token.to_owned(),
            faults: VecDeque::new(),
            reads_left: u32::MAX,
            calls: Vec::new(),
            complaints: Vec::new(),
            assertion: None,
            revoked: false,
            discovery,
        }
    }

    /// Answers a request: its method, path with query, `Authorization`, and body.
    pub(crate) fn answer(&mut self, verb: &str, target: &str, bearer: &str, body: &str) -> Answer {
        if target == "/token" {
            return self.token(body);
        }
        let call = match Call::read(self.discovery.as_ref(), (verb, target), body) {
            Ok(call) => call,
            Err(why) => {
                self.complaints.push(format!("{verb} {target}: {why}"));
                return refused(400, "INVALID_ARGUMENT", &why);
            }
        };
        self.calls.push(call.id.clone());
        if bearer.strip_prefix("Bearer ") != Some(&self.token) {
            return refused(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials.",
            );
        }
        let mut lost = false;
        if self.faults.front().is_some_and(|fault| call.id.ends_with(fault.on)) {
            match self.faults.pop_front().map(|fault| fault.what) {
                Some(What::Answer(status, body)) => return answered(status, &body),
                Some(What::Busy(status, seconds)) => {
                    let mut busy = refused(status, "RESOURCE_EXHAUSTED", "Quota exceeded");
                    busy.headers.push(("retry-after".to_owned(), seconds.to_string()));
                    return busy;
                }
                Some(What::Lost) => lost = true,
                Some(What::Edit(edit)) => edit(&mut self.book),
                None => {}
            }
        }
        if verb == "GET" {
            let Some(left) = self.reads_left.checked_sub(1) else {
                return refused(
                    429,
                    "RESOURCE_EXHAUSTED",
                    "Quota exceeded for quota metric 'Read requests'",
                );
            };
            self.reads_left = left;
        }
        let answer = match self.book.perform(&call) {
            Ok(document) => match call.projected(self.discovery.as_ref(), &document) {
                Ok(document) => answered(200, &document),
                Err(why) => {
                    self.complaints.push(format!("{verb} {target}: {why}"));
                    refused(400, "INVALID_ARGUMENT", &why)
                }
            },
            Err((status, why)) => refused(status, status_word(status), &why),
        };
        Answer { lost, ..answer }
    }
}

impl Fake {
    /// Answers as a token endpoint: every grant is good but one that says it is dead.
    fn token(&mut self, form: &str) -> Answer {
        self.calls.push("token".to_owned());
        if self.revoked || form.contains("refresh_token=dead") {
            return answered(
                400,
                &json!({ "error": "invalid_grant", "error_description": "revoked" }),
            );
        }
        self.assertion =
            form.split('&').find_map(|pair| pair.strip_prefix("assertion=")).map(str::to_owned);
        let token = &self.token;
        answered(200, &json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
    }
}

fn status_word(status: u16) -> &'static str {
    if status == 404 { "NOT_FOUND" } else { "INVALID_ARGUMENT" }
}

fn refused(status: u16, word: &str, message: &str) -> Answer {
    answered(status, &json!({ "error": { "code": status, "message": message, "status": word } }))
}

fn answered(status: u16, body: &Json) -> Answer {
    let kind = ("content-type".to_owned(), "application/json; charset=UTF-8".to_owned());
    Answer { status, headers: vec![kind], body: body.to_string(), lost: false }
}
