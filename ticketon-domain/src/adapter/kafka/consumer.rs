//! Events from Kafka to a handler behind an inbox.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::TopicPartitionList;
use ticketon_queue::{Clock, SystemClock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::membership::Membership;
use super::settings::{Settings, refused};
use crate::outbox::inbox::{Once, Received};
use crate::outbox::{BusError, Envelope, TOPICS};

/// The pause after an event that could not be handled, at first and at the most.
const PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// How long a handler may take before its partitions are paused. Nothing is asked of the brokers meanwhile.
const GRACE: Duration = Duration::from_millis(500);

/// What a consumer is told before it starts.
#[derive(Debug)]
pub struct KafkaConsumerBuilder {
    settings: Settings,
    topics: Vec<String>,
    clock: Arc<dyn Clock>,
}

/// A running consumer: one member of a consumer group. It ends with [`shutdown`](Self::shutdown), or when the handle is dropped.
///
/// An event whose handler fails is tried again with growing pauses, and this member's later events wait for it; the
/// offset of an event is committed after it was handled. What is no event of Ticketon is logged, counted and passed over.
///
/// However long a handler takes, or is tried again, the member stays in its group. If its partition goes to another member
/// meanwhile, the handler is dropped where it waits, and the other member is given the event.
#[derive(Debug)]
pub struct KafkaConsumer {
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl KafkaConsumerBuilder {
    /// A setting of librdkafka by its name, for example of TLS or SASL.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.set(name, value);
        self
    }

    /// The topics; all of Ticketon's unless told otherwise.
    #[must_use]
    pub fn topics<S: Into<String>>(mut self, topics: impl IntoIterator<Item = S>) -> Self {
        self.topics = topics.into_iter().map(Into::into).collect();
        self
    }

    /// Another clock for the pauses.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Starts it, on the runtime of the caller. A new group begins at the oldest events.
    ///
    /// # Errors
    /// [`BusError::Config`] when settings are refused.
    pub fn start(self, once: Once) -> Result<KafkaConsumer, BusError> {
        let firm = [
            ("group.id", once.consumer().to_owned()),
            // An offset is stored by hand, after its event was handled; what is stored is committed now and then.
            ("enable.auto.offset.store", "false".to_owned()),
            ("enable.auto.commit", "true".to_owned()),
            ("auto.commit.interval.ms", "1000".to_owned()),
            // Nothing is passed over that is still there.
            ("auto.offset.reset", "earliest".to_owned()),
        ];
        let config = self.settings.with_firm(&firm)?;
        let membership = Membership::default();
        let consumer: StreamConsumer<Membership> = config
            .create_with_context(membership.clone())
            .map_err(|error| refused(&error))?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        consumer
            .subscribe(&topics)
            .map_err(|error| refused(&error))?;
        let (stop, stopped) = watch::channel(false);
        let work = Work {
            consumer,
            membership,
            once,
            clock: self.clock,
        };
        let task = tokio::spawn(work.run(stopped));
        Ok(KafkaConsumer {
            stop,
            task: Mutex::new(Some(task)),
        })
    }
}

impl KafkaConsumer {
    /// A consumer on these brokers. Its group has the name of the [`Once`] that it starts with.
    #[must_use]
    pub fn builder(brokers: &str) -> KafkaConsumerBuilder {
        KafkaConsumerBuilder {
            settings: Settings::of(brokers),
            topics: TOPICS.map(str::to_owned).into(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Lets the event in hand end, commits, and leaves the group.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            // A panic of the task was reported by the runtime.
            let _ = task.await;
        }
    }
}

struct Work {
    consumer: StreamConsumer<Membership>,
    membership: Membership,
    once: Once,
    clock: Arc<dyn Clock>,
}

/// A message, and where it lies.
struct Delivery {
    topic: String,
    partition: i32,
    offset: i64,
    text: String,
    /// How often the partition had been given up when it came.
    revocations: u64,
}

impl Work {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let work = async {
            let mut pause = PAUSE;
            // Of partitions that came while an event was in hand, one each.
            let mut ahead = VecDeque::new();
            loop {
                ahead.retain(|delivery| !self.is_lost(delivery));
                let next = match ahead.pop_front() {
                    Some(delivery) => Ok(delivery),
                    None => tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return Stopped,
                        next = self.next() => next,
                    },
                };
                match next {
                    Ok(delivery) => {
                        let handled = self.in_hand(&delivery, &mut ahead, &stop).await;
                        if handled.is_err() || *stop.borrow() {
                            return Stopped;
                        }
                        pause = PAUSE;
                    }
                    Err(error) => {
                        tracing::info!(target: "ticketon::kafka", %error, "nothing was received");
                        if self.wait(&mut pause, &mut stop).await.is_err() {
                            return Stopped;
                        }
                    }
                }
            }
        };
        let Stopped = work.await;
        let consumer = self.consumer;
        let ended = tokio::task::spawn_blocking(move || {
            // That nothing was stored is an error, too, and none at all.
            let _ = consumer.commit_consumer_state(CommitMode::Sync);
            drop(consumer);
        });
        let _ = ended.await;
    }

    async fn next(&self) -> Result<Delivery, KafkaError> {
        let message = self.consumer.recv().await?;
        let text = message
            .payload()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let (topic, partition) = (message.topic(), message.partition());
        Ok(Delivery {
            topic: topic.to_owned(),
            partition,
            offset: message.offset(),
            text: text.unwrap_or_default(),
            revocations: self.membership.revocations(topic, partition),
        })
    }

    /// Whether its partition was given up since it came: it is delivered again, to whoever has the partition.
    fn is_lost(&self, delivery: &Delivery) -> bool {
        let Delivery {
            topic, partition, ..
        } = delivery;
        self.membership.revocations(topic, *partition) != delivery.revocations
    }

    /// Handles a message, and stays in the group meanwhile: whoever does not ask for messages is put out of it. The partitions
    /// are paused for that, once it takes longer; what comes of others goes ahead of what is asked for later.
    async fn in_hand(
        &self,
        delivery: &Delivery,
        ahead: &mut VecDeque<Delivery>,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        let mut handling = std::pin::pin!(self.handle(delivery, stop.clone()));
        tokio::select! {
            biased;
            handled = &mut handling => return handled,
            () = self.clock.sleep(GRACE) => {}
        }
        self.pause();
        let handled = loop {
            tokio::select! {
                biased;
                () = self.membership.revoked() => {
                    if self.is_lost(delivery) {
                        tracing::info!(target: "ticketon::inbox", topic = delivery.topic, partition = delivery.partition,
                            offset = delivery.offset, "dropped: its partition goes to another member");
                        break Ok(());
                    }
                }
                handled = &mut handling => break handled,
                next = self.next() => match next {
                    Ok(delivery) => {
                        self.pause();
                        ahead.push_back(delivery);
                    }
                    Err(error) => {
                        tracing::info!(target: "ticketon::kafka", %error, "nothing was received");
                        self.clock.sleep(PAUSE).await;
                    }
                },
            }
        };
        self.change("resume", |partitions| self.consumer.resume(partitions));
        handled
    }

    /// Lets nothing come of the partitions that it has.
    fn pause(&self) {
        self.change("pause", |partitions| self.consumer.pause(partitions));
    }

    fn change(
        &self,
        what: &'static str,
        change: impl FnOnce(&TopicPartitionList) -> Result<(), KafkaError>,
    ) {
        let changed = self
            .consumer
            .assignment()
            .and_then(|partitions| change(&partitions));
        if let Err(error) = changed {
            tracing::debug!(target: "ticketon::kafka", %error, what, "partitions were not changed");
        }
    }

    /// Handles a message, again and again until that is done, then stores its offset. No later one is handled in
    /// between: its offset would stand for this one, too.
    async fn handle(
        &self,
        delivery: &Delivery,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        let outcome = |outcome: &'static str| {
            metrics::counter!("ticketon_inbox_total", "outcome" => outcome).increment(1);
        };
        match Envelope::from_json(&delivery.text) {
            Ok(event) => {
                let mut pause = PAUSE;
                loop {
                    match self.once.receive(&event).await {
                        Ok(Received::Handled) => break outcome("handled"),
                        Ok(Received::Seen) => break outcome("seen"),
                        Ok(Received::Repeated) => break outcome("repeated"),
                        Err(error) => {
                            outcome("failed");
                            tracing::warn!(target: "ticketon::inbox", event = event.id(), %error, "an event is tried again");
                        }
                    }
                    self.wait(&mut pause, &mut stop).await?;
                }
            }
            Err(error) => {
                outcome("malformed");
                tracing::error!(target: "ticketon::inbox", topic = delivery.topic, partition = delivery.partition,
                    offset = delivery.offset, %error, "passed over: no event of Ticketon");
            }
        }
        // The partition may have gone to another member meanwhile, who receives the event again.
        let stored =
            self.consumer
                .store_offset(&delivery.topic, delivery.partition, delivery.offset);
        if let Err(error) = stored {
            tracing::debug!(target: "ticketon::inbox", %error, "the offset was not stored");
        }
        Ok(())
    }

    async fn wait(
        &self,
        pause: &mut Duration,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Err(Stopped),
            () = self.clock.sleep(*pause) => {}
        }
        *pause = MAX_PAUSE.min(*pause * 2);
        Ok(())
    }
}

/// It was told to stop.
struct Stopped;
