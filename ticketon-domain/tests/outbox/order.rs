//! Every message is published, in the order of its aggregate, however relays and buses fail.

use std::time::Duration;

use super::test_bus::{Mood, TestBus, next};
use super::{House, message, settle};

const ORDERS: u64 = 30;
const VERSIONS: u64 = 8;

/// Messages of many orders, mixed as a seed says; each order's are in order.
fn mixed(seed: u64) -> Vec<(u64, u64)> {
    let mut state = seed;
    let mut versions = vec![0; usize::try_from(ORDERS).unwrap()];
    let mut all = Vec::new();
    while all.len() < usize::try_from(ORDERS * VERSIONS).unwrap() {
        let order = next(&mut state) % ORDERS;
        let version = &mut versions[usize::try_from(order).unwrap()];
        if *version < VERSIONS {
            *version += 1;
            all.push((order, *version));
        }
    }
    all
}

fn assert_whole(bus: &TestBus) {
    for order in 0..ORDERS {
        let expected: Vec<u64> = (1..=VERSIONS).collect();
        assert_eq!(bus.first_times(order), expected, "order {order}");
    }
}

#[tokio::test]
async fn a_healthy_bus_gets_each_message_once() {
    let house = House::new();
    let bus = TestBus::new(Mood::Well);
    house.outbox.append(
        mixed(7)
            .into_iter()
            .map(|(order, version)| message(order, version)),
    );
    let relay = house.relay(&bus).batch(3).start();
    house.until_empty().await;
    relay.shutdown().await;
    assert_whole(&bus);
    assert_eq!(bus.log().len(), usize::try_from(ORDERS * VERSIONS).unwrap());
}

#[tokio::test]
async fn three_relays_with_lost_events_lost_answers_and_deaths_keep_the_order() {
    for seed in 1..=10_u64 {
        let house = House::new();
        let bus = TestBus::new(Mood::Well);
        let mut state = seed * 7_919;
        let ways: Vec<TestBus> = (1..=3)
            .map(|way| bus.beside(Mood::Random(seed * 31 + way)))
            .collect();
        let mut relays: Vec<_> = ways
            .iter()
            .map(|way| Some(house.relay(way).batch(4).start()))
            .collect();
        for written in mixed(seed).chunks(6) {
            house.outbox.append(
                written
                    .iter()
                    .map(|(order, version)| message(*order, *version)),
            );
            house
                .clock
                .advance(Duration::from_millis(next(&mut state) % 700));
            settle().await;
            let which = usize::try_from(next(&mut state) % 3).unwrap();
            match next(&mut state) % 4 {
                // Its leases stay and it does nothing any more, as if it was killed or stopped.
                0 => ways[which].hold(true),
                1 => ways[which].hold(false),
                2 => relays[which] = Some(house.relay(&ways[which]).batch(4).start()),
                _ => {}
            }
        }
        for way in &ways {
            way.hold(false);
            way.be(Mood::Well);
        }
        house.until_empty().await;
        assert_whole(&bus);
        for relay in relays.into_iter().flatten() {
            relay.shutdown().await;
        }
    }
}

#[tokio::test]
async fn answers_that_are_lost_repeat_events_and_lose_none() {
    let house = House::new();
    let bus = TestBus::new(Mood::Mute);
    house
        .outbox
        .append((1..=3).map(|version| message(1, version)));
    let relay = house.relay(&bus).start();
    house.until(|| async { bus.log().len() >= 3 }).await;
    assert_eq!(
        house.pending().await,
        3,
        "recorded without an acknowledgement"
    );
    assert!(
        bus.log().iter().all(|sent| *sent == (1, 1)),
        "the second went before the first was acknowledged"
    );
    bus.be(Mood::Well);
    house.until_empty().await;
    assert_eq!(bus.first_times(1), [1, 2, 3]);
    relay.shutdown().await;
}
