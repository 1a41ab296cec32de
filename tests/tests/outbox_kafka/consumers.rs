//! Consumers behind an inbox: each version once and in order, over repetitions, restarts and failures.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ticketon_domain::adapter::kafka::{KafkaBus, KafkaConsumer};
use ticketon_domain::outbox::inbox::{EventHandler, HandlerError, Once};
use ticketon_domain::outbox::{Envelope, EventBus as _};
use ticketon_tests::{KafkaBroker, eventually};

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
    let bus = KafkaBus::builder(&broker.bootstrap())
        .connect()
        .await
        .unwrap();
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
