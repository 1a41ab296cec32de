//! One broker's work in one room: registering, looking up, telling, saying good-bye.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::update::Update;
use super::view::{Conn, Phase, View, admitted_update};
use super::{Broker, TICK_MS, reconnect_after_ms};
use crate::clock::UnixMs;
use crate::config::RoomConfig;
use crate::error::StoreError;
use crate::id::{BrokerId, ConnId, EventId, UserId};
use crate::state::{Reason, RoomState, RoomVerb};
use crate::store::{
    Attach, Attached, JoinReply, JoinRequest, MAX_BATCH, ObserveReply, Presence, QueueStore,
    RoomSaved,
};
use crate::unguarded::holds;

/// Look-ups a tick makes at the most: 64,000 people.
const MAX_LOOK_UPS: usize = 64;
/// An incarnation is not renewed more often than this, in milliseconds.
const RENEW_AFTER_MS: i64 = 5_000;

#[derive(Debug)]
pub(super) struct BrokerRoom {
    event: EventId,
    view: Mutex<View>,
    /// One registration at a time.
    registering: tokio::sync::Mutex<()>,
    /// Whether the last tick failed.
    failing: AtomicBool,
    /// Whether a tick is under way.
    ticking: AtomicBool,
    /// Whether something changed that people should be told before the next beat.
    poked: AtomicBool,
}

impl BrokerRoom {
    pub(super) fn new(event: EventId) -> Self {
        Self {
            event,
            view: Mutex::default(),
            registering: tokio::sync::Mutex::new(()),
            failing: AtomicBool::new(false),
            ticking: AtomicBool::new(false),
            poked: AtomicBool::new(false),
        }
    }

    pub(super) fn event(&self) -> &EventId {
        &self.event
    }

    /// The bookkeeping; never held across an await.
    pub(super) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This broker's incarnation in the room, registered with the store. `None` without such a room.
    pub(super) async fn registered(
        &self,
        store: &dyn QueueStore,
        now: UnixMs,
    ) -> Result<Option<BrokerId>, StoreError> {
        let _one = self.registering.lock().await;
        if let Some(broker) = self.view().broker {
            return Ok(Some(broker));
        }
        let broker = BrokerId::random();
        if store.register_broker(&self.event, broker).await?.is_none() {
            return Ok(None);
        }
        let mut view = self.view();
        view.broker = Some(broker);
        view.tainted = false;
        view.registered_at_ms = now;
        Ok(Some(broker))
    }

    /// The store no longer knows this incarnation.
    pub(super) fn lapsed(&self, broker: BrokerId) {
        let mut view = self.view();
        if view.broker == Some(broker) {
            view.broker = None;
        }
    }

    /// Puts a fresh connection in and returns what it is told.
    pub(super) fn insert(
        &self,
        owner: &Broker,
        user: &UserId,
        broker: BrokerId,
        id: ConnId,
        reply: JoinReply,
    ) -> watch::Receiver<Option<Update>> {
        let now = owner.clock.now_ms();
        let mut view = self.view();
        let (epoch, lane, sequence, phase, first) = match reply {
            JoinReply::Waiting { place, .. } => {
                let phase = Phase::Waiting {
                    position: place.position,
                    told_at_ms: 0,
                };
                let first = Update::Waiting(view.waiting_update(&place));
                (place.epoch, place.lane, place.sequence, phase, Some(first))
            }
            JoinReply::Admitted { lease, .. } => {
                let phase = Phase::Admitted {
                    fence: lease.fence,
                    claim_by_ms: lease.claim_by_ms,
                    expires_at_ms: lease.expires_at_ms,
                };
                let first = admitted_update(&self.event, user, &lease, &owner.keys, now);
                let first = Update::Admitted(first);
                (lease.epoch, lease.lane, lease.sequence, phase, Some(first))
            }
            _ => unreachable!("only placed people are inserted"),
        };
        let (tell, mut told) = watch::channel(first);
        told.mark_changed();
        if owner.is_closing() {
            // Everybody else has been asked to reconnect already.
            view.say_good_bye(broker, user.clone(), id);
            tell.send_replace(Some(Update::Reconnect {
                after_ms: reconnect_after_ms(),
            }));
            return told;
        }
        let conn = Conn {
            id,
            broker,
            epoch,
            lane,
            sequence,
            phase,
            connected_at_ms: now,
            tell,
        };
        view.insert(user, conn);
        told
    }

    /// Asks for a tick before the next beat.
    pub(super) fn poke(&self) {
        self.poked.store(true, Ordering::Release);
    }

    /// Whether a tick may begin: on the beat, or when something changed; one at a time.
    pub(super) fn begin_tick(&self, beat: bool) -> bool {
        let wanted = beat || self.poked.load(Ordering::Acquire);
        let begins = wanted && !self.ticking.swap(true, Ordering::AcqRel);
        if begins {
            self.poked.store(false, Ordering::Release);
        }
        begins
    }

    /// The tick that began is over.
    pub(super) fn end_tick(&self) {
        self.ticking.store(false, Ordering::Release);
    }

    /// Logs when ticks begin to fail and when they succeed again, not each of them.
    pub(super) fn report(&self, failure: Option<StoreError>) {
        let failed_before = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(error) if !failed_before => {
                tracing::warn!(target: "ticketon::broker", event = %self.event, %error,
                    "people are told nothing new until the store answers");
            }
            None if failed_before => {
                tracing::info!(target: "ticketon::broker", event = %self.event, "the store answers again");
            }
            _ => {}
        }
    }

    /// Reads the room's state and tells people what differs; ranks them on the beat alone.
    pub(super) async fn tick(&self, owner: &Broker, beat: bool) -> Result<(), StoreError> {
        let store = &*owner.store;
        let now = owner.clock.now_ms();
        self.flush_closed(store).await?;
        if self.view().conns.is_empty() {
            // Only asked about: nothing to keep alive.
            let numbers = store.numbers(&self.event).await?;
            if let Some(numbers) = numbers {
                self.view().note(numbers);
            }
            return Ok(());
        }
        self.renew_if_tainted(now);
        let Some(broker) = self.registered(store, now).await? else {
            return self.remake(owner).await;
        };
        if holds("attach") {
            self.attach_strays(store, broker).await?;
        }
        self.view().begin();
        for round in 0..MAX_LOOK_UPS {
            let request = self.view().request(round == 0, beat, TICK_MS);
            let Some(request) = request else { break };
            match store.observe(&self.event, broker, &request).await? {
                None => {
                    self.lapsed(broker);
                    return self.remake(owner).await;
                }
                Some(ObserveReply::BrokerLapsed) => {
                    self.lapsed(broker);
                    owner.poke(&self.event);
                    return Ok(());
                }
                Some(ObserveReply::Observed(observed)) => {
                    let more = {
                        let mut view = self.view();
                        view.apply(&request, *observed, &self.event, &owner.keys)
                    };
                    if !more {
                        break;
                    }
                }
            }
        }
        if self.view().rejoin {
            self.rejoin(owner, broker).await?;
        }
        Ok(())
    }

    /// A join whose answer was lost may take effect later than the good-bye for it: its connection
    /// would be present as long as this incarnation lives. So the incarnation ends; the store takes it over.
    fn renew_if_tainted(&self, now: UnixMs) {
        let mut view = self.view();
        let age = now - view.registered_at_ms;
        if view.tainted && !(0..RENEW_AFTER_MS).contains(&age) {
            view.tainted = false;
            view.broker = None;
        }
    }

    /// Brings connections that the store knows under an older incarnation, or under none, under this one.
    async fn attach_strays(
        &self,
        store: &dyn QueueStore,
        broker: BrokerId,
    ) -> Result<(), StoreError> {
        loop {
            let strays: Vec<(BrokerId, Attach)> = {
                let view = self.view();
                let stray = |user: &UserId, conn: &Conn| {
                    conn.broker != broker || view.unowned.contains(user)
                };
                let from = view
                    .conns
                    .iter()
                    .find(|(user, conn)| stray(user, conn))
                    .map(|(_, conn)| conn.broker);
                view.conns
                    .iter()
                    .filter(|(user, conn)| Some(conn.broker) == from && stray(user, conn))
                    .take(MAX_BATCH)
                    .map(|(user, conn)| {
                        let item = Attach {
                            user: user.clone(),
                            conn: conn.id,
                        };
                        (conn.broker, item)
                    })
                    .collect()
            };
            let Some((from, _)) = strays.first() else {
                return Ok(());
            };
            let from = *from;
            let batch: Vec<Attach> = strays.into_iter().map(|(_, item)| item).collect();
            let Some(replies) = store.attach(&self.event, from, broker, &batch).await? else {
                return Ok(());
            };
            if replies.contains(&Attached::BrokerLapsed) {
                self.lapsed(broker);
                return Ok(());
            }
            tracing::info!(target: "ticketon::broker", event = %self.event, people = batch.len(),
                "connections attached under a new incarnation");
            let mut view = self.view();
            for (item, reply) in batch.iter().zip(replies) {
                self.attached(&mut view, item, reply, broker);
            }
        }
    }

    fn attached(&self, view: &mut View, item: &Attach, reply: Attached, broker: BrokerId) {
        view.unowned.remove(&item.user);
        let Some(conn) = view.conns.get_mut(&item.user) else {
            return;
        };
        if conn.id != item.conn {
            return;
        }
        // Without a place the next look-up tells why.
        conn.broker = broker;
        if reply == Attached::Replaced
            && let Some(conn) = view.take(&item.user)
        {
            conn.close(Reason::Replaced);
        }
    }

    /// The room is gone from the store: a process with people in it makes it again, under a new
    /// epoch, as it was last seen here.
    async fn remake(&self, owner: &Broker) -> Result<(), StoreError> {
        let (seen, connected) = {
            let view = self.view();
            let seen = view.numbers.as_ref();
            let seen = seen.map(|numbers| (RoomConfig::clone(&numbers.config), numbers.state));
            (seen, !view.conns.is_empty())
        };
        let ensured = || Some((owner.remembered(&self.event)?, RoomState::Open));
        let wanted = connected && holds("remake");
        let Some((config, state)) = seen.or_else(ensured).filter(|_| wanted) else {
            return Ok(());
        };
        if owner.store.numbers(&self.event).await?.is_some() {
            // Somebody was faster; theirs may be newer.
            return Ok(());
        }
        let saved = owner.store.save_room(&self.event, &config).await?;
        tracing::warn!(target: "ticketon::broker", event = %self.event, ?saved,
            "the room was lost and made again; connected people join again");
        // People must be able to join again, so a room that took nobody new comes back in the nearest state that does.
        let verb = match state {
            RoomState::Scheduled | RoomState::Open | RoomState::Draining => None,
            RoomState::Paused | RoomState::SoldOut => Some(RoomVerb::Pause),
            RoomState::Closed => Some(RoomVerb::Close),
        };
        if let Some(verb) = verb.filter(|_| saved == RoomSaved::Created) {
            owner.store.change_state(&self.event, verb).await?;
        }
        owner.poke(&self.event);
        Ok(())
    }

    /// People who stood in the room before its data was lost join again, in the order in which they stood.
    async fn rejoin(&self, owner: &Broker, broker: BrokerId) -> Result<(), StoreError> {
        let Some(epoch) = self.view().numbers.as_ref().map(|numbers| numbers.epoch) else {
            return Ok(());
        };
        let people = self.view().people_to_rejoin(epoch);
        for batch in people.chunks(MAX_BATCH) {
            let requests: Vec<JoinRequest> = batch
                .iter()
                .map(|(user, lane, conn)| JoinRequest {
                    user: user.clone(),
                    lane: Some(lane.clone()),
                    presence: Presence::Stream {
                        broker,
                        conn: *conn,
                    },
                    resume: None,
                })
                .collect();
            let Some(replies) = owner.store.join(&self.event, &requests).await? else {
                return Ok(());
            };
            let now = owner.clock.now_ms();
            let mut view = self.view();
            for ((user, _, id), reply) in batch.iter().zip(replies) {
                if view.conns.get(user).is_some_and(|conn| conn.id == *id)
                    && let Some(conn) = view.take(user)
                {
                    rejoined(&mut view, owner, &self.event, user, conn, reply, now);
                }
            }
        }
        self.view().rejoin = false;
        Ok(())
    }

    /// Says good-bye for the connections that closed.
    pub(super) async fn flush_closed(&self, store: &dyn QueueStore) -> Result<(), StoreError> {
        loop {
            let (broker, batch) = {
                let mut view = self.view();
                let Some(mut first) = view.closed.first_entry() else {
                    return Ok(());
                };
                let broker = *first.key();
                let people = first.get_mut();
                let batch = people.split_off(people.len().saturating_sub(MAX_BATCH));
                if people.is_empty() {
                    first.remove();
                }
                (broker, batch)
            };
            if let Err(error) = store.disconnect(&self.event, broker, &batch).await {
                let mut view = self.view();
                for (user, conn) in batch {
                    view.say_good_bye(broker, user, conn);
                }
                return Err(error);
            }
        }
    }

    /// Asks everybody to reconnect.
    pub(super) fn close_all(&self) {
        let mut view = self.view();
        let users: Vec<UserId> = view.conns.keys().cloned().collect();
        for user in users {
            if let Some(conn) = view.take(&user) {
                view.say_good_bye(conn.broker, user, conn.id);
                conn.tell.send_replace(Some(Update::Reconnect {
                    after_ms: reconnect_after_ms(),
                }));
            }
        }
    }
}

/// Puts a connection back with the place that joining again led to.
fn rejoined(
    view: &mut View,
    owner: &Broker,
    event: &EventId,
    user: &UserId,
    mut conn: Conn,
    reply: JoinReply,
    now: UnixMs,
) {
    match reply {
        JoinReply::Waiting { place, .. } => {
            conn.epoch = place.epoch;
            conn.lane = place.lane.clone();
            conn.sequence = place.sequence;
            conn.phase = Phase::Waiting {
                position: place.position,
                told_at_ms: 0,
            };
            let update = Update::Waiting(view.waiting_update(&place));
            conn.tell.send_replace(Some(update));
            view.insert(user, conn);
        }
        JoinReply::Admitted { lease, .. } => {
            conn.epoch = lease.epoch;
            conn.sequence = lease.sequence;
            // The line is left by `admit`, which also tells the person.
            view.insert(user, conn);
            view.admit(user, &lease, event, &owner.keys, now);
        }
        JoinReply::BrokerLapsed => {
            view.broker = None;
            view.insert(user, conn);
        }
        JoinReply::Full | JoinReply::Refused { .. } | JoinReply::Gone { .. } => {
            conn.close(Reason::RoomClosed);
        }
    }
}
