//! How a connection is made: to one server, to a cluster, to the master that Sentinels name.

use std::time::Duration;

use ::redis::aio::{ConnectionLike, ConnectionManager, MultiplexedConnection};
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::sentinel::SentinelClient;
use ::redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisError, RedisFuture, Value};
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
    Cluster(ClusterClient),
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
    pub(super) async fn connect(&self) -> Result<Connection, RedisError> {
        let connecting = async {
            match self {
                Self::Cluster(client) => {
                    client.get_async_connection().await.map(Connection::Cluster)
                }
                Self::Sentinel { client, config } => {
                    // The client has seen that this server takes itself for the master too.
                    let master = client.lock().await.async_get_client().await?;
                    master
                        .get_multiplexed_async_connection_with_config(config)
                        .await
                        .map(Connection::Master)
                }
            }
        };
        tokio::time::timeout(DIAL_WITHIN, connecting)
            .await
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }
}
