//! The handle that hosts use: join, watch, claim, complete, and the operator's verbs.
//!
//! Cloning it is cheap. `start` runs a dispatcher and a broker inside the process unless told
//! otherwise; `shutdown` asks connected people to reconnect elsewhere and ends both.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::admission::AdmissionClaims;
use crate::broker::{
    AdmittedUpdate, Broker, Connected, Update, Updates, WaitingUpdate, admitted_update,
};
use crate::clock::{Clock, SystemClock};
use crate::config::RoomConfig;
use crate::dispatcher::Dispatcher;
use crate::error::{QueueError, StoreError};
use crate::id::{EventId, LaneName, UserId};
use crate::joins::Joins;
use crate::state::{Reason, RoomState, RoomVerb};
use crate::store::{
    Fenced, JoinReply, JoinRequest, Lease, Left, Presence, QueueStore, RoomNumbers, RoomSaved,
    Standing, StateChanged,
};
use crate::token::AdmissionKeys;

/// How long `shutdown` waits for the store, at the most.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// What a join led to. A refusal is a value: only a broken store is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Joined {
    /// In line.
    Waiting(WaitingUpdate),
    /// Admitted: on the spot because nobody waited and a slot was free, or before.
    Admitted(AdmittedUpdate),
    /// The place to be resumed has ended.
    Gone {
        /// Why.
        reason: Reason,
        /// The room's epoch.
        epoch: u64,
    },
    /// The room holds as many people as its config allows.
    Full {
        /// When trying again makes sense.
        retry_after: Duration,
    },
    /// The room takes nobody in this state.
    Refused {
        /// The state: draining, sold out or closed.
        state: RoomState,
    },
}

/// What watching led to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Watched {
    /// Connected, with a place or an admission.
    Stream(Updates),
    /// Not connected, and why; never `Waiting` or `Admitted`.
    Refused(Joined),
}

/// How a person joins; [`JoinOptions::default`] is a first join without an assigned lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinOptions {
    /// The lane the host assigned.
    pub lane: Option<LaneName>,
    /// The epoch of the place to resume: if that place is gone, they do not join again.
    pub resume: Option<u64>,
}

/// Builds and starts a [`WaitingQueue`].
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct WaitingQueueBuilder {
    store: Arc<dyn QueueStore>,
    keys: Option<AdmissionKeys>,
    clock: Arc<dyn Clock>,
    dispatch: bool,
    secure_cookies: bool,
}

impl WaitingQueueBuilder {
    /// The keys that sign admission tokens; every process of a deployment needs the same. Without
    /// them a random key is made, good for a single process.
    pub fn admission_keys(mut self, keys: AdmissionKeys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Another clock, for tests.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Whether this process admits people; true by default. Some process must.
    pub fn dispatch(mut self, dispatch: bool) -> Self {
        self.dispatch = dispatch;
        self
    }

    /// Whether cookies carry `Secure`: set it wherever people come over HTTPS.
    pub fn secure_cookies(mut self, secure: bool) -> Self {
        self.secure_cookies = secure;
        self
    }

    /// Checks that the store answers and starts the work inside the process.
    ///
    /// # Errors
    /// [`QueueError::Store`] when the store does not answer.
    pub async fn start(self) -> Result<WaitingQueue, QueueError> {
        self.store.ping().await?;
        crate::telemetry::describe();
        let keys = self.keys.unwrap_or_else(AdmissionKeys::random);
        let joins = Joins::new(Arc::clone(&self.store));
        let broker = Broker::new(
            Arc::clone(&self.store),
            keys.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&joins),
        );
        let (stop, stopped) = watch::channel(false);
        let rooms_changed = Arc::new(Notify::new());
        let mut tasks = vec![tokio::spawn(Arc::clone(&broker).run(stopped.clone()))];
        if self.dispatch {
            let dispatcher = Dispatcher::new(
                Arc::clone(&self.store),
                Arc::clone(&self.clock),
                Arc::clone(&broker),
                Arc::clone(&rooms_changed),
            );
            tasks.push(tokio::spawn(dispatcher.run(stopped)));
        }
        Ok(WaitingQueue(Arc::new(Inner {
            store: self.store,
            keys,
            clock: self.clock,
            joins,
            broker,
            rooms_changed,
            stop,
            tasks: Mutex::new(tasks),
            secure_cookies: self.secure_cookies,
        })))
    }
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn QueueStore>,
    keys: AdmissionKeys,
    clock: Arc<dyn Clock>,
    joins: Arc<Joins>,
    broker: Arc<Broker>,
    rooms_changed: Arc<Notify>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    secure_cookies: bool,
}

impl Drop for Inner {
    /// The last handle is gone without a `shutdown`: the work must not go on for nobody.
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        for task in tasks.drain(..) {
            task.abort();
        }
        self.broker.end_streams();
    }
}

/// A waiting room service: the handle to everything in this crate.
///
/// ```
/// use ticketon_queue::{EventId, Joined, MemoryStore, RoomConfig, UserId, WaitingQueue};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let queue = WaitingQueue::builder(MemoryStore::new()).start().await?;
/// let event = EventId::new("spring-tour")?;
/// queue.ensure_room(&event, RoomConfig::builder().capacity(1).build()?).await?;
///
/// // One slot: Ann is admitted on the spot, Ben waits.
/// let ann = UserId::new("ann")?;
/// let Joined::Admitted(admitted) = queue.join(&event, &ann).await? else { panic!() };
/// let Joined::Waiting(place) = queue.join(&event, &UserId::new("ben")?).await? else { panic!() };
/// assert_eq!(place.position, Some(1));
///
/// queue.complete(&event, &ann, admitted.fence).await?;
/// queue.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct WaitingQueue(Arc<Inner>);

impl WaitingQueue {
    /// A builder over a store.
    pub fn builder(store: impl QueueStore) -> WaitingQueueBuilder {
        Self::builder_shared(Arc::new(store))
    }

    /// A builder over a store that is shared already.
    pub fn builder_shared(store: Arc<dyn QueueStore>) -> WaitingQueueBuilder {
        WaitingQueueBuilder {
            store,
            keys: None,
            clock: Arc::new(SystemClock),
            dispatch: true,
            secure_cookies: false,
        }
    }

    /// The keys that sign tokens here.
    #[must_use]
    pub fn admission_keys(&self) -> &AdmissionKeys {
        &self.0.keys
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Whether cookies carry `Secure`.
    #[must_use]
    pub fn secure_cookies(&self) -> bool {
        self.0.secure_cookies
    }

    /// What the store is, for example `memory` or `redis`.
    #[must_use]
    pub fn store_name(&self) -> &'static str {
        self.0.store.name()
    }

    /// Whether the store can be used.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.store.ping().await
    }

    /// Makes the room, or changes it if its config differs. Also remembers the config, so that
    /// this process makes the room again if the store loses it.
    ///
    /// # Errors
    /// [`QueueError::Store`] when the store failed.
    pub async fn ensure_room(
        &self,
        event: &EventId,
        config: RoomConfig,
    ) -> Result<RoomSaved, QueueError> {
        let saved = self.0.store.save_room(event, &config).await?;
        if matches!(
            saved,
            RoomSaved::Created | RoomSaved::Changed | RoomSaved::Same
        ) {
            self.0.broker.remember(event, &config);
        }
        self.0.rooms_changed.notify_one();
        Ok(saved)
    }

    /// The ids of all rooms, sorted.
    ///
    /// # Errors
    /// [`QueueError::Store`] when the store failed.
    pub async fn rooms(&self) -> Result<Vec<EventId>, QueueError> {
        Ok(self.0.store.rooms().await?)
    }

    /// A room's numbers.
    ///
    /// # Errors
    /// [`QueueError::UnknownEvent`], or [`QueueError::Store`] when the store failed.
    pub async fn numbers(&self, event: &EventId) -> Result<RoomNumbers, QueueError> {
        known(event, self.0.store.numbers(event).await?)
    }

    /// Opens, pauses, resumes, drains, sells out or closes a room.
    ///
    /// # Errors
    /// [`QueueError::UnknownEvent`], or [`QueueError::Store`] when the store failed.
    pub async fn change_state(
        &self,
        event: &EventId,
        verb: RoomVerb,
    ) -> Result<StateChanged, QueueError> {
        let changed = known(event, self.0.store.change_state(event, verb).await?)?;
        tracing::info!(target: "ticketon::queue", %event, %verb, ?changed, "state asked for");
        self.0.rooms_changed.notify_one();
        self.0.broker.poke(event);
        Ok(changed)
    }

    /// Joins, or asks again: each call renews the grace. For people without a stream.
    ///
    /// # Errors
    /// [`QueueError::UnknownEvent`], or [`QueueError::Store`] when the store failed: the person may have joined, and
    /// keeps the place when they ask again.
    pub async fn join(&self, event: &EventId, user: &UserId) -> Result<Joined, QueueError> {
        self.join_with(event, user, JoinOptions::default()).await
    }

    /// Like [`join`](Self::join), with a lane or a place to resume.
    ///
    /// # Errors
    /// Like [`join`](Self::join).
    pub async fn join_with(
        &self,
        event: &EventId,
        user: &UserId,
        options: JoinOptions,
    ) -> Result<Joined, QueueError> {
        let resume = options.resume;
        let request = JoinRequest {
            user: user.clone(),
            lane: options.lane,
            presence: Presence::Poll,
            resume,
        };
        let reply = known(event, self.0.joins.join(event, request).await?)?;
        self.joined(event, user, reply, resume)
    }

    /// Joins and stays connected: a stream of updates. Dropping it starts the grace. A refusal is
    /// the stream's only update.
    ///
    /// # Errors
    /// Like [`join`](Self::join), and [`QueueError::ShutDown`].
    pub async fn watch(&self, event: &EventId, user: &UserId) -> Result<Updates, QueueError> {
        let watched = self.watch_with(event, user, JoinOptions::default()).await?;
        Ok(match watched {
            Watched::Stream(updates) => updates,
            Watched::Refused(joined) => Updates::new(futures_util::stream::once(async move {
                Update::Refused(joined)
            })),
        })
    }

    /// Like [`watch`](Self::watch), with a lane or a place to resume, and refusals apart.
    ///
    /// # Errors
    /// Like [`watch`](Self::watch).
    pub async fn watch_with(
        &self,
        event: &EventId,
        user: &UserId,
        options: JoinOptions,
    ) -> Result<Watched, QueueError> {
        let JoinOptions { lane, resume } = options;
        let connected = self.0.broker.connect(event, user, lane, resume).await?;
        match known(event, connected)? {
            Connected::Stream(updates) => Ok(Watched::Stream(updates)),
            Connected::Refused(reply) => {
                Ok(Watched::Refused(self.joined(event, user, reply, resume)?))
            }
        }
    }

    fn joined(
        &self,
        event: &EventId,
        user: &UserId,
        reply: JoinReply,
        resume: Option<u64>,
    ) -> Result<Joined, QueueError> {
        Ok(match reply {
            JoinReply::Waiting { place, .. } => {
                Joined::Waiting(self.0.broker.waiting_update(event, &place))
            }
            JoinReply::Admitted { lease, .. } => {
                Joined::Admitted(self.admitted(event, user, &lease))
            }
            JoinReply::Gone { reason } => Joined::Gone {
                reason,
                epoch: resume.unwrap_or_default(),
            },
            JoinReply::Full => Joined::Full {
                retry_after: Duration::from_secs(30),
            },
            JoinReply::Refused { state } => Joined::Refused { state },
            JoinReply::BrokerLapsed => {
                return Err(QueueError::Store(StoreError::Corrupt {
                    context: "join",
                    detail: "the broker lapsed again and again".to_owned(),
                }));
            }
        })
    }

    /// The update that a lease reads as, with a token signed now.
    #[must_use]
    pub fn admitted(&self, event: &EventId, user: &UserId, lease: &Lease) -> AdmittedUpdate {
        admitted_update(event, user, lease, &self.0.keys, self.0.clock.now_ms())
    }

    /// Signs the admission token of a lease, claimed or not as the lease is.
    #[must_use]
    pub fn sign(&self, event: &EventId, user: &UserId, lease: &Lease) -> String {
        self.0
            .keys
            .sign_lease(event, user, lease, self.0.clock.now_ms())
    }

    /// What a token says, if its signature and times hold. Whether the lease lives, the store knows.
    ///
    /// # Errors
    /// [`TokenError`](crate::TokenError).
    pub fn verify(&self, token: &str) -> Result<AdmissionClaims, crate::TokenError> {
        self.0.keys.verify_admission(token, self.0.clock.now_ms())
    }

    /// Where a user is, without joining.
    ///
    /// # Errors
    /// [`QueueError::UnknownEvent`], or [`QueueError::Store`] when the store failed.
    pub async fn standing(&self, event: &EventId, user: &UserId) -> Result<Standing, QueueError> {
        known(event, self.0.store.standing(event, user).await?)
    }

    /// The update that a place reads as, with the estimate this process has.
    #[must_use]
    pub fn describe(&self, event: &EventId, place: &crate::store::Place) -> WaitingUpdate {
        self.0.broker.waiting_update(event, place)
    }

    /// How long a place is kept without a connection, in milliseconds, as far as this process knows.
    #[cfg(feature = "http")]
    pub(crate) fn grace_ms(&self, event: &EventId) -> Option<u64> {
        self.0.broker.grace_ms(event)
    }

    /// Gives up a place or an admission. With a fence, an admission is given up only if it has it.
    ///
    /// # Errors
    /// [`QueueError::UnknownEvent`], or [`QueueError::Store`] when the store failed.
    pub async fn leave(
        &self,
        event: &EventId,
        user: &UserId,
        fence: Option<u64>,
    ) -> Result<Left, QueueError> {
        let left = known(event, self.0.store.leave(event, user, fence).await?)?;
        if matches!(left, Left::Waiting | Left::Admitted) {
            metrics::counter!("ticketon_left_total").increment(1);
        }
        self.0.broker.hint(event, user);
        Ok(left)
    }

    /// Claims an admission: its owner came in.
    ///
    /// # Errors
    /// [`QueueError::UnknownEvent`], or [`QueueError::Store`] when the store failed.
    pub async fn claim(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Fenced<Lease>, QueueError> {
        known(event, self.0.store.claim(event, user, fence).await?)
    }

    /// Ends an admission whose purpose is fulfilled; the slot is free.
    ///
    /// # Errors
    /// [`QueueError::UnknownEvent`], or [`QueueError::Store`] when the store failed.
    pub async fn complete(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Fenced<()>, QueueError> {
        let done = known(event, self.0.store.complete(event, user, fence).await?)?;
        if matches!(done, Fenced::Done(())) {
            metrics::counter!("ticketon_completed_total").increment(1);
        }
        self.0.broker.hint(event, user);
        Ok(done)
    }

    /// Lets an admission last until at least this long from now (a day at the most).
    ///
    /// # Errors
    /// [`QueueError::UnknownEvent`], or [`QueueError::Store`] when the store failed.
    pub async fn extend(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
        by: Duration,
    ) -> Result<Fenced<Lease>, QueueError> {
        let for_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let extended = self.0.store.extend(event, user, fence, for_ms).await?;
        self.0.broker.hint(event, user);
        known(event, extended)
    }

    /// Asks connected people to reconnect, spread over seconds, and ends dispatcher and broker.
    /// Their places are kept.
    pub async fn shutdown(&self) {
        self.0.stop.send_replace(true);
        let tasks: Vec<JoinHandle<()>> = {
            let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.drain(..).collect()
        };
        for mut task in tasks {
            if tokio::time::timeout(SHUTDOWN_LIMIT, &mut task)
                .await
                .is_err()
            {
                tracing::warn!(target: "ticketon::queue", "the store did not let the work end in time");
                task.abort();
            }
        }
    }
}

fn known<T>(event: &EventId, reply: Option<T>) -> Result<T, QueueError> {
    reply.ok_or_else(|| QueueError::UnknownEvent {
        event: event.clone(),
    })
}

/// How a wait between two ticks ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The tick is due.
    Due,
    /// Something changed.
    Poked,
    /// The queue is shut down.
    Stopped,
}

/// Waits for the next tick, a poke (and then a moment, so that what comes together is done together), or the end.
pub(crate) async fn next_tick(
    clock: &dyn Clock,
    tick: Duration,
    poked: &Notify,
    moment: Duration,
    stop: &mut watch::Receiver<bool>,
) -> Woken {
    let wait = async {
        tokio::select! {
            () = clock.sleep(tick) => Woken::Due,
            () = poked.notified() => {
                clock.sleep(moment).await;
                Woken::Poked
            }
        }
    };
    tokio::select! {
        () = stopped(stop) => Woken::Stopped,
        woken = wait => woken,
    }
}

/// Returns once the queue is shut down, or its last handle is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await.map(|_| ());
}
