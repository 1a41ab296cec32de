//! Connecting: where to, with which trust, and whether that Redis is safe to use.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::cluster::ClusterClient;
use ::redis::io::tcp::TcpSettings;
use ::redis::io::tcp::socket2::TcpKeepalive;
use ::redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError,
    TlsCertificates, TlsMode,
};
use tokio::sync::Mutex;

use super::RedisStore;
use super::address::{Address, Login, Nodes};
use super::connection::{RedisLink, attempt_timeout, failed};
use super::dial::{Connection, Dial};
use super::eviction::refuse_eviction;
use super::shape::Shapes;
use crate::clock::Clock;
use crate::draw::DrawKeys;
use crate::error::StoreError;

/// How long Redis may take to answer, unless the builder says otherwise.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a peer may leave packets unanswered.
const VANISHED_AFTER: Duration = Duration::from_secs(12);

/// How often the cluster's connection follows a redirection or looks for a lost node, in one attempt.
const CLUSTER_RETRIES: u32 = 8;

/// The pauses between those, in ms.
const CLUSTER_PAUSE_MS: std::ops::Range<u64> = 10..300;

/// Builds a [`RedisStore`].
pub struct RedisStoreBuilder {
    address: Result<Address, String>,
    login: Login,
    root_certificate: Option<Vec<u8>>,
    response_timeout: Duration,
    clock: Option<Arc<dyn Clock>>,
    #[cfg(feature = "conformance")]
    removed_guards: std::collections::BTreeSet<String>,
}

impl fmt::Debug for RedisStoreBuilder {
    /// Leaves the address out: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("root_certificate", &self.root_certificate.is_some())
            .field("response_timeout", &self.response_timeout)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl RedisStoreBuilder {
    pub(super) fn new(address: Result<Address, String>) -> Self {
        Self {
            address,
            login: Login::default(),
            root_certificate: None,
            response_timeout: RESPONSE_TIMEOUT,
            clock: None,
            #[cfg(feature = "conformance")]
            removed_guards: Default::default(),
        }
    }

    /// The name by which the Redis servers know this program; takes the place of the URL's. The name
    /// for Sentinels is in their own URLs.
    #[must_use]
    pub fn username(mut self, name: impl Into<String>) -> Self {
        self.login.username = Some(name.into());
        self
    }

    /// The password of the Redis servers; takes the place of the URL's. The one of Sentinels is in
    /// their own URLs.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.login.password = Some(password.into());
        self
    }

    /// The certificates, in PEM, of the authorities that sign the servers': they take the place of the
    /// public ones. Needs TLS (`rediss`).
    #[must_use]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificate = Some(pem.into());
        self
    }

    /// How long a call may take, reconnecting and sending again included; 2 seconds by default.
    ///
    /// Behind Sentinels and in a cluster a call that meets a failover is sent again until this time has
    /// passed: a longer time bridges more of it, a shorter one refuses people sooner.
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

    /// Removes a guard from the store's scripts, for a test that shows what the guard prevents.
    ///
    /// # Panics
    /// If no script has a guard of this name.
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    #[must_use]
    pub fn without_guard(mut self, name: &str) -> Self {
        let guards = super::guards();
        assert!(
            guards.contains(name),
            "no script has the guard {name:?}, but {guards:?}"
        );
        self.removed_guards.insert(name.to_owned());
        self
    }

    /// Connects, and checks that this Redis never drops what it was given.
    ///
    /// # Errors
    /// [`StoreError::Address`] when the address cannot be read; [`StoreError::Unavailable`] when Redis
    /// cannot be reached or refuses the login; [`StoreError::Unsafe`] when it, or any master of the cluster, may evict keys.
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        // The host may have installed another provider before; that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = self
            .address
            .as_ref()
            .map_err(|why| unreadable(why.clone()))?;
        // One attempt, so that a wrong address or password is told at once; the shared connection then retries.
        let link = match address {
            Address::Server(url) => self.server(url).await?,
            Address::Cluster(nodes) => {
                let client = self
                    .cluster(nodes)
                    .map_err(|error| failed("connecting", error))?;
                self.moving(Dial::Cluster(Box::new(client)), listed(nodes))
                    .await?
            }
            Address::Sentinel {
                sentinels,
                master,
                login,
                database,
            } => {
                let client = self
                    .sentinel(sentinels, master, login, *database)
                    .map_err(|error| failed("connecting", error))?;
                let client = Box::new(Mutex::new(client));
                let config = self.connection_config(attempt_timeout(self.response_timeout));
                let at = format!("{master:?} of the Sentinels {}", listed(sentinels));
                self.moving(Dial::Sentinel { client, config }, at).await?
            }
        };
        Ok(RedisStore {
            link,
            shapes: Arc::new(Shapes::default()),
            clock: self.clock,
            draw_keys: DrawKeys::random(),
            #[cfg(feature = "conformance")]
            unguarded: super::guards::Unguarded::without(&self.removed_guards),
        })
    }

    async fn server(&self, url: &str) -> Result<RedisLink, StoreError> {
        let info = self.server_info(url)?;
        let at = info.addr().to_string();
        let client = match self.certificates() {
            None => Client::open(info),
            Some(certificates) => Client::build_with_tls(info, certificates),
        };
        let client = client.map_err(|error| failed("connecting", error))?;
        let config = self.connection_config(self.response_timeout);
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| unreached(at, error))?;
        refuse_eviction(&mut Connection::Master(connection)).await?;
        RedisLink::server(client, self.response_timeout)
    }

    async fn moving(&self, dial: Dial, at: String) -> Result<RedisLink, StoreError> {
        let mut first = dial.connect().await.map_err(|error| unreached(at, error))?;
        refuse_eviction(&mut first.connection).await?;
        Ok(RedisLink::moving(dial, first, self.response_timeout))
    }

    fn server_info(&self, url: &str) -> Result<ConnectionInfo, StoreError> {
        let info = url
            .into_connection_info()
            .map_err(|error| unreadable(error.to_string()))?;
        let mut settings = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3);
        if let Some(name) = &self.login.username {
            settings = settings.set_username(name);
        }
        if let Some(password) = &self.login.password {
            settings = settings.set_password(password);
        }
        Ok(info
            .set_redis_settings(settings)
            .set_tcp_settings(tcp_settings()))
    }

    fn cluster(&self, nodes: &Nodes) -> Result<ClusterClient, RedisError> {
        let attempt = attempt_timeout(self.response_timeout);
        let addresses = nodes.nodes.iter().map(|node| node.address(nodes.tls));
        let mut builder = ClusterClient::builder(addresses)
            .use_protocol(ProtocolVersion::RESP3)
            .tcp_settings(tcp_settings())
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(CLUSTER_PAUSE_MS.start)
            .max_retry_wait(CLUSTER_PAUSE_MS.end)
            .connection_timeout(attempt)
            .response_timeout(attempt)
            .overall_response_timeout(Some(self.response_timeout));
        if nodes.tls {
            builder = builder.tls(TlsMode::Secure);
        }
        if let Some(certificates) = self.certificates() {
            builder = builder.certs(certificates);
        }
        let login = self.login.clone().or(&nodes.login);
        if let Some(name) = &login.username {
            builder = builder.username(name);
        }
        if let Some(password) = &login.password {
            builder = builder.password(password);
        }
        builder.build()
    }

    fn sentinel(
        &self,
        sentinels: &Nodes,
        master: &str,
        login: &Login,
        database: i64,
    ) -> Result<SentinelClient, RedisError> {
        let addresses = sentinels
            .nodes
            .iter()
            .map(|node| node.address(sentinels.tls));
        let mut builder =
            SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
                .set_client_to_redis_protocol(ProtocolVersion::RESP3)
                .set_client_to_redis_db(database)
                .set_client_to_redis_tcp_settings(tcp_settings())
                .set_client_to_sentinel_tcp_settings(tcp_settings());
        if sentinels.tls {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = self.certificates() {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
        let login = self.login.clone().or(login);
        if let Some(name) = &login.username {
            builder = builder.set_client_to_redis_username(name);
        }
        if let Some(password) = &login.password {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(name) = &sentinels.login.username {
            builder = builder.set_client_to_sentinel_username(name);
        }
        if let Some(password) = &sentinels.login.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        builder.build()
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        let pem = self.root_certificate.clone()?;
        Some(TlsCertificates {
            client_tls: None,
            root_cert: Some(pem),
        })
    }

    fn connection_config(&self, answer_within: Duration) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(answer_within))
            .set_response_timeout(Some(answer_within))
    }
}

fn unreadable(why: String) -> StoreError {
    StoreError::Address { detail: why }
}

/// What failed while connecting, and where to.
#[derive(Debug, thiserror::Error)]
#[error("{at}")]
struct Unreached {
    at: String,
    source: RedisError,
}

/// As [`failed`], with the places that were tried; they hold no login.
fn unreached(at: String, error: RedisError) -> StoreError {
    match failed("connecting", error) {
        StoreError::Unavailable { context, source } => match source.downcast() {
            Ok(source) => StoreError::Unavailable {
                context,
                source: Box::new(Unreached {
                    at,
                    source: *source,
                }),
            },
            Err(source) => StoreError::Unavailable { context, source },
        },
        other => other,
    }
}

/// The nodes as `host:port`, to be told.
fn listed(nodes: &Nodes) -> String {
    let shown: Vec<String> = nodes
        .nodes
        .iter()
        .map(|node| node.address(nodes.tls).to_string())
        .collect();
    shown.join(", ")
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
