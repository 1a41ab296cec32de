//! A private MariaDB server, to be killed, paused and restarted.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command as AsyncCommand;
use tokio::time::timeout;

use crate::port::Port;
use crate::process::Process;
use crate::wait::Looks;

/// How long a server may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long one statement may take.
const CLI_WITHIN: Duration = Duration::from_secs(30);

/// The same from the start, so that the first start need not make the log anew.
const LOG_SIZE: [&str; 1] = ["--innodb-log-file-size=16M"];

/// Numbers the databases of this process.
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A MariaDB server of one test: on 127.0.0.1, at a port and in a folder of its own, and durable: what it acknowledged
/// survives [`MariaDb::kill9`].
///
/// ```no_run
/// # async fn example() {
/// use ticketon_tests::MariaDb;
/// let mut server = MariaDb::start().await;
/// let url = server.fresh_database().await;
/// server.sql("SET GLOBAL max_connections = 50").await;
/// server.kill9();
/// server.restart().await;
/// # }
/// ```
#[derive(Debug)]
pub struct MariaDb {
    // Dropped in this order: the process ends before its folder goes.
    process: Option<Process>,
    settings: Vec<String>,
    folder: TempDir,
    port: Port,
}

impl MariaDb {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// If it is not installed or does not answer in time; the message has its output.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with settings of its command line, such as `--max-connections=10`.
    ///
    /// # Panics
    /// If it is not installed or does not answer in time.
    pub async fn start_with(settings: &[&str]) -> Self {
        let folder = folder();
        install(&folder.path().join("data")).await;
        let mut server = Self {
            process: None,
            settings: settings
                .iter()
                .map(|setting| (*setting).to_owned())
                .collect(),
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

    /// The port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The URL of a database of this server.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        self.url_at(self.port(), database)
    }

    /// The same by way of another port, such as that of a [`SlowProxy`](crate::SlowProxy).
    #[must_use]
    pub fn url_at(&self, port: u16, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{port}/{database}")
    }

    /// Makes an empty database and returns its name.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn fresh_name(&self) -> String {
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        self.sql(&format!("CREATE DATABASE {name}")).await;
        name
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Panics
    /// If the server does not answer.
    pub async fn fresh_database(&self) -> String {
        let name = self.fresh_name().await;
        self.url_of(&name)
    }

    /// Runs statements by the `mariadb` client and returns what they print, without names of columns.
    ///
    /// # Panics
    /// If the server cannot be reached, or refuses.
    pub async fn sql(&self, statements: &str) -> String {
        self.try_sql(statements)
            .await
            .unwrap_or_else(|why| panic!("{statements}: {why}"))
    }

    /// How many transactions wait for a row that another has. Takes a moment: the server shows whoever looks more often than
    /// ten times a second what was there at their last look.
    ///
    /// # Panics
    /// If the server cannot be reached.
    pub async fn lock_waits(&self) -> u32 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let sql =
            "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
        let count = self.sql(sql).await;
        count
            .parse()
            .unwrap_or_else(|error| panic!("{count}: {error}"))
    }

    /// Ends every connection but its own, as an operator or a proxy may at any time.
    ///
    /// # Panics
    /// If the server cannot be reached.
    pub async fn cut_connections(&self) {
        let ids = self
            .sql("SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'root'")
            .await;
        for id in ids.lines() {
            // One that ended by itself in the meantime is as good.
            let _ = self.try_sql(&format!("KILL CONNECTION {id}")).await;
        }
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
    }

    /// Starts the server again, at the same port and with the same files, killing it first if it runs.
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
    }

    /// Lets a paused server go on.
    ///
    /// # Panics
    /// If the server does not run.
    pub fn resume(&mut self) {
        self.running().resume();
    }

    fn running(&mut self) -> &mut Process {
        self.process
            .as_mut()
            .unwrap_or_else(|| panic!("this MariaDB was killed"))
    }

    async fn launch(&mut self) -> Result<(), String> {
        let here = self.folder.path();
        let path = |name: &str, file: &str| format!("--{name}={}", here.join(file).display());
        // Whoever else listens at this port reports another identity.
        let identity = format!("--report-host=port-{}", self.port());
        let process = Process::spawn(
            "mariadbd",
            Command::new(crate::installed(&["mariadbd", "mysqld"]))
                // Nothing of the machine's own settings.
                .arg("--no-defaults")
                .arg(path("datadir", "data"))
                .arg(path("socket", "socket"))
                .arg(path("pid-file", "pid"))
                .arg(path("tmpdir", ""))
                .args([
                    "--bind-address=127.0.0.1",
                    "--skip-networking=0",
                    "--skip-name-resolve",
                ])
                .arg(format!("--port={}", self.port()))
                .arg(identity)
                // Small, and durable at every commit.
                .arg("--innodb-buffer-pool-size=64M")
                .args(LOG_SIZE)
                .args([
                    "--innodb-flush-log-at-trx-commit=1",
                    "--performance-schema=OFF",
                ])
                .args(root())
                .args(&self.settings)
                .current_dir(here),
        );
        self.process = Some(process);
        let expected = format!("port-{}", self.port());
        let mut looks = Looks::within(READY_WITHIN);
        loop {
            if let Some(status) = self.process.as_mut().and_then(Process::exited) {
                return Err(format!("mariadbd ended with {status}:\n{}", self.output()));
            }
            let seen = match self.try_sql("SELECT @@report_host").await {
                Ok(host) if host == expected => return Ok(()),
                Ok(seen) | Err(seen) => seen,
            };
            if let Err(seen) = looks.again_after(seen).await {
                return Err(format!("mariadbd is not ready: {seen}:\n{}", self.output()));
            }
        }
    }

    async fn try_sql(&self, statements: &str) -> Result<String, String> {
        let mut client = AsyncCommand::new(crate::installed(&["mariadb", "mysql"]));
        client
            .args([
                "--no-defaults",
                "--protocol=TCP",
                "--host=127.0.0.1",
                "--user=root",
            ])
            .arg(format!("--port={}", self.port()))
            .args(["--connect-timeout=5", "--batch", "--skip-column-names"])
            .arg(format!("--execute={statements}"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(CLI_WITHIN, client.output())
            .await
            .map_err(|_| format!("no answer within {CLI_WITHIN:?}"))?
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("ticketon-mariadb-")
        .tempdir()
        .unwrap_or_else(|error| panic!("no folder for MariaDB: {error}"))
}

/// The server refuses to run as root unless told to.
fn root() -> Option<&'static str> {
    rustix::process::getuid().is_root().then_some("--user=root")
}

/// Makes the empty system tables.
async fn install(data: &Path) {
    let made = AsyncCommand::new(crate::installed(&[
        "mariadb-install-db",
        "mysql_install_db",
    ]))
    .arg("--no-defaults")
    .arg(format!("--datadir={}", data.display()))
    // Root without a password; the server listens on 127.0.0.1 alone.
    .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
    .args(LOG_SIZE)
    .args(root())
    // A server that starts removes whatever temporary tables it finds, those of others too.
    .env("TMPDIR", data.parent().unwrap_or(data))
    .stdin(Stdio::null())
    .output()
    .await
    .unwrap_or_else(|error| panic!("cannot start mariadb-install-db: {error}"));
    assert!(
        made.status.success(),
        "mariadb-install-db: {}{}",
        String::from_utf8_lossy(&made.stdout),
        String::from_utf8_lossy(&made.stderr)
    );
}
