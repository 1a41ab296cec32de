//! Who is connected where, and whose absence counts.

use super::Room;
use crate::clock::UnixMs;
use crate::id::{BrokerId, ConnId, UserId};
use crate::store::{
    Attach, Attached, BROKER_LEASE_MS, MAX_BATCH, Observe, ObserveReply, Observed, Presence,
    TakenOver,
};

impl Room {
    /// Registers a broker's incarnation.
    pub fn register_broker(&mut self, broker: BrokerId, now: UnixMs) {
        self.brokers.insert(broker, now + BROKER_LEASE_MS);
    }

    /// Whether the incarnation is registered and not being taken over.
    pub(super) fn is_registered(&self, broker: BrokerId) -> bool {
        self.brokers
            .get(&broker)
            .is_some_and(|deadline| *deadline != 0)
    }

    /// Renews the broker's lease and reads what it tells its people.
    pub fn observe(&mut self, broker: BrokerId, request: &Observe, now: UnixMs) -> ObserveReply {
        match self.brokers.get_mut(&broker) {
            Some(deadline) if *deadline != 0 => *deadline = now + BROKER_LEASE_MS,
            _ => return ObserveReply::BrokerLapsed,
        }
        let ranks = request
            .samples
            .iter()
            .map(|(lane, sequence)| {
                self.config
                    .lanes()
                    .get(*lane)
                    .map_or(0, |lane| self.line(&lane.name).rank(*sequence) as u64)
            })
            .collect();
        let users = request
            .users
            .iter()
            .map(|user| {
                let mut standing = self.standing(user, now);
                if let crate::store::Standing::Waiting(place) = &mut standing {
                    place.position = None;
                }
                (standing, self.owner.get(user).copied())
            })
            .collect();
        ObserveReply::Observed(Box::new(Observed {
            numbers: self.numbers(now),
            ranks,
            users,
        }))
    }

    /// Brings connections of one incarnation under another, which must be registered.
    pub fn attach(
        &mut self,
        from: BrokerId,
        to: BrokerId,
        batch: &[Attach],
        now: UnixMs,
    ) -> Vec<Attached> {
        batch
            .iter()
            .map(|item| self.attach_one(from, to, item, now))
            .collect()
    }

    fn attach_one(&mut self, from: BrokerId, to: BrokerId, item: &Attach, now: UnixMs) -> Attached {
        if !self.is_registered(to) {
            return Attached::BrokerLapsed;
        }
        let placed = self.waiting.contains_key(&item.user)
            || self
                .leases
                .get(&item.user)
                .is_some_and(|lease| self.is_live(lease, now));
        if !placed {
            return Attached::NoPlace;
        }
        // Which of its own connections is the newest, the broker knows best.
        if self
            .owner
            .get(&item.user)
            .is_some_and(|(at, _)| *at != from && *at != to)
        {
            return Attached::Replaced;
        }
        let presence = Presence::Stream {
            broker: to,
            conn: item.conn,
        };
        self.show_up(&item.user, presence, now);
        Attached::Owner
    }

    /// Compare-and-clear: only a connection that still owns the place starts the grace.
    pub fn disconnect(&mut self, broker: BrokerId, batch: &[(UserId, ConnId)], now: UnixMs) {
        for (user, conn) in batch {
            let owner = self.owner.get(user).copied();
            if owner == Some((broker, *conn)) {
                self.owner.remove(user);
                self.start_away(user, now);
            }
            // A newer connection at the same broker keeps the user in its set.
            if owner.is_none_or(|(at, by)| at != broker || by == *conn)
                && let Some(conns) = self.conns.get_mut(&broker)
            {
                conns.remove(user);
            }
        }
    }

    /// Starts the grace of a bounded number of people of a broker whose lease ran out.
    pub fn take_over(&mut self, broker: BrokerId, now: UnixMs) -> TakenOver {
        let lapsed = self
            .brokers
            .get(&broker)
            .is_some_and(|deadline| *deadline <= now);
        if !lapsed || self.is_guarded(now) {
            return TakenOver::Alive;
        }
        self.brokers.insert(broker, 0);
        let conns = self.conns.entry(broker).or_default();
        let batch: Vec<UserId> = conns.iter().take(MAX_BATCH).cloned().collect();
        for user in &batch {
            conns.remove(user);
        }
        let more = !conns.is_empty();
        let mut people = 0;
        for user in &batch {
            if self.owner.get(user).is_some_and(|(at, _)| *at == broker) {
                self.owner.remove(user);
                self.start_away(user, now);
                people += 1;
            }
        }
        if !more {
            self.conns.remove(&broker);
            self.brokers.remove(&broker);
        }
        TakenOver::Moved { people, more }
    }

    /// Brokers that can be taken over, at most 16.
    pub(super) fn lapsed_brokers(&self, now: UnixMs) -> Vec<BrokerId> {
        if self.is_guarded(now) {
            return Vec::new();
        }
        let mut lapsed: Vec<(UnixMs, BrokerId)> = self
            .brokers
            .iter()
            .filter(|(_, deadline)| **deadline <= now)
            .map(|(broker, deadline)| (*deadline, *broker))
            .collect();
        lapsed.sort_unstable();
        lapsed.truncate(16);
        lapsed.into_iter().map(|(_, broker)| broker).collect()
    }

    /// Records how a person with a place is present.
    pub(super) fn show_up(&mut self, user: &UserId, presence: Presence, now: UnixMs) {
        match presence {
            Presence::Stream { broker, conn } => {
                self.owner.insert(user.clone(), (broker, conn));
                self.conns.entry(broker).or_default().insert(user.clone());
                self.stop_away(user);
            }
            Presence::Poll if self.owner.contains_key(user) => {}
            Presence::Poll => self.start_away(user, now),
        }
    }

    /// Starts, or starts again, the grace of a person who waits. Admissions end by their own deadline.
    fn start_away(&mut self, user: &UserId, now: UnixMs) {
        if !self.waiting.contains_key(user) {
            return;
        }
        self.stop_away(user);
        let until = now + self.config.away_grace_ms();
        self.away.insert(user.clone(), until);
        self.away_ends.insert((until, user.clone()));
    }

    pub(super) fn stop_away(&mut self, user: &UserId) {
        if let Some(until) = self.away.remove(user) {
            self.away_ends.remove(&(until, user.clone()));
        }
    }
}
