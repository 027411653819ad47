//! This host: room, inodes, memory, load, when it started.
//!
//! Owns the bounds beyond which a host is in trouble whatever runs on it. Refuses to ask anybody.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::StatVfsMountFlags;

use crate::diagnosis::evidence::{Evidence, Source};
use crate::model::{Fault, Subject, Verdict};

/// How long a look counts.
const TTL: Duration = Duration::from_mins(5);

/// What is seen of this host.
pub(super) fn look(data_dir: &Path, now: Timestamp) -> Vec<Evidence> {
    let mut all = Vec::new();
    let root = Path::new("/");
    all.extend(disk(root, now));
    let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    // One file system is told of once.
    if device(data_dir).is_some_and(|data| Some(data) != device(root)) {
        all.extend(disk(data_dir, now));
    }
    let read = |path: &str| std::fs::read_to_string(path).ok();
    all.extend(read("/proc/meminfo").and_then(|text| memory(&text, now)));
    all.extend(read("/proc/loadavg").and_then(|text| load(&text, now)));
    all
}

fn seen(
    node: &str,
    what: &str,
    (verdict, fault): (Verdict, Option<Fault>),
    now: Timestamp,
) -> Evidence {
    let source = Source::Host(what.to_owned());
    Evidence { fault, ttl: TTL, ..Evidence::new(Subject::part(node), verdict, source, now) }
}

fn disk(path: &Path, now: Timestamp) -> Vec<Evidence> {
    let Ok(answer) = rustix::fs::statvfs(path) else { return Vec::new() };
    let shown = path.display();
    let read_only = answer.f_flag.contains(StatVfsMountFlags::RDONLY);
    let bytes = |blocks: u64| blocks.saturating_mul(answer.f_frsize);
    let (free, all) = (bytes(answer.f_bavail), bytes(answer.f_blocks));
    let room = judge(free, all);
    let room = if read_only { (Verdict::Fail, Some(Fault::DiskBroken)) } else { room };
    let text = if read_only {
        format!("{shown} is mounted read-only")
    } else {
        format!("{shown} has {} MiB of {} free", free >> 20, all >> 20)
    };
    let mut found = vec![Evidence { text, ..seen("disk", &format!("{shown}"), room, now) }];
    if answer.f_files > 0 {
        let inodes = match judge(answer.f_favail, answer.f_files) {
            (verdict, Some(_)) => (verdict, Some(Fault::Inodes)),
            fine => fine,
        };
        let text = format!("{shown} has {} of {} inodes free", answer.f_favail, answer.f_files);
        found.push(Evidence { text, ..seen("disk", &format!("{shown} inodes"), inodes, now) });
    }
    found
}

/// Less than 1 % free is a failure, less than 10 % a warning.
fn judge(free: u64, all: u64) -> (Verdict, Option<Fault>) {
    match all {
        0 => (Verdict::Ok, None),
        _ if free.saturating_mul(100) < all => (Verdict::Fail, Some(Fault::DiskFull)),
        _ if free.saturating_mul(10) < all => (Verdict::Warn, Some(Fault::DiskFull)),
        _ => (Verdict::Ok, None),
    }
}

fn memory(text: &str, now: Timestamp) -> Option<Evidence> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let (total, available) = (value("MemTotal")?, value("MemAvailable")?);
    let state = match judge(available, total.saturating_div(3)) {
        (Verdict::Ok, _) => (Verdict::Ok, None),
        (verdict, _) => (verdict, Some(Fault::MemoryLow)),
    };
    let text = format!("{} MiB of {} available", available >> 10, total >> 10);
    Some(Evidence { text, ..seen("memory", "memory", state, now) })
}

fn load(text: &str, now: Timestamp) -> Option<Evidence> {
    let five: f64 = text.split_whitespace().nth(1)?.parse().ok()?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = f64::from(u32::try_from(cores).unwrap_or(1));
    let high = five / cores > 4.0;
    let state = if high { (Verdict::Warn, Some(Fault::LoadHigh)) } else { (Verdict::Ok, None) };
    let text = format!("load {five} on {cores} processors");
    Some(Evidence { text, ..seen("load", "load", state, now) })
}

/// When this host started.
pub(super) fn started() -> Option<Timestamp> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    Timestamp::from_second(seconds.trim().parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_host() {
        let cases = [
            (0, 100, Verdict::Fail),
            (1, 100, Verdict::Warn),
            (10, 100, Verdict::Ok),
            (0, 0, Verdict::Ok),
        ];
        for (free, all, want) in cases {
            assert_eq!(judge(free, all).0, want, "{free} of {all}");
        }
        let now = Timestamp::from_second(0).unwrap();
        let full = memory("MemTotal: 3000 kB\nMemAvailable: 9 kB\n", now).unwrap();
        assert_eq!((full.verdict, full.fault), (Verdict::Fail, Some(Fault::MemoryLow)));
        let calm = load("0.1 0.2 0.3 1/2 3", now).unwrap();
        assert_eq!(calm.verdict, Verdict::Ok);
    }
}
