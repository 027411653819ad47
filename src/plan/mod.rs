//! Pure decisions: what should happen next, given stored state and a `now`.
//!
//! Owns schedules, catch-up, admission, overlap, retry and the opening of incidents. Refuses all I/O,
//! async and clocks; imports `model` only.

pub mod schedule;
