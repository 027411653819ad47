//! Doors of a real server: passwords from a real keeper, and certificates.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use super::super::postgres_server::{PASSWORD, Server as Real};
use super::super::tools::stand::Stand;
use super::*;
use crate::clock::SystemClock;
use crate::credentials::declare::{Declaration, Provider, SecretPlace, Static, StaticSecret};
use crate::credentials::exchange::Wire;
use crate::credentials::folder::Folder;
use crate::credentials::keeper::Keeper;
use crate::credentials::providers::World;
use crate::kinds::Setting;
use crate::model::{Channel, CredentialName};
use crate::yaml::Span;

fn located(text: &str) -> Located<String> {
    Located { value: text.to_owned(), span: Span::default() }
}

/// Tools of a job that has the credential `db` with a password, for some hosts.
fn stand(password: &str, hosts: &[&str]) -> Stand {
    let mut stand = Stand::new();
    let file = stand.dir.path().join("db.password");
    std::fs::write(&file, password).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let password = SecretPlace::File(file);
    let secret = StaticSecret::Basic { user: "postgres".to_owned(), password };
    let credential = CredentialName::parse("warehouse/ops").unwrap();
    let declaration = Declaration {
        name: credential.clone(),
        description: String::new(),
        provider: Provider::Static(Static { secret, expires_on: None }),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        seal: None,
        revision: 1,
    };
    let declared = Arc::new(BTreeMap::from([(credential.clone(), Arc::new(declaration))]));
    let clock = Arc::new(SystemClock);
    let world = World { wire: Wire::new(clock.clone()), clock, environment: Arc::new(|_| None) };
    let folder = Folder::at(stand.dir.path());
    let open = Keeper::open(&declared, folder, Arc::new(world), Arc::default());
    stand.tools.keeper = Some(stand.tools.handle.block_on(open));
    let binding = Binding {
        name: "db".into(),
        credential,
        scopes: Vec::new(),
        min_ttl: Duration::from_secs(60),
        channel: Channel::File("DB".to_owned()),
    };
    let bindings = Arc::from([binding]);
    stand.tools.setting = Arc::new(Setting { bindings, ..Setting::default() });
    stand
}

fn open(url: &str, stand: &Stand) -> Result<Link, Trouble> {
    let (url, credential) = (located(url), located("db"));
    let server = Server {
        url: &url,
        key: "destination.postgres.url",
        credential: Some(&credential),
        side: Ending::Destination,
    };
    Link::open(server, &stand.tools)
}

#[test]
fn the_password_is_the_credentials() {
    let Some(server) = Real::shared() else { return };
    let url = server.tcp("postgres");
    let right = stand(PASSWORD, &["127.0.0.1"]);
    let link = open(&url, &right).unwrap();
    let user: String =
        link.wait(link.client.query_one("SELECT session_user::text", &[])).unwrap().get(0);
    assert_eq!(user, "postgres");

    let wrong = stand("another", &["127.0.0.1"]);
    let trouble = open(&url, &wrong).map(drop).unwrap_err();
    assert_eq!(trouble.ending, Ending::Auth);
    assert!(trouble.message.starts_with("warehouse/ops: "), "{}", trouble.message);
    assert!(trouble.message.contains("password authentication failed"), "{}", trouble.message);
    assert!(trouble.credential.is_some());
    assert!(!trouble.message.contains("another"));

    let elsewhere = stand(PASSWORD, &["db.example"]);
    let trouble = open(&url, &elsewhere).map(drop).unwrap_err();
    assert_eq!(
        trouble.message,
        "127.0.0.1 may not see the credential warehouse/ops; add it to its `hosts` in jada.yaml"
    );
    // Nobody is on the other side of a socket but this machine.
    open(&server.url("postgres"), &elsewhere).unwrap();
}

/// An address that a child connects to.
const CHILD: &str = "JADA_TEST_CONNECT";
const TEST: &str =
    "kinds::sync::postgres_link::tests::a_server_must_show_a_certificate_that_is_trusted";

#[test]
fn a_server_must_show_a_certificate_that_is_trusted() {
    if let Ok(url) = std::env::var(CHILD) {
        // The connection lives on its runtime.
        let stand = stand(PASSWORD, &["127.0.0.1"]);
        let link = open(&url, &stand).unwrap();
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let protected: bool = link.wait(link.client.query_one(sql, &[])).unwrap().get(0);
        assert!(protected);
        return;
    }
    let Some(server) = Real::shared() else { return };
    let url = server.tcp("postgres") + "?sslmode=require";
    let trouble = open(&url, &stand(PASSWORD, &["127.0.0.1"])).map(drop).unwrap_err();
    assert!(trouble.message.contains("UnknownIssuer"), "{}", trouble.message);
    assert!(trouble.message.contains("SSL_CERT_FILE"), "{}", trouble.message);
    let trusted = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/postgres-ca.pem");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "--nocapture", TEST]).env(CHILD, &url).env("SSL_CERT_FILE", trusted);
    let done = child.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}
