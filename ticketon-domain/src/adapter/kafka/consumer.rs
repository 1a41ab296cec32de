//! Events from Kafka to a handler behind an inbox.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use ticketon_queue::{Clock, SystemClock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::context::Logs;
use super::settings::{Settings, refused};
use crate::outbox::inbox::{Once, Received};
use crate::outbox::{BusError, Envelope, TOPICS};

/// The pause after an event that could not be handled, at first and at the most.
const PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(10);

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
    pub fn start(mut self, once: Once) -> Result<KafkaConsumer, BusError> {
        let firm = [
            ("group.id", once.consumer().to_owned()),
            // An offset is stored by hand, after its event was handled; what is stored is committed now and then.
            ("enable.auto.offset.store", "false".to_owned()),
            ("enable.auto.commit", "true".to_owned()),
            ("auto.commit.interval.ms", "1000".to_owned()),
        ];
        self.settings.set("auto.offset.reset", "earliest");
        let config = self.settings.with_firm(&firm)?;
        let consumer: StreamConsumer<Logs> = config
            .create_with_context(Logs)
            .map_err(|error| refused(&error))?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        consumer
            .subscribe(&topics)
            .map_err(|error| refused(&error))?;
        let (stop, stopped) = watch::channel(false);
        let work = Work {
            consumer,
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
    consumer: StreamConsumer<Logs>,
    once: Once,
    clock: Arc<dyn Clock>,
}

/// A message, and where it lies.
struct Delivery {
    topic: String,
    partition: i32,
    offset: i64,
    text: String,
}

impl Work {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let work = async {
            let mut pause = PAUSE;
            loop {
                let next = tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => return Stopped,
                    next = self.next() => next,
                };
                match next {
                    Ok(delivery) => {
                        if self.handle(&delivery, &mut stop).await.is_err() {
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
        Ok(Delivery {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            text: text.unwrap_or_default(),
        })
    }

    /// Handles a message, again and again until that is done, then stores its offset. No later one is handled in
    /// between: its offset would stand for this one, too.
    async fn handle(
        &self,
        delivery: &Delivery,
        stop: &mut watch::Receiver<bool>,
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
                        Err(error) => {
                            outcome("failed");
                            tracing::warn!(target: "ticketon::inbox", event = event.id(), %error, "an event is tried again");
                        }
                    }
                    self.wait(&mut pause, stop).await?;
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
