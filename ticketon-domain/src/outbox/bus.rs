//! The event bus port: where published events go.

use async_trait::async_trait;

use super::Envelope;

/// Takes events and keeps them for its consumers.
#[async_trait]
pub trait EventBus: Send + Sync + std::fmt::Debug + 'static {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Which bus it is, in all processes that publish to it and over restarts. An outbox belongs to the first bus that a relay
    /// comes with, and relays with another one take nothing from it. `None`, for a bus that ends with its process, claims no
    /// outbox and is served by those that nobody claimed.
    ///
    /// # Errors
    /// [`BusError`] when that cannot be asked now.
    async fn identity(&self) -> Result<Option<String>, BusError> {
        Ok(Some(self.name().to_owned()))
    }

    /// Publishes events; `Ok` means that all of them were acknowledged.
    ///
    /// Events with the same topic and key are published in the order of the slice: one is sent only after the one before it was
    /// acknowledged, and none after one that was not. It ends within a bounded time.
    ///
    /// # Errors
    /// [`PublishError`]: some were not acknowledged. They may have been published all the same.
    async fn publish(&self, events: &[Envelope]) -> Result<(), PublishError>;

    /// Whether events can be published now.
    ///
    /// # Errors
    /// [`BusError`] when they cannot.
    async fn ping(&self) -> Result<(), BusError>;
}

/// Some events were not acknowledged.
#[derive(Debug, thiserror::Error)]
#[error("{} events were acknowledged, then: {error}", acknowledged.len())]
pub struct PublishError {
    /// The events that were, by their places in the slice.
    pub acknowledged: Vec<usize>,
    /// The events that the bus will not take as they are.
    pub refused: Vec<Refused>,
    /// What happened to the others that were not acknowledged; if there are none, why an event was refused.
    #[source]
    pub error: BusError,
}

/// An event that a bus will not take as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the slice.
    pub place: usize,
    /// What was seen, without secrets.
    pub why: String,
}

/// Why a bus did not acknowledge an event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The bus did not answer in time, or broke off; trying again makes sense.
    #[error("the event bus is unavailable: {detail}")]
    Unavailable {
        /// What was seen, without secrets.
        detail: String,
    },
    /// The bus will not take this event as it is: an operator must mend it. Others may pass.
    #[error("the event bus refuses {event}: {detail}")]
    Refused {
        /// Which event.
        event: String,
        /// What was seen, without secrets.
        detail: String,
    },
    /// The settings of the bus make no sense to it.
    #[error("the settings of the event bus are refused: {detail}")]
    Config {
        /// Which, and why, without secrets.
        detail: String,
    },
}
