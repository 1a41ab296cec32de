//! A program of the workspace that serves HTTP, as a process of its own.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use reqwest::StatusCode;

use crate::port::Port;
use crate::process::Process;
use crate::tls::speak_tls;
use crate::wait::Looks;

/// How an [`AppProcess`] is started.
#[derive(Debug, Clone)]
pub struct AppBuilder {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    ready_path: String,
    ready_within: Duration,
}

/// A running program: told to listen on 127.0.0.1 at a port of its own, and ready.
///
/// ```no_run
/// # async fn example() {
/// use ticketon_tests::{AppProcess, workspace_bin};
/// let program = workspace_bin("reference-app").await;
/// let app = AppProcess::builder(program).env("RUST_LOG", "info").start().await;
/// let page = reqwest::get(app.base_url()).await;
/// # }
/// ```
#[derive(Debug)]
pub struct AppProcess {
    // Dropped in this order: the port is given back once the process is gone.
    process: Process,
    setup: AppBuilder,
    port: Port,
}

/// How a program that was expected to end did so.
#[derive(Debug)]
pub struct Exit {
    /// Its status.
    pub status: ExitStatus,
    /// What it printed, on both streams.
    pub output: String,
}

impl AppBuilder {
    /// Adds an argument; `--listen 127.0.0.1:<port>` follows the last one.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The path that answers 200 once the program is ready; `/health/ready` by default.
    #[must_use]
    pub fn ready_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.ready_path);
        self
    }

    /// How long the program may take to be ready; 30 seconds by default.
    #[must_use]
    pub fn ready_within(mut self, bound: Duration) -> Self {
        self.ready_within = bound;
        self
    }

    /// Starts the program and waits until it is ready.
    ///
    /// # Panics
    /// If it ends or is not ready in time; the message has its output.
    pub async fn start(self) -> AppProcess {
        let port = Port::reserve();
        let process = self.spawn(&port);
        let mut app = AppProcess {
            process,
            setup: self,
            port,
        };
        app.ready().await;
        app
    }

    /// Starts the program and waits for it to end by itself, as with a wrong configuration.
    ///
    /// # Panics
    /// If it still runs after `bound`.
    pub async fn run_to_exit(self, bound: Duration) -> Exit {
        let port = Port::reserve();
        let mut process = self.spawn(&port);
        let status = process.wait_exit(bound).await;
        Exit {
            status,
            output: process.output(),
        }
    }

    fn spawn(&self, port: &Port) -> Process {
        let name = self
            .program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            // A test that cares about what is kept names its own.
            .env("TICKETON_DATABASE_URL", "sqlite::memory:")
            .args(["--listen", &format!("127.0.0.1:{}", port.number())])
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        Process::spawn(&format!("{name} at port {}", port.number()), &mut command)
    }
}

impl AppProcess {
    /// Prepares to start a program.
    #[must_use]
    pub fn builder(program: impl AsRef<Path>) -> AppBuilder {
        // The test's own clients may be made before the program starts.
        speak_tls();
        AppBuilder {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            ready_path: "/health/ready".to_owned(),
            ready_within: Duration::from_secs(30),
        }
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// The URL of a path, which begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url())
    }

    /// The port, the same after a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What the program printed since it was last started.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Kills the program, as a crash or a lost machine would.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Stops the program in its tracks: connections stay open and nothing answers.
    ///
    /// # Panics
    /// If it has ended.
    pub fn pause(&mut self) {
        self.process.pause();
    }

    /// Lets a paused program go on.
    ///
    /// # Panics
    /// If it has ended.
    pub fn resume(&mut self) {
        self.process.resume();
    }

    /// Asks the program to end (SIGTERM); see [`Self::wait_exit`].
    ///
    /// # Panics
    /// If it has ended.
    pub fn terminate(&mut self) {
        self.process.terminate();
    }

    /// Waits for the program to end.
    ///
    /// # Panics
    /// If it still runs after `bound`.
    pub async fn wait_exit(&mut self, bound: Duration) -> ExitStatus {
        self.process.wait_exit(bound).await
    }

    /// Starts the program again, at the same port, killing it first if it runs.
    ///
    /// # Panics
    /// If it is not ready in time.
    pub async fn restart(&mut self) {
        self.kill9();
        self.process = self.setup.spawn(&self.port);
        self.ready().await;
    }

    async fn ready(&mut self) {
        let url = self.url(&self.setup.ready_path);
        let client = reqwest::Client::new();
        let mut looks = Looks::within(self.setup.ready_within);
        loop {
            if let Some(status) = self.process.exited() {
                panic!(
                    "{:?} ended with {status}:\n{}",
                    self.setup.program,
                    self.output()
                );
            }
            let answer = client
                .get(&url)
                .timeout(Duration::from_secs(5))
                .send()
                .await;
            let seen = match answer.map(|answer| answer.status()) {
                Ok(StatusCode::OK) => return,
                Ok(other) => other.to_string(),
                Err(error) => format!("{error:?}"),
            };
            if let Err(seen) = looks.again_after(seen).await {
                panic!("{url} is not ready: {seen}:\n{}", self.output());
            }
        }
    }
}
