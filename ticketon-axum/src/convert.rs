//! Between the contract's types and axum's.

use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;

use axum::body::Body;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response as HttpResponse};
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

/// The headers of a request, with the host that was asked: HTTP/2 names that in the URI alone.
pub(crate) fn headers(parts: &Parts) -> Cow<'_, HeaderMap> {
    let mut headers = Cow::Borrowed(&parts.headers);
    if !headers.contains_key(HOST)
        && let Some(authority) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        headers.to_mut().insert(HOST, host);
    }
    headers
}

/// Whether collecting a body failed because it is over its limit.
pub(crate) fn is_over_limit(error: &axum::Error) -> bool {
    std::iter::successors(error.source(), |error| (*error).source())
        .any(<dyn Error>::is::<LengthLimitError>)
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;

    use super::*;

    fn host(uri: &str, host: Option<&str>) -> Option<HeaderValue> {
        let request = Request::get(uri);
        let request = match host {
            Some(host) => request.header(HOST, host),
            None => request,
        };
        let (parts, ()) = request.body(()).unwrap().into_parts();
        headers(&parts).get(HOST).cloned()
    }

    #[test]
    fn the_host_is_known_in_every_version_of_http() {
        let over_http2 = host("https://shop.test:8443/queue", None);
        assert_eq!(over_http2.unwrap(), "shop.test:8443");
        assert_eq!(host("/queue", Some("shop.test")).unwrap(), "shop.test");
        // A proxy's address does not take the place of what the client asked for.
        let both = host("http://inside.test/queue", Some("shop.test"));
        assert_eq!(both.unwrap(), "shop.test");
        assert_eq!(host("/queue", None), None);
    }
}
