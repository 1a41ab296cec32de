//! Signed tokens: compact JWTs under HMAC-SHA256 (RFC 7515, RFC 7519), one algorithm and no other.
//!
//! A header is accepted only if it names `HS256`, the expected type and a known key, so neither
//! `none` nor a public key in place of the secret can be played. Signatures are compared in
//! constant time. Keys have ids, so that they rotate: sign with the new one, still accept the old.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::error::{ConfigError, FieldError};
use crate::id::random_bytes;

/// Shortest secret in bytes: as long as the hash (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;
/// The most keys that are accepted at a time.
const MAX_KEYS: usize = 16;
/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 4_096;

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is no token of this kind: shape, algorithm, type or content.
    #[error("the token is malformed or of another kind")]
    Malformed,
    /// It names a key that is not accepted.
    #[error("the token names an unknown key")]
    UnknownKey,
    /// Its signature is wrong.
    #[error("the token's signature is wrong")]
    Signature,
    /// It is expired.
    #[error("the token is expired")]
    Expired,
    /// It was issued in the future.
    #[error("the token is from the future")]
    Future,
}

#[derive(Clone)]
struct Key {
    id: String,
    mac: Hmac<Sha256>,
}

/// Secrets that sign and verify, the current one first. `Debug` shows their ids alone.
///
/// ```
/// use ticketon_queue::AdmissionKeys;
/// let keys = AdmissionKeys::new("2026-02", [7; 32])?.also_accept("2026-01", [6; 32])?;
/// assert_eq!(format!("{keys:?}"), r#"AdmissionKeys(["2026-02", "2026-01"])"#);
/// assert!(AdmissionKeys::new("short", b"too short").is_err());
/// # Ok::<(), ticketon_queue::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct AdmissionKeys {
    keys: Vec<Key>,
}

impl std::fmt::Debug for AdmissionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<&str> = self.keys.iter().map(|key| key.id.as_str()).collect();
        f.debug_tuple("AdmissionKeys").field(&ids).finish()
    }
}

impl AdmissionKeys {
    /// Keys that sign with this secret.
    ///
    /// # Errors
    /// [`ConfigError`] when the id is not 1 to 32 of `A-Z a-z 0-9 . _ -`, or the secret is shorter than 32 bytes.
    pub fn new(id: &str, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Ok(Self {
            keys: vec![key(id, secret.as_ref())?],
        })
    }

    /// A fresh random secret: for one process whose tokens need not outlive it.
    #[must_use]
    pub fn random() -> Self {
        let secret: [u8; 32] = random_bytes();
        Self {
            keys: vec![Key {
                id: "random".to_owned(),
                mac: mac(&secret),
            }],
        }
    }

    /// Also accepts tokens of this key, for example the previous one.
    ///
    /// # Errors
    /// [`ConfigError`] like [`new`](Self::new), when the id is taken, or when there are 16 keys already.
    pub fn also_accept(mut self, id: &str, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        if self.keys.len() >= MAX_KEYS || self.keys.iter().any(|key| key.id == id) {
            return Err(refused(
                "admissionKeys.id",
                id,
                "at most 16 keys with unique ids",
            ));
        }
        self.keys.push(key(id, secret.as_ref())?);
        Ok(self)
    }

    /// Signs claims as a token of this type.
    pub(crate) fn sign<T: Serialize>(&self, kind: &str, claims: &T) -> String {
        let key = &self.keys[0];
        let header = Header {
            alg: "HS256".to_owned(),
            typ: kind.to_owned(),
            kid: key.id.clone(),
        };
        let mut token = encode(&header);
        token.push('.');
        token.push_str(&encode(claims));
        let signature = key.mac.clone().chain_update(&token).finalize();
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature.into_bytes()));
        token
    }

    /// The claims of a token of this type, if its signature holds. Times are the caller's to check.
    pub(crate) fn verify<T: DeserializeOwned>(
        &self,
        kind: &str,
        token: &str,
    ) -> Result<T, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = decode(header)?;
        if header.alg != "HS256" || header.typ != kind {
            return Err(TokenError::Malformed);
        }
        let key = self
            .keys
            .iter()
            .find(|key| key.id == header.kid)
            .ok_or(TokenError::UnknownKey)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| TokenError::Malformed)?;
        key.mac
            .clone()
            .chain_update(signed)
            .verify_slice(&signature)
            .map_err(|_| TokenError::Signature)?;
        decode(claims)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

fn key(id: &str, secret: &[u8]) -> Result<Key, ConfigError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if id.is_empty() || id.len() > 32 || !id.chars().all(fits) {
        return Err(refused(
            "admissionKeys.id",
            id,
            "1 to 32 of A-Z, a-z, 0-9, '.', '_' and '-'",
        ));
    }
    if secret.len() < MIN_SECRET_BYTES {
        return Err(refused(
            "admissionKeys.secret",
            &format!("{} bytes", secret.len()),
            "at least 32 bytes",
        ));
    }
    Ok(Key {
        id: id.to_owned(),
        mac: mac(secret),
    })
}

fn mac(secret: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret).expect("HMAC takes keys of any length")
}

fn refused(field: &str, value: &str, range: &str) -> ConfigError {
    ConfigError {
        fields: vec![FieldError::new(field, value, range)],
    }
}

fn encode<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_vec(value).expect("claims are plain values");
    URL_SAFE_NO_PAD.encode(json)
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)
}
