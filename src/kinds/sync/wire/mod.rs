//! HTTP for the pipeline: asked on its thread, with the job's credential, as often as it takes.
//!
//! ```text
//!  ask ──▶ budget ──▶ token ──▶ walk ──▶ verdict ── fine ──▶ Answer (read as a stream)
//!   ▲                   ▲                  │ 401: another token, once
//!   │                   └──────────────────┤
//!   └───────── wait ◀── 429, 5xx, silence ─┘──▶ anything else: Trouble, with the server's own words
//! ```
//!
//! Owns repetition, budgets and the refresh of a token that was refused. Refuses to know what is asked for.
//!
//! How a source reads over HTTP:
//!
//! ```text
//! let wire = Wire::open(tools, Terms::new(Side::Source).with(self.credential.as_ref()))?;
//! let mut request = Request::get(address("url", &tools.render("url", &self.url)?)?);
//! request.headers.push(("if-none-match".into(), etag));       // a 304 comes back as an answer
//! let answer = wire.ask(&request)?;                             // 2xx or 304, everything else is a trouble
//! let etag = answer.etag();
//! csv::Reader::from_reader(answer.reader())                     // an io::Error of it: wire::broke(error)
//! ```

mod answer;
mod backoff;
mod verdict;

use std::cell::RefCell;
use std::time::Duration;

use reqwest::Url;

pub(super) use self::answer::Answer;
use self::backoff::Backoff;
use self::verdict::{Seen, Verdict, judge};
use super::tools::Tools;
use super::trouble::{Ending, Trouble};
use crate::credentials::evidence::Evidence;
use crate::credentials::keeper::{Lease, Use};
use crate::kinds::grant;
use crate::kinds::wire::{self, Caller, Connections, Lost, Means, NoLease};
pub(super) use crate::kinds::wire::{Limit, Request};
use crate::model::Binding;
use crate::yaml::Located;

/// How long a request that can be repeated is, where nothing is said.
pub(super) const MAX_ELAPSED: Duration = Duration::from_mins(2);

/// Longest time to the last byte of an answer that is taken whole.
const TOTAL: Duration = Duration::from_mins(10);

/// A token that ends within this time is asked for again before it is shown.
const NEARLY_OVER_SECS: i64 = 30;

/// Which end of a sync asks: what fails is its fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Where the data comes from.
    Source,
    /// Where it goes.
    Destination,
}

impl Side {
    /// How a failure that may go away by itself ends.
    pub(super) fn ending(self) -> Ending {
        match self {
            Self::Source => Ending::Source,
            Self::Destination => Ending::Destination,
        }
    }
}

/// Whether a request may be made again where nobody knows what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing, or the same thing twice.
    Freely,
    /// Only where the server says that it did nothing (401, 429).
    Refused,
}

/// How a wire is used.
#[derive(Clone, Debug)]
pub(super) struct Terms<'a> {
    /// Which end asks.
    pub(super) side: Side,
    /// The credential to show, by the job's own name for it.
    pub(super) credential: Option<&'a str>,
    /// How often it may be asked, and who counts together.
    pub(super) budget: Option<(String, Limit)>,
    /// Longest time from the first to the last try of a request.
    pub(super) max_elapsed: Duration,
}

impl<'a> Terms<'a> {
    /// Those of a request without a credential.
    pub(super) fn new(side: Side) -> Self {
        Self { side, credential: None, budget: None, max_elapsed: MAX_ELAPSED }
    }

    /// The same with a credential, where there is one.
    #[must_use]
    pub(super) fn with(mut self, credential: Option<&'a Located<String>>) -> Self {
        self.credential = credential.map(|name| name.value.as_str());
        self
    }
}

/// HTTP for one end of one attempt.
pub(super) struct Wire<'t> {
    tools: &'t Tools,
    side: Side,
    binding: Option<&'t Binding>,
    budget: Option<(String, Limit)>,
    max_elapsed: Duration,
    lease: RefCell<Option<Lease>>,
}

/// Why a try brought nothing.
enum Short {
    /// Another one may.
    Again(Trouble),
    /// Another one won't.
    Never(Trouble),
}

impl From<Trouble> for Short {
    fn from(trouble: Trouble) -> Self {
        Self::Never(trouble)
    }
}

/// An address of a job, filled in; `key` names it.
pub(super) fn address(key: &str, text: &str) -> Result<Url, Trouble> {
    match wire::problem(text) {
        Some((what, help)) => Err(Trouble::config(format!("`{key}`: {what}; {help}"))),
        None => Ok(Url::parse(text).expect("an address without problem is one")),
    }
}

impl<'t> Wire<'t> {
    /// A wire for an attempt. Nobody is asked yet.
    pub(super) fn open(tools: &'t Tools, terms: Terms<'_>) -> Result<Self, Trouble> {
        let binding = match terms.credential {
            None => None,
            Some(name) => {
                let bindings = &tools.setting.bindings;
                let found = bindings.iter().find(|binding| *binding.name == *name);
                if found.is_none() || tools.keeper.is_none() {
                    let words = format!("nobody here holds the credential `{name}`");
                    return Err(Trouble::config(words));
                }
                found
            }
        };
        Ok(Self {
            tools,
            side: terms.side,
            binding,
            budget: terms.budget,
            max_elapsed: terms.max_elapsed,
            lease: RefCell::default(),
        })
    }

    /// Whom a budget of its credential is counted for; the host where there is none.
    pub(super) fn account(&self, host: &str) -> String {
        let name = self.binding.map(|binding| binding.credential.as_str());
        name.unwrap_or(host).to_owned()
    }

    /// The same with a budget.
    #[must_use]
    pub(super) fn counted(mut self, who: String, limit: Limit) -> Self {
        self.budget = Some((who, limit));
        self
    }

    /// Asks for something that may be asked for again. Gives a 2xx or a 304, of which nothing is read yet.
    pub(super) fn ask(&self, request: &Request) -> Result<Answer<'t>, Trouble> {
        self.tried(request, Repeat::Freely, || self.once(request, None))
    }

    /// Asks, and takes the whole body, which must not be longer than `most`: one that breaks off is asked
    /// for again where that may be.
    pub(super) fn whole(
        &self,
        request: &Request,
        repeat: Repeat,
        most: usize,
    ) -> Result<(Answer<'t>, Vec<u8>), Trouble> {
        self.tried(request, repeat, || {
            let mut answer = self.once(request, Some(TOTAL))?;
            match answer.take(most) {
                Ok(body) => Ok((answer, body)),
                Err(trouble) if trouble.ending == self.side.ending() => {
                    let again = trouble.may_help != Some(false);
                    Err(if again { Short::Again(trouble) } else { Short::Never(trouble) })
                }
                Err(trouble) => Err(Short::Never(trouble)),
            }
        })
    }

    /// Tries as often as the terms allow.
    fn tried<T>(
        &self,
        request: &Request,
        repeat: Repeat,
        mut once: impl FnMut() -> Result<T, Short>,
    ) -> Result<T, Trouble> {
        let start = self.tools.clock.passed();
        let mut backoff = Backoff::of(self.tools);
        loop {
            let trouble = match once() {
                Ok(done) => return Ok(done),
                Err(Short::Never(trouble)) => return Err(trouble),
                Err(Short::Again(trouble)) => trouble,
            };
            let refused = trouble.ending == Ending::Quota;
            if repeat == Repeat::Refused && !refused {
                return Err(trouble);
            }
            let wait = backoff.next(refused, trouble.retry_after);
            let over = self.tools.clock.passed().saturating_sub(start) + wait > self.max_elapsed;
            if over {
                return Err(trouble);
            }
            let (host, shown) = (host(&request.url), wait.as_secs_f64());
            self.tools.say(&format!("{}; {host} is asked again in {shown:.1} s", trouble.message));
            self.tools.wait(self.tools.clock.sleep(wait))?;
        }
    }

    /// One try, in which a token that is refused is replaced once.
    fn once(&self, request: &Request, total: Option<Duration>) -> Result<Answer<'t>, Short> {
        self.wait_for_the_budget()?;
        let caller = self.caller();
        let declared = match &caller {
            Some(caller) => Some(caller.declared().map_err(|none| self.blamed(none))?),
            None => None,
        };
        let mut again = false;
        loop {
            let lease = self.lease(caller.as_ref())?;
            let means = Means {
                clients: &self.tools.network.clients,
                connections: Connections::Kept,
                clock: &*self.tools.clock,
                lease: declared.as_deref().zip(lease.as_ref()),
                total,
            };
            let walked = self.tools.wait(wire::walk(request, means))?;
            let mut answer = walked.map_err(|lost| self.lost(lost))?;
            let evidence = self.tools.wait(wire::refusal(&mut answer))?;
            let (Some(caller), Some(lease), Some(evidence)) = (&caller, lease, evidence) else {
                return self.judged(request, answer);
            };
            self.replace(caller, &lease, evidence, again)?;
            again = true;
        }
    }

    /// Waits until the budget has room for a request.
    fn wait_for_the_budget(&self) -> Result<(), Trouble> {
        let Some((who, limit)) = &self.budget else { return Ok(()) };
        let (tools, budgets) = (self.tools, &self.tools.network.budgets);
        while let Err(wait) = budgets.take(who, *limit, tools.clock.passed()) {
            if wait >= Duration::from_secs(1) {
                let (most, per) = (limit.requests, limit.per.as_secs());
                let seconds = wait.as_secs();
                tools.say(&format!(
                    "{most} requests in {per} s were made ({who}): the next one waits {seconds} s"
                ));
            }
            tools.wait(tools.clock.sleep(wait))?;
        }
        Ok(())
    }

    fn caller(&self) -> Option<Caller<'t>> {
        let whom = Use { job: self.tools.job.clone(), run: self.tools.run };
        let keeper = self.tools.keeper.as_deref()?;
        self.binding.map(|binding| Caller { keeper, binding, whom })
    }

    /// The token of the last request, or another one where that one is nearly over.
    fn lease(&self, caller: Option<&Caller<'_>>) -> Result<Option<Lease>, Trouble> {
        let Some(caller) = caller else { return Ok(None) };
        let now = self.tools.now();
        let good = |lease: &Lease| {
            let end = lease.token.expires_at;
            end.is_none_or(|end| end.duration_since(now).as_secs() > NEARLY_OVER_SECS)
        };
        if let Some(lease) = self.lease.borrow().as_ref().filter(|lease| good(lease)) {
            return Ok(Some(lease.clone()));
        }
        let lease = self.tools.wait(caller.lease())?.map_err(|none| self.blamed(none))?;
        Ok(Some(self.lease.borrow_mut().insert(lease).clone()))
    }

    /// Gets another token instead of one that was refused.
    fn replace(
        &self,
        caller: &Caller<'_>,
        lease: &Lease,
        evidence: Evidence,
        again: bool,
    ) -> Result<(), Trouble> {
        let words = evidence.words.clone();
        let newer = self.tools.wait(caller.instead(lease, evidence, again))?;
        let newer = newer.map_err(|none| self.blamed(none))?;
        if again {
            // Somebody else has brought a newer one still; the next attempt shows it.
            return Err(Trouble::new(Ending::Auth, words));
        }
        self.lease.replace(Some(newer));
        Ok(())
    }

    /// The trouble of a credential that is not to be had.
    fn blamed(&self, none: NoLease) -> Trouble {
        let (refused, binding) = match (none, self.binding) {
            (NoLease::Refused(refused), Some(binding)) => (refused, binding),
            (NoLease::Refused(refused), None) => return Trouble::new(Ending::Auth, refused.words),
            (NoLease::Never(words), _) => return Trouble::config(words),
        };
        let failure = grant::blocked(binding, refused, self.tools.now());
        let mut trouble = Trouble::new(Ending::Auth, failure.message.clone());
        trouble.credential = Some(Box::new(failure));
        trouble
    }

    fn lost(&self, lost: Lost) -> Short {
        match lost {
            Lost::Unmade(words) => Short::Never(Trouble::config(words)),
            Lost::Unanswered(words, _) => Short::Again(Trouble::new(self.side.ending(), words)),
        }
    }

    /// An answer that is one, or why it is none.
    fn judged(&self, request: &Request, mut answer: wire::Answer) -> Result<Answer<'t>, Short> {
        let status = answer.response.status().as_u16();
        if matches!(status, 200..=299 | 304) {
            return Ok(Answer::new(self.tools, self.side, host(&request.url), answer));
        }
        let _what_there_is = self.tools.wait(answer.body())?;
        let credential = self.binding.map(|binding| binding.credential.as_str());
        let seen = Seen {
            side: self.side,
            host: host(&request.url),
            verb: request.verb.as_str(),
            credential,
            now: self.tools.now(),
        };
        let hide = |text: &str| self.tools.output.hide(text);
        Err(match judge(&answer, &seen, &hide) {
            Verdict::Again(trouble) => Short::Again(trouble),
            Verdict::Never(trouble) => Short::Never(trouble),
        })
    }
}

/// The trouble in an error of an answer's reader; where it is another reader's, the source with its words.
pub(super) fn broke(error: &std::io::Error) -> Trouble {
    answer::carried(error).unwrap_or_else(|| Trouble::source(error))
}

/// The host of an address, for people.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
pub(super) mod stand;
#[cfg(test)]
mod tests;
