//! Questions to a name server of our own, that answers as badly as any.

use std::net::SocketAddr;

use simple_dns::rdata::{A, RData, TXT};
use simple_dns::{CLASS, PacketFlag, ResourceRecord};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

use super::super::tests::Bench;
use super::*;

/// A name server on loopback, over datagrams and connections of one port.
struct NameServer {
    at: SocketAddr,
    tasks: [AbortHandle; 2],
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl NameServer {
    async fn start() -> Self {
        let stream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = stream.local_addr().unwrap();
        let socket = UdpSocket::bind(at).await.unwrap();
        let datagrams = tokio::spawn(async move {
            let mut bytes = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                for answer in answers(&bytes[..length], false) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        let connections = tokio::spawn(async move {
            while let Ok((mut stream, _)) = stream.accept().await {
                let mut bytes = vec![0; stream.read_u16().await.unwrap().into()];
                stream.read_exact(&mut bytes).await.unwrap();
                for answer in answers(&bytes, true) {
                    stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            }
        });
        Self { at, tasks: [datagrams.abort_handle(), connections.abort_handle()] }
    }
}

/// What is sent back: the name says how bad it shall be.
fn answers(query: &[u8], is_whole: bool) -> Vec<Vec<u8>> {
    let query = Packet::parse(query).unwrap();
    let name = query.questions[0].qname.to_string();
    let mut reply = query.clone().into_reply();
    reply.set_flags(PacketFlag::RESPONSE);
    let record =
        |ttl, data| ResourceRecord::new(Name::new("good.test").unwrap(), CLASS::IN, ttl, data);
    let address = |last| RData::A(A { address: u32::from(Ipv4Addr::new(192, 0, 2, last)) });
    match name.as_str() {
        "good.test" => reply.answers.extend([record(300, address(2)), record(60, address(1))]),
        "text.test" => {
            let text = TXT::new().with_string("v=spf1 -all").unwrap();
            reply.answers.push(record(60, RData::TXT(text)));
        }
        "4.3.2.192.in-addr.arpa" => {
            let data = RData::PTR(Name::new("Host.Example").unwrap().into());
            reply.answers.push(record(60, data));
        }
        "gone.test" => *reply.rcode_mut() = RCODE::NameError,
        "broken.test" => *reply.rcode_mut() = RCODE::ServerFailure,
        "large.test" if is_whole => reply.answers.extend((0..200).map(|n| record(60, address(n)))),
        "large.test" => reply.set_flags(PacketFlag::TRUNCATION),
        "empty.test" => {}
        "silent.test" => return Vec::new(),
        "garbage.test" => {
            // What fits nothing comes first, then an answer that breaks off in its middle.
            let mut broken = reply.build_bytes_vec().unwrap();
            broken[7] = 9;
            let foreign = [&[!broken[0]][..], &broken[1..]].concat();
            return vec![vec![], vec![0xff; 700], foreign, broken];
        }
        "other.test" => {
            reply.questions[0].qname = Name::new("good.test").unwrap();
            return vec![reply.build_bytes_vec().unwrap()];
        }
        name => panic!("nobody asks for {name}"),
    }
    vec![reply.build_bytes_vec().unwrap()]
}

#[tokio::test]
async fn each_answer_has_its_verdict_and_its_fault() {
    let (bench, server) = (Bench::new(), NameServer::start().await);
    let at = server.at;
    for (name, rest, expected, look) in [
        ("good.test", "", "ok count 2, latency ", "site/127.0.0.1 ok -"),
        (
            "good.test.",
            ", expect: { answers: { contains: 192.0.2.1 }, count: '>= 2', ttl: '>= 1m' }",
            "ok count 2",
            "site/127.0.0.1 ok -",
        ),
        (
            "good.test",
            ", expect: { answers: '192.0.2.2' }",
            "fail answers \"192.0.2.1, 192.0.2.2\", expected \"192.0.2.2\"",
            "site/good.test fail threshold",
        ),
        ("large.test", ", expect: { count: 200 }", "ok count 200, latency ", "site/127.0.0.1 ok -"),
        ("gone.test", "", "fail there is no name gone.test", "site/gone.test fail dns.nxdomain"),
        ("gone.test", ", expect: { count: 0 }", "ok count 0, latency ", "site/127.0.0.1 ok -"),
        ("empty.test", "", "fail empty.test has no A record", "site/empty.test fail dns.nxdomain"),
        (
            "broken.test",
            "",
            "fail 127.0.0.1:PORT answered ServerFailure for broken.test",
            "site/127.0.0.1 fail dns.servfail",
        ),
        (
            "garbage.test",
            "",
            "fail the answer of 127.0.0.1:PORT can't be read",
            "site/127.0.0.1 fail http.answer",
        ),
        (
            "other.test",
            "",
            "fail 127.0.0.1:PORT answered another question than that for other.test",
            "site/127.0.0.1 fail http.answer",
        ),
        (
            "silent.test",
            ", timeout: 200ms",
            "fail no answer within 200ms",
            "site/127.0.0.1 fail dns.timeout",
        ),
    ] {
        let check = format!("dns: {{ name: {name}, server: '{at}' }}{rest}");
        let line = bench.line(&check).await.replace(&at.port().to_string(), "PORT");
        assert!(line.starts_with(expected), "{check}: {line}");
        assert_eq!(bench.look(&check).await, look, "{check}");
    }
    for (check, expected) in [
        ("name: text.test, type: TXT", "answers \"v=spf1 -all\", expected \"x\""),
        ("name: 192.2.3.4, type: PTR", "answers \"host.example\", expected \"x\""),
    ] {
        let check = format!("dns: {{ {check}, server: '{at}' }}, expect: {{ answers: x }}");
        let line = bench.line(&check).await;
        assert!(line.contains(expected), "{check}: {line}");
    }
}

#[tokio::test]
async fn nobody_at_the_port_is_told_as_such() {
    let bench = Bench::new();
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let look = bench.look(&format!("dns: {{ name: x.test, server: '{closed}' }}")).await;
    assert_eq!(look, "site/127.0.0.1 fail net.refused");
}

#[test]
fn the_host_says_whom_it_asks() {
    let shown = |text: &str| {
        let servers: Vec<String> = of_host(text).iter().map(ToString::to_string).collect();
        servers.join(" ")
    };
    for (text, expected) in [
        ("", "127.0.0.1:53"),
        ("# x\nsearch a b\nnameserver 192.0.2.1\n nameserver  ::1 \n", "192.0.2.1:53 [::1]:53"),
        ("nameserver fe80::1%eth0\nnameserver x\n", "[fe80::1]:53"),
        (
            "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4",
            "10.0.0.1:53 10.0.0.2:53 10.0.0.3:53",
        ),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
    assert_eq!(reverse("192.0.2.1".parse().unwrap()), "1.2.0.192.in-addr.arpa");
    let long = reverse("2001:db8::1".parse().unwrap());
    assert!(long.starts_with("1.0.0.0.") && long.ends_with("8.b.d.0.1.0.0.2.ip6.arpa"), "{long}");
}

proptest::proptest! {
    /// A name server may send anything.
    #[test]
    fn any_answer_can_be_looked_at(
        tail in proptest::collection::vec(proptest::num::u8::ANY, 0..120),
        count in 0_u8..4,
    ) {
        let (_, mut bytes) = ask::tests_query();
        bytes[2] |= 0x80;
        bytes[7] = count;
        bytes.extend(tail);
        let server = "192.0.2.53:53".parse().unwrap();
        let answer = ask::Answer { server, bytes };
        let asked = Asked { name: "good.test", kind: RecordType::A, may_lack: true };
        asked.measure(&answer, Measured::time(std::time::Duration::ZERO));
    }
}
