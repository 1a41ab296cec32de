//! What comes of what people and operators ask: seats, or why not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ticketon_queue::{EventId, FieldError, StoreError, UnixMs};

use crate::event::{Event, EventRefused, Money, NotOnSale};
use crate::seat::{EndReason, HoldId};
use crate::venue::SeatLabel;

/// Done, or why not. A refusal is a value: only a broken store is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it may be a refusal"]
pub enum Outcome<T> {
    /// Done.
    Done(T),
    /// Not done; nothing was changed.
    Refused(Refusal),
}

/// A hold, or why there is none.
pub type HoldOutcome = Outcome<SeatHold>;

impl<T> Outcome<T> {
    /// What was done.
    ///
    /// # Errors
    /// The refusal, which a `Problem` of the HTTP contract can be made from.
    pub fn done(self) -> Result<T, Refusal> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused(refusal) => Err(refusal),
        }
    }

    /// The same with something else.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Done(done) => Outcome::Done(with(done)),
            Self::Refused(refusal) => Outcome::Refused(refusal),
        }
    }
}

impl HoldOutcome {
    /// The hold that was taken.
    ///
    /// # Errors
    /// The refusal, which a `Problem` of the HTTP contract can be made from.
    pub fn taken(self) -> Result<SeatHold, Refusal> {
        self.done()
    }

    /// For a release: a hold that has ended before is as good as given back.
    ///
    /// # Errors
    /// The refusal, which a `Problem` of the HTTP contract can be made from.
    pub fn released(self) -> Result<(), Refusal> {
        match self {
            Self::Done(_) | Self::Refused(Refusal::Ended { .. }) => Ok(()),
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

/// Seats that one person holds, as people see them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeatHold {
    /// Its id.
    pub id: HoldId,
    /// The event.
    pub event: EventId,
    /// The seats, in the order in which they were asked for.
    pub seats: Vec<HeldSeat>,
    /// What they cost together.
    pub total: Money,
    /// When it was taken, in milliseconds since the Unix epoch.
    pub taken_at_ms: UnixMs,
    /// When it ends; `None` while an order is being paid with it.
    pub expires_at_ms: Option<UnixMs>,
    /// When it ends at the latest, however often it is extended.
    pub max_expires_at_ms: UnixMs,
    /// Its fence: what buys the seats compares it.
    pub fence: u64,
    /// The sales version of the event that the prices are of.
    pub sales_version: u64,
}

/// A seat of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSeat {
    /// Which.
    pub label: SeatLabel,
    /// Its grade.
    pub grade: String,
    /// What it costs, in minor units of the hold's currency.
    pub price: u64,
}

/// Why seats were not held, or a hold was not found, extended or given back. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Some of the seats that were named are not free.
    #[error("not free: {}", Labels(.seats))]
    SeatsTaken {
        /// Which.
        seats: Vec<SeatLabel>,
    },
    /// No free seats fit what was asked for.
    #[error("no seats fit what was asked for")]
    NoSeats,
    /// The seats that were picked would leave others alone, and the event does not want that.
    #[error("these would be left alone: {}", Labels(.seats))]
    LeavesOrphan {
        /// The seats that would be left alone.
        seats: Vec<SeatLabel>,
    },
    /// Values make no sense for this event.
    #[error("refused: {}", Fields(.fields))]
    Invalid {
        /// Which; never empty.
        fields: Vec<FieldError>,
    },
    /// The person would have more seats than they may.
    #[error("{has} seats held or bought, at most {limit} are allowed")]
    UserLimit {
        /// How many they have.
        has: u32,
        /// How many they may have.
        limit: u32,
    },
    /// The event is not on sale.
    #[error("{0}")]
    NotOnSale(NotOnSale),
    /// The hold has ended.
    #[error("the hold has ended: {}", .reason.as_str())]
    Ended {
        /// Why.
        reason: EndReason,
    },
    /// The idempotency key was used for other seats.
    #[error("the idempotency key was used for another request")]
    Mismatch,
    /// The seat map is being prepared.
    #[error("the seat map is being prepared")]
    NotReady {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// This person has no such hold, whoever else may.
    #[error("no such hold")]
    UnknownHold,
    /// The fence is not that of the hold.
    #[error("the fence is not that of the hold")]
    Forbidden,
    /// An order is being paid with the hold, so only the order ends it.
    #[error("an order is being paid with the hold")]
    Pinned,
}

struct Labels<'a>(&'a [SeatLabel]);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, label) in self.0.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(f, "{separator}{label}")?;
        }
        Ok(())
    }
}

struct Fields<'a>(&'a [FieldError]);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, field) in self.0.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}{field}")?;
        }
        Ok(())
    }
}

/// What came of saving an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it may be a refusal"]
pub enum EventSaved {
    /// It is new.
    Created(Arc<Event>),
    /// It replaced what was there.
    Changed(Arc<Event>),
    /// It was there in this form.
    Same(Arc<Event>),
    /// It was not saved.
    Refused(EventRefused),
}

impl EventSaved {
    /// The event as it is saved, with its versions.
    ///
    /// # Errors
    /// The refusal, which a `Problem` of the HTTP contract can be made from.
    pub fn saved(self) -> Result<Arc<Event>, EventRefused> {
        match self {
            Self::Created(event) | Self::Changed(event) | Self::Same(event) => Ok(event),
            Self::Refused(refused) => Err(refused),
        }
    }
}

/// An error of [`Seats`](crate::seat::Seats).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeatsError {
    /// A store failed: that of the seats, the catalog or the ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No event has this id.
    #[error("no event has the id {event:?}")]
    UnknownEvent {
        /// The id that was asked for.
        event: EventId,
    },
}
