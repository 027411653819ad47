//! Random histories: whatever happens, what must hold holds, and decisions that nothing asked for change
//! nothing.
//!
//! Owns the properties. Refuses to know the order of events.

use proptest::prelude::*;

use super::stage::{Answer, Stage, fallback, settings};
use crate::model::{Event, IncidentState, Told};

#[derive(Clone, Debug)]
enum Happens {
    Opens(usize),
    Closes(usize),
    Silence(usize, u64),
    Acknowledged(usize),
    Answers(usize, Answer),
    Passes(u64),
}

const KEYS: [&str; 4] = ["job/a", "job/b", "site/c", "credential/d"];
const NAMES: [&str; 2] = ["mail", "ops"];

fn happens() -> impl Strategy<Value = Happens> {
    let answer = prop_oneof![
        3 => Just(Answer::Takes),
        2 => Just(Answer::Silent),
        1 => Just(Answer::Refuses),
    ];
    prop_oneof![
        4 => (0..KEYS.len()).prop_map(Happens::Opens),
        3 => (0..KEYS.len()).prop_map(Happens::Closes),
        1 => (0..KEYS.len(), 60..7200u64).prop_map(|(key, time)| Happens::Silence(key, time)),
        1 => (0..KEYS.len()).prop_map(Happens::Acknowledged),
        2 => (0..NAMES.len(), answer).prop_map(|(name, answer)| Happens::Answers(name, answer)),
        6 => (1..5000u64).prop_map(Happens::Passes),
    ]
}

async fn play(story: &[Happens], restless: Option<u64>) -> Stage {
    let mut alerts = settings(&NAMES);
    fallback(&mut alerts, "ops", &["mail"]);
    let mut stage = Stage::new(alerts);
    stage.restless = restless;
    for happens in story {
        match happens {
            Happens::Opens(key) => stage.open(KEYS[*key]).await,
            Happens::Closes(key) => stage.close(KEYS[*key], "it works again").await,
            Happens::Silence(key, time) => stage.silence(KEYS[*key], *time).await,
            Happens::Acknowledged(key) => stage.acknowledge(KEYS[*key]).await,
            Happens::Answers(name, answer) => stage.answer(NAMES[*name], *answer),
            Happens::Passes(time) => stage.pass(*time).await,
        }
    }
    // In the end everybody answers, and all that was put off has its time.
    for name in NAMES {
        stage.answer(name, Answer::Takes);
    }
    stage.pass(5 * 3600).await;
    stage
}

/// What each notifier knows in the end is how things stand, and nobody heard of an end without a beginning
/// unless in one message.
async fn check(stage: &Stage) {
    let rows = stage.rows().await;
    for incident in stage.incidents().await {
        for name in NAMES {
            let of = rows
                .iter()
                .filter(|row| row.incident == Some(incident.id) && *row.notifier == *name);
            let of: Vec<_> = of.collect();
            if of.is_empty() {
                continue;
            }
            assert!(
                of.iter().all(|row| row.state != Told::Waiting),
                "{} {name}: {of:#?}",
                incident.key
            );
            let mut news = of.iter().filter(|row| {
                row.state == Told::Delivered && matches!(row.event, Event::Opened | Event::Resolved)
            });
            let knows = news.next_back().is_some_and(|row| row.event == Event::Opened);
            let goes_on = incident.state == IncidentState::Open;
            let told = of.iter().any(|row| row.origin.is_none());
            assert!(knows == goes_on || !told, "{} {name} {goes_on}: {of:#?}", incident.key);
        }
    }
    stage.assert_limits(6, 20);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_everybody_knows_how_things_stand(story in prop::collection::vec(happens(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stage = play(&story, None).await;
            check(&stage).await;
            let other = play(&story, Some(97)).await;
            prop_assert_eq!(stage.told(), other.told(), "decisions that nothing asked for change nothing");
            Ok(())
        })?;
    }
}
