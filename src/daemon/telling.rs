//! The wiring of the outbox: who takes orders about it, and who delivers it.
//!
//! Owns what both stand on. Refuses to know what they do.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::alerts::deliver::{Deliverer, Parts};
use crate::alerts::desk::Desk;
use crate::alerts::send::Ways;
use crate::clock::Clock;
use crate::credentials::keeper::Keeper;
use crate::credentials::providers::World;
use crate::credentials::redact::Redactor;
use crate::engine::Handle;
use crate::model::Progress;
use crate::spec::Settings;
use crate::store::Store;

/// Who takes orders about the outbox.
pub(super) fn desk(settings: &Settings, store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Desk {
    Desk {
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        alerts: Arc::clone(&settings.alerts),
        bell: Arc::new(Notify::new()),
    }
}

/// The ways to tell people.
pub(super) fn ways(
    desk: &Desk,
    (data, keeper, redactor): (&Path, &Arc<Keeper>, Arc<Redactor>),
) -> Ways {
    Ways {
        alerts: Arc::clone(&desk.alerts),
        data: data.to_owned(),
        keeper: Some(Arc::clone(keeper)),
        world: World::new(Arc::clone(&desk.clock)),
        redactor,
    }
}

/// Starts who delivers it, until the daemon stops; how far they are is shown.
pub(super) fn start(
    desk: &Desk,
    ways: Ways,
    shutdown: &CancellationToken,
) -> (JoinHandle<()>, watch::Receiver<Progress>) {
    let (progress, shown) = watch::channel(Progress::Waiting { until: None });
    let deliverer = Deliverer::new(Parts {
        store: Arc::clone(&desk.store),
        ways,
        bell: Arc::clone(&desk.bell),
        progress,
    });
    (tokio::spawn(deliverer.run(shutdown.clone())), shown)
}

/// Rings the bell whenever the scheduler has written something: an incident may be in it.
pub(super) async fn ring(engine: Handle, bell: Arc<Notify>) {
    loop {
        let seen = engine.view().changes;
        bell.notify_one();
        engine.changed(seen).await;
    }
}
