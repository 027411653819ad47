//! The daemon's looks at itself: when, and what is written of them.
//!
//! ```text
//!  a deadline, an event ─▶ look ─▶ Finding ─▶ another verdict than before? ─▶ one commit: what was seen,
//!                                              and the incident that opens or ends
//! ```
//!
//! Owns the deadlines and the commit. Refuses to judge (`checks`, `looks`). It does not go through the
//! scheduler's loop, since that is one of the things that it looks at; the keys of its incidents are its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::checks::{self, Check, Finding, LAG_MAX, LEAP_TOLD, Leap, Room};
use super::gate::{Marks, Moment};
use super::heartbeat::{Figures, Heart};
use super::looks::{self, CONFIRM, Suspects, Watched};
use crate::clock::{Clock, within};
use crate::engine::Handle;
use crate::kinds::Work;
use crate::kinds::post::Post;
use crate::model::{Advance, IncidentChange, JobName, Observation, Opening, Progress, Verdict};
use crate::plan::signature;
use crate::spec::Job;
use crate::store::{Batch, Change, Store};
use crate::web::is_undelivered;

/// The longest that the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The wait before something that could not be kept is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Tells what has passed, suspend included.
pub(super) type Awake = Arc<dyn Fn() -> Duration + Send + Sync>;

/// What the looks need.
pub(super) struct Parts {
    /// Durable truth.
    pub(super) store: Arc<dyn Store>,
    /// Time.
    pub(super) clock: Arc<dyn Clock>,
    /// The scheduler.
    pub(super) engine: Handle,
    /// How far its loop is.
    pub(super) advance: watch::Receiver<Advance>,
    /// The data folder.
    pub(super) data_dir: PathBuf,
    /// Who is told of what is found here.
    pub(super) notify: Vec<Arc<str>>,
    /// What has passed, suspend included: what the wall clock should have moved by.
    pub(super) awake: Awake,
    /// How far the outbox is.
    pub(super) delivering: watch::Receiver<Progress>,
    /// Where the heartbeat goes, and how often.
    pub(super) heart: Option<(Post, Duration)>,
    /// This node's name.
    pub(super) node: String,
}

/// See the module's words.
pub(in crate::daemon) struct Own {
    parts: Parts,
    /// What was found last, as far as it is kept.
    found: BTreeMap<Check, Finding>,
    /// The keys of its incidents that are open.
    open: BTreeSet<String>,
    /// Since when this wait of the scheduler's loop is over.
    overdue: Option<(Progress, Duration)>,
    trouble: Option<(Timestamp, Arc<str>)>,
    disk_at: Duration,
    /// Both clocks at the last look.
    read: (Timestamp, Duration),
    leapt: Option<(Leap, Duration)>,
    since: BTreeMap<JobName, Timestamp>,
    suspects: Suspects,
    /// Checks that nobody looks at.
    late: u64,
    heart: Option<Heart>,
    looks_at: Timestamp,
    /// Nothing is written before then: it failed.
    quiet_until: Duration,
}

impl Own {
    /// Looks that begin now.
    pub(super) fn new(mut parts: Parts) -> Self {
        let now = parts.clock.now();
        Self {
            heart: parts.heart.take().map(|(post, every)| Heart::new(post, every)),
            late: 0,
            read: (now, (parts.awake)()),
            parts,
            found: BTreeMap::new(),
            open: BTreeSet::new(),
            overdue: None,
            trouble: None,
            disk_at: Duration::ZERO,
            leapt: None,
            since: BTreeMap::new(),
            suspects: Suspects::default(),
            looks_at: now,
            quiet_until: Duration::ZERO,
        }
    }

    /// Looks for as long as it is polled.
    pub(in crate::daemon) async fn run(mut self) {
        while !self.remember().await {
            self.parts.clock.sleep(AGAIN).await;
        }
        loop {
            self.step().await;
            self.wait().await;
        }
    }

    async fn step(&mut self) {
        for finding in self.look().await {
            self.keep(finding).await;
        }
    }

    /// Learns which of its incidents an earlier daemon left open.
    async fn remember(&mut self) -> bool {
        let stored =
            within(self.parts.clock.as_ref(), PATIENCE, self.parts.store.incidents(false, 10_000));
        let Some(Ok(stored)) = stored.await else { return false };
        let keys = stored.into_iter().map(|incident| incident.key);
        self.open = keys.filter(|key| key.starts_with("daemon/")).collect();
        true
    }

    async fn look(&mut self) -> Vec<Finding> {
        let (wall, passed) = (self.parts.clock.now(), self.parts.clock.passed());
        let mut found = vec![self.lag(wall, passed), self.clock(wall, passed)];
        found.extend(self.store(wall));
        if passed >= self.disk_at {
            found.extend(self.disk(passed).await);
        }
        if wall >= self.looks_at {
            found.extend(self.looks(wall, passed).await);
        }
        if self.heart.as_ref().is_some_and(|heart| passed >= heart.at) {
            found.extend(self.beat(wall, passed).await);
        }
        found
    }

    async fn beat(&mut self, wall: Timestamp, passed: Duration) -> Option<Finding> {
        let view = self.parts.engine.view();
        let (clock, store) = (self.parts.clock.as_ref(), self.parts.store.as_ref());
        let open = within(clock, PATIENCE, store.incidents(false, 10_000)).await;
        let (open, silent) = match open {
            Some(Ok(open)) => (open.len() as u64, None),
            Some(Err(error)) => (0, Some(error.to_string())),
            None => (0, Some("it does not answer".to_owned())),
        };
        let trouble = view.store_trouble.as_deref().or(silent.as_deref());
        let waiting = within(clock, PATIENCE, store.notifications(false, 10_000)).await;
        let waiting = waiting.and_then(Result::ok).unwrap_or_default();
        let untold: Vec<Timestamp> =
            waiting.iter().filter(|row| is_undelivered(row)).map(|row| row.created_at).collect();
        let oldest = untold.iter().min().map(|at| wall.duration_since(*at).as_secs().max(0));
        let figures = Figures {
            node: self.parts.node.clone(),
            version: env!("CARGO_PKG_VERSION"),
            at: wall,
            started_at: view.started_at,
            open_incidents: open,
            late_checks: self.late,
            undelivered: untold.len() as u64,
            oldest_undelivered_seconds: oldest.map_or(0, i64::unsigned_abs),
        };
        let advance = *self.parts.advance.borrow();
        let marks = Marks { advance, outbox: super::progress(&self.parts.delivering) };
        let heart = self.heart.as_mut()?;
        Some(heart.beat(&marks, Moment { wall, passed }, (trouble, &figures)).await)
    }

    fn lag(&mut self, wall: Timestamp, passed: Duration) -> Finding {
        let dispatch = self.parts.advance.borrow_and_update().dispatch;
        let since = match dispatch {
            Progress::Waiting { until: Some(until) } if until < wall => {
                let seen = self.overdue.filter(|(earlier, _)| *earlier == dispatch);
                Some(seen.map_or(passed, |(_, since)| since))
            }
            Progress::Working { since } => Some(since),
            Progress::Waiting { .. } | Progress::Over => None,
        };
        self.overdue = since.map(|since| (dispatch, since));
        checks::lag(since.map(|since| passed.saturating_sub(since)))
    }

    fn clock(&mut self, wall: Timestamp, passed: Duration) -> Finding {
        let read = (wall, (self.parts.awake)());
        if let Some(leap) = checks::leap(self.read, read) {
            tracing::warn!(seconds = leap.by / 1000, "the wall clock was set");
            self.leapt = Some((leap, passed));
        }
        self.read = read;
        self.leapt = self.leapt.filter(|(_, at)| passed.saturating_sub(*at) < LEAP_TOLD);
        checks::clock(self.leapt.map(|(leap, _)| leap))
    }

    /// Nothing can be written of a store while it fails: it is told once that is over. What the log says
    /// meanwhile, and that the heartbeat stays away, is the engine's and the heartbeat's part.
    fn store(&mut self, wall: Timestamp) -> Option<Finding> {
        let trouble = self.parts.engine.view().store_trouble.clone();
        let Some(why) = trouble else {
            let (since, why) = self.trouble.as_ref()?;
            return Some(checks::store(*since, wall, why, signature::fault(None, why)));
        };
        self.trouble.get_or_insert((wall, why));
        None
    }

    async fn disk(&mut self, passed: Duration) -> Option<Finding> {
        let dir = self.parts.data_dir.clone();
        let look = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&dir));
        let asked = within(self.parts.clock.as_ref(), PATIENCE, look).await;
        let Some(Ok(Ok(answer))) = asked else {
            self.disk_at = passed + AGAIN;
            return None;
        };
        let bytes = |blocks: u64| blocks.saturating_mul(answer.f_frsize);
        let room = Room {
            free: bytes(answer.f_bavail),
            total: bytes(answer.f_blocks),
            inodes: (answer.f_files > 0).then_some(answer.f_favail),
            read_only: answer.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        };
        self.disk_at = passed + checks::next_disk(room);
        let before = self.found.get(&Check::Disk).map_or(Verdict::Ok, Finding::verdict);
        let found = checks::disk(room, &self.parts.data_dir.display().to_string(), before);
        // One cause, one incident: a check of a job may tell of the same disk already.
        if found.wrong.is_some() && self.is_told(Check::Disk).await {
            return Some(Finding { wrong: None, ..found });
        }
        Some(found)
    }

    /// Whether somebody else's incident tells of what a check looks at.
    async fn is_told(&self, check: Check) -> bool {
        let open =
            within(self.parts.clock.as_ref(), PATIENCE, self.parts.store.incidents(false, 10_000));
        let Some(Ok(open)) = open.await else { return false };
        let root = check.root();
        let own = check.prefix();
        open.iter().any(|one| one.root == root.as_str() && !one.key.starts_with(&own))
    }

    async fn looks(&mut self, wall: Timestamp, passed: Duration) -> Option<Finding> {
        let jobs = self.watched(wall).await?;
        let stored = within(self.parts.clock.as_ref(), PATIENCE, self.parts.store.last_looks(wall));
        let Some(Ok(stored)) = stored.await else {
            self.looks_at = wall + AGAIN;
            return None;
        };
        let newest = stored.into_iter().map(|look| (look.check, look.at)).collect();
        let found = looks::overdue(&jobs, &newest, wall);
        let (late, more) = self.suspects.confirmed(found.late, passed);
        // A job that is new, or in force again, is noticed with the next look at the disk at the latest.
        let mut next = found.next.unwrap_or(Timestamp::MAX);
        if more {
            next = next.min(wall + CONFIRM);
        }
        self.looks_at = next.min(wall + Duration::from_mins(15));
        self.late = late.len() as u64;
        Some(checks::looks(&late))
    }

    /// The health jobs in force, and since when looks are expected of each.
    async fn watched(&mut self, wall: Timestamp) -> Option<Vec<Watched>> {
        let stored = within(self.parts.clock.as_ref(), PATIENCE, self.parts.store.jobs()).await;
        let Some(Ok(stored)) = stored else {
            self.looks_at = wall + AGAIN;
            return None;
        };
        let paused: BTreeSet<JobName> =
            stored.into_iter().filter(|job| job.paused.is_some()).map(|job| job.name).collect();
        let view = self.parts.engine.view();
        let rests = |job: &Job| {
            !job.enabled || paused.contains(&job.name) || view.held.contains_key(&job.name)
        };
        let mut jobs = Vec::new();
        let mut since = BTreeMap::new();
        for job in view.catalog.jobs.values().filter(|job| !rests(job)) {
            let Work::Health(spec) = job.work.as_ref() else { continue };
            let from = self.since.get(&job.name).copied().unwrap_or(wall);
            since.insert(job.name.clone(), from);
            jobs.push(Watched {
                job: job.name.clone(),
                schedule: Arc::clone(&job.schedule),
                checks: spec.checks.value.iter().map(|check| check.name.value.clone()).collect(),
                since: from,
                slack: job.policy.timeout.unwrap_or(CONFIRM).max(CONFIRM),
            });
        }
        self.since = since;
        Some(jobs)
    }

    /// Writes what was found where it is not what was found before.
    async fn keep(&mut self, finding: Finding) {
        let same = match self.found.get(&finding.check) {
            Some(known) => known.key() == finding.key() && known.verdict() == finding.verdict(),
            // What an earlier daemon left open must end; what is well need not be said.
            None => finding.wrong.is_none() && !self.any_open(finding.check),
        };
        let passed = self.parts.clock.passed();
        let broken = self.parts.engine.view().store_trouble.is_some() || passed < self.quiet_until;
        if same || broken {
            return;
        }
        let now = self.parts.clock.now();
        let changes = self.changes(&finding, now);
        let commit = self.parts.store.commit(Batch { now, changes });
        match within(self.parts.clock.as_ref(), PATIENCE, commit).await {
            Some(Ok(_)) => self.kept(finding),
            Some(Err(error)) => {
                tracing::error!(%error, "what the daemon found out about itself is not kept");
                self.quiet_until = passed + AGAIN;
            }
            None => self.quiet_until = passed + AGAIN,
        }
    }

    fn any_open(&self, check: Check) -> bool {
        self.open.iter().any(|key| key.starts_with(&check.prefix()))
    }

    fn kept(&mut self, finding: Finding) {
        if let Some(wrong) = &finding.wrong {
            tracing::warn!("{}", wrong.title);
        }
        self.open.retain(|key| !key.starts_with(&finding.check.prefix()));
        if finding.check == Check::Store {
            // It began and it is over: the next time is another one.
            self.trouble = None;
            return;
        }
        self.open.extend(finding.key());
        self.found.insert(finding.check, finding);
    }

    fn changes(&self, finding: &Finding, now: Timestamp) -> Vec<Change> {
        let mut changes = vec![Change::Observe(vec![observation(finding, now)])];
        let (prefix, key) = (finding.check.prefix(), finding.key());
        let resolve = |key: &String, note: &str| {
            let (key, note, notify) = (key.clone(), note.to_owned(), self.parts.notify.clone());
            Change::Incident(IncidentChange::Resolve { key, note, notify })
        };
        let over = self
            .open
            .iter()
            .filter(|open| open.starts_with(&prefix) && Some(*open) != key.as_ref());
        changes.extend(over.map(|key| resolve(key, "it is well again")));
        if let (Some(key), Some(wrong)) = (key, &finding.wrong) {
            let root = finding.check.root();
            let opening = Opening {
                fault: Some(wrong.fault),
                severity: wrong.severity,
                title: wrong.title.clone(),
                detail: wrong.detail.clone(),
                mend: wrong.mend.clone(),
                affected: wrong.affected.clone(),
                notify: self.parts.notify.clone(),
                ..Opening::new(key.clone(), root.as_str(), wrong.fault.word())
            };
            changes.push(Change::Incident(IncidentChange::Open(opening)));
            // It is over already when it can be written down.
            if finding.check == Check::Store {
                changes.push(resolve(&key, "the store works again"));
            }
        }
        changes
    }

    /// Waits for the next deadline, or for the scheduler's loop to show something else.
    async fn wait(&mut self) {
        let (wall, passed) = (self.parts.clock.now(), self.parts.clock.passed());
        let mut after =
            self.heart.as_ref().map_or(self.disk_at, |heart| heart.at.min(self.disk_at));
        if let Some((_, at)) = self.leapt {
            after = after.min(at + LEAP_TOLD);
        }
        if let Some((_, since)) = self.overdue {
            let end = since + LAG_MAX;
            after = after.min(if end > passed { end } else { passed + AGAIN });
        }
        let after = after.max(self.quiet_until.min(passed + AGAIN)).saturating_sub(passed);
        let mut until = self.looks_at;
        // A loop that waits is looked at when it should have come round.
        if let (Progress::Waiting { until: Some(next) }, None) =
            (self.parts.advance.borrow().dispatch, self.overdue)
        {
            until = until.min(next + Duration::from_secs(1));
        }
        let until = until.max(wall + Duration::from_millis(1));
        tokio::select! {
            changed = self.parts.advance.changed() => {
                if changed.is_err() {
                    // The loop is gone, and so will this be.
                    self.parts.clock.sleep(AGAIN).await;
                }
            }
            () = self.parts.clock.sleep_until(until) => {}
            () = self.parts.clock.sleep(after.max(Duration::from_millis(1))) => {}
        }
    }
}

fn observation(finding: &Finding, now: Timestamp) -> Observation {
    let wrong = finding.wrong.as_ref();
    Observation {
        check: finding.check.subject(),
        subject: finding.check.root(),
        at: now,
        took: Duration::ZERO,
        verdict: finding.verdict(),
        fault: wrong.map(|wrong| wrong.fault),
        text: wrong.map_or_else(|| "well again".to_owned(), |wrong| wrong.title.clone()),
        run: None,
    }
}

/// What has passed since the machine came up, suspend included.
pub(super) fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

#[cfg(test)]
mod tests;
