//! The signals that a daemon heeds.
//!
//! Owns the phases of a stop. Refuses to know what has to be taken down.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::systemd;
use crate::clock::Clock;
use crate::engine::Handle;
use crate::engine::dispatch::Drain;
use crate::kinds::Leaving;

/// Time that attempts under way have to end by themselves once the daemon is told to stop. Below the 90 s
/// that systemd waits, with the jobs' own grace on top.
const DRAIN: Duration = Duration::from_secs(20);

/// TERM and INT stop in order, a second one at once; HUP reads the jobs folder again.
pub(super) async fn heed(
    engine: Handle,
    (drain, leaving): (watch::Sender<Drain>, Leaving),
    clock: Arc<dyn Clock>,
) {
    let streams = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    );
    let (Ok(mut term), Ok(mut int), Ok(mut hup)) = streams else {
        tracing::error!("signals can't be heard: only SIGKILL stops this daemon");
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => read_again(&engine).await,
        }
    }
    leaving.begin();
    systemd::tell(&[NotifyState::Stopping]);
    let running = engine.view().running;
    tracing::info!(running, "stopping: nothing starts any more (a second signal stops at once)");
    drain.send_replace(Drain::Gently);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = clock.sleep(DRAIN) => {}
    }
    drain.send_replace(Drain::Now);
    // The engine's own end ends this task too.
    std::future::pending::<()>().await;
}

async fn read_again(engine: &Handle) {
    systemd::reloading();
    if engine.reload().await.is_err() {
        tracing::warn!("not reloaded: the daemon is stopping");
    }
    systemd::tell(&[NotifyState::Ready]);
}
