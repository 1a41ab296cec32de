//! How loud failing calls are: in an outage each of thousands fails, and one line a second says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two lines.
const QUIET: Duration = Duration::from_secs(1);

/// Counts the failures that no line has told of.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Whether there are some; calls that succeed look at nothing else.
    untold: AtomicBool,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    since: u64,
}

impl Failures {
    /// Counts a failure. Answers how many a line should tell of now, this one included; `None` while it is too early.
    pub(super) fn failed(&self, now: Instant) -> Option<u64> {
        self.after(now, 1)
    }

    /// Answers, after a call that succeeded, how many failures no line has told of and one should now.
    pub(super) fn succeeded(&self, now: Instant) -> Option<u64> {
        if !self.untold.load(Ordering::Relaxed) {
            return None;
        }
        self.after(now, 0)
    }

    fn after(&self, now: Instant, failures: u64) -> Option<u64> {
        // Two numbers are whole between two calls, so a poisoned lock is taken over.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.since += failures;
        let due = told.last.is_none_or(|last| now >= last + QUIET);
        if told.since == 0 || !due {
            self.untold.store(told.since > 0, Ordering::Relaxed);
            return None;
        }
        told.last = Some(now);
        self.untold.store(false, Ordering::Relaxed);
        Some(std::mem::take(&mut told.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_at_once_and_the_next_ones_together() {
        let failures = Failures::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(failures.failed(at(0)), Some(1));
        for ms in 1..1_000 {
            assert_eq!(failures.failed(at(ms)), None);
        }
        assert_eq!(failures.failed(at(1_000)), Some(1_000));
        assert_eq!(failures.failed(at(1_999)), None);
        // Long after, one is the first again, with the one that was left.
        assert_eq!(failures.failed(at(60_000)), Some(2));
    }

    #[test]
    fn what_was_not_told_is_told_when_calls_succeed_again() {
        let failures = Failures::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(failures.succeeded(at(0)), None);
        assert_eq!(failures.failed(at(0)), Some(1));
        assert_eq!(failures.succeeded(at(5_000)), None);
        assert_eq!(failures.failed(at(5_000)), Some(1));
        assert_eq!(failures.failed(at(5_001)), None);
        assert_eq!(failures.succeeded(at(5_002)), None);
        assert_eq!(failures.succeeded(at(6_000)), Some(1));
        assert_eq!(failures.succeeded(at(7_000)), None);
    }

    #[test]
    fn whatever_happens_at_most_one_line_a_second_tells_of_every_failure() {
        let failures = Failures::default();
        let start = Instant::now();
        let (mut lines, mut told) = (0, 0);
        for ms in 0..10_000 {
            if let Some(count) = failures.failed(start + Duration::from_millis(ms)) {
                lines += 1;
                told += count;
            }
        }
        told += failures
            .succeeded(start + Duration::from_secs(10))
            .unwrap_or_default();
        assert_eq!((lines, told), (10, 10_000));
    }
}
