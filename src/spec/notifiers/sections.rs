//! The keys under `notifiers`.
//!
//! Owns what may be written there, and its schema. Refuses to know what becomes of it.

use crate::credentials::declare::section::{Place, PlaceSection, Run};
use crate::credentials::declare::texts::SomeText;
use crate::spec::forms::Short;
use crate::spec::names::{CredentialText, NameText};
use crate::yaml::decode::numbers::{Count, Seconds};
use crate::yaml::decode::values::{Entries, OneOrMany};
use crate::yaml::{Located, one_of, section, words};

section! {
    /// One way to tell somebody.
    pub struct NotifierSection {
        /// Who is told as well while this one fails, in order.
        pub fallback: OneOrMany<Located<NameText>> = OneOrMany::default(),
        /// How many messages it takes: 6 in a minute and 20 in an hour where it is not given. What is beyond
        /// it goes out later, as one digest.
        pub rate: Option<RateSection>,

        one of
        /// The way.
        pub way: WaySection,
    }
}

one_of! {
    /// How somebody is told.
    pub enum WaySection as "way" {
        /// An HTTP request.
        webhook => Webhook(WebhookSection),
        /// A mail.
        email => Email(EmailSection),
        /// A program, with the incident as JSON on its standard input.
        command => Command(CommandSection),
    }
}

section! {
    /// How many messages go out at most.
    pub struct RateSection {
        /// In any minute.
        pub minute: Option<Count>,
        /// In any hour.
        pub hour: Option<Count>,
    }
}

/// A text, or the place where it is kept.
pub(crate) type GivenForm = Short<Located<String>, PlaceSection>;

section! {
    /// An HTTP request.
    pub struct WebhookSection {
        /// The address, or where it is kept: of Slack and Discord it is a secret itself. PagerDuty's own where
        /// it is not given.
        pub url: Option<GivenForm>,
        /// What is sent: `slack`, `discord`, `ntfy`, `pagerduty`, or a text with `{{title}}` in it; the incident
        /// as `jadactl incidents --json` has it, with `event`, where it is not given.
        pub template: Option<Located<String>>,
        /// The method: POST where it is not given.
        pub method: Option<MethodWord>,
        /// Headers to send.
        pub headers: Entries<GivenForm> = Entries(Vec::new()),
        /// A credential that is shown as `Authorization`.
        pub credential: Option<Located<CredentialText>>,
        /// Where PagerDuty's routing key is kept.
        pub key: Option<Located<Place>>,
        /// The longest that it may take: `10s` where it is not given.
        pub timeout: Option<Located<Seconds>>,
    }
}

words! {
    /// The method of a request.
    pub enum MethodWord {
        /// POST.
        Post = "POST",
        /// PUT.
        Put = "PUT",
        /// PATCH.
        Patch = "PATCH",
    }
}

section! {
    /// A mail.
    pub struct EmailSection {
        /// Whom to.
        pub to: OneOrMany<Located<SomeText>>,
        /// Whom from.
        pub from: Located<SomeText>,
        /// The mail server's name.
        pub server: Located<SomeText>,
        /// Its port: 587 with `starttls`, 465 with `always`, 25 with `never`, where it is not given.
        pub port: Option<u16>,
        /// How the connection is sealed: `starttls` where it is not given.
        pub tls: Option<Located<TlsWord>>,
        /// Who signs in.
        pub user: Option<Located<SomeText>>,
        /// Where their password is kept.
        pub password: Option<Located<Place>>,
        /// A credential instead of a password: an access token, or a name and a password.
        pub credential: Option<Located<CredentialText>>,
        /// The longest that it may take: `30s` where it is not given.
        pub timeout: Option<Located<Seconds>>,
    }
}

words! {
    /// How a connection to a mail server is sealed.
    pub enum TlsWord {
        /// From the first byte.
        Always = "always",
        /// After STARTTLS, which the server has to offer.
        Starttls = "starttls",
        /// Not at all: on this host only.
        Never = "never",
    }
}

section! {
    /// A program.
    pub struct CommandSection {
        /// The program and its arguments.
        pub run: Located<Run>,
        /// The longest that it may take: `30s` where it is not given.
        pub timeout: Option<Located<Seconds>>,
    }
}
