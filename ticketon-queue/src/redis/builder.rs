//! Connecting: where to, with which trust, and whether that Redis is safe to use.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::io::tcp::socket2::TcpKeepalive;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, FromRedisValue, IntoConnectionInfo,
    ProtocolVersion, TlsCertificates, cmd,
};

use super::RedisStore;
use super::connection::{Link, failed};
use super::shape::Shapes;
use crate::clock::Clock;
use crate::error::StoreError;

/// How long Redis may take to answer, unless the builder says otherwise.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a peer may leave packets unanswered.
const VANISHED_AFTER: Duration = Duration::from_secs(12);

/// The only policy under which Redis never drops a place by itself.
const SAFE_POLICY: &str = "noeviction";

/// Builds a [`RedisStore`].
pub struct RedisStoreBuilder {
    url: String,
    root_certificate: Option<Vec<u8>>,
    response_timeout: Duration,
    clock: Option<Arc<dyn Clock>>,
}

impl fmt::Debug for RedisStoreBuilder {
    /// Leaves the URL out: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("root_certificate", &self.root_certificate.is_some())
            .field("response_timeout", &self.response_timeout)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl RedisStoreBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            root_certificate: None,
            response_timeout: RESPONSE_TIMEOUT,
            clock: None,
        }
    }

    /// The certificates, in PEM, of the authorities that sign the server's: they take the place of the
    /// public ones. Needs a `rediss://` URL.
    #[must_use]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificate = Some(pem.into());
        self
    }

    /// How long a call may take, reconnecting included; 2 seconds by default.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// A clock in place of Redis's own, for tests. Every process must have the same.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Connects, and checks that this Redis never drops what it was given.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when Redis cannot be reached or refuses the login;
    /// [`StoreError::Unsafe`] when it may evict keys.
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        // The host may have installed another provider before; that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = self.client()?;
        // One attempt, so that a wrong address or password is told at once; the shared connection then retries.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.response_timeout))
            .set_response_timeout(Some(self.response_timeout));
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| failed("connecting", error))?;
        refuse_eviction(&mut connection).await?;
        Ok(RedisStore {
            link: Link::new(client, self.response_timeout)?,
            shapes: Arc::new(Shapes::default()),
            clock: self.clock,
        })
    }

    fn client(&self) -> Result<Client, StoreError> {
        let info = self.connection_info()?;
        let client = match &self.root_certificate {
            None => Client::open(info),
            Some(pem) => Client::build_with_tls(
                info,
                TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.clone()),
                },
            ),
        };
        client.map_err(|error| failed("connecting", error))
    }

    fn connection_info(&self) -> Result<ConnectionInfo, StoreError> {
        let info = self
            .url
            .as_str()
            .into_connection_info()
            .map_err(|error| failed("reading the Redis URL", error))?;
        let settings = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        Ok(info
            .set_redis_settings(settings)
            .set_tcp_settings(tcp_settings()))
    }
}

/// No waiting to fill packets; a peer that vanished without a word is noticed, so that the connection is made anew.
fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(VANISHED_AFTER / 2)
        .with_interval(VANISHED_AFTER / 6);
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(VANISHED_AFTER);
    settings
}

/// A Redis that evicts keys when its memory is full would drop people from the line.
async fn refuse_eviction(connection: &mut MultiplexedConnection) -> Result<(), StoreError> {
    let policy = match configured_policy(connection).await {
        Some(policy) => policy,
        None => {
            tracing::warn!(
                target: "ticketon::store",
                "Redis refuses CONFIG GET maxmemory-policy; INFO memory is asked instead"
            );
            reported_policy(connection).await?
        }
    };
    if policy == SAFE_POLICY {
        return Ok(());
    }
    Err(StoreError::Unsafe {
        detail: format!(
            "maxmemory-policy is {policy:?}, so Redis may drop people from the line; set maxmemory-policy to {SAFE_POLICY}"
        ),
    })
}

/// `None` when the command is forbidden, as with managed servers.
async fn configured_policy(connection: &mut MultiplexedConnection) -> Option<String> {
    let reply = cmd("CONFIG")
        .arg("GET")
        .arg("maxmemory-policy")
        .query_async(connection)
        .await
        .ok()?;
    let pairs = Vec::<(String, String)>::from_redis_value(reply).ok()?;
    pairs.into_iter().next().map(|(_, policy)| policy)
}

async fn reported_policy(connection: &mut MultiplexedConnection) -> Result<String, StoreError> {
    let info: String = cmd("INFO")
        .arg("memory")
        .query_async(connection)
        .await
        .map_err(|error| failed("asking for the maxmemory-policy", error))?;
    info.lines()
        .find_map(|line| line.strip_prefix("maxmemory_policy:"))
        .map(|policy| policy.trim().to_owned())
        .ok_or_else(|| StoreError::Unsafe {
            detail: format!(
                "maxmemory-policy cannot be read, neither by CONFIG GET nor in INFO memory; allow one of them and set it to {SAFE_POLICY}"
            ),
        })
}
