//! The event bus over Kafka.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::context::Logs;
use super::settings::{Settings, refused};
use crate::outbox::{BusError, Envelope, EventBus, PublishError, TOPICS};

/// How long brokers may take to say what they have, or to create a topic.
const ASK_WITHIN: Duration = Duration::from_secs(10);

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
    config: ClientConfig,
    deliver_within: Duration,
    producer: Mutex<Producer>,
}

#[derive(Clone)]
struct Producer {
    /// How many were made before it.
    number: u64,
    /// There until the bus is dropped.
    client: Option<FutureProducer<Logs>>,
}

impl fmt::Debug for KafkaBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brokers = self.0.config.get("bootstrap.servers");
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
        let producer = Mutex::new(Producer {
            number: 0,
            client: Some(client),
        });
        Ok(KafkaBus(Arc::new(Inner {
            config,
            deliver_within: self.deliver_within,
            producer,
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

    fn producer(&self) -> Producer {
        self.0.producer().clone()
    }

    /// Puts a new producer in the place of one that works no more.
    fn renew(&self, broken: &Producer) {
        let Some((code, why)) = broken
            .client
            .as_ref()
            .and_then(|client| client.client().fatal_error())
        else {
            return;
        };
        let mut current = self.0.producer();
        if current.number != broken.number {
            return;
        }
        tracing::warn!(target: "ticketon::kafka", %code, why, "the producer works no more; a new one takes its place");
        match self.0.config.create_with_context(Logs) {
            Ok(client) => {
                let old = std::mem::replace(
                    &mut *current,
                    Producer {
                        number: broken.number + 1,
                        client: Some(client),
                    },
                );
                drop_elsewhere(old);
            }
            Err(error) => {
                let error = refused(&error);
                tracing::error!(target: "ticketon::kafka", %error, "no new producer could be made");
            }
        }
    }
}

impl Inner {
    fn producer(&self) -> MutexGuard<'_, Producer> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let client = self.producer().client.take();
        drop_elsewhere(client);
    }
}

/// Drops a client on a thread of its own: it waits for its own threads.
pub(super) fn drop_elsewhere<T: Send + 'static>(client: T) {
    let dropping = std::thread::Builder::new().name("kafka-drop".to_owned());
    if let Err(error) = dropping.spawn(move || drop(client)) {
        tracing::debug!(target: "ticketon::kafka", %error, "no thread to end a client on");
    }
}

/// The outcome of the events of one key, one after the other, up to the first that fails.
struct Sent {
    acknowledged: Vec<usize>,
    failure: Option<BusError>,
}

/// Sends the events of one key, one after the other: a later one must not be taken after an earlier one failed.
async fn send(producer: &FutureProducer<Logs>, events: &[Envelope], places: Vec<usize>) -> Sent {
    let mut acknowledged = Vec::new();
    for place in places {
        let Some(event) = events.get(place) else {
            break;
        };
        let failure = match event.to_json() {
            Ok(text) => {
                let topic = event.topic();
                let record = FutureRecord::to(&topic).key(event.key()).payload(&text);
                match producer.send(record, Duration::ZERO).await {
                    Ok(_) => None,
                    Err((error, _)) => Some(failure(event, &error)),
                }
            }
            Err(error) => Some(BusError::Refused {
                event: event.id(),
                detail: error.to_string(),
            }),
        };
        if failure.is_some() {
            return Sent {
                acknowledged,
                failure,
            };
        }
        acknowledged.push(place);
    }
    Sent {
        acknowledged,
        failure: None,
    }
}

fn failure(event: &Envelope, error: &KafkaError) -> BusError {
    use RDKafkaErrorCode as Code;
    let detail = error.to_string();
    match error.rdkafka_error_code() {
        Some(
            Code::MessageSizeTooLarge
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::PolicyViolation,
        ) => BusError::Refused {
            event: event.id(),
            detail,
        },
        _ => BusError::Unavailable { detail },
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
        let producer = self.producer();
        let Some(client) = &producer.client else {
            let error = BusError::Unavailable {
                detail: "the bus was dropped".to_owned(),
            };
            return Err(PublishError {
                acknowledged: Vec::new(),
                error,
            });
        };
        let mut sending: FuturesUnordered<_> = of_key
            .into_values()
            .map(|places| send(client, events, places))
            .collect();
        let mut acknowledged = Vec::new();
        let mut refusal = None;
        let mut away = None;
        // Each event has its own bound; a key with many events must not add them up.
        let bound = self.0.deliver_within * 2;
        let collecting = tokio::time::timeout(bound, async {
            while let Some(sent) = sending.next().await {
                acknowledged.extend(sent.acknowledged);
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
        // A bus that is away says more about all events than a refusal about one.
        match away.or(refusal) {
            None => Ok(()),
            Some(error) => {
                self.renew(&producer);
                Err(PublishError {
                    acknowledged,
                    error,
                })
            }
        }
    }

    async fn ping(&self) -> Result<(), BusError> {
        let unavailable = |detail: String| BusError::Unavailable { detail };
        let Some(client) = self.producer().client else {
            return Err(unavailable("the bus was dropped".to_owned()));
        };
        let asked = tokio::task::spawn_blocking(move || {
            let within = Duration::from_secs(2);
            client
                .client()
                .fetch_metadata(TOPICS.first().copied(), within)
                .map(|_| ())
        });
        match asked.await {
            Ok(answer) => answer.map_err(|error| unavailable(error.to_string())),
            Err(error) => Err(unavailable(error.to_string())),
        }
    }
}
