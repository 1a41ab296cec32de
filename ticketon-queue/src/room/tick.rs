//! What is due: ends what ran out, then promotes.

use super::{Room, strides};
use crate::clock::UnixMs;
use crate::id::UserId;
use crate::state::{Reason, RoomState};
use crate::store::{MAX_BATCH, Tick};

impl Room {
    /// Does what is due, each kind of work at most [`MAX_BATCH`] times, and promotes at most `batch` people.
    pub fn tick(&mut self, batch: usize, now: UnixMs) -> Tick {
        let batch = batch.min(MAX_BATCH);
        if self.is_after_outage(now) {
            self.guard_until = now + self.config.away_grace_ms();
        }
        self.tick_at = now;
        self.open_if_due(now);
        let (expired, more_expired) = self.sweep_leases(now);
        let (mut left, more_away) = self.sweep_away(now);
        let more_gone = self.sweep_gone(now);
        let mut more_closed = false;
        if self.state == RoomState::Closed {
            let (ended, more) = self.end_waiting(now);
            left += ended;
            more_closed = more;
        }
        let promoted = if self.state.promotes() {
            self.promote(batch, now)
        } else {
            0
        };
        Tick {
            promoted: promoted as u64,
            expired,
            left,
            more: more_expired
                || more_away
                || more_gone
                || more_closed
                || (promoted == batch && promoted > 0),
            state: self.state,
            waiting: self.waiting.len() as u64,
            active: self.live(now),
            lapsed: self.lapsed_brokers(now),
        }
    }

    /// Ends leases that ran out, and answers how many and whether there are more. After an outage, unclaimed ones get
    /// until the end of the grace instead.
    pub(super) fn sweep_leases(&mut self, now: UnixMs) -> (u64, bool) {
        let due = due(&self.deadlines, now);
        let more = due.len() == MAX_BATCH;
        let mut expired = 0;
        for user in due {
            let Some(mut lease) = self.drop_lease(&user) else {
                continue;
            };
            if !lease.claimed && now < self.guard_until && lease.expires_at_ms > now {
                lease.claim_by_ms = self.guard_until.min(lease.expires_at_ms);
                self.put_lease(user, lease);
            } else {
                self.end(&user, Reason::Expired, lease.fence, now);
                self.totals.expired += 1;
                expired += 1;
            }
        }
        (expired, more)
    }

    /// Ends the places of people who stayed away for longer than the grace.
    fn sweep_away(&mut self, now: UnixMs) -> (u64, bool) {
        if now < self.guard_until {
            return (0, false);
        }
        let due = due(&self.away_ends, now);
        let more = due.len() == MAX_BATCH;
        let left = due.len() as u64;
        for user in due {
            self.stop_waiting(&user);
            self.end(&user, Reason::Left, 0, now);
        }
        self.totals.left += left;
        (left, more)
    }

    fn sweep_gone(&mut self, now: UnixMs) -> bool {
        let due = due(&self.gone_ends, now);
        for user in &due {
            self.forget_gone(user);
        }
        due.len() == MAX_BATCH
    }

    /// A closed room ends who waits, lane by lane.
    fn end_waiting(&mut self, now: UnixMs) -> (u64, bool) {
        let mut ended = 0;
        for lane in Vec::from(self.config.lanes()) {
            while ended < MAX_BATCH as u64 {
                let first = self
                    .lanes
                    .get_mut(&lane.name)
                    .and_then(|lane| lane.line.pop_first());
                let Some((_, user)) = first else { break };
                self.waiting.remove(&user);
                self.end(&user, Reason::RoomClosed, 0, now);
                ended += 1;
            }
        }
        self.totals.left += ended;
        (ended, !self.waiting.is_empty())
    }

    fn promote(&mut self, batch: usize, now: UnixMs) -> usize {
        self.settle_budget(now);
        let slots = u64::from(self.config.capacity()).saturating_sub(self.taken());
        let budget = self.budget_milli.max(0).unsigned_abs() / 1_000;
        let room = usize::try_from(slots.min(budget))
            .unwrap_or(usize::MAX)
            .min(batch);
        let strides = strides(&self.config);
        let lanes = Vec::from(self.config.lanes());
        let mut promoted = 0;
        while promoted < room {
            let next = lanes
                .iter()
                .enumerate()
                .filter(|(_, lane)| !self.line(&lane.name).is_empty())
                .min_by_key(|(index, lane)| (self.lanes[&lane.name].pass, *index));
            let Some((index, lane)) = next else { break };
            let Some(state) = self.lanes.get_mut(&lane.name) else {
                break;
            };
            self.pass = state.pass;
            state.pass += strides[index];
            let Some((sequence, user)) = state.line.pop_first() else {
                break;
            };
            self.waiting.remove(&user);
            self.admit(user, &lane.name, sequence, now);
            promoted += 1;
        }
        promoted
    }
}

/// Users whose time is up, at most [`MAX_BATCH`], the earliest first.
fn due(ends: &std::collections::BTreeSet<(UnixMs, UserId)>, now: UnixMs) -> Vec<UserId> {
    ends.iter()
        .take_while(|(end, _)| *end <= now)
        .take(MAX_BATCH)
        .map(|(_, user)| user.clone())
        .collect()
}
