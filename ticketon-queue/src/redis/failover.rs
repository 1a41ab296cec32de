//! A connection that is made anew when the master may have moved.
//!
//! The old one stays in use meanwhile: of a cluster only some slots may be cut off. That a cluster's
//! connection recovers by itself is not enough: with many calls under way in a failover, that of redis
//! 1.8.1 may stop for good (it waits for a lock that goes to requests which it does not poll meanwhile).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ::redis::ConnectionAddr;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::dial::{Connection, Dial, Dialled};

/// The shortest time between two new connections.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// The pause after an attempt that failed, doubled each time up to [`RENEW_EVERY`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// How often the Sentinels are asked where the master is. One that was replaced while it lives goes on for
/// seconds as if nothing had happened, and what is written to it then is lost.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// The connection that is in use, and the way to the next one.
pub(super) struct Moving {
    dial: Dial,
    current: Mutex<Current>,
    /// Tells of each new generation.
    newest: watch::Sender<u64>,
}

struct Current {
    connection: Connection,
    master: Option<ConnectionAddr>,
    /// Counts the connections, so that one that was replaced already is not replaced again.
    generation: u64,
    since: Instant,
    renewing: bool,
}

impl Moving {
    pub(super) fn new(dial: Dial, first: Dialled) -> Arc<Self> {
        let has_one_master = first.master.is_some();
        let current = Current {
            connection: first.connection,
            master: first.master,
            generation: 0,
            since: Instant::now(),
            renewing: false,
        };
        let moving = Arc::new(Self {
            dial,
            current: Mutex::new(current),
            newest: watch::Sender::new(0),
        });
        if has_one_master {
            tokio::spawn(watch(Arc::downgrade(&moving)));
        }
        moving
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.dial, Dial::Cluster(_))
    }

    /// The connection to use now, and its generation.
    pub(super) fn current(&self) -> (u64, Connection) {
        let current = self.lock();
        (current.generation, current.connection.clone())
    }

    /// Says that the connection of this generation does not serve: another one is made in the background.
    pub(super) fn renew(self: &Arc<Self>, generation: u64) {
        let since = {
            let mut current = self.lock();
            if current.generation != generation || current.renewing {
                return;
            }
            current.renewing = true;
            current.since
        };
        let renewal = Renewal(Arc::clone(self));
        tokio::spawn(async move {
            // The first replacement is due at once; one that does not serve either is not replaced in a hurry.
            if generation > 0 {
                sleep_until(since + RENEW_EVERY).await;
            }
            renewal.finish().await;
        });
    }

    /// Waits for a connection that is newer than this generation.
    pub(super) async fn renewed_after(&self, generation: u64) {
        let mut newest = self.newest.subscribe();
        // The sender lives as long as this.
        let _ = newest.wait_for(|newest| *newest > generation).await;
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the master when the Sentinels choose another, for as long as the store is in use.
async fn watch(moving: Weak<Moving>) {
    loop {
        sleep(WATCH_EVERY).await;
        let Some(moving) = moving.upgrade() else {
            return;
        };
        // Without an answer the next call will tell whether the connection still serves.
        let Ok(master) = moving.dial.master().await else {
            continue;
        };
        let (known, generation) = {
            let current = moving.lock();
            (current.master.clone(), current.generation)
        };
        if master != known {
            tracing::info!(target: "ticketon::store", "the Sentinels name another master");
            moving.renew(generation);
        }
    }
}

/// The one renewal under way; it counts as ended however its task ends.
struct Renewal(Arc<Moving>);

impl Renewal {
    async fn finish(self) {
        let mut pause = FIRST_PAUSE;
        // A store that nobody has any more asks no longer.
        while Arc::strong_count(&self.0) > 1 {
            match self.0.dial.connect().await {
                Ok(next) => {
                    let mut current = self.0.lock();
                    current.connection = next.connection;
                    current.master = next.master;
                    current.generation += 1;
                    current.since = Instant::now();
                    self.0.newest.send_replace(current.generation);
                    tracing::info!(target: "ticketon::store", generation = current.generation, "connected to Redis anew");
                    return;
                }
                Err(error) => {
                    tracing::debug!(target: "ticketon::store", %error, "Redis has no master to connect to yet");
                    sleep(pause).await;
                    pause = (pause * 2).min(RENEW_EVERY);
                }
            }
        }
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.lock().renewing = false;
    }
}
