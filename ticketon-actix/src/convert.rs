//! Between the contract's types and actix-web's, which has an older `http` crate of its own.

use std::convert::Infallible;

use actix_web::dev::RequestHead;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::StreamExt as _;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method};
use ticketon_queue::http as contract;

/// An answer of the contract. Dropping the response drops its stream of events.
pub(crate) fn response(answer: http::Response<contract::Body>) -> HttpResponse {
    let (parts, body) = answer.into_parts();
    let status = StatusCode::from_u16(parts.status.as_u16());
    let mut builder = HttpResponseBuilder::new(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for (name, value) in &parts.headers {
        builder.append_header((name.as_str(), value.as_bytes()));
    }
    match body {
        contract::Body::Empty => builder.finish(),
        contract::Body::Full(bytes) => builder.body(bytes),
        contract::Body::Events(events) => {
            builder.streaming(events.map(|event| Ok::<_, Infallible>(event.to_bytes())))
        }
    }
}

/// The method of a request.
pub(crate) fn method(method: &actix_web::http::Method) -> Method {
    Method::from_bytes(method.as_str().as_bytes())
        .unwrap_or_else(|_| unreachable!("both versions take the same methods"))
}

/// The headers of a request, with the host that was asked: HTTP/2 names that in the URI alone.
pub(crate) fn headers(request: &RequestHead) -> http::HeaderMap {
    let headers = request.headers();
    let pairs = headers.iter().map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    let mut converted = http::HeaderMap::with_capacity(headers.len());
    converted.extend(pairs.flatten());
    if !converted.contains_key(HOST)
        && let Some(authority) = request.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        converted.insert(HOST, host);
    }
    converted
}

/// Adds headers of the contract to an answer: cookies beside others, the rest in the place of the answer's own.
pub(crate) fn append(
    headers: &mut HeaderMap,
    more: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
) {
    for (name, value) in more {
        let name = header::HeaderName::from_bytes(name.as_str().as_bytes());
        let value = header::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            if name == header::SET_COOKIE {
                headers.append(name, value);
            } else {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn host(uri: &str, host: Option<&str>) -> Option<HeaderValue> {
        let mut request = TestRequest::with_uri(uri);
        if let Some(host) = host {
            request = request.insert_header((header::HOST, host));
        }
        headers(request.to_http_request().head()).get(HOST).cloned()
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
