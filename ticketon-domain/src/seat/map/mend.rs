//! Comparing a map with the ledger, and mending it seat by seat.
//!
//! Whoever compares reads what each seat is and whose, and says what it should be. A seat that has changed since is left
//! alone: so a comparison that was overtaken changes nothing.

use ticketon_queue::UnixMs;

use super::SeatMap;
use crate::seat::hold::Hold;
use crate::seat::state::SeatState;
use crate::seat::store::{MAX_OWNED, MAX_PINNED, Mapped, Mend, Owned, Synced, Truth};
use crate::venue::SeatIndex;

impl SeatMap {
    /// See [`SeatStore::owners`](crate::seat::SeatStore::owners).
    #[must_use]
    pub fn owners(&self, epoch: u64, from: SeatIndex) -> Mapped<Vec<Owned>> {
        self.reading(Some(epoch), || {
            let seats = (from.get()..self.spec.seats).map(SeatIndex::new);
            seats.take(MAX_OWNED).map(|seat| self.owned(seat)).collect()
        })
    }

    /// See [`SeatStore::pinned`](crate::seat::SeatStore::pinned).
    #[must_use]
    pub fn pinned(&self, epoch: u64, skip: u32) -> Mapped<Vec<Hold>> {
        self.reading(Some(epoch), || {
            let holds = self.holds.values().map(|entry| &entry.hold);
            let pinned = holds.filter(|hold| hold.deadline_ms.is_none());
            let page = pinned.skip(skip as usize).take(MAX_PINNED);
            page.cloned().collect()
        })
    }

    /// See [`SeatStore::mend`](crate::seat::SeatStore::mend).
    pub fn mend(&mut self, epoch: u64, batch: &[Mend], now: UnixMs) -> Mapped<Synced> {
        self.changing(Some(epoch), |map| {
            let (mut changed, mut lost) = (0, Vec::new());
            for mend in batch {
                let seat = mend.seat;
                if !map.has(seat) || map.owned(seat) != mend.found {
                    continue;
                }
                changed += 1;
                match &mend.truth {
                    Truth::Sold { user, fence } => {
                        map.last_fence = map.last_fence.max(*fence);
                        lost.extend(map.make_sold(seat, user, *fence, now));
                    }
                    Truth::Free if mend.found.state == SeatState::Sold => {
                        map.count_unsold(mend.found.owner);
                        map.mark(seat, mend.found.owner);
                        map.put(seat, SeatState::Free, None);
                    }
                    Truth::Free => changed -= 1,
                }
            }
            Synced {
                changed,
                lost,
                late: 0,
            }
        })
    }

    fn owned(&self, seat: SeatIndex) -> Owned {
        Owned {
            state: self.state(seat),
            owner: self.owner(seat),
        }
    }
}
