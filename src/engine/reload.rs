//! Keeps the catalog in step with `jobs.d`.
//!
//! Owns the watch on the folder and the settling of bursts. An event says only "look again": what is in
//! force is decided by reading the folder whole. Owns too when accepted files are copied. Refuses to know what a job file says (`spec/`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, oneshot, watch};

use super::Request;
use crate::clock::Clock;
use crate::spec::{Catalog, Kept};

/// Editors save in several steps, and a copy of many files takes a moment: wait for the end of it.
const SETTLE: Duration = Duration::from_millis(150);

/// A burst that does not end is cut into looks of this many settles.
const SETTLES_MAX: u32 = 4;

/// Time between looks while the system can't tell of changes.
const UNTOLD: Duration = Duration::from_secs(10);

/// Reads the folder, given the catalog in force.
pub type Load = Arc<dyn Fn(&Catalog) -> Catalog + Send + Sync>;

/// See the module's words.
pub struct Reloader {
    dir: PathBuf,
    load: Load,
    clock: Arc<dyn Clock>,
    /// The engine's loop.
    engine: mpsc::Sender<Request>,
    watch: Watch,
    tell: mpsc::Sender<()>,
    events: mpsc::Receiver<()>,
}

impl Reloader {
    /// Watches the folder from now on: whoever reads it after this misses nothing.
    #[must_use]
    pub fn on(
        dir: PathBuf,
        load: Load,
        clock: Arc<dyn Clock>,
        engine: mpsc::Sender<Request>,
    ) -> Self {
        // One waiting event is enough, since it carries nothing.
        let (tell, events) = mpsc::channel(1);
        let watch = Watch::on(&dir, tell.clone(), None);
        Self { dir, load, clock, engine, watch, tell, events }
    }

    /// Looks again whenever the folder changes or somebody asks, until the engine is gone. `in_force` begins
    /// with the catalog of the start, and shows each one that is put into force after it.
    pub async fn run(
        mut self,
        in_force: watch::Sender<Arc<Catalog>>,
        mut asked: mpsc::Receiver<oneshot::Sender<()>>,
    ) {
        let mut catalog = in_force.borrow().clone();
        loop {
            let (mut answers, mut untold) = (Vec::new(), false);
            tokio::select! {
                Some(()) = self.events.recv() => {}
                answer = asked.recv() => match answer {
                    Some(answer) => answers.push(answer),
                    None => return,
                },
                () = self.clock.sleep(UNTOLD), if self.watch.is_deaf() => untold = true,
            }
            if answers.is_empty() && !untold {
                self.settle().await;
            }
            while let Ok(answer) = asked.try_recv() {
                answers.push(answer);
            }
            // The folder may have gone and come back, and then the watch on it is dead.
            self.watch = Watch::on(&self.dir, self.tell.clone(), Some(&self.watch));
            let (load, before) = (Arc::clone(&self.load), Arc::clone(&catalog));
            match tokio::task::spawn_blocking(move || load(&before)).await {
                Ok(loaded) if untold && loaded.is_as(&catalog) => continue,
                Ok(loaded) => catalog = Arc::new(loaded),
                Err(error) => tracing::error!(%error, "reading the jobs folder failed: a bug"),
            }
            tell_bad_files(&catalog);
            let (answer, installed) = oneshot::channel();
            answers.push(answer);
            let install = Request::Install(Arc::clone(&catalog), answers);
            if self.engine.send(install).await.is_err() || installed.await.is_err() {
                return;
            }
            in_force.send_replace(Arc::clone(&catalog));
            tracing::info!(jobs = catalog.jobs.len(), "jobs in force");
        }
    }

    async fn settle(&mut self) {
        for _ in 0..SETTLES_MAX {
            self.clock.sleep(SETTLE).await;
            let mut more = false;
            while self.events.try_recv().is_ok() {
                more = true;
            }
            if !more {
                return;
            }
        }
    }
}

/// Keeps the copies of accepted files (see [`Kept`]) in step with the catalog, behind the back of those who
/// wait for it: a copy is needed by the next start only.
pub async fn keep(kept: Kept, mut in_force: watch::Receiver<Arc<Catalog>>) {
    loop {
        let (kept, catalog) = (kept.clone(), in_force.borrow_and_update().clone());
        match tokio::task::spawn_blocking(move || kept.keep(&catalog)).await {
            Ok(Ok(())) => tracing::debug!("the accepted job files are copied"),
            Ok(Err(error)) => tracing::warn!(
                %error, "not every job file could be copied: one that turns bad before the next start will \
                 not run after it"
            ),
            Err(error) => tracing::error!(%error, "copying the job files failed: a bug"),
        }
        if in_force.changed().await.is_err() {
            return;
        }
    }
}

/// Logs each file that is not in force as it stands, and what becomes of its jobs.
pub fn tell_bad_files(catalog: &Catalog) {
    for file in catalog.bad_files() {
        let (path, kept) = (file.path.display(), file.jobs.len());
        if kept == 0 {
            tracing::error!(file = %path, "has errors and nothing of it runs: run jadactl validate");
        } else {
            tracing::error!(
                file = %path, kept, "has errors; the last good version runs on: run jadactl validate"
            );
        }
    }
}

/// A watch on the folder, on its parent, where the folder's own coming and going shows, and on where links in
/// it lead to, since an edit there does not show in the folder.
struct Watch {
    /// Held for its life only: it stops when it is dropped.
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Says it where this can't be, unless the one before could not either.
    fn on(dir: &Path, tell: mpsc::Sender<()>, before: Option<&Self>) -> Self {
        // Events carry absolute paths, whatever the watch was asked for with.
        let target = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
        let linked = linked(dir);
        let beside: BTreeSet<_> = linked.iter().filter_map(|file| file.parent()).collect();
        let beside: Vec<PathBuf> = beside.into_iter().map(Path::to_path_buf).collect();
        let heard = move |event: notify::Result<notify::Event>| {
            let relevant = event.as_ref().map_or(true, |event| concerns(event, &target, &linked));
            if relevant {
                let _one_waits_already = tell.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(heard).and_then(|mut watcher| {
            if let Some(parent) = dir.parent() {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                watcher.watch(parent, RecursiveMode::NonRecursive)?;
            }
            if dir.is_dir() {
                watcher.watch(dir, RecursiveMode::NonRecursive)?;
            }
            for folder in &beside {
                watcher.watch(folder, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        match watcher {
            Ok(watcher) => Self { watcher: Some(watcher) },
            Err(error) => {
                if before.is_none_or(|before| !before.is_deaf()) {
                    tracing::warn!(
                        %error, dir = %dir.display(),
                        "can't watch the jobs folder: it is read every {} s instead",
                        UNTOLD.as_secs()
                    );
                }
                Self { watcher: None }
            }
        }
    }

    /// Whether changes are not told.
    fn is_deaf(&self) -> bool {
        self.watcher.is_none()
    }
}

/// Where the links in the folder lead to.
fn linked(dir: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    links.filter_map(|link| link.path().canonicalize().ok()).collect()
}

/// Whether an event is about the folder, something in it or something that a link in it leads to. Reading
/// it is no change; without this, each look would cause the next one.
fn concerns(event: &notify::Event, dir: &Path, linked: &BTreeSet<PathBuf>) -> bool {
    let changes = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    };
    let inside = |path: &PathBuf| {
        path.starts_with(dir) || path.file_name() == dir.file_name() || linked.contains(path)
    };
    changes && (event.paths.is_empty() || event.paths.iter().any(inside))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind};

    use super::*;

    #[test]
    fn only_changes_of_the_folder_count() {
        let dir = Path::new("box/jobs.d");
        let linked = BTreeSet::from([PathBuf::from("shelf/b.yaml")]);
        let cases = [
            (EventKind::Create(CreateKind::File), "box/jobs.d/a.yaml", true),
            (EventKind::Modify(ModifyKind::Any), "box/jobs.d", true),
            (EventKind::Modify(ModifyKind::Any), "box/notes.txt", false),
            (EventKind::Modify(ModifyKind::Any), "shelf/b.yaml", true),
            (EventKind::Modify(ModifyKind::Any), "shelf/c.yaml", false),
            (EventKind::Access(AccessKind::Read), "box/jobs.d/a.yaml", false),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), "box/jobs.d", false),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), "box/jobs.d/a.yaml", true),
        ];
        for (kind, path, want) in cases {
            let event = notify::Event::new(kind).add_path(PathBuf::from(path));
            assert_eq!(concerns(&event, dir, &linked), want, "{kind:?} {path}");
        }
    }
}
