//! Many jobs in one minute.
//!
//! Owns the count of jobs that are due together and the warning about it. Refuses to look far: the work
//! is bounded, whatever the schedules are.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::catalog::Catalog;
use super::settings::Settings;
use crate::plan::schedule::Schedule;
use crate::yaml::{Code, Diagnostic};

/// How far is looked at most.
const HORIZON: SignedDuration = SignedDuration::from_hours(24);

/// Slots that are looked at in all, at most; with more of them in the horizon, the horizon shrinks.
const SLOTS: u64 = 50_000;

/// Warns of the most crowded minute, if it is over the limit.
pub(super) fn lint(catalog: &Catalog, settings: &Settings, now: Timestamp) -> Option<Diagnostic> {
    let limit = settings.limits.jobs_per_minute;
    if catalog.jobs.len() <= limit as usize {
        return None;
    }
    let minutes = count(catalog, now);
    let over = minutes.values().filter(|jobs| **jobs > limit).count();
    let (minute, jobs) = minutes.iter().max_by_key(|(minute, jobs)| (**jobs, -**minute))?;
    if over == 0 {
        return None;
    }
    let at = Timestamp::from_second(minute * 60).ok()?;
    let more = if over > 1 {
        format!(", and in {} minutes more too many", over - 1)
    } else {
        String::new()
    };
    let message = format!("{jobs} jobs are due in the minute {at}{more}");
    let folder = settings.jobs_dir.to_string_lossy();
    let mut told = Diagnostic::of_file(Code::CrowdedMinute, folder, message);
    told.help(format!(
        "spread them with `jitter`, or with `H` as the minute; if more than {limit} are fine, raise \
         `limits: {{ jobs_per_minute }}` in jada.yaml"
    ));
    Some(told)
}

/// Jobs due by minute since 1970.
fn count(catalog: &Catalog, now: Timestamp) -> HashMap<i64, u32> {
    let mut distinct: HashMap<*const Schedule, (&Arc<Schedule>, u32)> = HashMap::new();
    for job in catalog.jobs.values().filter(|job| job.enabled && !job.schedule.is_empty()) {
        distinct.entry(Arc::as_ptr(&job.schedule)).or_insert((&job.schedule, 0)).1 += 1;
    }
    let until = now + horizon(distinct.values().map(|(schedule, _)| *schedule), now);
    let mut minutes = HashMap::new();
    for (schedule, jobs) in distinct.into_values() {
        let mut last = None;
        for due in schedule.slots_after(now).take_while(|due| due.slot <= until) {
            let minute = due.fire_at.as_second().div_euclid(60);
            if last.replace(minute) != Some(minute) {
                *minutes.entry(minute).or_insert(0) += jobs;
            }
        }
    }
    minutes
}

/// How far can be looked without looking at too many slots.
fn horizon<'a>(
    schedules: impl Iterator<Item = &'a Arc<Schedule>>,
    now: Timestamp,
) -> SignedDuration {
    let slots: u64 = schedules.map(|schedule| schedule.count_between(now, now + HORIZON)).sum();
    let shrink = i32::try_from(slots / SLOTS + 1).unwrap_or(i32::MAX);
    // Below a few minutes there would be no whole minute to count.
    (HORIZON / shrink).max(SignedDuration::from_mins(3))
}
