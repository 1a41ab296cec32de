//! Relays share the shards, take over from the dead, and let nobody record under an old fence.

use std::time::Duration;

use ticketon_domain::outbox::{OutboxStore, Recorded, SHARDS};

use super::test_bus::{Mood, TestBus};
use super::{House, message, settle};

#[tokio::test]
async fn a_commit_of_this_process_is_published_without_any_time() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    let relay = house.relay(&bus).start();
    settle().await;
    house.outbox.append([message(1, 1)]);
    settle().await;
    assert!(bus.log().is_empty(), "the test's clock stands");
    relay.wake().wake();
    settle().await;
    assert_eq!(bus.log(), [(1, 1)]);
    assert_eq!(house.pending().await, 0);
    relay.shutdown().await;
}

#[tokio::test]
async fn a_commit_of_another_process_is_found_by_looking() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    let relay = house.relay(&bus).start();
    settle().await;
    house.outbox.append([message(1, 1)]);
    house.clock.advance(Duration::from_millis(250));
    settle().await;
    assert_eq!(bus.log(), [(1, 1)]);
    relay.shutdown().await;
}

#[tokio::test]
async fn relays_come_to_equal_shares_and_take_over_who_leaves() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    let first = house.relay(&bus).start();
    house.until(|| async { first.health().shards == 64 }).await;
    let others = [house.relay(&bus).start(), house.relay(&bus).start()];
    house
        .until(|| async {
            let [second, third] = others.each_ref().map(|relay| relay.health().shards);
            first.health().shards + second + third == 64
                && first.health().shards <= 22
                && second <= 22
        })
        .await;
    for relay in &others {
        relay.shutdown().await;
    }
    house.until(|| async { first.health().shards == 64 }).await;
    first.shutdown().await;
    let free = house
        .outbox
        .lease("next", Some("test"), 0, 1_000)
        .await
        .unwrap();
    assert_eq!(
        free.leases.len(),
        usize::from(SHARDS),
        "a shutdown gives the leases back"
    );
}

#[tokio::test]
async fn a_paused_relay_is_replaced_and_its_late_record_refused() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    let paused = bus.beside(Mood::Well);
    paused.hold(true);
    house
        .outbox
        .append((1..=3).map(|version| message(1, version)));
    let first = house.relay(&paused).start();
    settle().await;
    // It stops in its tracks: nothing of it runs, so nothing renews its leases.
    let lapsed = house
        .outbox
        .lease("other", Some("test"), 1_000_000 + 3_000, 3_000)
        .await
        .unwrap();
    assert_eq!(lapsed.leases.len(), 64);
    house.outbox.leave("other").await.unwrap();
    let second = house.relay(&bus).start();
    settle().await;
    assert_eq!(bus.first_times(1), [1, 2, 3]);
    house.outbox.append([message(1, 4)]);
    second.wake().wake();
    settle().await;
    // Now the old one goes on: what it had read goes out again, behind newer events.
    paused.hold(false);
    settle().await;
    assert_eq!(
        bus.log()
            .iter()
            .map(|(_, version)| *version)
            .collect::<Vec<_>>(),
        [1, 2, 3, 4, 1, 2, 3]
    );
    assert_eq!(house.pending().await, 0);
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test]
async fn a_stale_fence_records_nothing() {
    let house = House::new();
    house.outbox.append([message(1, 1)]);
    let shard = message(1, 1).aggregate.shard();
    let of_shard = |leases: Vec<_>| {
        leases
            .into_iter()
            .find(|lease: &ticketon_domain::outbox::ShardLease| lease.shard == shard)
    };
    let old = of_shard(
        house
            .outbox
            .lease("a", None, 0, 1_000)
            .await
            .unwrap()
            .leases,
    )
    .unwrap();
    let new = of_shard(
        house
            .outbox
            .lease("b", None, 1_000, 1_000)
            .await
            .unwrap()
            .leases,
    )
    .unwrap();
    assert!(new.fence > old.fence);
    let id = house
        .outbox
        .unpublished(shard, 0, 10)
        .await
        .unwrap()
        .messages[0]
        .id;
    assert_eq!(
        house.outbox.published(&old, &[id]).await.unwrap(),
        Recorded::StaleFence
    );
    assert_eq!(house.pending().await, 1);
    assert_eq!(
        house.outbox.published(&new, &[id]).await.unwrap(),
        Recorded::Done
    );
    assert_eq!(house.pending().await, 0);
}
