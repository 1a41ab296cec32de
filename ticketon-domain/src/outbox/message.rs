//! What is written about a change: the message, and the aggregate that it is about.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use ticketon_queue::{FieldError, UnixMs};

/// Into how many parts the aggregates are divided. Part of what is stored: it never changes.
pub const SHARDS: u16 = 64;

/// The longest type or id of an aggregate, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// The longest correlation id, in bytes.
const MAX_CORRELATION_BYTES: usize = 512;

/// What a message is about: one aggregate, for example one order.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Aggregate {
    kind: Cow<'static, str>,
    id: String,
}

impl Aggregate {
    /// An order, by its id. Whether the id is one shows when a message about it is written.
    #[must_use]
    pub fn order(id: impl fmt::Display) -> Self {
        Self {
            kind: Cow::Borrowed("order"),
            id: id.to_string(),
        }
    }

    /// Of any type, for example as a store or a topic has it.
    ///
    /// # Errors
    /// [`FieldError`] unless the type has 1 to 64 letters `a` to `z` and the id 1 to 64 letters, digits, `-`, `_` or `.`.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Result<Self, FieldError> {
        let aggregate = Self {
            kind: Cow::Owned(kind.into()),
            id: id.into(),
        };
        aggregate.check().map(|()| aggregate)
    }

    /// Whether it can be read again from what it displays as.
    ///
    /// # Errors
    /// [`FieldError`], as of [`new`](Self::new).
    pub fn check(&self) -> Result<(), FieldError> {
        let fits = |text: &str| (1..=MAX_NAME_BYTES).contains(&text.len());
        let (kind, id) = (self.kind(), self.id());
        if !fits(kind) || !kind.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(FieldError::new(
                "aggregateType",
                kind,
                "1 to 64 letters a to z",
            ));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !fits(id) || !id.bytes().all(allowed) {
            return Err(FieldError::new(
                "aggregateId",
                id,
                "1 to 64 letters, digits, -, _ or .",
            ));
        }
        Ok(())
    }

    /// Its type: `order`, `ticket`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its id among those of its type.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The shard that all its messages are in.
    #[must_use]
    pub fn shard(&self) -> u16 {
        shard_of(self)
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

impl FromStr for Aggregate {
    type Err = FieldError;

    /// Reads what it displays as: `order/42`.
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let (kind, id) = text.split_once('/').unwrap_or((text, ""));
        Self::new(kind, id)
    }
}

impl fmt::Debug for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aggregate({self})")
    }
}

/// The shard of an aggregate, below [`SHARDS`]: the same in every process and version.
#[must_use]
pub fn shard_of(aggregate: &Aggregate) -> u16 {
    let mut hash = Sha256::new();
    hash.update(aggregate.kind.as_bytes());
    hash.update(b"/");
    hash.update(aggregate.id.as_bytes());
    u16::from(hash.finalize()[0]) % SHARDS
}

/// A message that an aggregate's change brings, before a store has written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// What it is about.
    pub aggregate: Aggregate,
    /// Which of the aggregate's messages it is: they count from 1, without gaps. A change with two messages takes two
    /// versions.
    pub version: u64,
    /// What happened, for example `order.paid`; when the shape of its payload changes, `order.paid.v2`.
    pub kind: String,
    /// When.
    pub occurred_at_ms: UnixMs,
    /// What ties it to the request that caused it, in logs and traces.
    pub correlation: Option<String>,
    /// The facts: the text of a JSON object. A person is an id in it, never a name or an address.
    pub payload: String,
}

impl NewMessage {
    /// Whether a store can keep it so that it is read again as it is.
    ///
    /// # Errors
    /// [`FieldError`] if its aggregate has no proper name, or its kind or correlation id is too long.
    pub fn check(&self) -> Result<(), FieldError> {
        self.aggregate.check()?;
        if !(1..=MAX_NAME_BYTES).contains(&self.kind.len()) {
            return Err(FieldError::new("kind", &self.kind, "1 to 64 bytes"));
        }
        let correlation = self.correlation.as_deref().unwrap_or_default();
        if correlation.len() > MAX_CORRELATION_BYTES {
            return Err(FieldError::new(
                "correlation",
                correlation,
                "at most 512 bytes",
            ));
        }
        Ok(())
    }
}

/// A message in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Its row: the messages of an aggregate have rising ones, in the order of their versions.
    pub id: i64,
    /// Its aggregate's shard.
    pub shard: u16,
    /// What was written.
    pub message: NewMessage,
    /// How often it was refused so far.
    pub refusals: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_of_an_aggregate_never_changes() {
        let known = [("order", "a"), ("order", "b"), ("ticket", "a")];
        let shards = known.map(|(kind, id)| Aggregate::new(kind, id).unwrap().shard());
        assert_eq!(shards, [38, 18, 63]);
    }

    #[test]
    fn aggregates_spread_over_all_shards() {
        let mut counts = [0_u32; SHARDS as usize];
        for number in 0..6_400 {
            counts[usize::from(Aggregate::order(number).shard())] += 1;
        }
        assert!(
            counts.iter().all(|count| (50..200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_name_that_would_not_fit_a_topic_or_a_key_is_refused() {
        assert_eq!(Aggregate::new("order", "7").unwrap(), Aggregate::order(7));
        for (kind, id) in [
            ("", "7"),
            ("Order", "7"),
            ("order", ""),
            ("order", "a/b"),
            ("order", "ü"),
        ] {
            assert!(Aggregate::new(kind, id).is_err(), "{kind} {id}");
        }
        assert!(Aggregate::new("order", "a".repeat(65)).is_err());
    }
}
