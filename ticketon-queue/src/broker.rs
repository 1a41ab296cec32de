//! The broker tells connected people where they stand.
//!
//! It is level-triggered: each tick it reads the room's state and tells what differs, so a lost
//! message, a crash of the dispatcher or a missed wake-up costs at most a tick. It also keeps
//! presence: a dropped stream starts the grace, a lapsed broker comes back under a new incarnation.

mod eta;
mod room;
mod update;
mod view;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};

pub use eta::Eta;
#[cfg(test)]
pub(crate) use eta::RateMeter;
pub use update::{AdmittedUpdate, ClosedUpdate, Update, Updates, WaitingUpdate};

use self::room::BrokerRoom;
pub(crate) use self::view::admitted_update;
use crate::clock::{Clock, UnixMs};
use crate::config::RoomConfig;
use crate::error::{QueueError, StoreError};
use crate::id::{ConnId, EventId, LaneName, UserId, random_u64};
use crate::joins::Joins;
use crate::queue::{Woken, next_tick};
use crate::store::{JoinReply, JoinRequest, Place, Presence, QueueStore};
use crate::token::AdmissionKeys;

/// How often people are told, in milliseconds.
const TICK_MS: i64 = 200;
/// Rooms looked at in parallel.
const PARALLEL: usize = 256;
/// What happens within this time is told together, before the next beat.
const POKE_SPACING: Duration = Duration::from_millis(30);
/// A room without connections is forgotten after this long without a question, in milliseconds.
const IDLE_MS: i64 = 60_000;
/// On shutdown people come back spread over this time, in milliseconds.
const RECONNECT_SPREAD_MS: u64 = 4_000;

/// What connecting a stream led to: a stream, or the store's refusal.
pub(crate) enum Connected {
    Stream(Updates),
    Refused(JoinReply),
}

/// The broker of this process.
#[derive(Debug)]
pub(crate) struct Broker {
    store: Arc<dyn QueueStore>,
    keys: AdmissionKeys,
    clock: Arc<dyn Clock>,
    joins: Arc<Joins>,
    rooms: Mutex<HashMap<EventId, Arc<BrokerRoom>>>,
    /// Configs that this process has ensured: with them a lost room is made again.
    configs: Mutex<HashMap<EventId, RoomConfig>>,
    poked: Notify,
    next_conn: AtomicU64,
    streams: AtomicI64,
    closing: AtomicBool,
}

impl Broker {
    pub(crate) fn new(
        store: Arc<dyn QueueStore>,
        keys: AdmissionKeys,
        clock: Arc<dyn Clock>,
        joins: Arc<Joins>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            keys,
            clock,
            joins,
            rooms: Mutex::default(),
            configs: Mutex::default(),
            poked: Notify::new(),
            next_conn: AtomicU64::new(1),
            streams: AtomicI64::new(0),
            closing: AtomicBool::new(false),
        })
    }

    /// Remembers the config of a room, to make it again after data loss.
    pub(crate) fn remember(&self, event: &EventId, config: &RoomConfig) {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        configs.insert(event.clone(), config.clone());
    }

    fn remembered(&self, event: &EventId) -> Option<RoomConfig> {
        let configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        configs.get(event).cloned()
    }

    fn room(&self, event: &EventId) -> Arc<BrokerRoom> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let room = rooms
            .entry(event.clone())
            .or_insert_with(|| Arc::new(BrokerRoom::new(event.clone())));
        room.view().touched_at_ms = self.clock.now_ms();
        Arc::clone(room)
    }

    fn existing(&self, event: &EventId) -> Option<Arc<BrokerRoom>> {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.get(event).cloned()
    }

    fn all_rooms(&self) -> Vec<Arc<BrokerRoom>> {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.values().cloned().collect()
    }

    /// Joins over a stream. Safe to abandon at any point: the join finishes in a task of its own
    /// and, when nobody wants its stream any more, starts the grace.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        event: &EventId,
        user: &UserId,
        lane: Option<LaneName>,
        resume: Option<u64>,
    ) -> Result<Option<Connected>, QueueError> {
        if self.is_closing() {
            return Err(QueueError::ShutDown);
        }
        let broker = Arc::clone(self);
        let (event, user) = (event.clone(), user.clone());
        let joined = tokio::spawn(async move { broker.join(&event, &user, lane, resume).await });
        joined.await.unwrap_or_else(|lost| {
            Err(QueueError::Store(StoreError::Unavailable {
                context: "join",
                source: Box::new(lost),
            }))
        })
    }

    async fn join(
        self: Arc<Self>,
        event: &EventId,
        user: &UserId,
        lane: Option<LaneName>,
        resume: Option<u64>,
    ) -> Result<Option<Connected>, QueueError> {
        let room = self.room(event);
        let conn = ConnId(self.next_conn.fetch_add(1, Ordering::Relaxed));
        let mut tries = 0;
        loop {
            tries += 1;
            let registered = room.registered(&*self.store, self.clock.now_ms()).await;
            let Ok(Some(broker)) = registered else {
                // Made-up ids must not pile up, with or without a store that answers.
                self.forget_unused(event);
                return registered.map(|_| None).map_err(QueueError::Store);
            };
            let request = JoinRequest {
                user: user.clone(),
                lane: lane.clone(),
                presence: Presence::Stream { broker, conn },
                resume,
            };
            let reply = match self.joins.join(event, request).await {
                Ok(reply) => reply,
                Err(error) => {
                    // The join may have taken effect: its connection must not count as alive.
                    let mut view = room.view();
                    view.drop_conn(user, broker, conn);
                    view.tainted = true;
                    return Err(error.into());
                }
            };
            return match reply {
                None => Ok(None),
                Some(JoinReply::BrokerLapsed) if tries < 3 => {
                    room.lapsed(broker);
                    continue;
                }
                Some(placed @ (JoinReply::Waiting { .. } | JoinReply::Admitted { .. })) => {
                    let told = room.insert(&self, user, broker, conn, placed);
                    Ok(Some(Connected::Stream(
                        self.updates(room, user, broker, conn, told),
                    )))
                }
                Some(refused) => Ok(Some(Connected::Refused(refused))),
            };
        }
    }

    /// The stream of a connection; dropping it at any point starts the grace.
    fn updates(
        self: &Arc<Self>,
        room: Arc<BrokerRoom>,
        user: &UserId,
        broker: crate::id::BrokerId,
        conn: ConnId,
        told: watch::Receiver<Option<Update>>,
    ) -> Updates {
        let streams = self.streams.fetch_add(1, Ordering::Relaxed) + 1;
        #[allow(clippy::cast_precision_loss)] // far fewer than 2^52 streams
        metrics::gauge!("ticketon_streams").set(streams as f64);
        let connection = Connection {
            owner: Arc::clone(self),
            room,
            user: user.clone(),
            broker,
            conn,
            told,
            over: false,
        };
        Updates::new(futures_util::stream::unfold(
            connection,
            |mut connection| async move {
                if connection.over {
                    return None;
                }
                let update = loop {
                    // The sender is gone only with the broker itself.
                    connection.told.changed().await.ok()?;
                    let told = connection.told.borrow_and_update().clone();
                    if let Some(update) = told {
                        break update;
                    }
                };
                connection.over = update.is_last();
                Some((update, connection))
            },
        ))
    }

    /// The estimate for a place, if this process watches the room. Asking makes it watch.
    pub(crate) fn waiting_update(&self, event: &EventId, place: &Place) -> WaitingUpdate {
        let room = self.room(event);
        let view = room.view();
        view.waiting_update(place)
    }

    /// The grace of a room that this process watches, in milliseconds.
    #[cfg(feature = "http")]
    pub(crate) fn grace_ms(&self, event: &EventId) -> Option<u64> {
        let room = self.existing(event)?;
        let view = room.view();
        let config = &view.numbers.as_ref()?.config;
        Some(config.away_grace_ms().unsigned_abs())
    }

    /// Something happened to this person at this process: look them up now.
    pub(crate) fn hint(&self, event: &EventId, user: &UserId) {
        if let Some(room) = self.existing(event) {
            let known = {
                let mut view = room.view();
                let known = view.conns.contains_key(user);
                if known {
                    view.hints.insert(user.clone());
                }
                known
            };
            if known {
                room.poke();
                self.poked.notify_one();
            }
        }
    }

    /// Something changed in a room: do not wait for the next beat.
    pub(crate) fn poke(&self, event: &EventId) {
        if let Some(room) = self.existing(event) {
            room.poke();
            self.poked.notify_one();
        }
    }

    /// Whether people are asked to reconnect already.
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn forget_unused(&self, event: &EventId) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        // The map and the caller hold it; whoever else does is about to connect.
        let unused = |room: &Arc<BrokerRoom>| Arc::strong_count(room) <= 2 && room.view().is_idle();
        if rooms.get(event).is_some_and(unused) {
            rooms.remove(event);
        }
    }

    /// Ticks until the signal, then asks everybody to reconnect and tells the store. A room whose
    /// tick takes long delays no other.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut ticks = FuturesUnordered::new();
        let mut beat_at_ms = UnixMs::MIN;
        loop {
            let now = self.clock.now_ms();
            // However often it is poked, the beat comes when it is due; a clock that stepped back must not delay it.
            let beat = beat_at_ms <= now || beat_at_ms - now > TICK_MS;
            if beat {
                beat_at_ms = now + TICK_MS;
            }
            for room in self.all_rooms() {
                if ticks.len() < PARALLEL && room.begin_tick(beat) {
                    ticks.push(Arc::clone(&self).tick_room(room, beat));
                }
            }
            self.forget_idle();
            let wait = next_tick(
                &*self.clock,
                Duration::from_millis((beat_at_ms - now).unsigned_abs()),
                &self.poked,
                POKE_SPACING,
                &mut stop,
            );
            tokio::pin!(wait);
            let woken = loop {
                tokio::select! {
                    woken = &mut wait => break woken,
                    Some(()) = ticks.next() => {}
                }
            };
            if woken == Woken::Stopped {
                break;
            }
        }
        drop(ticks);
        self.end_streams();
        self.say_good_byes().await;
    }

    async fn tick_room(self: Arc<Self>, room: Arc<BrokerRoom>, beat: bool) {
        let started = tokio::time::Instant::now();
        let ticked = room.tick(&self, beat).await;
        metrics::histogram!("ticketon_tick_seconds", "of" => "broker")
            .record(started.elapsed().as_secs_f64());
        room.report(ticked.err());
        room.end_tick();
    }

    fn forget_idle(&self) {
        let now = self.clock.now_ms();
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|_, room| {
            let unused = {
                let view = room.view();
                view.is_idle() && now - view.touched_at_ms > IDLE_MS
            };
            // A room that somebody uses or is about to use is held elsewhere too.
            !(unused && Arc::strong_count(room) == 1)
        });
    }

    /// Asks everybody to reconnect; nobody new is connected from now on. Needs no store.
    pub(crate) fn end_streams(&self) {
        self.closing.store(true, Ordering::Release);
        for room in self.all_rooms() {
            room.close_all();
        }
    }

    async fn say_good_byes(&self) {
        for room in self.all_rooms() {
            if let Err(error) = room.flush_closed(&*self.store).await {
                tracing::warn!(target: "ticketon::broker", event = %room.event(), %error,
                    "could not say good-bye; the grace starts when the broker lease runs out");
            }
        }
    }
}

/// How long a person waits before they connect again, spread so that they do not come together.
fn reconnect_after_ms() -> u64 {
    500 + random_u64() % RECONNECT_SPREAD_MS
}

/// Ends a connection when it is dropped.
struct Connection {
    owner: Arc<Broker>,
    room: Arc<BrokerRoom>,
    user: UserId,
    broker: crate::id::BrokerId,
    conn: ConnId,
    told: watch::Receiver<Option<Update>>,
    over: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.room
            .view()
            .drop_conn(&self.user, self.broker, self.conn);
        let streams = self.owner.streams.fetch_sub(1, Ordering::Relaxed) - 1;
        #[allow(clippy::cast_precision_loss)] // far fewer than 2^52 streams
        metrics::gauge!("ticketon_streams").set(streams as f64);
    }
}
