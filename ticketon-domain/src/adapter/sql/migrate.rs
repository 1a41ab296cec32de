//! The tables, and how they come to be.
//!
//! One numbered list of steps for each database, embedded in the program. A step that was released is never edited:
//! its hash is stored beside its number. SQLite makes all steps in one transaction. MySQL commits after each statement
//! that makes a table, so there a step may break off in the middle: each may run again as a whole.

use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use ticketon_queue::StoreError;

use super::connection::Conn;
use super::fault::Fault;
use super::statement::Dialect;
use super::store::SqlStore;
use super::transaction::Reading;
use super::{each, read, transaction, values};

/// How long all steps may take: a later one may rewrite a large table.
const MIGRATE_WITHIN: Duration = Duration::from_secs(3_600);

/// Number, name and text.
type Step = (i64, &'static str, &'static str);

macro_rules! steps {
    ($folder:literal: $($number:literal $name:literal),* $(,)?) => {
        &[$(($number, $name, include_str!(concat!("migrations/", $folder, "/", $name, ".sql")))),*]
    };
}

#[cfg(feature = "sqlite")]
const SQLITE: &[Step] = steps!("sqlite":
    1 "0001_catalog", 2 "0002_purchases", 3 "0003_outbox", 4 "0004_audit", 5 "0005_sandbox", 6 "0006_relays");
#[cfg(feature = "mysql")]
const MYSQL: &[Step] = steps!("mysql":
    1 "0001_catalog", 2 "0002_purchases", 3 "0003_outbox", 4 "0004_audit", 5 "0005_sandbox", 6 "0006_relays");

const fn steps(dialect: Dialect) -> &'static [Step] {
    match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => SQLITE,
        #[cfg(feature = "mysql")]
        Dialect::MySql => MYSQL,
    }
}

impl SqlStore {
    /// Makes the tables, or brings them up to this version of the program. Several processes may do so at once; again
    /// is harmless.
    ///
    /// # Errors
    /// [`StoreError::Unsafe`] if a newer version of the program made the tables, or a step was edited;
    /// [`StoreError::Unavailable`] if the database cannot be reached, or refuses a step.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        transaction!(self, "migrate the database", MIGRATE_WITHIN, |conn| {
            lock(conn).await?;
            let migrated = run_steps(conn).await;
            // Also after a fault: the connection may be lent again.
            unlock(conn).await?;
            migrated
        })
    }

    /// Whether the tables are those of this version of the program: what a start without [`migrate`](Self::migrate)
    /// asks first.
    ///
    /// # Errors
    /// [`StoreError::Unsafe`], with what to do, if they are not; [`StoreError`] if that cannot be asked.
    pub async fn is_migrated(&self) -> Result<(), StoreError> {
        let context = "look at the version of the tables";
        read!(self, context, Reading::Fresh, |conn| {
            let exists = each!(
                sqlite: "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_steps'",
                mysql: "SELECT 1 FROM information_schema.tables \
                        WHERE table_schema = DATABASE() AND table_name = 'schema_steps'",
            );
            let done = match conn.row(exists, &[]).await? {
                Some(_) => made(conn).await?,
                None => Vec::new(),
            };
            let missing = check(steps(conn.dialect()), &done)?;
            if missing.is_empty() {
                return Ok(());
            }
            Err(refuse(&format!(
                "its tables are of version {}, this program needs version {}: migrate the database first",
                done.len(),
                done.len() + missing.len()
            )))
        })
    }
}

async fn run_steps(conn: &mut Conn) -> Result<(), Fault> {
    let table = each!(
        sqlite: "CREATE TABLE IF NOT EXISTS schema_steps \
                 (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL) STRICT",
        mysql: "CREATE TABLE IF NOT EXISTS schema_steps \
                (number BIGINT NOT NULL PRIMARY KEY, name VARBINARY(64) NOT NULL, hash VARBINARY(64) NOT NULL) \
                ENGINE = InnoDB",
    );
    conn.run(table, &[]).await?;
    let done = made(conn).await?;
    for (number, name, text) in check(steps(conn.dialect()), &done)? {
        conn.command(text).await?;
        let sql = "INSERT INTO schema_steps (number, name, hash) VALUES (?, ?, ?)";
        conn.run(sql, values![*number, *name, &hash(text)]).await?;
    }
    keep(conn).await
}

/// Commits before the lock is given back, so that the next process sees what was made. SQLite has no lock but the
/// transaction itself.
async fn keep(conn: &mut Conn) -> Result<(), Fault> {
    match conn.dialect() {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => Ok(()),
        #[cfg(feature = "mysql")]
        Dialect::MySql => conn.command("COMMIT").await,
    }
}

/// The numbers and hashes of the steps that were made.
async fn made(conn: &mut Conn) -> Result<Vec<(i64, String)>, Fault> {
    let rows = conn
        .rows("SELECT number, hash FROM schema_steps ORDER BY number", &[])
        .await?;
    rows.iter()
        .map(|row| Ok((row.int("number")?, row.text("hash")?)))
        .collect()
}

/// The steps that are still to be made, if those that were made are the first ones.
fn check<'a>(steps: &'a [Step], made: &[(i64, String)]) -> Result<&'a [Step], Fault> {
    if made.len() > steps.len() {
        return Err(refuse(&format!(
            "its tables are of version {}, this program knows version {}: run a newer version of the program",
            made.len(),
            steps.len()
        )));
    }
    let (first, rest) = steps.split_at(made.len());
    for ((number, name, text), (made, made_hash)) in first.iter().zip(made) {
        if number != made || hash(text) != *made_hash {
            return Err(refuse(&format!(
                "step {number} ({name}) of its tables was made by another text than this program has: the \
                 database is another program's, or one from before the first release; begin with an empty one"
            )));
        }
    }
    Ok(rest)
}

fn refuse(detail: &str) -> Fault {
    StoreError::Unsafe {
        detail: format!("the database is not this program's: {detail}"),
    }
    .into()
}

fn hash(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// One process at a time. A transaction of SQLite has the file to itself anyway.
async fn lock(conn: &mut Conn) -> Result<(), Fault> {
    let sql = each!(
        sqlite: "SELECT 1 AS got",
        mysql: "SELECT GET_LOCK(CONCAT('ticketon ', MD5(DATABASE())), 3600) AS got",
    );
    match conn.row(sql, &[]).await? {
        Some(row) if row.opt_int("got")? == Some(1) => Ok(()),
        _ => Err(Fault::race("somebody else migrates the database")),
    }
}

async fn unlock(conn: &mut Conn) -> Result<(), Fault> {
    let sql = each!(
        sqlite: "SELECT 1",
        mysql: "SELECT RELEASE_LOCK(CONCAT('ticketon ', MD5(DATABASE())))",
    );
    conn.row(sql, &[]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_have_the_same_steps() {
        #[cfg(all(feature = "sqlite", feature = "mysql"))]
        assert!(
            SQLITE
                .iter()
                .zip(MYSQL)
                .all(|(a, b)| (a.0, a.1) == (b.0, b.1))
                && SQLITE.len() == MYSQL.len()
        );
    }

    #[test]
    fn only_the_first_steps_may_have_been_made() {
        let known: [Step; 2] = [(1, "a", "x"), (2, "b", "y")];
        let made = |steps: &[Step]| -> Vec<(i64, String)> {
            steps
                .iter()
                .map(|(number, _, text)| (*number, hash(text)))
                .collect()
        };
        assert_eq!(check(&known, &[]).unwrap().len(), 2);
        assert_eq!(check(&known, &made(&known[..1])).unwrap(), &known[1..]);
        assert!(check(&known, &made(&known)).unwrap().is_empty());
        assert!(check(&known, &made(&[(1, "a", "edited")])).is_err());
        assert!(check(&known, &made(&known[1..])).is_err());
        assert!(check(&known[..1], &made(&known)).is_err());
    }
}
