//! What is wrong, by its signature: finer than a failure's class, and the same word in observations,
//! incidents and diagnoses.
//!
//! Owns the closed list of faults and their families. Refuses to know how a text or an error becomes one
//! (`plan::signature`), and which way a fault travels (`diagnosis/`).

/// What a fault is about: which edges of the evidence graph it may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Who may act: tokens, clients, scopes.
    Auth,
    /// The other side asked for patience, or a quota is used up.
    Throttle,
    /// The other side answers, and fails.
    Service,
    /// Names can't be looked up.
    Name,
    /// Nothing can be reached.
    Network,
    /// The certificate of the other side.
    Tls,
    /// What the host lacks: room, memory.
    Resource,
    /// The host's time.
    Clock,
    /// The unit or process that is looked after.
    Unit,
    /// The program itself: its own bug, its interpreter, what it may not read.
    Program,
    /// What one thing does not allow, or where it is not.
    Access,
    /// A budget ran out: expected.
    Limit,
    /// The data: old, short, of another shape.
    Data,
    /// A definition or a setting.
    Configuration,
    /// Nothing is known.
    Unknown,
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal in $family:ident;)+) => {
        /// A fault. Its word is stored and shown; the list only ever grows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Fault {
            /// Every fault, by family.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word in store, API and command line.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// What it is about.
            #[must_use]
            pub fn family(self) -> Family {
                match self {
                    $(Self::$name => Family::$family,)+
                }
            }
        }
    };
}

faults! {
    /// The grant is revoked, expired or was never good (`invalid_grant`).
    InvalidGrant = "auth.invalid_grant" in Auth;
    /// The client id or its secret is refused (`invalid_client`, `unauthorized_client`).
    InvalidClient = "auth.invalid_client" in Auth;
    /// The token lacks a scope.
    Scope = "auth.scope" in Auth;
    /// The account is disabled, suspended or gone.
    AccountDisabled = "auth.disabled" in Auth;
    /// The session policy asks the person to sign in again (`invalid_rapt`).
    Reauthenticate = "auth.rapt" in Auth;
    /// Nothing is stored to sign in with.
    NoCredential = "auth.missing" in Auth;
    /// Refused with 401 or alike, and nothing finer is known.
    Refused = "auth.refused" in Auth;
    /// Too many requests for now (429, `rateLimitExceeded`).
    Throttled = "http.429" in Throttle;
    /// A quota of the day or the month is used up.
    Quota = "quota" in Throttle;
    /// The other side fails (5xx).
    ServerError = "http.5xx" in Service;
    /// The request was refused (4xx), and nothing finer is known.
    BadRequest = "http.4xx" in Service;
    /// An answer of another form than was promised.
    BadAnswer = "http.answer" in Service;
    /// The name does not exist.
    NoSuchName = "dns.nxdomain" in Name;
    /// The name server fails.
    NameServer = "dns.servfail" in Name;
    /// The name server does not answer.
    NameTimeout = "dns.timeout" in Name;
    /// No answer in time.
    NetTimeout = "net.timeout" in Network;
    /// Nobody listens.
    NetRefused = "net.refused" in Network;
    /// The connection broke off.
    NetReset = "net.reset" in Network;
    /// No way there.
    NetUnreachable = "net.unreachable" in Network;
    /// The certificate has expired or is not valid yet.
    CertExpired = "tls.expired" in Tls;
    /// The certificate is for another name.
    CertName = "tls.name" in Tls;
    /// Nobody whom we trust vouches for the certificate, or the handshake fails.
    CertUntrusted = "tls.untrusted" in Tls;
    /// The disk is full.
    DiskFull = "disk.full" in Resource;
    /// No inode is left.
    Inodes = "disk.inodes" in Resource;
    /// The file system can't be written (read-only, I/O error).
    DiskBroken = "disk.broken" in Resource;
    /// The kernel ended a process for lack of memory.
    OomKill = "oom.kill" in Resource;
    /// Little memory is left.
    MemoryLow = "memory.low" in Resource;
    /// The processors are overloaded.
    LoadHigh = "load.high" in Resource;
    /// Too many open files or processes.
    Handles = "handles" in Resource;
    /// The clock is wrong.
    ClockSkew = "clock.skew" in Clock;
    /// The unit has failed.
    UnitFailed = "unit.failed" in Unit;
    /// The unit or process is not there.
    UnitInactive = "unit.inactive" in Unit;
    /// It restarts again and again.
    UnitRestarts = "unit.restarts" in Unit;
    /// A program or its interpreter is not found.
    ExecMissing = "exec.missing" in Program;
    /// The program ended with an error of its own.
    ExecExit = "exec.exit" in Program;
    /// A signal ended it.
    ExecSignal = "exec.signal" in Program;
    /// It took longer than it may.
    TimedOut = "exec.timeout" in Program;
    /// It was told to stop and does not end.
    Stuck = "exec.stuck" in Program;
    /// The daemon that ran it died.
    Lost = "exec.lost" in Program;
    /// The scheduler's loop does not come round in time.
    Lag = "lag" in Program;
    /// A success that took next to no time.
    Suspicious = "exec.suspicious" in Program;
    /// Permission is lacking on this one thing.
    PermissionDenied = "perm.denied" in Access;
    /// This one thing is not there.
    NotFound = "not_found" in Access;
    /// An agent's turns ran out.
    LimitTurns = "limit.turns" in Limit;
    /// Another budget ran out.
    LimitBudget = "limit.budget" in Limit;
    /// The data has another shape.
    Schema = "schema" in Data;
    /// The data, or the last success, is too old.
    Stale = "stale" in Data;
    /// Nobody has looked for too long.
    Absent = "absent" in Data;
    /// A guard holds the data until a person has looked.
    Held = "held" in Data;
    /// Less came than was promised.
    Truncated = "truncated" in Data;
    /// A slot could not start in time.
    Expired = "expired" in Data;
    /// A measured value is not as it must be, and nothing finer is known.
    Threshold = "threshold" in Unknown;
    /// A line was found that must not be there.
    Pattern = "pattern" in Unknown;
    /// A definition, a setting or a notifier is wrong.
    Configuration = "configuration" in Configuration;
    /// Nobody knows.
    Unknown = "unknown" in Unknown;
}

impl Fault {
    /// The fault of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_one_faults() {
        for fault in Fault::ALL {
            assert_eq!(Fault::from_word(fault.word()), Some(*fault));
        }
    }
}
