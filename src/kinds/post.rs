//! One request of the daemon's own: something is said to an address, with or without a credential.
//!
//! Owns what becomes of it: taken, or why not. Refuses to repeat it, but for a credential that was refused
//! once and is then fresh.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Url};

use super::wire::{
    Answer, Caller, Clients, Connections, Lost, Means, NoLease, Request, fault, problem, refusal,
    walk,
};
use crate::clock::{Clock, within};
use crate::credentials::keeper::{Keeper, Use};
use crate::model::{Binding, Channel, CredentialName, Fault, JobName, RunId};

/// Longest time for all of it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Says something to one address, again and again.
pub struct Post {
    url: Url,
    binding: Option<Binding>,
    keeper: Arc<Keeper>,
    clock: Arc<dyn Clock>,
    clients: Clients,
}

/// Why it was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct NotTaken {
    /// What is wrong.
    pub fault: Fault,
    /// In words, safe to show.
    pub words: String,
}

/// What is wrong with an address, with the way out; `None` of one that [`Post::to`] takes.
#[must_use]
pub fn bad_address(url: &str) -> Option<(String, &'static str)> {
    problem(url)
}

impl Post {
    /// A post to an address; `None` of an address that is none (see [`bad_address`]).
    #[must_use]
    pub fn to(
        url: &str,
        credential: Option<CredentialName>,
        keeper: Arc<Keeper>,
        clock: Arc<dyn Clock>,
    ) -> Option<Self> {
        let url = Url::parse(url).ok().filter(|_| problem(url).is_none())?;
        let binding = credential.map(|credential| Binding {
            name: "heartbeat".into(),
            credential,
            scopes: Vec::new(),
            min_ttl: Duration::ZERO,
            // No program gets it: it only goes into the header.
            channel: Channel::File(String::new()),
        });
        Some(Self { url, binding, keeper, clock, clients: Clients::default() })
    }

    /// Says it once.
    ///
    /// # Errors
    /// [`NotTaken`] tells why.
    pub async fn say(&self, body: Vec<u8>) -> Result<(), NotTaken> {
        let headers = vec![(CONTENT_TYPE.to_string(), "application/json".to_owned())];
        let request =
            Request { url: self.url.clone(), verb: Method::POST, headers, body: Some(body) };
        let host = self.url.host_str().unwrap_or_default();
        let said = within(self.clock.as_ref(), PATIENCE, self.answer(&request)).await;
        let answer = said.unwrap_or_else(|| {
            let words = format!("no answer from {host} within {} s", PATIENCE.as_secs());
            Err(NotTaken { fault: Fault::NetTimeout, words })
        })?;
        let status = answer.response.status();
        if status.is_success() {
            return Ok(());
        }
        let fault = fault::of_status(status.as_u16()).unwrap_or(Fault::BadAnswer);
        Err(NotTaken { fault, words: format!("{host} answered {status}") })
    }

    async fn answer(&self, request: &Request) -> Result<Answer, NotTaken> {
        let means = |lease| Means {
            clients: &self.clients,
            connections: Connections::Fresh,
            clock: self.clock.as_ref(),
            lease,
            total: None,
        };
        let Some(binding) = &self.binding else {
            return walk(request, means(None)).await.map_err(lost);
        };
        let job = JobName::parse("heartbeat").expect("a constant that is a name");
        let caller = Caller { keeper: &self.keeper, binding, whom: Use { job, run: RunId(0) } };
        let declared = caller.declared().map_err(none)?;
        let lease = caller.lease().await.map_err(none)?;
        let mut answer = walk(request, means(Some((&declared, &lease)))).await.map_err(lost)?;
        let Some(evidence) = refusal(&mut answer).await else { return Ok(answer) };
        let newer = caller.instead(&lease, evidence, false).await.map_err(none)?;
        walk(request, means(Some((&declared, &newer)))).await.map_err(lost)
    }
}

fn lost(lost: Lost) -> NotTaken {
    match lost {
        Lost::Unmade(words) => NotTaken { fault: Fault::Configuration, words },
        Lost::Unanswered(words, fault) => {
            NotTaken { fault: fault.unwrap_or(Fault::NetUnreachable), words }
        }
    }
}

fn none(none: NoLease) -> NotTaken {
    match none {
        NoLease::Refused(refused) => NotTaken { fault: Fault::Refused, words: refused.words },
        NoLease::Never(words) => NotTaken { fault: Fault::NoCredential, words },
    }
}
