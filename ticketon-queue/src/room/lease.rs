//! Admission leases: made, claimed, extended, ended. Every change compares the fence.

use super::Room;
use crate::clock::UnixMs;
use crate::id::{LaneName, UserId};
use crate::state::Reason;
use crate::store::{Fenced, Lease, MAX_EXTEND_MS};

impl Room {
    /// Claims an admission.
    pub fn claim(&mut self, user: &UserId, fence: u64, now: UnixMs) -> Fenced<Lease> {
        self.change_lease(user, fence, now, |lease| lease.claimed = true)
    }

    /// Lets an admission last until at least now + `for_ms`. Claims it too.
    pub fn extend(&mut self, user: &UserId, fence: u64, for_ms: i64, now: UnixMs) -> Fenced<Lease> {
        let until = now + for_ms.clamp(0, MAX_EXTEND_MS);
        self.change_lease(user, fence, now, |lease| {
            lease.claimed = true;
            lease.expires_at_ms = lease.expires_at_ms.max(until);
        })
    }

    /// Ends an admission whose purpose is fulfilled.
    pub fn complete(&mut self, user: &UserId, fence: u64, now: UnixMs) -> Fenced<()> {
        self.end_if_expired(user, now);
        match self.leases.get(user) {
            Some(lease) if lease.fence == fence => {
                self.drop_lease(user);
                self.end(user, Reason::Completed, fence, now);
                self.totals.completed += 1;
                Fenced::Done(())
            }
            Some(_) => Fenced::Stale,
            None => match self.ended(user, fence, now) {
                Some(Reason::Completed) => Fenced::Done(()),
                Some(reason) => Fenced::Ended { reason },
                None => Fenced::Stale,
            },
        }
    }

    fn change_lease(
        &mut self,
        user: &UserId,
        fence: u64,
        now: UnixMs,
        change: impl FnOnce(&mut Lease),
    ) -> Fenced<Lease> {
        self.end_if_expired(user, now);
        let Some(mut lease) = self.leases.get(user).cloned() else {
            return match self.ended(user, fence, now) {
                Some(reason) => Fenced::Ended { reason },
                None => Fenced::Stale,
            };
        };
        if lease.fence != fence {
            return Fenced::Stale;
        }
        self.drop_lease(user);
        change(&mut lease);
        self.put_lease(user.clone(), lease.clone());
        Fenced::Done(lease)
    }

    /// Why the lease with this fence ended.
    fn ended(&self, user: &UserId, fence: u64, now: UnixMs) -> Option<Reason> {
        self.gone
            .get(user)
            .filter(|gone| gone.fence == fence && gone.until > now)
            .map(|gone| gone.reason)
    }

    /// Makes a lease and pays for it from the budget.
    pub(super) fn admit(
        &mut self,
        user: UserId,
        lane: &LaneName,
        sequence: i64,
        now: UnixMs,
    ) -> Lease {
        self.last_fence = (self.last_fence + 1).max(now.unsigned_abs() * 1_024);
        let expires_at_ms = now + self.config.entry_ttl_ms();
        let lease = Lease {
            epoch: self.epoch,
            lane: lane.clone(),
            sequence,
            fence: self.last_fence,
            admitted_at_ms: now,
            claim_by_ms: (now + self.config.claim_ttl_ms()).min(expires_at_ms),
            expires_at_ms,
            claimed: false,
        };
        self.budget_milli -= 1_000;
        self.totals.admitted += 1;
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.watermark = lane.watermark.max(sequence);
        }
        self.stop_away(&user);
        self.put_lease(user, lease.clone());
        lease
    }

    pub(super) fn put_lease(&mut self, user: UserId, lease: Lease) {
        self.deadlines.insert((lease.deadline_ms(), user.clone()));
        self.leases.insert(user, lease);
    }

    pub(super) fn drop_lease(&mut self, user: &UserId) -> Option<Lease> {
        let lease = self.leases.remove(user)?;
        self.deadlines.remove(&(lease.deadline_ms(), user.clone()));
        Some(lease)
    }

    /// A verb that meets a user's lapsed lease ends it first.
    pub(super) fn end_if_expired(&mut self, user: &UserId, now: UnixMs) {
        let Some(lease) = self.leases.get(user) else {
            return;
        };
        if self.is_live(lease, now) {
            return;
        }
        let fence = lease.fence;
        self.drop_lease(user);
        self.end(user, Reason::Expired, fence, now);
        self.totals.expired += 1;
    }
}
