//! Headless Chromium, driven through chromedriver.

use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::port::Port;
use crate::process::Process;
use crate::wait::Looks;

/// How long the browser may take to start.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How a [`Browser`] is started.
#[derive(Debug, Clone, Default)]
pub struct BrowserBuilder {
    arguments: Vec<String>,
    language: Option<String>,
}

/// A headless browser of one test, with an empty profile.
///
/// Each test has its own. [`Self::client`] is the whole of WebDriver; the methods here are what
/// WebDriver lacks or what tests need again and again.
///
/// ```no_run
/// # async fn example() -> Result<(), fantoccini::error::CmdError> {
/// use fantoccini::Locator;
/// use ticketon_tests::Browser;
/// let browser = Browser::start().await;
/// browser.viewport(390, 844).await;
/// browser.client().goto("http://127.0.0.1:8080/").await?;
/// browser.client().wait().for_element(Locator::Css("h1")).await?;
/// browser.screenshot("page.png").await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Browser {
    client: Client,
    session: String,
    // Dropped in this order, after `drop` has ended the session.
    driver: Process,
    _folder: TempDir,
    port: Port,
}

impl BrowserBuilder {
    /// Adds an argument of Chromium.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// The language that pages are asked for, such as `ko-KR`; `en-US` by default.
    #[must_use]
    pub fn language(mut self, language: &str) -> Self {
        self.language = Some(language.to_owned());
        self
    }

    /// Starts chromedriver and the browser.
    ///
    /// # Panics
    /// If they are not installed or do not answer in time; the message has their output.
    pub async fn start(self) -> Browser {
        let folder = tempfile::Builder::new()
            .prefix("ticketon-browser-")
            .tempdir()
            .unwrap_or_else(|error| panic!("no folder for the browser: {error}"));
        let port = Port::reserve();
        let mut driver = Process::spawn(
            "chromedriver",
            Command::new(crate::installed(&["chromedriver"]))
                .arg(format!("--port={}", port.number()))
                // What both programs forget to remove goes with the rest.
                .env("TMPDIR", folder.path()),
        );
        let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
        let mut looks = Looks::within(READY_WITHIN);
        while let Err(error) = tokio::net::TcpStream::connect(address).await {
            if let Some(status) = driver.exited() {
                panic!("chromedriver ended with {status}:\n{}", driver.output());
            }
            if let Err(seen) = looks.again_after(error.to_string()).await {
                panic!("chromedriver does not listen: {seen}:\n{}", driver.output());
            }
        }
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(self.capabilities(&folder));
        let url = format!("http://127.0.0.1:{}", port.number());
        let client = tokio::time::timeout(READY_WITHIN, builder.connect(&url))
            .await
            .unwrap_or_else(|_| panic!("no browser in {READY_WITHIN:?}:\n{}", driver.output()))
            .unwrap_or_else(|error| panic!("no browser: {error}:\n{}", driver.output()));
        let session = client.session_id().await;
        let session = session
            .ok()
            .flatten()
            .unwrap_or_else(|| panic!("a session has an id"));
        Browser {
            client,
            session,
            driver,
            _folder: folder,
            port,
        }
    }

    fn capabilities(&self, folder: &TempDir) -> Capabilities {
        let language = self.language.as_deref().unwrap_or("en-US");
        let mut arguments: Vec<String> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-default-browser-check",
            "--no-proxy-server",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--mute-audio",
        ]
        .map(str::to_owned)
        .into();
        let profile = folder.path().join("profile");
        arguments.push(format!("--user-data-dir={}", profile.display()));
        arguments.push(format!("--lang={language}"));
        arguments.extend(self.arguments.iter().cloned());
        let program = crate::installed(&["chromium", "chromium-browser", "google-chrome"]);
        [
            (
                "goog:chromeOptions".to_owned(),
                json!({
                    "binary": program,
                    "args": arguments,
                    "prefs": { "intl.accept_languages": language },
                }),
            ),
            ("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" })),
        ]
        .into_iter()
        .collect()
    }
}

impl Browser {
    /// Starts a browser with the defaults.
    ///
    /// # Panics
    /// If it is not installed or does not answer in time.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts with the defaults, to be changed.
    #[must_use]
    pub fn builder() -> BrowserBuilder {
        BrowserBuilder::default()
    }

    /// The WebDriver client: pages, elements, scripts, cookies.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Gives pages exactly this much room, in CSS pixels, as a telephone of that size would.
    ///
    /// # Panics
    /// If the browser refuses.
    pub async fn viewport(&self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": true });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// Takes the network away from the page, or gives it back. Open connections stay open.
    ///
    /// # Panics
    /// If the browser refuses.
    pub async fn offline(&self, offline: bool) {
        self.devtools("Network.enable", json!({})).await;
        let unlimited = -1;
        self.devtools(
            "Network.emulateNetworkConditions",
            json!({
                "offline": offline,
                "latency": 0,
                "downloadThroughput": unlimited,
                "uploadThroughput": unlimited,
            }),
        )
        .await;
    }

    /// Writes a picture (PNG) of what the viewport shows.
    ///
    /// # Panics
    /// If the browser refuses or the file cannot be written.
    pub async fn screenshot(&self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        let picture = self.client.screenshot().await;
        let picture = picture.unwrap_or_else(|error| panic!("no screenshot: {error}"));
        std::fs::write(path, picture)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    /// What pages wrote to the console since the last call, one `LEVEL message` an entry: errors
    /// in scripts, refused content, failed requests.
    ///
    /// # Panics
    /// If the browser refuses.
    pub async fn console(&self) -> Vec<String> {
        let log = self.command("se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or("?").to_owned();
        entries
            .iter()
            .map(|entry| format!("{} {}", text(entry, "level"), text(entry, "message")))
            .collect()
    }

    /// Sends a command of the Chrome DevTools protocol and returns its answer.
    ///
    /// # Panics
    /// If the browser refuses.
    pub async fn devtools(&self, method: &str, params: Value) -> Value {
        self.command(
            "goog/cdp/execute",
            json!({ "cmd": method, "params": params }),
        )
        .await
    }

    async fn command(&self, path: &'static str, body: Value) -> Value {
        let sent: Result<Value, CmdError> = self
            .client
            .issue_cmd(Extension {
                path,
                body: body.to_string(),
            })
            .await;
        sent.unwrap_or_else(|error| panic!("the browser refuses {path} {body}: {error}"))
    }
}

impl Drop for Browser {
    /// Ends the session, which ends the browser; chromedriver is killed after that.
    fn drop(&mut self) {
        // Without the runtime: a test that drops its browser may be at its very end. If this
        // fails, the browser ends with its parent, chromedriver.
        let _ = end_session(self.port.number(), &self.session);
        self.driver.kill9();
    }
}

/// `DELETE /session/<id>`, waiting for the answer.
fn end_session(port: u16, session: &str) -> std::io::Result<()> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        connection,
        "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    )?;
    connection.read(&mut [0; 64]).map(|_| ())
}

/// A command beyond WebDriver: `POST /session/<id>/<path>`.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: String,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(
        &self,
        base_url: &url::Url,
        session_id: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        let session = session_id.unwrap_or_default();
        base_url.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(self.body.clone()))
    }
}
