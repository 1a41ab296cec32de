//! What the contract reads from headers: the admission, the origin, what the caller accepts.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::clock::UnixMs;
use crate::id::EventId;

/// The header that carries an admission token, in requests and answers.
pub const ADMISSION_HEADER: HeaderName = HeaderName::from_static("ticketon-admission");

/// How an admission token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionSource {
    /// In the header: no other site can make a browser send it.
    Header,
    /// In the cookie: unsafe methods must prove their origin.
    Cookie,
}

/// The admission token of a request for this event, and how it came. The header wins.
#[must_use]
pub fn admission_from<'a>(
    headers: &'a HeaderMap,
    event: &EventId,
) -> Option<(&'a str, AdmissionSource)> {
    if let Some(value) = headers.get(ADMISSION_HEADER) {
        // A header that is not text is a wrong token, not a missing one.
        return Some((value.to_str().unwrap_or(""), AdmissionSource::Header));
    }
    cookie(headers, &cookie_name(event)).map(|token| (token, AdmissionSource::Cookie))
}

/// The `Set-Cookie` value that keeps an admission token, until it expires.
#[must_use]
pub fn admission_cookie(
    event: &EventId,
    token: &str,
    expires_at_ms: UnixMs,
    now: UnixMs,
    secure: bool,
) -> HeaderValue {
    let name = cookie_name(event);
    let seconds = (expires_at_ms - now).max(0) / 1_000;
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::try_from(text)
        .unwrap_or_else(|_| unreachable!("name and token are visible ASCII"));
    value.set_sensitive(true);
    value
}

/// `ticketon_admission_<room>`; bytes that cookie names must not have are `~` and two hexadecimal digits.
fn cookie_name(event: &EventId) -> String {
    let mut name = String::from("ticketon_admission_");
    for byte in event.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            name.push(char::from(byte));
        } else {
            name.push('~');
            for digit in [byte >> 4, byte & 15] {
                name.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
        }
    }
    name
}

/// The value of a cookie; the first of its name.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(other, _)| *other == name)
        .map(|(_, value)| value)
}

/// Whether a request comes from the page's own origin, or from no browser at all.
///
/// The browser's own word comes first: `Sec-Fetch-Site` of `same-origin`, or `none` when a person
/// typed the address. Otherwise the `Origin`, which browsers send with each unsafe request, must
/// name the host that was asked: `Host`, or the first `X-Forwarded-Host`. HTTP/2 has `:authority`
/// in the place of `Host`: adapters write it there. A proxy that asks with another `Host` than the
/// browser's must set `X-Forwarded-Host` to the browser's, in the place of one that the request
/// brought along. No page can set any of these without the consent of the site it asks.
#[must_use]
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if let Some(b"same-origin" | b"none") = site {
        return true;
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let Some((_, authority)) = origin.to_str().ok().and_then(|text| text.split_once("://"))
        else {
            return false;
        };
        return [header::HOST, HeaderName::from_static("x-forwarded-host")]
            .iter()
            .filter_map(|name| headers.get(name)?.to_str().ok()?.split(',').next())
            .any(|host| host.trim().eq_ignore_ascii_case(authority));
    }
    !matches!(site, Some(b"cross-site" | b"same-site"))
}

/// Whether a browser asks ahead, before anybody wants the answer.
#[must_use]
pub fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .map(str::to_ascii_lowercase)
        .any(|purpose| purpose.contains("prefetch") || purpose.contains("prerender"))
}

/// Whether a request that is refused wants a page rather than a problem.
#[must_use]
pub fn prefers_page(method: &Method, headers: &HeaderMap) -> bool {
    let reads = *method == Method::GET || *method == Method::HEAD;
    reads && accepts(headers, "text/html")
}

/// Whether the caller has the answer with this entity tag (`If-None-Match`). A proxy that compresses makes tags weak.
#[must_use]
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|other| other == "*" || other.strip_prefix("W/").unwrap_or(other) == tag)
}

/// Whether `Accept` names this type.
#[must_use]
pub fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|part| part.split(';').next())
        .any(|part| part.trim().eq_ignore_ascii_case(kind))
}

/// A return address, if it is a path of the same origin.
#[must_use]
pub fn safe_return(address: &str) -> Option<&str> {
    let own = address.starts_with('/')
        && !address.starts_with("//")
        && address.len() <= 2_048
        && !address.chars().any(|c| c.is_control() || c == '\\');
    own.then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (HeaderName::from_static(name), value)
            })
            .collect()
    }

    #[test]
    fn cookie_names_stay_apart() {
        let name = |id: &str| cookie_name(&EventId::new(id).unwrap());
        assert_eq!(name("demo-1.a_b"), "ticketon_admission_demo-1.a_b");
        assert_eq!(name("a b"), "ticketon_admission_a~20b");
        assert_ne!(name("a b"), name("a~20b"));
    }

    #[test]
    fn the_header_wins_over_the_cookie() {
        let event = EventId::new("demo").unwrap();
        let both = headers(&[
            ("cookie", "x=1; ticketon_admission_demo=from-cookie"),
            ("ticketon-admission", "from-header"),
        ]);
        assert_eq!(
            admission_from(&both, &event),
            Some(("from-header", AdmissionSource::Header))
        );
        let other = EventId::new("dem").unwrap();
        assert_eq!(
            admission_from(&headers(&[("cookie", "ticketon_admission_demo=a")]), &other),
            None
        );
    }

    #[test]
    fn other_origins_are_told_apart() {
        let own = [
            ("host", "shop.test:8080"),
            ("origin", "https://shop.test:8080"),
        ];
        assert!(is_same_origin(&headers(&own)));
        assert!(is_same_origin(&headers(&[("host", "shop.test")])));
        for origin in ["https://evil.test", "null", "https://shop.test:8081", ""] {
            let sent = headers(&[("host", "shop.test:8080"), ("origin", origin)]);
            assert!(!is_same_origin(&sent), "{origin}");
        }
        let site = headers(&[("host", "shop.test"), ("sec-fetch-site", "cross-site")]);
        assert!(!is_same_origin(&site));
    }

    #[test]
    fn the_browser_s_word_replaces_a_missing_host() {
        let origin = ("origin", "https://shop.test");
        for (site, same) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
        ] {
            let sent = headers(&[origin, ("sec-fetch-site", site)]);
            assert_eq!(is_same_origin(&sent), same, "{site}");
        }
        assert!(!is_same_origin(&headers(&[origin])));
        let proven = [
            origin,
            ("sec-fetch-site", "same-site"),
            ("host", "shop.test"),
        ];
        assert!(is_same_origin(&headers(&proven)));
    }

    #[test]
    fn a_proxy_names_the_host_that_was_asked() {
        let sent = [
            ("origin", "https://shop.test"),
            ("host", "10.0.0.7:8080"),
            ("x-forwarded-host", "shop.test, inner.test"),
        ];
        assert!(is_same_origin(&headers(&sent)));
        let inner = [("origin", "https://inner.test"), sent[1], sent[2]];
        assert!(!is_same_origin(&headers(&inner)));
    }

    #[test]
    fn browsers_say_when_they_ask_ahead() {
        for sent in [
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("purpose", "Prerender"),
            ("x-moz", "prefetch"),
        ] {
            assert!(is_prefetch(&headers(&[sent])), "{sent:?}");
        }
        assert!(!is_prefetch(&headers(&[("purpose", "preview")])));
        assert!(!is_prefetch(&headers(&[])));
    }

    #[test]
    fn return_addresses_stay_on_the_site() {
        assert_eq!(safe_return("/shop/1?a=b"), Some("/shop/1?a=b"));
        for bad in [
            "",
            "shop",
            "//evil.test",
            "/\\evil.test",
            "https://evil.test",
            "/a\nb",
            "/\\/x",
        ] {
            assert_eq!(safe_return(bad), None, "{bad}");
        }
    }
}
