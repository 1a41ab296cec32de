//! What a store has, as it has it: whoever changed a row may have left there what no value of the model can be.
//!
//! So a listing gives texts and numbers, and reading them as what they should be is a step of its own, which fails for
//! one row and not for the whole walk.

use serde::{Deserialize, Serialize};
use ticketon_queue::{FieldError, UnixMs};

use super::{ChainHash, Checkpoint, Entry, SealedHead};
use crate::purchase::{OrderColumns, TicketColumns};

/// An order as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOrder {
    /// Its record as JSON.
    pub record: String,
    /// What stands beside it.
    pub columns: OrderColumns,
}

/// An order, its tickets, and how far its chain goes; all of one moment. Each may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredChain {
    /// The order's id.
    pub order: String,
    /// The order; `None` where there are entries or tickets and no order.
    pub stored: Option<StoredOrder>,
    /// The rows of its tickets, by their ids.
    pub tickets: Vec<TicketColumns>,
    /// The highest number of its entries; `None` where there is no entry.
    pub last_seq: Option<i64>,
    /// What of the order's row, or of its tickets', cannot be read, and why.
    pub unreadable: Option<String>,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoredEntry {
    /// The order's id.
    pub order: String,
    /// The how-many-eth entry of its order it is.
    pub seq: i64,
    /// When it happened.
    pub at_ms: UnixMs,
    /// What happened.
    pub kind: String,
    /// The event as JSON.
    pub body: String,
    /// The hash of the entry before.
    pub prev: String,
    /// Its hash.
    pub hash: String,
    /// The checkpoint that it went into; no part of what is hashed.
    pub checkpoint: Option<i64>,
}

impl StoredEntry {
    /// As what it should be. Its hash may still be wrong.
    ///
    /// # Errors
    /// [`FieldError`] if a column is nothing that is ever written there.
    pub fn read(&self) -> Result<Entry, FieldError> {
        Ok(Entry {
            order: self.order.parse()?,
            seq: counted("seq", self.seq)?,
            at_ms: self.at_ms,
            kind: self.kind.clone(),
            body: self.body.clone(),
            prev: self.prev.parse()?,
            hash: self.hash.parse()?,
        })
    }
}

/// Entries of one order that no checkpoint has yet, or that one has: their numbers, and the hash of the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The order's id.
    pub order: String,
    /// The first number.
    pub first: i64,
    /// The last number.
    pub last: i64,
    /// How many they are.
    pub count: u64,
    /// The hash of the last.
    pub hash: String,
}

impl Run {
    /// What a checkpoint over them seals.
    ///
    /// # Errors
    /// [`FieldError`] if a column is nothing that is ever written there.
    pub fn head(&self) -> Result<SealedHead, FieldError> {
        Ok(SealedHead {
            order: self.order.parse()?,
            seq: counted("seq", self.last)?,
            hash: self.hash.parse()?,
        })
    }
}

/// Puts entries, which come ordered by order and number, together by their orders.
#[must_use]
pub(super) fn runs(marks: impl IntoIterator<Item = (String, i64, String)>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (order, seq, hash) in marks {
        match runs.last_mut() {
            Some(run) if run.order == order => {
                run.last = seq;
                run.count += 1;
                run.hash = hash;
            }
            _ => runs.push(Run {
                order,
                first: seq,
                last: seq,
                count: 1,
                hash,
            }),
        }
    }
    runs
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoredCheckpoint {
    /// Its number.
    pub number: i64,
    /// When it was made.
    pub at_ms: UnixMs,
    /// The hash of the one before.
    pub prev: String,
    /// Its heads as JSON, without white space: `[["order",seq,"hash"],...]`.
    pub heads: String,
    /// The id of the key that signed it.
    pub key: String,
    /// Its hash.
    pub hash: String,
    /// Its signature.
    pub signature: String,
}

impl StoredCheckpoint {
    /// How a checkpoint is stored.
    #[must_use]
    pub fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            number: i64::try_from(checkpoint.number).unwrap_or(i64::MAX),
            at_ms: checkpoint.at_ms,
            prev: checkpoint.prev.to_string(),
            heads: heads_text(&checkpoint.heads),
            key: checkpoint.key.clone(),
            hash: checkpoint.hash.to_string(),
            signature: checkpoint.signature.to_string(),
        }
    }

    /// As what it should be. Its hash and signature may still be wrong.
    ///
    /// # Errors
    /// [`FieldError`] if a column is nothing that is ever written there.
    pub fn read(&self) -> Result<Checkpoint, FieldError> {
        let heads: Option<Vec<SealedHead>> = serde_json::from_str(&self.heads).ok();
        let heads = heads
            // The same list has one text alone.
            .filter(|heads| heads_text(heads) == self.heads)
            .ok_or_else(|| {
                let range = "[[\"order\",seq,\"hash\"],...] without white space";
                FieldError::new("heads", &self.heads, range)
            })?;
        Ok(Checkpoint {
            number: counted("number", self.number)?,
            at_ms: self.at_ms,
            prev: self.prev.parse()?,
            heads,
            key: self.key.clone(),
            hash: self.hash.parse::<ChainHash>()?,
            signature: self.signature.parse()?,
        })
    }
}

fn heads_text(heads: &[SealedHead]) -> String {
    // A list of texts and numbers always has a text.
    serde_json::to_string(heads).unwrap_or_default()
}

fn counted(field: &'static str, number: i64) -> Result<u64, FieldError> {
    u64::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| FieldError::new(field, number, "1 and more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(order: &str, seq: i64) -> (String, i64, String) {
        (order.to_owned(), seq, format!("{order}{seq}"))
    }

    #[test]
    fn entries_are_put_together_by_their_orders() {
        let runs = runs([
            mark("a", 2),
            mark("a", 3),
            mark("b", 1),
            mark("c", 1),
            mark("c", 3),
        ]);
        let seen: Vec<_> = runs
            .iter()
            .map(|run| {
                (
                    run.order.as_str(),
                    run.first,
                    run.last,
                    run.count,
                    run.hash.as_str(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("a", 2, 3, 2, "a3"),
                ("b", 1, 1, 1, "b1"),
                ("c", 1, 3, 2, "c3")
            ]
        );
    }

    #[test]
    fn a_run_of_what_is_no_entry_has_no_head() {
        assert!(runs([mark("a", 1)])[0].head().is_err());
        assert!(runs([mark(&"a".repeat(32), -1)])[0].head().is_err());
    }
}
