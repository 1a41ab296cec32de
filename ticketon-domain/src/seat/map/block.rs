//! Seats that the organiser keeps out of sale.

use ticketon_queue::UnixMs;

use super::{NOBODY, SeatMap};
use crate::seat::state::SeatState;
use crate::seat::store::{Blocked, Mapped};
use crate::venue::SeatIndex;

impl SeatMap {
    /// See [`SeatStore::block`](crate::seat::SeatStore::block).
    pub fn block(&mut self, epoch: u64, seats: &[SeatIndex], now: UnixMs) -> Mapped<Blocked> {
        self.changing(Some(epoch), |map| {
            for seat in seats {
                map.end_if_in_the_way(*seat, now);
            }
            let is_taken = |seat: &SeatIndex| {
                !map.has(*seat) || matches!(map.state(*seat), SeatState::Held | SeatState::Sold)
            };
            let taken: Vec<SeatIndex> = seats.iter().copied().filter(is_taken).collect();
            if !taken.is_empty() {
                return Blocked::Unavailable { seats: taken };
            }
            if seats.iter().any(|seat| map.is_free(*seat)) {
                let fence = map.next_fence(now);
                for seat in seats {
                    if map.is_free(*seat) {
                        map.put(*seat, SeatState::Blocked, Some(fence));
                    }
                }
            }
            Blocked::Done
        })
    }

    /// See [`SeatStore::unblock`](crate::seat::SeatStore::unblock).
    pub fn unblock(&mut self, epoch: u64, seats: &[SeatIndex]) -> Mapped<Blocked> {
        self.changing(Some(epoch), |map| {
            for seat in seats {
                if map.has(*seat) && map.state(*seat) == SeatState::Blocked {
                    map.put(*seat, SeatState::Free, Some(NOBODY));
                }
            }
            Blocked::Done
        })
    }
}
