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
use tokio::sync::{Notify, watch};

pub use eta::Eta;
#[cfg(test)]
pub(crate) use eta::RateMeter;
pub use update::{AdmittedUpdate, ClosedUpdate, Update, Updates, WaitingUpdate};

use self::room::BrokerRoom;
use crate::clock::Clock;
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
const PARALLEL: usize = 32;
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
        if self.closing.load(Ordering::Acquire) {
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
            let Some(broker) = room.registered(&*self.store).await? else {
                self.forget_unused(event);
                return Ok(None);
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
                    room.view().drop_conn(user, broker, conn);
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
                    self.poked.notify_one();
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
                self.poked.notify_one();
            }
        }
    }

    /// Something changed: do not wait for the next tick.
    pub(crate) fn poke(&self) {
        self.poked.notify_one();
    }

    fn forget_unused(&self, event: &EventId) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        // The map and the caller hold it; whoever else does is about to connect.
        let unused = |room: &Arc<BrokerRoom>| Arc::strong_count(room) <= 2 && room.view().is_idle();
        if rooms.get(event).is_some_and(unused) {
            rooms.remove(event);
        }
    }

    /// Ticks until the signal, then asks everybody to reconnect and tells the store.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let started = tokio::time::Instant::now();
            self.tick().await;
            metrics::histogram!("ticketon_tick_seconds", "of" => "broker")
                .record(started.elapsed().as_secs_f64());
            let tick = Duration::from_millis(TICK_MS.unsigned_abs());
            let woken = next_tick(
                &*self.clock,
                tick,
                &self.poked,
                Duration::from_millis(10),
                &mut stop,
            );
            if woken.await == Woken::Stopped {
                break;
            }
        }
        self.close_all().await;
    }

    /// One round over all rooms.
    pub(crate) async fn tick(&self) {
        let now = self.clock.now_ms();
        let rooms = self.all_rooms();
        futures_util::stream::iter(rooms)
            .for_each_concurrent(PARALLEL, |room| async move {
                let ticked = room.tick(self).await;
                room.report(ticked.err());
            })
            .await;
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|_, room| {
            let unused = {
                let view = room.view();
                view.is_idle() && now - view.touched_at_ms > IDLE_MS
            };
            // A room that somebody is about to use is held elsewhere too.
            !(unused && Arc::strong_count(room) == 1)
        });
    }

    async fn close_all(&self) {
        self.closing.store(true, Ordering::Release);
        for room in self.all_rooms() {
            room.close_all(|| 500 + random_u64() % RECONNECT_SPREAD_MS);
        }
        for room in self.all_rooms() {
            if let Err(error) = room.flush_closed(&*self.store).await {
                tracing::warn!(target: "ticketon::broker", event = %room.event(), %error,
                    "could not say good-bye; the grace starts when the broker lease runs out");
            }
        }
    }
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
        self.owner.poked.notify_one();
    }
}
