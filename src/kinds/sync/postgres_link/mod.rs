//! A connection to a Postgres server.
//!
//! Owns how it is reached and by whom, that everything on it can be stopped, and the words for what a server
//! complains about. Refuses to know tables.

mod address;
mod fault;

use std::sync::Arc;
use std::time::Duration;

use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::task::AbortHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::address::Address;
pub(super) use self::address::problem;
use super::tools::Tools;
use super::trouble::{Ending, Trouble};
use crate::clock::within;
use crate::credentials::evidence::Evidence;
use crate::credentials::keeper::{Lease, Use};
use crate::credentials::mint::TokenValue;
use crate::kinds::grant;
use crate::kinds::wire::{Caller, NoLease};
use crate::model::{Binding, CredentialClass};
use crate::yaml::Located;

/// Longest time until a server has let us in.
const CONNECT: Duration = Duration::from_secs(30);

/// Longest time that a request to cancel is waited for.
const CANCEL: Duration = Duration::from_secs(5);

/// What every session is told. A lock of somebody else is waited for as long as SQLite's; a transaction
/// that hears nothing from us any more lets its locks go. The rest makes values read in one way.
const SESSION: &str = "SET lock_timeout = '30s'; \
                       SET idle_in_transaction_session_timeout = '10min'; \
                       SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; \
                       SET extra_float_digits = 3; SET standard_conforming_strings = on";

/// Whom to ask, as the job says it.
#[derive(Clone, Copy)]
pub(super) struct Server<'a> {
    /// The address: a template.
    pub(super) url: &'a Located<String>,
    /// The key that it stands under.
    pub(super) key: &'static str,
    /// The binding.
    pub(super) credential: Option<&'a Located<String>>,
    /// On which side of the sync it stands.
    pub(super) side: Ending,
}

/// An open connection.
pub(super) struct Link {
    pub(super) client: Client,
    tools: Tools,
    side: Ending,
    shown: String,
    cancel: CancelToken,
    tls: MakeRustlsConnect,
    /// Reads and writes the socket.
    task: AbortHandle,
}

impl Link {
    /// Connects. A credential that is refused is replaced once.
    pub(super) fn open(server: Server<'_>, tools: &Tools) -> Result<Self, Trouble> {
        let address = Address::parse(server.key, &tools.render(server.key, &server.url.value)?)?;
        let Some(name) = server.credential else {
            return Self::connect(&address, address.config.clone(), (tools, server.side));
        };
        let bindings = Arc::clone(&tools.setting.bindings);
        let binding = bindings.iter().find(|binding| *binding.name == *name.value);
        let (Some(binding), Some(keeper)) = (binding, tools.keeper.as_deref()) else {
            let words = format!("nobody here holds the credential `{}`", name.value);
            return Err(Trouble::config(words));
        };
        let whom = Use { job: tools.job.clone(), run: tools.run };
        let caller = Caller { keeper, binding, whom };
        let blamed = |none| blamed(none, binding, tools);
        may_see(&caller, &address).map_err(blamed)?;
        let mut lease = tools.wait(caller.lease())?.map_err(blamed)?;
        let mut again = false;
        loop {
            let config = with(&address.config, &lease, binding)?;
            let refused = match Self::connect(&address, config, (tools, server.side)) {
                Err(trouble) if trouble.ending == Ending::Auth => trouble,
                done => return done,
            };
            let evidence = Evidence::new(CredentialClass::TokenStale, refused.message.clone());
            let newer = tools.wait(caller.instead(&lease, evidence, again))?.map_err(blamed)?;
            if again {
                return Err(refused);
            }
            (lease, again) = (newer, true);
        }
    }

    fn connect(
        address: &Address,
        mut config: Config,
        (tools, side): (&Tools, Ending),
    ) -> Result<Self, Trouble> {
        config.application_name(format!("jada {}", tools.job));
        config.connect_timeout(CONNECT / 3);
        config.tcp_user_timeout(CONNECT * 2);
        config.keepalives_idle(CONNECT * 2);
        let tls = tls().map_err(|error| Trouble::config(format!("can't set up TLS: {error}")))?;
        let reached = tools.wait(within(&*tools.clock, CONNECT, config.connect(tls.clone())))?;
        let shown = address.shown.clone();
        let Some(reached) = reached else {
            let words = format!("{shown}: it did not let us in within {CONNECT:?}");
            return Err(Trouble::new(side, words));
        };
        let (client, connection) = reached.map_err(|error| {
            let mut trouble = fault::trouble(&shown, side, &error);
            if !error.is_closed() && error.as_db_error().is_none() && address.is_private() {
                trouble.message.push_str(address::TLS_HELP);
            }
            trouble
        })?;
        let task = tools.handle.spawn(async move {
            // What ends it is told to whoever waits for an answer.
            let _ended = connection.await;
        });
        let task = task.abort_handle();
        let cancel = client.cancel_token();
        let link = Self { client, tools: tools.clone(), side, shown, cancel, tls, task };
        link.wait(link.client.batch_execute(SESSION))?;
        Ok(link)
    }

    /// Waits for an answer. Where the attempt is stopped before, the server is told to stop as well.
    pub(super) fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Trouble> {
        match self.tools.wait(answer) {
            Ok(answered) => answered.map_err(|error| self.trouble(&error)),
            Err(stopped) => {
                let cancelled = self.cancel.cancel_query(self.tls.clone());
                let told = within(&*self.tools.clock, CANCEL, cancelled);
                // Where it can't be told, the end of the connection tells it.
                let _told = self.tools.handle.block_on(told);
                Err(stopped)
            }
        }
    }

    /// Waits for an answer that is worth the wait even when the attempt is stopped; `None` where the
    /// connection was lost before.
    pub(super) fn insist<T>(
        &self,
        time: Duration,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Option<Result<T, Trouble>> {
        let answer = within(&*self.tools.clock, time, answer);
        match self.tools.handle.block_on(answer)? {
            Err(error) if error.as_db_error().is_none() => None,
            answered => Some(answered.map_err(|error| self.trouble(&error))),
        }
    }

    /// Says whether to go on.
    pub(super) fn go_on(&self) -> Result<(), Trouble> {
        self.tools.go_on()
    }

    /// The words for an error.
    pub(super) fn trouble(&self, error: &Error) -> Trouble {
        fault::trouble(&self.shown, self.side, error)
    }

    /// The server and its database, for messages.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The platform's own roots verify a server.
fn tls() -> Result<MakeRustlsConnect, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Whether the credential may be shown to the server.
fn may_see(caller: &Caller<'_>, address: &Address) -> Result<(), NoLease> {
    let declared = caller.declared()?;
    for (host, port) in address.hosts() {
        if !declared.may_go_to(&host, Some(port)) {
            let name = &declared.name;
            return Err(NoLease::Never(format!(
                "{host} may not see the credential {name}; add it to its `hosts` in jada.yaml"
            )));
        }
    }
    Ok(())
}

fn with(config: &Config, lease: &Lease, binding: &Binding) -> Result<Config, Trouble> {
    let mut config = config.clone();
    match &lease.token.value {
        TokenValue::Basic { user, password } => {
            if !user.is_empty() {
                config.user(user);
            }
            config.password(password.expose());
        }
        // A database of a cloud takes an access token for the password of the user in the address.
        TokenValue::Bearer(token) | TokenValue::Header { key: token, .. } => {
            config.password(token.expose());
        }
        TokenValue::Aws { .. } => {
            let words = format!(
                "{} is a pair of AWS keys, and Postgres takes a user with a password",
                binding.credential
            );
            return Err(Trouble::config(words));
        }
    }
    Ok(config)
}

/// The trouble of a credential that is not to be had.
fn blamed(none: NoLease, binding: &Binding, tools: &Tools) -> Trouble {
    let refused = match none {
        NoLease::Refused(refused) => refused,
        NoLease::Never(words) => return Trouble::config(words),
    };
    let failure = grant::blocked(binding, refused, tools.now());
    let mut trouble = Trouble::new(Ending::Auth, failure.message.clone());
    trouble.credential = Some(Box::new(failure));
    trouble
}

/// How a connection is protected where its address does not say.
fn ssl_mode(is_near: bool) -> SslMode {
    if is_near { SslMode::Disable } else { SslMode::Require }
}

#[cfg(test)]
mod tests;
