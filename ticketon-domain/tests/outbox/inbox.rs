//! Consumers see each version once and in order, whatever is delivered twice or late.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ticketon_domain::adapter::memory::MemoryInbox;
use ticketon_domain::outbox::Envelope;
use ticketon_domain::outbox::inbox::{
    EventHandler, HandlerError, OnGap, Once, ReceiveError, Received,
};

use super::message;

/// A handler with a fault that only shows now and then.
#[derive(Debug, Default)]
struct Panics(Mutex<u32>);

#[async_trait]
impl EventHandler for Panics {
    async fn handle(&self, _: &Envelope) -> Result<(), HandlerError> {
        let calls = {
            let mut calls = self.0.lock().unwrap();
            *calls += 1;
            *calls
        };
        assert!(calls > 1, "as the test wants it");
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_that_panics_has_failed() {
    let handler = Arc::new(Panics::default());
    let once = Once::new("mails", Arc::new(MemoryInbox::new()), handler);
    let failed = once.receive(&event(1, 1)).await;
    assert!(
        matches!(failed, Err(ReceiveError::Handler { .. })),
        "{failed:?}"
    );
    assert_eq!(once.receive(&event(1, 1)).await.unwrap(), Received::Handled);
}

#[derive(Debug, Clone, Default)]
struct Effects {
    seen: Arc<Mutex<Vec<(String, u64)>>>,
    fails: Arc<Mutex<bool>>,
}

#[async_trait]
impl EventHandler for Effects {
    async fn handle(&self, event: &Envelope) -> Result<(), HandlerError> {
        if *self.fails.lock().unwrap() {
            return Err("as the test wants it".into());
        }
        self.seen
            .lock()
            .unwrap()
            .push((event.key().to_owned(), event.version()));
        Ok(())
    }
}

fn event(order: u64, version: u64) -> Envelope {
    Envelope::of(&message(order, version), "/test")
}

#[tokio::test]
async fn duplicates_and_old_events_behind_newer_ones_have_no_effect() {
    let effects = Effects::default();
    let once = Once::new(
        "mails",
        Arc::new(MemoryInbox::new()),
        Arc::new(effects.clone()),
    );
    let deliveries = [
        (1, 1),
        (1, 1),
        (1, 2),
        (2, 1),
        (1, 1),
        (1, 3),
        (1, 2),
        (2, 2),
        (2, 1),
        (1, 3),
    ];
    for (order, version) in deliveries {
        once.receive(&event(order, version)).await.unwrap();
    }
    let expected = [(1, 1), (1, 2), (2, 1), (1, 3), (2, 2)]
        .map(|(order, version): (u64, u64)| (order.to_string(), version));
    assert_eq!(*effects.seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_gap_stops_a_consumer_that_must_miss_nothing_and_not_one_that_came_late() {
    let effects = Effects::default();
    let inbox = Arc::new(MemoryInbox::new());
    let strict = Once::new("strict", inbox.clone(), Arc::new(effects.clone()));
    strict.receive(&event(1, 1)).await.unwrap();
    let refused = strict.receive(&event(1, 3)).await.unwrap_err();
    assert!(
        matches!(refused, ReceiveError::Gap { expected: 2, .. }),
        "{refused}"
    );
    assert_eq!(
        strict.receive(&event(1, 2)).await.unwrap(),
        Received::Handled
    );
    assert_eq!(
        strict.receive(&event(1, 3)).await.unwrap(),
        Received::Handled
    );

    let late = Once::new("late", inbox, Arc::new(effects)).on_gap(OnGap::Accept);
    assert_eq!(late.receive(&event(1, 3)).await.unwrap(), Received::Handled);
    assert_eq!(late.receive(&event(1, 2)).await.unwrap(), Received::Seen);
}

#[tokio::test]
async fn what_a_handler_could_not_do_is_delivered_again() {
    let effects = Effects::default();
    let once = Once::new(
        "mails",
        Arc::new(MemoryInbox::new()),
        Arc::new(effects.clone()),
    );
    *effects.fails.lock().unwrap() = true;
    assert!(matches!(
        once.receive(&event(1, 1)).await,
        Err(ReceiveError::Handler { .. })
    ));
    *effects.fails.lock().unwrap() = false;
    assert_eq!(once.receive(&event(1, 1)).await.unwrap(), Received::Handled);
    assert_eq!(once.receive(&event(1, 1)).await.unwrap(), Received::Seen);
}
