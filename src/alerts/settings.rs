//! Who can be told, and how: what `jada.yaml` says under `notifiers` and `alerts`, as plain data.
//!
//! Owns the settings and what holds where nothing is said. Refuses to know how they are written (`spec`) and
//! to hold any secret: only the place where one is kept.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::maintenance::Window;
use crate::credentials::declare::SecretPlace;
use crate::model::CredentialName;

/// The notifier that stands for the last resort; no declared one can have this name.
pub const LAST_RESORT: &str = "!last-resort";

/// Everything about telling people.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// The declared notifiers.
    pub notifiers: BTreeMap<Arc<str>, Notifier>,
    /// Who is told of what belongs to no job, and of jobs that name nobody.
    pub notify: Vec<Arc<str>>,
    /// How long an opening waits for its cause, and for others of the same moment.
    pub group_wait: Duration,
    /// After which times people are reminded, each counted from the last telling; the last one again and
    /// again. Empty is never.
    pub remind: Vec<Duration>,
    /// When nobody is told of what begins.
    pub maintenance: Vec<Window>,
    /// What is run when no notifier can be reached; a file in the data folder is written in any case.
    pub last_resort: Option<Program>,
}

impl Default for Alerts {
    fn default() -> Self {
        let hours = |hours| Duration::from_hours(hours);
        Self {
            notifiers: BTreeMap::new(),
            notify: Vec::new(),
            group_wait: Duration::from_secs(30),
            remind: vec![hours(1), hours(4), hours(24)],
            maintenance: Vec::new(),
            last_resort: None,
        }
    }
}

impl Alerts {
    /// Whether a notifier shows this credential.
    #[must_use]
    pub fn uses(&self, name: &CredentialName) -> bool {
        self.notifiers.values().any(|one| match &one.way {
            Way::Webhook(webhook) => webhook.credential.as_ref() == Some(name),
            Way::Email(email) => {
                matches!(&email.login, Some((_, Login::Credential(login))) if login == name)
            }
            Way::Command(_) => false,
        })
    }
}

/// One way to tell somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Notifier {
    /// The way.
    pub way: Way,
    /// Who is told as well while this one fails, in order.
    pub fallback: Vec<Arc<str>>,
    /// How many messages it takes.
    pub rate: Rate,
}

/// How many messages go out at most; what is beyond it goes out later, as one digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In any minute.
    pub minute: u32,
    /// In any hour.
    pub hour: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self { minute: 6, hour: 20 }
    }
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// By an HTTP request.
    Webhook(Box<Webhook>),
    /// By mail.
    Email(Box<Email>),
    /// By a program.
    Command(Program),
}

impl Way {
    /// The word in `jada.yaml`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Webhook(webhook) => match webhook.form {
                Form::Incident | Form::Own(_) => "webhook",
                Form::Slack => "slack",
                Form::Discord => "discord",
                Form::Ntfy => "ntfy",
                Form::Pagerduty { .. } => "pagerduty",
            },
            Self::Email(_) => "email",
            Self::Command(_) => "command",
        }
    }

    /// Whether several incidents can be told in one message. PagerDuty pairs each beginning with its end by
    /// a key, and would never see the end of one that was told with others.
    #[must_use]
    pub fn takes_digests(&self) -> bool {
        match self {
            Self::Webhook(webhook) => !matches!(webhook.form, Form::Pagerduty { .. }),
            Self::Email(_) | Self::Command(_) => true,
        }
    }
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// The address; often it is a secret itself.
    pub url: Given,
    /// The method.
    pub method: String,
    /// Headers to send.
    pub headers: Vec<(String, Given)>,
    /// A credential that is shown as `Authorization`.
    pub credential: Option<CredentialName>,
    /// What is sent.
    pub form: Form,
    /// The longest that it may take.
    pub timeout: Duration,
}

/// A text that stands in the settings, or a secret that is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// The text.
    Text(String),
    /// Where the secret is kept.
    Secret(SecretPlace),
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// The incident as `jadactl incidents --json` has it, with `event`.
    Incident,
    /// A message of Slack.
    Slack,
    /// A message of Discord.
    Discord,
    /// A message of ntfy.
    Ntfy,
    /// An event of PagerDuty, Events API v2.
    Pagerduty {
        /// The routing key.
        key: SecretPlace,
    },
    /// A template of one's own.
    Own(String),
}

/// A mail.
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    /// Whom to.
    pub to: Vec<String>,
    /// Whom from.
    pub from: String,
    /// The server's name.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is sealed.
    pub tls: Tls,
    /// Who signs in, with the place of the password.
    pub login: Option<(String, Login)>,
    /// The longest that it may take.
    pub timeout: Duration,
}

/// With what a mail server is signed in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// A password that is kept there.
    Password(SecretPlace),
    /// A credential: an access token (XOAUTH2), or a password that was issued by hand.
    Credential(CredentialName),
}

/// How a connection to a mail server is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte.
    Always,
    /// After `STARTTLS`, which the server has to offer.
    Starttls,
    /// Not at all: on this host only.
    Never,
}

/// A program that gets the message as JSON on its standard input.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The program and its arguments.
    pub run: Vec<String>,
    /// Where it starts.
    pub folder: PathBuf,
    /// The longest that it may take.
    pub timeout: Duration,
}

/// What is wrong with a mail address, if anything.
#[must_use]
pub fn mail_problem(text: &str) -> Option<String> {
    let parsed = text.parse::<lettre::message::Mailbox>();
    parsed.err().map(|error| format!("`{text}` is no mail address: {error}"))
}

/// Whether a name is one of this host, so that what is sent there leaves it not.
#[must_use]
pub fn is_this_host(name: &str) -> bool {
    let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
