//! Connecting to a stream and waiting for its events.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};

use super::{SseEvent, SseParser};
use crate::tls::speak_tls;

/// Blocks that a client keeps for [`SseClient::seen`].
const KEPT_BLOCKS: usize = 10_000;

/// A request for a stream.
#[derive(Debug, Clone)]
pub struct SseRequest {
    url: String,
    headers: HeaderMap,
    client: Option<reqwest::Client>,
}

/// An open stream of server-sent events. Dropping it closes the connection.
///
/// It never connects again by itself: [`Self::last_event_id`] is what a browser would then send.
///
/// ```no_run
/// # async fn example() -> Result<(), ticketon_tests::ConnectError> {
/// use std::time::Duration;
/// use ticketon_tests::SseClient;
/// let mut stream = SseClient::request("http://127.0.0.1:8080/events/e1/tickets/waiting")
///     .bearer("token")
///     .connect()
///     .await?;
/// let admitted = stream.until(|event| event.event == "admitted", Duration::from_secs(10)).await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SseClient {
    answer: reqwest::Response,
    headers: HeaderMap,
    parser: SseParser,
    seen: VecDeque<SseEvent>,
    last_event_id: Option<String>,
    end: Option<String>,
}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server could not be reached, or cut the connection.
    #[error("no answer")]
    Transport(#[from] reqwest::Error),
    /// The server answered, but not with 200 and an event stream.
    #[error("the server answered {status}: {body}")]
    Refused {
        /// The status of the answer.
        status: StatusCode,
        /// The headers of the answer.
        headers: Box<HeaderMap>,
        /// The body, as text.
        body: String,
    },
}

impl ConnectError {
    /// The status that the server refused with.
    ///
    /// # Panics
    /// If the server did not answer at all.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused { status, .. } => *status,
            Self::Transport(error) => panic!("the server did not answer: {error:?}"),
        }
    }
}

impl SseRequest {
    /// Adds a header.
    ///
    /// # Panics
    /// If the value is not valid in a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, header_value(value));
        self
    }

    /// Identifies the caller by a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// Sends a `Cookie` header, such as `name=value`.
    #[must_use]
    pub fn cookie(self, cookie: &str) -> Self {
        self.header(COOKIE.as_str(), cookie)
    }

    /// Connects as a browser does that had seen this event.
    #[must_use]
    pub fn last_event_id(self, id: &str) -> Self {
        self.header("last-event-id", id)
    }

    /// Uses this HTTP client, with its cookies and pool.
    #[must_use]
    pub fn client(mut self, client: &reqwest::Client) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// Connects, and returns once the headers of the answer are here.
    ///
    /// # Errors
    /// [`ConnectError`] if the server is not there or refuses.
    pub async fn connect(self) -> Result<SseClient, ConnectError> {
        speak_tls();
        let client = self.client.unwrap_or_default();
        let answer = client
            .get(&self.url)
            .header(ACCEPT, "text/event-stream")
            .header("cache-control", "no-store")
            .headers(self.headers)
            .send()
            .await?;
        let headers = answer.headers().clone();
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim();
        if answer.status() != StatusCode::OK || !kind.eq_ignore_ascii_case("text/event-stream") {
            let status = answer.status();
            let body = answer.text().await?;
            return Err(ConnectError::Refused {
                status,
                headers: Box::new(headers),
                body,
            });
        }
        Ok(SseClient {
            answer,
            headers,
            parser: SseParser::default(),
            seen: VecDeque::new(),
            last_event_id: None,
            end: None,
        })
    }
}

impl SseClient {
    /// Connects with these headers; [`Self::request`] has names for the usual ones.
    ///
    /// # Errors
    /// [`ConnectError`] if the server is not there or refuses.
    pub async fn connect(url: &str, headers: HeaderMap) -> Result<Self, ConnectError> {
        SseRequest {
            headers,
            ..Self::request(url)
        }
        .connect()
        .await
    }

    /// Prepares a request.
    #[must_use]
    pub fn request(url: &str) -> SseRequest {
        SseRequest {
            url: url.to_owned(),
            headers: HeaderMap::new(),
            client: None,
        }
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The next message, as a browser would dispatch it; `None` if the stream ended
    /// ([`Self::is_ended`]) or none came within `bound`.
    pub async fn next_event(&mut self, bound: Duration) -> Option<SseEvent> {
        let deadline = Instant::now() + bound;
        loop {
            let block = self.block_before(deadline).await?;
            if block.is_message() {
                return Some(block);
            }
        }
    }

    /// The next block, also one of comments or `retry:` alone; `None` as for
    /// [`Self::next_event`].
    pub async fn next_block(&mut self, bound: Duration) -> Option<SseEvent> {
        self.block_before(Instant::now() + bound).await
    }

    /// Reads until a block is as wanted, and returns that.
    ///
    /// # Panics
    /// If the stream ends or `bound` passes before; the message has the last blocks.
    pub async fn until(
        &mut self,
        mut wanted: impl FnMut(&SseEvent) -> bool,
        bound: Duration,
    ) -> SseEvent {
        let deadline = Instant::now() + bound;
        while let Some(block) = self.block_before(deadline).await {
            if wanted(&block) {
                return block;
            }
        }
        let why = match &self.end {
            Some(end) => format!("the stream ended ({end})"),
            None => format!("{bound:?} passed"),
        };
        let last: Vec<_> = self.seen.iter().rev().take(10).rev().collect();
        panic!(
            "{why} before the wanted event; {} came, the last: {last:#?}",
            self.seen.len()
        )
    }

    /// Reads to the end of the stream and returns the messages that came.
    ///
    /// # Panics
    /// If the stream is still open after `bound`.
    pub async fn until_end(&mut self, bound: Duration) -> Vec<SseEvent> {
        let deadline = Instant::now() + bound;
        let mut messages = Vec::new();
        while let Some(block) = self.block_before(deadline).await {
            messages.extend(Some(block).filter(SseEvent::is_message));
        }
        assert!(
            self.is_ended(),
            "the stream is still open after {bound:?}; it sent {messages:#?}"
        );
        messages
    }

    /// Whether the server ended the stream, or the connection broke.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    /// The blocks read so far (the last ten thousand), in their order.
    pub fn seen(&self) -> impl DoubleEndedIterator<Item = &SseEvent> {
        self.seen.iter()
    }

    /// The id that a browser would send when it connects again.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    async fn block_before(&mut self, deadline: Instant) -> Option<SseEvent> {
        loop {
            if let Some(block) = self.parser.next_block() {
                if block.id.is_some() {
                    self.last_event_id.clone_from(&block.id);
                }
                if self.seen.len() == KEPT_BLOCKS {
                    self.seen.pop_front();
                }
                self.seen.push_back(block.clone());
                return Some(block);
            }
            if self.is_ended() {
                return None;
            }
            match timeout_at(deadline, self.answer.chunk()).await.ok()? {
                Ok(Some(bytes)) => self.parser.push(&bytes),
                Ok(None) => self.end = Some("by the server".to_owned()),
                Err(error) => self.end = Some(format!("{error:?}")),
            }
        }
    }
}

fn header_value(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|error| panic!("{value:?} in a header: {error}"))
}
