//! A credential as `auth list` and `auth status` show it.
//!
//! Owns the documented keys, the words, and the exit code of each state. Refuses to ask anybody.

use jiff::Timestamp;
use serde::Serialize;

use super::desk::Desk;
use crate::cli::exit::Exit;
use crate::cli::print;
use crate::credentials::declare::{Declaration, Provider};
use crate::credentials::evidence::Evidence;
use crate::credentials::horizon;
use crate::credentials::record::Record;
use crate::credentials::refresh::Failed;
use crate::model::{
    CredentialClass as Class, CredentialName, CredentialState as State, JobName, KnownEnd, Standing,
};
use crate::web::words;

/// A credential, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    pub(super) name: CredentialName,
    pub(super) provider: &'static str,
    pub(super) account: Option<String>,
    pub(super) state: State,
    pub(super) class: Option<Class>,
    pub(super) error: Option<String>,
    /// What was granted, or what is asked for where the server did not say.
    pub(super) scopes: Vec<String>,
    pub(super) last_refresh: Option<Timestamp>,
    pub(super) horizon: Option<KnownEnd>,
    pub(super) jobs: Vec<JobName>,
    pub(super) since: Option<Timestamp>,
    pub(super) words: String,
    /// The class in plain words.
    #[serde(skip)]
    pub(super) cause: Option<&'static str>,
    /// When it is tried again, where that is known.
    #[serde(skip)]
    next_try: Option<Timestamp>,
    pub(super) fix: Option<String>,
    /// Earlier times at which a person had to mend it.
    pub(super) deaths: Vec<Timestamp>,
    /// Whether a person can log in to it.
    #[serde(skip)]
    consents: bool,
}

impl Item {
    /// A credential by what is kept of it.
    pub(super) fn kept(desk: &Desk, declaration: &Declaration) -> Self {
        let nature = desk.nature(declaration);
        let record = desk.record(&declaration.name);
        match record.map(|record| record.filter(|record| nature.concerns(record))) {
            Ok(Some(record)) if record.provider != declaration.provider.key() => {
                let words = format!(
                    "what is kept of it is of a `{}`: a login, an import, or the old declaration mends it",
                    record.provider
                );
                let evidence = Evidence::new(Class::LocalStore, words);
                Self::unreadable(desk, declaration, &evidence)
            }
            Ok(record) => Self::new(desk, declaration, record.as_ref()),
            Err(evidence) => Self::unreadable(desk, declaration, &evidence),
        }
    }

    /// A credential by how a refresh of it ended.
    pub(super) fn tried(
        desk: &Desk,
        declaration: &Declaration,
        end: &Result<Record, Failed>,
    ) -> Self {
        let failed = match end {
            Ok(record) => return Self::new(desk, declaration, Some(record)),
            Err(failed) => failed,
        };
        let mut item = match desk.record(&declaration.name) {
            Ok(record) => Self::new(desk, declaration, record.as_ref()),
            Err(evidence) => return Self::unreadable(desk, declaration, &evidence),
        };
        item.stands(&failed.standing);
        if let Some(evidence) = &failed.evidence {
            item.words.clone_from(&evidence.words);
        }
        item
    }

    fn new(desk: &Desk, declaration: &Declaration, record: Option<&Record>) -> Self {
        let provider = &declaration.provider;
        let granted = record.and_then(|record| {
            let of_token = record.token.as_ref().and_then(|token| token.scopes.clone());
            of_token.or_else(|| record.grant.as_ref().map(|grant| grant.scopes.clone()))
        });
        let granted = granted.filter(|scopes| !scopes.is_empty());
        let asked = || provider.scopes().map(<[String]>::to_vec).unwrap_or_default();
        let account = record.and_then(|record| record.account.clone());
        let mut item = Self {
            name: declaration.name.clone(),
            provider: provider.key(),
            account: account.or_else(|| declared_account(provider)),
            state: State::Unknown,
            class: None,
            error: None,
            scopes: granted.unwrap_or_else(asked),
            last_refresh: None,
            horizon: record.is_none().then(|| desk.nature(declaration).terms.declared).flatten(),
            jobs: desk.jobs(&declaration.name),
            since: None,
            words: String::new(),
            cause: None,
            next_try: None,
            fix: None,
            deaths: Vec::new(),
            consents: provider.spends_a_grant(),
        };
        match record {
            Some(record) => item.stands(&record.standing),
            None if provider.spends_a_grant() => {
                item.words.push_str("nobody has logged in yet");
                item.fix = Some(format!("jadactl auth login {}", item.name));
            }
            None => item.words.push_str("nobody has tried it yet"),
        }
        item
    }

    fn unreadable(desk: &Desk, declaration: &Declaration, evidence: &Evidence) -> Self {
        let mut item = Self::new(desk, declaration, None);
        item.state = State::Misconfigured;
        item.class = Some(evidence.class);
        item.cause = Some(evidence.class.sentence());
        item.words.clone_from(&evidence.words);
        item.fix = Some(format!("jadactl auth refresh {}", item.name));
        item
    }

    /// Whether its trouble is a drill.
    pub(super) fn is_drill(&self) -> bool {
        self.words.starts_with(Standing::DRILL)
    }

    /// The step that mends it, for a person who has just seen the words.
    pub(super) fn step(&self) -> String {
        match &self.fix {
            Some(fix) if fix.contains(" refresh ") && self.exit() == Exit::Misconfigured => {
                format!("mend that, then: {fix}")
            }
            fix => fix.clone().unwrap_or_default(),
        }
    }

    fn stands(&mut self, standing: &Standing) {
        self.state = standing.state;
        self.class = standing.class;
        self.cause = standing.cause();
        self.next_try = standing.next_try;
        self.error.clone_from(&standing.error);
        self.last_refresh = standing.last_refresh;
        self.horizon.clone_from(&standing.horizon);
        self.since = Some(standing.since);
        self.words.clone_from(&standing.words);
        self.fix = standing.mend(&self.name, self.consents);
        self.deaths.clone_from(&standing.deaths);
    }

    /// What was seen of its trouble, where that says more than the cause does.
    pub(super) fn seen(&self) -> Option<&str> {
        let said = self.cause.is_some_and(|cause| self.words.starts_with(cause));
        (!said && !self.words.is_empty()).then_some(self.words.as_str())
    }

    /// The exit code that its state stands for.
    pub(super) fn exit(&self) -> Exit {
        match self.state {
            State::Unknown | State::Healthy | State::Paused => Exit::Done,
            State::Expiring => Exit::Expiring,
            // Refused once: it is asked again before it counts as dead, but a person should know.
            State::RefreshFailing => match self.class {
                Some(Class::ReauthRequired | Class::ReauthPolicy) => Exit::Reauth,
                Some(Class::PrincipalGone) => Exit::Misconfigured,
                _ => Exit::Failing,
            },
            State::ReauthRequired | State::Revoked => Exit::Reauth,
            State::Misconfigured | State::Skewed => Exit::Misconfigured,
        }
    }

    /// When it was last refreshed, for a table.
    pub(super) fn last(&self, now: Timestamp) -> String {
        self.last_refresh.map_or_else(|| "never".to_owned(), |at| words::ago(at, now))
    }

    /// Its known end, for a table.
    pub(super) fn end(&self, now: Timestamp) -> String {
        match &self.horizon {
            None => "not declared".to_owned(),
            Some(end) if end.at <= now => format!("passed {}", words::ago(end.at, now)),
            Some(end) => words::until(end.at, now),
        }
    }

    /// All that is known, in lines of `width` characters.
    pub(super) fn lines(&self, now: Timestamp, width: usize) -> Vec<String> {
        let since = self.since.map(|at| format!(" since {}", words::ago(at, now)));
        let mut lines =
            vec![format!("{}: {}{}", self.name, self.state.word(), since.unwrap_or_default())];
        let mut tell = |heading: &str, text: &str| {
            for (index, line) in print::wrapped(text, width - 12).into_iter().enumerate() {
                let heading = if index == 0 { heading } else { "" };
                lines.push(format!("  {heading:<9} {line}"));
            }
        };
        if let Some(cause) = self.cause {
            let error = self.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
            tell("because", &format!("{cause}{error}"));
        }
        if let Some(seen) = self.seen() {
            tell("seen", seen);
        }
        if let (Some(_), Some(at)) = (self.class, self.next_try.filter(|at| *at > now)) {
            tell("tried", &format!("again {}", words::until(at, now)));
        }
        if let Some(again) = horizon::recurrence(&self.deaths) {
            tell("again", &format!("the {again}"));
        }
        let account = self.account.as_deref().map(|account| format!(", {account}"));
        tell("provider", &format!("{}{}", self.provider, account.unwrap_or_default()));
        if !self.scopes.is_empty() {
            tell("scopes", &self.scopes.join(" "));
        }
        let at =
            self.last_refresh.map(|at| format!("{} ({})", print::time(at), words::ago(at, now)));
        tell("refreshed", at.as_deref().unwrap_or("never"));
        let end = self
            .horizon
            .as_ref()
            .map(|end| format!("{} ({}): {}", print::time(end.at), self.end(now), end.clock));
        tell("ends", end.as_deref().unwrap_or("no declared end"));
        let jobs: Vec<&str> = self.jobs.iter().map(JobName::as_str).collect();
        let jobs = if jobs.is_empty() { "none".to_owned() } else { jobs.join(", ") };
        tell("jobs", &jobs);
        if let Some(fix) = &self.fix {
            // Never wrapped: it is there to be copied.
            lines.push(format!("  {:<9} {fix}", "fix"));
        }
        lines
    }
}

fn declared_account(provider: &Provider) -> Option<String> {
    match provider {
        Provider::Google(google) => google.account.clone(),
        Provider::OAuth2(oauth) => oauth.account.clone(),
        Provider::ServiceAccount(account) => account.subject.clone(),
        _ => None,
    }
}

/// The exit code that a class of trouble stands for.
pub(super) fn exit_of(class: Class) -> Exit {
    match class {
        Class::Transient
        | Class::AmbiguousCommit
        | Class::RateLimited
        | Class::Unintelligible
        | Class::UnclassifiedRefusal
        | Class::SourceFailing
        | Class::Quota => Exit::Failing,
        Class::ReauthRequired
        | Class::ReauthPolicy
        | Class::ScopeMissing
        | Class::TokenStale
        | Class::Revoked => Exit::Reauth,
        Class::PrincipalGone
        | Class::ClockSkew
        | Class::ClientMisconfigured
        | Class::ScopePolicy
        | Class::Software
        | Class::Permission
        | Class::LocalStore
        | Class::Expired => Exit::Misconfigured,
    }
}

/// The worst of several exit codes: what an operator must do comes before what passes by itself.
pub(super) fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
    let rank = |exit: &Exit| match exit {
        Exit::Misconfigured => 4,
        Exit::Reauth => 3,
        Exit::Failing => 2,
        Exit::Expiring => 1,
        _ => 0,
    };
    exits.into_iter().max_by_key(rank).unwrap_or(Exit::Done)
}
