//! How connections to MySQL and MariaDB are set up.

use std::str::FromStr;

use sqlx::ConnectOptions as _;
use sqlx::mysql::MySqlConnectOptions;
use ticketon_queue::StoreError;

/// What each connection is told first, in one message.
///
/// - Values that do not fit are refused, never shortened.
/// - READ COMMITTED: every verb that decides locks its rows by FOR UPDATE and reads them at that moment. REPEATABLE READ
///   would add locks on gaps between rows, by which purchases that have nothing in common wait for each other, and
///   answer from a snapshot that may be older than the lock.
/// - Whoever waits for a row longer than 5 s is told, and tries again.
/// - MariaDB ends a transaction whose process says nothing for 15 s: one that stands still keeps no rows from the others.
///   MySQL has no such setting, and takes what is between `/*M!` and `*/` for a comment.
pub(super) const SETTINGS: &str = "SET SESSION sql_mode = \
     'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', \
     /*M!100301 SESSION idle_transaction_timeout = 15, */ \
     SESSION innodb_lock_wait_timeout = 5; \
     SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Reads an address. TLS is used if the server has it; `?ssl-mode=VERIFY_IDENTITY` insists, and checks whose it is.
pub(super) fn options(url: &str) -> Result<MySqlConnectOptions, StoreError> {
    let url = url.replacen("mariadb://", "mysql://", 1);
    let refused = |detail: String| StoreError::Address { detail };
    // The driver's message may repeat parts of the address, the password too.
    let options = MySqlConnectOptions::from_str(&url)
        .map_err(|_| refused("it is not mysql://user:password@host:port/database".to_owned()))?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err(refused(
            "it names no database: mysql://user:password@host:port/database".to_owned(),
        ));
    }
    Ok(options
        .charset("utf8mb4")
        .collation("utf8mb4_bin")
        .timezone(Some("+00:00".to_owned()))
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .statement_cache_capacity(256)
        .disable_statement_logging())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_address_does_not_tell_the_password() {
        for url in [
            "mysql://user:secret@host:port/db",
            "mysql://user:secret@host",
            "mysql://user:secret@host/",
        ] {
            let error = options(url).unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("secret"),
                "{error:?}"
            );
        }
        assert!(options("mariadb://user:secret@host/db?ssl-mode=REQUIRED").is_ok());
    }
}
