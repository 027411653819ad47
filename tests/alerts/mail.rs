//! Mail through a real server: aiosmtpd, which takes, refuses, puts off and dawdles by the recipient's name.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use jada::alerts::message;
use jada::alerts::settings::{Email, Login, Tls, Way};
use jada::clock::SystemClock;
use jada::credentials::declare::SecretPlace;
use jada::model::{Blame, Told};

use crate::stage::{Stage, alerts, by, start, ways};

const SERVER: &str = include_str!("../real/smtp/server.py");

struct Server {
    child: Child,
    port: u16,
    mails: mpsc::Receiver<serde_json::Value>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The Python that has aiosmtpd, where `.ci/run` has put it; says so where it is missing.
fn python() -> Option<PathBuf> {
    let exe = std::env::current_exe().unwrap();
    let target = exe.ancestors().nth(3).unwrap();
    let python = target.join("smtp/bin/python");
    if python.exists() {
        return Some(python);
    }
    let required = std::env::var("JADA_TEST_SMTP").is_ok_and(|word| word == "required");
    assert!(!required, "no aiosmtpd at {}", python.display());
    let why = b"skipped: no aiosmtpd in the target folder; .ci/run installs it\n";
    std::io::stderr().write_all(why).unwrap();
    None
}

fn server() -> Option<Server> {
    let mut child =
        Command::new(python()?).args(["-u", "-c", SERVER]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = lines.next().unwrap().parse().unwrap();
    let (told, mails) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines {
            let _gone = told.send(serde_json::from_str(&line).unwrap());
        }
    });
    Some(Server { child, port, mails })
}

fn email(port: u16, to: &str) -> Email {
    Email {
        to: vec![to.to_owned()],
        from: "JADA <jada@example.com>".to_owned(),
        server: "127.0.0.1".to_owned(),
        port,
        tls: Tls::Never,
        login: None,
        timeout: Duration::from_secs(10),
    }
}

fn stage(email: Email) -> Stage {
    Stage::new(alerts(vec![("ops", by(Way::Email(Box::new(email))))]))
}

#[tokio::test]
async fn a_mail_arrives() {
    let Some(server) = server() else { return };
    let mut stage = stage(email(server.port, "ops@example.com"));
    stage.open("credential/google/ops").await;
    stage.deliver().await;
    assert_eq!(stage.rows().await[0].state, Told::Delivered, "{:?}", stage.rows().await);
    let mail = server.mails.recv_timeout(Duration::from_secs(20)).unwrap();
    let text = mail["data"].as_str().unwrap();
    let text = text.replace("=\r\n", "").replace("\r\n ", " ");
    assert!(
        text.contains("Subject: [jada] failing: credential/google/ops: HTTP Error 400"),
        "{text}"
    );
    assert!(text.contains("Auto-Submitted: auto-generated"), "{text}");
    assert!(text.contains("Message-ID: <jada-"), "{text}");
    assert!(text.contains("fix     jadactl auth login google/ops"), "{text}");
    assert_eq!(mail["to"], serde_json::json!(["ops@example.com"]));
}

#[tokio::test]
async fn what_a_server_answers_says_what_to_mend() {
    let Some(server) = server() else { return };
    let mut starttls = email(server.port, "ops@example.com");
    starttls.tls = Tls::Starttls;
    let nobody = email(1, "ops@example.com");
    for (email, blame, words) in [
        (email(server.port, "never@example.com"), Blame::Settings, "550"),
        (email(server.port, "later@example.com"), Blame::Line, "451"),
        (starttls, Blame::Settings, "STARTTLS"),
        (nobody, Blame::Line, "127.0.0.1"),
    ] {
        let mut stage = stage(email);
        stage.open("credential/google/ops").await;
        stage.deliver().await;
        let row = stage.rows().await.remove(0);
        assert_eq!((row.state, row.blame), (Told::Waiting, Some(blame)), "{words}: {}", row.error);
        assert!(row.error.contains(words), "{words}: {}", row.error);
    }
}

/// Put off first, taken later: one mail, under one id.
#[tokio::test]
async fn what_is_put_off_is_sent_again() {
    let Some(server) = server() else { return };
    let mut stage = stage(email(server.port, "once@example.com"));
    stage.open("credential/google/ops").await;
    stage.pass(60).await;
    let row = stage.rows().await.remove(0);
    assert_eq!((row.state, row.tries), (Told::Delivered, 1));
    assert!(server.mails.recv_timeout(Duration::from_secs(20)).is_ok());
    assert!(server.mails.try_recv().is_err());
}

/// A server that dawdles is given up after the timeout, and is nothing for the settings.
#[tokio::test]
async fn a_slow_server_is_given_up() {
    let Some(server) = server() else { return };
    let mut slow = email(server.port, "slow@example.com");
    slow.timeout = Duration::from_secs(1);
    let settings = alerts(vec![("ops", by(Way::Email(Box::new(slow))))]);
    let stage = Stage::new(settings.clone());
    stage.open("credential/google/ops").await;
    let outbox = stage.store.outbox(start()).await.unwrap();
    let message = message::of(&outbox.rows[0], &outbox, start());
    // The stage's clock stands still: this one does not.
    let ways = ways(settings, stage.folder.path(), Arc::new(SystemClock));
    let failure = ways.tell("ops", message).await.unwrap_err();
    assert_eq!(failure.blame, Blame::Line, "{failure:?}");
}

#[tokio::test]
async fn a_password_comes_from_its_place_and_shows_nowhere() {
    let Some(server) = server() else { return };
    let place = tempfile::NamedTempFile::new().unwrap();
    for (password, told) in [("s3cr3t-s3cr3t", Told::Delivered), ("wr0ng-wr0ng", Told::Waiting)] {
        std::fs::write(place.path(), password).unwrap();
        let mut email = email(server.port, "ops@example.com");
        let login = Login::Password(SecretPlace::File(place.path().to_owned()));
        email.login = Some(("ann".to_owned(), login));
        let mut stage = stage(email);
        stage.open("credential/google/ops").await;
        stage.deliver().await;
        let row = stage.rows().await.remove(0);
        assert_eq!(row.state, told, "{}", row.error);
        assert!(!row.error.contains(password), "{}", row.error);
        if told == Told::Waiting {
            assert_eq!(row.blame, Some(Blame::Settings), "{}", row.error);
        }
    }
}
