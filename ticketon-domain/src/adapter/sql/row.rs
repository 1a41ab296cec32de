//! Rows of an answer, read by the names of their columns.

use std::str::FromStr;

use super::fault::Fault;

/// A row of either database.
#[derive(Debug)]
pub(super) enum Row {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteRow),
    #[cfg(feature = "mysql")]
    MySql(sqlx::mysql::MySqlRow),
}

/// Reads a column by the driver of the row; the type of the column is the migrations' matter.
macro_rules! read {
    ($row:expr, $column:expr, sqlite: $sqlite:ty, mysql: $mysql:ty) => {
        match $row {
            #[cfg(feature = "sqlite")]
            Row::Sqlite(row) => sqlx::Row::try_get_unchecked::<Option<$sqlite>, _>(row, $column)
                .map_err(Fault::from)?
                .map(Into::into),
            #[cfg(feature = "mysql")]
            Row::MySql(row) => sqlx::Row::try_get_unchecked::<Option<$mysql>, _>(row, $column)
                .map_err(Fault::from)?
                .map(Into::into),
        }
    };
}

impl Row {
    /// A number, or NULL.
    pub(super) fn opt_int(&self, column: &'static str) -> Result<Option<i64>, Fault> {
        Ok(read!(self, column, sqlite: i64, mysql: i64))
    }

    /// A number.
    pub(super) fn int(&self, column: &'static str) -> Result<i64, Fault> {
        self.opt_int(column)?.ok_or_else(|| null(column))
    }

    /// A number that is never below 0: a fence, an amount, a version.
    pub(super) fn count(&self, column: &'static str) -> Result<u64, Fault> {
        let number = self.int(column)?;
        u64::try_from(number).map_err(|_| Fault::Corrupt(format!("{column} is {number}")))
    }

    /// A text, or NULL.
    pub(super) fn opt_text(&self, column: &'static str) -> Result<Option<String>, Fault> {
        // Ids are bytes in MySQL, since its text columns take "a" and "a " for the same.
        let bytes: Option<Vec<u8>> = read!(self, column, sqlite: String, mysql: Vec<u8>);
        bytes
            .map(|bytes| {
                String::from_utf8(bytes)
                    .map_err(|_| Fault::Corrupt(format!("{column} is not UTF-8")))
            })
            .transpose()
    }

    /// A text.
    pub(super) fn text(&self, column: &'static str) -> Result<String, Fault> {
        self.opt_text(column)?.ok_or_else(|| null(column))
    }

    /// A text, also where it is none: what is no UTF-8 is replaced. For rows that a hand may have changed, and columns
    /// in which no replacement can pass for what should be there.
    pub(super) fn lossy(&self, column: &'static str) -> Result<String, Fault> {
        let bytes: Option<Vec<u8>> = read!(self, column, sqlite: Vec<u8>, mysql: Vec<u8>);
        let bytes = bytes.ok_or_else(|| null(column))?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// A text that stands for something, or NULL.
    pub(super) fn opt_parsed<T>(&self, column: &'static str) -> Result<Option<T>, Fault>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        let text = self.opt_text(column)?;
        text.map(|text| {
            let unread = |error: T::Err| Fault::Corrupt(format!("{column}: {error}"));
            text.parse().map_err(unread)
        })
        .transpose()
    }

    /// A text that stands for something.
    pub(super) fn parsed<T>(&self, column: &'static str) -> Result<T, Fault>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        self.opt_parsed(column)?.ok_or_else(|| null(column))
    }
}

fn null(column: &str) -> Fault {
    Fault::Corrupt(format!("{column} is NULL"))
}
