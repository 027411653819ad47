//! Certificates of every kind, shown by a real server.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::super::tests::Bench;
use super::*;

/// `openssl s_server`, as long as the test lasts.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _collected = self.child.wait();
    }
}

impl Server {
    fn start(dir: &Path, name: &str, more: &[&str]) -> Self {
        // Free a moment ago; should somebody take it meanwhile, the server says so and the test fails.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("openssl");
        command.current_dir(dir).args(["s_server", "-accept", &format!("127.0.0.1:{port}")]);
        command.args(["-cert", &format!("{name}.pem"), "-key", "key.pem"]).args(more);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut lines = out.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("ACCEPT")), "the server did not start");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }
}

fn openssl(dir: &Path, arguments: &str) {
    let made =
        Command::new("openssl").current_dir(dir).args(arguments.split(' ')).output().unwrap();
    assert!(made.status.success(), "{arguments}: {}", String::from_utf8_lossy(&made.stderr));
}

/// Certificates of an authority of our own: with `names`, from `from` to `until`.
fn certificates(dir: &Path) {
    std::fs::write(
        dir.join("ca.conf"),
        "[ca]\ndefault_ca = us\n[us]\ndir = .\nnew_certs_dir = .\ndatabase = index\nserial = serial\n\
         default_md = sha256\npolicy = any\ncopy_extensions = copy\nunique_subject = no\n\
         [any]\ncommonName = supplied\n",
    )
    .unwrap();
    std::fs::write(dir.join("index"), "").unwrap();
    std::fs::write(dir.join("serial"), "01\n").unwrap();
    openssl(dir, "ecparam -name prime256v1 -genkey -noout -out key.pem");
    openssl(
        dir,
        "req -x509 -new -key key.pem -out ca.pem -days 3650 -subj /CN=JadaTest \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
    );
    let day = |days: i64| {
        let at = crate::clock::SystemClock.now() + jiff::SignedDuration::from_hours(days * 24);
        at.strftime("%Y%m%d%H%M%SZ").to_string()
    };
    for (name, san, from, until) in [
        ("good", "DNS:localhost,IP:127.0.0.1,DNS:*.x.test", -1, 200),
        ("soon", "DNS:localhost,IP:127.0.0.1", -1, 8),
        ("late", "DNS:localhost,IP:127.0.0.1", -1, 2),
        ("expired", "DNS:localhost,IP:127.0.0.1", -90, -1),
        ("early", "DNS:localhost,IP:127.0.0.1", 1, 90),
        ("other", "DNS:other.test", -1, 200),
    ] {
        openssl(
            dir,
            &format!(
                "req -new -key key.pem -out {name}.csr -subj /CN={name} \
                 -addext subjectAltName={san}"
            ),
        );
        openssl(
            dir,
            &format!(
                "ca -batch -config ca.conf -cert ca.pem -keyfile key.pem -in {name}.csr \
                 -out {name}.pem -startdate {} -enddate {}",
                day(from),
                day(until)
            ),
        );
    }
    openssl(
        dir,
        "req -x509 -new -key key.pem -out self.pem -days 90 -subj /CN=self \
         -addext subjectAltName=IP:127.0.0.1",
    );
}

#[tokio::test]
async fn each_certificate_has_its_verdict_and_its_fault() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("no openssl is installed: this test is left out");
        return;
    }
    let bench = Bench::new();
    let dir = bench.dir.path();
    certificates(dir);
    for (name, rest, line, look) in [
        ("good", "", "ok valid true, left 20", "ok -"),
        (
            "good",
            ", expect: { days: '> 100', issuer: 'CN=JadaTest', subject: 'CN=good', \
             names: { contains: '*.x.test' }, latency: '< 1m' }",
            "ok valid true",
            "ok -",
        ),
        (
            "good",
            ", expect: { days: '> 300' }",
            "fail days 199, expected > 300",
            "fail tls.expired",
        ),
        ("soon", "", "warn left 8d, expected >= 14d", "warn tls.expired"),
        ("soon", ", warn: { left: '> 5d' }", "ok valid true", "ok -"),
        ("late", "", "fail left 2d, expected >= 3d", "fail tls.expired"),
        ("expired", "", "fail the certificate has expired; left 0ms, ", "fail tls.expired"),
        ("early", "", "fail the certificate is not valid yet", "fail tls.expired"),
        ("other", "", "fail the certificate is not for 127.0.0.1", "fail tls.name"),
        ("other", "NAME", "ok valid true", "ok -"),
        (
            "self",
            "",
            "fail the certificate is signed by itself, and nobody whom we trust vouches for it",
            "fail tls.untrusted",
        ),
        ("self", ", expect: { valid: false }", "ok valid false, left 90d", "ok -"),
        (
            "expired",
            ", expect: { valid: true }",
            "fail left 0ms, expected >= 3d; valid false, expected true",
            "fail tls.expired",
        ),
    ] {
        let server = Server::start(dir, name, &[]);
        let (rest, server_name) = match rest {
            "NAME" => ("", ", server_name: other.test"),
            rest => (rest, ""),
        };
        let address = format!("127.0.0.1:{}", server.port);
        let check = format!("tls: {{ address: '{address}', ca: ca.pem{server_name} }}{rest}");
        let told = bench.line(&check).await;
        assert!(told.starts_with(line), "{name} {rest}: {told}");
        assert_eq!(bench.look(&check).await, format!("site/127.0.0.1 {look}"), "{name} {rest}");
    }
    // The system's authorities have never heard of ours.
    let server = Server::start(dir, "good", &["-tls1_2"]);
    let look = bench.look(&format!("tls: {{ address: '127.0.0.1:{}' }}", server.port)).await;
    assert!(
        look.ends_with("fail tls.untrusted") || look.ends_with("unknown configuration"),
        "{look}"
    );
}

#[tokio::test]
async fn who_speaks_no_tls_is_down() {
    let bench = Bench::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = b"HTTP/1.0 400 Bad Request\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        }
    });
    let line = bench.line(&format!("tls: {{ address: '{at}' }}")).await;
    server.abort();
    assert!(line.starts_with(&format!("fail no handshake with {at}: ")), "{line}");
    bench.file("empty.pem", "");
    for (ca, expected) in [
        ("empty.pem", "empty.pem: there is no certificate in it"),
        ("gone.pem", "gone.pem: No such file or directory (os error 2)"),
    ] {
        let check = format!("tls: {{ address: '{at}', ca: {ca} }}");
        let line = bench.line(&check).await;
        assert!(line.starts_with("unknown ") && line.ends_with(expected), "{line}");
        assert_eq!(bench.look(&check).await, "site/127.0.0.1 unknown configuration");
    }
}

proptest::proptest! {
    /// A server may show anything.
    #[test]
    fn any_certificate_can_be_looked_at(
        at in 0_usize..600,
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..8),
    ) {
        let pem = include_str!("../../../../tests/keys/postgres-server.pem");
        let parsed = <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::
            from_pem_slice(pem.as_bytes()).unwrap();
        let mut der = parsed.to_vec();
        let at = at.min(der.len());
        let end = (at + bytes.len()).min(der.len());
        der.splice(at..end, bytes);
        measured(&der, true, "2026-11-25T12:00:00Z".parse().unwrap());
    }
}
