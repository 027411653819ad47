//! The laws of the small world, whatever happens in it.
//!
//! Owns the random stories. Refuses to know single cases.

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    End(usize, bool),
    Trigger(usize),
    Hold(usize, bool),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => (0_u64..200).prop_map(Event::Pass),
        3 => (0_usize..8, any::<bool>()).prop_map(|(which, fine)| Event::End(which, fine)),
        1 => (0_usize..4).prop_map(Event::Trigger),
        1 => (0_usize..4, any::<bool>()).prop_map(|(job, held)| Event::Hold(job, held)),
    ];
    prop::collection::vec(event, 1..80)
}

fn policies() -> impl Strategy<Value = Policy> {
    let overlaps = prop::sample::select(vec![
        Overlap::Skip,
        Overlap::Queue,
        Overlap::QueueAll { max: 3 },
        Overlap::Cancel,
        Overlap::Allow,
    ]);
    let modes =
        prop::sample::select(vec![CatchUpMode::None, CatchUpMode::Latest, CatchUpMode::All]);
    (overlaps, modes, any::<bool>(), any::<bool>(), 1_u32..4).prop_map(
        |(overlap, mode, pool, deadline, attempts)| Policy {
            overlap,
            catch_up: CatchUp { mode, ..CatchUp::default() },
            pool: pool.then(|| "small".into()),
            deadline: deadline.then_some(Duration::from_secs(100)),
            retry: Retry { attempts, ..Retry::default() },
            ..Policy::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever happens, the laws of `World::check` hold, and the slots that were decided are exactly
    /// those that the schedules name up to now.
    #[test]
    fn the_laws_hold(
        jobs in prop::collection::vec((20_u64..90, policies()), 4),
        seats in 1_usize..5,
        events in events(),
    ) {
        let periods: Vec<u64> = jobs.iter().map(|(period, _)| *period).collect();
        let jobs = jobs
            .into_iter()
            .map(|(period, policy)| (Some(Duration::from_secs(period)), policy))
            .collect();
        let mut world = World::new(seats, jobs);
        for event in events {
            match event {
                Event::Pass(seconds) => {
                    world.pass(Duration::from_secs(seconds));
                }
                Event::End(which, ok) => {
                    let Some(run) = world.under_way.keys().nth(which).copied() else { continue };
                    let stopped = world.stopped.contains(&run);
                    let class =
                        if stopped { FailureClass::Cancelled } else { FailureClass::Transient };
                    world.end_run(run, &if ok { fine() } else { broken(class) });
                }
                Event::Trigger(job) => world.trigger(i64::try_from(job).expect("few")),
                Event::Hold(job, held) => world.hold(i64::try_from(job).expect("few"), held),
            }
        }
        world.pass(Duration::ZERO);
        for (job, period) in (0_i64..).zip(periods) {
            let of_job = world.rows.keys().filter(|(id, cause)| *id == job && cause.contains("Slot"));
            let passed = world.now.as_second() / i64::try_from(period).expect("small")
                - start().as_second() / i64::try_from(period).expect("small");
            prop_assert_eq!(i64::try_from(of_job.count()).expect("few"), passed);
        }
    }
}
