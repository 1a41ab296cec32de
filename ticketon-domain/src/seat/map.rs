//! The state machine of one event's seats: no I/O, and time is passed in.
//!
//! It is what every store must do, and what the stores are compared with. Of each seat it keeps the
//! state and the *owner*: the fence of who holds it, bought it or blocked it. A seat that is free is
//! nobody's (0), unless it was sold and given back: then its owner stays. Of a seat that was ever given back
//! it keeps a *mark*, the newest fence under which it was, so that a late message of that sale, or of one
//! before it, is known as such, whoever has the seat by then. Of each hold it keeps the seats, and for a
//! while that it ended, so that a late retry takes nothing again.
//!
//! # What messages of the ledger do to a seat
//!
//! The ledger decides, and its messages may come late, twice, or in the wrong order. A hold that ended (swept, released,
//! unpinned, lost, or because the store forgot that it was pinned) proves nothing about a sale under its
//! fence, so its seats are nobody's; only a sale that was given back leaves a mark. `f` is the message's fence, `g` another.
//!
//! | the seat is | `Sold` under `f` | `Released` under `f`, which marks it `f` |
//! | --- | --- | --- |
//! | marked `f` or `g > f`, and anything of the below | as it was: late, or told twice | as below |
//! | free | sold: also when the hold ended before the message came | free: the sale's own message is late |
//! | held under `f` | sold, and out of the hold | free, and out of the hold |
//! | held under `g` | sold; the hold ends as lost, or a pinned one goes on without the seat | as it was |
//! | sold under `f` | as it was: told twice | free |
//! | sold under `g < f` | sold under `f` | as it was |
//! | sold under `g > f` | as it was: late | as it was |
//! | blocked | sold | as it was |
//!
//! A mark lasts as long as the map, and one that is built anew has those that the ledger knows of. Whatever else parts the
//! map from the ledger is found by comparing both, and [mended](crate::seat::SeatStore::mend).
//!
//! A verb looks first and writes then. Whatever one call does to seats is one [`Change`] under one
//! version: each seat that was written, once, in the order of the indexes, with the state it ends in.

mod block;
mod changes;
mod check;
mod choose;
mod end;
mod hold;
mod keep;
mod mend;
mod rebuild;
mod sync;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use ticketon_queue::{UnixMs, UserId};

use super::hold::{EndReason, Hold, HoldId};
use super::state::{Counts, SeatState};
use super::store::{Change, MapHead, MapSpec, Mapped, NotReady, Snapshot};
use crate::venue::SeatIndex;

/// The owner of a seat that is nobody's: no fence is 0.
const NOBODY: u64 = 0;

/// Fences and epochs stay below this, so that a double holds them exactly.
const FENCE_LIMIT: u64 = 1 << 53;

/// The number after `last`: not below the time, so that it grows also after everything was lost.
fn next(last: u64, now: UnixMs) -> u64 {
    let floor = u64::try_from(now).unwrap_or(0).saturating_mul(1_024);
    floor.max(last.saturating_add(1)).min(FENCE_LIMIT - 1)
}

/// The seats of one event.
///
/// ```
/// use ticketon_domain::seat::{MapSpec, NotReady, Mapped, Over, SeatMap};
///
/// let mut map = SeatMap::new();
/// assert_eq!(map.head(), Mapped::NotReady(NotReady::Absent));
/// let spec = MapSpec { layout: "hall-1".to_owned(), seats: 3 };
/// let epoch = map.begin_rebuild(&spec, Over::Absent, 1_000).expect("nobody else began");
/// assert_eq!(map.head(), Mapped::NotReady(NotReady::Rebuilding { epoch }));
/// assert!(map.finish_rebuild(epoch));
/// assert_eq!(map.head().ready().map(|head| head.counts.free), Some(3));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatMap {
    phase: Phase,
    epoch: u64,
    version: u64,
    spec: MapSpec,
    counts: Counts,
    last_fence: u64,
    bits: Vec<u8>,
    owners: Vec<u64>,
    /// Of the seats that were ever given back, the newest fence under which.
    marks: HashMap<SeatIndex, u64>,
    /// The living holds by fence, so the oldest first.
    holds: BTreeMap<u64, Entry>,
    ids: HashMap<HoldId, Known>,
    /// The holds that are not pinned, the next to end first.
    deadlines: BTreeSet<(UnixMs, u64)>,
    /// The ended holds that are remembered, the oldest end first.
    ended: BTreeSet<(UnixMs, HoldId)>,
    users: HashMap<UserId, Has>,
    /// Whose the sold seats of a fence are, and how many.
    sold: HashMap<u64, (UserId, u32)>,
    changes: VecDeque<Change>,
    /// The seats that the present call wrote; empty between calls.
    written: BTreeMap<u32, SeatState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Absent,
    Rebuilding,
    Ready,
}

/// A living hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    hold: Hold,
    request_hash: u64,
}

impl Entry {
    /// Its time is over, whether or not a sweep has seen it.
    fn is_expired(&self, now: UnixMs) -> bool {
        self.hold
            .deadline_ms
            .is_some_and(|deadline| deadline <= now)
    }
}

/// What is known of the id of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Living {
        fence: u64,
    },
    Ended {
        reason: EndReason,
        at: UnixMs,
        request_hash: u64,
    },
}

/// What one person has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Has {
    sold: u32,
    holds: BTreeSet<u64>,
}

impl Default for SeatMap {
    fn default() -> Self {
        Self::new()
    }
}

impl SeatMap {
    /// No map: it has to be built first.
    #[must_use]
    pub fn new() -> Self {
        Self {
            phase: Phase::Absent,
            epoch: 0,
            version: 0,
            spec: MapSpec {
                layout: String::new(),
                seats: 0,
            },
            counts: Counts::default(),
            last_fence: 0,
            bits: Vec::new(),
            owners: Vec::new(),
            marks: HashMap::new(),
            holds: BTreeMap::new(),
            ids: HashMap::new(),
            deadlines: BTreeSet::new(),
            ended: BTreeSet::new(),
            users: HashMap::new(),
            sold: HashMap::new(),
            changes: VecDeque::new(),
            written: BTreeMap::new(),
        }
    }

    /// See [`SeatStore::head`](crate::seat::SeatStore::head).
    #[must_use]
    pub fn head(&self) -> Mapped<MapHead> {
        self.reading(None, || self.own_head())
    }

    /// See [`SeatStore::snapshot`](crate::seat::SeatStore::snapshot).
    #[must_use]
    pub fn snapshot(&self) -> Mapped<Snapshot> {
        self.reading(None, || {
            Snapshot::new(self.own_head(), self.bits.clone().into())
        })
    }

    fn own_head(&self) -> MapHead {
        MapHead::new(self.epoch, self.version, self.spec.clone(), self.counts)
    }

    /// Why the map cannot be used by who knows this epoch.
    fn refusal(&self, asked: Option<u64>) -> Option<NotReady> {
        let epoch = self.epoch;
        match self.phase {
            Phase::Absent => Some(NotReady::Absent),
            Phase::Rebuilding => Some(NotReady::Rebuilding { epoch }),
            Phase::Ready => asked
                .is_some_and(|asked| asked != epoch)
                .then_some(NotReady::OtherEpoch { epoch }),
        }
    }

    /// The answer of a reader.
    fn reading<T>(&self, epoch: Option<u64>, read: impl FnOnce() -> T) -> Mapped<T> {
        match self.refusal(epoch) {
            None => Mapped::Ready(read()),
            Some(why) => Mapped::NotReady(why),
        }
    }

    /// The answer of a verb, whose writes become one change.
    fn changing<T>(&mut self, epoch: Option<u64>, verb: impl FnOnce(&mut Self) -> T) -> Mapped<T> {
        if let Some(why) = self.refusal(epoch) {
            return Mapped::NotReady(why);
        }
        let answer = verb(self);
        self.publish();
        Mapped::Ready(answer)
    }

    /// A fence that none before it had.
    fn next_fence(&mut self, now: UnixMs) -> u64 {
        self.last_fence = next(self.last_fence, now);
        self.last_fence
    }

    fn has(&self, seat: SeatIndex) -> bool {
        seat.get() < self.spec.seats
    }

    /// The state of a seat; one beyond the map is blocked for good.
    fn state(&self, seat: SeatIndex) -> SeatState {
        if self.has(seat) {
            SeatState::at(&self.bits, seat)
        } else {
            SeatState::Blocked
        }
    }

    /// Who holds, bought or blocked the seat, or gave it back last; nobody otherwise.
    fn owner(&self, seat: SeatIndex) -> u64 {
        let owner = self.owners.get(seat.get() as usize).copied();
        owner.unwrap_or(NOBODY)
    }

    /// Whether the sale of a seat under this fence, or a later one, was given back.
    fn was_given_back(&self, seat: SeatIndex, fence: u64) -> bool {
        self.marks.get(&seat).is_some_and(|mark| *mark >= fence)
    }

    /// The sale of a seat under this fence was given back: its message is late from now on.
    fn mark(&mut self, seat: SeatIndex, fence: u64) {
        let mark = self.marks.entry(seat).or_default();
        *mark = fence.max(*mark);
        // Or what is held from now on could be taken for older.
        self.last_fence = self.last_fence.max(fence);
    }

    /// Writes a seat of the map. It keeps its owner unless it is given one.
    fn put(&mut self, seat: SeatIndex, state: SeatState, owner: Option<u64>) {
        let was = self.state(seat);
        if let (Some(slot), Some(owner)) = (self.owners.get_mut(seat.get() as usize), owner) {
            *slot = owner;
        }
        if was == state {
            return;
        }
        state.put(&mut self.bits, seat);
        *count(&mut self.counts, was) -= 1;
        *count(&mut self.counts, state) += 1;
        self.written.insert(seat.get(), state);
    }
}

fn count(counts: &mut Counts, state: SeatState) -> &mut u32 {
    match state {
        SeatState::Free => &mut counts.free,
        SeatState::Held => &mut counts.held,
        SeatState::Sold => &mut counts.sold,
        SeatState::Blocked => &mut counts.blocked,
    }
}

#[cfg(test)]
mod tests;
