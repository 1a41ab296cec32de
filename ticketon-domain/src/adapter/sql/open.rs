//! Where connections come from: the address of a database, read and made ready.

use std::time::Duration;

use ticketon_queue::StoreError;
use tokio::time::timeout;

use super::connection::{Conn, Wire};
use super::fault::Fault;

/// How long opening a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A database that connections can be opened to.
#[derive(Debug, Clone)]
pub(super) enum Source {
    #[cfg(feature = "sqlite")]
    Sqlite(Box<sqlx::sqlite::SqliteConnectOptions>),
    #[cfg(feature = "mysql")]
    MySql {
        options: Box<sqlx::mysql::MySqlConnectOptions>,
        /// Whether statements begin a transaction by themselves, which saves asking for one.
        writes: bool,
    },
}

impl Source {
    /// Reads an address: `sqlite:path`, `sqlite::memory:`, `mysql://user:password@host:port/database`.
    pub(super) fn of(url: &str) -> Result<Self, StoreError> {
        #[cfg(feature = "sqlite")]
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Ok(Self::file(path.strip_prefix("//").unwrap_or(path)));
        }
        #[cfg(feature = "mysql")]
        if url.starts_with("mysql://") || url.starts_with("mariadb://") {
            let options = Box::new(super::mysql::options(url)?);
            return Ok(Self::MySql {
                options,
                writes: true,
            });
        }
        let known = [
            cfg!(feature = "sqlite").then_some("sqlite:path"),
            cfg!(feature = "mysql").then_some("mysql://user:password@host:port/database"),
        ];
        let known: Vec<&str> = known.into_iter().flatten().collect();
        // Not repeated: it may have a password in it.
        let detail = format!("it does not begin like {}", known.join(" or "));
        Err(StoreError::Address { detail })
    }

    /// A file of SQLite, or `:memory:`.
    #[cfg(feature = "sqlite")]
    pub(super) fn file(path: &str) -> Self {
        Self::Sqlite(Box::new(super::sqlite::options(path)))
    }

    /// Whether it is a database in memory, which lives as long as its one connection.
    pub(super) fn in_memory(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(options) => super::sqlite::in_memory(options),
            #[cfg(feature = "mysql")]
            Self::MySql { .. } => false,
        }
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<Conn, Fault> {
        use sqlx::ConnectOptions as _;
        let connecting = async {
            match self {
                #[cfg(feature = "sqlite")]
                Self::Sqlite(options) => Ok(Conn::new(Wire::Sqlite(options.connect().await?))),
                #[cfg(feature = "mysql")]
                Self::MySql { options, writes } => {
                    let mut conn = Conn::new(Wire::MySql(options.connect().await?));
                    conn.command(super::mysql::SETTINGS).await?;
                    let kind = if *writes {
                        "SET SESSION autocommit = 0"
                    } else {
                        "SET SESSION TRANSACTION READ ONLY"
                    };
                    conn.command(kind).await?;
                    Ok(conn)
                }
            }
        };
        timeout(CONNECT_WITHIN, connecting)
            .await
            .unwrap_or_else(|_| Err(Fault::again("no connection within 5 s")))
    }
}
