//! Consumers behind an inbox: each version once and in order, over repetitions, restarts and failures.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ticketon_domain::adapter::kafka::{KafkaBus, KafkaConsumer};
use ticketon_domain::outbox::inbox::{EventHandler, HandlerError, Once};
use ticketon_domain::outbox::{Envelope, EventBus as _};
use ticketon_tests::{KafkaBroker, eventually};
use tokio::sync::watch;

use super::world::{Kind, Outbox, SOON, broker, message};

/// What a handler did, by order; it fails as often as it is told.
#[derive(Clone, Default)]
struct Effects {
    of_order: Arc<Mutex<HashMap<String, Vec<u64>>>>,
    failures: Arc<AtomicU32>,
}

#[async_trait]
impl EventHandler for Effects {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        let fails = |left: u32| left.checked_sub(1);
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails)
            .is_ok()
        {
            return Err("as the test wants it".into());
        }
        let mut all = self.of_order.lock().unwrap();
        all.entry(event.key().to_owned())
            .or_default()
            .push(event.version());
        Ok(())
    }
}

impl Effects {
    async fn until(&self, order: u64, versions: &[u64]) {
        eventually(SOON, || async {
            let seen = self
                .of_order
                .lock()
                .unwrap()
                .get(&order.to_string())
                .cloned()
                .unwrap_or_default();
            if seen == versions { Ok(()) } else { Err(seen) }
        })
        .await;
    }
}

fn start(broker: &KafkaBroker, outbox: &Outbox, effects: &Effects) -> KafkaConsumer {
    let once = Once::new(
        "mails",
        Arc::new(outbox.store.clone()),
        Arc::new(effects.clone()),
    );
    let consumer =
        KafkaConsumer::builder(&broker.bootstrap()).setting("session.timeout.ms", "6000");
    consumer.start(once).unwrap()
}

async fn publish(broker: &KafkaBroker, sent: &[(u64, u64)]) {
    let bus = KafkaBus::builder(&broker.bootstrap()).connect().unwrap();
    let event =
        |(order, version): &(u64, u64)| Envelope::of(&message(*order, *version), "/ticketon");
    let events: Vec<Envelope> = sent.iter().map(event).collect();
    bus.publish(&events).await.unwrap();
}

#[tokio::test]
async fn repetitions_and_old_events_behind_newer_ones_have_no_effect() {
    let outbox = Outbox::new(Kind::Sqlite).await;
    let broker = broker().await;
    let effects = Effects::default();
    let consumer = start(&broker, &outbox, &effects);
    publish(
        &broker,
        &[
            (1, 1),
            (1, 2),
            (2, 1),
            (1, 1),
            (1, 2),
            (1, 3),
            (2, 1),
            (1, 1),
            (2, 2),
            (1, 4),
        ],
    )
    .await;
    effects.until(1, &[1, 2, 3, 4]).await;
    effects.until(2, &[1, 2]).await;
    consumer.shutdown().await;

    // Another process goes on where this one stopped, also when old events come again.
    let consumer = start(&broker, &outbox, &effects);
    publish(&broker, &[(1, 3), (1, 4), (1, 5)]).await;
    effects.until(1, &[1, 2, 3, 4, 5]).await;
    consumer.shutdown().await;
}

#[tokio::test]
async fn an_event_whose_handler_fails_is_tried_until_it_is_handled_and_none_goes_ahead_of_it() {
    let outbox = Outbox::new(Kind::Sqlite).await;
    let broker = broker().await;
    let effects = Effects::default();
    effects.failures.store(4, Ordering::SeqCst);
    let consumer = start(&broker, &outbox, &effects);
    publish(&broker, &[(1, 1), (1, 2), (1, 3)]).await;
    effects.until(1, &[1, 2, 3]).await;
    assert_eq!(effects.failures.load(Ordering::SeqCst), 0);

    // It ends in the middle of trying; nothing is lost.
    effects.failures.store(u32::MAX, Ordering::SeqCst);
    publish(&broker, &[(1, 4), (1, 5)]).await;
    eventually(SOON, || async {
        effects.failures.load(Ordering::SeqCst) < u32::MAX - 1
    })
    .await;
    consumer.shutdown().await;
    effects.failures.store(0, Ordering::SeqCst);
    let consumer = start(&broker, &outbox, &effects);
    effects.until(1, &[1, 2, 3, 4, 5]).await;
    consumer.shutdown().await;
}

/// A handler that waits until it is let go on, and tells what it was doing meanwhile.
#[derive(Clone)]
struct Slow {
    go_on: Arc<watch::Sender<bool>>,
    running: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    begun: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
}

impl Slow {
    fn new() -> Self {
        Self {
            go_on: Arc::new(watch::Sender::new(false)),
            running: Arc::default(),
            most: Arc::default(),
            begun: Arc::default(),
            ended: Arc::default(),
        }
    }

    fn begun(&self) -> u32 {
        self.begun.load(Ordering::SeqCst)
    }
}

/// Counts down also when the handler is dropped.
struct Running(Arc<AtomicU32>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl EventHandler for Slow {
    async fn handle(&self, _: &Envelope) -> Result<(), HandlerError> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running(Arc::clone(&self.running));
        self.most.fetch_max(running, Ordering::SeqCst);
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _ = self.go_on.subscribe().wait_for(|go_on| *go_on).await;
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A member that the group waits for six seconds, which is the least.
fn impatient(broker: &KafkaBroker, outbox: &Outbox, slow: &Slow) -> KafkaConsumer {
    let once = Once::new(
        "mails",
        Arc::new(outbox.store.clone()),
        Arc::new(slow.clone()),
    );
    KafkaConsumer::builder(&broker.bootstrap())
        .setting("session.timeout.ms", "6000")
        .setting("max.poll.interval.ms", "6000")
        .start(once)
        .unwrap()
}

#[tokio::test]
async fn a_handler_that_takes_longer_than_the_group_waits_keeps_its_event() {
    let outbox = Outbox::new(Kind::Sqlite).await;
    let broker = broker().await;
    let slow = Slow::new();
    let consumer = impatient(&broker, &outbox, &slow);
    publish(&broker, &[(1, 1)]).await;
    eventually(SOON, || async { slow.begun() == 1 }).await;
    // A member that was put out comes back, and is given the event again.
    let again = eventually_within(Duration::from_secs(14), || slow.begun() > 1).await;
    assert!(!again, "it was put out of the group");
    slow.go_on.send_replace(true);
    eventually(SOON, || async { slow.ended.load(Ordering::SeqCst) == 1 }).await;
    consumer.shutdown().await;
    assert_eq!(slow.begun(), 1);

    // Its offset was committed: nobody gets it again, whatever the inbox says.
    let offsets = Outbox::new(Kind::Sqlite).await;
    let consumer = impatient(&broker, &offsets, &slow);
    publish(&broker, &[(2, 1)]).await;
    eventually(SOON, || async { slow.ended.load(Ordering::SeqCst) == 2 }).await;
    consumer.shutdown().await;
    assert_eq!(slow.begun(), 2);
}

#[tokio::test]
async fn a_handler_whose_partition_goes_to_another_member_is_dropped_and_none_acts_beside_it() {
    // All partitions are shared out anew when a member comes. The broker of these tests does not always do that on a busy
    // machine: then another has the chance.
    for _ in 0..4 {
        if a_partition_goes_to_another_member().await {
            return;
        }
    }
    panic!("no broker gives the event to anybody else");
}

/// Whether it did; what is promised of it is checked then.
async fn a_partition_goes_to_another_member() -> bool {
    let outbox = Outbox::new(Kind::Sqlite).await;
    let broker = broker().await;
    let slow = Slow::new();
    let mut members = vec![impatient(&broker, &outbox, &slow)];
    publish(&broker, &[(1, 1), (1, 2)]).await;
    eventually(SOON, || async { slow.begun() == 1 }).await;
    while slow.begun() < 2 && members.len() < 4 {
        members.push(impatient(&broker, &outbox, &slow));
        eventually_within(Duration::from_secs(15), || slow.begun() >= 2).await;
    }
    let is_moved = slow.begun() >= 2;
    assert_eq!(slow.ended.load(Ordering::SeqCst), 0);
    slow.go_on.send_replace(true);
    eventually(SOON, || async { slow.ended.load(Ordering::SeqCst) == 2 }).await;
    assert_eq!(slow.most.load(Ordering::SeqCst), 1, "two acted at once");
    for member in members {
        member.shutdown().await;
    }
    assert_eq!(slow.ended.load(Ordering::SeqCst), 2);
    is_moved
}

/// Whether it becomes true within this time.
async fn eventually_within(bound: Duration, condition: impl Fn() -> bool) -> bool {
    let until_true = async {
        let mut every = tokio::time::interval(Duration::from_millis(100));
        while !condition() {
            every.tick().await;
        }
    };
    tokio::time::timeout(bound, until_true).await.is_ok()
}
