//! A real Postgres server of a test's own.
//!
//! Owns its folder, its process and its port. Refuses to touch a server that runs on this machine already.
//! `JADA_TEST_POSTGRES=required` fails where none is installed; else the tests that need one say so and pass.

use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The password of the user `postgres` over TCP; the socket asks for none.
pub(crate) const PASSWORD: &str = "not-a-secret-of-anybody";

/// What it shows over TLS, for 127.0.0.1 and localhost; `tests/keys/postgres-ca.pem` vouches for it.
const CERTIFICATE: &str = include_str!("../keys/postgres-server.pem");
const KEY: &str = include_str!("../keys/postgres-server.key");

/// A server refuses to run as root; it does as `nobody`.
const NOBODY: u32 = 65534;

pub(crate) struct Server {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

/// The one that tests of this process share, as long as one of them holds it.
static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

/// Where the server's programs are.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<_> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop()
}

impl Server {
    /// A running server; `None` where there is none to run.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let Some(programs) = programs() else {
            let required =
                std::env::var("JADA_TEST_POSTGRES").is_ok_and(|value| value == "required");
            assert!(!required, "there is no initdb below /usr/lib/postgresql");
            eprintln!("no Postgres server is installed: this test is left out");
            return None;
        };
        let server = Arc::new(Self::start(&programs));
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    fn start(programs: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let secret = dir.path().join("password");
        File::create(&secret).unwrap().write_all(PASSWORD.as_bytes()).unwrap();
        let made = program(programs, "initdb", dir.path())
            .args([
                "-U",
                "postgres",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C",
                "-A",
                "scram-sha-256",
            ])
            .arg("--auth-local=trust")
            .arg("--pwfile")
            .arg(&secret)
            .arg("data")
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for (name, text) in [("server.pem", CERTIFICATE), ("server.key", KEY)] {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            if rustix::process::geteuid().is_root() {
                chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        // Free a moment ago; should somebody take it meanwhile, the server says so and the test fails.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = program(programs, "postgres", dir.path())
            .args(["-D", "data", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args(["-c", "ssl=on", "-c", "ssl_cert_file=../server.pem"])
            .args(["-c", "ssl_key_file=../server.key", "-c", &format!("port={port}")])
            .args(["-c", &format!("unix_socket_directories={}", dir.path().display())])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let ready = lines.by_ref().any(|line| {
            let ready = line.contains("database system is ready to accept connections");
            said.push(line);
            ready
        });
        assert!(ready, "the server did not start: {said:#?}");
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port, dir }
    }

    /// The address of a database over the socket, where the user `postgres` needs no password.
    pub(crate) fn url(&self, database: &str) -> String {
        let folder = self.dir.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/{database}", self.port)
    }

    /// The same over TCP, where it needs one.
    pub(crate) fn tcp(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Server {
    /// Ends it at once; its folder goes with it.
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _gone = self.child.wait();
    }
}

fn program(programs: &Path, name: &str, dir: &Path) -> Command {
    let mut command = Command::new(programs.join(name));
    command.current_dir(dir).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}
