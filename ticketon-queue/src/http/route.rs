//! The route table, and what goes in and out of a call.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderMap, Method, Response};

use super::identity::Principal;
use super::problem::{Code, Problem};
use super::sse::SseEvent;

/// What a route does, by name: unique among the routes of an [`Endpoint`].
///
/// The waiting room's are the constants here; an endpoint of another crate names its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Op(&'static str);

impl Op {
    /// Join, stream or poll.
    pub const JOIN: Self = Self("join");
    /// Look, without joining.
    pub const STATUS: Self = Self("status");
    /// Leave, waiting or admitted.
    pub const LEAVE: Self = Self("leave");
    /// The own lease.
    pub const ENTRY: Self = Self("entry");
    /// The draw: its commitment, and after the opening its key.
    pub const DRAW: Self = Self("draw");
    /// All rooms' numbers, by pages.
    pub const LIST_ROOMS: Self = Self("listRooms");
    /// One room's numbers.
    pub const GET_ROOM: Self = Self("getRoom");
    /// Make or change a room.
    pub const PUT_ROOM: Self = Self("putRoom");
    /// Change a room's state.
    pub const CHANGE_ROOM: Self = Self("changeRoom");
    /// The waiting page.
    pub const WAITING_PAGE: Self = Self("waitingPage");
    /// A file that a page needs.
    pub const ASSET: Self = Self("asset");

    /// An operation of this name, in camelCase.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name, as in an OpenAPI document's `operationId`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Anybody.
    Public,
    /// Whoever the host has identified.
    Identified,
    /// An identified person with a live admission to the event.
    Admitted,
    /// Whoever carries the admin token.
    Admin,
}

/// One route: what an adapter needs to register it and a document needs to describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// What it does.
    pub op: Op,
    /// Its method.
    pub method: &'static str,
    /// Its path, with `{name}` for parameters.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// The most bytes its body may have.
    pub body_limit: usize,
    /// The JSON shape of its body, by name.
    pub request: Option<&'static str>,
    /// The JSON shape of its answer, by name.
    pub response: Option<&'static str>,
    /// One line for people.
    pub summary: &'static str,
}

impl Route {
    /// Its method, typed.
    #[must_use]
    pub fn method(&self) -> Method {
        Method::from_bytes(self.method.as_bytes()).unwrap_or(Method::GET)
    }

    /// The paths to register: its own, and that of an empty event id, which routers do not match
    /// to a parameter. It leads to the same call, which names the empty field.
    pub fn paths(&self) -> impl Iterator<Item = String> + use<> {
        let own = self.path.to_owned();
        let of_empty_id = self.path.replace("{eventId}", "");
        let differs = of_empty_id != own;
        std::iter::once(own).chain(differs.then_some(of_empty_id))
    }

    /// What `Allow` says of a path with these routes: their methods, and `HEAD` with `GET`.
    #[must_use]
    pub fn allow<'a>(routes: impl IntoIterator<Item = &'a Self>) -> String {
        let mut allow = String::new();
        for route in routes {
            let separator = if allow.is_empty() { "" } else { ", " };
            let head = if route.method == "GET" { ", HEAD" } else { "" };
            allow.push_str(&format!("{separator}{}{head}", route.method));
        }
        allow
    }
}

/// Whether a path can be decoded: two hexadecimal digits after each `%`, and UTF-8 in the end.
/// Routers differ in what they make of others; adapters answer them with [`undecodable`].
#[must_use]
pub fn is_decodable(path: &str) -> bool {
    let mut bytes = path.bytes();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return false;
        };
        decoded.extend(u8::try_from(high * 16 + low));
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// What a path answers that [cannot be decoded](is_decodable).
#[must_use]
pub fn undecodable() -> Problem {
    Problem::new(Code::MALFORMED).detail("the path is not percent-encoded UTF-8")
}

/// The routes for people who wait.
pub const ROUTES: &[Route] = &[
    Route {
        op: Op::JOIN,
        method: "GET",
        path: "/events/{eventId}/tickets/waiting",
        access: Access::Identified,
        body_limit: 0,
        request: None,
        response: Some("Place"),
        summary: "Join; stream with Accept: text/event-stream, answer once with application/json",
    },
    Route {
        op: Op::LEAVE,
        method: "DELETE",
        path: "/events/{eventId}/tickets/waiting",
        access: Access::Identified,
        body_limit: 0,
        request: None,
        response: None,
        summary: "Leave, waiting or admitted",
    },
    Route {
        op: Op::STATUS,
        method: "GET",
        path: "/events/{eventId}/tickets/waiting/status",
        access: Access::Identified,
        body_limit: 0,
        request: None,
        response: Some("Place"),
        summary: "Look, without joining",
    },
    Route {
        op: Op::ENTRY,
        method: "GET",
        path: "/events/{eventId}/tickets/entry",
        access: Access::Admitted,
        body_limit: 0,
        request: None,
        response: Some("Entry"),
        summary: "The own lease; claims it",
    },
    Route {
        op: Op::DRAW,
        method: "GET",
        path: "/events/{eventId}/draw",
        access: Access::Public,
        body_limit: 0,
        request: None,
        response: Some("Draw"),
        summary: "The draw: its commitment, and after the opening its key",
    },
];

/// The routes for operators.
pub const ADMIN_ROUTES: &[Route] = &[
    Route {
        op: Op::LIST_ROOMS,
        method: "GET",
        path: "/admin/rooms",
        access: Access::Admin,
        body_limit: 0,
        request: None,
        response: Some("Rooms"),
        summary: "All rooms' numbers: ?limit= (1 to 1000) and ?after= page through them",
    },
    Route {
        op: Op::GET_ROOM,
        method: "GET",
        path: "/admin/rooms/{eventId}",
        access: Access::Admin,
        body_limit: 0,
        request: None,
        response: Some("Numbers"),
        summary: "One room's numbers",
    },
    Route {
        op: Op::PUT_ROOM,
        method: "PUT",
        path: "/admin/rooms/{eventId}",
        access: Access::Admin,
        body_limit: 16 * 1024,
        request: Some("Config"),
        response: Some("Numbers"),
        summary: "Make or change a room",
    },
    Route {
        op: Op::CHANGE_ROOM,
        method: "POST",
        path: "/admin/rooms/{eventId}/{verb}",
        access: Access::Admin,
        body_limit: 1024,
        request: None,
        response: Some("Numbers"),
        summary: "Change a room's state: open, pause, resume, drain, soldOut, close",
    },
];

/// The path parameters of a call, percent-decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The parameter with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// A call, as an adapter hands it over.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// The method: `HEAD` reaches `GET` routes.
    pub method: Method,
    /// The path parameters.
    pub params: Params,
    /// The query, without `?`.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// Who calls, as the host identified them.
    pub caller: Option<Principal>,
    /// The body, collected under the route's limit.
    pub body: Bytes,
}

impl Inbound {
    /// A query parameter, percent-decoded; the first of its name.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.query.as_deref()?;
        form_urlencoded::parse(query.as_bytes())
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// The body of an answer.
pub enum Body {
    /// Nothing.
    Empty,
    /// All of it.
    Full(Bytes),
    /// Server-sent events, until the stream ends.
    Events(BoxStream<'static, SseEvent>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Full(bytes) => f.debug_tuple("Full").field(&bytes.len()).finish(),
            Self::Events(_) => f.write_str("Events(..)"),
        }
    }
}

/// A set of routes that an adapter can serve.
#[async_trait]
pub trait Endpoint: Send + Sync + 'static {
    /// The routes.
    fn routes(&self) -> &'static [Route];

    /// Whether a call may come in, by its headers alone. An adapter asks before it reads the body, so that nobody who is
    /// refused anyway makes it collect one; [`call`](Self::call) judges once more.
    ///
    /// # Errors
    /// What the caller is answered.
    fn admit(&self, op: Op, headers: &HeaderMap) -> Result<(), Problem> {
        let _ = (op, headers);
        Ok(())
    }

    /// Answers a call to one of them.
    async fn call(&self, op: Op, request: Inbound) -> Response<Body>;
}

/// What a known path answers to a method it does not have.
#[must_use]
pub fn method_not_allowed(allow: &str) -> Response<Body> {
    let mut response = Problem::new(Code::METHOD_NOT_ALLOWED)
        .detail(format!("this path answers to {allow}"))
        .into_response();
    if let Ok(allow) = http::HeaderValue::from_str(allow) {
        response.headers_mut().insert(http::header::ALLOW, allow);
    }
    response
}

/// What an unknown path answers.
#[must_use]
pub fn not_found() -> Response<Body> {
    Problem::new(Code::NOT_FOUND).into_response()
}

/// What a body over the route's limit answers.
#[must_use]
pub fn too_large(limit: usize) -> Response<Body> {
    Problem::new(Code::TOO_LARGE)
        .detail(format!("the body may have at most {limit} bytes"))
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decodable_or_not() {
        for good in ["/events/a", "/a%20b/%ED%95%9C", "/%25zz", "/%00", "/한"] {
            assert!(is_decodable(good), "{good}");
        }
        for bad in ["/%", "/%2", "/%zz", "/%ff", "/%ED%95", "/a%+1"] {
            assert!(!is_decodable(bad), "{bad}");
        }
    }

    #[test]
    fn an_empty_id_has_a_path() {
        let paths: Vec<String> = ROUTES[0].paths().collect();
        assert_eq!(
            paths,
            [
                "/events/{eventId}/tickets/waiting",
                "/events//tickets/waiting"
            ]
        );
        assert_eq!(ADMIN_ROUTES[0].paths().count(), 1);
    }

    #[test]
    fn allow_names_each_method() {
        assert_eq!(Route::allow(&ROUTES[..2]), "GET, HEAD, DELETE");
    }
}
