//! The database of the sale: where it is, and what the judge asks of it, by SQL of its own.

use sqlx::mysql::MySqlPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Row as _};
use tempfile::TempDir;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_tests::MariaDb;

use super::plan::Kind;

/// How rows are tampered with, to see whether the judge notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampered {
    /// A second live ticket on a seat that is sold; the unique key is taken away first.
    TwoTicketsOnASeat,
    /// A live ticket vanishes: the map knows of a sale that the database does not.
    TicketGone,
    /// The text of an audit entry is another.
    AuditEdited,
    /// The last entry of an order's audit is gone.
    AuditCut,
    /// A paid order is said to be not paid.
    OrderForgotten,
    /// A paid order costs less than its seats.
    CheaperOrder,
    /// An event that was published waits in the outbox again.
    OutboxLeft,
}

#[derive(Debug)]
pub(super) struct Database {
    url: String,
    pool: Pool,
    // Dropped last: the server, or the folder, outlives the connections.
    _place: Place,
}

#[derive(Debug)]
#[expect(dead_code, reason = "kept alive, not asked")]
enum Place {
    Folder(TempDir),
    Server(Box<MariaDb>),
}

#[derive(Debug)]
enum Pool {
    Sqlite(SqlitePool),
    MySql(MySqlPool),
}

impl Database {
    /// An empty database with all tables.
    pub(super) async fn open(kind: Kind) -> Self {
        let (url, place) = match kind {
            Kind::Sqlite => {
                let folder =
                    tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
                let file = folder.path().join("sale.db");
                (format!("sqlite:{}", file.display()), Place::Folder(folder))
            }
            Kind::MariaDb => {
                let settings = ["--max-connections=200", "--innodb-buffer-pool-size=256M"];
                let server = MariaDb::start_with(&settings).await;
                (
                    server.fresh_database().await,
                    Place::Server(Box::new(server)),
                )
            }
        };
        let store = SqlStore::connect(&url)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        store
            .migrate()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let connected = match kind {
            Kind::Sqlite => {
                let file = url.trim_start_matches("sqlite:");
                let options = SqliteConnectOptions::new().filename(file);
                SqlitePool::connect_with(options).await.map(Pool::Sqlite)
            }
            Kind::MariaDb => MySqlPool::connect(&url).await.map(Pool::MySql),
        };
        Self {
            url,
            pool: connected.unwrap_or_else(|error| panic!("{error}")),
            _place: place,
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The texts of one column.
    pub(super) async fn texts(&self, sql: &'static str) -> Vec<String> {
        // MySQL keeps ids as bytes, which the driver would not read as texts by itself.
        let found: Result<Vec<String>, sqlx::Error> = match &self.pool {
            Pool::Sqlite(pool) => sqlx::query(sql)
                .fetch_all(pool)
                .await
                .and_then(|rows| rows.iter().map(|row| row.try_get_unchecked(0)).collect()),
            Pool::MySql(pool) => sqlx::query(sql)
                .fetch_all(pool)
                .await
                .and_then(|rows| rows.iter().map(|row| row.try_get_unchecked(0)).collect()),
        };
        found.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// One number.
    pub(super) async fn number(&self, sql: &'static str) -> u64 {
        let found: Result<i64, sqlx::Error> = match &self.pool {
            Pool::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await,
            Pool::MySql(pool) => sqlx::query_scalar(sql).fetch_one(pool).await,
        };
        let found = found.unwrap_or_else(|error| panic!("{sql}: {error}"));
        u64::try_from(found).unwrap_or(0)
    }

    /// Changes rows behind everybody's back. SQLite only.
    pub(super) async fn tamper(&self, how: Tampered) {
        let Pool::Sqlite(pool) = &self.pool else {
            panic!("only a file of SQLite is tampered with");
        };
        // How it was, for `mend`.
        for table in TABLES {
            for sql in [
                format!("DROP TABLE IF EXISTS kept_{table}"),
                format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"),
            ] {
                run(pool, &sql).await;
            }
        }
        for sql in statements(how) {
            assert!(
                run(pool, sql).await > 0 || sql.starts_with("DROP"),
                "{sql} met no row"
            );
        }
    }

    /// Brings the rows back to how they were before somebody tampered with them.
    pub(super) async fn mend(&self) {
        let Pool::Sqlite(pool) = &self.pool else {
            panic!("only a file of SQLite is tampered with");
        };
        for table in TABLES {
            run(pool, &format!("DELETE FROM {table}")).await;
            run(
                pool,
                &format!("INSERT INTO {table} SELECT * FROM kept_{table}"),
            )
            .await;
        }
    }
}

async fn run(pool: &SqlitePool, sql: &str) -> u64 {
    let done = sqlx::query(AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"))
        .rows_affected()
}

/// The tables in which rows are tampered with.
const TABLES: [&str; 4] = ["orders", "tickets", "audit", "outbox"];

const fn statements(how: Tampered) -> &'static [&'static str] {
    match how {
        Tampered::TwoTicketsOnASeat => &[
            "DROP INDEX tickets_seat",
            "INSERT INTO tickets SELECT 'double', order_id, event_id, seat, live, state, user_id, fence, price, grade, \
             changed_ms FROM tickets WHERE live = 1 LIMIT 1",
        ],
        Tampered::TicketGone => {
            // Not one of two on a seat: the other would be as good.
            &[
                "DELETE FROM tickets WHERE id = (SELECT MIN(id) FROM tickets WHERE live = 1 GROUP BY seat \
               HAVING COUNT(*) = 1 LIMIT 1)",
            ]
        }
        Tampered::AuditEdited => &[
            "UPDATE audit SET body = replace(body, '\"amount\":', '\"amount\":1') WHERE order_id = \
               (SELECT id FROM orders WHERE state = 'paid' LIMIT 1) AND seq = 1",
        ],
        Tampered::AuditCut => &[
            "DELETE FROM audit WHERE order_id = (SELECT id FROM orders WHERE state = 'paid' LIMIT 1) AND seq = 3",
        ],
        Tampered::OrderForgotten => &["UPDATE orders SET state = 'failed', body = replace(body, \
              '\"state\":\"paid\"', '\"state\":\"failed\"') WHERE id = (SELECT id FROM orders WHERE state = 'paid' LIMIT 1)"],
        Tampered::CheaperOrder => &[
            "UPDATE orders SET body = replace(body, '\"price\":', '\"price\":1') WHERE id = \
              (SELECT id FROM orders WHERE state = 'paid' LIMIT 1)",
        ],
        Tampered::OutboxLeft => &[
            "INSERT INTO outbox (shard, aggregate, version, kind, occurred_ms, payload) \
              SELECT 0, 'order/' || id, 1, 'order.initiated', 0, '{}' FROM orders LIMIT 1",
        ],
    }
}
