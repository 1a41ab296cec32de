//! Answers over HTTP, read to their end, and what tests ask of them.

use std::collections::BTreeSet;

use reqwest::RequestBuilder;
use reqwest::header::{HeaderMap, SET_COOKIE};
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub bytes: Vec<u8>,
    /// Its body as text; what is no UTF-8 is replaced.
    pub body: String,
}

/// Sends a request and reads the whole answer.
///
/// # Panics
/// If no whole answer comes.
pub async fn answer(request: RequestBuilder) -> Answer {
    let answer = request.send().await.expect("an answer");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let bytes = answer.bytes().await.expect("a whole body").to_vec();
    Answer {
        status,
        headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
        bytes,
    }
}

impl Answer {
    /// Checks the status.
    ///
    /// # Panics
    /// If it is another.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("no JSON: {error}: {:?}", self.body))
    }

    /// A header that is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The `Set-Cookie` line of a cookie.
    #[must_use]
    pub fn set_cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.get_all(SET_COOKIE).iter();
        lines
            .filter_map(|line| line.to_str().ok())
            .find(|line| line.split('=').next() == Some(name))
    }

    /// The value of a cookie that the answer sets.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let pair = self.set_cookie(name)?.split(';').next()?;
        Some(pair.split_once('=')?.1.to_owned())
    }

    /// Checks that it is a problem with this status and code, and returns it.
    ///
    /// # Panics
    /// If it is anything else.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{code} expected: {}", self.body);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        problem
    }

    /// Checks that it is 422 and names this field, and returns the range.
    ///
    /// # Panics
    /// If it is anything else.
    #[track_caller]
    pub fn refuses(self, field: &str) -> String {
        let problem = self.problem(422, "invalid");
        let errors = problem["errors"].as_array().expect("errors").iter();
        let named = errors.clone().find(|error| error["field"] == field);
        let named = named.unwrap_or_else(|| panic!("{field} is not named: {problem}"));
        named["range"].as_str().expect("a range").to_owned()
    }
}

/// The names of an object's fields.
///
/// # Panics
/// If it is no object.
#[track_caller]
#[must_use]
pub fn fields(value: &Value) -> BTreeSet<&str> {
    let object = value.as_object().unwrap_or_else(|| panic!("{value}"));
    object.keys().map(String::as_str).collect()
}
