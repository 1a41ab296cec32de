//! An outbox belongs to one bus: whoever comes with another takes nothing from it.

use ticketon_domain::outbox::OutboxStore as _;

use super::test_bus::TestBus;
use super::{House, message, settle};

#[tokio::test]
async fn a_relay_with_another_bus_takes_nothing_and_says_so() {
    for other in [Some("kafka:b"), None] {
        let house = House::new();
        let (first, second) = (TestBus::known_as(Some("kafka:a")), TestBus::known_as(other));
        let relay = house.relay(&first).start();
        house.until(|| async { relay.health().shards == 64 }).await;
        relay.shutdown().await;
        house.outbox.append([message(1, 1)]);

        let stranger = house.relay(&second).start();
        house
            .until(|| async { stranger.health().other_bus.is_some() })
            .await;
        house.clock.advance(std::time::Duration::from_secs(60));
        settle().await;
        assert_eq!(second.log(), [], "{other:?}");
        let health = stranger.health();
        assert_eq!(health.other_bus.as_deref(), Some("kafka:a"));
        assert_eq!(health.shards, 0);
        let (_, why) = health.trouble.unwrap();
        assert!(why.contains("belongs to kafka:a"), "{why}");

        let relay = house.relay(&first).start();
        house.until_empty().await;
        assert_eq!(first.log(), [(1, 1)]);
        relay.shutdown().await;
        stranger.shutdown().await;
    }
}

#[tokio::test]
async fn what_waits_when_a_lasting_bus_comes_goes_there_and_the_one_inside_a_process_stops() {
    let house = House::new();
    let (inside, kafka) = (TestBus::known_as(None), TestBus::known_as(Some("kafka:a")));
    let before = house.relay(&inside).start();
    house.outbox.append([message(1, 1)]);
    house.until_empty().await;
    assert_eq!(inside.log(), [(1, 1)], "nobody claimed the outbox");
    // It has read an event, and has not published it yet.
    inside.hold(true);
    house.outbox.append([message(1, 2)]);
    before.wake().wake();
    settle().await;

    let after = house.relay(&kafka).start();
    house.until(|| async { after.health().shards == 64 }).await;
    inside.hold(false);
    house.until_empty().await;
    assert_eq!(kafka.log(), [(1, 2)], "it went to the old bus alone");
    house.outbox.append([message(1, 3)]);
    house.until_empty().await;
    assert_eq!(kafka.log(), [(1, 2), (1, 3)]);
    house
        .until(|| async { before.health().other_bus.is_some() })
        .await;
    before.shutdown().await;
    after.shutdown().await;
}

#[tokio::test]
async fn an_operator_makes_the_outbox_another_bus_s() {
    let house = House::new();
    let (old, new) = (
        TestBus::known_as(Some("kafka:a")),
        TestBus::known_as(Some("kafka:b")),
    );
    let first = house.relay(&old).start();
    house.until(|| async { first.health().shards == 64 }).await;
    let second = house.relay(&new).start();
    house
        .until(|| async { second.health().other_bus.is_some() })
        .await;
    house.outbox.set_bus(Some("kafka:b")).await.unwrap();
    house.until(|| async { second.health().shards == 64 }).await;
    assert_eq!(second.health().other_bus, None);
    house.outbox.append([message(1, 1)]);
    house.until_empty().await;
    assert_eq!((old.log(), new.log()), (vec![], vec![(1, 1)]));
    house
        .until(|| async { first.health().other_bus.is_some() })
        .await;
    first.shutdown().await;
    second.shutdown().await;
}
