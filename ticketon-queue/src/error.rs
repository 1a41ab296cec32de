//! What can go wrong: a broken store, refused input, a misconfigured start.
//!
//! Refusals (a full room, a closed one, a lapsed lease) are values of the calls that meet them;
//! only a fault is an error.

use std::error::Error as StdError;
use std::fmt;

use crate::id::{EventId, IdError};

/// A field that was refused: which, with what value, and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// The field's name as the sender wrote it, for example `lanes[1].weight`.
    pub field: String,
    /// The refused value, shortened to 64 characters.
    pub value: String,
    /// What is accepted, for example `1 to 1000000`.
    pub range: String,
}

impl FieldError {
    /// A refused field. The value is shortened to 64 characters.
    pub fn new(
        field: impl Into<String>,
        value: impl fmt::Display,
        range: impl Into<String>,
    ) -> Self {
        let value = value.to_string();
        let mut shown: String = value.chars().take(64).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self {
            field: field.into(),
            value: shown,
            range: range.into(),
        }
    }
}

impl From<&IdError> for FieldError {
    fn from(error: &IdError) -> Self {
        let value = match error {
            IdError::Empty { .. } => String::new(),
            IdError::TooLong { length, .. } => format!("{length} bytes"),
            IdError::Character { character, .. } => format!("{character:?}"),
        };
        let range = match error {
            IdError::Empty { limit, .. } | IdError::TooLong { limit, .. } => {
                format!("1 to {limit} bytes")
            }
            IdError::Character { allowed, .. } => (*allowed).to_owned(),
        };
        Self::new(error.field(), value, range)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {:?} (accepted: {})",
            self.field, self.value, self.range
        )
    }
}

/// A config that was refused, with each field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused config: {}", join(.fields))]
pub struct ConfigError {
    /// Every refused field; never empty.
    pub fields: Vec<FieldError>,
}

fn join(fields: &[FieldError]) -> String {
    let texts: Vec<String> = fields.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// A store that could not do its work. Whether the work was done is unknown unless the variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store did not answer, or broke off.
    #[error("the store is unavailable: {context}")]
    Unavailable {
        /// What was being done.
        context: &'static str,
        /// The backend's own error.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Too many calls are waiting already; nothing was done.
    #[error("the store is busy: {waiting} calls are waiting, at most {limit} may")]
    Busy {
        /// How many calls wait.
        waiting: usize,
        /// How many may.
        limit: usize,
    },
    /// The store answered something that its contract does not allow.
    #[error("the store answered out of contract ({context}): {detail}")]
    Corrupt {
        /// What was being done.
        context: &'static str,
        /// What was found.
        detail: String,
    },
    /// The store's address cannot be read; nothing was done.
    #[error("the store's address is refused: {detail}")]
    Address {
        /// What is wrong with it, without its login.
        detail: String,
    },
    /// The store's settings would lose data; nothing was done.
    #[error("the store is not safe to use: {detail}")]
    Unsafe {
        /// Which setting, its value, and what to set.
        detail: String,
    },
}

/// An error of the [`WaitingQueue`](crate::WaitingQueue).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No room has this id.
    #[error("no waiting room has the id {event:?}")]
    UnknownEvent {
        /// The id that was asked for.
        event: EventId,
    },
    /// A setting of the builder is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The queue was shut down.
    #[error("the waiting queue was shut down")]
    ShutDown,
}
