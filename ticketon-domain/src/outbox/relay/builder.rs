//! What a relay may be told before it starts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ticketon_queue::id::random_bytes;
use ticketon_queue::{Clock, SystemClock};
use tokio::sync::watch;

use super::{EventBus, OutboxStore, Parts, Relay, RelayHealth, Task, Wake};
use crate::outbox::MAX_READ;

/// Builds a [`Relay`]. Values out of a range are taken as its nearest end.
#[derive(Debug)]
pub struct RelayBuilder(Parts);

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl RelayBuilder {
    pub(super) fn new(store: Arc<dyn OutboxStore>, bus: Arc<dyn EventBus>) -> Self {
        Self(Parts {
            store,
            bus,
            clock: Arc::new(SystemClock),
            wake: Wake::new(),
            name: format!("{:032x}", u128::from_ne_bytes(random_bytes())),
            source: "/ticketon".to_owned(),
            lease_ms: 15_000,
            poll: Duration::from_millis(250),
            pace: Duration::from_millis(10),
            batch: 100,
            parallel: 8,
            retry_max_ms: 10_000,
        })
    }

    /// Another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.0.clock = clock;
        self
    }

    /// What wakes it, where that was made first.
    #[must_use]
    pub fn wake(mut self, wake: Wake) -> Self {
        self.0.wake = wake;
        self
    }

    /// The `source` of its events, a URI reference; `/ticketon` unless told otherwise.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.0.source = source.into();
        self
    }

    /// How long its leases last without renewal: 15 s, from 1 s to 10 min. It renews them three times as often, and its shards
    /// wait for so long after it died.
    #[must_use]
    pub fn lease(mut self, ttl: Duration) -> Self {
        self.0.lease_ms = ms(ttl).clamp(1_000, 600_000);
        self
    }

    /// How often it looks without being woken: 250 ms, from 10 ms to 10 s, and never less often than its leases need.
    #[must_use]
    pub fn poll(mut self, every: Duration) -> Self {
        self.0.poll = every.clamp(Duration::from_millis(10), Duration::from_secs(10));
        self
    }

    /// The least time from the beginning of a look to that of the next one, unless there was more than could be begun at once:
    /// 10 ms, up to 1 s. Where many commits wake it, one look is for several of them; the first after a rest is seen at once.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Self {
        self.0.pace = pace.min(Duration::from_secs(1));
        self
    }

    /// How many messages of a shard are published at a time: 100, from 1 to 500.
    #[must_use]
    pub fn batch(mut self, messages: usize) -> Self {
        self.0.batch = messages.clamp(1, MAX_READ);
        self
    }

    /// In how many shards it publishes at a time: 8, from 1 to 64.
    #[must_use]
    pub fn parallel(mut self, shards: usize) -> Self {
        self.0.parallel = shards.clamp(1, 64);
        self
    }

    /// The longest pause after failures: 10 s, from 100 ms to 5 min.
    #[must_use]
    pub fn retry_max(mut self, pause: Duration) -> Self {
        self.0.retry_max_ms = ms(pause).clamp(100, 300_000);
        self
    }

    /// Starts it, on the runtime of the caller.
    #[must_use]
    pub fn start(mut self) -> Relay {
        let third = u64::try_from(self.0.lease_ms / 3).unwrap_or(0);
        self.0.poll = self.0.poll.min(Duration::from_millis(third));
        let wake = self.0.wake.clone();
        let (stop, stopped) = watch::channel(false);
        let (health, seen) = watch::channel(RelayHealth {
            running: true,
            ..RelayHealth::default()
        });
        let task = tokio::spawn(Task::new(Arc::new(self.0), health).run(stopped));
        Relay {
            wake,
            health: seen,
            stop,
            task: Mutex::new(Some(task)),
        }
    }
}
