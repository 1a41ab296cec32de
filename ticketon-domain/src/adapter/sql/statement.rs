//! Statements, and where the two databases spell them differently.

use std::borrow::Cow;

/// Which SQL is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    #[cfg(feature = "sqlite")]
    Sqlite,
    #[cfg(feature = "mysql")]
    MySql,
}

/// A statement: the same text for both databases, or one for each.
#[derive(Debug, Clone)]
pub(super) enum Statement {
    Same(Cow<'static, str>),
    Each {
        #[cfg_attr(
            not(feature = "sqlite"),
            allow(dead_code, reason = "the other database is left out")
        )]
        sqlite: &'static str,
        #[cfg_attr(
            not(feature = "mysql"),
            allow(dead_code, reason = "the other database is left out")
        )]
        mysql: &'static str,
    },
}

impl Statement {
    /// Its text for a database.
    pub(super) fn text(self, dialect: Dialect) -> Cow<'static, str> {
        match self {
            Self::Same(text) => text,
            Self::Each { sqlite, mysql } => {
                let _ = (sqlite, mysql);
                match dialect {
                    #[cfg(feature = "sqlite")]
                    Dialect::Sqlite => sqlite.into(),
                    #[cfg(feature = "mysql")]
                    Dialect::MySql => mysql.into(),
                }
            }
        }
    }
}

impl From<&'static str> for Statement {
    fn from(text: &'static str) -> Self {
        Self::Same(text.into())
    }
}

impl From<String> for Statement {
    fn from(text: String) -> Self {
        Self::Same(text.into())
    }
}

/// A statement with a text for each database.
macro_rules! each {
    (sqlite: $sqlite:expr, mysql: $mysql:expr $(,)?) => {
        $crate::adapter::sql::statement::Statement::Each {
            sqlite: $sqlite,
            mysql: $mysql,
        }
    };
}

/// A SELECT whose rows stay locked until the end of the transaction. SQLite's transactions have the file to themselves.
macro_rules! for_update {
    ($select:literal) => {
        $crate::adapter::sql::each!(sqlite: $select, mysql: concat!($select, " FOR UPDATE"))
    };
}

/// An `INTO t (..) VALUES (..)` that leaves a row alone whose key is taken. It also hides values that do not fit, so it
/// is for values whose length is known to.
macro_rules! keep_old {
    ($into:literal) => {
        $crate::adapter::sql::each!(
            sqlite: concat!("INSERT OR IGNORE ", $into),
            mysql: concat!("INSERT IGNORE ", $into),
        )
    };
}

pub(super) use {each, for_update, keep_old};

/// `?, ?, ?`: this many placeholders.
pub(super) fn marks(count: usize) -> String {
    let mut text = "?, ".repeat(count);
    text.truncate(text.len().saturating_sub(2));
    text
}

/// `(?, ?), (?, ?)`: this many rows of so many placeholders.
pub(super) fn rows_of_marks(rows: usize, columns: usize) -> String {
    let row = format!("({}), ", marks(columns));
    let mut text = row.repeat(rows);
    text.truncate(text.len().saturating_sub(2));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_separated() {
        assert_eq!(marks(0), "");
        assert_eq!(marks(3), "?, ?, ?");
        assert_eq!(rows_of_marks(0, 2), "");
        assert_eq!(rows_of_marks(2, 2), "(?, ?), (?, ?)");
    }
}
