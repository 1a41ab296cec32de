//! How holds end, and how long that is remembered.

use ticketon_queue::UnixMs;

use super::{Known, NOBODY, SeatMap};
use crate::seat::hold::{EndReason, Hold, HoldId};
use crate::seat::state::SeatState;
use crate::seat::store::{ENDED_TTL_MS, MAX_SWEEP, Mapped, Swept};
use crate::venue::SeatIndex;

/// The most ended holds that one sweep forgets.
const MAX_FORGOTTEN: usize = 1_000;

impl SeatMap {
    /// See [`SeatStore::sweep`](crate::seat::SeatStore::sweep).
    pub fn sweep(&mut self, now: UnixMs) -> Mapped<Swept> {
        self.changing(None, |map| {
            let (holds, seats) = map.end_due(now);
            map.forget_ended(now);
            Swept {
                holds,
                seats,
                more: map.next_due(now).is_some() || map.next_forgotten(now).is_some(),
            }
        })
    }

    /// Ends holds past their deadline, the longest past first, as many as one sweep may: how many
    /// holds, and how many seats became free.
    pub(super) fn end_due(&mut self, now: UnixMs) -> (u64, u64) {
        let (mut holds, mut seats) = (0, 0);
        for _ in 0..MAX_SWEEP {
            let ended = self
                .next_due(now)
                .and_then(|fence| self.end(fence, EndReason::Expired, now));
            let Some(hold) = ended else { break };
            holds += 1;
            seats += hold.seats.len() as u64;
        }
        (holds, seats)
    }

    fn next_due(&self, now: UnixMs) -> Option<u64> {
        let &(deadline, fence) = self.deadlines.first()?;
        (deadline <= now).then_some(fence)
    }

    fn forget_ended(&mut self, now: UnixMs) {
        for _ in 0..MAX_FORGOTTEN {
            let Some((at, id)) = self.next_forgotten(now) else {
                break;
            };
            self.ended.remove(&(at, id));
            self.ids.remove(&id);
        }
    }

    fn next_forgotten(&self, now: UnixMs) -> Option<(UnixMs, HoldId)> {
        let &(at, id) = self.ended.first()?;
        (!is_remembered(at, now)).then_some((at, id))
    }

    /// Ends the hold of this fence if its time is over.
    pub(super) fn end_if_expired(&mut self, fence: u64, now: UnixMs) {
        if self
            .holds
            .get(&fence)
            .is_some_and(|entry| entry.is_expired(now))
        {
            self.end(fence, EndReason::Expired, now);
        }
    }

    /// Ends a hold: its seats become free and nobody's, and its id tells why. Answers it as it was.
    pub(super) fn end(&mut self, fence: u64, reason: EndReason, now: UnixMs) -> Option<Hold> {
        let entry = self.holds.remove(&fence)?;
        for seat in &entry.hold.seats {
            self.put(*seat, SeatState::Free, Some(NOBODY));
        }
        if let Some(deadline) = entry.hold.deadline_ms {
            self.deadlines.remove(&(deadline, fence));
        }
        let ended = Known::Ended {
            reason,
            at: now,
            request_hash: entry.request_hash,
        };
        self.ids.insert(entry.hold.id, ended);
        self.ended.insert((now, entry.hold.id));
        self.update_user(&entry.hold.user, |has| {
            has.holds.remove(&fence);
        });
        Some(entry.hold)
    }

    /// Takes one seat out of a hold, which ends when it has none left. Answers whether it did.
    pub(super) fn take_from(
        &mut self,
        fence: u64,
        seat: SeatIndex,
        reason: EndReason,
        now: UnixMs,
    ) -> bool {
        let Some(entry) = self.holds.get_mut(&fence) else {
            return false;
        };
        entry.hold.seats.retain(|one| *one != seat);
        let is_empty = entry.hold.seats.is_empty();
        if is_empty {
            self.end(fence, reason, now);
        }
        is_empty
    }
}

/// Whether an end of then is still known.
pub(super) fn is_remembered(at: UnixMs, now: UnixMs) -> bool {
    now.saturating_sub(at) <= ENDED_TTL_MS
}
