//! Pure decisions: what should happen next, given stored state and a `now`.
//!
//! Owns schedules, catch-up, admission, overlap, retry and the opening of incidents. Refuses all I/O,
//! async and clocks; imports `model` only.
//!
//! ```text
//!   State (image of stored rows) ── tick(now) ──▶ Vec<Action> ── engine commits ──▶ settle(action, id)
//!        ▲                                                                              │
//!        └──────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! An [`Action`](tick::Action) is a wish: the store re-checks its condition. Where the store disagrees,
//! or a commit fails, the engine throws the image away and reads it again, which is what a start does.

pub mod admission;
pub mod alert;
pub mod catch_up;
pub mod hold;

pub mod lifecycle;
pub mod schedule;
pub mod signature;
pub mod staleness;
pub mod state;
pub mod tick;
pub mod usual;
#[cfg(test)]
mod world;

/// A stable 64-bit hash (FNV-1a with a finishing mix), the source of jitter: the same on each node and
/// in each release, unlike the standard library's.
pub(crate) fn stable_hash(parts: &[u64]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // FNV leaves the high bits weak for short input; one round of a 64-bit mixer spreads them.
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// A number in `[0, 1)` from a hash.
pub(crate) fn unit(hash: u64) -> f64 {
    // 53 bits are what an f64 holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    let share = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    share
}
