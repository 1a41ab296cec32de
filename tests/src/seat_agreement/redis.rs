//! A Redis beside the model.

use std::sync::Arc;
use std::time::Duration;

use ticketon_domain::adapter::redis::RedisSeatStore;
use ticketon_domain::seat::SeatStore;
use ticketon_queue::RedisStore;

use super::{Beside, PROCESSES, SeatBench};
use crate::{RedisCluster, RedisServer};

impl SeatBench {
    /// As [`Self::of_the_model`], with a Redis of its own beside it. Each process has its own connection.
    ///
    /// # Panics
    /// If Redis cannot be started.
    pub async fn with_redis() -> Self {
        let bench = Self::of_the_model();
        let server = Arc::new(RedisServer::start().await);
        let processes = bench.processes_on(&server.url()).await;
        let flushed = Arc::clone(&server);
        let flush = move || {
            let server = Arc::clone(&flushed);
            let flush = async move { assert_eq!(server.cli(&["FLUSHALL"]).await, "OK") };
            Box::pin(flush) as _
        };
        bench.beside(Beside::new(processes, flush, server))
    }

    /// As [`Self::with_redis`], in a Redis Cluster of its own.
    ///
    /// # Panics
    /// If the cluster cannot be started.
    pub async fn with_redis_cluster() -> Self {
        let bench = Self::of_the_model();
        let cluster = Arc::new(RedisCluster::start().await);
        let processes = bench.processes_on(&cluster.url()).await;
        let flushed = Arc::clone(&cluster);
        let flush = move || {
            let cluster = Arc::clone(&flushed);
            let flush = async move {
                for node in cluster.nodes() {
                    // A replica refuses, and follows its master.
                    node.cli(&["FLUSHALL"]).await;
                }
            };
            Box::pin(flush) as _
        };
        bench.beside(Beside::new(processes, flush, cluster))
    }

    async fn processes_on(&self, url: &str) -> Vec<Arc<dyn SeatStore>> {
        let mut processes: Vec<Arc<dyn SeatStore>> = Vec::new();
        for _ in 0..PROCESSES {
            let builder = RedisStore::builder(url).response_timeout(Duration::from_secs(30));
            let rooms = builder.connect().await;
            let rooms = rooms.unwrap_or_else(|error| panic!("Redis: {error}"));
            let store = RedisSeatStore::on(&rooms);
            processes.push(Arc::new(store.with_clock(Arc::new(self.clock()))));
        }
        processes
    }
}
