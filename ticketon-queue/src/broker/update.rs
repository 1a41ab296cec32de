//! What a person who waits is told.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;

use super::eta::Eta;
use crate::clock::UnixMs;
use crate::id::LaneName;
use crate::queue::Joined;
use crate::state::{Reason, RoomState};

/// One message to a person; always the newest state, never a backlog.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// Where the person stands in line.
    Waiting(WaitingUpdate),
    /// It is their turn, or they are in already.
    Admitted(AdmittedUpdate),
    /// It is over; nothing follows.
    Closed(ClosedUpdate),
    /// The room did not take the person, and why; nothing follows.
    Refused(Joined),
    /// The server goes away; connect again after this long. Nothing follows.
    Reconnect {
        /// Milliseconds to wait, different for each person.
        after_ms: u64,
    },
}

impl Update {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Closed(_) | Self::Refused(_) | Self::Reconnect { .. }
        )
    }
}

/// A place in line, as told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitingUpdate {
    /// The room's epoch.
    pub epoch: u64,
    /// The place's sequence; below zero when it was drawn.
    pub sequence: i64,
    /// Position in the own lane, from 1; it never goes up. `None` before the draw.
    pub position: Option<u64>,
    /// How many wait in the own lane.
    pub waiting: u64,
    /// How long it will take, if that can be known.
    pub eta: Option<Eta>,
    /// The room's state.
    pub state: RoomState,
    /// The own lane.
    pub lane: LaneName,
}

/// An admission, as told.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmittedUpdate {
    /// The room's epoch.
    pub epoch: u64,
    /// The sequence of the place it came from.
    pub sequence: i64,
    /// The admission token: a secret of its person.
    pub admission_token: String,
    /// Until when the first guarded call must be made.
    pub claim_by_ms: UnixMs,
    /// When the admission ends.
    pub expires_at_ms: UnixMs,
    /// The lease's fence.
    pub fence: u64,
    /// Whether it was claimed already.
    pub claimed: bool,
}

impl std::fmt::Debug for AdmittedUpdate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdmittedUpdate")
            .field("epoch", &self.epoch)
            .field("fence", &self.fence)
            .field("claimed", &self.claimed)
            .finish_non_exhaustive()
    }
}

/// An end, as told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClosedUpdate {
    /// The room's epoch.
    pub epoch: u64,
    /// The place's sequence; 0 if it is no longer known.
    pub sequence: i64,
    /// Why.
    pub reason: Reason,
}

/// The updates of one person. Dropping it starts the grace.
#[must_use = "dropping the updates starts the grace"]
pub struct Updates {
    stream: Pin<Box<dyn Stream<Item = Update> + Send + 'static>>,
}

impl Updates {
    pub(crate) fn new(stream: impl Stream<Item = Update> + Send + 'static) -> Self {
        Self {
            stream: Box::pin(stream),
        }
    }

    /// The next update, or `None` after the last.
    pub async fn next(&mut self) -> Option<Update> {
        futures_util::StreamExt::next(&mut self.stream).await
    }
}

impl std::fmt::Debug for Updates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Updates(..)")
    }
}

impl Stream for Updates {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        self.stream.as_mut().poll_next(cx)
    }
}
