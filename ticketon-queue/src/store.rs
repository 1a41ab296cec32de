//! The store port: the verbs that a backend does atomically.
//!
//! Everything the waiting room knows lives behind this trait, so that any process may die at any
//! point. A verb takes effect as a whole or not at all; a verb whose answer was lost may be sent
//! again with the same effect as once. Time is the store's own: two processes never compare clocks.
//!
//! A verb on a room that does not exist answers `None`.

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::UnixMs;
use crate::config::RoomConfig;
use crate::draw::DrawKey;
use crate::error::StoreError;
use crate::id::{BrokerId, ConnId, EventId, LaneName, UserId};
use crate::state::{Reason, RoomState, RoomVerb};

/// The most people one call may concern: joins, promotions, sweeps, look-ups.
pub const MAX_BATCH: usize = 1_000;
/// The most sample sequences one [`QueueStore::observe`] may rank.
pub const MAX_SAMPLES: usize = 256;
/// How long a broker's lease on a room lasts without renewal, in milliseconds.
pub const BROKER_LEASE_MS: i64 = 10_000;
/// Longest time between two ticks that is not taken for an outage, in milliseconds.
pub const OUTAGE_MS: i64 = 5_000;
/// How long the reason of an ended place is kept, in milliseconds.
pub const GONE_TTL_MS: i64 = 300_000;
/// The furthest an admission may be extended, counted from the call, in milliseconds.
pub const MAX_EXTEND_MS: i64 = 86_400_000;

/// The watermark of a lane from which nobody was promoted: below every sequence, drawn ones included.
pub const NOBODY_YET: i64 = i64::MIN;

/// How a person is present while they join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Over a stream of a broker. The newest stream of a user owns the place.
    Stream {
        /// The broker's incarnation; it must be registered in the room.
        broker: BrokerId,
        /// The connection at that broker.
        conn: ConnId,
    },
    /// By asking again and again: each call renews the grace, unless a stream is connected.
    Poll,
}

/// One join of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// Who joins.
    pub user: UserId,
    /// Their lane; `None`, or a lane that the room lacks, means the room's first.
    pub lane: Option<LaneName>,
    /// How they are present.
    pub presence: Presence,
    /// The epoch of the place they had. When it is the room's and the place is gone, they do not
    /// join again but are told [`JoinReply::Gone`].
    pub resume: Option<u64>,
}

/// A place in line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The room's epoch.
    pub epoch: u64,
    /// The lane.
    pub lane: LaneName,
    /// The sequence in the lane: who has the lowest is admitted first. Below zero when drawn.
    pub sequence: i64,
    /// The exact position in the lane, from 1. `None` in a draw before the opening, and from verbs that do not rank.
    pub position: Option<u64>,
    /// How many wait in the lane.
    pub waiting: u64,
    /// The room's state.
    pub state: RoomState,
}

/// An admission lease.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The room's epoch.
    pub epoch: u64,
    /// The lane it came through.
    pub lane: LaneName,
    /// The sequence of the place it came from.
    pub sequence: i64,
    /// Rises with each admission of the room; compared by every change.
    pub fence: u64,
    /// When it was made.
    pub admitted_at_ms: UnixMs,
    /// Until when it must be claimed.
    pub claim_by_ms: UnixMs,
    /// When it ends.
    pub expires_at_ms: UnixMs,
    /// Whether its owner came in.
    pub claimed: bool,
}

impl Lease {
    /// The moment from which the lease is not live: `claim_by` until it is claimed, then `expires_at`.
    #[must_use]
    pub fn deadline_ms(&self) -> UnixMs {
        if self.claimed {
            self.expires_at_ms
        } else {
            self.claim_by_ms.min(self.expires_at_ms)
        }
    }
}

/// What a join led to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinReply {
    /// In line.
    Waiting {
        /// The place, new or kept.
        place: Place,
        /// Whether this call made it.
        new: bool,
    },
    /// Admitted: now (nobody waited, a slot and budget were free), or before.
    Admitted {
        /// The lease, new or kept.
        lease: Lease,
        /// Whether this call made it.
        new: bool,
    },
    /// The place that the caller wanted to resume has ended.
    Gone {
        /// Why.
        reason: Reason,
    },
    /// As many people wait as the room allows.
    Full,
    /// The room takes nobody in this state.
    Refused {
        /// The state.
        state: RoomState,
    },
    /// The broker is not registered, or was taken over: register a new incarnation, then retry.
    BrokerLapsed,
}

/// Where a user is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// In line.
    Waiting(Place),
    /// Admitted, with a live lease.
    Admitted(Lease),
    /// Ended a short while ago.
    Gone {
        /// Why.
        reason: Reason,
        /// The lease's fence; 0 if it ended in line.
        fence: u64,
    },
    /// Not known.
    Absent,
}

/// What became of a change that compares the fence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fenced<T> {
    /// Done, now or by an earlier call with the same fence.
    Done(T),
    /// The lease has ended.
    Ended {
        /// Why.
        reason: Reason,
    },
    /// There is no lease with this fence; nothing was changed.
    Stale,
}

/// What a leave led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Left {
    /// The place in line was given up.
    Waiting,
    /// The admission was given up; the slot is free.
    Admitted,
    /// There was nothing to leave.
    NotJoined,
    /// The admission has another fence; nothing was changed.
    Stale,
}

/// What saving a config led to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomSaved {
    /// A new room.
    Created,
    /// The config changed.
    Changed,
    /// The room has this config already.
    Same,
    /// A lane that the new config lacks still has people in it; nothing was changed.
    LaneNotEmpty {
        /// The lane.
        lane: LaneName,
    },
    /// Somebody has joined, so the settings of the draw stay as they are; nothing was changed.
    Frozen {
        /// The field that would change: `opening` or `opensAt`.
        field: &'static str,
    },
    /// The store holds as many rooms as it may; nothing was changed.
    TooManyRooms {
        /// How many it may hold.
        limit: usize,
    },
}

/// What a change of state led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateChanged {
    /// The room is in this state now, or was already.
    Now(RoomState),
    /// The verb makes no sense in this state; nothing was changed.
    Refused(RoomState),
}

/// One lane's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneNumbers {
    /// The lane.
    pub name: LaneName,
    /// Its weight.
    pub weight: u32,
    /// How many wait in it.
    pub waiting: u64,
    /// The highest sequence that was promoted; [`NOBODY_YET`] before the first. Selects candidates; the lease decides.
    pub watermark: i64,
}

/// A draw, as far as it may be known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrawNumbers {
    /// The hash of the key, known from the start.
    pub commitment: String,
    /// The key, once the room has left `scheduled` for good and nobody can be drawn any more.
    pub key: Option<DrawKey>,
    /// How many were in line at the opening.
    pub drawn: u64,
}

/// A room's numbers at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomNumbers {
    /// The store's time.
    pub now_ms: UnixMs,
    /// The room's epoch: new after data loss.
    pub epoch: u64,
    /// The state.
    pub state: RoomState,
    /// The version of the config.
    pub config_version: u64,
    /// The config.
    pub config: Arc<RoomConfig>,
    /// Live leases.
    pub active: u64,
    /// The lanes, in the config's order.
    pub lanes: Vec<LaneNumbers>,
    /// The draw, if the room has one.
    pub draw: Option<DrawNumbers>,
    /// Places ever given.
    pub joined_total: u64,
    /// Leases ever made.
    pub admitted_total: u64,
    /// Leases completed.
    pub completed_total: u64,
    /// Leases that ran out, no-shows included.
    pub expired_total: u64,
    /// Places and leases given up, by leaving or by staying away.
    pub left_total: u64,
}

impl RoomNumbers {
    /// How many wait, over all lanes.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.waiting).sum()
    }

    /// Whether places are not known yet: a draw before its opening.
    #[must_use]
    pub fn is_undrawn(&self) -> bool {
        self.state == RoomState::Scheduled && self.config.is_draw()
    }
}

/// What one tick did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// Leases made.
    pub promoted: u64,
    /// Leases ended by their deadline.
    pub expired: u64,
    /// Places ended: away for longer than the grace, or the room closed.
    pub left: u64,
    /// Whether a bound cut the work short: tick again at once.
    pub more: bool,
    /// The state after it.
    pub state: RoomState,
    /// How many wait after it.
    pub waiting: u64,
    /// Live leases after it.
    pub active: u64,
    /// Brokers whose lease ran out: take them over. At most 16.
    pub lapsed: Vec<BrokerId>,
}

/// What a broker asks of a room each tick.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observe {
    /// Sequences to rank, with the lane's index in the config of `config_version`; at most [`MAX_SAMPLES`].
    pub samples: Vec<(usize, i64)>,
    /// Users to look up; at most [`MAX_BATCH`].
    pub users: Vec<UserId>,
}

/// What a broker is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observed {
    /// The room's numbers.
    pub numbers: RoomNumbers,
    /// For each sample, how many people of the lane are before that sequence.
    pub ranks: Vec<u64>,
    /// For each user, where they are (without a position) and which stream owns the place.
    pub users: Vec<(Standing, Option<(BrokerId, ConnId)>)>,
}

/// What an observation led to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObserveReply {
    /// The broker's lease was renewed.
    Observed(Box<Observed>),
    /// The broker is not registered, or was taken over: register a new incarnation and attach its people.
    BrokerLapsed,
}

/// One connection that a broker brings along under a new incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attach {
    /// Whose.
    pub user: UserId,
    /// The connection; it keeps its number.
    pub conn: ConnId,
}

/// What attaching a connection led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attached {
    /// It owns the place.
    Owner,
    /// Another stream owns the place.
    Replaced,
    /// There is no place to own: see the standing.
    NoPlace,
    /// The new incarnation is not registered, or was taken over: nothing was changed.
    BrokerLapsed,
}

/// What a take-over led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TakenOver {
    /// This many people were moved; with `more`, call again.
    Moved {
        /// How many.
        people: u64,
        /// Whether some are left.
        more: bool,
    },
    /// The broker is alive, or the room is in the grace after an outage; nothing was changed.
    Alive,
}

/// A waiting room's state, shared by all processes.
///
/// # What a crash leaves behind
/// A process may die before, within or after any verb. What it has promoted stays promoted and is
/// announced by whichever broker the person is connected to; what it was connected to is taken
/// over once its broker lease runs out.
///
/// # A store of your own
#[doc = include_str!("store/custom.md")]
#[async_trait]
pub trait QueueStore: Send + Sync + std::fmt::Debug + 'static {
    /// Creates the room, or changes its config.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed; the room may or may not have been saved.
    async fn save_room(
        &self,
        event: &EventId,
        config: &RoomConfig,
    ) -> Result<RoomSaved, StoreError>;

    /// Asks for another state.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn change_state(
        &self,
        event: &EventId,
        verb: RoomVerb,
    ) -> Result<Option<StateChanged>, StoreError>;

    /// The numbers of a room.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn numbers(&self, event: &EventId) -> Result<Option<RoomNumbers>, StoreError>;

    /// The ids of all rooms, sorted.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn rooms(&self) -> Result<Vec<EventId>, StoreError>;

    /// Joins up to [`MAX_BATCH`] people, in order. Idempotent: who has a place or a live lease keeps it. Before
    /// somebody is admitted on the spot, leases that ran out are ended as [`Self::tick`] ends them: a slot whose
    /// lease merely ran out may be given back after an outage.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed; any of them may have joined.
    async fn join(
        &self,
        event: &EventId,
        batch: &[JoinRequest],
    ) -> Result<Option<Vec<JoinReply>>, StoreError>;

    /// Looks a user up, without changing anything.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn standing(
        &self,
        event: &EventId,
        user: &UserId,
    ) -> Result<Option<Standing>, StoreError>;

    /// Gives up a place or an admission. With a fence, an admission is given up only if it has it.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn leave(
        &self,
        event: &EventId,
        user: &UserId,
        fence: Option<u64>,
    ) -> Result<Option<Left>, StoreError>;

    /// Claims an admission.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn claim(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Option<Fenced<Lease>>, StoreError>;

    /// Ends an admission whose purpose is fulfilled.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn complete(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Option<Fenced<()>>, StoreError>;

    /// Lets a claimed admission last until at least now + `for_ms` (at most [`MAX_EXTEND_MS`]).
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn extend(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
        for_ms: i64,
    ) -> Result<Option<Fenced<Lease>>, StoreError>;

    /// Does what is due: ends what ran out, then promotes up to `batch` (at most [`MAX_BATCH`]) people.
    /// Safe from any number of dispatchers at once.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn tick(&self, event: &EventId, batch: usize) -> Result<Option<Tick>, StoreError>;

    /// Registers a broker's incarnation in a room.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn register_broker(
        &self,
        event: &EventId,
        broker: BrokerId,
    ) -> Result<Option<()>, StoreError>;

    /// Renews the broker's lease and reads what it tells its people.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn observe(
        &self,
        event: &EventId,
        broker: BrokerId,
        request: &Observe,
    ) -> Result<Option<ObserveReply>, StoreError>;

    /// Brings up to [`MAX_BATCH`] connections of the incarnation `from` under the registered incarnation `to`.
    /// A place that belongs to another connection of either incarnation, or to none, goes to the given one.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn attach(
        &self,
        event: &EventId,
        from: BrokerId,
        to: BrokerId,
        batch: &[Attach],
    ) -> Result<Option<Vec<Attached>>, StoreError>;

    /// Says that up to [`MAX_BATCH`] connections closed: where one still owns the place, the grace starts.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn disconnect(
        &self,
        event: &EventId,
        broker: BrokerId,
        batch: &[(UserId, ConnId)],
    ) -> Result<Option<()>, StoreError>;

    /// Starts the grace of up to [`MAX_BATCH`] people of a broker whose lease ran out.
    ///
    /// # Errors
    /// [`StoreError`] when the store failed.
    async fn take_over(
        &self,
        event: &EventId,
        broker: BrokerId,
    ) -> Result<Option<TakenOver>, StoreError>;

    /// Whether the store can be used.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What operators are told the store is, for example `memory` or `redis`.
    fn name(&self) -> &'static str {
        "custom"
    }
}
