//! The promises of seats over every store: the conformance kit of `ticketon-domain`.
//!
//! A store is one line in the table, and one function that makes it.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::sync::Arc;
use std::time::Duration;

use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::adapter::redis::RedisSeatStore;
use ticketon_domain::conformance::seats::{Subject, run_all};
use ticketon_domain::seat::SeatStore;
use ticketon_queue::{ManualClock, RedisStore};
use ticketon_tests::{RedisCluster, RedisSentinel, RedisServer};

/// Processes that share a store.
const PROCESSES: usize = 4;

/// One module a store: each promise of the kit.
macro_rules! stores {
    ($($name:ident: $make:path,)*) => {
        $(mod $name {
            ticketon_domain::seat_conformance_tests!($make);
        })*
    };
}

stores! {
    memory: super::memory,
    memory_in_an_arc: super::memory_in_an_arc,
    redis: super::redis,
}

/// One test a deployment of Redis that takes seconds to start: all promises in a row, each on a map of its own.
macro_rules! slow_to_start {
    ($($name:ident: $server:ty,)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let server = <$server>::start().await;
            let url = server.url();
            run_all(async |clock| processes(&url, clock).await).await;
        })*
    };
}

slow_to_start! {
    redis_cluster_keeps_every_promise: RedisCluster,
    redis_sentinel_keeps_every_promise: RedisSentinel,
}

/// Clones that share their maps.
async fn memory(clock: ManualClock) -> Subject {
    let store = MemorySeatStore::new().with_clock(Arc::new(clock));
    let clone = || Arc::new(store.clone()) as Arc<dyn SeatStore>;
    Subject::processes((0..PROCESSES).map(|_| clone()).collect())
}

/// One store behind one pointer.
async fn memory_in_an_arc(clock: ManualClock) -> Subject {
    let store = MemorySeatStore::new().with_clock(Arc::new(clock));
    Subject::shared(Arc::new(store))
}

/// One Redis server.
async fn redis(clock: ManualClock) -> Subject {
    let server = RedisServer::start().await;
    processes(&server.url(), clock).await.keeping(server)
}

/// Processes with a connection each.
async fn processes(url: &str, clock: ManualClock) -> Subject {
    let mut processes: Vec<Arc<dyn SeatStore>> = Vec::new();
    for _ in 0..PROCESSES {
        let builder = RedisStore::builder(url).response_timeout(Duration::from_secs(30));
        let store = RedisSeatStore::on(&builder.connect().await.unwrap());
        processes.push(Arc::new(store.with_clock(Arc::new(clock.clone()))));
    }
    Subject::processes(processes)
}
