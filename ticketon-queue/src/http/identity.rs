//! Who calls. Identity is the host's; guests are what ships for hosts that have none.

use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::headers::cookie;
use crate::clock::UnixMs;
use crate::id::{LaneName, UserId, random_bytes};
use crate::token::{AdmissionKeys, TokenError};

/// The cookie of a guest.
pub const GUEST_COOKIE: &str = "ticketon_guest";
/// As long as browsers keep a cookie: who bought tickets as a guest is known by it until the show.
const GUEST_SECONDS: i64 = 400 * 24 * 3_600;
const KIND: &str = "ticketon-guest+jwt";

/// A person, as the host identified them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Principal {
    /// Their id.
    pub user: UserId,
    /// The lane they wait in; `None` means the room's first.
    pub lane: Option<LaneName>,
}

impl Principal {
    /// A person without an assigned lane.
    #[must_use]
    pub fn new(user: UserId) -> Self {
        Self { user, lane: None }
    }

    /// Assigns a lane.
    #[must_use]
    pub fn in_lane(mut self, lane: LaneName) -> Self {
        self.lane = Some(lane);
        self
    }
}

impl From<UserId> for Principal {
    fn from(user: UserId) -> Self {
        Self::new(user)
    }
}

#[derive(Serialize, Deserialize)]
struct Payload {
    sub: UserId,
    role: String,
    iat: i64,
    exp: i64,
}

/// A new guest.
#[derive(Clone)]
#[non_exhaustive]
pub struct Guest {
    /// Their random id.
    pub user: UserId,
    /// Their signed token, good as a bearer token and in the cookie.
    pub token: String,
    /// The `Set-Cookie` value.
    pub cookie: HeaderValue,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Makes and recognises guests: anonymous people with a signed token for 400 days.
#[derive(Debug, Clone)]
pub struct Guests {
    keys: AdmissionKeys,
    secure: bool,
}

impl Guests {
    /// Guests whose tokens these keys sign. The keys of admissions may serve: the kinds differ.
    #[must_use]
    pub fn new(keys: AdmissionKeys) -> Self {
        Self {
            keys,
            secure: false,
        }
    }

    /// Whether cookies carry `Secure`.
    #[must_use]
    pub fn secure_cookies(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Makes a guest.
    #[must_use]
    pub fn issue(&self, now: UnixMs) -> Guest {
        let number = u128::from_ne_bytes(random_bytes());
        let user = UserId::new(format!("guest-{number:032x}"))
            .unwrap_or_else(|_| unreachable!("hexadecimal digits make an id"));
        self.renew(&user, now)
    }

    /// A fresh token for a guest who is known already.
    #[must_use]
    pub fn renew(&self, user: &UserId, now: UnixMs) -> Guest {
        let token = self.keys.sign(
            KIND,
            &Payload {
                sub: user.clone(),
                role: "GUEST".to_owned(),
                iat: now / 1_000,
                exp: now / 1_000 + GUEST_SECONDS,
            },
        );
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!(
            "{GUEST_COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={GUEST_SECONDS}{secure}"
        );
        let mut cookie = HeaderValue::try_from(text)
            .unwrap_or_else(|_| unreachable!("base64url is visible ASCII"));
        cookie.set_sensitive(true);
        Guest {
            user: user.clone(),
            token,
            cookie,
        }
    }

    /// Who a token was made for.
    ///
    /// # Errors
    /// [`TokenError`] when it is tampered with, foreign or expired.
    pub fn verify(&self, token: &str, now: UnixMs) -> Result<UserId, TokenError> {
        let payload: Payload = self.keys.verify(KIND, token)?;
        if payload.exp <= now / 1_000 {
            return Err(TokenError::Expired);
        }
        Ok(payload.sub)
    }

    /// The guest of a request: the bearer token if there is one, else the cookie.
    #[must_use]
    pub fn identify(&self, headers: &HeaderMap, now: UnixMs) -> Option<Principal> {
        let token = match bearer(headers) {
            Some(token) => token,
            None => cookie(headers, GUEST_COOKIE)?,
        };
        self.verify(token, now).ok().map(Principal::new)
    }
}

/// The bearer token of a request. Schemes are the same in any case (RFC 9110).
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_recognised_until_they_expire() {
        let guests = Guests::new(AdmissionKeys::random());
        let guest = guests.issue(0);
        let mut headers = HeaderMap::new();
        assert_eq!(guests.identify(&headers, 0), None);
        let sent = guest.cookie.to_str().unwrap().split(';').next().unwrap();
        let sent = format!("other=1; {sent}");
        headers.insert(header::COOKIE, HeaderValue::try_from(sent).unwrap());
        let known = Some(Principal::new(guest.user.clone()));
        assert_eq!(guests.identify(&headers, 1_000), known);
        assert_eq!(guests.identify(&headers, GUEST_SECONDS * 1_000), None);
        headers.insert(
            header::AUTHORIZATION,
            HeaderValue::from_static("Bearer junk"),
        );
        assert_eq!(guests.identify(&headers, 1_000), None);
        let bearer = format!("bearer {}", guest.token);
        headers.insert(
            header::AUTHORIZATION,
            HeaderValue::try_from(bearer).unwrap(),
        );
        assert_eq!(guests.identify(&headers, 1_000), known);
        assert!(
            Guests::new(AdmissionKeys::random())
                .verify(&guest.token, 0)
                .is_err()
        );
    }

    #[test]
    fn bearer_is_a_word_in_any_case() {
        let sent = |value| HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
        for value in ["Bearer abc", "bearer abc", "BEARER  abc"] {
            let headers = sent(HeaderValue::from_static(value));
            assert_eq!(bearer(&headers), Some("abc"), "{value}");
        }
        let headers = sent(HeaderValue::from_static("Basic abc"));
        assert_eq!(bearer(&headers), None);
    }

    #[test]
    fn an_admission_token_is_no_guest() {
        let keys = AdmissionKeys::random();
        let guest = Guests::new(keys.clone()).issue(0);
        assert!(keys.verify_admission(&guest.token, 0).is_err());
    }
}
