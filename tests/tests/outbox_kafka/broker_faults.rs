//! A broker that is silent, slow, or gone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ticketon_domain::adapter::kafka::KafkaBus;
use ticketon_domain::outbox::Relay;
use ticketon_tests::{KafkaBroker, KafkaRecord, SlowProxy, eventually};

use super::ORDERS;
use super::world::{Kind, Outbox, SOON, broker};

const COUNT: u64 = 20;

/// A relay in this process, with short limits.
async fn relay(outbox: &Outbox, broker: &str) -> Relay {
    let bus = KafkaBus::builder(broker)
        .deliver_within(Duration::from_secs(1))
        .create_topics(3, 1);
    Relay::builder(
        Arc::new(outbox.store.clone()),
        Arc::new(bus.connect().unwrap()),
    )
    .poll(Duration::from_millis(20))
    .retry_max(Duration::from_millis(500))
    .start()
}

#[tokio::test]
async fn events_wait_for_a_broker_that_is_silent_and_then_go_out_in_order() {
    let mut outbox = Outbox::new(Kind::Sqlite).await;
    let mut broker = broker().await;
    let relay = relay(&outbox, &broker.bootstrap()).await;
    outbox.write(0..COUNT).await;
    outbox.until_empty().await;

    broker.pause();
    for _ in 0..3 {
        outbox.write(0..COUNT).await;
    }
    // Commits go on, and health says what is wrong.
    let trouble = eventually(SOON, || async { relay.health().trouble }).await;
    assert!(trouble.1.contains("unavailable"), "{trouble:?}");
    eventually(SOON, || async {
        relay.health().backlog.pending == 3 * COUNT
    })
    .await;

    broker.resume();
    outbox.until_empty().await;
    eventually(SOON, || async { relay.health().trouble.is_none() }).await;
    outbox.until_whole(&broker).await;
    relay.shutdown().await;
}

#[tokio::test]
async fn answers_that_come_too_late_repeat_events_and_keep_their_order() {
    let builder = KafkaBroker::builder();
    let proxy = SlowProxy::start(builder.port()).await;
    let broker = builder.advertise(proxy.port()).start().await;
    let mut outbox = Outbox::new(Kind::Sqlite).await;
    let relay = relay(&outbox, &broker.bootstrap()).await;
    outbox.write(0..COUNT).await;
    outbox.until_empty().await;

    // Events arrive, and every answer is later than the relay waits.
    proxy.delay(Duration::from_millis(900));
    for _ in 0..2 {
        outbox.write(0..COUNT).await;
    }
    eventually(SOON, || async { relay.health().trouble }).await;
    eventually(SOON, || async {
        let records = broker.records(ORDERS).await.len();
        if records > usize::try_from(COUNT).unwrap() {
            Ok(())
        } else {
            Err(records)
        }
    })
    .await;
    assert!(
        outbox.pending().await > 0,
        "recorded without an acknowledgement"
    );

    proxy.delay(Duration::ZERO);
    outbox.until_empty().await;
    relay.shutdown().await;
    let repeated = outbox.until_whole(&broker).await;
    assert!(repeated > 0, "no answer was late");
}

#[tokio::test]
async fn a_broker_that_comes_back_without_its_memory_is_served_again() {
    let mut outbox = Outbox::new(Kind::Sqlite).await;
    let mut broker = broker().await;
    let relay = relay(&outbox, &broker.bootstrap()).await;
    outbox.write(0..COUNT).await;
    outbox.until_empty().await;
    outbox.until_whole(&broker).await;

    broker.kill9();
    outbox.write(0..COUNT).await;
    eventually(SOON, || async { relay.health().trouble }).await;
    // It knows neither the topic nor the producer any more.
    broker.restart().await;
    outbox.until_empty().await;
    relay.shutdown().await;
    // All of the second events, and none of the first: those were acknowledged.
    eventually(SOON, || async {
        let second = |record: &KafkaRecord| record.value.contains(r#""aggregateversion":2"#);
        let records = broker.records(ORDERS).await;
        assert!(records.iter().all(second), "{records:?}");
        let orders: HashSet<&str> = records.iter().map(|record| record.key.as_str()).collect();
        if orders.len() == usize::try_from(COUNT).unwrap() {
            Ok(())
        } else {
            Err(orders.len())
        }
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_is_away_at_the_start_is_waited_for_and_given_its_topics() {
    let mut outbox = Outbox::new(Kind::Sqlite).await;
    let broker = KafkaBroker::builder();
    let relay = relay(&outbox, &format!("127.0.0.1:{}", broker.port())).await;
    outbox.write(0..COUNT).await;
    let trouble = eventually(SOON, || async { relay.health().trouble }).await;
    assert!(trouble.1.contains("unavailable"), "{trouble:?}");
    assert_eq!(outbox.pending().await, COUNT);

    let broker = broker.start().await;
    outbox.until_empty().await;
    eventually(SOON, || async { relay.health().trouble.is_none() }).await;
    outbox.until_whole(&broker).await;
    relay.shutdown().await;
}

#[tokio::test]
async fn many_events_of_one_order_go_out_however_slow_the_broker_is() {
    let builder = KafkaBroker::builder();
    let proxy = SlowProxy::start(builder.port()).await;
    let broker = builder.advertise(proxy.port()).start().await;
    let mut outbox = Outbox::new(Kind::Sqlite).await;
    let relay = relay(&outbox, &broker.bootstrap()).await;
    outbox.write([1]).await;
    outbox.until_empty().await;
    // Each event is acknowledged in time; all of them take longer than a publication may.
    proxy.delay(Duration::from_millis(150));
    for _ in 0..40 {
        outbox.write([1]).await;
    }
    outbox.until_empty().await;
    proxy.delay(Duration::ZERO);
    relay.shutdown().await;
    let repeated = outbox.until_whole(&broker).await;
    // At most the one that was on its way whenever a publication was cut off.
    assert!(repeated <= 20, "{repeated} repetitions");
}
