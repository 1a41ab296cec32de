//! An event bus inside the process: the embedded default.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ticketon_queue::{Clock, SystemClock};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::outbox::{BusError, Envelope, EventBus, PublishError};

/// How long a publication waits for a subscriber whose queue is full.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most subscribers.
const MAX_SUBSCRIBERS: usize = 64;

/// An [`EventBus`] inside the process. Clones are the same bus.
///
/// An event is acknowledged when it is in the queue of each subscriber, each of which has a bound. A full queue makes
/// publications wait, for five seconds at the most; then the subscriber is cut off: it still gets what is in its queue, then
/// [`Delivery::CutOff`], and subscribes again once it has caught up by other means. So nobody misses an event without being told,
/// and nobody holds up the others for ever. Without subscribers events are acknowledged at once. What is in a queue when the
/// process ends is gone; a bus outside the process keeps it.
#[derive(Debug, Clone)]
pub struct MemoryBus(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    subscribers: Mutex<Vec<Subscriber>>,
    /// One publication at a time, so that all subscribers see one order.
    publishing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Subscriber {
    name: &'static str,
    queue: mpsc::Sender<Arc<Envelope>>,
}

/// What a subscriber is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// An event.
    Event(Arc<Envelope>),
    /// The last that it is given: it was too slow, and misses events from here on.
    CutOff,
}

/// A subscriber's end. Dropping it ends the subscription.
pub struct Subscription {
    queue: mpsc::Receiver<Arc<Envelope>>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

impl Subscription {
    /// The next event, when there is one.
    pub async fn next(&mut self) -> Delivery {
        self.queue
            .recv()
            .await
            .map_or(Delivery::CutOff, Delivery::Event)
    }
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBus {
    /// A bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// The same, on another clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            clock,
            subscribers: Mutex::default(),
            publishing: tokio::sync::Mutex::default(),
        }))
    }

    /// Gives all events from now on to a new subscriber, at most `capacity` of them ahead of it. `None` when there are 64.
    #[must_use]
    pub fn subscribe(&self, name: &'static str, capacity: usize) -> Option<Subscription> {
        let mut subscribers = self.subscribers();
        subscribers.retain(|subscriber| !subscriber.queue.is_closed());
        if subscribers.len() >= MAX_SUBSCRIBERS {
            return None;
        }
        let (sender, queue) = mpsc::channel(capacity.clamp(1, 65_536));
        subscribers.push(Subscriber {
            name,
            queue: sender,
        });
        Some(Subscription { queue })
    }

    fn subscribers(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        self.0
            .subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room, and cuts the subscriber off when there is none in time.
    async fn insist(&self, subscriber: &Subscriber, event: Arc<Envelope>) {
        tokio::select! {
            // A subscriber that went away needs nothing.
            _ = subscriber.queue.send(event) => {}
            () = self.0.clock.sleep(PATIENCE) => {
                tracing::warn!(target: "ticketon::outbox", subscriber = subscriber.name,
                    "a subscriber is too slow and was cut off");
                metrics::counter!("ticketon_bus_cut_off_total", "subscriber" => subscriber.name).increment(1);
                self.subscribers().retain(|other| !other.queue.same_channel(&subscriber.queue));
            }
        }
    }
}

#[async_trait]
impl EventBus for MemoryBus {
    fn name(&self) -> &'static str {
        "memory"
    }

    /// None: nobody finds later what it took.
    async fn identity(&self) -> Result<Option<String>, BusError> {
        Ok(None)
    }

    async fn publish(&self, events: &[Envelope]) -> Result<(), PublishError> {
        let _turn = self.0.publishing.lock().await;
        for event in events {
            let event = Arc::new(event.clone());
            let subscribers = self.subscribers().clone();
            for subscriber in &subscribers {
                if let Err(TrySendError::Full(event)) =
                    subscriber.queue.try_send(Arc::clone(&event))
                {
                    self.insist(subscriber, event).await;
                }
            }
        }
        Ok(())
    }

    async fn ping(&self) -> Result<(), BusError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::{Aggregate, NewMessage};
    use ticketon_queue::ManualClock;

    fn event(version: u64) -> Envelope {
        let message = NewMessage {
            aggregate: Aggregate::order(1),
            version,
            kind: "order.paid".to_owned(),
            occurred_at_ms: 0,
            correlation: None,
            payload: "{}".to_owned(),
        };
        Envelope::of(&message, "/test")
    }

    #[tokio::test]
    async fn each_subscriber_gets_every_event_in_order() {
        let bus = MemoryBus::new();
        bus.publish(&[event(1)]).await.unwrap();
        let mut all = [
            bus.subscribe("a", 8).unwrap(),
            bus.subscribe("b", 8).unwrap(),
        ];
        bus.publish(&[event(2), event(3)]).await.unwrap();
        for subscription in &mut all {
            for version in [2, 3] {
                assert_eq!(
                    subscription.next().await,
                    Delivery::Event(Arc::new(event(version)))
                );
            }
        }
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_waited_for_then_cut_off_and_told() {
        let clock = ManualClock::at(0);
        let bus = MemoryBus::with_clock(Arc::new(clock.clone()));
        let mut slow = bus.subscribe("slow", 1).unwrap();
        let mut fast = bus.subscribe("fast", 8).unwrap();
        bus.publish(&[event(1)]).await.unwrap();

        let publication = {
            let bus = bus.clone();
            tokio::spawn(async move { bus.publish(&[event(2), event(3)]).await })
        };
        tokio::task::yield_now().await;
        assert!(!publication.is_finished(), "nobody waited for the slow one");
        assert_eq!(slow.next().await, Delivery::Event(Arc::new(event(1))));
        tokio::task::yield_now().await;
        assert!(!publication.is_finished(), "its queue is full again");
        while !publication.is_finished() {
            clock.advance(PATIENCE);
            tokio::task::yield_now().await;
        }
        publication.await.unwrap().unwrap();
        assert_eq!(slow.next().await, Delivery::Event(Arc::new(event(2))));
        assert_eq!(slow.next().await, Delivery::CutOff);
        for version in 1..=3 {
            assert_eq!(fast.next().await, Delivery::Event(Arc::new(event(version))));
        }
    }

    #[tokio::test]
    async fn who_went_away_is_not_waited_for() {
        let bus = MemoryBus::new();
        for _ in 0..MAX_SUBSCRIBERS + 1 {
            drop(bus.subscribe("short", 1).unwrap());
        }
        bus.publish(&[event(1), event(2)]).await.unwrap();
        let kept: Vec<_> = (0..MAX_SUBSCRIBERS)
            .map(|_| bus.subscribe("long", 1).unwrap())
            .collect();
        assert!(bus.subscribe("more", 1).is_none());
        drop(kept);
    }
}
