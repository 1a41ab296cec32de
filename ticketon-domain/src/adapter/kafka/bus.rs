//! The event bus over Kafka.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer as _;

use super::context::Logs;
use super::producer::{Producers, drop_elsewhere, send};
use super::settings::{Settings, refused};
use crate::outbox::{BusError, Envelope, EventBus, PublishError, TOPICS};

/// How long brokers may take to say what they have, or to create a topic.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// A producer that gets no acknowledgement for so many bounds of a delivery is replaced.
const PATIENCE: u32 = 3;

/// What a Kafka bus is told before it connects.
#[derive(Debug, Clone)]
pub struct KafkaBusBuilder {
    settings: Settings,
    deliver_within: Duration,
    create: Option<(i32, i32)>,
}

/// An [`EventBus`] over Kafka. Clones share one producer.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use ticketon_domain::adapter::kafka::KafkaBus;
/// let bus = KafkaBus::builder("kafka-1:9093,kafka-2:9093")
///     .setting("security.protocol", "SASL_SSL")
///     .setting("sasl.mechanism", "SCRAM-SHA-512")
///     .setting("sasl.username", "ticketon")
///     .setting("sasl.password", std::env::var("KAFKA_PASSWORD")?)
///     .create_topics(12, 3)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KafkaBus(Arc<Inner>);

struct Inner {
    deliver_within: Duration,
    producers: Producers,
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

    /// Creates the topics that are missing, with so many partitions and replicas. The partitions of a topic
    /// are never to be changed: an aggregate's events would go on in another one.
    #[must_use]
    pub fn create_topics(mut self, partitions: u16, replicas: u16) -> Self {
        self.create = Some((i32::from(partitions.max(1)), i32::from(replicas.max(1))));
        self
    }

    /// Starts the producer. Brokers are only waited for if topics are to be created.
    ///
    /// # Errors
    /// [`BusError::Config`] when settings are refused, [`BusError::Unavailable`] when topics could not be created.
    pub async fn connect(self) -> Result<KafkaBus, BusError> {
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
        if let Some((partitions, replicas)) = self.create {
            create_topics(&config, partitions, replicas).await?;
        }
        let deliver_within = self.deliver_within;
        let producers = Producers::new(config, client, deliver_within * PATIENCE);
        Ok(KafkaBus(Arc::new(Inner {
            deliver_within,
            producers,
        })))
    }
}

async fn create_topics(
    config: &ClientConfig,
    partitions: i32,
    replicas: i32,
) -> Result<(), BusError> {
    let unavailable = |error: &dyn fmt::Display| BusError::Unavailable {
        detail: format!("creating topics: {error}"),
    };
    // An administrator's client takes no settings of producers.
    let mut own = config.clone();
    for name in [
        "enable.idempotence",
        "acks",
        "message.timeout.ms",
        "partitioner",
        "linger.ms",
    ] {
        own.remove(name);
    }
    let admin: AdminClient<Logs> = own
        .create_with_context(Logs)
        .map_err(|error| refused(&error))?;
    let topics: Vec<NewTopic<'_>> = TOPICS
        .iter()
        .map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas)))
        .collect();
    let options = AdminOptions::new()
        .operation_timeout(Some(ASK_WITHIN))
        .request_timeout(Some(ASK_WITHIN));
    let created = admin
        .create_topics(&topics, &options)
        .await
        .map_err(|error| unavailable(&error))?;
    for outcome in created {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(unavailable(&format!("{topic}: {code}"))),
        }
    }
    drop_elsewhere(admin);
    Ok(())
}

impl KafkaBus {
    /// A bus on these brokers, `host:port` with commas between.
    #[must_use]
    pub fn builder(brokers: &str) -> KafkaBusBuilder {
        KafkaBusBuilder {
            settings: Settings::of(brokers),
            deliver_within: Duration::from_secs(10),
            create: None,
        }
    }
}

#[async_trait]
impl EventBus for KafkaBus {
    fn name(&self) -> &'static str {
        "kafka"
    }

    async fn publish(&self, events: &[Envelope]) -> Result<(), PublishError> {
        let mut of_key: HashMap<(String, &str), Vec<usize>> = HashMap::new();
        for (place, event) in events.iter().enumerate() {
            of_key
                .entry((event.topic(), event.key()))
                .or_default()
                .push(place);
        }
        let producer = self.0.producers.current();
        let nothing = |error| PublishError {
            acknowledged: Vec::new(),
            error,
        };
        let client = producer.client().map_err(nothing)?;
        let mut sending: FuturesUnordered<_> = of_key
            .into_values()
            .map(|places| send(client, events, places))
            .collect();
        let mut acknowledged = Vec::new();
        let mut refusal = None;
        let mut away = None;
        let mut broken = false;
        // Each event has its own bound; a key with many events must not add them up.
        let bound = self.0.deliver_within * 2;
        let collecting = tokio::time::timeout(bound, async {
            while let Some(sent) = sending.next().await {
                acknowledged.extend(sent.acknowledged);
                broken |= sent.broken;
                match sent.failure {
                    Some(error @ BusError::Refused { .. }) => refusal = Some(error),
                    Some(error) => away = Some(error),
                    None => {}
                }
            }
        });
        if collecting.await.is_err() {
            away = Some(BusError::Unavailable {
                detail: format!("not all was acknowledged within {bound:?}"),
            });
        }
        drop(sending);
        self.0
            .producers
            .heard(&producer, !acknowledged.is_empty(), broken, away.as_ref());
        // A bus that is away says more about all events than a refusal about one.
        match away.or(refusal) {
            None => Ok(()),
            Some(error) => Err(PublishError {
                acknowledged,
                error,
            }),
        }
    }

    async fn ping(&self) -> Result<(), BusError> {
        let producer = self.0.producers.current();
        let asked = tokio::task::spawn_blocking(move || {
            let within = Duration::from_secs(2);
            let asked = producer
                .client()?
                .client()
                .fetch_metadata(TOPICS.first().copied(), within);
            asked.map(drop).map_err(|error| BusError::Unavailable {
                detail: error.to_string(),
            })
        });
        let panicked = |error: tokio::task::JoinError| BusError::Unavailable {
            detail: error.to_string(),
        };
        asked.await.map_err(panicked)?
    }
}
