//! The daemon: whether it answers on its socket, and what systemd says of its unit.
//!
//! Owns the one request. Refuses to start or to end anything.

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::clock::{Clock, within};
use crate::diagnosis::evidence::{Evidence, Source};
use crate::kinds::systemd::{Bus, Buses, Scope, read};
use crate::model::{Fault, Subject, Verdict};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long an answer counts.
const TTL: Duration = Duration::from_mins(2);

/// The unit that the daemon runs in, where systemd has one.
pub(super) const UNIT: &str = "jada-agent.service";

/// What the daemon and its unit say.
pub(super) async fn look(data_dir: &Path, clock: &dyn Clock) -> Vec<Evidence> {
    let mut all = vec![socket(&data_dir.join("jada.sock"), clock).await];
    if let Some(at) = last_written(data_dir).filter(|_| all[0].verdict == Verdict::Fail) {
        all[0].since = at.min(all[0].at);
    }
    all.extend(unit(clock).await);
    all
}

/// When the daemon last wrote its store: it was alive then.
fn last_written(data_dir: &Path) -> Option<Timestamp> {
    let files = ["jada.db-wal", "jada.db"].map(|name| data_dir.join(name));
    // A log without content was made by somebody who only read.
    let written =
        files.iter().filter_map(|file| file.metadata().ok()).filter(|file| file.len() > 0);
    let times = written.filter_map(|file| file.modified().ok());
    times.filter_map(|at| Timestamp::try_from(at).ok()).max()
}

async fn socket(path: &Path, clock: &dyn Clock) -> Evidence {
    let asked = within(clock, PATIENCE, ask(path)).await;
    let (verdict, fault, text) = match asked {
        Some(Ok(())) => (Verdict::Ok, None, "answers on its socket".to_owned()),
        Some(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            (Verdict::Unknown, None, format!("{}: {error}", path.display()))
        }
        Some(Err(_)) => (
            Verdict::Fail,
            Some(Fault::UnitInactive),
            format!("nobody answers on {}", path.display()),
        ),
        None => {
            let text =
                format!("takes connections on its socket and does not answer in {PATIENCE:?}");
            (Verdict::Fail, Some(Fault::Stuck), text)
        }
    };
    let source = Source::Host("socket".to_owned());
    let one = Evidence::new(Subject::daemon(), verdict, source, clock.now());
    Evidence { fault, text, ttl: TTL, ..one }
}

async fn ask(path: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: jada\r\nconnection: close\r\n\r\n").await?;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await?;
    Ok(())
}

/// The unit, where systemd knows of one.
async fn unit(clock: &dyn Clock) -> Option<Evidence> {
    let bus = Bus { scope: Scope::System, address: None };
    let buses = Buses::default();
    let unit = within(clock, PATIENCE, Box::pin(read(&buses, &bus, UNIT, clock))).await?.ok()?;
    if !unit.exists() {
        return None;
    }
    let restarts = unit.restarts.unwrap_or_default();
    let (verdict, fault) = match (unit.active.as_str(), unit.sub.as_str(), unit.result.as_str()) {
        ("active", ..) => (Verdict::Ok, None),
        (_, _, "oom-kill") => (Verdict::Fail, Some(Fault::OomKill)),
        (_, "auto-restart", _) => (Verdict::Fail, Some(Fault::UnitRestarts)),
        ("failed", ..) => (Verdict::Fail, Some(Fault::UnitFailed)),
        ("inactive", ..) => (Verdict::Fail, Some(Fault::UnitInactive)),
        _ => (Verdict::Unknown, None),
    };
    let source = Source::Host("systemd".to_owned());
    let one = Evidence::new(Subject::unit(UNIT), verdict, source, clock.now());
    let since = unit.since.unwrap_or(one.at);
    let text =
        format!("{} ({}), result {}, {restarts} restarts", unit.active, unit.sub, unit.result);
    Some(Evidence { fault, text, since, ttl: TTL, ..one })
}
