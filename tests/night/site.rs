//! A folder with settings, jobs and a token server, and the real daemon on it.
//!
//! Owns starting, killing and asking. Refuses to know what a scenario is about. All that the daemon and
//! jadactl say is kept, so that secrets can be looked for in it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use jada::clock::{Clock as _, SystemClock};
use serde_json::{Value as Json, json};

use super::fake::{CLIENT, Fake, SECRET};

/// What takes longer fails the test rather than holding it up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two looks at what nothing tells of.
const GAP: Duration = Duration::from_millis(40);

/// The static key.
pub(crate) const KEY: &str = "canary-key/7f+3a=91 x";

pub(crate) struct Site {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) server: Fake,
    pub(crate) page: String,
    daemon: Option<Child>,
    heard: Arc<Heard>,
    /// What jadactl printed.
    said: Mutex<String>,
}

/// What daemons said.
#[derive(Default)]
struct Heard {
    text: Mutex<String>,
    more: Condvar,
}

/// A slot's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) at: String,
    pub(crate) state: String,
    pub(crate) reason: String,
}

impl Site {
    /// A site with the credentials `test/one` (oauth2), of which more can be said, and `key/two` (static).
    pub(crate) fn new(more: &str, jobs: &str) -> Self {
        let server = Fake::start(|| SystemClock.now().as_second());
        let dir = tempfile::tempdir().unwrap();
        let site = Self {
            dir,
            server,
            page: String::new(),
            daemon: None,
            heard: Arc::default(),
            said: Mutex::default(),
        };
        fs::create_dir(site.path("jobs.d")).unwrap();
        fs::create_dir(site.path("runtime")).unwrap();
        fs::set_permissions(site.path("runtime"), fs::Permissions::from_mode(0o700)).unwrap();
        site.put("secret", SECRET);
        site.put("key", KEY);
        let settings = format!(
            "notifiers: {{ ops: {{ command: {{ run: [id] }} }} }}\ncredentials:\n  test/one:\n    hosts: ['127.0.0.1']\n    \
             oauth2:\n      token_url: {}\n      client_id: {CLIENT}\n      client_secret: {{ file: secret }}\n      \
             scopes: [a]\n{more}  key/two:\n    hosts: ['127.0.0.1']\n    static: {{ bearer: {{ file: key }} }}\n",
            site.server.url("/token"),
        );
        site.put("jada.yaml", &settings);
        site.put("jobs.d/all.yaml", &jobs.replace("URL", &site.server.url("/api")));
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file that only its owner may read, as an editor does.
    pub(crate) fn put(&self, name: &str, text: &str) {
        let aside = self.path("aside");
        fs::write(&aside, text).unwrap();
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(aside, self.path(name)).unwrap();
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn program(&self, path: &str) -> Command {
        let mut command = Command::new(path);
        command.current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
    }

    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    pub(crate) fn start_with(&mut self, variables: &[(&str, String)]) {
        let mut agent = self.program(env!("CARGO_BIN_EXE_jada-agent"));
        agent.args(["--listen", "127.0.0.1:0"]).env("JADA_LOG", "trace");
        agent.env("XDG_RUNTIME_DIR", self.path("runtime")).envs(variables.iter().cloned());
        let mut child = agent.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let begin = self.heard.text().len();
        let heard = Arc::clone(&self.heard);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.text().push_str(&(line + "\n"));
                heard.more.notify_all();
            }
        });
        self.page = self.until("the daemon is up", || {
            assert_eq!(child.try_wait().unwrap(), None, "{}", &self.heard.text()[begin..]);
            let text = self.heard.text();
            let line = text[begin..].lines().find(|line| line.contains("is up"))?;
            let page = line.split_whitespace().find_map(|word| word.split_once("page="))?.1;
            Some(page.to_owned())
        });
        self.daemon = Some(child);
    }

    pub(crate) fn kill(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// Asks until there is an answer.
    pub(crate) fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let begin = SystemClock.passed();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            if SystemClock.passed().saturating_sub(begin) > PATIENCE {
                let said = self.heard.text();
                let tail = said.len().saturating_sub(6000);
                panic!("not within {PATIENCE:?}: {what}\n…{}", said.get(tail..).unwrap_or(&said));
            }
            let waited = self.heard.more.wait_timeout(self.heard.text(), GAP);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    pub(crate) fn ctl(&self, args: &[&str]) -> Output {
        let output = self.program(env!("CARGO_BIN_EXE_jadactl")).args(args).output().unwrap();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(&args.join(" "));
        said.push_str(&String::from_utf8_lossy(&output.stdout));
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        output
    }

    /// What a verb says, which must end with this code.
    pub(crate) fn told(&self, code: i32, args: &[&str]) -> String {
        let output = self.ctl(args);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        text
    }

    pub(crate) fn json(&self, args: &[&str]) -> Vec<Json> {
        let output = self.ctl(&[args, &["--json"]].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{args:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// A new grant of the server, in a file as Google's libraries write it, taken over.
    pub(crate) fn consent(&self) {
        let grant = self.server.grant("a");
        let text = json!({ "client_id": CLIENT, "client_secret": SECRET, "refresh_token": grant });
        self.put("user.json", &text.to_string());
        self.told(0, &["auth", "import", "test/one", "--from", "user.json"]);
        fs::remove_file(self.path("user.json")).unwrap();
    }

    pub(crate) fn status(&self, name: &str) -> Json {
        self.json(&["auth", "status", name]).remove(0)
    }

    pub(crate) fn until_state(&self, name: &str, state: &str) {
        self.until(state, || (self.status(name)["state"] == state).then_some(()));
    }

    /// The job's slots that have a row, oldest first.
    pub(crate) fn slots(&self, job: &str) -> Vec<Slot> {
        let rows = self.json(&["slots", "--job", job, "--limit", "10000"]);
        let text = |row: &Json, key: &str| row[key].as_str().unwrap_or("").to_owned();
        let has_row = |row: &&Json| !(row["state"] == "pending" && row["run"].is_null());
        let slot = |row: &Json| Slot {
            at: text(row, "slot"),
            state: text(row, "state"),
            reason: text(row, "reason"),
        };
        let mut slots: Vec<Slot> = rows.iter().filter(has_row).map(slot).collect();
        slots.sort_by(|one, other| one.at.cmp(&other.at));
        slots
    }

    /// Waits until so many of the job's slots after a moment are in a state, and returns them.
    pub(crate) fn until_slots(
        &self,
        job: &str,
        after: &str,
        state: &str,
        count: usize,
    ) -> Vec<Slot> {
        self.until(&format!("{count} slots of {job} are {state}"), || {
            let mut slots = self.slots(job);
            slots.retain(|slot| slot.at.as_str() > after && slot.state == state);
            (slots.len() >= count).then_some(slots)
        })
    }

    /// What the daemon and jadactl have said so far.
    pub(crate) fn said(&self) -> [String; 2] {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        [self.heard.text().clone(), said.clone()]
    }

    /// Rows of the outbox: whom, of what, and whether it opened or was resolved.
    pub(crate) fn outbox(&self) -> Vec<(String, String, String)> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = rusqlite::Connection::open_with_flags(self.path("var/jada.db"), flags).unwrap();
        let sql = "SELECT notifier, key, event FROM outbox JOIN incident ON incident = incident.id \
                   ORDER BY outbox.rowid";
        let mut query = db.prepare(sql).unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }
}

impl Heard {
    fn text(&self) -> std::sync::MutexGuard<'_, String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _gone = daemon.kill();
            let _status = daemon.wait();
        }
    }
}
