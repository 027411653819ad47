//! Refreshes by several processes: killed at any step, many at once, on a full disk.
//!
//! Owns the process that other tests start. Refuses to know verdicts.

use super::*;

/// What a child does.
pub(super) struct Errand {
    dir: String,
    port: u16,
    pub(super) dies_at: u32,
    rounds: u32,
}

impl Errand {
    pub(super) fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let mut word = || words.next().unwrap();
        Self {
            dir: word().to_owned(),
            port: word().parse().unwrap(),
            dies_at: word().parse().unwrap(),
            rounds: word().parse().unwrap(),
        }
    }

    fn text(&self) -> String {
        let Self { dir, port, dies_at, rounds } = self;
        format!("{dir} {port} {dies_at} {rounds}")
    }

    /// The command that does it, after `before` of a shell.
    fn command(&self, before: &str) -> Command {
        let own = std::env::current_exe().unwrap();
        let mut command = Command::new("sh");
        let line = format!("{before} exec \"$0\" --exact --nocapture {TEST}");
        command.arg("-c").arg(line).arg(own).env(CHILD, self.text());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

const TEST: &str = "credentials::refresh::tests::processes::a_process_of_its_own";

/// Other tests start this one as a process with an errand. By itself it does in this process what that
/// process does, so that it fails here first.
#[tokio::test]
async fn a_process_of_its_own() {
    if let Ok(errand) = std::env::var(CHILD) {
        return perform(&Errand::parse(&errand)).await;
    }
    let place = Place::new(Some(true)).await;
    let server = Server::new(Rotation::Strict);
    let dir = place.dir.path().to_str().unwrap().to_owned();
    perform(&Errand { dir, port: server.port, dies_at: 0, rounds: 2 }).await;
    assert_eq!(server.count(), (2, 0));
    assert_eq!(place.record().standing.generation, 3);
}

/// Refreshes as often as the errand says, as the command line would.
async fn perform(errand: &Errand) {
    let folder = Folder::at(Path::new(&errand.dir));
    let audit = Audit::of(folder.clone(), "cli");
    let nature = nature(None);
    let port = errand.port;
    let mint = move |grant: Option<Grant>| -> BoxFuture<'static, _> {
        Box::pin(
            async move { exchange(port, grant.unwrap().refresh_token.expose(), SystemClock.now()) },
        )
    };
    for _ in 0..errand.rounds {
        let known = folder.read(&name()).unwrap().unwrap().standing.generation;
        let (folder, audit) = (&folder, &audit);
        let why = Why::Newer { than: known };
        step(1);
        let ask = Ask { nature: &nature, folder, audit, clock: &SystemClock, why };
        let fresh = refresh(&ask, &mint).await.map_err(|failed| format!("{failed:?}")).unwrap();
        step(10);
        assert!(fresh.record.standing.generation > known);
    }
}

fn run(errand: &Errand, before: &str) -> ExitStatus {
    errand.command(before).status().unwrap()
}

#[tokio::test]
async fn a_process_that_is_killed_at_any_step_costs_nobody_a_consent() {
    use std::os::unix::process::ExitStatusExt;
    for rotation in [Rotation::Off, Rotation::Grace, Rotation::Strict] {
        for dies_at in [1, 2, 3, 4, 5, 6, ON_THE_WIRE, 7, 8, 9, 10] {
            let case = format!("{rotation:?}, step {dies_at}");
            let place = Place::new(Some(rotation != Rotation::Off)).await;
            let server = Server::new(rotation);
            let dir = place.dir.path().to_str().unwrap().to_owned();
            let errand = Errand { dir, port: server.port, dies_at, rounds: 1 };
            assert_eq!(run(&errand, "").signal(), Some(9), "{case}");
            // Another process goes on. What can be lost is an answer: one that had been sent, and was not
            // written down.
            let lost = [ON_THE_WIRE, 7].contains(&dies_at);
            let first = place.refreshes(&server).await;
            if lost && rotation == Rotation::Strict {
                assert_eq!(first.unwrap_err().standing.state, State::RefreshFailing, "{case}");
                place.clock.advance(Duration::from_secs(60));
                let dead = place.refreshes(&server).await.unwrap_err().standing;
                assert_eq!(dead.state, State::ReauthRequired, "{case}");
                continue;
            }
            let record = first.unwrap_or_else(|failed| panic!("{case}: {failed:?}"));
            assert_eq!(record.standing.state, State::Healthy, "{case}");
            let (exchanges, refused) = server.count();
            assert_eq!((exchanges, refused), (if lost { 2 } else { 1 }, 0), "{case}");
            // And it is no worse for the next turn.
            place.clock.advance(Duration::from_secs(7200));
            let record = place.refreshes(&server).await.unwrap();
            assert_eq!(record, place.record(), "{case}");
            assert_eq!(server.count(), (exchanges + 1, 0), "{case}");
            assert!(!place.leftover().await, "{case}");
        }
    }
}

#[tokio::test]
async fn fifty_processes_spend_each_generation_once() {
    let place = Place::new(None).await;
    let server = Server::new(Rotation::Strict);
    let dir = place.dir.path().to_str().unwrap().to_owned();
    let errand = Errand { dir, port: server.port, dies_at: 0, rounds: 3 };
    let children: Vec<_> = (0..50).map(|_| errand.command("").spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let record = place.record();
    let (exchanges, refused) = server.count();
    assert_eq!(refused, 0);
    assert_eq!(record.standing.generation, 1 + exchanges, "one exchange a generation");
    assert!((3..=150).contains(&exchanges), "{exchanges}");
    let acts = place.events();
    assert_eq!(acts.iter().filter(|act| **act == Act::RefreshOk).count() as u64, exchanges);
}

#[tokio::test]
async fn a_disk_without_room_blocks_the_exchange() {
    let place = Place::new(Some(true)).await;
    let server = Server::new(Rotation::Strict);
    let dir = place.dir.path().to_str().unwrap().to_owned();
    let errand = Errand { dir, port: server.port, dies_at: 0, rounds: 1 };
    let before = place.record();
    // A limit on the size of files stands for the disk; its signal is ignored, as nobody sends one for a
    // full disk.
    let status = run(&errand, "trap '' XFSZ; ulimit -f 8;");
    assert_eq!(status.code(), Some(101), "it was told");
    assert_eq!(server.count(), (0, 0), "and the server was not asked");
    assert_eq!(place.record(), before);
    assert!(!place.dir.path().join("credentials/test+one.json.new").exists());
    assert!(!place.leftover().await);
    // With room again, it goes on.
    assert!(run(&errand, "").success());
    assert_eq!(server.count(), (1, 0));
}
