//! How long to wait after a failure: longer each time up to a bound, and never all at the same moment.

use std::fmt;

use ticketon_queue::UnixMs;
use ticketon_queue::id::random_bytes;

/// The first pause, in milliseconds.
const FIRST_MS: i64 = 100;

/// A pause that grows while failures follow each other.
#[derive(Debug)]
pub(super) struct Pause {
    most_ms: i64,
    failures: u32,
    until_ms: Option<UnixMs>,
    trouble: Option<(UnixMs, String)>,
}

impl Pause {
    /// None yet; later ones last this long at the most.
    pub(super) fn up_to(most_ms: i64) -> Self {
        Self {
            most_ms,
            failures: 0,
            until_ms: None,
            trouble: None,
        }
    }

    /// Whether it is not over.
    pub(super) fn holds(&self, now_ms: UnixMs) -> bool {
        // A clock that went back by more than the pause must not make it longer.
        self.until_ms
            .is_some_and(|until| now_ms < until && until - now_ms <= self.most_ms)
    }

    /// Another failure; whether it is the first since all was well.
    pub(super) fn failed(&mut self, now_ms: UnixMs, why: &dyn fmt::Display) -> bool {
        if self.holds(now_ms) {
            // What was on its way when the pause began tells nothing new.
            return false;
        }
        let full = FIRST_MS
            .saturating_mul(1 << self.failures.min(20))
            .min(self.most_ms);
        self.until_ms = Some(now_ms + part_of(full));
        self.noted(now_ms, why);
        self.failures += 1;
        self.failures == 1
    }

    /// Something failed, and something else did not: that is told, and no reason to wait. Whether it is the first time since
    /// all was well.
    pub(super) fn eased(&mut self, now_ms: UnixMs, why: &dyn fmt::Display) -> bool {
        self.until_ms = None;
        self.failures = 0;
        self.noted(now_ms, why)
    }

    /// Takes note of a failure without a pause. Whether it is the first time since all was well.
    pub(super) fn noted(&mut self, now_ms: UnixMs, why: &dyn fmt::Display) -> bool {
        let before = self.trouble.take();
        let since_ms = before.as_ref().map_or(now_ms, |(since_ms, _)| *since_ms);
        self.trouble = Some((since_ms, why.to_string()));
        before.is_none()
    }

    /// Since when it has failed, and how the last time.
    pub(super) fn trouble(&self) -> Option<(UnixMs, &str)> {
        self.trouble
            .as_ref()
            .map(|(since_ms, why)| (*since_ms, why.as_str()))
    }

    /// All is well; whether it was not.
    pub(super) fn passed(&mut self) -> bool {
        self.until_ms = None;
        self.failures = 0;
        self.trouble.take().is_some()
    }
}

/// Between half of a pause and all of it, so that not all come at the same moment.
pub(super) fn part_of(full_ms: i64) -> i64 {
    let part = i64::try_from(u64::from_ne_bytes(random_bytes()) % 1_000).unwrap_or(0);
    full_ms / 2 + full_ms * part / 2_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_bound_and_begin_anew() {
        let mut pause = Pause::up_to(5_000);
        let mut now = 0;
        let mut lengths = Vec::new();
        for round in 0..40 {
            assert!(!pause.holds(now));
            assert_eq!(pause.failed(now, &"away"), round == 0);
            assert!(
                pause.holds(now) && !pause.failed(now, &"away"),
                "one failure a pause"
            );
            let begun = now;
            while pause.holds(now) {
                now += 1;
            }
            lengths.push(now - begun);
        }
        assert!((50..=100).contains(&lengths[0]), "{lengths:?}");
        assert!(
            lengths[10..]
                .iter()
                .all(|length| (2_500..=5_000).contains(length)),
            "{lengths:?}"
        );
        assert!(
            lengths[10..].iter().any(|length| *length != lengths[10]),
            "no jitter"
        );
        assert!(pause.passed() && !pause.passed());
        assert!(pause.failed(now, &"away"));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_prolong_a_pause() {
        let mut pause = Pause::up_to(1_000);
        pause.failed(1_000_000, &"away");
        assert!(!pause.holds(0));
    }
}
