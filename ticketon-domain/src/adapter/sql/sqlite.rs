//! How connections to SQLite are set up.

use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

/// How long a transaction waits for another process that writes into the same file.
const BUSY_WITHIN: Duration = Duration::from_secs(5);

/// A write-ahead log, so that readers and the writer do not wait for each other; synchronous at every commit, so that
/// what was acknowledged survives a loss of power.
pub(super) fn options(path: &str) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new();
    let options = if path == ":memory:" {
        options.in_memory(true)
    } else {
        options
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
    };
    options
        .foreign_keys(true)
        .busy_timeout(BUSY_WITHIN)
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// The same for connections that only read.
pub(super) fn reading(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.create_if_missing(false).pragma("query_only", "1")
}

/// The same for a program that only reads: the file is opened as it is, and nothing of it is changed.
pub(super) fn read_only(options: &SqliteConnectOptions) -> SqliteConnectOptions {
    let file = SqliteConnectOptions::new().filename(options.get_filename());
    reading(file)
        .read_only(true)
        .busy_timeout(BUSY_WITHIN)
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// Whether it is a database in memory.
pub(super) fn in_memory(options: &SqliteConnectOptions) -> bool {
    // The driver gives such a database a made-up name.
    options
        .get_filename()
        .to_string_lossy()
        .contains(":memory:")
}
