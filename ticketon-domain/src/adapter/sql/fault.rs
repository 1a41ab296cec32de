//! What can go wrong in a statement, sorted by what to do about it.

use std::error::Error as StdError;

use ticketon_queue::StoreError;

/// Why a statement or a transaction did not do its work.
#[derive(Debug)]
pub(super) enum Fault {
    /// A unique key is taken. The transaction goes on without the row.
    Duplicate,
    /// Nothing took effect, and trying again may help: a deadlock, a busy file, a connection lost before the commit.
    Again(Box<dyn StdError + Send + Sync>),
    /// The database does not do it, or nobody knows whether it did.
    Failed(Box<dyn StdError + Send + Sync>),
    /// A row is not as it was written.
    Corrupt(String),
    /// Sorted already.
    Store(StoreError),
}

impl Fault {
    /// As the port tells it.
    pub(super) fn into_store_error(self, context: &'static str) -> StoreError {
        match self {
            Self::Duplicate => StoreError::Corrupt {
                context,
                detail: "a key is taken that cannot be".to_owned(),
            },
            Self::Again(source) | Self::Failed(source) => {
                StoreError::Unavailable { context, source }
            }
            Self::Corrupt(detail) => StoreError::Corrupt { context, detail },
            Self::Store(error) => error,
        }
    }

    /// A fault that somebody else's commit met, for each who was in it.
    pub(super) fn again(reason: &str) -> Self {
        Self::Again(reason.into())
    }

    /// What this work read was changed by somebody else before it wrote: its connection is as good as before.
    pub(super) fn race(reason: &'static str) -> Self {
        Self::Again(Box::new(Race(reason)))
    }

    /// Whether the connection is no good any more.
    pub(super) fn loses_connection(&self) -> bool {
        matches!(self, Self::Again(source) if !source.is::<Refused>() && !source.is::<Race>())
    }

    /// After the commit was sent: only a clear answer says that it was not done.
    pub(super) fn in_commit(self) -> Self {
        match self {
            Self::Again(source) if source.is::<Refused>() => Self::Again(source),
            Self::Again(source) => Self::Failed(source),
            other => other,
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Somebody else was quicker.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Race(&'static str);

/// The server answered that it rolled back, or that it did nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(#[source] sqlx::Error);

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(answer) if answer.is_unique_violation() => Self::Duplicate,
            E::Database(answer) => match kind(&**answer) {
                Kind::Conflict => Self::Again(Box::new(Refused(error))),
                #[cfg(feature = "mysql")]
                Kind::Leaving => Self::Again(Box::new(error)),
                Kind::Other => Self::Failed(Box::new(error)),
            },
            E::Io(_) | E::Tls(_) | E::WorkerCrashed | E::Protocol(_) => {
                Self::Again(Box::new(error))
            }
            E::ColumnNotFound(_)
            | E::ColumnDecode { .. }
            | E::Decode(_)
            | E::ColumnIndexOutOfBounds { .. } => Self::Corrupt(error.to_string()),
            _ => Self::Failed(Box::new(error)),
        }
    }
}

enum Kind {
    /// Rolled back, or not begun, in favour of somebody else.
    Conflict,
    /// The server ends this connection.
    #[cfg(feature = "mysql")]
    Leaving,
    Other,
}

fn kind(answer: &dyn sqlx::error::DatabaseError) -> Kind {
    #[cfg(feature = "mysql")]
    if let Some(error) = answer.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return match error.number() {
            // Lock wait time-out; deadlock; a record that changed since it was read; rolled back by the group of servers.
            1205 | 1213 | 1020 | 3101 => Kind::Conflict,
            // Shutting down; killed; too many connections; the master moved and this one is read-only; WSREP not ready.
            1053 | 1927 | 1317 | 1040 | 1203 | 1290 | 1836 | 1047 => Kind::Leaving,
            _ => Kind::Other,
        };
    }
    #[cfg(feature = "sqlite")]
    if let Some(error) = answer.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
        use sqlx::error::DatabaseError as _;
        let code: i32 = error.code().and_then(|code| code.parse().ok()).unwrap_or(0);
        // SQLITE_BUSY and SQLITE_LOCKED, whatever the extended code says.
        if matches!(code & 0xff, 5 | 6) {
            return Kind::Conflict;
        }
    }
    Kind::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_too_slow_keeps_the_connection() {
        assert!(!Fault::race("somebody else was quicker").loses_connection());
        assert!(Fault::again("the connection was lost").loses_connection());
    }
}
