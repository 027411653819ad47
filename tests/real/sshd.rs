//! A real server of OpenSSH on the loopback, which lets in who shows a certificate of its own authority.
//!
//! Owns its keys, its folder and its process, in namespaces: its user need not exist on this machine. Refuses to
//! listen elsewhere. The tests say so and pass where there is none; `JADA_TEST_SSHD=required` fails there, and
//! any other value is the path of the server.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};

/// Inside: a folder for the server, and its user.
const INSIDE: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -m 755 /run/sshd
mount --bind "$1/passwd" /etc/passwd
exec "$2" -D -e -f "$1/sshd_config"
"#;

/// The server. It ends when this goes.
pub(crate) struct Sshd {
    child: Child,
    dir: tempfile::TempDir,
    port: u16,
}

fn server() -> Result<PathBuf, String> {
    let said = std::env::var("JADA_TEST_SSHD").unwrap_or_default();
    let path = match said.as_str() {
        "" | "required" => PathBuf::from("/usr/sbin/sshd"),
        path => PathBuf::from(path),
    };
    let missing = if rustix::process::geteuid().is_root() {
        let programs =
            [path.as_path(), Path::new("/usr/bin/unshare"), Path::new("/usr/bin/ssh-keygen")];
        let gone = programs.iter().find(|program| !program.exists());
        gone.map(|program| format!("there is no {}", program.display()))
    } else {
        Some("namespaces need root".to_owned())
    };
    match missing {
        Some(why) => {
            assert!(said.is_empty(), "{why}");
            Err(why)
        }
        None => Ok(path),
    }
}

impl Sshd {
    /// Starts one; `None` where there is none to start.
    pub(crate) fn start() -> Option<Self> {
        let path = server()
            .map_err(|why| eprintln!("no sshd can be run here, this test is left out: {why}"))
            .ok()?;
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["host", "authority", "id"] {
            keygen(dir.path(), &["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", name]);
        }
        let passwd = fs::read_to_string("/etc/passwd").expect("it is read by all");
        let own = "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n";
        let own = if passwd.contains("\nsshd:") { "" } else { own };
        fs::write(dir.path().join("passwd"), passwd + own).expect("a file");
        // Free a moment ago; should somebody take it meanwhile, the server says so and the test fails.
        let port =
            TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one").port();
        let place = dir.path().display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nPidFile none\nUsePAM no\n\
             TrustedUserCAKeys {place}/authority.pub\nAuthorizedKeysFile none\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
        );
        fs::write(dir.path().join("sshd_config"), config).expect("a file");
        let mut child = Command::new("/usr/bin/unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["/bin/sh", "-c", INSIDE, "sh"])
            .arg(dir.path())
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut lines =
            BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let ready = lines.by_ref().any(|line| {
            let ready = line.contains("Server listening on");
            said.push(line);
            ready
        });
        assert!(ready, "sshd does not start: {said:#?}");
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, dir, port })
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What leads in as root, as Lightsail tells it, with a certificate of this validity (`+1h`, `-2h:-1h`).
    pub(crate) fn access(&self, validity: &str, expires_at: i64) -> Json {
        let name = ["-q", "-s", "authority", "-I", "test", "-n", "root", "-V", validity, "id.pub"];
        keygen(self.dir.path(), &name);
        let read = |name: &str| fs::read_to_string(self.dir.path().join(name)).expect("a file");
        let host = read("host.pub");
        let mut words = host.split(' ');
        let (algorithm, key) = (words.next().expect("it"), words.next().expect("its key"));
        json!({
            "username": "root",
            "privateKey": read("id"),
            "certKey": read("id-cert.pub"),
            "ipAddress": "127.0.0.1",
            "expiresAt": expires_at,
            "hostKeys": [{ "algorithm": algorithm, "publicKey": key }],
        })
    }
}

fn keygen(dir: &Path, words: &[&str]) {
    let ran = Command::new("/usr/bin/ssh-keygen").args(words).current_dir(dir).output();
    let ran = ran.expect("ssh-keygen");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

impl Drop for Sshd {
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
