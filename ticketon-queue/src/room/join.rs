//! Joining, looking and leaving.

use super::Room;
use crate::clock::UnixMs;
use crate::id::{LaneName, UserId};
use crate::state::{Reason, RoomState};
use crate::store::{JoinReply, JoinRequest, Left, Presence};

impl Room {
    /// Joins one person. Idempotent: who has a place or a live lease keeps it.
    pub fn join(&mut self, request: &JoinRequest, now: UnixMs) -> JoinReply {
        let user = &request.user;
        self.open_if_due(now);
        if let Presence::Stream { broker, .. } = request.presence
            && !self.is_registered(broker)
        {
            return JoinReply::BrokerLapsed;
        }
        self.end_if_expired(user, now);
        if let Some(lease) = self.leases.get(user).cloned() {
            self.show_up(user, request.presence, now);
            return JoinReply::Admitted { lease, new: false };
        }
        if let Some((lane, sequence)) = self.waiting.get(user).cloned() {
            self.show_up(user, request.presence, now);
            return JoinReply::Waiting {
                place: self.place(user, &lane, sequence),
                new: false,
            };
        }
        if request.resume == Some(self.epoch) {
            let reason = self
                .gone
                .get(user)
                .filter(|gone| gone.until > now)
                .map_or(Reason::Left, |gone| gone.reason);
            return JoinReply::Gone { reason };
        }
        if !self.state.joins() {
            return JoinReply::Refused { state: self.state };
        }
        if self.waiting.len() >= self.config.max_waiting() as usize {
            return JoinReply::Full;
        }
        let lane = self.lane_for(request.lane.as_ref());
        let sequence = self.next_sequence(user, &lane);
        self.totals.joined += 1;
        self.forget_gone(user);
        if self.admits_at_once(now) {
            let lease = self.admit(user.clone(), &lane, sequence, now);
            self.show_up(user, request.presence, now);
            return JoinReply::Admitted { lease, new: true };
        }
        let floor = self.pass;
        let state = self.lanes.entry(lane.clone()).or_default();
        if state.line.is_empty() {
            state.pass = state.pass.max(floor);
        }
        state.line.insert(sequence, user.clone());
        self.waiting.insert(user.clone(), (lane.clone(), sequence));
        self.show_up(user, request.presence, now);
        JoinReply::Waiting {
            place: self.place(user, &lane, sequence),
            new: true,
        }
    }

    /// Whether a newcomer need not wait: nobody does, no time was lost, and pace and slots allow it. Ends first what
    /// ran out, as a tick would, so that no slot is given that a tick could give back; more of it than one sweep ends
    /// is left to the tick.
    fn admits_at_once(&mut self, now: UnixMs) -> bool {
        self.settle_budget(now);
        let may = self.state == RoomState::Open
            && self.waiting.is_empty()
            && self.budget_milli >= 1_000
            && !self.is_guarded(now);
        if !may {
            return false;
        }
        let (_, more) = self.sweep_leases(now);
        !more && self.taken() < u64::from(self.config.capacity())
    }

    /// Gives up a place or an admission.
    pub fn leave(&mut self, user: &UserId, fence: Option<u64>, now: UnixMs) -> Left {
        self.end_if_expired(user, now);
        if let Some(lease) = self.leases.get(user) {
            let own = lease.fence;
            if fence.is_some_and(|fence| fence != own) {
                return Left::Stale;
            }
            self.drop_lease(user);
            self.end(user, Reason::Left, own, now);
            self.totals.left += 1;
            return Left::Admitted;
        }
        if self.stop_waiting(user) {
            self.end(user, Reason::Left, 0, now);
            self.totals.left += 1;
            return Left::Waiting;
        }
        Left::NotJoined
    }

    /// Takes a person out of their line.
    pub(super) fn stop_waiting(&mut self, user: &UserId) -> bool {
        let Some((lane, sequence)) = self.waiting.remove(user) else {
            return false;
        };
        self.lanes
            .get_mut(&lane)
            .is_some_and(|lane| lane.line.remove(sequence, user))
    }

    fn lane_for(&self, wanted: Option<&LaneName>) -> LaneName {
        wanted
            .filter(|lane| self.config.lane_index(lane).is_some())
            .unwrap_or(&self.config.lanes()[0].name)
            .clone()
    }

    /// The drawn score before the opening; after it, behind everybody.
    fn next_sequence(&mut self, user: &UserId, lane: &LaneName) -> i64 {
        if let Some(key) = &self.draw_key
            && self.state == RoomState::Scheduled
        {
            return key.score(user);
        }
        let lane = self.lanes.entry(lane.clone()).or_default();
        lane.sequence += 1;
        lane.sequence
    }
}
