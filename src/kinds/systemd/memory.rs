//! What a unit uses of memory where systemd does not know it: its memory controller may be in a hierarchy
//! that systemd does not manage.
//!
//! Owns the ways round. Refuses to count a process that is not the unit's: a number may be another's by now,
//! or one of another namespace.

use std::fs;
use std::path::Path;

/// What systemd says where it does not know.
const UNKNOWN: u64 = u64::MAX;

/// Where hierarchies of control groups may be: the only one, the one of systemd beside others, and those of
/// the first version.
const ROOTS: [&str; 3] = ["", "unified", "systemd"];

/// Most processes of a unit that are summed up.
const MOST: usize = 4096;

/// What is known of a unit's use of memory, in bytes; `told` is systemd's own figure.
pub(super) fn of(told: u64, group: &str, main: u32) -> Option<u64> {
    let place = Place { groups: Path::new("/sys/fs/cgroup"), processes: Path::new("/proc") };
    Some(told).filter(|bytes| *bytes != UNKNOWN).or_else(|| place.look(group, main))
}

/// Where the kernel tells of groups and processes.
struct Place<'a> {
    groups: &'a Path,
    processes: &'a Path,
}

impl Place<'_> {
    fn look(&self, group: &str, main: u32) -> Option<u64> {
        // An empty group is that of a unit which runs nothing, and the root's would be the whole host.
        let group = group.trim_matches('/');
        if group.is_empty() || group.split('/').any(|part| part == "..") {
            return None;
        }
        self.counted(group).or_else(|| self.summed(group)).or_else(|| self.main(group, main))
    }

    /// As the memory controller counts it, caches included.
    fn counted(&self, group: &str) -> Option<u64> {
        let second =
            ROOTS.iter().map(|root| self.groups.join(root).join(group).join("memory.current"));
        let first = self.groups.join("memory").join(group).join("memory.usage_in_bytes");
        second.chain([first]).find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok())
    }

    /// What its processes have in memory. Pages that they share count for each.
    fn summed(&self, group: &str) -> Option<u64> {
        let mut list =
            ROOTS.iter().map(|root| self.groups.join(root).join(group).join("cgroup.procs"));
        let list = list.find_map(|path| fs::read_to_string(path).ok())?;
        let sizes: Vec<u64> =
            list.lines().take(MOST).filter_map(|pid| resident(&self.processes.join(pid))).collect();
        (!sizes.is_empty()).then(|| sizes.iter().sum())
    }

    fn main(&self, group: &str, pid: u32) -> Option<u64> {
        let process = self.processes.join(pid.to_string());
        let groups = fs::read_to_string(process.join("cgroup")).ok()?;
        let is_its =
            |line: &str| line.rsplit(':').next().is_some_and(|of| of.trim_matches('/') == group);
        groups.lines().any(is_its).then(|| resident(&process))?
    }
}

fn resident(process: &Path) -> Option<u64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn memory_is_found_wherever_the_kernel_counts_it() {
        let status = "Name:\tx\nVmRSS:\t    1000 kB\n";
        for (files, expected) in [
            (&[("g/a.slice/x.service/memory.current", "4096\n")][..], Some(4096)),
            (&[("g/memory/a.slice/x.service/memory.usage_in_bytes", "8192\n")], Some(8192)),
            (
                &[
                    ("g/unified/a.slice/x.service/cgroup.procs", "7\n8\n9\n"),
                    ("p/7/status", status),
                    ("p/8/status", status),
                    ("p/9/status", "Name:\tkernel\n"),
                ],
                Some(2_048_000),
            ),
            (&[("p/5/cgroup", "0::/a.slice/x.service\n"), ("p/5/status", status)], Some(1_024_000)),
            // The number is another's by now.
            (&[("p/5/cgroup", "0::/a.slice/y.service\n"), ("p/5/status", status)], None),
            (&[("g/a.slice/x.service/memory.current", "max\n")], None),
            (&[], None),
        ] {
            let dir = host(files);
            let (groups, processes) = (dir.path().join("g"), dir.path().join("p"));
            let place = Place { groups: &groups, processes: &processes };
            assert_eq!(place.look("/a.slice/x.service", 5), expected, "{files:?}");
        }
        let dir = host(&[("memory.current", "1"), ("g/memory.current", "1")]);
        let groups = dir.path().join("g");
        let place = Place { groups: &groups, processes: &groups };
        assert_eq!(
            (place.look("/", 0), place.look("/..", 0), place.look("", 0)),
            (None, None, None)
        );
        assert_eq!(of(17, "", 0), Some(17));
    }
}
