//! What is wrong where a value is not as expected.
//!
//! Owns what each value stands for: a full disk, little memory, an old file. Refuses to judge the value.

use super::lightsail;
use super::probe::{Cause, Verdict};
use super::which::Probe;
use crate::model::Fault;
use crate::plan::signature;

/// The fault that a value tells which is not as expected; `None` where the words have to tell it.
pub(super) fn of_value(probe: &Probe, value: &str, cause: &Cause) -> Option<Fault> {
    Some(match (probe, value) {
        (Probe::Disk(_), "inodes") => Fault::Inodes,
        (Probe::Disk(_), _) => Fault::DiskFull,
        (Probe::Memory(_), _) => Fault::MemoryLow,
        (Probe::Load(_) | Probe::Cpu(_), _) => Fault::LoadHigh,
        (Probe::Tls(_), "valid") => cause.fault.unwrap_or(Fault::CertUntrusted),
        (Probe::Tls(_), "left" | "days") => Fault::CertExpired,
        (Probe::FileAge(_) | Probe::Sql(_), "age") | (Probe::Freshness(_), _) => Fault::Stale,
        (Probe::FileAge(_), "exists") => Fault::NotFound,
        (Probe::Process(_), "count") | (Probe::Systemd(_), "active" | "sub") => Fault::UnitInactive,
        // It has not been running for long, again.
        (Probe::Process(_), "age") | (Probe::Systemd(_), "restarts") => Fault::UnitRestarts,
        (Probe::Systemd(_), "result") => Fault::UnitFailed,
        (Probe::Http(_), "latency" | "body")
        | (
            Probe::FileAge(_)
            | Probe::Tcp(_)
            | Probe::Dns(_)
            | Probe::Tls(_)
            | Probe::Process(_)
            | Probe::Sql(_)
            | Probe::Systemd(_)
            | Probe::Credential(_),
            _,
        ) => Fault::Threshold,
        // A status other than the expected one may still be a good one; where the server fails, that is what
        // is wrong with its body too.
        (Probe::Http(_), _) => cause.fault.unwrap_or(Fault::Threshold),
        (Probe::Lightsail(_), value) => lightsail::fault_of(value),
        (Probe::Command(_) | Probe::Ssh(_) | Probe::Log(_), _) => return cause.fault,
    })
}

/// The fault that words tell, of a look that came to something else than ok.
pub(super) fn of_words(probe: &Probe, verdict: Verdict, cause: &Cause, text: &str) -> Fault {
    match (signature::fault(Some(cause.class), text), verdict) {
        (Fault::Unknown, Verdict::Warn | Verdict::Fail) if matches!(probe, Probe::Log(_)) => {
            Fault::Pattern
        }
        // It measured something, and that is not as it must be.
        (Fault::Unknown, Verdict::Warn | Verdict::Fail) => Fault::Threshold,
        (fault, _) => fault,
    }
}
