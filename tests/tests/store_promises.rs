//! The promises of the waiting room over every store: the conformance kit of `ticketon-queue`, which
//! stands on a clock of its own, and the pace once more on real time.
//!
//! A store is one line in the table, and one function that makes it.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::sync::Arc;
use std::time::Duration;

use ticketon_queue::conformance::{Subject, run_all};
use ticketon_queue::{
    EventId, JoinRequest, ManualClock, MemoryStore, Presence, QueueStore, RedisStore, RoomConfig,
    RoomVerb, Standing, UserId,
};
use ticketon_tests::{RedisCluster, RedisSentinel, RedisServer};
use tokio::task::JoinSet;

/// Dispatchers of a room, each in a process of its own.
const PROCESSES: usize = 4;
const BOUND: Duration = Duration::from_secs(30);

/// One module a store: each promise of the kit, and the pace on the store's own time.
macro_rules! stores {
    ($($name:ident: $make:path,)*) => {
        $(mod $name {
            ticketon_queue::conformance_tests!(async |clock| $make(Some(clock)).await);

            #[tokio::test(flavor = "multi_thread")]
            async fn q5_the_pace_is_kept_on_real_time() {
                super::keeps_the_pace_on_real_time(&$make(None).await).await;
            }
        })*
    };
}

stores! {
    memory: super::memory,
    memory_in_an_arc: super::memory_in_an_arc,
    redis: super::redis,
}

/// One test a deployment of Redis that takes seconds to start: all promises in a row, each in a room of its own.
macro_rules! slow_to_start {
    ($($name:ident: $server:ty,)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let server = <$server>::start().await;
            let url = server.url();
            run_all(async |clock| processes(&url, Some(clock)).await).await;
        })*
    };
}

slow_to_start! {
    redis_cluster_keeps_every_promise: RedisCluster,
    redis_sentinel_keeps_every_promise: RedisSentinel,
}

/// Clones that share their rooms. With no clock, on the store's own time.
async fn memory(clock: Option<ManualClock>) -> Subject {
    let store = memory_store(clock);
    let clone = || Arc::new(store.clone()) as Arc<dyn QueueStore>;
    Subject::processes((0..PROCESSES).map(|_| clone()).collect())
}

/// One store behind one pointer.
async fn memory_in_an_arc(clock: Option<ManualClock>) -> Subject {
    Subject::shared(Arc::new(memory_store(clock)))
}

fn memory_store(clock: Option<ManualClock>) -> MemoryStore {
    clock.map_or_else(MemoryStore::new, |clock| {
        MemoryStore::with_clock(Arc::new(clock))
    })
}

/// One Redis server.
async fn redis(clock: Option<ManualClock>) -> Subject {
    let server = RedisServer::start().await;
    processes(&server.url(), clock).await.keeping(server)
}

/// Processes with a connection each.
async fn processes(url: &str, clock: Option<ManualClock>) -> Subject {
    let mut processes: Vec<Arc<dyn QueueStore>> = Vec::new();
    for _ in 0..PROCESSES {
        let mut builder = RedisStore::builder(url).response_timeout(BOUND);
        if let Some(clock) = &clock {
            builder = builder.clock(Arc::new(clock.clone()));
        }
        processes.push(Arc::new(builder.connect().await.unwrap()));
    }
    Subject::processes(processes)
}

/// As `q5_many_dispatchers_together_keep_the_pace` of the kit, in which time stands while the dispatchers
/// race; here it runs.
async fn keeps_the_pace_on_real_time(subject: &Subject) {
    const PEOPLE: usize = 250;
    const RATE: i64 = 200;
    const BURST: i64 = 30;
    let config = RoomConfig::builder()
        .capacity(10_000)
        .admit_per_second(RATE as u32)
        .admit_burst(BURST as u32)
        .build()
        .unwrap();
    let event = EventId::new("real-time").unwrap();
    let store = &subject.handles()[0];
    let people: Vec<JoinRequest> = (0..PEOPLE)
        .map(|index| JoinRequest {
            user: UserId::new(format!("user-{index}")).unwrap(),
            lane: None,
            presence: Presence::Poll,
            resume: None,
        })
        .collect();
    store.save_room(&event, &config).await.unwrap();
    store.change_state(&event, RoomVerb::Pause).await.unwrap();
    store.join(&event, &people).await.unwrap().unwrap();
    store.change_state(&event, RoomVerb::Resume).await.unwrap();

    let mut tasks = JoinSet::new();
    for process in subject.handles() {
        let (process, event) = (Arc::clone(process), event.clone());
        tasks.spawn(async move {
            while process.tick(&event, 1_000).await.unwrap().unwrap().waiting > 0 {
                tokio::task::yield_now().await;
            }
        });
    }
    tokio::time::timeout(BOUND, tasks.join_all()).await.unwrap();

    let mut admitted_at: Vec<i64> = Vec::new();
    for person in &people {
        match store.standing(&event, &person.user).await.unwrap() {
            Some(Standing::Admitted(lease)) => admitted_at.push(lease.admitted_at_ms),
            other => panic!("{other:?}"),
        }
    }
    admitted_at.sort_unstable();
    for (first, begin) in admitted_at.iter().enumerate() {
        for (last, end) in admitted_at.iter().enumerate().skip(first) {
            let admitted = (last - first + 1) as i64;
            let allowed_milli = (end - begin) * RATE + BURST * 1_000;
            assert!(
                admitted * 1_000 <= allowed_milli,
                "{admitted} admissions within {} ms",
                end - begin
            );
        }
    }
}
