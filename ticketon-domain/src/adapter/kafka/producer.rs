//! The producer, how an event goes out by it, and its replacement once it works no more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::time::Instant;

use super::context::Logs;
use super::settings::refused;
use crate::outbox::{BusError, Envelope};

/// The producer of a bus, and those that come after it. Any of them is as good as another: an event is sent only after the
/// one before it was acknowledged, so order rests on no producer's memory.
pub(super) struct Producers {
    config: ClientConfig,
    patience: Duration,
    current: Mutex<Producer>,
}

#[derive(Clone)]
pub(super) struct Producer {
    /// How many were made before it.
    number: u64,
    /// Since when nothing that it sent was acknowledged.
    failing_since: Option<Instant>,
    client: Arc<Client>,
}

/// There until it is dropped, wherever its last owner is: that takes time, and a thread.
struct Client(Option<FutureProducer<Logs>>);

impl Drop for Client {
    fn drop(&mut self) {
        drop_elsewhere(self.0.take());
    }
}

impl Producer {
    fn new(number: u64, client: FutureProducer<Logs>) -> Self {
        Self {
            number,
            failing_since: None,
            client: Arc::new(Client(Some(client))),
        }
    }

    /// The client.
    ///
    /// # Errors
    /// Never while somebody has it.
    pub(super) fn client(&self) -> Result<&FutureProducer<Logs>, BusError> {
        let gone = || BusError::Unavailable {
            detail: "the producer was dropped".to_owned(),
        };
        self.client.0.as_ref().ok_or_else(gone)
    }
}

impl Producers {
    /// The first one, and what others are made of; one that fails for longer than the patience is replaced.
    pub(super) fn new(
        config: ClientConfig,
        client: FutureProducer<Logs>,
        patience: Duration,
    ) -> Self {
        let first = Producer::new(0, client);
        Self {
            config,
            patience,
            current: Mutex::new(first),
        }
    }

    pub(super) fn config(&self) -> &ClientConfig {
        &self.config
    }

    pub(super) fn brokers(&self) -> Option<&str> {
        self.config.get("bootstrap.servers")
    }

    pub(super) fn current(&self) -> Producer {
        self.lock().clone()
    }

    /// Takes note of what came of a publication by it: whether something was acknowledged, whether it says that it is broken,
    /// and what failed.
    pub(super) fn heard(
        &self,
        by: &Producer,
        acknowledged: bool,
        broken: bool,
        failure: Option<&BusError>,
    ) {
        let mut current = self.lock();
        if current.number != by.number {
            return;
        }
        let Some(failure) = failure.filter(|_| broken || !acknowledged) else {
            current.failing_since = None;
            return;
        };
        // The brokers may have forgotten it while its client believes that it only needs to try again.
        let since = *current.failing_since.get_or_insert_with(Instant::now);
        if !broken && since.elapsed() < self.patience {
            return;
        }
        tracing::warn!(target: "ticketon::kafka", %failure, "the producer is replaced");
        match self.config.create_with_context(Logs) {
            Ok(client) => {
                *current = Producer::new(by.number + 1, client);
            }
            Err(error) => {
                let error = refused(&error);
                tracing::error!(target: "ticketon::kafka", %error, "no new producer could be made");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Producer> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops a client on a thread of its own: it waits for its own threads.
pub(super) fn drop_elsewhere<T: Send + 'static>(client: T) {
    let dropping = std::thread::Builder::new().name("kafka-drop".to_owned());
    if let Err(error) = dropping.spawn(move || drop(client)) {
        tracing::debug!(target: "ticketon::kafka", %error, "no thread to end a client on");
    }
}

/// The first event of a key that failed.
pub(super) struct Failure {
    pub(super) place: usize,
    pub(super) error: BusError,
    /// The producer must be replaced: no event can be sent by it.
    pub(super) is_broken: bool,
}

/// Sends the events of one key, one after the other: a later one must not be taken after an earlier one failed. The places of
/// those that were acknowledged are told one by one, so that they are known if it is cut off.
pub(super) async fn send(
    producer: &FutureProducer<Logs>,
    events: &[Envelope],
    places: Vec<usize>,
    acknowledged: &Mutex<Vec<usize>>,
) -> Result<(), Failure> {
    for place in places {
        let Some(event) = events.get(place) else {
            break;
        };
        let text = event.to_json().map_err(|error| Failure {
            place,
            error: BusError::Refused {
                event: event.id(),
                detail: error.to_string(),
            },
            is_broken: false,
        })?;
        let topic = event.topic();
        let record = FutureRecord::to(&topic).key(event.key()).payload(&text);
        let sent = producer.send(record, Duration::ZERO).await;
        sent.map_err(|(error, _)| Failure {
            place,
            error: failure(event, &error),
            is_broken: is_broken(&error) || producer.client().fatal_error().is_some(),
        })?;
        acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(place);
    }
    Ok(())
}

/// Whether the brokers know the producer no more, or otherwise than it knows itself. A new one is as good: an event is
/// sent only after the one before it was acknowledged.
fn is_broken(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let code = error.rdkafka_error_code();
    matches!(
        code,
        Some(
            Code::Fatal
                | Code::Fenced
                | Code::ProducerFenced
                | Code::InvalidProducerEpoch
                | Code::InvalidProducerIdMapping
                | Code::UnknownProducerId
                | Code::OutOfOrderSequenceNumber
        )
    )
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
