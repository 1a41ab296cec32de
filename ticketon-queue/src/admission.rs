//! Admission tokens: a lease in a form that a browser can carry.
//!
//! The token of the `admitted` event is unclaimed and expires at `claimBy`; the first guarded call
//! claims the lease and answers with a claimed token that expires with it. A token names event,
//! user, fence and epoch, so it opens one door for one person and one lease.

use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::id::{EventId, UserId};
use crate::store::Lease;
use crate::token::{AdmissionKeys, TokenError};

/// Tokens expire this much before their lease, at the most, so that clocks may differ a little.
pub(crate) const SKEW_MS: i64 = 500;
/// A token may be from this far in the future: another process's clock.
const FUTURE_MS: i64 = 5_000;
const KIND: &str = "ticketon-admission+jwt";

/// What an admission token says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmissionClaims {
    /// The event it opens.
    pub event: EventId,
    /// Whom it opens for.
    pub user: UserId,
    /// The lease's fence.
    pub fence: u64,
    /// The room's epoch.
    pub epoch: u64,
    /// Whether the lease was claimed when it was signed.
    pub claimed: bool,
    /// When it expires.
    pub expires_at_ms: UnixMs,
}

/// A person at an event: whoever holds an admission, and what seats are held and orders made for.
///
/// The adapters' `Admitted` is one, so handlers pass it on as it is; where there is no admission, a
/// pair of ids will do.
///
/// ```
/// use ticketon_queue::{EventId, Holder, UserId};
/// fn greet(holder: &impl Holder) -> String {
///     format!("{} at {}", holder.user(), holder.event())
/// }
/// assert_eq!(greet(&(EventId::new("tour")?, UserId::new("ann")?)), "ann at tour");
/// # Ok::<(), ticketon_queue::IdError>(())
/// ```
pub trait Holder {
    /// The event.
    fn event(&self) -> &EventId;

    /// The person.
    fn user(&self) -> &UserId;

    /// The fence of their admission, where they have one: what completes it compares this.
    fn admission_fence(&self) -> Option<u64> {
        None
    }
}

impl Holder for (EventId, UserId) {
    fn event(&self) -> &EventId {
        &self.0
    }

    fn user(&self) -> &UserId {
        &self.1
    }
}

impl Holder for (&EventId, &UserId) {
    fn event(&self) -> &EventId {
        self.0
    }

    fn user(&self) -> &UserId {
        self.1
    }
}

/// The payload: registered names where RFC 7519 has them, times as fractional seconds.
#[derive(Serialize, Deserialize)]
struct Payload {
    evt: EventId,
    sub: UserId,
    fnc: u64,
    epc: u64,
    clm: bool,
    iat: f64,
    exp: f64,
}

/// When the token of a lease expires: a little before the lease, for clocks that differ.
pub(crate) fn token_expires_at_ms(lease: &Lease) -> UnixMs {
    let deadline = lease.deadline_ms();
    let margin = (deadline - lease.admitted_at_ms).clamp(0, SKEW_MS * 10) / 10;
    deadline - margin
}

impl AdmissionKeys {
    /// Signs a lease.
    #[must_use]
    pub fn sign_lease(&self, event: &EventId, user: &UserId, lease: &Lease, now: UnixMs) -> String {
        self.sign(
            KIND,
            &Payload {
                evt: event.clone(),
                sub: user.clone(),
                fnc: lease.fence,
                epc: lease.epoch,
                clm: lease.claimed,
                iat: seconds(now),
                exp: seconds(token_expires_at_ms(lease)),
            },
        )
    }

    /// Checks a token: signature, kind and times. Event and user are the caller's to compare.
    ///
    /// # Errors
    /// [`TokenError`] when it is tampered with, foreign, expired or from the future.
    pub fn verify_admission(
        &self,
        token: &str,
        now: UnixMs,
    ) -> Result<AdmissionClaims, TokenError> {
        let payload: Payload = self.verify(KIND, token)?;
        let expires_at_ms = millis(payload.exp);
        if expires_at_ms <= now {
            return Err(TokenError::Expired);
        }
        if millis(payload.iat) > now.saturating_add(FUTURE_MS) {
            return Err(TokenError::Future);
        }
        Ok(AdmissionClaims {
            event: payload.evt,
            user: payload.sub,
            fence: payload.fnc,
            epoch: payload.epc,
            claimed: payload.clm,
            expires_at_ms,
        })
    }
}

#[allow(clippy::cast_precision_loss)] // milliseconds since 1970 need 42 of the 53 bits
fn seconds(ms: UnixMs) -> f64 {
    ms as f64 / 1_000.0
}

#[allow(clippy::cast_possible_truncation)] // `as` saturates, which an absurd time deserves
fn millis(seconds: f64) -> UnixMs {
    (seconds * 1_000.0).round() as UnixMs
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::id::LaneName;

    const NOW: UnixMs = 1_767_225_600_000;

    fn lease() -> Lease {
        Lease {
            epoch: 5,
            lane: LaneName::default(),
            sequence: 3,
            fence: 7,
            admitted_at_ms: NOW,
            claim_by_ms: NOW + 90_000,
            expires_at_ms: NOW + 600_000,
            claimed: false,
        }
    }

    fn signed(keys: &AdmissionKeys) -> String {
        let event = EventId::new("demo").unwrap();
        let user = UserId::new("ann").unwrap();
        keys.sign_lease(&event, &user, &lease(), NOW)
    }

    #[test]
    fn a_token_says_what_the_lease_says() {
        let keys = AdmissionKeys::random();
        let claims = keys.verify_admission(&signed(&keys), NOW).unwrap();
        assert_eq!(claims.event.as_str(), "demo");
        assert_eq!(claims.user.as_str(), "ann");
        assert_eq!((claims.fence, claims.epoch, claims.claimed), (7, 5, false));
        assert_eq!(claims.expires_at_ms, NOW + 90_000 - SKEW_MS);
    }

    #[test]
    fn expired_and_future_tokens_are_refused() {
        let keys = AdmissionKeys::random();
        let token = signed(&keys);
        let at = |now| keys.verify_admission(&token, now).map(|_| ());
        assert_eq!(at(NOW + 90_000 - SKEW_MS - 1), Ok(()));
        assert_eq!(at(NOW + 90_000 - SKEW_MS), Err(TokenError::Expired));
        assert_eq!(at(NOW - FUTURE_MS), Ok(()));
        assert_eq!(at(NOW - FUTURE_MS - 1), Err(TokenError::Future));
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let keys = AdmissionKeys::random();
        let token = signed(&keys);
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            // The last character of the signature has two bits that base64 does not use.
            assert!(keys.verify_admission(&forged, NOW).is_err(), "byte {index}");
        }
    }

    #[test]
    fn other_algorithms_keys_and_kinds_are_refused() {
        let keys = AdmissionKeys::new("a", [1; 32]).unwrap();
        let token = signed(&keys);
        let (_, rest) = token.split_once('.').unwrap();
        for (header, expected) in [
            (
                r#"{"alg":"none","typ":"ticketon-admission+jwt","kid":"a"}"#,
                TokenError::Malformed,
            ),
            (
                r#"{"alg":"RS256","typ":"ticketon-admission+jwt","kid":"a"}"#,
                TokenError::Malformed,
            ),
            (
                r#"{"alg":"HS256","typ":"ticketon-guest+jwt","kid":"a"}"#,
                TokenError::Malformed,
            ),
            (
                r#"{"alg":"HS256","typ":"ticketon-admission+jwt","kid":"b"}"#,
                TokenError::UnknownKey,
            ),
            (
                r#"{"alg":"HS256","typ":"ticketon-admission+jwt","kid":"a","jwk":{}}"#,
                TokenError::Malformed,
            ),
        ] {
            let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
            assert_eq!(
                keys.verify_admission(&forged, NOW),
                Err(expected),
                "{header}"
            );
        }
        let foreign = signed(&AdmissionKeys::new("a", [2; 32]).unwrap());
        assert_eq!(
            keys.verify_admission(&foreign, NOW),
            Err(TokenError::Signature)
        );
        for junk in ["", ".", "..", "a.b.c", &"x".repeat(10_000)] {
            assert_eq!(keys.verify_admission(junk, NOW), Err(TokenError::Malformed));
        }
    }

    #[test]
    fn keys_rotate() {
        let old = AdmissionKeys::new("1", [1; 32]).unwrap();
        let token = signed(&old);
        let new = AdmissionKeys::new("2", [2; 32]).unwrap();
        assert_eq!(
            new.verify_admission(&token, NOW),
            Err(TokenError::UnknownKey)
        );
        let both = new.also_accept("1", [1; 32]).unwrap();
        assert!(both.verify_admission(&token, NOW).is_ok());
        assert!(old.verify_admission(&signed(&both), NOW).is_err());
        assert!(both.also_accept("1", [3; 32]).is_err());
    }
}
