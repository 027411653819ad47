//! How a command ends: exit codes, and errors with a way out.
//!
//! Owns the documented codes and what stands on stderr. Refuses to know the commands.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::web::api::{Problem, ProblemKind};
use crate::web::client;

/// The codes, as the help shows them.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  bad news: errors were found, the run failed, or the daemon is ill
  2  the command line is wrong
  3  the daemon can't be reached
  4  no such job or run, or the daemon refused
  5  the run timed out
  6  the run was cancelled

jadactl auth has its own for 3 to 6, about credentials: jadactl help auth
jadactl doctor ends as a monitoring plugin does: jadactl help doctor

Data goes to stdout, everything else to stderr. Tables are as wide as the
terminal, or $COLUMNS, or 80; what does not fit ends in '…', and --json has all
of it. Times are UTC.";

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done = 0,
    /// Errors were found, or the run failed.
    BadNews = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The daemon can't be reached.
    Unreachable = 3,
    /// No such thing, or the daemon refused.
    Refused = 4,
    /// The run timed out.
    TimedOut = 5,
    /// The run was cancelled.
    Cancelled = 6,
    /// The doctor found nothing that fails, and something to look at.
    Warned = 21,
    /// The doctor found something that fails.
    Ill = 22,
    /// The doctor could not find out.
    Blind = 23,
    /// A credential works, and its known end is near.
    Expiring = 13,
    /// A person has to consent again.
    Reauth = 14,
    /// The operator has to mend a credential.
    Misconfigured = 15,
    /// A credential can't be refreshed for now.
    Failing = 16,
}

impl Exit {
    /// The number that the process ends with. `jadactl auth` has numbers of its own for the same codes.
    fn code(self) -> u8 {
        match self {
            Self::Expiring | Self::Reauth | Self::Misconfigured | Self::Failing => self as u8 - 10,
            Self::Warned | Self::Ill | Self::Blind => self as u8 - 20,
            other => other as u8,
        }
    }

    /// How the command ends once its output is written. A reader that stops early does not change it:
    /// `jadactl validate | head` still says that there are errors.
    pub(super) fn after(self, written: Result<()>) -> Result<Self> {
        match written {
            Err(error) if error.is_closed_pipe() => Ok(self),
            written => written.map(|()| self),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) exit: Exit,
    pub(super) message: String,
    /// What to do; may be empty.
    pub(super) hint: String,
}

pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: String::new() }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Whether nobody reads the output any more, which is no error.
    pub(super) fn is_closed_pipe(&self) -> bool {
        self.message.is_empty()
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match self.hint.as_str() {
            "" => Ok(()),
            hint => write!(f, "\nhint: {hint}"),
        }
    }
}

impl From<client::Error> for Error {
    fn from(error: client::Error) -> Self {
        let exit = match &error {
            client::Error::Unreachable { .. } | client::Error::Broken { .. } => Exit::Unreachable,
            client::Error::Refused(Problem { problem: ProblemKind::BadRequest, .. }) => Exit::Usage,
            client::Error::Refused(Problem { problem: ProblemKind::Stopping, .. }) => {
                Exit::Unreachable
            }
            client::Error::Refused(_) => Exit::Refused,
        };
        Self::new(exit, error.to_string()).hint(error.hint())
    }
}

/// Output that can't be written. A reader that has seen enough (`jadactl slots | head`) is no error:
/// the command ends quietly.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Done, ""),
            _ => Self::new(Exit::BadNews, format!("can't write the output: {error}")),
        }
    }
}
