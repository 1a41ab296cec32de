//! The store that a host holds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ticketon_queue::StoreError;

use super::catalog::Layouts;
use super::open::Source;
use super::outbox::Records;
use super::pool::{Line, Pool, Replica};
use super::transaction::Reading;
#[cfg(feature = "sqlite")]
use super::writer::Writer;
use super::{read, transaction};

/// How much a [`SqlStore`] asks of its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqlLimits {
    /// Connections that write. SQLite has one.
    pub writers: u32,
    /// Connections that only read, at the primary and again at the replica.
    pub readers: u32,
    /// How many calls may wait for a connection.
    pub waiting: usize,
    /// How long each of them waits.
    pub wait: Duration,
    /// How long a call may take in all.
    pub within: Duration,
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self {
            writers: 16,
            readers: 8,
            waiting: 1_024,
            wait: Duration::from_secs(3),
            within: Duration::from_secs(10),
        }
    }
}

/// Events, orders and tickets in SQLite, MySQL or MariaDB. Clones share their connections.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use ticketon_domain::adapter::sql::SqlStore;
/// use ticketon_domain::event::{Catalog, EventQuery};
/// // In production: SqlStore::connect("mysql://user:password@host/shop?ssl-mode=VERIFY_IDENTITY")
/// let store = SqlStore::sqlite(":memory:").await?;
/// store.migrate().await?;
/// assert!(store.list(&EventQuery::default()).await?.items.is_empty());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct SqlStore {
    pub(super) primary: Primary,
    /// `None` where the one connection does it all.
    pub(super) reader: Option<Pool>,
    pub(super) replica: Option<Replica>,
    pub(super) limits: SqlLimits,
    pub(super) layouts: Arc<Layouts>,
    /// What relays of this process have published and is being written down.
    pub(super) records: Arc<Records>,
}

/// Where is written.
#[derive(Debug, Clone)]
pub(super) enum Primary {
    #[cfg(feature = "sqlite")]
    File(Writer),
    #[cfg_attr(
        not(feature = "mysql"),
        allow(dead_code, reason = "no server is spoken to")
    )]
    Server(Pool),
}

impl SqlStore {
    /// Opens a file of SQLite, which is made if there is none; or a database in memory, `:memory:`, which ends with the
    /// store.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be opened.
    #[cfg(feature = "sqlite")]
    pub async fn sqlite(path: impl AsRef<str>) -> Result<Self, StoreError> {
        Self::open(Source::file(path.as_ref()), SqlLimits::default()).await
    }

    /// Connects to `sqlite:path`, `sqlite::memory:` or `mysql://user:password@host:port/database`.
    ///
    /// # Errors
    /// [`StoreError::Address`] if the address cannot be read; [`StoreError::Unavailable`] if nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, SqlLimits::default()).await
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// See [`connect`](Self::connect).
    pub async fn connect_with(url: &str, limits: SqlLimits) -> Result<Self, StoreError> {
        Self::open(Source::of(url)?, limits).await
    }

    /// The same for a program that only reads. A file must be there, and stays as it is: nothing is made or migrated, and
    /// whatever would write fails. Ask [`is_migrated`](Self::is_migrated) first.
    ///
    /// # Errors
    /// See [`connect`](Self::connect); a database in memory has nothing to be read.
    pub async fn connect_read_only(url: &str) -> Result<Self, StoreError> {
        let source = Source::of(url)?;
        if source.in_memory() {
            return Err(StoreError::Address {
                detail: "a database in memory is empty: there is nothing to read".to_owned(),
            });
        }
        let source = match source {
            #[cfg(feature = "sqlite")]
            Source::Sqlite(options) => Source::Sqlite(Box::new(super::sqlite::read_only(&options))),
            #[cfg(feature = "mysql")]
            server @ Source::MySql { .. } => reading(server),
        };
        let store = Self::over(source, SqlLimits::default());
        let context = "connect to the database to read";
        read!(store, context, Reading::Fresh, |conn| {
            conn.row("SELECT 1", &[]).await
        })?;
        Ok(store)
    }

    /// Reads listings, which may be some seconds old, from a replica of this address. It is connected to when it is
    /// first needed.
    ///
    /// # Errors
    /// [`StoreError::Address`] if the address cannot be read.
    pub fn read_replica(mut self, url: &str) -> Result<Self, StoreError> {
        let source = reading(Source::of(url)?);
        let pool = Pool::new(source, self.limits.readers, line(&self.limits));
        self.replica = Some(Replica::new(pool));
        Ok(self)
    }

    fn over(source: Source, limits: SqlLimits) -> Self {
        let in_memory = source.in_memory();
        let reader = Pool::new(reading(source.clone()), limits.readers, line(&limits));
        Self {
            primary: match source {
                #[cfg(feature = "sqlite")]
                Source::Sqlite(_) => Primary::File(Writer::new(source, line(&limits), in_memory)),
                #[cfg(feature = "mysql")]
                Source::MySql { .. } => {
                    Primary::Server(Pool::new(source, limits.writers, line(&limits)))
                }
            },
            reader: (!in_memory).then_some(reader),
            replica: None,
            limits,
            layouts: Arc::default(),
            records: Arc::default(),
        }
    }

    async fn open(source: Source, limits: SqlLimits) -> Result<Self, StoreError> {
        let store = Self::over(source, limits);
        transaction!(store, "connect to the database", |conn| {
            conn.row("SELECT 1", &[]).await
        })?;
        Ok(store)
    }
}

/// A source of connections that only read.
fn reading(source: Source) -> Source {
    match source {
        #[cfg(feature = "sqlite")]
        Source::Sqlite(options) => Source::Sqlite(Box::new(super::sqlite::reading(*options))),
        #[cfg(feature = "mysql")]
        Source::MySql { options, .. } => Source::MySql {
            options,
            writes: false,
        },
    }
}

fn line(limits: &SqlLimits) -> Line {
    Line::new(limits.waiting, limits.wait)
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("primary", &self.primary)
            .field("reader", &self.reader)
            .field("replica", &self.replica)
            .finish_non_exhaustive()
    }
}
