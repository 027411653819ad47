//! A real systemd of a test's own, in namespaces, with a bus and, where it is the system's, a journal.
//!
//! Owns its folder, its processes and its control group: nothing of it is seen outside, and nothing of this
//! machine is written. Refuses to do without root, and to go on for longer than its test. The tests say so
//! and pass where it can't be had; `JADA_TEST_SYSTEMD=required` fails there.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longest time until it is up.
const PATIENCE: Duration = Duration::from_secs(60);

const DAEMON: &str = "/lib/systemd/systemd";

/// What each manager needs to be up: a target, and a bus that it is on.
const UNITS: &[(&str, &str)] = &[
    ("stand.target", "[Unit]\nRequires=basic.target\nAfter=basic.target\n"),
    (
        "basic.target",
        "[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\nWants=systemd-journald.service\n\
         After=dbus.socket systemd-journald.service\n",
    ),
    ("sysinit.target", "[Unit]\nDefaultDependencies=no\n"),
    ("shutdown.target", "[Unit]\nDefaultDependencies=no\n"),
    (
        "dbus.socket",
        "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=BUS\nListenStream=USUAL\n",
    ),
    (
        "dbus.service",
        "[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\n[Service]\nType=notify\n\
         NotifyAccess=main\nExecStart=/usr/bin/dbus-daemon --SCOPE --address=systemd: --nofork \
         --nopidfile --systemd-activation --syslog-only\n",
    ),
];

/// The journal of the system's manager.
const JOURNAL: &[(&str, &str)] = &[
    (
        "systemd-journald.socket",
        "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/systemd/journal/stdout\n\
         ListenDatagram=/run/systemd/journal/socket\nPassCredentials=yes\n\
         Service=systemd-journald.service\n",
    ),
    (
        "systemd-journald.service",
        "[Unit]\nDefaultDependencies=no\nRequires=systemd-journald.socket\n\
         After=systemd-journald.socket\n[Service]\nType=notify\nStandardOutput=null\n\
         ExecStart=/lib/systemd/systemd-journald\nSockets=systemd-journald.socket\n\
         RuntimeDirectory=systemd/journal\nRuntimeDirectoryPreserve=yes\n",
    ),
];

/// What a namespace is made of before its manager starts. `/proc/sys` can't be written: a manager would.
const INSIDE: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/systemd/system /run/dbus /run/log/journal
mount -t cgroup2 none /sys/fs/cgroup
mount --bind /dev/null /dev/console
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t tmpfs none /var/log
mount --bind "$1/journal" /run/log/journal
if [ -e /etc/machine-id ]; then mount --bind "$1/machine-id" /etc/machine-id; fi
set -- "$1" "$2" PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$1/home" SYSTEMD_UNIT_PATH="$1/units" \
  NOTIFY_SOCKET="$1/notify" XDG_RUNTIME_DIR="$1/run" SYSTEMD_LOG_TARGET=null container=test
if [ "$2" = system ]; then
  shift 2
  exec env -i "$@" /lib/systemd/systemd --system --unit=stand.target
fi
shift 2
env -i "$@" /lib/systemd/systemd --user --unit=stand.target &
wait
"#;

/// A manager. It ends, with all that it runs, when this goes.
pub(crate) struct Manager {
    child: Child,
    dir: tempfile::TempDir,
    /// Goes after its processes.
    _group: Group,
}

/// A control group of its own, below that of the test.
struct Group(PathBuf);

impl Manager {
    /// The manager of a user, with these units.
    pub(crate) fn user(units: &[(&str, &str)]) -> Option<Self> {
        told(Self::start(false, units))
    }

    /// The manager of a system and its journal, with these units.
    pub(crate) fn system(units: &[(&str, &str)]) -> Option<Self> {
        told(Self::start(true, units))
    }

    fn start(is_system: bool, units: &[(&str, &str)]) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("namespaces need root".to_owned());
        }
        for program in [DAEMON, "/usr/bin/dbus-daemon", "/usr/bin/unshare", "/usr/bin/busctl"] {
            if !Path::new(program).exists() {
                return Err(format!("there is no {program}"));
            }
        }
        let dir = tempfile::tempdir().expect("a folder");
        let notified = furnish(dir.path(), is_system, units);
        let group = Group::make(dir.path())?;
        let kind = if is_system { "system" } else { "user" };
        let enter = r#"echo $$ > "$1/cgroup.procs" || exit 1
            exec unshare --mount --uts --ipc --pid --fork --kill-child --mount-proc \
            /bin/sh "$2/inside" "$2" "$3""#;
        let child = Command::new("/bin/sh")
            .args(["-c", enter, "sh"])
            .args([&group.0, dir.path()])
            .arg(kind)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("stderr")).expect("a file"))
            .spawn()
            .expect("a shell");
        let manager = Self { child, dir, _group: group };
        manager.wait(&notified)?;
        Ok(manager)
    }

    /// Waits until it says that it is up.
    fn wait(&self, notified: &UnixDatagram) -> Result<(), String> {
        notified.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut buffer = [0; 4096];
        loop {
            let Ok(length) = notified.recv(&mut buffer) else {
                let said = fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default();
                return Err(format!("systemd does not come up: {said}"));
            };
            if buffer[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                return Ok(());
            }
        }
    }

    /// The address of its bus.
    pub(crate) fn bus(&self) -> String {
        format!("unix:path={}/bus", self.dir.path().display())
    }

    /// Where its journal is.
    pub(crate) fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    /// A folder that its units see as `DIR` in their texts.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts, stops or restarts a unit: `StartUnit`, `StopUnit`, `RestartUnit`. Returns when it is queued.
    pub(crate) fn call(&self, method: &str, unit: &str) {
        self.manager(&[method, "ss", unit, "replace"]);
    }

    /// Calls the manager.
    pub(crate) fn manager(&self, words: &[&str]) -> String {
        let called = Command::new("/usr/bin/busctl")
            .args([&format!("--address={}", self.bus()), "--no-pager", "call"])
            .args(["org.freedesktop.systemd1", "/org/freedesktop/systemd1"])
            .arg("org.freedesktop.systemd1.Manager")
            .args(words)
            .output()
            .expect("busctl");
        let complaint = String::from_utf8_lossy(&called.stderr).into_owned();
        assert!(called.status.success(), "{words:?}: {complaint}");
        String::from_utf8_lossy(&called.stdout).into_owned()
    }
}

/// Lays out the folder, and listens to what the manager says of itself.
fn furnish(dir: &Path, is_system: bool, units: &[(&str, &str)]) -> UnixDatagram {
    for name in ["units", "journal", "home", "run"] {
        DirBuilder::new().mode(0o700).create(dir.join(name)).expect("a folder");
    }
    // A bus runs as a user of its own, and the folder of a test is root's alone.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(dir, open).expect("a folder of ours");
    fs::write(dir.join("machine-id"), "0123456789abcdef0123456789abcdef\n").expect("a file");
    fs::write(dir.join("inside"), INSIDE).expect("a file");
    let path = |name: &str| dir.join(name).display().to_string();
    let usual = if is_system { "/run/dbus/system_bus_socket".to_owned() } else { path("run/bus") };
    let scope = if is_system { "system" } else { "session" };
    let journal = if is_system { JOURNAL } else { &[] };
    for (name, text) in UNITS.iter().chain(journal).chain(units) {
        let text = text.replace("BUS", &path("bus")).replace("USUAL", &usual);
        let text = text.replace("SCOPE", scope).replace("DIR", &dir.display().to_string());
        fs::write(dir.join("units").join(name), text).expect("a file");
    }
    UnixDatagram::bind(dir.join("notify")).expect("a socket")
}

fn told(started: Result<Manager, String>) -> Option<Manager> {
    started
        .map_err(|why| {
            let required =
                std::env::var("JADA_TEST_SYSTEMD").is_ok_and(|value| value == "required");
            assert!(!required, "{why}");
            eprintln!("no systemd can be run here, this test is left out: {why}");
        })
        .ok()
}

impl Group {
    /// Makes one below the group of this process, in the hierarchy of the second version.
    fn make(dir: &Path) -> Result<Self, String> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mounts = read("/proc/self/mounts");
        let second = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (place, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(place))
        });
        let root = second.ok_or("no control groups of the second version are mounted")?;
        let own = read("/proc/self/cgroup");
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        let name = format!("jada-test-{}", dir.file_name().unwrap_or_default().display());
        let path = root.join(own).join(name.replace('.', ""));
        fs::create_dir(&path).map_err(|error| format!("no control group can be made: {error}"))?;
        Ok(Self(path))
    }
}

impl Drop for Group {
    /// An empty group goes, those below it first.
    fn drop(&mut self) {
        fn remove(path: &Path) {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    remove(&entry.path());
                }
            }
            let _next_start_of_the_host = fs::remove_dir(path);
        }
        remove(&self.0);
    }
}

impl Drop for Manager {
    /// The first process of a namespace takes all the others along, and is over only when they are.
    fn drop(&mut self) {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let first = children.unwrap_or_default().trim().parse().ok();
        match first.and_then(rustix::process::Pid::from_raw) {
            Some(first) => {
                let kill = rustix::process::Signal::KILL;
                let _gone = rustix::process::kill_process(first, kill);
            }
            None => drop(self.child.kill()),
        }
        let _gone = self.child.wait();
    }
}
