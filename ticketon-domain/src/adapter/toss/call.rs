//! One call over HTTP: sent once, answered within a bound of time and size.
//!
//! There are no repetitions here: whoever asks knows when asking again makes sense, and keeps the idempotency key.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;

use super::answer::{self, Refusal};
use super::code::{TossCode, loggable};
use super::error::TossError;
use crate::purchase::Payment;

/// The most bytes of an answer; a payment has a few thousand.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// The most characters of an error's message that are kept.
const MAX_MESSAGE_CHARS: usize = 500;

/// The longest that the provider may ask us to wait.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(Debug)]
pub(super) struct Caller {
    client: Client,
    base_url: Url,
    read_timeout: Duration,
}

impl Caller {
    pub(super) fn new(client: Client, base_url: Url, read_timeout: Duration) -> Self {
        Self {
            client,
            base_url,
            read_timeout,
        }
    }

    pub(super) fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// Looks something up.
    pub(super) async fn get(&self, path: &[&str]) -> Result<Payment, TossError> {
        self.send(self.client.get(self.url(path)?)).await
    }

    /// Moves money.
    pub(super) async fn post(
        &self,
        path: &[&str],
        key: &str,
        body: &Value,
    ) -> Result<Payment, TossError> {
        let key = Some(key).filter(|key| key.len() <= 300 && !key.is_empty());
        let key = key.and_then(|key| HeaderValue::try_from(key).ok());
        let key = key.ok_or(TossError::NotSent("the idempotency key is none"))?;
        let request = self
            .client
            .post(self.url(path)?)
            .header(IDEMPOTENCY_KEY, key);
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        self.send(request).await
    }

    fn url(&self, path: &[&str]) -> Result<Url, TossError> {
        let mut url = self.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| TossError::NotSent("the base URL has no path"))?
            .pop_if_empty()
            .extend(path);
        Ok(url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Payment, TossError> {
        let response = request.send().await.map_err(|error| self.broken(error))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(&response);
        let body = self.body(response).await?;
        if status == 200 {
            return answer::payment(&body).map_err(|why| TossError::Unreadable { status, why });
        }
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        let Some(code) = refusal.code else {
            return Err(TossError::Unreadable {
                status,
                why: "no error of the provider".to_owned(),
            });
        };
        Err(TossError::Answered {
            status,
            code: TossCode::parse(&code),
            message: loggable(&refusal.message.unwrap_or_default(), MAX_MESSAGE_CHARS),
            retry_after,
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, TossError> {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let why = format!("over {MAX_ANSWER_BYTES} bytes");
                return Err(TossError::Unreadable { status, why });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn broken(&self, error: reqwest::Error) -> TossError {
        if error.is_timeout() {
            return TossError::TimedOut(self.read_timeout);
        }
        // The address names the payment, and says nothing of what broke.
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        TossError::Broken(loggable(&text, MAX_MESSAGE_CHARS))
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}
