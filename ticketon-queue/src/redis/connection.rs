//! The way to Redis: one shared connection that reconnects by itself, every call bounded in time.
//!
//! Whatever kind of Redis is behind it (one server now), the rest of the store only knows
//! [`Link::run`] and [`Link::command`].

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, Cmd, ErrorKind, RedisError, ScriptInvocation, ServerErrorKind, Value};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument;

use crate::error::StoreError;

/// The most calls that may be under way at a time; more are refused.
const MAX_IN_FLIGHT: usize = 10_000;

/// The longest pause between two attempts to reconnect.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// A connection that all clones of a store share.
#[derive(Clone)]
pub(super) struct Link {
    manager: ConnectionManager,
    response_timeout: Duration,
    in_flight: Arc<Semaphore>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Connects at the first call.
    pub(super) fn new(client: Client, response_timeout: Duration) -> Result<Self, StoreError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(response_timeout))
            .set_connection_timeout(Some(response_timeout))
            .set_max_delay(MAX_RECONNECT_DELAY)
            .set_pipeline_buffer_size(1_024);
        let manager = ConnectionManager::new_lazy_with_config(client, config)
            .map_err(|error| failed("connecting", error))?;
        Ok(Self {
            manager,
            response_timeout,
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
        })
    }

    /// Runs a script; one that the server lacks is sent first.
    pub(super) async fn run(
        &self,
        name: &'static str,
        invocation: &ScriptInvocation<'static>,
    ) -> Result<Value, StoreError> {
        let mut manager = self.manager.clone();
        self.measured(
            name,
            async move { invocation.invoke_async(&mut manager).await },
        )
        .await
    }

    /// Sends one command.
    pub(super) async fn command(
        &self,
        name: &'static str,
        command: &Cmd,
    ) -> Result<Value, StoreError> {
        let mut manager = self.manager.clone();
        self.measured(name, async move { command.query_async(&mut manager).await })
            .await
    }

    async fn measured(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<Value, RedisError>> + Send,
    ) -> Result<Value, StoreError> {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return Err(StoreError::Busy {
                waiting: MAX_IN_FLIGHT,
                limit: MAX_IN_FLIGHT,
            });
        };
        let span = tracing::debug_span!(target: "ticketon::store", "redis", verb = name);
        let began = Instant::now();
        // The manager bounds the answer alone; here waiting for a new connection counts too.
        let answer = tokio::time::timeout(self.response_timeout, call)
            .instrument(span)
            .await;
        metrics::histogram!("ticketon_store_seconds", "verb" => name)
            .record(began.elapsed().as_secs_f64());
        let result = match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failed(name, error)),
            Err(elapsed) => Err(StoreError::Unavailable {
                context: name,
                source: Box::new(elapsed),
            }),
        };
        if let Err(error) = &result {
            tracing::warn!(target: "ticketon::store", verb = name, error = %describe(error), "a call of Redis failed");
        }
        result
    }
}

/// The error and what caused it, in one line. Redis errors name the address, never the password.
fn describe(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What an error of the client means for the store.
pub(super) fn failed(context: &'static str, error: RedisError) -> StoreError {
    let out_of_contract = matches!(
        error.kind(),
        ErrorKind::Parse
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::CrossSlot)
    ) || error.code() == Some("WRONGTYPE");
    if out_of_contract {
        return StoreError::Corrupt {
            context,
            detail: error.to_string(),
        };
    }
    StoreError::Unavailable {
        context,
        source: Box::new(error),
    }
}
