//! Whose money, where and how long: the settings of the client, checked before the first call.
//!
//! Keys come in pairs: of the test or the live world, of the API or the payment widget. A pair that does not
//! belong together fails only at the first payment, so it is refused here.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT_LANGUAGE, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use ticketon_queue::{ConfigError, FieldError};

use super::TossPayments;
use super::call::Caller;
use crate::purchase::CheckoutInfo;

/// Where the provider listens.
const BASE_URL: &str = "https://api.tosspayments.com";

/// How long a call may take, unless the builder says otherwise: the provider names no bound of its own.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A buyer's authentication lives for ten minutes; one more for a call under way.
const WINDOW: Duration = Duration::from_secs(11 * 60);

/// Makes the provider fail as told, with test keys.
const TEST_CODE: HeaderName = HeaderName::from_static("tosspayments-test-code");

/// Kinds of keys: how a secret key begins, and the client key that goes with it.
const PAIRS: [(&str, &str); 4] = [
    ("test_sk", "test_ck"),
    ("live_sk", "live_ck"),
    ("test_gsk", "test_gck"),
    ("live_gsk", "live_gck"),
];

/// Builds [`TossPayments`].
pub struct TossPaymentsBuilder {
    secret_key: String,
    client_key: Option<String>,
    pay_url: Option<String>,
    base_url: String,
    language: String,
    read_timeout: Duration,
    window: Duration,
    test_code: Option<String>,
}

impl fmt::Debug for TossPaymentsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TossPaymentsBuilder")
            .field("base_url", &self.base_url)
            .field("language", &self.language)
            .field("read_timeout", &self.read_timeout)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl TossPaymentsBuilder {
    pub(super) fn new(secret_key: String) -> Self {
        Self {
            secret_key,
            client_key: None,
            pay_url: None,
            base_url: BASE_URL.to_owned(),
            language: "en-US".to_owned(),
            read_timeout: READ_TIMEOUT,
            window: WINDOW,
            test_code: None,
        }
    }

    /// The public key with which browsers open the payment window.
    #[must_use]
    pub fn client_key(mut self, key: impl Into<String>) -> Self {
        self.client_key = Some(key.into());
        self
    }

    /// A page that stands in for the payment window, as test servers have.
    #[must_use]
    pub fn pay_url(mut self, url: impl Into<String>) -> Self {
        self.pay_url = Some(url.into());
        self
    }

    /// Where the provider listens; by default `https://api.tosspayments.com`. Without TLS only on this machine.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The language of messages and of words like the method, by default `en-US`; `ko-KR` is the other.
    #[must_use]
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.language = language.into();
        self
    }

    /// How long a call may take until its outcome counts as unknown, by default 30 s.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// How long after a confirm began the payment may still become charged, by default 11 minutes.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Makes each call fail with this code; the provider heeds it with test keys alone.
    #[must_use]
    pub fn test_code(mut self, code: impl Into<String>) -> Self {
        self.test_code = Some(code.into());
        self
    }

    /// The client. It connects with the first call.
    ///
    /// # Errors
    /// [`ConfigError`] with every field that is wrong, never with a key's text.
    pub fn build(self) -> Result<TossPayments, ConfigError> {
        let mut fields = Vec::new();
        let mut refuse = |field: &str, value: &str, range: &str| {
            fields.push(FieldError::new(field, value, range));
        };
        let pair = PAIRS
            .iter()
            .find(|(secret, _)| self.secret_key.starts_with(secret));
        if pair.is_none() || !self.secret_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            refuse(
                "secretKey",
                "(hidden)",
                "a key that begins with test_sk, live_sk, test_gsk or live_gsk",
            );
        }
        if let (Some((secret, client)), Some(key)) = (pair, &self.client_key)
            && !key.starts_with(client)
        {
            let range =
                format!("a key that begins with {client}, as the secret key begins with {secret}");
            // Perhaps the secret key, put into the wrong place.
            refuse("clientKey", "(hidden)", &range);
        }
        let base_url = Url::parse(&self.base_url).ok().filter(is_private);
        if base_url.is_none() {
            refuse(
                "baseUrl",
                &self.base_url,
                "an https address, or an http address of this machine",
            );
        }
        if self.read_timeout < Duration::from_millis(10)
            || self.read_timeout > Duration::from_secs(300)
        {
            refuse(
                "readTimeout",
                &format!("{:?}", self.read_timeout),
                "10ms to 300s",
            );
        }
        if self.window <= self.read_timeout {
            refuse(
                "window",
                &format!("{:?}", self.window),
                "more than readTimeout",
            );
        }
        if self.test_code.is_some() && pair.is_some_and(|(secret, _)| secret.starts_with("live")) {
            refuse("testCode", "(set)", "none with a live key");
        }
        let client = match self.headers() {
            Err((field, value)) => {
                refuse(field, value, "visible ASCII characters");
                None
            }
            Ok(headers) => connect_with(headers, self.read_timeout)
                .map_err(|error| {
                    refuse(
                        "tls",
                        &error.to_string(),
                        "roots of trust that this machine can read",
                    );
                })
                .ok(),
        };
        match (client, base_url) {
            (Some(client), Some(base_url)) if fields.is_empty() => Ok(TossPayments {
                caller: Caller::new(client, base_url, self.read_timeout),
                window: self.window,
                checkout: CheckoutInfo::new("toss", self.client_key, self.pay_url),
            }),
            _ => Err(ConfigError { fields }),
        }
    }

    fn headers(&self) -> Result<HeaderMap, (&'static str, &str)> {
        let mut headers = HeaderMap::new();
        let login = STANDARD.encode(format!("{}:", self.secret_key));
        let mut login = HeaderValue::try_from(format!("Basic {login}"))
            .map_err(|_| ("secretKey", "(hidden)"))?;
        login.set_sensitive(true);
        headers.insert(AUTHORIZATION, login);
        let language = HeaderValue::try_from(&self.language)
            .map_err(|_| ("language", self.language.as_str()))?;
        headers.insert(ACCEPT_LANGUAGE, language);
        if let Some(code) = &self.test_code {
            let value = HeaderValue::try_from(code).map_err(|_| ("testCode", code.as_str()))?;
            headers.insert(TEST_CODE, value);
        }
        Ok(headers)
    }
}

/// Whether nobody on the way can read what is sent there.
fn is_private(url: &Url) -> bool {
    let local = || match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|host| host.is_loopback()),
        None => false,
    };
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    plain && (url.scheme() == "https" || url.scheme() == "http" && local())
}

/// A client that follows nobody elsewhere: a redirection would carry money or its login away.
fn connect_with(headers: HeaderMap, read_timeout: Duration) -> reqwest::Result<Client> {
    // The host may have installed another provider before; that one serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .default_headers(headers)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT.min(read_timeout))
        .timeout(read_timeout)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(builder: TossPaymentsBuilder) -> Vec<String> {
        let fields = builder.build().map(|_| ()).unwrap_err().fields;
        assert!(
            fields
                .iter()
                .all(|field| !field.to_string().contains("sk_secret")),
            "{fields:?}"
        );
        fields.into_iter().map(|field| field.field).collect()
    }

    fn builder() -> TossPaymentsBuilder {
        TossPayments::builder("test_sk_secret")
    }

    #[test]
    fn what_cannot_work_is_refused_at_once() {
        assert!(builder().build().is_ok());
        assert_eq!(
            refused(TossPayments::builder("test_ck_secret")),
            ["secretKey"]
        );
        assert_eq!(
            refused(TossPayments::builder("test_sk_secret\n")),
            ["secretKey"]
        );
        assert_eq!(refused(builder().client_key("live_ck_x")), ["clientKey"]);
        assert_eq!(refused(builder().client_key("test_gck_x")), ["clientKey"]);
        assert_eq!(
            refused(builder().read_timeout(Duration::ZERO)),
            ["readTimeout"]
        );
        assert_eq!(
            refused(builder().window(Duration::from_secs(30))),
            ["window"]
        );
        assert_eq!(refused(builder().language("a\nb")), ["language"]);
        assert_eq!(
            refused(TossPayments::builder("live_sk_secret").test_code("X")),
            ["testCode"]
        );
    }

    #[test]
    fn secrets_travel_under_tls_or_stay_on_this_machine() {
        for good in [
            "https://x.example",
            "https://x.example/toss/",
            "http://127.0.0.1:9",
            "http://localhost",
            "http://[::1]:9",
        ] {
            assert!(builder().base_url(good).build().is_ok(), "{good}");
        }
        for bad in [
            "http://x.example",
            "ftp://127.0.0.1",
            "x",
            "http://127.0.0.1.example",
            "https://a:b@x.example",
            "https://x?y",
        ] {
            assert_eq!(refused(builder().base_url(bad)), ["baseUrl"], "{bad}");
        }
    }

    #[test]
    fn the_secret_key_is_shown_nowhere() {
        let builder = builder();
        assert!(!format!("{builder:?}").contains("sk_secret"));
        let toss = builder.build().unwrap();
        assert!(!format!("{toss:?} {:?}", toss.caller).contains("sk_secret"));
        assert!(!format!("{:?}", toss.caller).contains(&STANDARD.encode("test_sk_secret:")));
    }
}
