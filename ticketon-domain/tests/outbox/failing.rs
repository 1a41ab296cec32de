//! A bus that is away, and events that it refuses.

use super::test_bus::{Mood, TestBus};
use super::{House, message, settle};

/// Orders whose messages are in one shard.
fn in_one_shard() -> (u64, u64) {
    let shard = |order| message(order, 1).aggregate.shard();
    let second = (2..).find(|order| shard(*order) == shard(1)).unwrap();
    (1, second)
}

#[tokio::test]
async fn events_wait_while_the_bus_is_away_and_tries_become_rare() {
    let house = House::new();
    let bus = TestBus::new(Mood::Away);
    house
        .outbox
        .append((1..=3).map(|version| message(1, version)));
    let relay = house.relay(&bus).start();
    house
        .until(|| async { relay.health().trouble.is_some() })
        .await;
    let (since_ms, why) = relay.health().trouble.unwrap();
    assert!(why.contains("unavailable"), "{why}");
    let minute = std::time::Duration::from_secs(60);
    house.clock.advance(minute);
    settle().await;
    assert_eq!(relay.health().trouble.unwrap().0, since_ms, "it began then");
    assert_eq!(house.pending().await, 3);
    bus.be(Mood::Well);
    house.until_empty().await;
    assert_eq!(bus.log(), [(1, 1), (1, 2), (1, 3)]);
    house
        .until(|| async { relay.health().trouble.is_none() })
        .await;
    house
        .until(|| async { relay.health().backlog.pending == 0 })
        .await;
    relay.shutdown().await;
}

#[tokio::test]
async fn a_refused_event_holds_up_its_own_order_and_no_other() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    let (bad, good) = in_one_shard();
    bus.refuses().insert(format!("order/{bad}/2"));
    let relay = house.relay(&bus).start();
    house.outbox.append([
        message(bad, 1),
        message(bad, 2),
        message(good, 1),
        message(bad, 3),
    ]);
    house.until(|| async { bus.first_times(good) == [1] }).await;
    house.outbox.append([message(good, 2)]);
    house
        .until(|| async { bus.first_times(good) == [1, 2] })
        .await;
    assert_eq!(bus.first_times(bad), [1]);
    assert_eq!(house.pending().await, 2);
    assert!(
        relay
            .health()
            .trouble
            .unwrap()
            .1
            .contains("refuses order/1/2")
    );
    bus.refuses().clear();
    house.until_empty().await;
    assert_eq!(bus.first_times(bad), [1, 2, 3]);
    assert_eq!(relay.health().trouble, None);
    relay.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_lets_what_is_on_its_way_end() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    bus.hold(true);
    house.outbox.append([message(1, 1)]);
    let relay = house.relay(&bus).start();
    settle().await;
    let ending = async {
        settle().await;
        bus.hold(false);
    };
    tokio::join!(relay.shutdown(), ending);
    assert_eq!(bus.log(), [(1, 1)]);
    assert_eq!(
        house.pending().await,
        0,
        "it was published and not recorded"
    );
}

#[tokio::test]
async fn one_busy_shard_does_not_keep_the_others_waiting() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    let relay = house.relay(&bus).parallel(1).batch(1).start();
    house
        .outbox
        .append((1..=200).map(|version| message(1, version)));
    house.outbox.append((2..=20).map(|order| message(order, 1)));
    house.until_empty().await;
    let last_of_others = bus
        .log()
        .iter()
        .rposition(|(order, _)| *order != 1)
        .unwrap();
    assert!(last_of_others < 60, "{last_of_others}");
    relay.shutdown().await;
}
