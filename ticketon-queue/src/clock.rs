//! Time as a port: production reads the system, tests turn a [`ManualClock`].
//!
//! Nothing else in the workspace asks the system for the time or sleeps by itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::watch;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type UnixMs = i64;

/// Where time comes from.
#[async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// The current time in milliseconds since the Unix epoch. It may step, also backwards.
    fn now_ms(&self) -> UnixMs;

    /// Returns once this much time has passed on this clock.
    async fn sleep(&self, duration: Duration);
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now_ms(&self) -> UnixMs {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixMs::try_from(since.as_millis()).unwrap_or(UnixMs::MAX)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that moves only when told to. Clones share one time.
///
/// ```
/// use std::time::Duration;
/// use ticketon_queue::{Clock, ManualClock};
/// let clock = ManualClock::at(1_000);
/// clock.advance(Duration::from_millis(250));
/// assert_eq!(clock.now_ms(), 1_250);
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<watch::Sender<UnixMs>>);

impl ManualClock {
    /// A clock that stands at this time.
    #[must_use]
    pub fn at(now_ms: UnixMs) -> Self {
        Self(Arc::new(watch::Sender::new(now_ms)))
    }

    /// Moves the clock forward and wakes sleepers.
    pub fn advance(&self, by: Duration) {
        let by = UnixMs::try_from(by.as_millis()).unwrap_or(UnixMs::MAX);
        self.0.send_modify(|now| *now = now.saturating_add(by));
    }

    /// Sets the clock, also backwards.
    pub fn set(&self, now_ms: UnixMs) {
        self.0.send_replace(now_ms);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now_ms(&self) -> UnixMs {
        *self.0.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let until = self
            .now_ms()
            .saturating_add(UnixMs::try_from(duration.as_millis()).unwrap_or(UnixMs::MAX));
        let mut changes = self.0.subscribe();
        // The sender lives in self, so waiting cannot fail.
        let _ = changes.wait_for(|now| *now >= until).await;
    }
}

/// `2026-01-01T00:00:00Z` for a time; fractions of a second are kept when there are any.
#[must_use]
pub fn rfc3339(ms: UnixMs) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}

/// The time an RFC 3339 text stands for.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<UnixMs> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_the_clock_is_moved() {
        let clock = ManualClock::at(0);
        let sleeper = clock.clone();
        let slept = tokio::spawn(async move { sleeper.sleep(Duration::from_millis(10)).await });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_millis(9));
        tokio::task::yield_now().await;
        assert!(!slept.is_finished());
        clock.advance(Duration::from_millis(1));
        slept.await.unwrap();
    }

    #[test]
    fn times_have_one_text() {
        assert_eq!(rfc3339(1_767_225_600_000), "2026-01-01T00:00:00Z");
        assert_eq!(
            parse_rfc3339("2026-01-01T09:00:00+09:00"),
            Some(1_767_225_600_000)
        );
        assert_eq!(parse_rfc3339("yesterday"), None);
    }
}
