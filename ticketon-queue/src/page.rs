//! The waiting page and its ES-module client, for any host.
//!
//! Static files without a build step, served under a strict content security policy: nothing
//! inline, nothing from elsewhere. The host says where its routes are; the page finds its way.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::http::{
    Access, Body, Code, Endpoint, Inbound, Op, Problem, Route, is_known, not_found, safe_return,
};
use crate::id::EventId;

const TEMPLATE: &str = include_str!("page/assets/waiting.html");

/// The files that the page loads.
const ASSETS: &[(&str, &[u8])] = &[
    ("client.js", include_bytes!("page/assets/client.js")),
    ("memory.js", include_bytes!("page/assets/memory.js")),
    ("sound.js", include_bytes!("page/assets/sound.js")),
    ("texts.js", include_bytes!("page/assets/texts.js")),
    (
        "waiting-view.js",
        include_bytes!("page/assets/waiting-view.js"),
    ),
    ("waiting.css", include_bytes!("page/assets/waiting.css")),
    ("waiting.js", include_bytes!("page/assets/waiting.js")),
];

/// Only the page's own origin, nothing inline, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The routes of the waiting page.
pub const PAGE_ROUTES: &[Route] = &[
    Route {
        op: Op::WAITING_PAGE,
        method: "GET",
        path: "/wait/{eventId}",
        access: Access::Public,
        body_limit: 0,
        request: None,
        response: None,
        summary: "The waiting page; ?return= says where to go once admitted",
    },
    Route {
        op: Op::ASSET,
        method: "GET",
        path: "/ticketon/{asset}",
        access: Access::Public,
        body_limit: 0,
        request: None,
        response: None,
        summary: "The files of the waiting page",
    },
];

/// What an event is called on the page, in the page's languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    english: String,
    korean: String,
}

impl Title {
    /// A title for each language.
    #[must_use]
    pub fn new(english: impl Into<String>, korean: impl Into<String>) -> Self {
        Self {
            english: english.into(),
            korean: korean.into(),
        }
    }

    /// In English.
    #[must_use]
    pub fn english(&self) -> &str {
        &self.english
    }

    /// In Korean.
    #[must_use]
    pub fn korean(&self) -> &str {
        &self.korean
    }
}

impl From<String> for Title {
    /// The same in every language.
    fn from(title: String) -> Self {
        Self::new(title.clone(), title)
    }
}

impl From<&str> for Title {
    fn from(title: &str) -> Self {
        Self::new(title, title)
    }
}

type TitleOf = Arc<dyn Fn(&EventId) -> Title + Send + Sync>;

/// The waiting page: an [`Endpoint`] that an adapter serves.
///
/// ```
/// use ticketon_queue::page::WaitingPage;
/// // The queue's routes are nested at /queue; once admitted, people go to the shop.
/// let page = WaitingPage::new()
///     .api_base("/queue")
///     .return_to("/shop/{event_id}")
///     .title(|event| format!("Tickets for {event}"));
/// # drop(page);
/// ```
#[derive(Clone)]
pub struct WaitingPage {
    api_base: String,
    assets_base: String,
    guest_url: String,
    home_url: String,
    return_to: String,
    title: TitleOf,
}

impl fmt::Debug for WaitingPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingPage")
            .field("api_base", &self.api_base)
            .field("return_to", &self.return_to)
            .finish_non_exhaustive()
    }
}

impl Default for WaitingPage {
    fn default() -> Self {
        Self::new()
    }
}

impl WaitingPage {
    /// A page whose routes, and the queue's, are at the host's root.
    #[must_use]
    pub fn new() -> Self {
        Self {
            api_base: String::new(),
            assets_base: "/ticketon".to_owned(),
            guest_url: String::new(),
            home_url: "/".to_owned(),
            return_to: "/".to_owned(),
            title: Arc::new(|event| event.as_str().into()),
        }
    }

    /// Where the queue's routes are nested, without a trailing slash.
    #[must_use]
    pub fn api_base(mut self, path: impl Into<String>) -> Self {
        self.api_base = path.into();
        self
    }

    /// Where the page's own routes are nested, without a trailing slash.
    #[must_use]
    pub fn nested_at(mut self, path: &str) -> Self {
        self.assets_base = format!("{path}/ticketon");
        self
    }

    /// Where the page may `POST` once to be identified, when the queue answers 401.
    #[must_use]
    pub fn guest_url(mut self, path: impl Into<String>) -> Self {
        self.guest_url = path.into();
        self
    }

    /// Where people go who have left.
    #[must_use]
    pub fn home_url(mut self, path: impl Into<String>) -> Self {
        self.home_url = path.into();
        self
    }

    /// Where admitted people go who came without a return address; `{event_id}` stands for the id.
    #[must_use]
    pub fn return_to(mut self, path: impl Into<String>) -> Self {
        self.return_to = path.into();
        self
    }

    /// What an event is called: a text, or a [`Title`] with one for each language.
    #[must_use]
    pub fn title<T: Into<Title>>(
        mut self,
        title: impl Fn(&EventId) -> T + Send + Sync + 'static,
    ) -> Self {
        self.title = Arc::new(move |event| title(event).into());
        self
    }

    /// The page of an event.
    #[must_use]
    pub fn render(&self, event: &EventId, return_to: Option<&str>) -> String {
        let fallback = self
            .return_to
            .replace("{event_id}", &crate::guard::percent_encode(event.as_str()));
        let return_to = return_to.and_then(safe_return).unwrap_or(&fallback);
        let title = (self.title)(event);
        fill(
            TEMPLATE,
            &[
                ("event_id", event.as_str()),
                ("event_title", &title.english),
                ("event_title_ko", &title.korean),
                ("api_base", &self.api_base),
                ("assets_base", &self.assets_base),
                ("guest_url", &self.guest_url),
                ("home_url", &self.home_url),
                ("return_to", return_to),
            ],
        )
    }
}

#[async_trait]
impl Endpoint for WaitingPage {
    fn routes(&self) -> &'static [Route] {
        PAGE_ROUTES
    }

    async fn call(&self, op: Op, request: Inbound) -> Response<Body> {
        match op {
            Op::WAITING_PAGE => {
                let id = request.params.get("eventId").unwrap_or_default();
                match EventId::new(id) {
                    Ok(event) => {
                        let return_to = request.query("return");
                        html(self.render(&event, return_to.as_deref()))
                    }
                    Err(error) => Problem::from(&error).into_response(),
                }
            }
            Op::ASSET => {
                let name = request.params.get("asset").unwrap_or_default();
                match ASSETS.iter().find(|(other, _)| *other == name) {
                    Some((name, bytes)) => file(&request.headers, name, bytes),
                    None => not_found(),
                }
            }
            _ => Problem::new(Code::NOT_FOUND).into_response(),
        }
    }
}

/// Fills `{{name}}` placeholders, HTML-escaped. What has no value stays empty.
#[must_use]
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some(from) = rest.find("{{") {
        page.push_str(&rest[..from]);
        rest = &rest[from + 2..];
        let Some(to) = rest.find("}}") else { break };
        let name = rest[..to].trim();
        if let Some((_, value)) = values.iter().find(|(other, _)| *other == name) {
            escape(value, &mut page);
        }
        rest = &rest[to + 2..];
    }
    page.push_str(rest);
    page
}

fn escape(text: &str, page: &mut String) {
    for character in text.chars() {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            other => page.push(other),
        }
    }
}

/// A page made for this request.
#[must_use]
pub fn html(page: String) -> Response<Body> {
    let mut response = Response::new(Body::Full(Bytes::from(page)));
    secure(response.headers_mut(), "text/html; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A static file: revalidated by its content, so that an update is seen at once.
#[must_use]
pub fn file(request: &HeaderMap, name: &str, bytes: &'static [u8]) -> Response<Body> {
    let digest = Sha256::digest(bytes);
    let tag: String = digest[..8].iter().map(|b| format!("{b:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let mut response = if is_known(request, &tag) {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(Body::Full(Bytes::from_static(bytes)))
    };
    let headers = response.headers_mut();
    secure(headers, content_type(name));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

fn secure(headers: &mut HeaderMap, content_type: &'static str) {
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_leave_no_placeholder() {
        let page = WaitingPage::new().title(|_| "<b>\"it's\" & {{x}}</b>".to_owned());
        let event = EventId::new("a\"><script>").unwrap();
        let html = page.render(&event, Some("/shop?a=1&b=2"));
        assert!(html.contains("data-event-id=\"a&quot;&gt;&lt;script&gt;\""));
        assert!(html.contains("&lt;b&gt;&quot;it&#39;s&quot; &amp; {{x}}&lt;/b&gt;"));
        assert!(html.contains("data-return-to=\"/shop?a=1&amp;b=2\""));
        assert!(!html.replace("{{x}}", "").contains("{{"));
    }

    #[test]
    fn people_return_to_this_site_alone() {
        let page = WaitingPage::new().return_to("/shop/{event_id}");
        let event = EventId::new("a b").unwrap();
        for foreign in [None, Some("//evil.test"), Some("https://evil.test")] {
            let html = page.render(&event, foreign);
            assert!(
                html.contains("data-return-to=\"/shop/a%20b\""),
                "{foreign:?}"
            );
        }
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/page/assets");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let served = name == "waiting.html" || ASSETS.iter().any(|(other, _)| *other == name);
            assert!(served, "{name}");
        }
    }

    #[test]
    fn files_are_revalidated() {
        let first = file(&HeaderMap::new(), "client.js", b"x");
        let tag = first.headers()[header::ETAG].clone();
        let again = HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]);
        assert_eq!(file(&again, "client.js", b"x").status(), 304);
        assert_eq!(file(&again, "client.js", b"y").status(), 200);
    }
}
