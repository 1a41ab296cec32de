//! Between the contract's types and axum's.

use std::convert::Infallible;
use std::error::Error;

use axum::body::Body;
use axum::http::Response as HttpResponse;
use axum::response::Response;
use futures_util::StreamExt as _;
use http_body_util::LengthLimitError;
use ticketon_queue::http as contract;

/// An answer of the contract. Dropping the response drops its stream of events.
pub fn response(answer: HttpResponse<contract::Body>) -> Response {
    answer.map(|body| match body {
        contract::Body::Empty => Body::empty(),
        contract::Body::Full(bytes) => Body::from(bytes),
        contract::Body::Events(events) => {
            Body::from_stream(events.map(|event| Ok::<_, Infallible>(event.to_bytes())))
        }
    })
}

/// Whether collecting a body failed because it is over its limit.
pub(crate) fn is_over_limit(error: &axum::Error) -> bool {
    std::iter::successors(error.source(), |error| (*error).source())
        .any(<dyn Error>::is::<LengthLimitError>)
}
