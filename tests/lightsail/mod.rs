//! A stand-in for Amazon Lightsail in another process, and its switches.
//!
//! It needs Python with botocore, which `.ci/run` puts beside the build; without it the tests that need one say
//! so and pass, unless `JADA_TEST_LIGHTSAIL=required` is set.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};

/// The keys that it takes.
pub(crate) const KEY: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// Where it says that it is.
pub(crate) const REGION: &str = "eu-central-1";

/// The stand-in. It ends when this goes.
pub(crate) struct Lightsail {
    process: Child,
    port: u16,
    python: PathBuf,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lightsail/fake.py")
}

impl Lightsail {
    /// Starts one; `None` where there is none to start.
    pub(crate) fn start() -> Option<Self> {
        let own = std::env::current_exe().expect("a test has a file");
        let python = own.ancestors().nth(3).expect("it lies in a target dir");
        let python = python.join("lightsail/bin/python");
        if !python.exists() {
            let required =
                std::env::var("JADA_TEST_LIGHTSAIL").is_ok_and(|value| value == "required");
            assert!(!required, "there is no {}", python.display());
            eprintln!("there is no {}: this test is left out", python.display());
            return None;
        }
        let mut process = Command::new(&python)
            .arg(script())
            .args(["serve", KEY, SECRET, REGION])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        let stdout = process.stdout.as_mut().expect("the output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Some(Self { process, port, python })
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// The host and port that a credential must name to be shown to it.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sets what it knows; answers with the operations that were called, and with what was wrong with them.
    pub(crate) fn control(&self, wish: &Json) -> (Vec<String>, Vec<String>) {
        let body = wish.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let head = format!(
            "POST /control HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let told: Json = serde_json::from_str(body).expect("JSON");
        let list = |name: &str| -> Vec<String> {
            let items = told[name].as_array().expect("a list").iter();
            items.map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
        };
        (list("calls"), list("complaints"))
    }

    /// Whether Amazon's own client understands it, and is refused with another secret.
    pub(crate) fn is_understood(&self) -> Result<(), String> {
        let ran = Command::new(&self.python)
            .arg(script())
            .args(["check", &self.port.to_string(), KEY, SECRET, REGION])
            .output()
            .expect("Python starts");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        if ran.status.success() { Ok(()) } else { Err(said) }
    }
}

impl Drop for Lightsail {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// An instance that is well; `access` is what leads into it.
pub(crate) fn instance(access: &Json) -> Json {
    json!({
        "state": "running",
        "metrics": {
            "CPUUtilization": [[600, 90.0], [60, 12.5], [300, 40.0]],
            "BurstCapacityPercentage": [[60, 98.0]],
            "NetworkIn": [[60, 1_048_576.0]],
            "StatusCheckFailed": [[60, 0.0]],
        },
        "access": access,
    })
}
