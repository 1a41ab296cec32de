//! A private Redis with replicas and the Sentinels that choose its master.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::certificate::{Authority, SERVER_FILES};
use crate::port::Port;
use crate::process::Process;
use crate::redis::{RedisServer, redis_cli, replication_offset, scheme};
use crate::wait::eventually;

/// The name by which the Sentinels know the master.
const MASTER: &str = "on-sale";

/// Servers, of which one is the master; Sentinels, of which two must agree.
const SERVERS: usize = 3;
const SENTINELS: usize = 3;
const QUORUM: usize = 2;

/// More than there are, so that this Sentinel watches and votes, and never calls for a failover itself.
///
/// Two that call at the same moment may both be elected, in two epochs, and promote two replicas a second
/// apart; what was written between is lost then. Seen in 2 of 54 failovers of these servers.
const VOTES_ONLY: usize = SENTINELS + 1;

/// How long the group may take to form, or to choose a master.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How a [`RedisSentinel`] is set up.
#[derive(Debug, Clone, Default)]
pub struct RedisSentinelBuilder {
    authority: Option<Arc<Authority>>,
    password: Option<String>,
    sentinel_password: Option<String>,
}

/// A master, two replicas and three Sentinels of one test, on 127.0.0.1.
///
/// A dead master is noticed after a second; then one replica takes its place: one Sentinel alone calls for it,
/// with another's vote.
///
/// ```no_run
/// # async fn example() {
/// use ticketon_tests::RedisSentinel;
/// let mut group = RedisSentinel::start().await;
/// let old = group.kill9_master().await;
/// assert_ne!(group.wait_failover(old).await, old);
/// # }
/// ```
#[derive(Debug)]
pub struct RedisSentinel {
    servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
    setup: RedisSentinelBuilder,
}

#[derive(Debug)]
struct Sentinel {
    // Dropped in this order: the process ends before its folder goes.
    process: Process,
    port: Port,
    folder: TempDir,
}

impl RedisSentinelBuilder {
    /// The password of the servers (letters and digits: it becomes part of the URL).
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// All talk TLS alone, servers and Sentinels among themselves too ([`RedisSentinel::ca_pem`]).
    #[must_use]
    pub fn tls(mut self, on: bool) -> Self {
        self.authority = on.then(|| Arc::new(Authority::new()));
        self
    }

    /// The password of the Sentinels (letters and digits).
    #[must_use]
    pub fn sentinel_password(mut self, password: &str) -> Self {
        self.sentinel_password = Some(password.to_owned());
        self
    }

    /// Starts everything, and waits until the replicas follow and the Sentinels know of each other.
    ///
    /// # Panics
    /// If Redis is not installed or the group does not form in time.
    pub async fn start(self) -> RedisSentinel {
        let mut servers: Vec<RedisServer> = Vec::with_capacity(SERVERS);
        for _ in 0..SERVERS {
            let mut server = RedisServer::builder().setting("repl-diskless-sync-delay", "0");
            if let Some(password) = &self.password {
                server = server.password(password).setting("masterauth", password);
            }
            if let Some(authority) = &self.authority {
                server = server.tls_of(authority).setting("tls-replication", "yes");
            }
            servers.push(server.start().await);
        }
        let master = servers[0].port();
        for replica in &servers[1..] {
            let port = master.to_string();
            replica.cli(&["REPLICAOF", "127.0.0.1", &port]).await;
        }
        let sentinels = (0..SENTINELS)
            .map(|index| self.sentinel(master, if index == 0 { QUORUM } else { VOTES_ONLY }))
            .collect();
        let group = RedisSentinel {
            servers,
            sentinels,
            setup: self,
        };
        group.wait_whole().await;
        group
    }

    fn sentinel(&self, master: u16, quorum: usize) -> Sentinel {
        let folder = tempfile::Builder::new()
            .prefix("ticketon-sentinel-")
            .tempdir()
            .unwrap_or_else(|error| panic!("no folder for a Sentinel: {error}"));
        let port = Port::reserve();
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            "sentinel announce-ip 127.0.0.1".to_owned(),
            format!("sentinel monitor {MASTER} 127.0.0.1 {master} {quorum}"),
            format!("sentinel down-after-milliseconds {MASTER} 1000"),
            format!("sentinel failover-timeout {MASTER} 4000"),
            format!("sentinel parallel-syncs {MASTER} 2"),
        ];
        if let Some(authority) = &self.authority {
            authority.write_server_files(folder.path());
            lines.push(format!("port 0\ntls-port {}", port.number()));
            lines.push("tls-replication yes".to_owned());
            lines.extend(SERVER_FILES.map(|(name, value)| format!("{name} {value}")));
        } else {
            lines.push(format!("port {}", port.number()));
        }
        if let Some(password) = &self.password {
            lines.push(format!("sentinel auth-pass {MASTER} {password}"));
        }
        if let Some(password) = &self.sentinel_password {
            lines.push(format!("requirepass {password}"));
            lines.push(format!("sentinel sentinel-pass {password}"));
        }
        lines.push(String::new());
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, lines.join("\n"))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
        let process = Process::spawn(
            "redis-sentinel",
            Command::new(crate::installed(&["redis-server"]))
                .arg(&file)
                .arg("--sentinel")
                .current_dir(folder.path()),
        );
        Sentinel {
            process,
            port,
            folder,
        }
    }
}

impl RedisSentinel {
    /// Starts a group with the defaults.
    ///
    /// # Panics
    /// If Redis is not installed or the group does not form in time.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts with the defaults, to be changed.
    #[must_use]
    pub fn builder() -> RedisSentinelBuilder {
        RedisSentinelBuilder::default()
    }

    /// The name by which the Sentinels know the master.
    #[must_use]
    pub fn master_name(&self) -> &'static str {
        MASTER
    }

    /// The certificate to trust, as PEM, if all speak TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<String> {
        self.servers[0].ca_pem()
    }

    /// The URL of each Sentinel, `redis://[:password@]127.0.0.1:<port>`, or `rediss://` with TLS.
    #[must_use]
    pub fn sentinel_urls(&self) -> Vec<String> {
        let login = self.setup.sentinel_password.as_ref();
        let login = login.map_or(String::new(), |word| format!(":{word}@"));
        let scheme = scheme(self.setup.authority.is_some());
        self.sentinel_addresses()
            .iter()
            .map(|address| format!("{scheme}://{login}{address}"))
            .collect()
    }

    /// The URL of the whole: `redis+sentinel://` or `rediss+sentinel://`, all Sentinels and the master's name.
    #[must_use]
    pub fn url(&self) -> String {
        let login = self.setup.password.as_ref();
        let login = login.map_or(String::new(), |word| format!(":{word}@"));
        let own = self.setup.sentinel_password.as_ref();
        let own = own.map_or(String::new(), |word| format!("?sentinel_password={word}"));
        let sentinels = self.sentinel_addresses().join(",");
        let scheme = scheme(self.setup.authority.is_some());
        format!("{scheme}+sentinel://{login}{sentinels}/{MASTER}{own}")
    }

    /// The servers, dead or alive, to look into them.
    #[must_use]
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The port of the master in the Sentinels' opinion.
    ///
    /// # Panics
    /// If they do not answer.
    pub async fn master_port(&self) -> u16 {
        let answer = self
            .sentinel_cli(0, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER])
            .await;
        answer
            .lines()
            .nth(1)
            .and_then(|port| port.parse().ok())
            .unwrap_or_else(|| panic!("the Sentinel names no master: {answer}"))
    }

    /// The server that is the master.
    pub async fn master(&self) -> &RedisServer {
        let port = self.master_port().await;
        self.server(port)
    }

    /// Kills the master, and returns its port.
    pub async fn kill9_master(&mut self) -> u16 {
        let port = self.master_port().await;
        self.server_mut(port).kill9();
        port
    }

    /// Stops the master in its tracks, and returns its port.
    pub async fn pause_master(&mut self) -> u16 {
        let port = self.master_port().await;
        self.server_mut(port).pause();
        port
    }

    /// Lets a paused server go on.
    pub fn resume(&mut self, port: u16) {
        self.server_mut(port).resume();
    }

    /// Starts a killed server again, empty, as a replica of the present master.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub async fn restart(&mut self, port: u16) {
        let master = self.master_port().await.to_string();
        self.server_mut(port).restart().await;
        // The Sentinels would do so too, but only after many seconds.
        let server = self.server(port);
        server.cli(&["REPLICAOF", "127.0.0.1", &master]).await;
    }

    /// Waits until the replicas have all that was written so far.
    ///
    /// # Panics
    /// If that takes more than a minute.
    pub async fn wait_copied(&self) {
        let master = self.master().await;
        let written = replication_offset(
            &master.cli(&["INFO", "replication"]).await,
            "master_repl_offset:",
        );
        for replica in &self.servers {
            if replica.port() == master.port() {
                continue;
            }
            eventually(READY_WITHIN, async || {
                let info = replica.cli(&["INFO", "replication"]).await;
                let copied = replication_offset(&info, "slave_repl_offset:");
                (copied >= written).then_some(()).ok_or((copied, written))
            })
            .await;
        }
    }

    /// Has the Sentinels move the master to a replica, although it lives.
    ///
    /// # Panics
    /// If they refuse.
    pub async fn fail_over(&self) {
        eventually(READY_WITHIN, async || {
            let answer = self
                .sentinel_cli(0, &["SENTINEL", "FAILOVER", MASTER])
                .await;
            (answer == "OK").then_some(()).ok_or(answer)
        })
        .await;
    }

    /// Waits until all Sentinels name another master than this one, and returns its port.
    ///
    /// # Panics
    /// If that takes more than a minute.
    pub async fn wait_failover(&self, old: u16) -> u16 {
        eventually(READY_WITHIN, async || {
            let port = self.master_port().await;
            if port == old {
                return Err("the same master".to_owned());
            }
            let role = self.server(port).cli(&["ROLE"]).await;
            role.starts_with("master").then_some(port).ok_or(role)
        })
        .await
    }

    /// Waits until the replicas follow, and every Sentinel knows of them and of the other Sentinels.
    ///
    /// # Panics
    /// If that takes more than a minute.
    pub async fn wait_whole(&self) {
        eventually(READY_WITHIN, async || {
            let port = self.try_master_port().await?;
            let replication = self.server(port).cli(&["INFO", "replication"]).await;
            let online = replication.matches("state=online").count();
            if online != SERVERS - 1 {
                return Err(replication);
            }
            for index in 0..SENTINELS {
                let seen = self.try_sentinel_cli(index, &["INFO", "sentinel"]).await?;
                let line = format!(
                    "status=ok,address=127.0.0.1:{port},slaves={},sentinels={SENTINELS}",
                    SERVERS - 1
                );
                if !seen.contains(&line) {
                    return Err(seen);
                }
            }
            Ok(())
        })
        .await;
    }

    async fn try_master_port(&self) -> Result<u16, String> {
        let answer = self
            .try_sentinel_cli(0, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER])
            .await?;
        let port = answer.lines().nth(1).and_then(|port| port.parse().ok());
        port.ok_or(answer)
    }

    fn sentinel_addresses(&self) -> Vec<String> {
        self.sentinels
            .iter()
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port.number()))
            .collect()
    }

    async fn sentinel_cli(&self, index: usize, command: &[&str]) -> String {
        self.try_sentinel_cli(index, command)
            .await
            .unwrap_or_else(|why| {
                let output = self.sentinels[index].process.output();
                panic!("Sentinel {index}, {command:?}: {why}:\n{output}")
            })
    }

    async fn try_sentinel_cli(&self, index: usize, command: &[&str]) -> Result<String, String> {
        let sentinel = &self.sentinels[index];
        let ca_file = sentinel.folder.path().join("ca.pem");
        let ca_file = self.setup.authority.is_some().then_some(ca_file);
        let password = self.setup.sentinel_password.as_deref();
        redis_cli(sentinel.port.number(), ca_file, password, command).await
    }

    /// The server at this port.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn server(&self, port: u16) -> &RedisServer {
        self.servers
            .iter()
            .find(|server| server.port() == port)
            .unwrap_or_else(|| panic!("no server has the port {port}"))
    }

    fn server_mut(&mut self, port: u16) -> &mut RedisServer {
        self.servers
            .iter_mut()
            .find(|server| server.port() == port)
            .unwrap_or_else(|| panic!("no server has the port {port}"))
    }
}
