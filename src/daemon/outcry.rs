//! A store that can't be written: nothing starts, no incident can be kept, and the outbox is fed by incidents.
//!
//! Owns the one message that goes past the outbox, so that a full disk is no silence. Refuses to be another
//! way of telling: it is said once to each notifier, and what follows is an incident again.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::alerts::message::{self, Message};
use crate::alerts::send::Ways;
use crate::alerts::settings::LAST_RESORT;
use crate::clock::Clock;
use crate::engine::Handle;

/// How long it must have lasted: a disk that is full for a moment is told by the incident that follows.
const PATIENCE: Duration = Duration::from_mins(2);

/// The wait before it is told again where nobody could be.
const AGAIN: Duration = Duration::from_mins(5);

/// Watches for as long as it is polled.
pub(super) async fn run(engine: Handle, ways: Ways, clock: Arc<dyn Clock>) {
    loop {
        let (trouble, since) = lasting(&engine, &*clock).await;
        let message = message::unkept(&trouble, since);
        while !tell(&ways, &message).await && !is_over(&engine, &*clock, AGAIN).await {}
        engine.shows(|view| view.store_trouble.is_none()).await;
    }
}

/// Waits for a trouble that has lasted.
async fn lasting(engine: &Handle, clock: &dyn Clock) -> (Arc<str>, Timestamp) {
    loop {
        engine.shows(|view| view.store_trouble.is_some()).await;
        let since = clock.now();
        if !is_over(engine, clock, PATIENCE).await
            && let Some(trouble) = engine.view().store_trouble.clone()
        {
            return (trouble, since);
        }
    }
}

/// Whether the store works again within a time.
async fn is_over(engine: &Handle, clock: &dyn Clock, time: Duration) -> bool {
    tokio::select! {
        () = engine.shows(|view| view.store_trouble.is_none()) => true,
        () = clock.sleep(time) => false,
    }
}

/// Tells everybody; where nobody can be told, the last resort. Says whether anybody was.
async fn tell(ways: &Ways, message: &Message) -> bool {
    let mut told = false;
    for name in &ways.alerts.notify {
        match ways.tell(name, message.clone()).await {
            Ok(_) => told = true,
            Err(failure) => {
                tracing::error!(notifier = %name, "can't tell of the store: {}", failure.words);
            }
        }
    }
    told || ways.tell(LAST_RESORT, message.clone()).await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::alerts::settings::{Alerts, Notifier, Program, Rate, Way};
    use crate::clock::SimClock;
    use crate::credentials::providers::World;
    use crate::credentials::redact::Redactor;
    use crate::engine::View;

    fn program(dir: &Path, script: &str) -> Program {
        let run = ["sh", "-c", script].map(str::to_owned).to_vec();
        Program { run, folder: dir.to_owned(), timeout: Duration::from_secs(9) }
    }

    /// Ways to a notifier that runs a script; who asks for the last resort gets `last`.
    fn ways(dir: &Path, clock: &Arc<dyn Clock>, script: &str) -> Ways {
        let way = Way::Command(program(dir, script));
        let one = Notifier { way, fallback: Vec::new(), rate: Rate::default() };
        let alerts = Alerts {
            notifiers: [(Arc::from("ops"), one)].into(),
            notify: vec!["ops".into()],
            last_resort: Some(program(dir, "cat > last")),
            ..Alerts::default()
        };
        Ways {
            alerts: Arc::new(alerts),
            data: dir.join("gone"),
            keeper: None,
            world: World::new(Arc::clone(clock)),
            redactor: Arc::new(Redactor::default()),
        }
    }

    #[tokio::test]
    async fn somebody_hears_of_it_although_nothing_can_be_written() {
        let clock: Arc<dyn Clock> = Arc::new(SimClock::at("2026-11-25T09:00:00Z".parse().unwrap()));
        let message = message::unkept("can't write the store: disk full", clock.now());
        for (script, heard) in [("cat > told", "told"), ("exit 1", "last")] {
            let dir = tempfile::tempdir().unwrap();
            assert!(tell(&ways(dir.path(), &clock, script), &message).await);
            let text = std::fs::read_to_string(dir.path().join(heard)).unwrap();
            let body: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&body["event"], &body["root"]), (&"opened".into(), &"daemon/store".into()));
            assert_eq!(body["fault"], "disk.full");
            assert_eq!(body["fix"], "jadactl doctor");
        }
    }

    #[tokio::test]
    async fn only_what_lasts_is_told() {
        let clock = Arc::new(SimClock::at("2026-11-25T09:00:00Z".parse().unwrap()));
        let (requests, _inbox) = mpsc::channel(1);
        let (show, shown) = watch::channel(Arc::new(View::default()));
        let engine = Handle::new(requests, shown);
        let ill = |why: Option<&str>| {
            let view = View { store_trouble: why.map(Arc::from), ..View::default() };
            show.send_replace(Arc::new(view));
        };
        ill(Some("disk full"));
        let waits = lasting(&engine, &*clock);
        tokio::pin!(waits);
        assert!(futures_util::poll!(&mut waits).is_pending());
        clock.advance(PATIENCE / 2);
        ill(None);
        assert!(futures_util::poll!(&mut waits).is_pending());
        ill(Some("still full"));
        assert!(futures_util::poll!(&mut waits).is_pending());
        clock.advance(PATIENCE * 3 / 4);
        assert!(futures_util::poll!(&mut waits).is_pending(), "it was well in between");
        let since = clock.now() - PATIENCE * 3 / 4;
        clock.advance(PATIENCE);
        assert_eq!(waits.await, ("still full".into(), since));
    }
}
