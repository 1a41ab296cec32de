//! Idempotency keys: a request that is sent again gets the answer of the first.
//!
//! A key belongs to a person and an operation, and is bound to what was asked with it. The first answer that will not
//! change is kept and given again to the letter. While a request runs, its retry is told to wait; whoever runs it has
//! a lease, so a crash blocks the key for that long and no longer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ticketon_queue::http::{Body, Code, Problem};
use ticketon_queue::{QueueError, UnixMs};

use super::problem::SOON;
use crate::http::{FAULT, IDEMPOTENCY_MISMATCH, STILL_RUNNING};
use crate::purchase::correlation::correlated;
use crate::purchase::{Begun, Purchases, RequestEnd, RequestKey};

/// How long a request has its key for itself, unless the host says otherwise.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// What is asked once.
pub(super) struct Asked {
    pub(super) key: RequestKey,
    /// [`hash_of`] all that was asked.
    pub(super) hash: String,
    pub(super) lease: Duration,
}

/// Names what was asked, so that the same key is not good for something else.
pub(super) fn hash_of(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// An answer as it is kept: all that goes over the wire.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Kept {
    /// An answer, if it is one for good: what may change when it is asked again is not kept, nor that there is no such
    /// thing, which is the same without being kept and could be asked of any number of things.
    fn of(response: &Response<Body>) -> Option<Self> {
        let status = response.status();
        let will_change = status.is_server_error()
            || status == StatusCode::ACCEPTED
            || status == StatusCode::NOT_FOUND
            || response.headers().contains_key(header::RETRY_AFTER);
        let Body::Full(body) = response.body() else {
            return None;
        };
        if will_change {
            return None;
        }
        let headers = response.headers().iter().map(|(name, value)| {
            let value = value.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        Some(Self {
            status: status.as_u16(),
            headers: headers.collect::<Option<_>>()?,
            body: std::str::from_utf8(body).ok()?.to_owned(),
        })
    }

    /// The same answer again.
    fn into_response(self) -> Option<Response<Body>> {
        let mut response = Response::new(Body::Full(Bytes::from(self.body)));
        *response.status_mut() = StatusCode::from_u16(self.status).ok()?;
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            response.headers_mut().append(name, value.parse().ok()?);
        }
        Some(response)
    }
}

/// Does what a request asks, unless it was done before, and goes on when the caller hangs up: who asks again finds what
/// came of it. It may have been done before, by who died or was not answered for good: `work` must bear that.
pub(super) async fn once(
    purchases: &Purchases,
    asked: Asked,
    correlation: Option<String>,
    work: impl Future<Output = Result<Response<Body>, Problem>> + Send + 'static,
) -> Result<Response<Body>, Problem> {
    let purchases = purchases.clone();
    to_its_end(
        correlation,
        async move { begun(&purchases, &asked, work).await },
    )
    .await
}

/// Does something to its end, also when the caller hangs up: broken off, an order would be nobody's until its lease ends.
pub(super) async fn to_its_end(
    correlation: Option<String>,
    work: impl Future<Output = Result<Response<Body>, Problem>> + Send + 'static,
) -> Result<Response<Body>, Problem> {
    match tokio::spawn(correlated(correlation, work)).await {
        Ok(answer) => answer,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => {
                Err(Problem::new(Code::STORE_UNAVAILABLE).detail("this server is going away"))
            }
        },
    }
}

async fn begun(
    purchases: &Purchases,
    asked: &Asked,
    work: impl Future<Output = Result<Response<Body>, Problem>>,
) -> Result<Response<Body>, Problem> {
    let (store, clock) = (purchases.store(), purchases.clock());
    let (key, now_ms) = (&asked.key, clock.now_ms());
    let lease_ms = UnixMs::try_from(asked.lease.as_millis()).unwrap_or(UnixMs::MAX);
    let until_ms = now_ms.saturating_add(lease_ms);
    let begun = store.begin_request(key, &asked.hash, now_ms, until_ms);
    match begun.await.map_err(QueueError::Store)? {
        Begun::Go => {}
        Begun::Running { .. } => return Err(still_running()),
        Begun::Mismatch => return Err(Problem::new(IDEMPOTENCY_MISMATCH)),
        Begun::Answered(text) => {
            let kept: Option<Kept> = serde_json::from_str(&text).ok();
            return kept.and_then(Kept::into_response).ok_or_else(|| {
                tracing::error!(target: "ticketon::http", operation = key.operation, "a kept answer cannot be read");
                Problem::new(FAULT)
            });
        }
    }
    let response = tokio::select! {
        answer = work => answer.unwrap_or_else(Problem::into_response),
        // Given up before the lease ends, so that the next never runs beside it. Nothing is undone: the order goes its
        // way.
        () = clock.sleep(asked.lease / 12 * 11) => return Err(still_running()),
    };
    let kept = Kept::of(&response).and_then(|kept| serde_json::to_string(&kept).ok());
    let end = match &kept {
        Some(kept) => RequestEnd::Answered(kept),
        // Nothing was found to do it to, and that is so without being remembered.
        None if response.status() == StatusCode::NOT_FOUND => RequestEnd::Forgotten,
        None => RequestEnd::Again,
    };
    if let Err(error) = store.end_request(key, end).await {
        // It is done all the same. Who asks again is told to wait until the lease ends, and finds it done then.
        tracing::warn!(target: "ticketon::http", error = &error as &dyn std::error::Error,
            operation = key.operation, "an answer could not be kept");
    }
    Ok(response)
}

fn still_running() -> Problem {
    Problem::new(STILL_RUNNING)
        .detail("a request with this idempotency key is still running")
        .retry_after(SOON)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ticketon_queue::http::json_response;

    use super::*;

    fn answer(status: u16, body: &str) -> Response<Body> {
        let mut response = json_response(StatusCode::from_u16(status).unwrap(), &());
        *response.body_mut() = Body::Full(Bytes::from(body.to_owned()));
        response
    }

    /// All that goes over the wire.
    fn wire(response: &Response<Body>) -> (StatusCode, http::HeaderMap, Bytes) {
        let Body::Full(body) = response.body() else {
            panic!("a whole body");
        };
        (response.status(), response.headers().clone(), body.clone())
    }

    fn again(response: &Response<Body>) -> Option<Response<Body>> {
        let text = serde_json::to_string(&Kept::of(response)?).unwrap();
        serde_json::from_str::<Kept>(&text).unwrap().into_response()
    }

    #[test]
    fn what_may_change_is_not_kept() {
        for status in [202, 404, 500, 503] {
            assert!(Kept::of(&answer(status, "{}")).is_none(), "{status}");
        }
        assert!(Kept::of(&still_running().into_response()).is_none());
        for status in [200, 402, 409, 410, 422] {
            assert!(Kept::of(&answer(status, "{}")).is_some(), "{status}");
        }
    }

    #[test]
    fn a_problem_is_given_again_as_it_was() {
        let first = Problem::new(IDEMPOTENCY_MISMATCH).detail("\u{1F3AB} \"x\"");
        let first = first.into_response();
        assert_eq!(wire(&again(&first).unwrap()), wire(&first));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(hash_of(&["a", "bc"]), hash_of(&["ab", "c"]));
        assert_ne!(hash_of(&["a"]), hash_of(&["a", ""]));
    }

    proptest! {
        #[test]
        fn an_answer_is_given_again_to_the_byte(
            status in prop::sample::select(vec![200_u16, 402, 409, 410, 422]),
            body in "\\PC{0,200}|[ -~\\n\\t]{0,200}",
        ) {
            let first = answer(status, &body);
            prop_assert_eq!(wire(&again(&first).unwrap()), wire(&first));
        }
    }
}
