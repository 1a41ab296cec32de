//! A connection to either database: how a statement is run.

use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::fault::Fault;
use super::row::Row;
use super::statement::{Dialect, Statement};
use super::value::Value;

/// A connection, in a transaction or not.
pub(super) struct Conn {
    wire: Wire,
    undo: bool,
}

pub(super) enum Wire {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::SqliteConnection),
    #[cfg(feature = "mysql")]
    MySql(sqlx::MySqlConnection),
}

/// Runs a statement on whichever database it is: `$method` of its executor, what it gives mapped by `$each`.
macro_rules! on_wire {
    ($wire:expr, $text:expr, $values:expr, $method:ident, |$answer:ident| sqlite: $sqlite:expr, mysql: $mysql:expr) => {
        match $wire {
            #[cfg(feature = "sqlite")]
            Wire::Sqlite(conn) => {
                let query = bound!(sqlx::Sqlite, $text, $values);
                let $answer = sqlx::Executor::$method(conn, query).await?;
                $sqlite
            }
            #[cfg(feature = "mysql")]
            Wire::MySql(conn) => {
                let query = bound!(sqlx::MySql, $text, $values);
                let $answer = sqlx::Executor::$method(conn, query).await?;
                $mysql
            }
        }
    };
}

macro_rules! bound {
    ($database:ty, $text:expr, $values:expr) => {{
        let mut query = sqlx::query::<$database>(AssertSqlSafe($text));
        for value in $values {
            query = match *value {
                Value::Null => query.bind(None::<i64>),
                Value::Int(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
            };
        }
        query
    }};
}

impl Conn {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire, undo: false }
    }

    /// Which SQL it speaks.
    pub(super) fn dialect(&self) -> Dialect {
        match &self.wire {
            #[cfg(feature = "sqlite")]
            Wire::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "mysql")]
            Wire::MySql(_) => Dialect::MySql,
        }
    }

    /// Runs a statement and says how many rows it inserted, matched or deleted.
    ///
    /// # Errors
    /// [`Fault::Duplicate`] if a unique key is taken; any other [`Fault`].
    pub(super) async fn run(
        &mut self,
        statement: impl Into<Statement>,
        values: &[Value<'_>],
    ) -> Result<u64, Fault> {
        let text = statement.into().text(self.dialect());
        Ok(on_wire!(&mut self.wire, text, values, execute, |done|
            sqlite: done.rows_affected(), mysql: done.rows_affected()))
    }

    /// Runs statements one after the other that meet no taken key. SQLite, to whose thread each message is a change of
    /// threads and back, gets them in one.
    pub(super) async fn run_all(
        &mut self,
        statements: Vec<(String, Vec<Value<'_>>)>,
    ) -> Result<(), Fault> {
        match self.dialect() {
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => {
                let (texts, values): (Vec<String>, Vec<Vec<Value<'_>>>) =
                    statements.into_iter().unzip();
                self.run(texts.join("; "), &values.concat()).await.map(drop)
            }
            #[cfg(feature = "mysql")]
            Dialect::MySql => {
                for (text, values) in statements {
                    self.run(text, &values).await?;
                }
                Ok(())
            }
        }
    }

    /// All rows of an answer; the statement has the limit.
    pub(super) async fn rows(
        &mut self,
        statement: impl Into<Statement>,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Fault> {
        let text = statement.into().text(self.dialect());
        Ok(on_wire!(&mut self.wire, text, values, fetch_all, |rows|
            sqlite: rows.into_iter().map(Row::Sqlite).collect(),
            mysql: rows.into_iter().map(Row::MySql).collect()))
    }

    /// The first row of an answer.
    pub(super) async fn row(
        &mut self,
        statement: impl Into<Statement>,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, Fault> {
        let text = statement.into().text(self.dialect());
        Ok(on_wire!(&mut self.wire, text, values, fetch_optional, |row|
            sqlite: row.map(Row::Sqlite), mysql: row.map(Row::MySql)))
    }

    /// Takes back all that this transaction did, once its closure has answered.
    pub(super) fn undo(&mut self) {
        self.undo = true;
    }

    /// Whether the last transaction wants to be taken back; the next one does not.
    pub(super) fn wants_undo(&mut self) -> bool {
        std::mem::take(&mut self.undo)
    }

    /// Runs statements that take no values: BEGIN, COMMIT, settings.
    pub(super) async fn command(&mut self, text: &'static str) -> Result<(), Fault> {
        match &mut self.wire {
            #[cfg(feature = "sqlite")]
            Wire::Sqlite(conn) => {
                sqlx::raw_sql(text.into_sql_str()).execute(conn).await?;
            }
            #[cfg(feature = "mysql")]
            Wire::MySql(conn) => {
                sqlx::raw_sql(text.into_sql_str()).execute(conn).await?;
            }
        }
        Ok(())
    }

    /// The driver's own connection.
    pub(super) fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conn")
            .field("undo", &self.undo)
            .finish_non_exhaustive()
    }
}
