//! Looks that keep a thread waiting, and how many may.
//!
//! Owns the bound. A dead network file system holds a thread for ever and a dead name server for half a
//! minute, also when the check was given up long ago, and the store and the output need threads from the
//! same pool. Refuses to know what is looked at.

use tokio::sync::Semaphore;

/// Looks at files that may be under way.
pub(in crate::kinds) static FILES: Semaphore = Semaphore::const_new(4);

/// Names that may be looked up at one time: apart, so that a dead disk takes no network check with it.
pub(in crate::kinds) static NAMES: Semaphore = Semaphore::const_new(4);

/// Looks on a thread, when there is a seat for it. A look that is given up keeps its seat until its thread
/// is back.
///
/// # Errors
/// That the look panicked, in words.
pub(in crate::kinds) async fn look<T: Send + 'static>(
    seats: &'static Semaphore,
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let seat = seats.acquire().await.expect("nobody closes the seats");
    let seated = move || {
        let found = look();
        drop(seat);
        found
    };
    tokio::task::spawn_blocking(seated).await.map_err(|error| format!("the probe broke: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;
    use crate::clock::{SystemClock, within};

    #[test]
    fn looks_that_never_end_leave_threads_to_others() {
        let threads = FILES.available_permits() + NAMES.available_permits() + 1;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(threads)
            .enable_all()
            .build()
            .unwrap();
        let (answer, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let other = runtime.block_on(async {
            for seats in [&FILES, &NAMES] {
                for _ in 0..threads {
                    let wait = wait.clone();
                    let hangs = look(seats, move || wait.lock().unwrap().recv());
                    // Given up at once, as by a check whose time is over.
                    assert!(hangs.now_or_never().is_none());
                }
            }
            let other = tokio::task::spawn_blocking(|| ());
            within(&SystemClock, Duration::from_secs(20), other).await
        });
        drop(answer);
        assert!(other.is_some(), "no thread was left for anything else");
    }
}
