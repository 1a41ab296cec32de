//! A private Redis Cluster whose masters can be killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::certificate::Authority;
use crate::port::Port;
use crate::redis::{RedisBuilder, RedisServer, replication_offset, scheme};
use crate::wait::eventually;

/// Masters, and as many replicas.
const MASTERS: usize = 3;

/// The slots of every Redis Cluster.
const SLOTS: u16 = 16_384;

/// How long the cluster may take to form, or to be whole again.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How a [`RedisCluster`] is set up.
#[derive(Debug, Clone, Default)]
pub struct RedisClusterBuilder {
    authority: Option<Arc<Authority>>,
    password: Option<String>,
    settings: Vec<(String, String)>,
}

/// A Redis Cluster of one test: three masters and a replica of each, on 127.0.0.1.
///
/// A dead master is noticed after 1.5 seconds; then its replica takes its place.
///
/// ```no_run
/// # async fn example() {
/// use ticketon_tests::RedisCluster;
/// let mut cluster = RedisCluster::start().await;
/// let old = cluster.kill9_master_of("{event}:key").await;
/// cluster.wait_failover(old).await;
/// assert_ne!(cluster.master_of("{event}:key").await, old);
/// # }
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    setup: RedisClusterBuilder,
    _bus: Vec<Port>,
}

impl RedisClusterBuilder {
    /// Asks clients for a password (letters and digits: it becomes part of the URLs).
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// All talk TLS alone, the nodes among themselves too ([`RedisCluster::ca_pem`]).
    #[must_use]
    pub fn tls(mut self, on: bool) -> Self {
        self.authority = on.then(|| Arc::new(Authority::new()));
        self
    }

    /// Any other setting of each node's `redis.conf`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the nodes, joins them, and waits until all slots are served and all replicas follow.
    ///
    /// # Panics
    /// If Redis is not installed or the cluster does not form in time.
    pub async fn start(self) -> RedisCluster {
        let bus: Vec<Port> = (0..2 * MASTERS).map(|_| Port::reserve()).collect();
        let nodes = join_all(bus.iter().map(|bus| self.node(bus).start())).await;
        let cluster = RedisCluster {
            nodes,
            setup: self,
            _bus: bus,
        };
        cluster.join(&cluster._bus).await;
        cluster.wait_whole().await;
        cluster
    }

    fn node(&self, bus: &Port) -> RedisBuilder {
        let mut node = RedisServer::builder()
            .setting("cluster-enabled", "yes")
            .setting("cluster-config-file", "nodes.conf")
            .setting("cluster-node-timeout", "1500")
            .setting("cluster-announce-ip", "127.0.0.1")
            .setting("cluster-port", &bus.number().to_string())
            // With the default of 5 s a replica is not up for long, and cannot take over before.
            .setting("repl-diskless-sync-delay", "0");
        if let Some(password) = &self.password {
            node = node.password(password).setting("masterauth", password);
        }
        if let Some(authority) = &self.authority {
            node = node
                .tls_of(authority)
                .setting("tls-cluster", "yes")
                .setting("tls-replication", "yes");
        }
        for (name, value) in &self.settings {
            node = node.setting(name, value);
        }
        node
    }
}

impl RedisCluster {
    /// Starts a cluster with the defaults.
    ///
    /// # Panics
    /// If Redis is not installed or the cluster does not form in time.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts with the defaults, to be changed.
    #[must_use]
    pub fn builder() -> RedisClusterBuilder {
        RedisClusterBuilder::default()
    }

    /// The certificate to trust, as PEM, if the nodes speak TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<String> {
        self.nodes[0].ca_pem()
    }

    /// The URL of each node, `redis://[:password@]127.0.0.1:<port>`, or `rediss://` with TLS.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// The URL of the whole: `redis+cluster://` or `rediss+cluster://`, and all nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let login = self.setup.password.as_ref();
        let login = login.map_or(String::new(), |word| format!(":{word}@"));
        let nodes: Vec<String> = self.nodes.iter().map(address).collect();
        let scheme = scheme(self.setup.authority.is_some());
        format!("{scheme}+cluster://{login}{}", nodes.join(","))
    }

    /// The nodes, dead or alive, to look into them.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The slot of a key.
    pub async fn slot_of(&self, key: &str) -> u16 {
        let slot = self.alive().cli(&["CLUSTER", "KEYSLOT", key]).await;
        slot.parse()
            .unwrap_or_else(|_| panic!("no slot of {key}: {slot}"))
    }

    /// The port of the master that serves a key, as the nodes that live see it.
    pub async fn master_of(&self, key: &str) -> u16 {
        let slot = self.slot_of(key).await;
        self.masters()
            .await
            .into_iter()
            .find_map(|(port, slots)| {
                slots
                    .iter()
                    .any(|range| range.contains(&slot))
                    .then_some(port)
            })
            .unwrap_or_else(|| panic!("nobody serves the slot {slot} of {key}"))
    }

    /// Sends a command about one key to the master that serves it, by `redis-cli`.
    ///
    /// # Panics
    /// If that cannot be reached.
    pub async fn cli(&self, key: &str, command: &[&str]) -> String {
        self.node(self.master_of(key).await).cli(command).await
    }

    /// The port of the replica that would take over from the master that serves a key.
    pub async fn replica_of(&self, key: &str) -> u16 {
        let master = self.node(self.master_of(key).await);
        let replicas = master.cli(&["INFO", "replication"]).await;
        replicas
            .lines()
            .find_map(|line| {
                line.strip_prefix("slave0:")?
                    .split(',')
                    .nth(1)?
                    .strip_prefix("port=")
            })
            .and_then(|port| port.parse().ok())
            .unwrap_or_else(|| panic!("the master of {key} has no replica: {replicas}"))
    }

    /// Waits until the replica of the master that serves a key has all that was written so far.
    ///
    /// # Panics
    /// If that takes more than a minute.
    pub async fn wait_copied(&self, key: &str) {
        let master = self.node(self.master_of(key).await);
        let written = replication_offset(
            &master.cli(&["INFO", "replication"]).await,
            "master_repl_offset:",
        );
        let replica = self.node(self.replica_of(key).await);
        eventually(READY_WITHIN, async || {
            let info = replica.cli(&["INFO", "replication"]).await;
            let copied = replication_offset(&info, "slave_repl_offset:");
            (copied >= written).then_some(()).ok_or((copied, written))
        })
        .await;
    }

    /// Pauses the replica of the master that serves a key, and returns its port: what the master is told from
    /// now on, the replica will never know. [`Self::resume`] lets it go on.
    pub async fn cut_off_replica_of(&mut self, key: &str) -> u16 {
        let replica = self.replica_of(key).await;
        self.node_mut(replica).pause();
        // Without this, what the system keeps of the connection would reach it in the end.
        self.cli(key, &["CLIENT", "KILL", "TYPE", "replica"]).await;
        replica
    }

    /// Moves the slot of a key, with all its keys, to the next master, as an operator does who spreads the load:
    /// half of the keys, then what happens `halfway`, then the rest.
    ///
    /// # Panics
    /// If a node refuses.
    pub async fn move_slot_of(&self, key: &str, halfway: impl AsyncFnOnce()) {
        let slot = self.slot_of(key).await.to_string();
        let masters: Vec<u16> = self.masters().await.into_keys().collect();
        let from = self.master_of(key).await;
        let at = masters.iter().position(|port| *port == from);
        let to = masters[(at.unwrap_or(0) + 1) % masters.len()];
        let (source, target) = (self.node(from), self.node(to));
        let source_id = source.cli(&["CLUSTER", "MYID"]).await;
        let target_id = target.cli(&["CLUSTER", "MYID"]).await;
        let done = async |node: &RedisServer, command: &[&str]| {
            let answer = node.cli(command).await;
            assert_eq!(answer, "OK", "{} to {command:?}", node.port());
        };
        done(
            target,
            &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id],
        )
        .await;
        done(
            source,
            &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id],
        )
        .await;
        let keys = async || {
            let keys = ["CLUSTER", "GETKEYSINSLOT", &slot, "1000"];
            source.cli(&keys).await
        };
        let move_key = async |key: &str| {
            let target = to.to_string();
            done(source, &["MIGRATE", "127.0.0.1", &target, key, "0", "5000"]).await;
        };
        let all = keys().await;
        let half = all.lines().count().div_ceil(2);
        for key in all.lines().take(half) {
            move_key(key).await;
        }
        halfway().await;
        loop {
            let left = keys().await;
            if left.is_empty() {
                break;
            }
            for key in left.lines() {
                move_key(key).await;
            }
        }
        // First the new master, so that no moment has none; then everybody who serves slots.
        let others = masters.iter().filter(|port| ![from, to].contains(port));
        for port in [to, from].iter().chain(others) {
            done(
                self.node(*port),
                &["CLUSTER", "SETSLOT", &slot, "NODE", &target_id],
            )
            .await;
        }
        // Replicas hear of it in time.
        eventually(READY_WITHIN, async || self.master_of(key).await == to).await;
    }

    /// How many calls all nodes have refused with this error, as `TRYAGAIN`.
    pub async fn refusals(&self, error: &str) -> u64 {
        let mut refusals = 0;
        for node in &self.nodes {
            let errors = node.cli(&["INFO", "errorstats"]).await;
            let counted = errors.lines().find_map(|line| {
                let (name, count) = line.strip_prefix("errorstat_")?.split_once(":count=")?;
                (name == error).then(|| count.trim().parse().ok())?
            });
            refusals += counted.unwrap_or(0);
        }
        refusals
    }

    /// Kills the master that serves a key, and returns its port.
    pub async fn kill9_master_of(&mut self, key: &str) -> u16 {
        let port = self.master_of(key).await;
        self.node_mut(port).kill9();
        port
    }

    /// Stops the master that serves a key in its tracks, and returns its port.
    pub async fn pause_master_of(&mut self, key: &str) -> u16 {
        let port = self.master_of(key).await;
        self.node_mut(port).pause();
        port
    }

    /// Lets a paused node go on.
    pub fn resume(&mut self, port: u16) {
        self.node_mut(port).resume();
    }

    /// Starts a killed node again: after a failover as a replica.
    pub async fn restart(&mut self, port: u16) {
        self.node_mut(port).restart().await;
    }

    /// Waits until another node serves what this one served as a master.
    ///
    /// # Panics
    /// If that takes more than a minute.
    pub async fn wait_failover(&self, old: u16) {
        eventually(READY_WITHIN, async || {
            let masters = self.masters().await;
            let gone = !masters.contains_key(&old);
            let served: usize = masters.values().flatten().map(ExactSizeIterator::len).sum();
            (gone && served == usize::from(SLOTS))
                .then_some(())
                .ok_or(masters)
        })
        .await;
    }

    /// Waits until all slots are served, in every node's opinion, and every replica follows its master.
    ///
    /// # Panics
    /// If that takes more than a minute.
    pub async fn wait_whole(&self) {
        eventually(READY_WITHIN, async || {
            for node in &self.nodes {
                let info = node.cli(&["CLUSTER", "INFO"]).await;
                if !info.contains("cluster_state:ok") {
                    return Err(format!("{}: {info}", node.port()));
                }
                let role = node.cli(&["INFO", "replication"]).await;
                if role.contains("role:slave") && !role.contains("master_link_status:up") {
                    return Err(format!("{}: {role}", node.port()));
                }
                let seen = node.cli(&["CLUSTER", "NODES"]).await;
                let replicas = seen.lines().filter(|line| line.contains("slave ")).count();
                if replicas != MASTERS {
                    return Err(format!("{} sees {seen}", node.port()));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Gives the slots to the first nodes, has all meet, and makes the others replicas.
    async fn join(&self, bus: &[Port]) {
        let first = &self.nodes[0];
        for (index, node) in self.nodes.iter().enumerate().take(MASTERS) {
            let share = SLOTS / MASTERS as u16;
            let from = share * index as u16;
            let to = if index + 1 == MASTERS {
                SLOTS - 1
            } else {
                from + share - 1
            };
            let range = [from.to_string(), to.to_string()];
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]])
                .await;
            // Without this two fresh nodes claim the same epoch and quarrel about it first.
            let epoch = (index + 1).to_string();
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
        }
        for (node, bus) in self.nodes.iter().zip(bus).skip(1) {
            let (port, bus) = (node.port().to_string(), bus.number().to_string());
            first
                .cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])
                .await;
        }
        let ids = join_all(self.nodes.iter().map(|node| node.cli(&["CLUSTER", "MYID"]))).await;
        for (replica, master) in self.nodes[MASTERS..].iter().zip(&ids) {
            // It must have heard of its master first.
            eventually(READY_WITHIN, async || {
                let answer = replica.cli(&["CLUSTER", "REPLICATE", master]).await;
                (answer == "OK").then_some(()).ok_or(answer)
            })
            .await;
        }
    }

    /// The slots of each master that is not known to be dead, by port.
    async fn masters(&self) -> BTreeMap<u16, Vec<std::ops::Range<u16>>> {
        let nodes = self.alive().cli(&["CLUSTER", "NODES"]).await;
        let mut masters = BTreeMap::new();
        for line in nodes.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, address, flags, _, _, _, _, _, slots @ ..] = words.as_slice() else {
                continue;
            };
            if !flags.split(',').any(|flag| flag == "master") || flags.contains("fail") {
                continue;
            }
            let port = address
                .split(['@', ','])
                .next()
                .and_then(|address| address.rsplit(':').next()?.parse().ok());
            let ranges = slots.iter().filter_map(|slots| {
                let (from, to) = slots.split_once('-').unwrap_or((slots, slots));
                Some(from.parse().ok()?..to.parse::<u16>().ok()? + 1)
            });
            if let Some(port) = port {
                masters.insert(port, ranges.collect());
            }
        }
        masters
    }

    /// A node that can be asked.
    fn alive(&self) -> &RedisServer {
        self.nodes
            .iter()
            .find(|node| node.answers())
            .unwrap_or_else(|| panic!("all nodes are dead"))
    }

    fn node(&self, port: u16) -> &RedisServer {
        self.nodes
            .iter()
            .find(|node| node.port() == port)
            .unwrap_or_else(|| panic!("no node has the port {port}"))
    }

    fn node_mut(&mut self, port: u16) -> &mut RedisServer {
        self.nodes
            .iter_mut()
            .find(|node| node.port() == port)
            .unwrap_or_else(|| panic!("no node has the port {port}"))
    }
}

fn address(node: &RedisServer) -> String {
    format!("127.0.0.1:{}", node.port())
}
