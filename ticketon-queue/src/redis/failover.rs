//! A connection that is made anew when the master may have moved.
//!
//! The old one stays in use meanwhile: of a cluster only some slots may be cut off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::dial::{Connection, Dial};

/// The shortest time between two new connections.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// The pause after an attempt that failed, doubled each time up to [`RENEW_EVERY`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The connection that is in use, and the way to the next one.
pub(super) struct Moving {
    dial: Dial,
    current: Mutex<Current>,
}

struct Current {
    connection: Connection,
    /// Counts the connections, so that one that was replaced already is not replaced again.
    generation: u64,
    since: Instant,
    renewing: bool,
}

impl Moving {
    pub(super) fn new(dial: Dial, connection: Connection) -> Arc<Self> {
        let current = Current {
            connection,
            generation: 0,
            since: Instant::now(),
            renewing: false,
        };
        Arc::new(Self {
            dial,
            current: Mutex::new(current),
        })
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

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
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
                Ok(connection) => {
                    let mut current = self.0.lock();
                    current.connection = connection;
                    current.generation += 1;
                    current.since = Instant::now();
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
