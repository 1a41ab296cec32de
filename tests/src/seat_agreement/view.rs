//! What can be seen of a map from outside, at one moment.

use std::collections::BTreeMap;

use ticketon_domain::seat::{Hold, Mapped, SeatMap, SeatState, Snapshot};
use ticketon_domain::venue::SeatIndex;

use super::life::user;
use super::step::{SEATS, USERS};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) now: i64,
    pub(super) map: Mapped<Snapshot>,
    /// The holds that live now, by fence.
    pub(super) living: BTreeMap<u64, Hold>,
}

impl View {
    pub(super) fn of(model: &SeatMap, now: i64) -> Self {
        let map = model.snapshot();
        let mut living = BTreeMap::new();
        if let Mapped::Ready(snapshot) = &map {
            for who in 0..USERS {
                let holds = model.holds_of(snapshot.head.epoch, &user(who), now);
                let holds = holds.ready().unwrap_or_default();
                living.extend(holds.into_iter().map(|hold| (hold.fence, hold)));
            }
        }
        Self { now, map, living }
    }

    pub(super) fn snapshot(&self) -> Option<&Snapshot> {
        match &self.map {
            Mapped::Ready(snapshot) => Some(snapshot),
            Mapped::NotReady(_) => None,
        }
    }

    /// The state of a seat; beyond the map it is blocked for good.
    pub(super) fn state(&self, seat: SeatIndex) -> SeatState {
        let state = self.snapshot().and_then(|snapshot| snapshot.state(seat));
        state.unwrap_or(SeatState::Blocked)
    }

    /// Whether the map has this seat.
    pub(super) fn has(&self, seat: SeatIndex) -> bool {
        let map = self.snapshot();
        map.is_some_and(|map| seat.get() < map.head.spec.seats)
    }

    /// Whether a seat is free, or held by nobody any more.
    pub(super) fn is_to_be_had(&self, seat: SeatIndex) -> bool {
        match self.state(seat) {
            SeatState::Free => true,
            SeatState::Held => {
                let mut living = self.living.values();
                !living.any(|hold| hold.seats.contains(&seat))
            }
            _ => false,
        }
    }

    /// Every seat that a step may name.
    pub(super) fn seats() -> impl Iterator<Item = SeatIndex> {
        (0..SEATS + 4).map(SeatIndex::new)
    }
}
