//! What the holder of a hold may do with it. A right that is not proven changes nothing.

use ticketon_queue::{UnixMs, UserId};

use super::end::is_remembered;
use super::{Known, SeatMap};
use crate::seat::hold::{EndReason, Hold};
use crate::seat::store::{HoldKey, HoldReply, MAX_HOLD_MS, Mapped};

impl SeatMap {
    /// See [`SeatStore::find`](crate::seat::SeatStore::find).
    #[must_use]
    pub fn find(&self, epoch: u64, key: &HoldKey, now: UnixMs) -> Mapped<HoldReply> {
        self.reading(Some(epoch), || match self.named(key, now) {
            Ok(hold) => HoldReply::Done(hold.clone()),
            Err(refused) => refused,
        })
    }

    /// See [`SeatStore::holds_of`](crate::seat::SeatStore::holds_of).
    #[must_use]
    pub fn holds_of(&self, epoch: u64, user: &UserId, now: UnixMs) -> Mapped<Vec<Hold>> {
        self.reading(Some(epoch), || {
            let fences = self.users.get(user).into_iter().flat_map(|has| &has.holds);
            fences
                .filter_map(|fence| self.holds.get(fence))
                .filter(|entry| !entry.is_expired(now))
                .map(|entry| entry.hold.clone())
                .collect()
        })
    }

    /// See [`SeatStore::extend`](crate::seat::SeatStore::extend).
    pub fn extend(
        &mut self,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
        cap_ms: i64,
        now: UnixMs,
    ) -> Mapped<HoldReply> {
        self.with_hold(epoch, key, now, |map, hold| {
            let Some(deadline) = hold.deadline_ms else {
                return HoldReply::Pinned;
            };
            let wanted = now.saturating_add(ttl_ms.min(MAX_HOLD_MS));
            let cap = hold.taken_at_ms.saturating_add(cap_ms);
            map.set_deadline(&hold, Some(deadline.max(wanted.min(cap))))
        })
    }

    /// See [`SeatStore::release`](crate::seat::SeatStore::release).
    pub fn release(&mut self, epoch: u64, key: &HoldKey, now: UnixMs) -> Mapped<HoldReply> {
        self.with_hold(epoch, key, now, |map, hold| {
            if hold.deadline_ms.is_none() {
                return HoldReply::Pinned;
            }
            map.end(hold.fence, EndReason::Released, now);
            HoldReply::Done(hold)
        })
    }

    /// See [`SeatStore::pin`](crate::seat::SeatStore::pin).
    pub fn pin(&mut self, epoch: u64, key: &HoldKey, now: UnixMs) -> Mapped<HoldReply> {
        self.with_hold(epoch, key, now, |map, hold| match key.fence {
            None => HoldReply::NotYours,
            Some(_) => map.set_deadline(&hold, None),
        })
    }

    /// See [`SeatStore::unpin`](crate::seat::SeatStore::unpin).
    pub fn unpin(
        &mut self,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
        now: UnixMs,
    ) -> Mapped<HoldReply> {
        self.with_hold(epoch, key, now, |map, hold| {
            if key.fence.is_none() {
                HoldReply::NotYours
            } else if hold.deadline_ms.is_some() {
                HoldReply::Done(hold)
            } else if ttl_ms <= 0 {
                map.end(hold.fence, EndReason::Released, now);
                HoldReply::Done(hold)
            } else {
                let deadline = now.saturating_add(ttl_ms.min(MAX_HOLD_MS));
                map.set_deadline(&hold, Some(deadline))
            }
        })
    }

    /// Does something with the hold that a key names, or answers why not.
    fn with_hold(
        &mut self,
        epoch: u64,
        key: &HoldKey,
        now: UnixMs,
        verb: impl FnOnce(&mut Self, Hold) -> HoldReply,
    ) -> Mapped<HoldReply> {
        self.changing(Some(epoch), |map| {
            if let Some(Known::Living { fence }) = map.ids.get(&key.id) {
                map.end_if_expired(*fence, now);
            }
            match map.named(key, now).cloned() {
                Ok(hold) => verb(map, hold),
                Err(refused) => refused,
            }
        })
    }

    /// The living hold that a key names, if it proves the right to it.
    fn named(&self, key: &HoldKey, now: UnixMs) -> Result<&Hold, HoldReply> {
        let entry = match self.ids.get(&key.id) {
            Some(Known::Living { fence }) => self.holds.get(fence).ok_or(HoldReply::Unknown)?,
            Some(Known::Ended { reason, at, .. }) if is_remembered(*at, now) => {
                return Err(HoldReply::Ended { reason: *reason });
            }
            _ => return Err(HoldReply::Unknown),
        };
        if entry.is_expired(now) {
            let reason = EndReason::Expired;
            return Err(HoldReply::Ended { reason });
        }
        let hold = &entry.hold;
        if hold.user != key.user || key.fence.is_some_and(|fence| fence != hold.fence) {
            return Err(HoldReply::NotYours);
        }
        Ok(hold)
    }

    /// Gives a hold another deadline, or none.
    fn set_deadline(&mut self, hold: &Hold, deadline: Option<UnixMs>) -> HoldReply {
        let Some(entry) = self.holds.get_mut(&hold.fence) else {
            return HoldReply::Unknown;
        };
        if let Some(old) = std::mem::replace(&mut entry.hold.deadline_ms, deadline) {
            self.deadlines.remove(&(old, hold.fence));
        }
        if let Some(new) = deadline {
            self.deadlines.insert((new, hold.fence));
        }
        HoldReply::Done(entry.hold.clone())
    }
}
