//! Connections that are lent, one to each who asks, up to a limit.
//!
//! A connection comes back only when its work ended as it should: one that was left in the middle, by a fault, a
//! time-out or a caller who went away, is closed, and the database takes back what it was doing. So nobody is ever
//! lent a connection in an unknown state, and none is asked after before each use.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::Connection as _;
use ticketon_queue::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::connection::{Conn, Wire};
use super::fault::Fault;
use super::open::Source;

/// A connection that was idle for longer is asked whether it lives: servers and firewalls end silent ones.
const TRUSTED_FOR: Duration = Duration::from_secs(30);
/// How long it may take to answer that.
const PING_WITHIN: Duration = Duration::from_secs(2);
/// How long a replica may take to give a connection.
const REPLICA_WITHIN: Duration = Duration::from_secs(1);
/// How long a replica that did not is left alone.
const REPLICA_AWAY: Duration = Duration::from_secs(5);

/// A number of connections to one database.
#[derive(Debug, Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    source: Source,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<(Conn, Instant)>>,
    line: Line,
}

/// A connection that somebody has.
pub(super) struct Lent {
    conn: Option<Conn>,
    pool: Arc<Inner>,
    _slot: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(source: Source, size: u32, line: Line) -> Self {
        Self(Arc::new(Inner {
            source,
            slots: Arc::new(Semaphore::new(size.max(1) as usize)),
            idle: Mutex::default(),
            line,
        }))
    }

    /// Lends a connection, once one is free.
    pub(super) async fn lend(&self) -> Result<Lent, Fault> {
        let inner = &self.0;
        let slots = || Arc::clone(&inner.slots);
        let slot = match slots().try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => {
                let acquired = inner.line.wait(slots().acquire_owned()).await?;
                acquired.map_err(|closed| Fault::Failed(closed.into()))?
            }
        };
        let mut lent = Lent {
            conn: None,
            pool: Arc::clone(inner),
            _slot: slot,
        };
        while lent.conn.is_none() {
            // Taken out in a statement of its own: the lock is not held while the database is asked.
            let idle = inner.idle().pop();
            lent.conn = match idle {
                Some((conn, since)) if since.elapsed() < TRUSTED_FOR => Some(conn),
                Some((conn, _)) => living(conn).await,
                None => Some(inner.source.connect().await?),
            };
        }
        Ok(lent)
    }

    /// Closes the connections that nobody has: after one of them was lost, the others are likely to be.
    pub(super) fn forget_idle(&self) {
        self.0.idle().clear();
    }
}

/// Connections to a replica, which may be away: then listings come from the primary.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    pool: Pool,
    away_until: Arc<Mutex<Option<Instant>>>,
}

impl Replica {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            away_until: Arc::default(),
        }
    }

    /// Lends a connection, unless the replica is away or was a moment ago.
    pub(super) async fn lend(&self) -> Option<(Lent, Pool)> {
        let away = *self.away();
        if away.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        match timeout(REPLICA_WITHIN, self.pool.lend()).await {
            Ok(Ok(lent)) => {
                *self.away() = None;
                Some((lent, self.pool.clone()))
            }
            lost => {
                if away.is_none() {
                    let why = lost.err().map_or("it refuses", |_| "it does not answer");
                    tracing::warn!(target: "ticketon::sql", why, "the replica is away: the primary serves listings");
                }
                *self.away() = Some(Instant::now() + REPLICA_AWAY);
                None
            }
        }
    }

    fn away(&self) -> MutexGuard<'_, Option<Instant>> {
        self.away_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn living(mut conn: Conn) -> Option<Conn> {
    let answered = match conn.wire() {
        #[cfg(feature = "sqlite")]
        Wire::Sqlite(conn) => timeout(PING_WITHIN, conn.ping()).await,
        #[cfg(feature = "mysql")]
        Wire::MySql(conn) => timeout(PING_WITHIN, conn.ping()).await,
    };
    matches!(answered, Ok(Ok(()))).then_some(conn)
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, Vec<(Conn, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    /// The connection; there is one until it is given back.
    pub(super) fn conn(&mut self) -> Result<&mut Conn, Fault> {
        let gone = || Fault::Corrupt("a connection was given back already".to_owned());
        self.conn.as_mut().ok_or_else(gone)
    }

    /// Gives it back, in no transaction.
    pub(super) fn give_back(mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool.idle().push((conn, Instant::now()));
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The source knows a password.
        f.debug_struct("Pool")
            .field("free", &self.slots.available_permits())
            .field("idle", &self.idle().len())
            .field("waiting", &self.line.waiting())
            .finish_non_exhaustive()
    }
}

/// Those who wait for a connection: how many may, and how long.
#[derive(Debug, Clone)]
pub(super) struct Line {
    waiting: Arc<AtomicUsize>,
    limit: usize,
    within: Duration,
}

impl Line {
    pub(super) fn new(limit: usize, within: Duration) -> Self {
        Self {
            waiting: Arc::default(),
            limit,
            within,
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Waits in line.
    ///
    /// # Errors
    /// [`StoreError::Busy`] at once if the line is full, and once the time is over.
    pub(super) async fn wait<T>(&self, what: impl Future<Output = T>) -> Result<T, Fault> {
        let place = Place::take(self)?;
        let got = timeout(self.within, what).await;
        drop(place);
        got.map_err(|_| self.busy().into())
    }

    fn busy(&self) -> StoreError {
        StoreError::Busy {
            waiting: self.waiting(),
            limit: self.limit,
        }
    }
}

/// Counts one who waits, for as long as it does.
struct Place<'a>(&'a Line);

impl<'a> Place<'a> {
    fn take(line: &'a Line) -> Result<Self, Fault> {
        let place = Self(line);
        if line.waiting.fetch_add(1, Ordering::AcqRel) >= line.limit {
            return Err(line.busy().into());
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
