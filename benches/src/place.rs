//! Databases that the benchmarks write into: files of SQLite, and those of a private MariaDB.

use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_tests::MariaDb;

/// Where databases are made.
#[derive(Debug)]
pub(crate) enum Place {
    Sqlite(TempDir, AtomicU32),
    MariaDb(Box<MariaDb>),
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a folder"), AtomicU32::new(0))
    }

    pub(crate) async fn mariadb() -> Self {
        Self::MariaDb(Box::new(
            MariaDb::start_with(&["--innodb-buffer-pool-size=512M"]).await,
        ))
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(..) => "SQLite",
            Self::MariaDb(_) => "MariaDB",
        }
    }

    /// The address of an empty database.
    pub(crate) async fn fresh_url(&self) -> String {
        match self {
            Self::Sqlite(folder, count) => {
                let number = count.fetch_add(1, Ordering::Relaxed);
                format!(
                    "sqlite:{}",
                    folder.path().join(format!("{number}.db")).display()
                )
            }
            Self::MariaDb(server) => server.fresh_database().await,
        }
    }

    /// A store over a database, with all tables.
    pub(crate) async fn store(&self, url: &str) -> SqlStore {
        let store = SqlStore::connect(url).await.expect("a connection");
        store.migrate().await.expect("tables");
        store
    }

    /// A store over an empty database.
    pub(crate) async fn fresh_store(&self) -> SqlStore {
        self.store(&self.fresh_url().await).await
    }
}
