//! What is wrong with an audit, and where.

use std::fmt;

use serde::Serialize;

/// Something that is wrong, at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where it was found.
    #[serde(flatten)]
    pub place: Place,
    /// What it is.
    #[serde(flatten)]
    pub wrong: Wrong,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.wrong)
    }
}

/// A place in an audit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Place {
    /// The order, as its id stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// The number of the entry in its order's chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The number of the checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<i64>,
}

impl Place {
    pub(super) fn order(order: &str) -> Self {
        Self {
            order: Some(order.to_owned()),
            ..Self::default()
        }
    }

    pub(super) fn entry(order: &str, seq: i64) -> Self {
        Self {
            seq: Some(seq),
            ..Self::order(order)
        }
    }

    pub(super) fn checkpoint(number: i64) -> Self {
        Self {
            checkpoint: Some(number),
            ..Self::default()
        }
    }

    pub(super) fn in_checkpoint(self, number: i64) -> Self {
        Self {
            checkpoint: Some(number),
            ..self
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        if let Some(order) = &self.order {
            write!(f, "order {order}")?;
            comma = ", ";
        }
        if let Some(seq) = self.seq {
            write!(f, "{comma}entry {seq}")?;
            comma = ", ";
        }
        if let Some(checkpoint) = self.checkpoint {
            write!(f, "{comma}checkpoint {checkpoint}")?;
        }
        Ok(())
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(
    tag = "wrong",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum Wrong {
    /// A row has something that is never written there.
    #[error("it cannot be read: {detail}")]
    Unreadable {
        /// Which column, and what it has.
        detail: String,
    },
    /// An entry's hash is not that of its text.
    #[error("its hash is not that of its text: the entry was changed")]
    Edited,
    /// An entry does not name the hash of the one before.
    #[error("it does not follow on the entry before: one of the two was changed, moved or put in")]
    Unlinked,
    /// Entries are not there.
    #[error("the entries up to {until} are missing")]
    Missing {
        /// The last one that is missing.
        until: i64,
    },
    /// The end of a chain was cut off: its order has seen more.
    #[error("the order has seen {version} entries: those behind the last one were removed")]
    TailMissing {
        /// How many there should be.
        version: u64,
    },
    /// A chain has more entries than its order has seen.
    #[error("the order has seen {version} entries: those behind were put in")]
    TailAdded {
        /// How many there should be.
        version: u64,
    },
    /// The order names another hash as that of its last entry.
    #[error(
        "the order's last entry has the hash {expected}, this one has {found}: the chain was written anew"
    )]
    Head {
        /// What the order says.
        expected: String,
        /// What the entry says.
        found: String,
    },
    /// There is an order without entries.
    #[error("the order has no entries: its whole chain was removed")]
    ChainMissing,
    /// There are entries, or tickets, without an order.
    #[error("there is no order: it was removed, or its entries and tickets were put in")]
    OrderMissing,
    /// The record of an order is that of another one.
    #[error("its record is that of order {found}")]
    OtherOrder {
        /// Whose record it is.
        found: String,
    },
    /// An entry is marked with a checkpoint that it is no part of, or not marked with the one that sealed it.
    #[error("its mark {mark:?} is not that of the checkpoint that sealed it")]
    Mark {
        /// The mark.
        mark: Option<i64>,
    },
    /// Checkpoints are not there.
    #[error("the checkpoints up to {until} are missing")]
    CheckpointMissing {
        /// The last one that is missing.
        until: i64,
    },
    /// A checkpoint does not name the hash of the one before.
    #[error(
        "it does not follow on the checkpoint before: one of the two was changed, moved or put in"
    )]
    CheckpointUnlinked,
    /// A checkpoint is not what somebody signed.
    #[error("{detail}")]
    CheckpointForged {
        /// Why not.
        detail: String,
    },
    /// An entry that was sealed is not there: its order's end, or all of it, was removed.
    #[error("the checkpoint sealed this entry, and it is not there any more")]
    SealedMissing,
    /// An entry that was sealed has another hash now.
    #[error(
        "the checkpoint sealed this entry with the hash {expected}, it has {found}: the chain was written anew"
    )]
    SealedDiffers {
        /// What was sealed.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A checkpoint is another one than was noted elsewhere.
    #[error("a checkpoint with the hash {expected} was noted elsewhere, it has {found}")]
    NotAsNoted {
        /// What was noted.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A field of an order is not what its entries make it.
    #[error("{field} is {stored}, its entries make it {rebuilt}")]
    Differs {
        /// Which field.
        field: String,
        /// What is stored, as JSON.
        stored: String,
        /// What its entries make of it, as JSON.
        rebuilt: String,
    },
    /// A column beside an order's record is not what the record makes it.
    #[error("the column {column} is {stored}, the order's record makes it {expected}")]
    Column {
        /// Which column.
        column: String,
        /// What it has.
        stored: String,
        /// What it should have.
        expected: String,
    },
    /// A ticket of an order has no row: nothing keeps its seat from being sold again.
    #[error("its ticket {ticket} has no row")]
    TicketMissing {
        /// The ticket's id.
        ticket: String,
    },
    /// There is a row of a ticket that its order does not know.
    #[error("ticket {ticket} has a row, and the order knows nothing of it")]
    TicketAdded {
        /// The ticket's id.
        ticket: String,
    },
    /// A column of a ticket is not what its order makes it.
    #[error("the column {column} of ticket {ticket} is {stored}, its order makes it {expected}")]
    TicketDiffers {
        /// The ticket's id.
        ticket: String,
        /// Which column.
        column: String,
        /// What it has.
        stored: String,
        /// What it should have.
        expected: String,
    },
    /// The events of a chain cannot have happened in this order.
    #[error("its entries make no order: {detail}")]
    Impossible {
        /// Why not.
        detail: String,
    },
}

impl Wrong {
    pub(super) fn at(self, place: Place) -> Finding {
        Finding { place, wrong: self }
    }

    pub(super) fn unreadable(error: &impl ToString) -> Self {
        Self::Unreadable {
            detail: error.to_string(),
        }
    }
}

/// Where findings go.
pub type Findings<'a> = dyn FnMut(Finding) + Send + 'a;
