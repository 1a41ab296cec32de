//! The consumer's side: handle each version of an aggregate once and in order, whatever is delivered twice.
//!
//! A bus delivers at least once; a relay that was away may repeat old events behind newer ones. An [`Inbox`] keeps,
//! for each consumer and aggregate, the last version that was handled; [`Once`] asks it in front of a
//! handler and tells it after. A consumer that dies between the two handles that one version again. Whoever needs
//! each effect exactly once makes the handler's writes repeatable under (aggregate, version), or records the version in the
//! handler's own transaction.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use ticketon_queue::StoreError;

use super::{Aggregate, Envelope};

/// What the arrival of a version means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The next one: to be handled.
    Next,
    /// It was handled before.
    Seen,
    /// Versions in front of it were never seen.
    Gap {
        /// The version that is due.
        expected: u64,
    },
}

impl Arrival {
    /// What a version means after this last one, 0 if there was none.
    #[must_use]
    pub const fn of(version: u64, last: u64) -> Self {
        if version <= last {
            return Self::Seen;
        }
        // Above it, so there is a next one.
        match last + 1 {
            expected if version == expected => Self::Next,
            expected => Self::Gap { expected },
        }
    }
}

/// Remembers which versions each consumer has handled.
#[async_trait]
pub trait Inbox: Send + Sync + std::fmt::Debug + 'static {
    /// The last version that the consumer handled; 0 if none.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn last(&self, consumer: &str, aggregate: &Aggregate) -> Result<u64, StoreError>;

    /// Records that it handled the versions up to this one. The answer is whether that is new: `false` if it had handled this
    /// version before.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed; if nothing was recorded, the version is handled again.
    async fn handled(
        &self,
        consumer: &str,
        aggregate: &Aggregate,
        version: u64,
    ) -> Result<bool, StoreError>;
}

/// What to do with a version when those in front of it were never seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnGap {
    /// Refuse it: nothing may be missed, and a person must look.
    #[default]
    Stop,
    /// Handle it: what is missing is older than the bus keeps, or the consumer began late.
    Accept,
}

/// An error of a handler.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// What a consumer does with an event.
#[async_trait]
pub trait EventHandler: Send + Sync + 'static {
    /// Handles one event. An error means that it is delivered again. The future may be dropped where it waits, when the event
    /// becomes another member's to handle: it is delivered again there.
    ///
    /// # Errors
    /// Whatever kept it from being handled.
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError>;
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It was handled.
    Handled,
    /// It had been handled before, and was passed over.
    Seen,
    /// It was handled here, and by somebody else while that took place: the effect may be there twice.
    Repeated,
}

/// Why a delivery was not handled: it must be delivered again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The inbox failed.
    #[error(transparent)]
    Inbox(#[from] StoreError),
    /// The handler failed.
    #[error("{event} could not be handled: {source}")]
    Handler {
        /// Which event.
        event: String,
        /// What happened.
        #[source]
        source: HandlerError,
    },
    /// Events in front of this one are missing.
    #[error("{event} came while version {expected} is due")]
    Gap {
        /// Which event.
        event: String,
        /// The version that is due.
        expected: u64,
    },
}

/// A handler behind an inbox: it sees each version of an aggregate once, in order. Deliveries of one aggregate must come one
/// at a time, as a partition of a topic brings them.
pub struct Once {
    consumer: String,
    inbox: Arc<dyn Inbox>,
    handler: Arc<dyn EventHandler>,
    on_gap: OnGap,
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Once")
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

impl Once {
    /// Under the consumer's name, which stays the same over restarts.
    #[must_use]
    pub fn new(
        consumer: impl Into<String>,
        inbox: Arc<dyn Inbox>,
        handler: Arc<dyn EventHandler>,
    ) -> Self {
        Self {
            consumer: consumer.into(),
            inbox,
            handler,
            on_gap: OnGap::Stop,
        }
    }

    /// What to do when versions are missing.
    #[must_use]
    pub fn on_gap(mut self, on_gap: OnGap) -> Self {
        self.on_gap = on_gap;
        self
    }

    /// The consumer's name.
    #[must_use]
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// Takes a delivery.
    ///
    /// # Errors
    /// [`ReceiveError`]: it was not handled, or that could not be recorded; deliver it again.
    pub async fn receive(&self, event: &Envelope) -> Result<Received, ReceiveError> {
        let last = self.inbox.last(&self.consumer, event.aggregate()).await?;
        match Arrival::of(event.version(), last) {
            Arrival::Next => {}
            Arrival::Seen => return Ok(Received::Seen),
            Arrival::Gap { expected } => {
                tracing::warn!(target: "ticketon::inbox", consumer = self.consumer, event = event.id(), expected,
                    "events are missing");
                if self.on_gap == OnGap::Stop {
                    return Err(ReceiveError::Gap {
                        event: event.id(),
                        expected,
                    });
                }
            }
        }
        // One that panics has failed, and nobody who receives ends by it.
        let handled = AssertUnwindSafe(self.handler.handle(event)).catch_unwind();
        let handled = handled.await.unwrap_or_else(|_| Err("it panicked".into()));
        handled.map_err(|source| ReceiveError::Handler {
            event: event.id(),
            source,
        })?;
        let handled = self
            .inbox
            .handled(&self.consumer, event.aggregate(), event.version());
        if handled.await? {
            return Ok(Received::Handled);
        }
        tracing::warn!(target: "ticketon::inbox", consumer = self.consumer, event = event.id(),
            "an event was handled twice at the same time");
        Ok(Received::Repeated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_next_seen_or_behind_a_gap() {
        assert_eq!(Arrival::of(1, 0), Arrival::Next);
        assert_eq!(Arrival::of(4, 3), Arrival::Next);
        assert_eq!(Arrival::of(3, 3), Arrival::Seen);
        assert_eq!(Arrival::of(0, 0), Arrival::Seen);
        assert_eq!(Arrival::of(5, 3), Arrival::Gap { expected: 4 });
        assert_eq!(Arrival::of(u64::MAX, u64::MAX), Arrival::Seen);
    }
}
