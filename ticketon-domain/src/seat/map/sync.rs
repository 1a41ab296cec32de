//! Following the ledger: what is sold is sold, whatever the map thought.

use ticketon_queue::{UnixMs, UserId};

use super::SeatMap;
use crate::seat::hold::{EndReason, HoldId};
use crate::seat::state::SeatState;
use crate::seat::store::{Mapped, SeatSync, Synced};
use crate::venue::SeatIndex;

impl SeatMap {
    /// See [`SeatStore::sync`](crate::seat::SeatStore::sync).
    pub fn sync(&mut self, epoch: u64, batch: &[SeatSync], now: UnixMs) -> Mapped<Synced> {
        self.changing(Some(epoch), |map| {
            let all = map.spec.seats;
            let known = |seat: &SeatIndex| seat.get() < all;
            let (mut lost, mut late) = (Vec::new(), 0);
            for one in batch {
                match one {
                    SeatSync::Sold { user, fence, seats } => {
                        for seat in seats.iter().copied().filter(known) {
                            late += u64::from(map.is_late(seat, *fence));
                            lost.extend(map.sync_sold(seat, user, *fence, now));
                        }
                    }
                    SeatSync::Released { fence, seats, .. } => {
                        for seat in seats.iter().copied().filter(known) {
                            map.sync_released(seat, *fence, now);
                        }
                    }
                }
            }
            Synced {
                changed: map.written.len() as u64,
                lost,
                late,
            }
        })
    }

    /// Whether a seat's sale under this fence is passed over, though nobody has the seat by a later one.
    fn is_late(&self, seat: SeatIndex, fence: u64) -> bool {
        !self.is_sold_since(seat, fence) && self.was_given_back(seat, fence)
    }

    fn is_sold_since(&self, seat: SeatIndex, fence: u64) -> bool {
        self.state(seat) == SeatState::Sold && self.owner(seat) >= fence
    }

    /// One seat was sold under a fence. Answers the hold of somebody else that ended over it.
    fn sync_sold(
        &mut self,
        seat: SeatIndex,
        user: &UserId,
        fence: u64,
        now: UnixMs,
    ) -> Option<HoldId> {
        if self.is_sold_since(seat, fence) || self.was_given_back(seat, fence) {
            return None;
        }
        self.make_sold(seat, user, fence, now)
    }

    /// One seat is sold under a fence, whatever it was. Answers the hold of somebody else that ended over it.
    pub(super) fn make_sold(
        &mut self,
        seat: SeatIndex,
        user: &UserId,
        fence: u64,
        now: UnixMs,
    ) -> Option<HoldId> {
        let owner = self.owner(seat);
        let mut lost = None;
        match self.state(seat) {
            SeatState::Sold => self.count_unsold(owner),
            SeatState::Held if owner == fence => {
                self.take_from(fence, seat, EndReason::Sold, now);
            }
            SeatState::Held => lost = self.lose(owner, seat, now),
            SeatState::Free | SeatState::Blocked => {}
        }
        self.put(seat, SeatState::Sold, Some(fence));
        self.count_sold(fence, user);
        lost
    }

    /// A seat that is held turns out to be sold to somebody else. A hold that is being paid with keeps
    /// its other seats: the ledger decides about it. Answers the hold if it ended.
    fn lose(&mut self, fence: u64, seat: SeatIndex, now: UnixMs) -> Option<HoldId> {
        let hold = &self.holds.get(&fence)?.hold;
        let (id, is_pinned) = (hold.id, hold.deadline_ms.is_none());
        let ended = if is_pinned {
            self.take_from(fence, seat, EndReason::Lost, now)
        } else {
            self.end(fence, EndReason::Lost, now).is_some()
        };
        ended.then_some(id)
    }

    /// One seat that was sold under a fence is given back: marked by the fence, and free if nobody else has it.
    fn sync_released(&mut self, seat: SeatIndex, fence: u64, now: UnixMs) {
        self.mark(seat, fence);
        let owner = self.owner(seat);
        match self.state(seat) {
            SeatState::Sold if owner == fence => self.count_unsold(fence),
            SeatState::Held if owner == fence => {
                self.take_from(fence, seat, EndReason::Released, now);
            }
            // It came before the sale's own message.
            SeatState::Free if owner < fence => {}
            _ => return,
        }
        self.put(seat, SeatState::Free, Some(fence));
    }

    /// One seat more is sold under this fence.
    pub(super) fn count_sold(&mut self, fence: u64, user: &UserId) {
        let sold = self.sold.entry(fence).or_insert_with(|| (user.clone(), 0));
        sold.1 += 1;
        let user = sold.0.clone();
        self.update_user(&user, |has| has.sold += 1);
    }

    /// One seat less is.
    pub(super) fn count_unsold(&mut self, fence: u64) {
        let Some((user, count)) = self.sold.get_mut(&fence) else {
            return;
        };
        let user = user.clone();
        *count -= 1;
        if *count == 0 {
            self.sold.remove(&fence);
        }
        self.update_user(&user, |has| has.sold = has.sold.saturating_sub(1));
    }
}
