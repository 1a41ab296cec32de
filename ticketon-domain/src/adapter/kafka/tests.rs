//! The producer against librdkafka's own mock of a cluster, which fails as it is told.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::outbox::{
    Aggregate, BusError, Envelope, EventBus as _, NewMessage, PublishError, TOPICS,
};
use std::time::Duration;

fn events(order: u64, versions: std::ops::RangeInclusive<u64>) -> Vec<Envelope> {
    let message = |version| NewMessage {
        aggregate: Aggregate::order(order),
        version,
        kind: "order.paid".to_owned(),
        occurred_at_ms: 0,
        correlation: None,
        payload: "{}".to_owned(),
    };
    versions
        .map(|version| Envelope::of(&message(version), "/test"))
        .collect()
}

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    for topic in TOPICS {
        cluster.create_topic(topic, 3, 1).unwrap();
    }
    cluster
}

async fn bus(cluster: &MockCluster<'static, DefaultProducerContext>) -> KafkaBus {
    let bus =
        KafkaBus::builder(&cluster.bootstrap_servers()).deliver_within(Duration::from_secs(2));
    bus.connect().unwrap()
}

#[tokio::test]
async fn what_the_cluster_acknowledges_is_published() {
    let cluster = cluster();
    let bus = bus(&cluster).await;
    let mut all = events(1, 1..=5);
    all.extend(events(2, 1..=5));
    bus.publish(&all).await.unwrap();
    bus.ping().await.unwrap();
}

#[tokio::test]
async fn a_passing_fault_is_borne_by_the_client() {
    let cluster = cluster();
    let bus = bus(&cluster).await;
    let passing = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 3];
    cluster.request_errors(RDKafkaApiKey::Produce, &passing);
    bus.publish(&events(1, 1..=3)).await.unwrap();
}

#[tokio::test]
async fn after_an_event_that_fails_none_of_its_order_is_sent() {
    let cluster = cluster();
    let bus = bus(&cluster).await;
    bus.publish(&events(1, 1..=1)).await.unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD],
    );
    let PublishError {
        acknowledged,
        error,
        ..
    } = bus.publish(&events(1, 2..=5)).await.unwrap_err();
    assert!(acknowledged.is_empty(), "{acknowledged:?}");
    assert!(
        matches!(&error, BusError::Refused { event, .. } if event == "order/1/2"),
        "{error}"
    );
    bus.publish(&events(1, 2..=5)).await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_is_away_is_told_in_time_and_found_again() {
    let cluster = cluster();
    let bus = bus(&cluster).await;
    cluster.broker_down(1).unwrap();
    let fifty = events(1, 1..=50);
    let sending = tokio::time::timeout(Duration::from_secs(10), bus.publish(&fifty));
    let PublishError {
        acknowledged,
        error,
        ..
    } = sending.await.expect("it has a bound").unwrap_err();
    assert!(acknowledged.is_empty());
    assert!(matches!(error, BusError::Unavailable { .. }), "{error}");
    cluster.broker_up(1).unwrap();
    let mut tries = 0;
    while bus.publish(&events(1, 1..=50)).await.is_err() {
        tries += 1;
        assert!(tries < 10, "it was not found again");
    }
}

#[tokio::test]
async fn a_producer_that_works_no_more_is_replaced() {
    let cluster = cluster();
    let bus = bus(&cluster).await;
    bus.publish(&events(1, 1..=1)).await.unwrap();
    // The cluster says that another producer has its id: fatal to an idempotent one.
    let fatal = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH; 2];
    cluster.request_errors(RDKafkaApiKey::Produce, &fatal);
    let mut failures = 0;
    while bus.publish(&events(1, 2..=2)).await.is_err() {
        failures += 1;
        assert!(failures < 10, "it was not replaced");
    }
    assert!(failures > 0, "the fault was not seen");
}

#[tokio::test]
async fn what_is_no_event_is_refused_here() {
    let cluster = cluster();
    let bus = bus(&cluster).await;
    let message = NewMessage {
        aggregate: Aggregate::order(9),
        version: 1,
        kind: "order.paid".to_owned(),
        occurred_at_ms: 0,
        correlation: None,
        payload: "no object".to_owned(),
    };
    let mut all = vec![Envelope::of(&message, "/test")];
    all.extend(events(1, 1..=2));
    let PublishError {
        acknowledged,
        refused,
        error,
    } = bus.publish(&all).await.unwrap_err();
    assert_eq!(acknowledged, [1, 2]);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].place, 0);
    assert!(refused[0].why.contains("JSON object"), "{refused:?}");
    assert!(matches!(error, BusError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn what_was_acknowledged_of_a_key_that_is_half_sent_is_not_sent_again() {
    let cluster = cluster();
    let bus = bus(&cluster).await;
    bus.publish(&events(1, 1..=1)).await.unwrap();
    // Each event is acknowledged in time, and all of them are not.
    cluster
        .broker_round_trip_time(1, Duration::from_millis(600))
        .unwrap();
    let all = events(1, 2..=13);
    let mut left = all.as_slice();
    let mut tries = 0;
    while let Err(error) = bus.publish(left).await {
        let PublishError {
            acknowledged,
            error,
            ..
        } = error;
        assert!(matches!(error, BusError::Unavailable { .. }), "{error}");
        let places: Vec<usize> = (0..acknowledged.len()).collect();
        assert_eq!(acknowledged, places, "the first ones, without a gap");
        left = &left[acknowledged.len()..];
        tries += 1;
        assert!(tries < 6, "it does not get on");
    }
    assert!(tries > 0, "it was too fast to show anything");
}

#[tokio::test]
async fn a_bus_is_known_by_its_cluster_and_not_by_what_its_brokers_are_called() {
    let first = cluster();
    let [one, again] = [bus(&first).await, bus(&first).await];
    let id = one.identity().await.unwrap().unwrap();
    assert!(id.starts_with("kafka"), "{id}");
    assert_eq!(again.identity().await.unwrap().unwrap(), id);
    let away = KafkaBus::builder("127.0.0.1:1").connect().unwrap();
    let error = away.identity().await.unwrap_err();
    assert!(matches!(error, BusError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_without_their_secrets() {
    let refused = |builder: KafkaBusBuilder| async { builder.connect().unwrap_err().to_string() };
    let brokers = "127.0.0.1:1";
    let weaker = refused(KafkaBus::builder(brokers).setting("acks", "1")).await;
    assert!(weaker.contains("acks is all"), "{weaker}");
    let unknown = refused(KafkaBus::builder(brokers).setting("no.such.setting", "hunter2")).await;
    assert!(
        unknown.contains("no.such.setting") && !unknown.contains("hunter2"),
        "{unknown}"
    );
}
