//! The daemon's door: an HTTP API on a unix socket, and a read-only page on loopback.
//!
//! Owns who may ask what, the wire types, both ends of the wire, and the status page. Refuses to
//! decide or change anything itself: orders go to the engine's handle, answers come from stored rows.
//!
//! ```text
//!  jadactl ── client ──▶ DATA_DIR/jada.sock   (0600: the daemon's own user)   reads and orders
//!  browser, probes ────▶ 127.0.0.1:PORT       (anybody on this machine)       reads, without output
//! ```
//!
//! The socket needs no password, since the file system guards it. Over loopback every local user may
//! come, and a web page in a browser might try to (DNS rebinding): so nothing there changes anything,
//! what jobs print is not given out, and the `Host` header must be one of ours.

mod answers;
pub mod api;
mod checks;
pub mod client;
mod explain;
mod listen;
mod metrics;
mod output;
mod page;
mod rows;
mod server;
pub mod telling;
mod under_way;
pub mod words;

pub use metrics::is_undelivered;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::alerts::desk::Desk;
use crate::clock::Clock;
use crate::engine::Handle;
use crate::kinds::output::Outputs;
use crate::store::Store;

/// Time that connections have to finish once the daemon stops.
const GRACE: Duration = Duration::from_secs(3);

/// What the server stands on.
pub struct Parts {
    /// Where answers come from.
    pub store: Arc<dyn Store>,
    /// Where orders go.
    pub engine: Handle,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where orders about the outbox go.
    pub desk: Desk,
    /// What attempts print.
    pub outputs: Outputs,
    /// The socket, `DATA_DIR/jada.sock`.
    pub socket: PathBuf,
    /// The loopback address of page and probes, if they are wanted.
    pub listen: Option<SocketAddr>,
}

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel takes no longer path for a socket.
    #[error(
        "the socket path {path} has {length} bytes, and the system allows {max}: \
         name a shorter --data-dir"
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its bytes.
        length: usize,
        /// The most that may be.
        max: usize,
    },
    /// Another daemon answers there.
    #[error(
        "another daemon answers on {0}: stop it first, or name another --data-dir for this one"
    )]
    InUse(PathBuf),
    /// Something else lies at the path.
    #[error("{0} exists and is no socket: move it away, or name another --data-dir")]
    NotASocket(PathBuf),
    /// The socket can't be made.
    #[error("can't listen on {path}")]
    Socket {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address can't be had.
    #[error("can't listen on {address}: is another program there? name a free one with --listen")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A server that has its socket and address, but does not answer yet.
pub struct Server {
    app: Arc<answers::App>,
    socket: PathBuf,
    /// Which file the socket is, so that at the end no other daemon's goes.
    file: Option<(u64, u64)>,
    unix: UnixListener,
    tcp: Option<TcpListener>,
}

impl Server {
    /// Takes the socket and the address, so that what is wrong with them is told before the daemon
    /// says that it is ready.
    ///
    /// # Errors
    /// [`Error`] names the path or address and the way out.
    pub async fn bind(parts: Parts) -> Result<Self, Error> {
        let unix = listen::socket(&parts.socket).await?;
        let file = listen::file(&parts.socket);
        let tcp = match parts.listen {
            Some(address) => Some(listen::address(address).await?),
            None => None,
        };
        let app = answers::App {
            store: parts.store,
            engine: parts.engine,
            clock: parts.clock,
            desk: parts.desk,
            outputs: parts.outputs,
            stop: CancellationToken::new(),
        };
        Ok(Self { app: Arc::new(app), socket: parts.socket, file, unix, tcp })
    }

    /// The address that page and probes have, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|tcp| tcp.local_addr().ok())
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Answers until `shutdown` is cancelled. Streams end then, other answers have a moment to finish,
    /// and the socket's file goes.
    pub async fn serve(self, shutdown: CancellationToken) {
        let Self { app, socket, file, unix, tcp } = self;
        let clock = app.clock.clone();
        let stop = app.stop.clone();
        let unix = server::serve(unix, server::everything(app.clone()), stop.clone());
        let page = async {
            if let Some(tcp) = tcp {
                let router = server::read_only(app, tcp.local_addr().ok());
                server::serve(tcp, router, stop.clone()).await;
            }
        };
        let both = async { tokio::join!(unix, page) };
        let ended = async {
            shutdown.cancelled().await;
            stop.cancel();
            clock.sleep(GRACE).await;
        };
        tokio::select! {
            _ = both => {}
            () = ended => {}
        }
        // Best effort: a socket that stays behind is replaced at the next start.
        if listen::file(&socket) == file {
            let _removed = std::fs::remove_file(&socket);
        }
    }
}
