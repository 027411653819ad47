//! Why a sync came to no commit.
//!
//! Owns the words of its results, and the failure class of each. Refuses to decide what follows.

use std::fmt::Display;
use std::time::Duration;

use crate::model::{Failure, FailureClass};
use crate::yaml::words;

words! {
    /// How a sync that committed nothing ended.
    pub(super) enum Ending {
        /// A guard holds it: nothing was touched, and what was read is kept.
        Held = "held",
        /// The credential.
        Auth = "failed:auth",
        /// It may not be read or written with this credential.
        Permission = "failed:permission",
        /// It is not there.
        NotFound = "failed:not_found",
        /// The other side asks for patience.
        Quota = "failed:quota",
        /// The source does not answer, or not what it should.
        Source = "failed:source",
        /// Not all of it could be read.
        Truncated = "failed:truncated",
        /// The source's columns are not those of the job.
        Schema = "failed:schema",
        /// Values can't be made into what the columns want.
        Mapping = "failed:mapping",
        /// The destination.
        Destination = "failed:destination",
        /// What is known of the last commit.
        State = "failed:state",
        /// What the job says can't work.
        Config = "failed:config",
        /// Somebody stopped it.
        Cancelled = "cancelled",
    }
}

/// Why nothing was committed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    /// How it ended.
    pub(super) ending: Ending,
    /// What happened, in one line: the place, and the way out.
    pub(super) message: String,
    /// Whether another try may help, where the ending alone does not say.
    pub(super) may_help: Option<bool>,
    /// The other side's wish for the next try.
    pub(super) retry_after: Option<Duration>,
    /// The command that mends it.
    pub(super) mend: Option<String>,
    /// Proof for who looks: of what is held, the counts and the keys, a few lines.
    pub(super) detail: String,
    /// What the credential's failure says, where it is to blame: with the words and the name in it.
    pub(super) credential: Option<Box<Failure>>,
}

impl Trouble {
    /// A trouble with its words.
    pub(super) fn new(ending: Ending, message: impl Into<String>) -> Self {
        Self {
            ending,
            message: message.into(),
            may_help: None,
            retry_after: None,
            mend: None,
            detail: String::new(),
            credential: None,
        }
    }

    /// The source, with what went wrong.
    pub(super) fn source(what: impl Display) -> Self {
        Self::new(Ending::Source, what.to_string())
    }

    /// The destination, with what went wrong.
    pub(super) fn destination(what: impl Display) -> Self {
        Self::new(Ending::Destination, what.to_string())
    }

    /// What the job says can't work.
    pub(super) fn config(what: impl Display) -> Self {
        Self::new(Ending::Config, what.to_string())
    }

    /// Somebody stopped the attempt. Its words are the engine's.
    pub(super) fn cancelled() -> Self {
        Self::new(Ending::Cancelled, "it was stopped, and nothing was changed")
    }

    /// The daemon is going down, and may not have been alone with that. Another try may help.
    pub(super) fn cut_short() -> Self {
        let message = "the daemon is going down, and the program that printed the data may have been \
                       cut short by the same signal; nothing was changed";
        Self { may_help: Some(true), ..Self::new(Ending::Cancelled, message) }
    }

    /// Another try can't help, though the ending alone would not say so.
    #[must_use]
    pub(super) fn for_good(mut self) -> Self {
        self.may_help = Some(false);
        self
    }

    /// The command that mends it.
    #[must_use]
    pub(super) fn mended_by(mut self, command: impl Into<String>) -> Self {
        self.mend = Some(command.into());
        self
    }

    /// Proof for who looks, a few lines.
    #[must_use]
    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The class of its failure.
    pub(super) fn class(&self) -> FailureClass {
        let by_ending = match self.ending {
            Ending::Cancelled => FailureClass::Cancelled,
            Ending::Auth => FailureClass::Unauthorized,
            Ending::Quota => FailureClass::Throttled,
            Ending::Source | Ending::Truncated | Ending::Destination => FailureClass::Transient,
            Ending::Held
            | Ending::Permission
            | Ending::NotFound
            | Ending::Schema
            | Ending::Mapping
            | Ending::State
            | Ending::Config => FailureClass::Permanent,
        };
        match (by_ending, self.may_help) {
            (FailureClass::Transient, Some(false)) => FailureClass::Permanent,
            (FailureClass::Permanent, Some(true)) => FailureClass::Transient,
            (FailureClass::Cancelled, Some(true)) => FailureClass::Lost,
            (class, _) => class,
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let class = trouble.class();
        let message = format!("{}: {}", trouble.ending.word(), trouble.message);
        let blocked_by = trouble.credential.and_then(|failure| failure.blocked_by);
        Self {
            retry_after: trouble.retry_after,
            blocked_by,
            mend: trouble.mend,
            held: (trouble.ending == Ending::Held).then_some(trouble.detail),
            ..Self::new(class, message)
        }
    }
}
