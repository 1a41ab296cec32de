//! The way to Redis: shared connections that recover by themselves, every call bounded in time.
//!
//! Whatever kind of Redis is behind it (one server, a cluster, a master behind Sentinels), the rest of the
//! store, and other crates that keep data there, only know [`RedisLink`]. Where the master may move, a call
//! that meets a failover is sent again within its time: each verb of the port may be.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::Semaphore;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::Instrument;

use super::call::{RedisCall, send_all};
use super::dial::{Connection, Dial, Dialled};
use super::failover::Moving;
use super::failures::Failures;
use super::reply::Reply;
use crate::error::StoreError;
use crate::unguarded::holds;

/// The most calls that may be under way at a time; more are refused.
const MAX_IN_FLIGHT: usize = 10_000;

/// The longest pause between two attempts to reconnect.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// The pause before a call is sent again, doubled each time up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_millis(320);

/// The longest that one attempt may take, however long the call may.
const MAX_ATTEMPT: Duration = Duration::from_secs(2);

/// The most calls that [`RedisLink::run_all`] sends in one round trip.
const MAX_PIPELINE: usize = 128;

/// The way to the Redis of a [`RedisStore`](super::RedisStore), for calls of one's own: another crate may
/// keep its data there over the same connections. Clones share them.
///
/// Whatever the store was connected to (one server, a Redis Cluster, a master behind Sentinels) the calls
/// are the same, they end within the store's
/// [`response_timeout`](super::RedisStoreBuilder::response_timeout), and at most 10,000 are under way at a time.
///
/// ```no_run
/// use std::sync::LazyLock;
/// use ticketon_queue::redis::{RedisCall, RedisScript};
/// use ticketon_queue::{RedisStore, StoreError};
///
/// /// add: adds to a counter, up to a limit.
/// /// KEYS  1 counter
/// /// ARGV  1 how many  2 limit
/// /// OUT   the counter | nil: the limit is reached
/// static ADD: LazyLock<RedisScript> = LazyLock::new(|| {
///     RedisScript::new(
///         "if (redis.call('GET', KEYS[1]) or 0) + ARGV[1] > tonumber(ARGV[2]) then return nil end \
///          return redis.call('INCRBY', KEYS[1], ARGV[1])",
///     )
/// });
///
/// async fn add(store: &RedisStore, event: &str) -> Result<Option<u64>, StoreError> {
///     let mut call = RedisCall::script(&ADD);
///     call.key(format!("shop:{{{event}}}:sold")).arg_int(1).arg_int(100);
///     let reply = store.link().run("add", &call).await?;
///     reply.some().map(|reply| reply.count("add")).transpose()
/// }
/// ```
#[derive(Clone)]
pub struct RedisLink {
    path: Path,
    response_timeout: Duration,
    in_flight: Arc<Semaphore>,
    failures: Arc<Failures>,
}

#[derive(Clone)]
enum Path {
    /// To one server, which comes back or does not.
    Server(Connection),
    /// To wherever the master is.
    Moving(Arc<Moving>),
}

impl fmt::Debug for RedisLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLink")
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}

impl RedisLink {
    /// To one server; connects at the first call.
    pub(super) fn server(client: Client, response_timeout: Duration) -> Result<Self, StoreError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(response_timeout))
            .set_connection_timeout(Some(response_timeout))
            .set_max_delay(MAX_RECONNECT_DELAY)
            .set_pipeline_buffer_size(1_024);
        let manager = ConnectionManager::new_lazy_with_config(client, config)
            .map_err(|error| failed("connecting", error))?;
        let path = Path::Server(Connection::Server(manager));
        Ok(Self::new(path, response_timeout))
    }

    /// To a Redis whose master may move.
    pub(super) fn moving(dial: Dial, first: Dialled, response_timeout: Duration) -> Self {
        Self::new(Path::Moving(Moving::new(dial, first)), response_timeout)
    }

    fn new(path: Path, response_timeout: Duration) -> Self {
        Self {
            path,
            response_timeout,
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            failures: Arc::default(),
        }
    }

    /// Makes a call. Its name stands in the metric `ticketon_store_seconds` (label `verb`), in logs and in errors.
    ///
    /// Behind Sentinels and in a cluster the call is sent again when it meets a failover.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when Redis did not answer in time or could not do it; whether it did
    /// is unknown then. [`StoreError::Busy`] when too many calls are under way, and nothing was done.
    /// [`StoreError::Corrupt`] when it is no call that Redis can do: a script that fails, a key of another type.
    pub async fn run(&self, name: &'static str, call: &RedisCall) -> Result<Reply, StoreError> {
        self.measured(name, Request::One(call)).await
    }

    /// Makes several calls that only read, in one round trip for each 128 of them, and answers in their order.
    ///
    /// All their keys must be in one slot of a cluster. Other callers' changes may come between two calls;
    /// what must be read at one moment is one script.
    ///
    /// # Errors
    /// As [`RedisLink::run`], when any of the calls fails.
    pub async fn run_all(
        &self,
        name: &'static str,
        calls: &[RedisCall],
    ) -> Result<Vec<Reply>, StoreError> {
        let mut replies = Vec::with_capacity(calls.len());
        for calls in calls.chunks(MAX_PIPELINE) {
            let chunk = self.measured(name, Request::All(calls)).await?;
            replies.extend(chunk.array(name)?);
        }
        Ok(replies)
    }

    async fn measured(
        &self,
        name: &'static str,
        request: Request<'_>,
    ) -> Result<Reply, StoreError> {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return Err(StoreError::Busy {
                waiting: MAX_IN_FLIGHT,
                limit: MAX_IN_FLIGHT,
            });
        };
        let span = tracing::debug_span!(target: "ticketon::store", "redis", verb = name);
        let began = Instant::now();
        let answer = async {
            match &self.path {
                Path::Server(connection) => {
                    // The manager bounds the answer alone; here waiting for a new connection counts too.
                    let mut connection = connection.clone();
                    let answer = timeout(self.response_timeout, request.send(&mut connection));
                    answer.await.map_err(Fault::Silence)?.map_err(Fault::Error)
                }
                Path::Moving(moving) => self.sent_until_answered(moving, request).await,
            }
        };
        let answer = answer.instrument(span).await;
        metrics::histogram!("ticketon_store_seconds", "verb" => name)
            .record(began.elapsed().as_secs_f64());
        let result = match answer {
            Ok(value) => Reply::read(value).map_err(|error| failed(name, error)),
            Err(Fault::Error(error)) => Err(failed(name, error)),
            Err(Fault::Silence(elapsed)) => Err(StoreError::Unavailable {
                context: name,
                source: Box::new(elapsed),
            }),
        };
        self.tell(name, &result);
        result
    }

    /// Says what failed: each failure for who debugs, at most a line a second for everybody.
    fn tell(&self, name: &'static str, result: &Result<Reply, StoreError>) {
        let Err(error) = result else {
            if let Some(failed) = self.failures.succeeded(Instant::now()) {
                tracing::warn!(target: "ticketon::store", failed, "calls of Redis failed since the last line");
            }
            return;
        };
        let error = describe(error);
        match self.failures.failed(Instant::now()) {
            Some(failed) => {
                tracing::warn!(target: "ticketon::store", verb = name, %error, failed, "a call of Redis failed");
            }
            None => {
                tracing::debug!(target: "ticketon::store", verb = name, %error, "a call of Redis failed");
            }
        }
    }

    /// Sends a request again and again while the master moves, as long as the call may take.
    async fn sent_until_answered(
        &self,
        moving: &Arc<Moving>,
        request: Request<'_>,
    ) -> Result<Value, Fault> {
        let deadline = Instant::now() + self.response_timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let (generation, mut connection) = moving.current();
            // A server that hangs leaves time to ask another.
            let until = deadline.min(Instant::now() + attempt_timeout(self.response_timeout));
            let fault = match timeout_at(until, request.send(&mut connection)).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => Fault::Error(error),
                Err(elapsed) => Fault::Silence(elapsed),
            };
            if !fault.passes() {
                return Err(fault);
            }
            // A cluster's connection looks for lost nodes by itself; one that keeps silent may never speak again.
            let heals = moving.is_cluster() && matches!(fault, Fault::Error(_));
            if !moving.is_cluster() || fault.is_lost_contact() {
                moving.renew(generation);
            }
            if !holds("resend") {
                return Err(fault);
            }
            if fault.is_lost_contact() && !heals {
                // Nothing but another connection helps.
                let renewed = timeout_at(deadline, moving.renewed_after(generation));
                if renewed.await.is_err() {
                    return Err(fault);
                }
                continue;
            }
            let next = Instant::now() + pause;
            if next >= deadline {
                return Err(fault);
            }
            sleep_until(next).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

/// How long one attempt of a call may take where another server may answer the next.
pub(super) fn attempt_timeout(response_timeout: Duration) -> Duration {
    (response_timeout / 2).min(MAX_ATTEMPT)
}

/// What is asked of Redis; it may be sent several times.
#[derive(Clone, Copy)]
enum Request<'a> {
    One(&'a RedisCall),
    All(&'a [RedisCall]),
}

impl Request<'_> {
    async fn send(self, connection: &mut Connection) -> Result<Value, RedisError> {
        match self {
            Self::One(call) => call.send(connection).await,
            Self::All(calls) => send_all(calls, connection).await.map(Value::Array),
        }
    }
}

/// Why an attempt came to nothing.
enum Fault {
    Error(RedisError),
    Silence(Elapsed),
}

impl Fault {
    /// Whether it is one of those that a failover brings, and ends.
    fn passes(&self) -> bool {
        let Self::Error(error) = self else {
            return true;
        };
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask,
            ) => true,
            // A master that lost its replicas and was told not to write alone; before Redis 7 a script on
            // a replica fails with the reason in its text.
            _ => {
                self.is_lost_contact()
                    || error.code() == Some("NOREPLICAS")
                    || error.detail().is_some_and(|text| text.contains("READONLY"))
            }
        }
    }

    /// Whether there is nobody at the other end.
    fn is_lost_contact(&self) -> bool {
        match self {
            Self::Silence(_) => true,
            Self::Error(error) => {
                error.is_io_error() || error.kind() == ErrorKind::ClusterConnectionNotFound
            }
        }
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
