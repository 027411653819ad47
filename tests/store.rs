//! The contract of `Store`, as one suite that every implementation runs.
//!
//! Owns the tests that only know the trait (`changes`, `listing`, `jobs`, `retention`, `random`), and
//! those of the embedded store's file (`file`, `full`, `crash`). A Postgres twin adds one line to the
//! `contract!` calls below.

#![expect(clippy::unwrap_used, reason = "a test may stop at what must not happen")]

#[path = "store/changes.rs"]
mod changes;
#[path = "store/crash.rs"]
mod crash;
#[path = "store/file.rs"]
mod file;
#[path = "store/full.rs"]
mod full;
#[path = "store/jobs.rs"]
mod jobs;
#[path = "store/listing.rs"]
mod listing;
#[path = "store/model.rs"]
mod model;
#[path = "store/outbox.rs"]
mod outbox;
#[path = "store/random.rs"]
mod random;
#[path = "store/retention.rs"]
mod retention;
#[path = "store/world.rs"]
mod world;

/// Runs the whole contract against the store that `$open` makes: a fresh, empty one each time.
macro_rules! contract {
    ($database:ident: $open:path) => {
        mod $database {
            contract! { @all $open;
                outbox: outbox_ends_for_all_who_were_told, outbox_tries_are_fenced, outbox_carriers_take_theirs_along,
                    outbox_writes_once, outbox_says_why_it_waits, silences_have_an_end,
                    what_is_to_be_told_outlives_retention;
                changes: record_round_trips, record_refuses_a_second, record_refuses_an_unknown_job,
                    record_keeps_causes_apart, cursor_compares, start_takes_the_next_attempt,
                    start_refuses, end_finishes, end_retries, end_keeps_attempt_and_run, end_refuses, late_end_is_fenced,
                    close_ends_what_waits, close_refuses, release_queues_what_was_blocked, release_refuses,
                    the_blocked_tail_ends_at_what_was_not_blocked,
                    pause_and_resume, incidents_open_once, incidents_resolve, incidents_come_back,
                    looks_are_kept_once, batch_keeps_order,
                    one_slot_has_one_winner;
                jobs: incarnations_differ, renew_extends, new_jobs_start_now,
                    an_edit_is_never_retroactive, an_unchanged_schedule_keeps_its_cursor,
                    jobs_retire_and_return, pauses_survive_a_reload, newest_success_is_kept,
                    last_after_is_kept, sync_answers_in_order;
                listing: live_runs_are_oldest_first, slots_are_filtered, slots_say_why,
                    runs_are_filtered, runs_are_paged, one_run_is_found,
                    recent_ends_are_in_order_of_their_end, summaries_count,
                    incidents_are_newest_first, unknown_jobs_have_nothing;
                retention: age_takes_what_is_old, live_rows_stay, slots_ahead_of_the_cursor_stay,
                    count_keeps_the_newest, what_went_is_still_counted, batches_are_small, bytes_are_a_limit,
                    attempts_go_with_their_run, incidents_go_when_over, retired_jobs_go_at_last,
                    numbers_never_come_back;
                random: random_changes_agree_with_the_model;
            }
        }
    };
    (@all $open:path; $($module:ident: $($test:ident),+ $(,)?;)+) => {
        $($(
            #[tokio::test]
            async fn $test() {
                let opener = $open;
                crate::$module::$test(opener).await;
            }
        )+)+
    };
}

contract!(sqlite: crate::world::sqlite);
