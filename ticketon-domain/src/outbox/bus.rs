//! The event bus port: where published events go.

use async_trait::async_trait;

use super::Envelope;

/// Takes events and keeps them for its consumers.
#[async_trait]
pub trait EventBus: Send + Sync + std::fmt::Debug + 'static {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

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
    /// What happened to the first that was not.
    #[source]
    pub error: BusError,
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
