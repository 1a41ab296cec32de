//! How a connection is made: to one server, to a cluster, to the master that Sentinels name.

use std::future::Future;
use std::time::Duration;

use ::redis::aio::{ConnectionLike, ConnectionManager, MultiplexedConnection};
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::sentinel::SentinelClient;
use ::redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, Pipeline, RedisError, RedisFuture, Value,
};
use tokio::sync::Mutex;

/// How long finding the way may take: asking Sentinels that hang, or connecting to each node.
const DIAL_WITHIN: Duration = Duration::from_secs(10);

/// A connection that its clones share.
#[derive(Clone)]
pub(super) enum Connection {
    /// To one server; it connects again by itself.
    Server(ConnectionManager),
    /// To one server; broken for good when it breaks.
    Master(MultiplexedConnection),
    /// To all nodes of a cluster; follows keys as they move.
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(inner) => inner.req_packed_command(command),
            Self::Master(inner) => inner.req_packed_command(command),
            Self::Cluster(inner) => inner.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(inner) => inner.req_packed_commands(pipeline, offset, count),
            Self::Master(inner) => inner.req_packed_commands(pipeline, offset, count),
            Self::Cluster(inner) => inner.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(inner) => inner.get_db(),
            Self::Master(inner) => inner.get_db(),
            Self::Cluster(inner) => inner.get_db(),
        }
    }
}

/// The way to a Redis whose master may move.
pub(super) enum Dial {
    /// By asking any node of the cluster for the others.
    Cluster(Box<ClusterClient>),
    /// By asking the Sentinels.
    Sentinel {
        /// Remembers its connections to the Sentinels.
        client: Box<Mutex<SentinelClient>>,
        /// How to connect to the master.
        config: AsyncConnectionConfig,
    },
}

impl Dial {
    /// Makes a new connection, to where the master is now.
    pub(super) async fn connect(&self) -> Result<Dialled, RedisError> {
        within_bound(async {
            match self {
                Self::Cluster(client) => Ok(Dialled {
                    connection: Connection::Cluster(client.get_async_connection().await?),
                    master: None,
                }),
                Self::Sentinel { client, config } => {
                    // The client has seen that this server takes itself for the master too.
                    let master = client.lock().await.async_get_client().await?;
                    let connection = master
                        .get_multiplexed_async_connection_with_config(config)
                        .await?;
                    Ok(Dialled {
                        connection: Connection::Master(connection),
                        master: Some(master.get_connection_info().addr().clone()),
                    })
                }
            }
        })
        .await
    }

    /// Where the Sentinels say that the master is; `None` in a cluster, whose nodes redirect by themselves.
    pub(super) async fn master(&self) -> Result<Option<ConnectionAddr>, RedisError> {
        let Self::Sentinel { client, .. } = self else {
            return Ok(None);
        };
        within_bound(async {
            let master = client.lock().await.async_get_client().await?;
            Ok(Some(master.get_connection_info().addr().clone()))
        })
        .await
    }
}

/// A new connection, and the address of the one master that it leads to.
pub(super) struct Dialled {
    pub(super) connection: Connection,
    pub(super) master: Option<ConnectionAddr>,
}

async fn within_bound<T>(
    dialling: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    tokio::time::timeout(DIAL_WITHIN, dialling)
        .await
        .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}
