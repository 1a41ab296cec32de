//! The seat store port: the verbs on an event's seat map that a backend does atomically.
//!
//! A map says of every seat and area unit whether it is free, held, sold or blocked, and by which
//! fence. A verb takes effect as a whole or not at all; a verb whose answer was lost may be sent again
//! with the same effect as once. Time is the store's own: two processes never compare clocks.
//!
//! Every verb needs a map that is ready, and all but the readers name the epoch that they know: an
//! absent map never reads as free, and an index never means a seat of another layout. Whatever else
//! is found is answered as [`Mapped::NotReady`]; then nothing was changed.
//!
//! What a crash leaves behind: a hold whose answer was lost is found again by its id, and ends at its
//! deadline if nobody asks. A rebuild that stopped leaves `rebuilding`; the next one starts over under
//! a newer epoch. What was sold is known to the [`SeatLedger`](crate::seat::SeatLedger), not here.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ticketon_queue::{EventId, StoreError, UnixMs, UserId};

use super::hold::{EndReason, Hold, HoldId};
use super::state::{Counts, SeatState};
use crate::venue::SeatIndex;

/// The most seats that one hold may take, whatever its limits say.
pub const MAX_HOLD_SEATS: usize = 100;
/// The most seats that one call of an operator, of a sync or of a rebuild may change.
pub const MAX_BATCH: usize = 1_000;
/// The most holds that one sweep ends.
pub const MAX_SWEEP: usize = 250;
/// The most runs that one choice inside the store may look at.
pub const MAX_RUNS: usize = 20_000;
/// The most changes that one [`SeatStore::changes`] reads.
pub const MAX_CHANGES: usize = 1_000;
/// The most seats that one [`SeatStore::owners`] reads.
pub const MAX_OWNED: usize = 4_000;
/// The most holds that one [`SeatStore::pinned`] reads.
pub const MAX_PINNED: usize = 250;
/// About how many changes a map keeps for those who follow it.
pub const KEPT_CHANGES: usize = 4_096;
/// How long an ended hold is remembered, so that a late retry does not take its seats again, in milliseconds.
pub const ENDED_TTL_MS: i64 = 600_000;
/// The furthest that a hold may be extended, counted from the call, in milliseconds.
pub const MAX_HOLD_MS: i64 = 86_400_000;

/// An answer of a map that is ready, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapped<T> {
    /// The answer.
    Ready(T),
    /// The map cannot be used as it was asked for; nothing was changed.
    NotReady(NotReady),
}

impl<T> Mapped<T> {
    /// The answer, if the map was ready.
    pub fn ready(self) -> Option<T> {
        match self {
            Self::Ready(answer) => Some(answer),
            Self::NotReady(_) => None,
        }
    }

    /// The same with another answer.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Mapped<U> {
        match self {
            Self::Ready(answer) => Mapped::Ready(with(answer)),
            Self::NotReady(why) => Mapped::NotReady(why),
        }
    }
}

/// Why a map cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReady {
    /// There is none: it was never built, or the store lost it.
    Absent,
    /// It is being rebuilt.
    Rebuilding {
        /// The epoch that it will have.
        epoch: u64,
    },
    /// It is ready under another epoch than the caller knows.
    OtherEpoch {
        /// Its epoch.
        epoch: u64,
    },
}

/// What a map is of: bound to its epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapSpec {
    /// The version of the layout, which says which index is which seat.
    pub layout: String,
    /// How many seats and units it has.
    pub seats: u32,
}

/// A map's head: everything but the seats.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MapHead {
    /// Its epoch.
    pub epoch: u64,
    /// How many changes it has seen in this epoch.
    pub version: u64,
    /// What it is of.
    pub spec: MapSpec,
    /// How many seats are in each state.
    pub counts: Counts,
}

impl MapHead {
    /// A head.
    #[must_use]
    pub fn new(epoch: u64, version: u64, spec: MapSpec, counts: Counts) -> Self {
        Self {
            epoch,
            version,
            spec,
            counts,
        }
    }
}

/// A map as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its head.
    pub head: MapHead,
    /// Two bits a seat, the first seat in the highest bits of the first byte; read it with
    /// [`SeatState::at`]. Bits after the last seat are zero.
    pub bits: Bytes,
}

impl Snapshot {
    /// A snapshot.
    #[must_use]
    pub fn new(head: MapHead, bits: Bytes) -> Self {
        Self { head, bits }
    }

    /// The state of a seat; `None` beyond the map.
    #[must_use]
    pub fn state(&self, seat: SeatIndex) -> Option<SeatState> {
        (seat.get() < self.head.spec.seats).then(|| SeatState::at(&self.bits, seat))
    }
}

/// One change of a map: seats and the state that they now have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The map's version after it.
    pub version: u64,
    /// The seats that changed.
    pub seats: Vec<(SeatIndex, SeatState)>,
}

/// What happened after a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// All of it, in order and without a gap, up to [`MAX_CHANGES`] at a time.
    Since(Vec<Change>),
    /// Some of it is forgotten: a snapshot is needed.
    Gap,
}

/// How many seats one person may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In one hold, and so in one order; 1 to [`MAX_HOLD_SEATS`].
    pub per_order: u32,
    /// In all: held and sold together.
    pub per_user: u32,
}

impl Default for Limits {
    /// Four, and four.
    fn default() -> Self {
        Self {
            per_order: 4,
            per_user: 4,
        }
    }
}

/// A stretch of seats that stand side by side, some or all of which may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first seat that may be chosen.
    pub start: u32,
    /// How many may be.
    pub len: u32,
    /// The first seat of the whole stretch: lone seats are judged on it.
    pub segment_start: u32,
    /// How many seats the stretch has.
    pub segment_len: u32,
    /// Twice the index that is best, so that the middle between two seats can be named.
    pub centre_twice: u32,
}

/// What a choice does about lone seats: a seat that would remain alone although the same number of people could sit
/// without leaving it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orphans {
    /// Nothing.
    Allow,
    /// Avoids them within the block of free seats that is chosen from.
    #[default]
    Lenient,
    /// Avoids them as long as any run has a place that leaves none.
    Strict,
}

/// Which seats are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// These, all or none.
    Seats(Vec<SeatIndex>),
    /// So many side by side: in the first run that has a place for them.
    Adjacent {
        /// How many.
        count: u32,
        /// Where, the best first; at most [`MAX_RUNS`].
        runs: Arc<[Run]>,
        /// What is done about lone seats.
        orphans: Orphans,
    },
    /// So many units of an area, whichever are free.
    Units {
        /// How many.
        count: u32,
        /// The area's first unit.
        start: u32,
        /// How many units the area has.
        len: u32,
        /// Where to begin looking, counted from `start`: spreads buyers.
        offset: u32,
    },
}

/// A hold that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRequest {
    /// Its id: a retry with the same id finds the hold that was taken.
    pub id: HoldId,
    /// Who holds.
    pub user: UserId,
    /// A hash of what was asked for: a retry with the same id and another hash is refused.
    pub request_hash: u64,
    /// Which seats.
    pub choice: Choice,
    /// How long it lasts, in milliseconds.
    pub ttl_ms: i64,
    /// How many seats may be held.
    pub limits: Limits,
}

/// What came of a hold that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// All seats are held; also when an earlier call with this id did it.
    Taken(Hold),
    /// Some of the seats that were named are not free; none was taken.
    Unavailable {
        /// Which, in the order of the request.
        seats: Vec<SeatIndex>,
    },
    /// No seats fit what was asked for.
    NoSeats,
    /// More seats than one hold may have; none was taken.
    OverOrderLimit {
        /// How many were asked for.
        asked: u32,
    },
    /// The person would have more than they may; none was taken.
    OverUserLimit {
        /// How many the person has already.
        has: u32,
    },
    /// The hold of this id has ended.
    Ended {
        /// Why.
        reason: EndReason,
    },
    /// The id was used for another request.
    Mismatch,
}

/// What a verb on a hold did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldReply {
    /// Done, or done before; this is the hold now, or as it was when it was released.
    Done(Hold),
    /// There is no hold of this id, and no recent one has ended.
    Unknown,
    /// It is somebody else's, or has another fence; nothing was changed.
    NotYours,
    /// It has ended.
    Ended {
        /// Why.
        reason: EndReason,
    },
    /// An order is being paid with it, so only the order ends or extends it; nothing was changed.
    Pinned,
}

/// Names a hold and proves the right to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldKey {
    /// The hold.
    pub id: HoldId,
    /// Whose it is.
    pub user: UserId,
    /// Its fence; `None` leaves the fence unchecked.
    pub fence: Option<u64>,
}

/// What the ledger committed and the map must follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatSync {
    /// Seats were sold under this fence. A hold that has none left ends; whoever else held one of them
    /// loses the whole hold, because what is sold is sold.
    Sold {
        /// Whose they are.
        user: UserId,
        /// The fence of the hold that they were sold from.
        fence: u64,
        /// Which.
        seats: Vec<SeatIndex>,
    },
    /// Seats that were sold under this fence are given back: they become free. Seats under another fence stay as they
    /// are; of a free one the fence is kept, because the message of the sale may come later.
    Released {
        /// Whose they were.
        user: UserId,
        /// The fence.
        fence: u64,
        /// Which.
        seats: Vec<SeatIndex>,
    },
}

/// What a sync changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Synced {
    /// How many seats changed.
    pub changed: u64,
    /// Holds of others that ended because a seat of theirs was sold.
    pub lost: Vec<HoldId>,
    /// How many seats' sales were passed over, since those, or later ones of the seat, had been given back.
    pub late: u64,
}

/// What came of blocking or unblocking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// All are as asked, now or already.
    Done,
    /// Some are held or sold; nothing was changed.
    Unavailable {
        /// Which.
        seats: Vec<SeatIndex>,
    },
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// How many holds ended.
    pub holds: u64,
    /// How many seats became free.
    pub seats: u64,
    /// More is due.
    pub more: bool,
}

/// What a rebuild may begin over: what its caller saw of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Whatever there is: somebody decided it.
    Any,
    /// No map.
    Absent,
    /// A rebuild of this epoch that does not end.
    Rebuilding {
        /// The epoch.
        epoch: u64,
    },
    /// The map of this epoch, because it is of another layout than it should be.
    Ready {
        /// The epoch.
        epoch: u64,
    },
}

impl From<NotReady> for Over {
    fn from(why: NotReady) -> Self {
        match why {
            NotReady::Absent => Self::Absent,
            NotReady::Rebuilding { epoch } => Self::Rebuilding { epoch },
            NotReady::OtherEpoch { epoch } => Self::Ready { epoch },
        }
    }
}

/// What a seat is, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owned {
    /// Its state.
    pub state: SeatState,
    /// The fence of who holds, bought or blocked it; of a free one the fence under which it was sold and given back,
    /// if nobody had it since; 0 otherwise.
    pub owner: u64,
}

/// What the ledger says of a seat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It is sold, or being paid for.
    Sold {
        /// Whose it is.
        user: UserId,
        /// The fence of the hold that it was sold from.
        fence: u64,
    },
    /// It is not sold.
    Free,
}

/// A seat that the map has otherwise than the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mend {
    /// Which.
    pub seat: SeatIndex,
    /// What was found in the map. A seat that is something else by now stays as it is.
    pub found: Owned,
    /// What the ledger says.
    pub truth: Truth,
}

/// A seat that a rebuild puts into the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Load {
    /// It is sold.
    Sold {
        /// Which.
        seat: SeatIndex,
        /// Whose it is.
        user: UserId,
        /// The fence that it was sold under.
        fence: u64,
    },
    /// It was sold and given back. That says nothing of what it is now: a message of that sale, or of one before it, comes
    /// late from now on.
    GivenBack {
        /// Which.
        seat: SeatIndex,
        /// The newest fence under which.
        fence: u64,
    },
    /// It is blocked.
    Blocked {
        /// Which.
        seat: SeatIndex,
    },
}

/// Where seat maps live.
#[async_trait]
pub trait SeatStore: Send + Sync + std::fmt::Debug + 'static {
    /// The head of the map.
    async fn head(&self, event: &EventId) -> Result<Mapped<MapHead>, StoreError>;

    /// The map as it is: head and seats of the same moment.
    async fn snapshot(&self, event: &EventId) -> Result<Mapped<Snapshot>, StoreError>;

    /// What happened after a version of an epoch.
    async fn changes(
        &self,
        event: &EventId,
        epoch: u64,
        after: u64,
    ) -> Result<Mapped<Changes>, StoreError>;

    /// Takes all seats of a choice, or none. Ends expired holds that stand in the way.
    async fn hold(
        &self,
        event: &EventId,
        epoch: u64,
        request: &HoldRequest,
    ) -> Result<Mapped<Held>, StoreError>;

    /// The hold of this id: [`HoldReply::Done`] while it lives. Changes nothing.
    async fn find(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError>;

    /// The living holds of a person, the oldest first.
    async fn holds_of(
        &self,
        event: &EventId,
        epoch: u64,
        user: &UserId,
    ) -> Result<Mapped<Vec<Hold>>, StoreError>;

    /// Lets a hold last for this long from now, but not past `cap_ms` after it was taken; never shortens it. A pinned one
    /// is refused.
    async fn extend(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
        cap_ms: i64,
    ) -> Result<Mapped<HoldReply>, StoreError>;

    /// Gives the seats of a hold back. A pinned one is refused.
    async fn release(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError>;

    /// Takes the deadline off a hold, because it is being paid for: from now on only [`unpin`](Self::unpin) and
    /// [`sync`](Self::sync) end it. Needs the fence.
    async fn pin(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError>;

    /// Gives a pinned hold a deadline again, this long from now; zero or less ends it. A hold that is not
    /// pinned stays as it is. Needs the fence.
    async fn unpin(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
    ) -> Result<Mapped<HoldReply>, StoreError>;

    /// Lets the map follow the ledger, in this order; at most [`MAX_BATCH`] seats in all.
    async fn sync(
        &self,
        event: &EventId,
        epoch: u64,
        batch: &[SeatSync],
    ) -> Result<Mapped<Synced>, StoreError>;

    /// What seats are and whose, from this one on; at most [`MAX_OWNED`], none behind the last.
    async fn owners(
        &self,
        event: &EventId,
        epoch: u64,
        from: SeatIndex,
    ) -> Result<Mapped<Vec<Owned>>, StoreError>;

    /// The holds that are pinned, the oldest first, without so many of the oldest; at most [`MAX_PINNED`].
    async fn pinned(
        &self,
        event: &EventId,
        epoch: u64,
        skip: u32,
    ) -> Result<Mapped<Vec<Hold>>, StoreError>;

    /// Lets seats be what the ledger says, if they still are as they were found; at most [`MAX_BATCH`]. Of seats that
    /// should be free only sold ones change; who holds a seat that should be sold fares as in [`sync`](Self::sync).
    /// Answers how many were mended.
    async fn mend(
        &self,
        event: &EventId,
        epoch: u64,
        batch: &[Mend],
    ) -> Result<Mapped<Synced>, StoreError>;

    /// Takes free seats out of sale, all or none; at most [`MAX_BATCH`].
    async fn block(
        &self,
        event: &EventId,
        epoch: u64,
        seats: &[SeatIndex],
    ) -> Result<Mapped<Blocked>, StoreError>;

    /// Puts blocked seats back on sale; seats that are not blocked stay as they are.
    async fn unblock(
        &self,
        event: &EventId,
        epoch: u64,
        seats: &[SeatIndex],
    ) -> Result<Mapped<Blocked>, StoreError>;

    /// Ends holds past their deadline, at most [`MAX_SWEEP`], and forgets old ends.
    async fn sweep(&self, event: &EventId) -> Result<Mapped<Swept>, StoreError>;

    /// Starts a rebuild: the map is `rebuilding` under the epoch that is answered, which is newer than any before.
    /// Whatever was in the map is gone, holds too. `None` when the map is not what the caller saw: another rebuild has
    /// begun or ended since, and nothing was changed.
    async fn begin_rebuild(
        &self,
        event: &EventId,
        spec: &MapSpec,
        over: Over,
    ) -> Result<Option<u64>, StoreError>;

    /// Puts seats into a map that is being rebuilt; at most [`MAX_BATCH`]. `false` when another rebuild has begun.
    async fn load(&self, event: &EventId, epoch: u64, seats: &[Load]) -> Result<bool, StoreError>;

    /// Ends a rebuild: the map is ready. `false` when another rebuild has begun; `true` when it was ready already.
    async fn finish_rebuild(&self, event: &EventId, epoch: u64) -> Result<bool, StoreError>;

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`StoreError`] when it does not.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Its name in metrics and logs.
    fn name(&self) -> &'static str;

    /// The store's time, where a test gave it a clock; `None` when it reads its own.
    fn now_ms(&self) -> Option<UnixMs> {
        None
    }
}
