//! What ties the work of one request together in logs, orders and messages.

use std::future::Future;

tokio::task_local! {
    static CORRELATION: String;
}

/// The most characters of a correlation id that are kept.
const MAX_CHARS: usize = 128;

/// Runs work under a correlation id: orders that it makes, and all that follows from them, carry it.
pub async fn correlated<F: Future>(id: Option<String>, work: F) -> F::Output {
    match id {
        Some(id) => {
            let id = id.chars().take(MAX_CHARS).collect();
            CORRELATION.scope(id, work).await
        }
        None => work.await,
    }
}

/// The correlation id of the work that runs.
#[must_use]
pub fn correlation() -> Option<String> {
    CORRELATION.try_with(Clone::clone).ok()
}
