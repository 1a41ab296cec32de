//! The event bus over Kafka.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rdkafka::client::Client;
use rdkafka::error::KafkaResult;
use rdkafka::producer::Producer as _;
use rdkafka::producer::future_producer::FutureProducerContext;

use super::context::Logs;
use super::producer::{Failure, Producers, send};
use super::settings::{Settings, refused};
use super::topics::{Creation, Topics};
use crate::outbox::{BusError, Envelope, EventBus, PublishError, Refused};

/// How long brokers may take to say that they are there.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A producer that gets no acknowledgement for so many bounds of a delivery is replaced.
const PATIENCE: u32 = 3;

/// What a Kafka bus is told before it connects.
#[derive(Debug, Clone)]
pub struct KafkaBusBuilder {
    settings: Settings,
    deliver_within: Duration,
    create: Option<(u16, u16)>,
    min_in_sync: Option<u16>,
}

/// An [`EventBus`] over Kafka. Clones share one producer.
///
/// ```no_run
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use ticketon_domain::adapter::kafka::KafkaBus;
/// let bus = KafkaBus::builder("kafka-1:9093,kafka-2:9093")
///     .setting("security.protocol", "SASL_SSL")
///     .setting("sasl.mechanism", "SCRAM-SHA-512")
///     .setting("sasl.username", "ticketon")
///     .setting("sasl.password", std::env::var("KAFKA_PASSWORD")?)
///     .create_topics(12, 3)
///     .connect()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KafkaBus(Arc<Inner>);

struct Inner {
    deliver_within: Duration,
    producers: Producers,
    topics: Topics,
}

impl fmt::Debug for KafkaBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brokers = self.0.producers.brokers();
        f.debug_struct("KafkaBus")
            .field("brokers", &brokers)
            .finish_non_exhaustive()
    }
}

impl KafkaBusBuilder {
    /// A setting of librdkafka by its name, for example of TLS or SASL.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.set(name, value);
        self
    }

    /// How long an event may be on its way before it counts as not published: 10 s, from 1 s to 5 min.
    #[must_use]
    pub fn deliver_within(mut self, bound: Duration) -> Self {
        self.deliver_within = bound.clamp(Duration::from_secs(1), Duration::from_secs(300));
        self
    }

    /// Creates the topics that are missing, with so many partitions and replicas, before the first event is published. The
    /// partitions of a topic are never to be changed: an aggregate's events would go on in another one.
    #[must_use]
    pub fn create_topics(mut self, partitions: u16, replicas: u16) -> Self {
        self.create = Some((partitions.max(1), replicas.max(1)));
        self
    }

    /// How many replicas of the topics that are created must have an event before it is acknowledged: 2 of three and more
    /// unless told otherwise, 1 of fewer.
    #[must_use]
    pub fn min_in_sync_replicas(mut self, replicas: u16) -> Self {
        self.min_in_sync = Some(replicas.max(1));
        self
    }

    /// Makes the producer, which connects by itself: brokers may be away.
    ///
    /// # Errors
    /// [`BusError::Config`] when settings are refused.
    pub fn connect(self) -> Result<KafkaBus, BusError> {
        let firm = [
            ("enable.idempotence", "true".to_owned()),
            ("acks", "all".to_owned()),
            ("max.in.flight.requests.per.connection", "5".to_owned()),
            (
                "message.timeout.ms",
                self.deliver_within.as_millis().to_string(),
            ),
            // The same partition for a key as the clients in Java.
            ("partitioner", "murmur2_random".to_owned()),
        ];
        let mut config = self.settings.with_firm(&firm)?;
        if config.get("linger.ms").is_none() {
            config.set("linger.ms", "5");
        }
        let client = config
            .create_with_context(Logs)
            .map_err(|error| refused(&error))?;
        let creation = self.create.map(|(partitions, replicas)| Creation {
            partitions: partitions.into(),
            replicas: replicas.into(),
            min_in_sync: self.min_in_sync,
        });
        let deliver_within = self.deliver_within;
        let producers = Producers::new(config, client, deliver_within * PATIENCE);
        Ok(KafkaBus(Arc::new(Inner {
            deliver_within,
            producers,
            topics: Topics::new(creation),
        })))
    }
}

impl KafkaBus {
    /// A bus on these brokers, `host:port` with commas between.
    #[must_use]
    pub fn builder(brokers: &str) -> KafkaBusBuilder {
        KafkaBusBuilder {
            settings: Settings::of(brokers),
            deliver_within: Duration::from_secs(10),
            create: None,
            min_in_sync: None,
        }
    }
}

impl KafkaBus {
    /// Asks the brokers something, on a thread that may wait. Not about a topic: that might make one as the brokers like it.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Client<FutureProducerContext<Logs>>) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, BusError> {
        let producer = self.0.producers.current();
        let unavailable = |detail: String| BusError::Unavailable { detail };
        let asked = tokio::task::spawn_blocking(move || {
            let answer = question(producer.client()?.client());
            answer.map_err(|error| unavailable(error.to_string()))
        });
        asked
            .await
            .map_err(|error| unavailable(error.to_string()))?
    }
}

#[async_trait]
impl EventBus for KafkaBus {
    fn name(&self) -> &'static str {
        "kafka"
    }

    /// The cluster's own id, which it keeps however its brokers are called.
    async fn identity(&self) -> Result<Option<String>, BusError> {
        let id = self.ask(|client| {
            client.fetch_metadata(None, ANSWER_WITHIN)?;
            Ok(client.fetch_cluster_id(ANSWER_WITHIN))
        });
        let id = id.await?.filter(|id| !id.is_empty());
        Ok(Some(id.map_or_else(
            || "kafka".to_owned(),
            |id| format!("kafka:{id}"),
        )))
    }

    async fn publish(&self, events: &[Envelope]) -> Result<(), PublishError> {
        let inner = &*self.0;
        let nothing = |error| PublishError {
            acknowledged: Vec::new(),
            refused: Vec::new(),
            error,
        };
        let ready = inner.topics.ready(inner.producers.config()).await;
        ready.map_err(nothing)?;
        let mut of_key: HashMap<(String, &str), Vec<usize>> = HashMap::new();
        for (place, event) in events.iter().enumerate() {
            of_key
                .entry((event.topic(), event.key()))
                .or_default()
                .push(place);
        }
        let producer = inner.producers.current();
        let client = producer.client().map_err(nothing)?;
        // Kept outside of what the bound cuts off: what was acknowledged is, also of a key that is half sent.
        let acknowledged = Mutex::new(Vec::new());
        let mut sending: FuturesUnordered<_> = of_key
            .into_values()
            .map(|places| send(client, events, places, &acknowledged))
            .collect();
        let mut refused = Vec::new();
        let mut refusal = None;
        let mut away = None;
        let mut broken = false;
        // Each event has its own bound; a key with many events must not add them up.
        let bound = inner.deliver_within * 2;
        let collecting = tokio::time::timeout(bound, async {
            while let Some(sent) = sending.next().await {
                let Err(Failure {
                    place,
                    error,
                    is_broken,
                }) = sent
                else {
                    continue;
                };
                broken |= is_broken;
                if let BusError::Refused { detail, .. } = &error {
                    let why = detail.clone();
                    refused.push(Refused { place, why });
                    refusal = Some(error);
                } else {
                    away = Some(error);
                }
            }
        });
        if collecting.await.is_err() {
            away = Some(BusError::Unavailable {
                detail: format!("not all was acknowledged within {bound:?}"),
            });
        }
        drop(sending);
        let mut acknowledged = acknowledged
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        acknowledged.sort_unstable();
        let heard = !acknowledged.is_empty();
        if away.is_some() && !heard {
            // They may know their topics no more; the client is silent about that until the time is over.
            inner.topics.forget().await;
        }
        inner
            .producers
            .heard(&producer, heard, broken, away.as_ref());
        // A bus that is away says more about all events than a refusal about one.
        match away.or(refusal) {
            None => Ok(()),
            Some(error) => Err(PublishError {
                acknowledged,
                refused,
                error,
            }),
        }
    }

    async fn ping(&self) -> Result<(), BusError> {
        let asked = self.ask(|client| client.fetch_metadata(None, ANSWER_WITHIN));
        asked.await.map(drop)
    }
}
