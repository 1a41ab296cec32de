//! A map whose master dies: holds that were copied live on, and no call fails.

use std::time::Duration;

use ticketon_domain::adapter::redis::RedisSeatStore;
use ticketon_domain::seat::{Choice, Held, Hold, HoldReply, SeatStore};
use ticketon_queue::RedisStore;
use ticketon_tests::{RedisCluster, RedisSentinel};
use tokio::task::JoinSet;

use super::test_map::{BOUND, TestMap, key, ready};

/// Long enough for a call to outlast a failover of these servers, which takes about 3 seconds.
const PATIENT: Duration = Duration::from_secs(15);
const PEOPLE: u32 = 24;

async fn patient(url: &str) -> RedisSeatStore {
    let builder = RedisStore::builder(url).response_timeout(PATIENT);
    RedisSeatStore::on(&builder.connect().await.unwrap())
}

/// Everybody holds a pair; the master dies; everybody sends that again, and takes another pair.
async fn survives(url: &str, kill: impl AsyncFnOnce(&str)) {
    let stores = [patient(url).await, patient(url).await];
    let hall = TestMap::build(&stores[0], 4 * PEOPLE).await;
    let mut before = Vec::new();
    for person in 0..PEOPLE {
        let name = format!("user-{person}");
        before.push(hall.take(&name, 1, [2 * person, 2 * person + 1]).await);
    }
    kill(hall.event.as_str()).await;
    let mut tasks = JoinSet::new();
    for (person, hold) in (0..PEOPLE).zip(before) {
        let hall = hall.by(&stores[person as usize % 2]);
        tasks.spawn(async move {
            let name = format!("user-{person}");
            let again = hall.request(&name, 1, Choice::Seats(hold.seats.clone()));
            assert_eq!(hall.hold(&again).await, Held::Taken(hold.clone()));
            let first = 2 * PEOPLE + 2 * person;
            let new = hall.take(&name, 2, [first, first + 1]).await;
            assert!(new.fence > hold.fence, "fences grow over a failover");
            let (event, epoch) = (&hall.event, hall.epoch);
            let released = ready(hall.store.release(event, epoch, &key(&hold)).await);
            // A call that met the failover was sent again, and found its own work.
            let done = matches!(released, HoldReply::Done(_) | HoldReply::Ended { .. });
            assert!(done, "{released:?}");
            new
        });
    }
    let new: Vec<Hold> = tokio::time::timeout(BOUND, tasks.join_all()).await.unwrap();
    let half = 2 * PEOPLE as usize;
    let wanted = format!("{}{}", ".".repeat(half), "h".repeat(half));
    assert_eq!(hall.picture().await, wanted);
    for hold in new {
        let held = hall.holds_of(hold.user.as_str()).await;
        assert_eq!(held, [hold]);
    }
    assert_eq!(hall.snapshot().await.head.counts.held as usize, half);
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinel_moves_a_map_to_another_master() {
    let mut group = RedisSentinel::start().await;
    let url = group.url();
    survives(&url, async |_| {
        group.wait_copied().await;
        group.kill9_master().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_moves_a_map_to_another_master() {
    let mut cluster = RedisCluster::start().await;
    let url = cluster.url();
    survives(&url, async |event| {
        let key = format!("{{{event}}}");
        cluster.wait_copied(&key).await;
        cluster.kill9_master_of(&key).await;
    })
    .await;
}
