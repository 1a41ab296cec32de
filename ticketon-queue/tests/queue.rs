//! The handle's public face: what a host and a connected person see, on the memory store and a clock that the
//! tests turn.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::sync::Arc;
use std::time::Duration;

use ticketon_queue::{
    EventId, Fenced, JoinOptions, Joined, Left, ManualClock, MemoryStore, Reason, RoomConfig,
    RoomConfigBuilder, RoomVerb, Standing, Update, Updates, UserId, WaitingQueue, WaitingUpdate,
    Watched,
};

const START_MS: i64 = 1_767_225_600_000;

struct World {
    queue: WaitingQueue,
    clock: ManualClock,
    event: EventId,
    store: MemoryStore,
}

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn one_slot() -> RoomConfigBuilder {
    RoomConfig::builder()
        .capacity(1)
        .claim_ttl_seconds(30)
        .entry_ttl_seconds(60)
        .away_grace_seconds(20)
}

async fn start(store: &MemoryStore, clock: &ManualClock) -> WaitingQueue {
    WaitingQueue::builder(store.clone())
        .clock(Arc::new(clock.clone()))
        .start()
        .await
        .unwrap()
}

async fn world(config: RoomConfigBuilder) -> World {
    let clock = ManualClock::at(START_MS);
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let queue = start(&store, &clock).await;
    let event = EventId::new("demo").unwrap();
    queue
        .ensure_room(&event, config.build().unwrap())
        .await
        .unwrap();
    World {
        queue,
        clock,
        event,
        store,
    }
}

impl World {
    async fn watch(&self, name: &str) -> Updates {
        self.queue.watch(&self.event, &user(name)).await.unwrap()
    }

    /// Lets time pass in ticks until the stream says what is awaited; fails after a simulated minute or two.
    async fn until<T>(
        &self,
        updates: &mut Updates,
        mut want: impl FnMut(&Update) -> Option<T>,
    ) -> T {
        for _ in 0..600 {
            let heard = tokio::time::timeout(Duration::from_millis(2), updates.next()).await;
            match heard {
                Ok(Some(update)) => {
                    if let Some(found) = want(&update) {
                        return found;
                    }
                    assert!(!update.is_last(), "ended with {update:?}");
                }
                Ok(None) => panic!("the stream ended"),
                Err(_) => self.pass(200).await,
            }
        }
        panic!("not told in time");
    }

    /// Lets time pass in steps that no dispatcher takes for an outage.
    async fn pass(&self, ms: u64) {
        let mut left = ms;
        while left > 0 {
            let step = left.min(200);
            self.clock.advance(Duration::from_millis(step));
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            left -= step;
        }
    }

    async fn standing(&self, name: &str) -> Standing {
        self.queue.standing(&self.event, &user(name)).await.unwrap()
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

fn closed(update: &Update) -> Option<Reason> {
    match update {
        Update::Closed(update) => Some(update.reason),
        _ => None,
    }
}

#[tokio::test]
async fn the_line_moves_and_the_next_is_admitted() {
    let world = world(one_slot()).await;
    let mut ann = world.watch("ann").await;
    let fence = world.until(&mut ann, admitted).await;
    let mut ben = world.watch("ben").await;
    let mut cem = world.watch("cem").await;
    assert_eq!(world.until(&mut ben, waiting).await.position, Some(1));
    assert_eq!(world.until(&mut cem, waiting).await.position, Some(2));
    let done = world
        .queue
        .complete(&world.event, &user("ann"), fence)
        .await;
    assert_eq!(done.unwrap(), Fenced::Done(()));
    let next = world.until(&mut ben, admitted).await;
    assert!(next > fence);
    world
        .until(&mut cem, |u| waiting(u).filter(|u| u.position == Some(1)))
        .await;
    assert_eq!(world.until(&mut ann, closed).await, Reason::Completed);
    assert!(ann.next().await.is_none());
}

#[tokio::test]
async fn a_reload_keeps_the_place() {
    let world = world(one_slot()).await;
    let _ann = world.watch("ann").await;
    let mut ben = world.watch("ben").await;
    let before = world.until(&mut ben, waiting).await;
    drop(ben);
    let _cem = world.watch("cem").await;
    world.pass(15_000).await;
    let mut ben = world.watch("ben").await;
    let after = world.until(&mut ben, waiting).await;
    assert_eq!(
        (before.sequence, before.position),
        (after.sequence, after.position)
    );
    // Back for good: the grace has ended, however long it takes.
    world
        .queue
        .claim(&world.event, &user("ann"), fence_of(&world, "ann").await)
        .await
        .unwrap();
    world.pass(40_000).await;
    assert!(matches!(world.standing("ben").await, Standing::Waiting(_)));
}

async fn fence_of(world: &World, name: &str) -> u64 {
    match world.standing(name).await {
        Standing::Admitted(lease) => lease.fence,
        other => panic!("{name} is {other:?}"),
    }
}

#[tokio::test]
async fn whoever_stays_away_longer_than_the_grace_gives_up_the_place() {
    let world = world(one_slot()).await;
    let mut ann = world.watch("ann").await;
    let fence = world.until(&mut ann, admitted).await;
    world
        .queue
        .claim(&world.event, &user("ann"), fence)
        .await
        .unwrap();
    let ben = world.watch("ben").await;
    drop(ben);
    world.pass(19_000).await;
    assert!(matches!(world.standing("ben").await, Standing::Waiting(_)));
    world.pass(3_000).await;
    let standing = world.standing("ben").await;
    assert!(matches!(
        standing,
        Standing::Gone {
            reason: Reason::Left,
            ..
        }
    ));
}

#[tokio::test]
async fn a_second_tab_takes_the_place_over() {
    let world = world(one_slot()).await;
    let _ann = world.watch("ann").await;
    let mut first = world.watch("ben").await;
    let place = world.until(&mut first, waiting).await;
    let mut second = world.watch("ben").await;
    assert_eq!(world.until(&mut first, closed).await, Reason::Replaced);
    assert_eq!(
        world.until(&mut second, waiting).await.sequence,
        place.sequence
    );
    // The first stream's end must not start the grace.
    drop(first);
    world
        .queue
        .claim(&world.event, &user("ann"), fence_of(&world, "ann").await)
        .await
        .unwrap();
    world.pass(40_000).await;
    assert!(matches!(world.standing("ben").await, Standing::Waiting(_)));
}

#[tokio::test]
async fn a_tab_at_another_process_takes_the_place_over() {
    let world = world(one_slot()).await;
    let other = start(&world.store, &world.clock).await;
    let _ann = world.watch("ann").await;
    let mut first = world.watch("ben").await;
    let place = world.until(&mut first, waiting).await;
    let mut second = other.watch(&world.event, &user("ben")).await.unwrap();
    assert_eq!(world.until(&mut first, closed).await, Reason::Replaced);
    assert_eq!(
        world.until(&mut second, waiting).await.sequence,
        place.sequence
    );
}

#[tokio::test]
async fn leaving_frees_the_slot_and_ends_the_stream() {
    let world = world(one_slot()).await;
    let mut ann = world.watch("ann").await;
    let fence = world.until(&mut ann, admitted).await;
    let mut ben = world.watch("ben").await;
    let leave = |name: &'static str, fence| {
        let (queue, event) = (world.queue.clone(), world.event.clone());
        async move { queue.leave(&event, &user(name), fence).await.unwrap() }
    };
    assert_eq!(leave("ann", Some(fence + 1)).await, Left::Stale);
    assert_eq!(leave("ann", Some(fence)).await, Left::Admitted);
    assert_eq!(world.until(&mut ann, closed).await, Reason::Left);
    world.until(&mut ben, admitted).await;
    assert_eq!(leave("ann", None).await, Left::NotJoined);
    // Whoever left may come back, at the back.
    let back = world.queue.join(&world.event, &user("ann")).await.unwrap();
    assert!(matches!(back, Joined::Waiting(update) if update.position == Some(1)));
}

#[tokio::test]
async fn a_no_show_loses_the_slot() {
    let world = world(one_slot()).await;
    let mut ann = world.watch("ann").await;
    world.until(&mut ann, admitted).await;
    let mut ben = world.watch("ben").await;
    world.pass(29_000).await;
    assert!(matches!(world.standing("ann").await, Standing::Admitted(_)));
    assert_eq!(world.until(&mut ann, closed).await, Reason::Expired);
    world.until(&mut ben, admitted).await;
    let numbers = world.queue.numbers(&world.event).await.unwrap();
    assert_eq!((numbers.expired_total, numbers.active), (1, 1));
}

#[tokio::test]
async fn a_claimed_admission_ends_at_its_deadline() {
    let world = world(one_slot()).await;
    let mut ann = world.watch("ann").await;
    let fence = world.until(&mut ann, admitted).await;
    let claim = world.queue.claim(&world.event, &user("ann"), fence).await;
    assert!(matches!(claim.unwrap(), Fenced::Done(lease) if lease.claimed));
    world.pass(59_000).await;
    assert!(matches!(world.standing("ann").await, Standing::Admitted(_)));
    assert_eq!(world.until(&mut ann, closed).await, Reason::Expired);
    let late = world
        .queue
        .complete(&world.event, &user("ann"), fence)
        .await;
    assert_eq!(
        late.unwrap(),
        Fenced::Ended {
            reason: Reason::Expired
        }
    );
}

#[tokio::test]
async fn polls_keep_the_place_and_silence_gives_it_up() {
    let world = world(one_slot()).await;
    let mut ann = world.watch("ann").await;
    let fence = world.until(&mut ann, admitted).await;
    world
        .queue
        .claim(&world.event, &user("ann"), fence)
        .await
        .unwrap();
    for _ in 0..4 {
        let polled = world.queue.join(&world.event, &user("ben")).await.unwrap();
        assert!(matches!(polled, Joined::Waiting(update) if update.position == Some(1)));
        world.pass(10_000).await;
    }
    world.pass(12_000).await;
    assert!(matches!(world.standing("ben").await, Standing::Gone { .. }));
}

#[tokio::test]
async fn a_poll_does_not_take_the_place_from_a_stream() {
    let world = world(one_slot()).await;
    let mut ann = world.watch("ann").await;
    let fence = world.until(&mut ann, admitted).await;
    world
        .queue
        .claim(&world.event, &user("ann"), fence)
        .await
        .unwrap();
    let mut ben = world.watch("ben").await;
    world.queue.join(&world.event, &user("ben")).await.unwrap();
    world.pass(30_000).await;
    assert!(matches!(world.standing("ben").await, Standing::Waiting(_)));
    world.until(&mut ben, waiting).await;
}

#[tokio::test]
async fn shutdown_asks_people_to_reconnect_and_keeps_their_places() {
    let world = world(one_slot()).await;
    let _ann = world.watch("ann").await;
    let mut ben = world.watch("ben").await;
    let place = world.until(&mut ben, waiting).await;
    world.queue.shutdown().await;
    let told = world
        .until(&mut ben, |update| match update {
            Update::Reconnect { after_ms } => Some(*after_ms),
            _ => None,
        })
        .await;
    assert!((500..5_000).contains(&told));
    assert!(ben.next().await.is_none());
    assert!(world.queue.watch(&world.event, &user("cem")).await.is_err());
    let other = start(&world.store, &world.clock).await;
    let mut ben = other.watch(&world.event, &user("ben")).await.unwrap();
    assert_eq!(
        world.until(&mut ben, waiting).await.sequence,
        place.sequence
    );
}

#[tokio::test]
async fn a_dead_broker_is_taken_over_and_its_people_come_back() {
    let world = world(one_slot()).await;
    let mut ann = world.watch("ann").await;
    let fence = world.until(&mut ann, admitted).await;
    world
        .queue
        .claim(&world.event, &user("ann"), fence)
        .await
        .unwrap();
    let dead = WaitingQueue::builder(world.store.clone())
        .clock(Arc::new(ManualClock::at(START_MS)))
        .dispatch(false)
        .start()
        .await
        .unwrap();
    // Its own clock stands still, so it never ticks: to the store it looks dead.
    let ben = dead.watch(&world.event, &user("ben")).await.unwrap();
    let cem = dead.watch(&world.event, &user("cem")).await.unwrap();
    let join = |name| {
        let (queue, event) = (world.queue.clone(), world.event.clone());
        async move { queue.watch(&event, &user(name)).await.unwrap() }
    };
    world.pass(15_000).await;
    let mut back = join("ben").await;
    assert_eq!(world.until(&mut back, waiting).await.position, Some(1));
    world.pass(20_000).await;
    assert!(matches!(world.standing("ben").await, Standing::Waiting(_)));
    assert!(matches!(
        world.standing("cem").await,
        Standing::Gone {
            reason: Reason::Left,
            ..
        }
    ));
    drop((ben, cem));
}

#[tokio::test]
async fn a_paused_room_keeps_places_and_says_so() {
    let world = world(one_slot().capacity(10)).await;
    world
        .queue
        .change_state(&world.event, RoomVerb::Pause)
        .await
        .unwrap();
    let mut ann = world.watch("ann").await;
    let update = world.until(&mut ann, waiting).await;
    assert_eq!((update.state.as_str(), update.eta), ("paused", None));
    world.pass(5_000).await;
    world
        .queue
        .change_state(&world.event, RoomVerb::Resume)
        .await
        .unwrap();
    world.until(&mut ann, admitted).await;
}

#[tokio::test]
async fn a_closed_room_ends_the_line_but_no_lease() {
    let world = world(one_slot()).await;
    let mut ann = world.watch("ann").await;
    let fence = world.until(&mut ann, admitted).await;
    let mut ben = world.watch("ben").await;
    world
        .queue
        .change_state(&world.event, RoomVerb::Close)
        .await
        .unwrap();
    assert_eq!(world.until(&mut ben, closed).await, Reason::RoomClosed);
    let claim = world.queue.claim(&world.event, &user("ann"), fence).await;
    assert!(matches!(claim.unwrap(), Fenced::Done(_)));
    let late = world.queue.join(&world.event, &user("cem")).await.unwrap();
    assert!(matches!(late, Joined::Refused { .. }));
}

#[tokio::test]
async fn a_full_room_says_when_to_try_again() {
    let world = world(one_slot().max_waiting(1)).await;
    let _ann = world.watch("ann").await;
    let _ben = world.watch("ben").await;
    let full = world.queue.join(&world.event, &user("cem")).await.unwrap();
    assert!(matches!(full, Joined::Full { retry_after } if !retry_after.is_zero()));
    let mut refused = world.watch("cem").await;
    assert!(matches!(
        refused.next().await,
        Some(Update::Refused(Joined::Full { .. }))
    ));
    assert!(refused.next().await.is_none());
}

#[tokio::test]
async fn a_place_that_is_gone_is_not_resumed() {
    let world = world(one_slot()).await;
    let _ann = world.watch("ann").await;
    let mut ben = world.watch("ben").await;
    let epoch = world.until(&mut ben, waiting).await.epoch;
    world
        .queue
        .leave(&world.event, &user("ben"), None)
        .await
        .unwrap();
    let resume = |epoch| JoinOptions {
        lane: None,
        resume: Some(epoch),
    };
    let again = world
        .queue
        .watch_with(&world.event, &user("ben"), resume(epoch))
        .await;
    assert!(matches!(
        again.unwrap(),
        Watched::Refused(Joined::Gone {
            reason: Reason::Left,
            ..
        })
    ));
    // A place of an older epoch was lost with its data: they join again.
    let again = world
        .queue
        .watch_with(&world.event, &user("ben"), resume(epoch - 1))
        .await;
    assert!(matches!(again.unwrap(), Watched::Stream(_)));
}

#[tokio::test]
async fn positions_never_go_up() {
    let world = world(one_slot().admit_per_second(10).capacity(1_000)).await;
    world
        .queue
        .change_state(&world.event, RoomVerb::Pause)
        .await
        .unwrap();
    let mut streams = Vec::new();
    for index in 0..300 {
        streams.push(world.watch(&format!("u{index}")).await);
    }
    let mut last = world.until(&mut streams[299], waiting).await.position;
    assert_eq!(last, Some(300));
    world
        .queue
        .change_state(&world.event, RoomVerb::Resume)
        .await
        .unwrap();
    // Some leave without a word, so ranks and sequences part.
    for stream in streams.drain(..100) {
        drop(stream);
    }
    let mut end = streams.pop().unwrap();
    world
        .until(&mut end, |update| {
            if let Some(update) = waiting(update) {
                assert!(
                    update.position <= last,
                    "{:?} after {last:?}",
                    update.position
                );
                last = update.position;
            }
            admitted(update)
        })
        .await;
    assert!(last < Some(20), "last told: {last:?}");
}

#[tokio::test]
async fn an_abandoned_join_starts_the_grace() {
    let world = world(one_slot()).await;
    let mut ann = world.watch("ann").await;
    let fence = world.until(&mut ann, admitted).await;
    world
        .queue
        .claim(&world.event, &user("ann"), fence)
        .await
        .unwrap();
    // The caller goes away before the answer: the join finishes by itself and must not leave a ghost.
    let (ben, event) = (user("ben"), world.event.clone());
    {
        let watch = world.queue.watch(&event, &ben);
        tokio::pin!(watch);
        assert!(futures_util::poll!(watch.as_mut()).is_pending());
    }
    world.pass(5_000).await;
    assert!(matches!(world.standing("ben").await, Standing::Waiting(_)));
    world.pass(20_000).await;
    assert!(matches!(world.standing("ben").await, Standing::Gone { .. }));
}
