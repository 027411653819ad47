//! The wire: HTTP as every kind speaks it, with or without a credential.
//!
//! Owns the clients, who may see a credential and how it is shown, and the steps from one address to the
//! next. Refuses to repeat a request, and to know what an answer means.

mod budget;
mod clients;
pub(in crate::kinds) mod fault;
mod names;
mod shown;
mod threads;
mod walk;

use std::sync::Arc;

use crate::kinds::systemd::Buses;

pub(in crate::kinds) use budget::{Budgets, Limit};
pub(in crate::kinds) use clients::{Clients, Connections};
pub(in crate::kinds) use names::look_up;
pub(in crate::kinds) use shown::{Caller, NoLease, may_see};
pub(in crate::kinds) use threads::{FILES, look};
pub(in crate::kinds) use walk::{
    Answer, BODY_MAX, Lost, Means, Request, problem, refusal, send, walk,
};

/// What the attempts of this process share of the network.
#[derive(Debug, Default)]
pub(in crate::kinds) struct Network {
    /// Who sends.
    pub(in crate::kinds) clients: Clients,
    /// The buses of this host.
    pub(in crate::kinds) buses: Buses,
    /// How often an API is asked.
    pub(in crate::kinds) budgets: Budgets,
}

/// The network, to keep.
pub(in crate::kinds) type Shared = Arc<Network>;
