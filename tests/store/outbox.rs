//! The outbox: who has to be told, and what becomes of it.
//!
//! Owns the contract of its changes, each under its condition. Refuses to decide who is told when
//! (`src/alerts/decide`).

use jada::model::{
    Blame, Event, Held, Hold, IncidentChange, IncidentId, Notification, NotificationId, Opening,
    OutboxChange, SilenceId, Told,
};
use jada::store::{Applied, Change, Keep};

use crate::world::{Opener, World, at, opened, resolved};

async fn rows(world: &World) -> Vec<Notification> {
    let mut rows = world.store.notifications(true, 99).await.unwrap();
    rows.reverse();
    rows
}

async fn told(world: &World) -> Vec<(String, Event, Told)> {
    let rows = rows(world).await.into_iter();
    rows.map(|row| (row.notifier.to_string(), row.event, row.state)).collect()
}

fn row(notifier: &str, event: Event, state: Told) -> (String, Event, Told) {
    (notifier.to_owned(), event, state)
}

async fn apply(world: &World, second: i64, change: OutboxChange) -> Applied {
    world.apply(second, Change::Outbox(change)).await
}

fn delivered(row: i64) -> OutboxChange {
    OutboxChange::Delivered { row: NotificationId(row) }
}

fn write(notifier: &str, event: Event, origin: Option<i64>) -> OutboxChange {
    OutboxChange::Write {
        incident: Some(IncidentId(1)),
        notifier: notifier.into(),
        event,
        origin: origin.map(NotificationId),
    }
}

/// Who was told of a beginning is told of its end, whatever the end's own list says; who joins later hears of
/// it then.
pub(crate) async fn outbox_ends_for_all_who_were_told(open: Opener) {
    let world = World::new(open).await;
    world.apply(1, opened("job/a", "failed")).await;
    let joins = Opening {
        notify: vec!["ops".into(), "late".into()],
        ..Opening::new("job/a", "job/a", "transient")
    };
    world.apply(2, Change::Incident(IncidentChange::Open(joins.clone()))).await;
    world.apply(3, Change::Incident(IncidentChange::Open(joins))).await;
    let end = IncidentChange::Resolve { key: "job/a".into(), note: String::new(), notify: vec![] };
    world.apply(4, Change::Incident(end)).await;
    let waits = |notifier, event| row(notifier, event, Told::Waiting);
    let want = [
        waits("ops", Event::Opened),
        waits("chat", Event::Opened),
        waits("late", Event::Opened),
        waits("ops", Event::Resolved),
        waits("chat", Event::Resolved),
        waits("late", Event::Resolved),
    ];
    assert_eq!(told(&world).await, want);
}

pub(crate) async fn outbox_tries_are_fenced(open: Opener) {
    let world = World::new(open).await;
    world.apply(1, opened("job/a", "failed")).await;
    let failed = |tries, next| OutboxChange::Failed {
        row: NotificationId(1),
        tries,
        next_at: at(next),
        blame: Blame::Line,
        error: "no answer".into(),
    };
    assert_eq!(apply(&world, 5, failed(2, 15)).await, Applied::Refused, "try 1 comes first");
    assert_eq!(apply(&world, 5, failed(1, 15)).await, Applied::Done);
    assert_eq!(apply(&world, 6, failed(1, 99)).await, Applied::Refused, "noted already");
    assert_eq!(apply(&world, 16, failed(2, 36)).await, Applied::Done);
    let first = &rows(&world).await[0];
    assert_eq!((first.tries, first.tried_since, first.next_at), (2, Some(at(5)), at(36)));
    assert_eq!((first.blame, first.error.as_str()), (Some(Blame::Line), "no answer"));
    assert_eq!(apply(&world, 40, delivered(1)).await, Applied::Done);
    assert_eq!(apply(&world, 41, delivered(1)).await, Applied::Refused);
    assert_eq!(apply(&world, 41, failed(3, 99)).await, Applied::Refused, "it is told");
    let sent = world.store.outbox(at(39)).await.unwrap().sent;
    assert_eq!(sent, [("ops".into(), at(40))]);
    assert_eq!(world.store.outbox(at(40)).await.unwrap().sent, []);
}

pub(crate) async fn outbox_carriers_take_theirs_along(open: Opener) {
    let world = World::new(open).await;
    world.apply(1, opened("job/a", "failed")).await;
    world.apply(2, resolved("job/a")).await;
    let carry = |row, carrier| OutboxChange::Carry {
        row: NotificationId(row),
        carrier: NotificationId(carrier),
    };
    assert_eq!(apply(&world, 3, carry(1, 4)).await, Applied::Refused, "of another notifier");
    assert_eq!(apply(&world, 3, carry(1, 3)).await, Applied::Done);
    let digest = |rows: &[i64]| OutboxChange::Digest {
        notifier: "ops".into(),
        rows: rows.iter().map(|row| NotificationId(*row)).collect(),
    };
    assert_eq!(apply(&world, 4, digest(&[3, 1])).await, Applied::Refused, "1 no longer waits");
    assert_eq!(apply(&world, 4, digest(&[3])).await, Applied::Wrote(5));
    // What a digest tells is read with it, although its incident is over and nothing of it waits.
    let drop = OutboxChange::Drop { row: NotificationId(2), why: "unheard".into() };
    assert_eq!(apply(&world, 4, drop).await, Applied::Done);
    let drop = OutboxChange::Drop { row: NotificationId(4), why: "unheard".into() };
    assert_eq!(apply(&world, 4, drop).await, Applied::Done);
    let outbox = world.store.outbox(at(0)).await.unwrap();
    assert_eq!((outbox.rows.len(), outbox.incidents.len()), (5, 1));
    assert_eq!(apply(&world, 5, delivered(5)).await, Applied::Done);
    let want = [
        row("ops", Event::Opened, Told::Delivered),
        row("chat", Event::Opened, Told::Dropped),
        row("ops", Event::Resolved, Told::Delivered),
        row("chat", Event::Resolved, Told::Dropped),
        row("ops", Event::Digest, Told::Delivered),
    ];
    assert_eq!(told(&world).await, want);
    let outbox = world.store.outbox(at(0)).await.unwrap();
    assert_eq!(outbox.sent, [("ops".into(), at(5))], "one message, whatever it carried");
    assert_eq!((outbox.rows.len(), outbox.incidents.len()), (0, 0));
}

pub(crate) async fn outbox_writes_once(open: Opener) {
    let world = World::new(open).await;
    world.apply(1, opened("job/a", "failed")).await;
    let reminder = || write("ops", Event::Reminder, None);
    assert_eq!(apply(&world, 2, reminder()).await, Applied::Refused, "something waits already");
    apply(&world, 2, delivered(1)).await;
    assert_eq!(apply(&world, 3, reminder()).await, Applied::Wrote(3));
    assert_eq!(apply(&world, 3, reminder()).await, Applied::Refused);
    let helps = |notifier| write(notifier, Event::Opened, Some(2));
    assert_eq!(apply(&world, 4, helps("mail")).await, Applied::Wrote(4));
    assert_eq!(apply(&world, 4, helps("mail")).await, Applied::Refused);
    assert!(matches!(apply(&world, 4, helps("pager")).await, Applied::Wrote(_)));
}

pub(crate) async fn outbox_says_why_it_waits(open: Opener) {
    let world = World::new(open).await;
    world.apply(1, opened("job/a", "failed")).await;
    let held = Held { by: Hold::Silence, why: "silence 1 by ann".into(), until: Some(at(99)) };
    let hold = |held| OutboxChange::Hold { row: NotificationId(1), held };
    assert_eq!(apply(&world, 2, hold(Some(held.clone()))).await, Applied::Done);
    assert_eq!(rows(&world).await[0].held, Some(held.clone()));
    assert_eq!(apply(&world, 3, hold(None)).await, Applied::Done);
    assert_eq!(rows(&world).await[0].held, None);
    apply(&world, 4, hold(Some(held.clone()))).await;
    let give_up = OutboxChange::GiveUp { row: NotificationId(1), why: "a day of trying".into() };
    assert_eq!(apply(&world, 5, give_up).await, Applied::Done);
    let row = world.store.notification(NotificationId(1)).await.unwrap().unwrap();
    assert_eq!((row.state, row.held.as_ref()), (Told::GivenUp, None));
    assert_eq!((row.ended_at, row.error.as_str()), (Some(at(5)), "a day of trying"));
    assert_eq!(apply(&world, 6, hold(Some(held))).await, Applied::Refused);
}

pub(crate) async fn silences_have_an_end(open: Opener) {
    let world = World::new(open).await;
    let silence = OutboxChange::Silence {
        pattern: "site/*".into(),
        reason: "moving house".into(),
        by: "ann".into(),
        until: at(100),
    };
    assert_eq!(apply(&world, 10, silence).await, Applied::Wrote(1));
    let found = world.store.silences(at(10)).await.unwrap();
    assert_eq!((found.len(), found[0].since, found[0].until), (1, at(10), at(100)));
    assert_eq!((found[0].pattern.as_str(), found[0].by.as_str()), ("site/*", "ann"));
    assert!(world.store.silences(at(100)).await.unwrap().is_empty(), "half open");
    let end = || OutboxChange::EndSilence { silence: SilenceId(1) };
    assert_eq!(apply(&world, 20, end()).await, Applied::Done);
    assert_eq!(apply(&world, 20, end()).await, Applied::Refused);
    assert!(world.store.silences(at(20)).await.unwrap().is_empty());
    // What waits since then is judged by what held then.
    world.apply(15, opened("job/a", "failed")).await;
    assert_eq!(world.store.outbox(at(99)).await.unwrap().silences.len(), 1);
}

pub(crate) async fn what_is_to_be_told_outlives_retention(open: Opener) {
    let world = World::new(open).await;
    let keep = Keep {
        looks: 1,
        age: std::time::Duration::from_secs(10),
        per_job: 99,
        observations: std::time::Duration::from_secs(10),
        bytes: None,
        batch: 99,
    };
    let test = OutboxChange::Write {
        incident: None,
        notifier: "ops".into(),
        event: Event::Test,
        origin: None,
    };
    apply(&world, 1, test).await;
    world.apply(1, opened("job/a", "failed")).await;
    world.apply(2, resolved("job/a")).await;
    world.store.prune(keep, at(1000)).await.unwrap();
    assert_eq!(rows(&world).await.len(), 5, "nobody was told yet");
    for row in 1..=5 {
        apply(&world, 3, delivered(row)).await;
    }
    world.store.prune(keep, at(1000)).await.unwrap();
    assert_eq!(rows(&world).await.len(), 0);
    assert_eq!(world.store.incidents(true, 9).await.unwrap().len(), 0);
}
