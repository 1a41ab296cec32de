//! A bus that is away, and events that it refuses.

use ticketon_domain::outbox::OutboxStore as _;

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
    house
        .until(|| async { relay.health().parked.is_some() })
        .await;
    let health = relay.health();
    let parked = health.parked.unwrap();
    assert_eq!((parked.aggregate.as_str(), parked.version), ("order/1", 2));
    assert_eq!(health.backlog.parked, 1);
    let trouble = health.trouble.unwrap().1;
    assert!(
        trouble.contains("order/1/2 is parked: as the test wants it"),
        "{trouble}"
    );
    bus.refuses().clear();
    house.until_empty().await;
    assert_eq!(bus.first_times(bad), [1, 2, 3]);
    house
        .until(|| async { relay.health().trouble.is_none() })
        .await;
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

/// This many orders whose messages are in one shard.
fn of_one_shard(count: usize) -> Vec<u64> {
    let shard = |order| message(order, 1).aggregate.shard();
    let all = (1..).filter(|order| shard(*order) == shard(1));
    all.take(count).collect()
}

#[tokio::test]
async fn many_refused_events_at_the_head_of_a_shard_hold_up_none_of_the_others() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    let orders = of_one_shard(301);
    let (good, bad) = orders.split_last().unwrap();
    bus.refuses()
        .extend(bad.iter().map(|order| format!("order/{order}/1")));
    house
        .outbox
        .append(bad.iter().map(|order| message(*order, 1)));
    house.outbox.append([message(*good, 1), message(*good, 2)]);
    let relay = house.relay(&bus).batch(100).start();
    for _ in 0..40 {
        settle().await;
    }
    assert_eq!(bus.first_times(*good), [1, 2], "without any time");
    house
        .until(|| async { relay.health().backlog.parked == 300 })
        .await;
    // Later ones of the shard do not wait for those that are tried again.
    for version in 3..=20 {
        house.clock.advance(std::time::Duration::from_secs(7));
        house.outbox.append([message(*good, version)]);
        relay.wake().wake();
        for _ in 0..40 {
            settle().await;
        }
        let published = u64::try_from(bus.first_times(*good).len()).unwrap();
        assert_eq!(published, version);
    }
    bus.refuses().clear();
    house.outbox.retry(None).await.unwrap();
    house.until_empty().await;
    assert!(bad.iter().all(|order| bus.first_times(*order) == [1]));
    relay.shutdown().await;
}

#[tokio::test]
async fn an_operator_has_one_refused_event_tried_again_at_once() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    bus.refuses()
        .extend(["order/1/1".to_owned(), "order/2/1".to_owned()]);
    house.outbox.append([message(1, 1), message(2, 1)]);
    let relay = house.relay(&bus).start();
    settle().await;
    bus.refuses().clear();
    assert_eq!(house.outbox.retry(Some("order/2")).await.unwrap(), 1);
    relay.wake().wake();
    settle().await;
    assert_eq!(bus.log(), [(2, 1)]);
    let left = house.outbox.parked(10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].aggregate, "order/1");
    relay.shutdown().await;
}

#[tokio::test]
async fn a_panic_of_the_bus_fails_its_batch_and_parks_the_event_that_it_panics_at() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    let (bad, good) = in_one_shard();
    bus.panics_at().insert(format!("order/{bad}/1"));
    house
        .outbox
        .append([message(good, 1), message(bad, 1), message(good, 2)]);
    let relay = house.relay(&bus).start();
    house
        .until(|| async { bus.first_times(good) == [1, 2] })
        .await;
    let parked = house.outbox.parked(10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert!(
        parked[0].why.contains("panicked: as the test wants it"),
        "{parked:?}"
    );
    assert!(relay.health().running);
    bus.panics_at().clear();
    house.until_empty().await;
    relay.shutdown().await;
    assert!(!relay.health().running, "a relay that ended says so");
}

#[tokio::test]
async fn a_shutdown_publishes_what_was_written_before_it() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    let relay = house.relay(&bus).batch(2).start();
    settle().await;
    // Nobody wakes it, and the clock stands.
    house
        .outbox
        .append((1..=9).map(|version| message(1, version)));
    relay.shutdown().await;
    assert_eq!(bus.first_times(1).len(), 9);
    assert_eq!(house.pending().await, 0);
}
