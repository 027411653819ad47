//! Google's own clients against the stand-in, and Google's own decoder against what we sign.
//!
//! Owns the proof that the stand-in is one. The clients are installed beside the build by `.ci/run`; without
//! them these tests say so and pass, unless `JADA_TEST_GOOGLE_CLIENT=required` (`JADA_TEST_GOOGLE_NODE` for
//! Node's) is set.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::fake::discovery::environment;
use super::tests::{Google, ports};
use crate::clock::SystemClock;
use crate::credentials::declare::{Declaration, Provider, SecretPlace, ServiceAccount};
use crate::credentials::exchange::Wire;
use crate::credentials::providers::{World, mint};
use crate::kinds::sync::wire::stand::{Stand, TOKEN};
use crate::model::CredentialName;

const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/rsa-pkcs8.pem");

/// Whether a program is there; where it must be, it is.
fn there(path: &Path, variable: &str) -> bool {
    let required = std::env::var(variable).is_ok_and(|value| value == "required");
    let found = path.exists();
    assert!(found || !required, "{} is not there", path.display());
    if !found {
        println!("skipped: {} is not there", path.display());
    }
    found
}

fn python() -> Option<PathBuf> {
    let path = environment().join("bin/python");
    there(&path, "JADA_TEST_GOOGLE_CLIENT").then_some(path)
}

fn script(name: &str) -> String {
    format!("{}/tests/sheets/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn says_ok(command: &mut Command) {
    let output = command.env("NO_PROXY", "127.0.0.1").output().expect("it starts");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.ends_with("ok\n"), "{out}\n{err}");
}

#[test]
fn the_python_client_takes_the_stand_in_for_google() {
    let Some(python) = python() else { return };
    let google = Google::with(ports());
    let (api, url) = (script("check.py"), &google.web.url);
    says_ok(Command::new(python).args([&api, "api", url, TOKEN, KEY]));
    let fake = google.fake.lock().unwrap();
    // It sends one body on purpose that no schema allows.
    let complaints = &fake.complaints;
    assert!(complaints.len() == 1 && complaints[0].contains("no field `rows`"), "{complaints:?}");
}

#[test]
fn the_node_client_takes_the_stand_in_for_google() {
    let folder = environment().with_file_name("google-node");
    let package = folder.join("node_modules/@googleapis/sheets");
    if !there(&package, "JADA_TEST_GOOGLE_NODE") {
        return;
    }
    let google = Google::with(ports());
    says_ok(Command::new("node").arg(script("node/check.mjs")).arg(&folder).arg(&google.web.url));
    assert_eq!(google.fake.lock().unwrap().complaints, Vec::<String>::new());
}

#[test]
fn the_statement_of_a_service_account_is_one_for_googles_decoder() {
    let Some(python) = python() else { return };
    let (google, stand) = (Google::with(ports()), Stand::new());
    let endpoint = format!("{}/token", google.web.url);
    let key = serde_json::json!({
        "type": "service_account",
        "client_email": "robot@example.test",
        "private_key_id": "k1",
        "private_key": std::fs::read_to_string(KEY).unwrap(),
        "token_uri": endpoint,
    });
    stand.put_token(&key.to_string());
    let account = ServiceAccount {
        key: SecretPlace::File(stand.bench.path("token")),
        subject: None,
        scopes: vec!["https://www.googleapis.com/auth/spreadsheets".to_owned()],
        expires_on: None,
    };
    let declaration = Declaration {
        name: CredentialName::parse("google/robot").unwrap(),
        description: String::new(),
        provider: Provider::ServiceAccount(account),
        hosts: Vec::new(),
        seal: None,
        revision: 1,
    };
    let clock = Arc::new(SystemClock);
    let world = World { wire: Wire::new(clock.clone()), clock, environment: Arc::new(|_| None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(mint(&declaration, None, &world)).unwrap();
    let statement = google.fake.lock().unwrap().assertion.clone().unwrap();
    says_ok(Command::new(python).args([&script("check.py"), "jwt", &statement, KEY, &endpoint]));
}
