//! What people see while something goes wrong between a process and its store: calls that hang, fail or come
//! late, clocks that step back, shutdowns in the middle of a join.
//!
//! A [`FaultyStore`] wraps the memory store; the tests say which calls it holds or fails, and turn the clock.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ticketon_queue::{
    Attach, Attached, BrokerId, ConnId, EventId, Fenced, JoinReply, JoinRequest, Joined, Lease,
    Left, ManualClock, MemoryStore, Observe, ObserveReply, Place, Presence, QueueStore, RoomConfig,
    RoomConfigBuilder, RoomNumbers, RoomSaved, RoomVerb, Standing, StateChanged, StoreError,
    TakenOver, Tick, Update, Updates, UserId, WaitingQueue, WaitingUpdate,
};
use tokio::sync::watch;

const START_MS: i64 = 1_767_225_600_000;

/// Holds the calls about one room for as long as it is closed.
#[derive(Debug, Default)]
struct Gate {
    closed_for: watch::Sender<Option<EventId>>,
    held: watch::Sender<bool>,
}

impl Gate {
    fn close(&self, event: &EventId) {
        self.held.send_replace(false);
        self.closed_for.send_replace(Some(event.clone()));
    }

    fn open(&self) {
        self.closed_for.send_replace(None);
    }

    /// Whether a call has been held since the gate closed.
    fn has_held(&self) -> bool {
        *self.held.borrow()
    }

    async fn pass(&self, event: &EventId) {
        let mut closed_for = self.closed_for.subscribe();
        if closed_for.borrow().as_ref() != Some(event) {
            return;
        }
        self.held.send_replace(true);
        // The sender lives in self, so waiting cannot fail.
        let _ = closed_for
            .wait_for(|closed| closed.as_ref() != Some(event))
            .await;
    }
}

/// What goes wrong on the way to the store: nothing at first.
#[derive(Debug, Default)]
struct Faults {
    /// Calls that joins and connections make fail.
    is_down: AtomicBool,
    /// The next join fails, and takes effect when the test says so.
    delays_join: AtomicBool,
    delayed_join: Mutex<Option<(EventId, Vec<JoinRequest>)>>,
    /// Joins panic.
    panics_at_join: AtomicBool,
    joins: Gate,
    ticks: Gate,
    look_ups: Gate,
    /// Answers to look-ups about people: read from the store, not yet with the caller.
    answers: Gate,
    /// Calls that keep a room told and alive, by room.
    calls: Mutex<HashMap<EventId, u64>>,
}

/// A memory store behind faults.
#[derive(Debug, Clone)]
struct FaultyStore {
    inner: MemoryStore,
    faults: Arc<Faults>,
}

impl FaultyStore {
    fn new(clock: &ManualClock) -> Self {
        Self {
            inner: MemoryStore::with_clock(Arc::new(clock.clone())),
            faults: Arc::default(),
        }
    }

    fn set_down(&self, is_down: bool) {
        self.faults.is_down.store(is_down, Ordering::SeqCst);
    }

    fn reach(&self) -> Result<(), StoreError> {
        if self.faults.is_down.load(Ordering::SeqCst) {
            return Err(unavailable());
        }
        Ok(())
    }

    fn count(&self, event: &EventId) {
        let mut calls = self.faults.calls.lock().unwrap();
        *calls.entry(event.clone()).or_default() += 1;
    }

    /// Registrations, look-ups and readings of numbers by room, since the last time this was asked.
    fn take_calls(&self) -> HashMap<EventId, u64> {
        std::mem::take(&mut *self.faults.calls.lock().unwrap())
    }

    /// Lets the delayed join take effect.
    async fn deliver_delayed_join(&self) {
        let delayed = self.faults.delayed_join.lock().unwrap().take();
        let (event, batch) = delayed.unwrap();
        self.inner.join(&event, &batch).await.unwrap();
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable {
        context: "fault",
        source: "the store is down".into(),
    }
}

#[async_trait]
impl QueueStore for FaultyStore {
    async fn save_room(
        &self,
        event: &EventId,
        config: &RoomConfig,
    ) -> Result<RoomSaved, StoreError> {
        self.inner.save_room(event, config).await
    }

    async fn change_state(
        &self,
        event: &EventId,
        verb: RoomVerb,
    ) -> Result<Option<StateChanged>, StoreError> {
        self.inner.change_state(event, verb).await
    }

    async fn numbers(&self, event: &EventId) -> Result<Option<RoomNumbers>, StoreError> {
        self.count(event);
        self.inner.numbers(event).await
    }

    async fn rooms(&self) -> Result<Vec<EventId>, StoreError> {
        self.inner.rooms().await
    }

    async fn join(
        &self,
        event: &EventId,
        batch: &[JoinRequest],
    ) -> Result<Option<Vec<JoinReply>>, StoreError> {
        self.reach()?;
        self.faults.joins.pass(event).await;
        let panics = self.faults.panics_at_join.load(Ordering::SeqCst);
        assert!(!panics, "the store panics at a join");
        if self.faults.delays_join.swap(false, Ordering::SeqCst) {
            let delayed = (event.clone(), batch.to_vec());
            *self.faults.delayed_join.lock().unwrap() = Some(delayed);
            return Err(unavailable());
        }
        self.inner.join(event, batch).await
    }

    async fn standing(
        &self,
        event: &EventId,
        user: &UserId,
    ) -> Result<Option<Standing>, StoreError> {
        self.inner.standing(event, user).await
    }

    async fn leave(
        &self,
        event: &EventId,
        user: &UserId,
        fence: Option<u64>,
    ) -> Result<Option<Left>, StoreError> {
        self.inner.leave(event, user, fence).await
    }

    async fn claim(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Option<Fenced<Lease>>, StoreError> {
        self.inner.claim(event, user, fence).await
    }

    async fn complete(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
    ) -> Result<Option<Fenced<()>>, StoreError> {
        self.inner.complete(event, user, fence).await
    }

    async fn extend(
        &self,
        event: &EventId,
        user: &UserId,
        fence: u64,
        for_ms: i64,
    ) -> Result<Option<Fenced<Lease>>, StoreError> {
        self.inner.extend(event, user, fence, for_ms).await
    }

    async fn tick(&self, event: &EventId, batch: usize) -> Result<Option<Tick>, StoreError> {
        self.faults.ticks.pass(event).await;
        self.inner.tick(event, batch).await
    }

    async fn register_broker(
        &self,
        event: &EventId,
        broker: BrokerId,
    ) -> Result<Option<()>, StoreError> {
        self.count(event);
        self.reach()?;
        self.inner.register_broker(event, broker).await
    }

    async fn observe(
        &self,
        event: &EventId,
        broker: BrokerId,
        request: &Observe,
    ) -> Result<Option<ObserveReply>, StoreError> {
        self.count(event);
        self.faults.look_ups.pass(event).await;
        let reply = self.inner.observe(event, broker, request).await;
        if !request.users.is_empty() {
            self.faults.answers.pass(event).await;
        }
        reply
    }

    async fn attach(
        &self,
        event: &EventId,
        from: BrokerId,
        to: BrokerId,
        batch: &[Attach],
    ) -> Result<Option<Vec<Attached>>, StoreError> {
        self.inner.attach(event, from, to, batch).await
    }

    async fn disconnect(
        &self,
        event: &EventId,
        broker: BrokerId,
        batch: &[(UserId, ConnId)],
    ) -> Result<Option<()>, StoreError> {
        self.reach()?;
        self.inner.disconnect(event, broker, batch).await
    }

    async fn take_over(
        &self,
        event: &EventId,
        broker: BrokerId,
    ) -> Result<Option<TakenOver>, StoreError> {
        self.inner.take_over(event, broker).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.reach()
    }
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn room(name: &str) -> EventId {
    EventId::new(name).unwrap()
}

/// One slot, held for ten minutes; a grace of twenty seconds.
fn one_slot() -> RoomConfigBuilder {
    RoomConfig::builder()
        .capacity(1)
        .claim_ttl_seconds(600)
        .entry_ttl_seconds(3_600)
        .away_grace_seconds(20)
}

fn joining(name: &str, presence: Presence) -> JoinRequest {
    JoinRequest {
        user: user(name),
        lane: None,
        presence,
        resume: None,
    }
}

fn waiting(update: &Update) -> Option<WaitingUpdate> {
    match update {
        Update::Waiting(update) => Some(update.clone()),
        _ => None,
    }
}

fn admitted(update: &Update) -> Option<u64> {
    match update {
        Update::Admitted(update) => Some(update.fence),
        _ => None,
    }
}

/// The next update of a stream that must say something without the clock; `None` at its end.
async fn heard(updates: &mut Updates) -> Option<Update> {
    tokio::time::timeout(Duration::from_secs(3), updates.next())
        .await
        .expect("the stream neither speaks nor ends")
}

/// Whatever else is told first, the stream asks to reconnect and ends.
async fn assert_asked_to_reconnect(updates: &mut Updates) {
    let mut last = None;
    while let Some(update) = heard(updates).await {
        last = Some(update);
    }
    assert!(matches!(last, Some(Update::Reconnect { .. })), "{last:?}");
}

struct World {
    queue: WaitingQueue,
    store: FaultyStore,
    clock: ManualClock,
    event: EventId,
}

/// A process over a faulty store, with a room whose only slot Ann holds.
async fn world(config: RoomConfigBuilder) -> World {
    let clock = ManualClock::at(START_MS);
    let store = FaultyStore::new(&clock);
    let queue = WaitingQueue::builder(store.clone())
        .clock(Arc::new(clock.clone()))
        .start()
        .await
        .unwrap();
    let event = room("demo");
    let world = World {
        queue,
        store,
        clock,
        event,
    };
    world.make_room(&world.event, config).await;
    world
}

impl World {
    async fn make_room(&self, event: &EventId, config: RoomConfigBuilder) {
        let config = config.build().unwrap();
        self.queue.ensure_room(event, config).await.unwrap();
        let ann = self.queue.join(event, &user("ann")).await.unwrap();
        assert!(matches!(ann, Joined::Admitted(_)));
    }

    async fn watch(&self, name: &str) -> Updates {
        self.queue.watch(&self.event, &user(name)).await.unwrap()
    }

    async fn leave(&self, name: &str) {
        let left = self.queue.leave(&self.event, &user(name), None).await;
        assert_ne!(left.unwrap(), Left::NotJoined);
    }

    async fn standing(&self, name: &str) -> Standing {
        self.queue.standing(&self.event, &user(name)).await.unwrap()
    }

    async fn place(&self, name: &str) -> Place {
        match self.standing(name).await {
            Standing::Waiting(place) => place,
            other => panic!("{name} is {other:?}"),
        }
    }

    /// Lets time pass in steps that no dispatcher takes for an outage.
    async fn pass(&self, ms: u64) {
        let mut left = ms;
        while left > 0 {
            let step = left.min(50);
            self.clock.advance(Duration::from_millis(step));
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            left -= step;
        }
    }

    /// Lets time pass until the stream says what is awaited; fails after a simulated half minute.
    async fn until<T>(
        &self,
        updates: &mut Updates,
        mut want: impl FnMut(&Update) -> Option<T>,
    ) -> T {
        let mut last = None;
        for _ in 0..300 {
            match tokio::time::timeout(Duration::from_millis(2), updates.next()).await {
                Ok(Some(update)) => {
                    if let Some(found) = want(&update) {
                        return found;
                    }
                    assert!(!update.is_last(), "ended with {update:?}");
                    last = Some(update);
                }
                Ok(None) => panic!("the stream ended"),
                Err(_) => self.pass(100).await,
            }
        }
        panic!("not told in time, the last was {last:?}");
    }

    /// Lets time pass until the gate holds a call; fails after a simulated ten seconds.
    async fn until_held(&self, gate: &Gate) {
        for _ in 0..200 {
            if gate.has_held() {
                return;
            }
            self.pass(50).await;
        }
        panic!("nobody came to the gate");
    }
}

/// Whoever connects while the process shuts down is sent elsewhere like everybody else.
#[tokio::test]
async fn a_join_in_flight_at_shutdown_is_asked_to_reconnect() {
    let world = world(one_slot()).await;
    let joins = &world.store.faults.joins;
    joins.close(&world.event);
    let (queue, event) = (world.queue.clone(), world.event.clone());
    let joining = tokio::spawn(async move { queue.watch(&event, &user("ben")).await });
    world.until_held(joins).await;
    world.queue.shutdown().await;
    joins.open();
    let mut ben = joining.await.unwrap().unwrap();
    assert_asked_to_reconnect(&mut ben).await;
}

/// Asking people to reconnect needs no store.
#[tokio::test]
async fn a_hung_store_does_not_keep_streams_open_at_shutdown() {
    let world = world(one_slot()).await;
    let mut ben = world.watch("ben").await;
    world.until(&mut ben, waiting).await;
    let look_ups = &world.store.faults.look_ups;
    look_ups.close(&world.event);
    world.until_held(look_ups).await;
    world.queue.shutdown().await;
    assert_asked_to_reconnect(&mut ben).await;
}

/// A clock that is set back ten minutes does not silence the line for as long.
#[tokio::test]
async fn the_line_is_told_of_progress_after_the_clock_stepped_back() {
    let world = world(one_slot()).await;
    let mut ahead = Vec::new();
    for name in ["a0", "a1", "a2", "a3"] {
        ahead.push(world.watch(name).await);
    }
    let mut ben = world.watch("ben").await;
    let at = |position| move |update: &Update| waiting(update)?.position.filter(|p| *p == position);
    world.until(&mut ben, at(5)).await;
    world.pass(4_000).await;
    world.clock.set(START_MS - 600_000);
    for name in ["a0", "a1", "a2"] {
        world.leave(name).await;
    }
    world.until(&mut ben, at(2)).await;
}

/// Who leaves and polls within one tick has a new place, and the open stream shows that one.
#[tokio::test]
async fn a_stream_shows_the_new_place_of_who_left_and_joined_again_within_a_tick() {
    let world = world(one_slot()).await;
    let mut ben = world.watch("ben").await;
    let before = world.until(&mut ben, waiting).await;
    for index in 0..9 {
        let other = user(&format!("other{index}"));
        world.queue.join(&world.event, &other).await.unwrap();
    }
    world.pass(600).await;
    world.leave("ben").await;
    world.queue.join(&world.event, &user("ben")).await.unwrap();
    let place = world.place("ben").await;
    assert!(place.sequence > before.sequence);
    let told = |update: &Update| waiting(update).filter(|told| told.sequence == place.sequence);
    assert_eq!(world.until(&mut ben, told).await.position, place.position);
}

/// A process that wakes up after both its incarnations were taken over leaves no ghost behind when it dies.
#[tokio::test]
async fn nobody_is_attached_to_an_incarnation_that_was_taken_over() {
    let clock = ManualClock::at(START_MS);
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let event = room("demo");
    let config = one_slot().build().unwrap();
    store.save_room(&event, &config).await.unwrap();
    let (old, new) = (BrokerId::from_u64(1), BrokerId::from_u64(2));
    store.register_broker(&event, old).await.unwrap();
    let conn = ConnId(2);
    let stream = Presence::Stream { broker: old, conn };
    let batch = [joining("ann", Presence::Poll), joining("ben", stream)];
    store.join(&event, &batch).await.unwrap();
    store.register_broker(&event, new).await.unwrap();
    let second = async || {
        clock.advance(Duration::from_secs(1));
        let tick = store.tick(&event, 0).await.unwrap().unwrap();
        for broker in tick.lapsed {
            store.take_over(&event, broker).await.unwrap();
        }
    };
    for _ in 0..11 {
        second().await;
    }
    let user = user("ben");
    let item = Attach {
        user: user.clone(),
        conn,
    };
    store.attach(&event, old, new, &[item]).await.unwrap();
    for _ in 0..60 {
        second().await;
    }
    let standing = store.standing(&event, &user).await.unwrap();
    assert!(
        matches!(standing, Some(Standing::Gone { .. })),
        "{standing:?}"
    );
}

/// People who come and go in one room are no reason to read the others more often than on the beat.
#[tokio::test]
async fn churn_in_one_room_does_not_raise_the_rate_of_look_ups_in_another() {
    let world = world(one_slot()).await;
    let quiet = room("quiet");
    world.make_room(&quiet, one_slot()).await;
    let _waits = world.queue.watch(&quiet, &user("cem")).await.unwrap();
    let _stays = world.watch("ben").await;
    world.pass(1_000).await;
    world.store.take_calls();
    for _ in 0..40 {
        let churn = world.watch("churn").await;
        world.leave("churn").await;
        drop(churn);
        world.pass(50).await;
    }
    let calls = world.store.take_calls();
    // Two simulated seconds hold ten beats.
    assert!(calls[&quiet] <= 12, "{calls:?}");
    assert!(calls[&world.event] > 20, "no churn to speak of: {calls:?}");
}

/// While the tick of one room hangs, people of another are admitted.
#[tokio::test]
async fn a_room_whose_tick_hangs_does_not_stop_admissions_in_another() {
    let world = world(one_slot()).await;
    let slow = room("slow");
    world.make_room(&slow, one_slot()).await;
    let mut ben = world.watch("ben").await;
    world.until(&mut ben, waiting).await;
    let ticks = &world.store.faults.ticks;
    ticks.close(&slow);
    world.until_held(ticks).await;
    world.leave("ann").await;
    world.until(&mut ben, admitted).await;
}

/// While the look-ups of one room hang, people of another are told where they stand.
#[tokio::test]
async fn a_room_whose_look_ups_hang_does_not_silence_another() {
    let world = world(one_slot()).await;
    let slow = room("slow");
    world.make_room(&slow, one_slot()).await;
    let _waits = world.queue.watch(&slow, &user("cem")).await.unwrap();
    let mut ben = world.watch("ben").await;
    world.until(&mut ben, waiting).await;
    let look_ups = &world.store.faults.look_ups;
    look_ups.close(&slow);
    world.until_held(look_ups).await;
    world.leave("ann").await;
    world.until(&mut ben, admitted).await;
}

/// Made-up rooms that are asked for during an outage are forgotten, not asked about for ever after.
#[tokio::test]
async fn rooms_that_do_not_exist_are_not_kept_after_an_outage() {
    let world = world(one_slot()).await;
    world.store.set_down(true);
    for index in 0..200 {
        let made_up = room(&format!("no-such-{index}"));
        let watched = world.queue.watch(&made_up, &user("ben")).await;
        assert!(watched.is_err());
    }
    world.store.set_down(false);
    world.store.take_calls();
    world.pass(2_000).await;
    let mut asked = world.store.take_calls();
    asked.remove(&world.event);
    assert!(asked.is_empty(), "{} made-up rooms are kept", asked.len());
}

/// An answer about a connection says nothing about the one that came while it was on the way.
#[tokio::test]
async fn a_late_answer_does_not_end_the_stream_of_who_joined_again() {
    let world = world(one_slot()).await;
    let _old = world.watch("ben").await;
    world.pass(300).await;
    world.leave("ben").await;
    let answers = &world.store.faults.answers;
    answers.close(&world.event);
    // The answer "gone" has been read and is on the way.
    world.until_held(answers).await;
    let mut new = world.watch("ben").await;
    answers.open();
    let place = world.until(&mut new, waiting).await;
    world.pass(2_000).await;
    // Still connected: the stream tells of what comes next.
    world.leave("ann").await;
    world.until(&mut new, admitted).await;
    assert_eq!(place.position, Some(1));
}

/// A join that failed and takes effect after its good-bye is present for no longer than a dead broker and the grace.
#[tokio::test]
async fn a_join_that_takes_effect_late_does_not_keep_its_place_for_ever() {
    let world = world(one_slot().away_grace_seconds(5)).await;
    let mut cem = world.watch("cem").await;
    world.until(&mut cem, waiting).await;
    world.store.faults.delays_join.store(true, Ordering::SeqCst);
    let failed = world.queue.watch(&world.event, &user("ben")).await;
    assert!(failed.is_err());
    world.pass(1_000).await;
    world.store.deliver_delayed_join().await;
    world.place("ben").await;
    // Renewed after five seconds, taken over ten later, then the grace: well within a minute.
    world.pass(60_000).await;
    let standing = world.standing("ben").await;
    assert!(matches!(standing, Standing::Gone { .. }), "{standing:?}");
    // Whoever is connected keeps the place.
    world.place("cem").await;
}

/// A store that panics fails the joins that it was given, and those that wait while none of its calls comes back:
/// everybody gets an answer, and who comes later joins.
#[tokio::test]
async fn a_store_that_panicked_takes_joins_again() {
    const PEOPLE: usize = 20;
    let world = world(one_slot()).await;
    let faults = &world.store.faults;
    let join = |name: String| {
        let (queue, event) = (world.queue.clone(), world.event.clone());
        tokio::spawn(async move {
            let user = user(&name);
            let answer = queue.join(&event, &user);
            let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
            answer.expect("a join gets no answer")
        })
    };
    faults.panics_at_join.store(true, Ordering::SeqCst);
    faults.joins.close(&world.event);
    let together: Vec<_> = (0..PEOPLE)
        .map(|one| join(format!("early-{one}")))
        .collect();
    world.until_held(&faults.joins).await;
    faults.joins.open();
    for joining in together {
        assert!(joining.await.unwrap().is_err(), "the store has panicked");
    }
    for one in 0..PEOPLE {
        let joined = join(format!("late-{one}")).await.unwrap();
        assert!(joined.is_err(), "the store has panicked");
    }
    faults.panics_at_join.store(false, Ordering::SeqCst);
    let joined = join("ben".to_owned()).await.unwrap().unwrap();
    assert!(matches!(joined, Joined::Waiting(_)), "{joined:?}");
}
