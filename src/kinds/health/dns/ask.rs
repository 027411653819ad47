//! A question on its way to name servers and back.
//!
//! Owns the datagrams, the connection where an answer is too large for one, and when the next server is asked.
//! Refuses to take a datagram for an answer that is none to this question: anybody can send one.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, TYPE, header_buffer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use crate::clock::{Clock, within};
use crate::kinds::wire::fault;
use crate::model::Fault;

/// How long a server may take before the next one is asked, and how often each is asked.
const PATIENCE: Duration = Duration::from_secs(3);
const ROUNDS: usize = 2;

/// Largest datagram that is taken.
const DATAGRAM: usize = 4096;

/// An answer that fits the question.
#[derive(Debug)]
pub(super) struct Answer {
    /// Who answered.
    pub(super) server: SocketAddr,
    /// What, not yet read as a whole.
    pub(super) bytes: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Silence {
    /// In words.
    pub(super) words: String,
    /// What is wrong.
    pub(super) fault: Fault,
}

/// Asks one server after the other, and each once more, until one answers.
pub(super) async fn all(
    servers: &[SocketAddr],
    (name, kind): (&str, TYPE),
    clock: &dyn Clock,
) -> Result<Answer, Silence> {
    let mut last = None;
    for _ in 0..ROUNDS {
        for server in servers {
            let asked = within(clock, PATIENCE, one(*server, name, kind)).await;
            last = Some(match asked {
                Some(Ok(bytes)) => return Ok(Answer { server: *server, bytes }),
                Some(Err(silence)) => silence,
                None => {
                    Silence { words: format!("no answer from {server}"), fault: Fault::NameTimeout }
                }
            });
        }
    }
    Err(last.unwrap_or(Silence {
        words: "there is no name server to ask".to_owned(),
        fault: Fault::Configuration,
    }))
}

async fn one(server: SocketAddr, name: &str, kind: TYPE) -> Result<Vec<u8>, Silence> {
    let lost = |error: std::io::Error| {
        let known = fault::of_io(&error).filter(|fault| *fault != Fault::NetTimeout);
        Silence {
            words: format!("can't ask {server}: {error}"),
            fault: known.unwrap_or(Fault::NameTimeout),
        }
    };
    let (id, query) = query(name, kind)?;
    let bytes = datagram(server, id, &query).await.map_err(lost)?;
    if header_buffer::has_flags(&bytes, PacketFlag::TRUNCATION).unwrap_or(false) {
        let whole = connection(server, &query).await.map_err(lost)?;
        return if fits(&whole, id) { Ok(whole) } else { Err(unfit(server)) };
    }
    Ok(bytes)
}

fn unfit(server: SocketAddr) -> Silence {
    let words = format!("{server} answered something else than was asked");
    Silence { words, fault: Fault::BadAnswer }
}

/// A question and its number, which nobody can guess.
fn query(name: &str, kind: TYPE) -> Result<(u16, Vec<u8>), Silence> {
    let trouble = |words: String| Silence { words, fault: Fault::Configuration };
    let mut id = [0; 2];
    let random = SystemRandom::new().fill(&mut id);
    random.map_err(|_| trouble("the system gives no random numbers".to_owned()))?;
    let id = u16::from_be_bytes(id);
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let labels = Name::new(name).map_err(|_| trouble(format!("`{name}` is no name")))?;
    packet.questions.push(Question::new(labels, kind.into(), CLASS::IN.into(), false));
    let bytes = packet.build_bytes_vec();
    Ok((id, bytes.map_err(|error| trouble(format!("can't ask for {name}: {error}")))?))
}

/// Whether bytes are an answer to the question of this number.
fn fits(bytes: &[u8], id: u16) -> bool {
    header_buffer::id(bytes) == Ok(id)
        && header_buffer::has_flags(bytes, PacketFlag::RESPONSE).unwrap_or(false)
}

/// Sends a question and waits for its answer, whatever else comes meanwhile.
async fn datagram(server: SocketAddr, id: u16, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut bytes = vec![0; DATAGRAM];
    loop {
        let length = socket.recv(&mut bytes).await?;
        if fits(&bytes[..length], id) {
            bytes.truncate(length);
            return Ok(bytes);
        }
    }
}

/// The same over a connection.
async fn connection(server: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(std::io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).await?;
    let mut bytes = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

#[cfg(test)]
pub(super) fn tests_query() -> (u16, Vec<u8>) {
    query("good.test", TYPE::A).expect("it is a name")
}
