//! Transactions: begun, worked in, committed, and begun again where that is safe.

use std::time::Duration;

use ticketon_queue::id::random_bytes;
use ticketon_queue::{Clock as _, StoreError, SystemClock};
use tokio::time::{Instant, timeout_at};

use super::connection::Conn;
use super::fault::Fault;
use super::pool::{Lent, Pool};
use super::statement::Dialect;
use super::store::{Primary, SqlStore};
#[cfg(feature = "sqlite")]
use super::writer::Turn;

/// How often a transaction is tried at the most.
const MAX_ATTEMPTS: u32 = 10;
/// How long the pause before the second attempt is at the most; each further one is up to twice as long.
const FIRST_PAUSE_MS: u64 = 5;
/// The longest pause.
const MAX_PAUSE_MS: u64 = 500;

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// All that was acknowledged before.
    Fresh,
    /// A replica's, some seconds old: for listings.
    MayLag,
}

/// Does some work in one transaction, all of it or none: `transaction!(store, "what for", |conn| { .. Ok(value) })`.
///
/// The block is that of an async function which returns `Result<T, Fault>`; `return` and `?` leave the block alone. It
/// may run several times: the module's docs say when. The macro gives `Result<T, StoreError>`; the outcome is unknown
/// if that is [`StoreError::Unavailable`]. (A macro, since a closure that borrows both its connection and what it
/// captures cannot yet be known to be `Send`.)
macro_rules! transaction {
    ($store:expr, $context:expr, |$conn:ident| $work:block) => {
        $crate::adapter::sql::transaction!($store, $context, $store.limits.within, |$conn| $work)
    };
    ($store:expr, $context:expr, $within:expr, |$conn:ident| $work:block) => {
        $crate::adapter::sql::transaction::attempts!($context, $within, async {
            let mut session = $store.begin().await?;
            let outcome = {
                let $conn: &mut $crate::adapter::sql::connection::Conn = session.conn()?;
                $crate::adapter::sql::transaction::work(async { $work }).await
            };
            session.settle(outcome).await
        })
    };
}

/// Reads, outside of a transaction: one statement sees one moment, two may see two. See [`transaction!`].
macro_rules! read {
    ($store:expr, $context:expr, $reading:expr, |$conn:ident| $work:block) => {
        $crate::adapter::sql::transaction::attempts!($context, $store.limits.within, async {
            let mut session = $store.begin_reading($reading).await?;
            let outcome = {
                let $conn: &mut $crate::adapter::sql::connection::Conn = session.conn()?;
                $crate::adapter::sql::transaction::work(async { $work }).await
            };
            session.settle(outcome).await
        })
    };
}

/// Reads several times, and all of it as of one moment. See [`transaction!`].
macro_rules! snapshot {
    ($store:expr, $context:expr, |$conn:ident| $work:block) => {
        $crate::adapter::sql::transaction::attempts!($context, $store.limits.within, async {
            let reading = $crate::adapter::sql::transaction::Reading::Fresh;
            let mut session = $store.begin_reading(reading).await?;
            // A fault on the way drops the connection, and with it the snapshot.
            session.begin_snapshot().await?;
            let outcome = {
                let $conn: &mut $crate::adapter::sql::connection::Conn = session.conn()?;
                $crate::adapter::sql::transaction::work(async { $work }).await
            };
            session.end_snapshot().await?;
            session.settle(outcome).await
        })
    };
}

/// Tries until it is done, may not be tried again, or the time is over.
macro_rules! attempts {
    ($context:expr, $within:expr, $attempt:expr) => {{
        let mut attempts = $crate::adapter::sql::transaction::Attempts::new($within);
        loop {
            match attempts.bound($attempt).await {
                Ok(value) => break Ok(value),
                Err(fault) => {
                    if let Err(error) = attempts.again_after(fault, $context).await {
                        break Err(error);
                    }
                }
            }
        }
    }};
}

pub(super) use {attempts, read, snapshot, transaction};

/// Names the type of a block.
pub(super) async fn work<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    work.await
}

impl SqlStore {
    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Session, Fault> {
        match &self.primary {
            #[cfg(feature = "sqlite")]
            Primary::File(writer) => Ok(Session::Turn(writer.begin().await?)),
            // The first statement begins it.
            Primary::Server(pool) => Ok(Session::Writing(pool.lend().await?, pool.clone())),
        }
    }

    /// Gets a connection that only reads.
    pub(super) async fn begin_reading(&self, reading: Reading) -> Result<Session, Fault> {
        let pool = match reading {
            Reading::MayLag => self.replica.as_ref().or(self.reader.as_ref()),
            Reading::Fresh => self.reader.as_ref(),
        };
        match pool {
            Some(pool) => Ok(Session::Reading(pool.lend().await?, pool.clone())),
            // A database in memory has one connection.
            None => self.begin().await,
        }
    }
}

/// A connection that a work has, on either kind of database.
pub(super) enum Session {
    #[cfg(feature = "sqlite")]
    Turn(Turn),
    Writing(Lent, Pool),
    Reading(Lent, Pool),
}

impl Session {
    pub(super) fn conn(&mut self) -> Result<&mut Conn, Fault> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Turn(turn) => turn.conn(),
            Self::Writing(lent, _) | Self::Reading(lent, _) => lent.conn(),
        }
    }

    /// From here on what is read is as of one moment, whatever the isolation level of other reads.
    pub(super) async fn begin_snapshot(&mut self) -> Result<(), Fault> {
        let Self::Reading(lent, _) = self else {
            // A transaction of the one connection that there is: nobody else writes.
            return Ok(());
        };
        let conn = lent.conn()?;
        match conn.dialect() {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => conn.command("BEGIN").await,
            #[cfg(feature = "mysql")]
            Dialect::MySql => {
                conn.command(
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
                     START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
                )
                .await
            }
        }
    }

    pub(super) async fn end_snapshot(&mut self) -> Result<(), Fault> {
        match self {
            Self::Reading(lent, _) => lent.conn()?.command("COMMIT").await,
            _ => Ok(()),
        }
    }

    /// Commits what was done, or takes it back: after a fault, and where the work wants so.
    pub(super) async fn settle<T>(mut self, outcome: Result<T, Fault>) -> Result<T, Fault> {
        let undo = self.conn().map_or(true, Conn::wants_undo) || outcome.is_err();
        let lost = outcome.as_ref().is_err_and(Fault::loses_connection);
        match self {
            #[cfg(feature = "sqlite")]
            Self::Turn(turn) if undo => {
                let undone = turn.roll_back().await;
                // Its own fault comes first, whatever becomes of the others in the group.
                let value = outcome?;
                undone.map(|()| value)
            }
            #[cfg(feature = "sqlite")]
            Self::Turn(turn) => {
                turn.commit().await?;
                outcome
            }
            Self::Writing(_, pool) | Self::Reading(_, pool) if lost => {
                pool.forget_idle();
                outcome
            }
            Self::Reading(lent, _) => {
                lent.give_back();
                outcome
            }
            Self::Writing(mut lent, _) if undo => {
                // If this fails the connection is closed, and the work is taken back by that.
                if lent.conn()?.command("ROLLBACK").await.is_ok() {
                    lent.give_back();
                }
                outcome
            }
            Self::Writing(mut lent, pool) => match lent.conn()?.command("COMMIT").await {
                Ok(()) => {
                    lent.give_back();
                    outcome
                }
                Err(fault) => {
                    pool.forget_idle();
                    Err(fault.in_commit())
                }
            },
        }
    }
}

/// Attempts of one transaction.
pub(super) struct Attempts {
    made: u32,
    until: Instant,
    within: Duration,
}

impl Attempts {
    pub(super) fn new(within: Duration) -> Self {
        Self {
            made: 0,
            until: Instant::now() + within,
            within,
        }
    }

    /// Cuts an attempt off when the time of all is over. Its connection is closed, so what was not committed is not done.
    pub(super) async fn bound<T>(
        &self,
        attempt: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        match timeout_at(self.until, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::Failed(
                format!("no answer within {:?}", self.within).into(),
            )),
        }
    }

    /// Pauses before the next attempt, if there may be one.
    pub(super) async fn again_after(
        &mut self,
        fault: Fault,
        context: &'static str,
    ) -> Result<(), StoreError> {
        self.made += 1;
        let Fault::Again(reason) = fault else {
            return Err(fault.into_store_error(context));
        };
        let longest = MAX_PAUSE_MS.min(FIRST_PAUSE_MS << self.made.min(16));
        // Random, so that two who stood in each other's way do not do so again.
        let pause = Duration::from_millis(1 + u64::from_be_bytes(random_bytes()) % longest);
        if self.made >= MAX_ATTEMPTS || Instant::now() + pause >= self.until {
            return Err(Fault::Again(reason).into_store_error(context));
        }
        tracing::debug!(target: "ticketon::sql", context, %reason, attempt = self.made, "trying again");
        SystemClock.sleep(pause).await;
        Ok(())
    }
}
