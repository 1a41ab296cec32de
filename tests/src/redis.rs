//! A private Redis server, to be killed, paused and restarted.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use crate::certificate::{Authority, SERVER_FILES};
use crate::port::Port;
use crate::process::Process;
use crate::wait::Looks;

/// How long a server may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long one `redis-cli` may take.
const CLI_WITHIN: Duration = Duration::from_secs(15);

/// How a [`RedisServer`] is set up.
#[derive(Debug, Clone, Default)]
pub struct RedisBuilder {
    appendonly: bool,
    authority: Option<Arc<Authority>>,
    password: Option<String>,
    settings: Vec<(String, String)>,
}

/// A Redis server of one test: on 127.0.0.1, at a port and in a folder of its own.
///
/// By default it writes nothing to disk and has neither password nor TLS.
///
/// ```no_run
/// # async fn example() {
/// use ticketon_tests::RedisServer;
/// let mut redis = RedisServer::builder().appendonly(true).start().await;
/// redis.cli(&["SET", "key", "value"]).await;
/// redis.kill9();
/// redis.restart().await;
/// assert_eq!(redis.cli(&["GET", "key"]).await, "value");
/// # }
/// ```
#[derive(Debug)]
pub struct RedisServer {
    // Dropped in this order: the process ends before its folder goes.
    process: Option<Process>,
    paused: bool,
    setup: RedisBuilder,
    folder: TempDir,
    port: Port,
}

impl RedisBuilder {
    /// Keeps an append-only file: acknowledged writes survive [`RedisServer::kill9`].
    #[must_use]
    pub fn appendonly(mut self, on: bool) -> Self {
        self.appendonly = on;
        self
    }

    /// Listens with TLS alone, with a certificate of an authority of its own ([`RedisServer::ca_pem`]).
    #[must_use]
    pub fn tls(mut self, on: bool) -> Self {
        self.authority = on.then(|| Arc::new(Authority::new()));
        self
    }

    /// Listens with TLS alone, with a certificate of this authority, by which servers trust each other.
    pub(crate) fn tls_of(mut self, authority: &Arc<Authority>) -> Self {
        self.authority = Some(Arc::clone(authority));
        self
    }

    /// Asks clients for a password (letters and digits: it becomes part of the URL).
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// What to do when the memory is full: `noeviction`, `allkeys-lru`, ...
    #[must_use]
    pub fn maxmemory_policy(self, policy: &str) -> Self {
        self.setting("maxmemory-policy", policy)
    }

    /// Any other setting of `redis.conf`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// If it is not installed or does not answer in time; the message has its output.
    pub async fn start(self) -> RedisServer {
        let folder = tempfile::Builder::new()
            .prefix("ticketon-redis-")
            .tempdir()
            .unwrap_or_else(|error| panic!("no folder for Redis: {error}"));
        if let Some(authority) = &self.authority {
            authority.write_server_files(folder.path());
        }
        let mut server = RedisServer {
            process: None,
            paused: false,
            setup: self,
            folder,
            port: Port::reserve(),
        };
        for _ in 0..10 {
            match server.launch().await {
                Ok(()) => return server,
                // Somebody who does not know of the reservation took the port just now.
                Err(why) if why.contains("Address already in use") => server.port = Port::reserve(),
                Err(why) => panic!("{why}"),
            }
        }
        panic!("ten ports in a row were taken")
    }
}

impl RedisServer {
    /// Starts a server with the defaults.
    ///
    /// # Panics
    /// If it is not installed or does not answer in time.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts with the defaults, to be changed.
    #[must_use]
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    /// The URL for clients: `redis://` or, with TLS, `rediss://`, with the password if any.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = scheme(self.setup.authority.is_some());
        let login = self
            .setup
            .password
            .as_ref()
            .map_or(String::new(), |word| format!(":{word}@"));
        format!("{scheme}://{login}127.0.0.1:{}", self.port())
    }

    /// The port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The certificate to trust, as PEM, if the server speaks TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<String> {
        self.setup
            .authority
            .as_ref()
            .map(|authority| authority.pem())
    }

    /// The file with [`Self::ca_pem`].
    #[must_use]
    pub fn ca_file(&self) -> Option<PathBuf> {
        let tls = self.setup.authority.is_some();
        tls.then(|| self.file("ca.pem"))
    }

    /// What the server printed since it was last started.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.as_ref().map_or(String::new(), Process::output)
    }

    /// Kills the server; its port and files stay for [`Self::restart`].
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill9();
        }
        self.paused = false;
    }

    /// Whether it runs: neither killed nor paused.
    pub(crate) fn answers(&self) -> bool {
        self.process.is_some() && !self.paused
    }

    /// Starts the server again, at the same port and with the same files, killing it first if it
    /// runs. Without [`RedisBuilder::appendonly`] it comes back empty.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub async fn restart(&mut self) {
        self.kill9();
        if let Err(why) = self.launch().await {
            panic!("{why}");
        }
    }

    /// Stops the server in its tracks: connections stay open and nothing answers.
    ///
    /// # Panics
    /// If the server does not run.
    pub fn pause(&mut self) {
        self.running().pause();
        self.paused = true;
    }

    /// Lets a paused server go on.
    ///
    /// # Panics
    /// If the server does not run.
    pub fn resume(&mut self) {
        self.running().resume();
        self.paused = false;
    }

    /// Sends one command by `redis-cli` and returns what that prints, without the last line end.
    /// An error reply is returned as its text.
    ///
    /// # Panics
    /// If the server cannot be reached or does not answer in time.
    pub async fn cli(&self, command: &[&str]) -> String {
        self.try_cli(command)
            .await
            .unwrap_or_else(|why| panic!("redis-cli {command:?}: {why}"))
    }

    fn running(&mut self) -> &mut Process {
        self.process
            .as_mut()
            .unwrap_or_else(|| panic!("this Redis was killed"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn launch(&mut self) -> Result<(), String> {
        let process = self.process.insert(Process::spawn(
            "redis-server",
            Command::new(crate::installed(&["redis-server"]))
                .args(arguments(&self.setup, self.port.number()))
                .arg("--dir")
                .arg(self.folder.path())
                .current_dir(self.folder.path()),
        ));
        let own_id = format!("process_id:{}\r", process.id());
        let mut looks = Looks::within(READY_WITHIN);
        loop {
            if let Some(status) = self.process.as_mut().and_then(Process::exited) {
                return Err(format!(
                    "redis-server ended with {status}:\n{}",
                    self.output()
                ));
            }
            let seen = match self.try_cli(&["INFO"]).await {
                // Whoever else listens at this port has another process id.
                Ok(info) if info.contains(&own_id) && info.contains("loading:0\r") => return Ok(()),
                Ok(info) | Err(info) => info,
            };
            if let Err(seen) = looks.again_after(seen).await {
                return Err(format!(
                    "redis-server is not ready: {seen}:\n{}",
                    self.output()
                ));
            }
        }
    }

    async fn try_cli(&self, command: &[&str]) -> Result<String, String> {
        let password = self.setup.password.as_deref();
        redis_cli(self.port(), self.ca_file(), password, command).await
    }
}

/// A number from `INFO replication`.
pub(crate) fn replication_offset(info: &str, name: &str) -> u64 {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {info}"))
}

/// How URLs begin, with TLS or without.
pub(crate) fn scheme(tls: bool) -> &'static str {
    if tls { "rediss" } else { "redis" }
}

/// Sends one command by `redis-cli`; an error if nobody answers.
pub(crate) async fn redis_cli(
    port: u16,
    ca_file: Option<PathBuf>,
    password: Option<&str>,
    command: &[&str],
) -> Result<String, String> {
    let mut cli = tokio::process::Command::new(crate::installed(&["redis-cli"]));
    cli.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    if let Some(file) = ca_file {
        cli.arg("--tls").arg("--cacert").arg(file);
    }
    if let Some(password) = password {
        cli.env("REDISCLI_AUTH", password);
    }
    cli.args(command).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(CLI_WITHIN, cli.output())
        .await
        .map_err(|_| format!("no answer within {CLI_WITHIN:?}"))?
        .map_err(|error| error.to_string())?;
    let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        printed.push_str(&String::from_utf8_lossy(&output.stderr));
        return Err(printed);
    }
    if printed.ends_with('\n') {
        printed.pop();
    }
    Ok(printed)
}

fn arguments(setup: &RedisBuilder, port: u16) -> Vec<String> {
    let mut words = vec!["--bind", "127.0.0.1", "--daemonize", "no", "--save", ""];
    words.extend(["--appendonly", if setup.appendonly { "yes" } else { "no" }]);
    // What is written to the file before it is acknowledged outlives the process. With `everysec` a disk that is slow to sync
    // lets the server acknowledge first: 4 of 5 writes were lost with a sync of 400 ms.
    words.extend(["--appendfsync", "no"]);
    let port = port.to_string();
    if setup.authority.is_some() {
        words.extend(["--port", "0", "--tls-port", &port]);
    } else {
        words.extend(["--port", &port]);
    }
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    if setup.authority.is_some() {
        for (name, value) in SERVER_FILES {
            words.extend([format!("--{name}"), value.to_owned()]);
        }
    }
    if let Some(password) = &setup.password {
        words.extend(["--requirepass".to_owned(), password.clone()]);
    }
    for (name, value) in &setup.settings {
        words.extend([format!("--{name}"), value.clone()]);
    }
    words
}
