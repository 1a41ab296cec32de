//! Keys of Ed25519 with ids: one that signs, some that are accepted.
//!
//! What ticket codes and the checkpoints of the audit have in common. Each has types of its own around these, so that
//! a key of the one is never taken for a key of the other; what is signed, and in which form, is theirs to say.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use ticketon_queue::id::random_bytes;
use ticketon_queue::{ConfigError, FieldError};

/// The most keys that are accepted at a time.
const MAX_KEYS: usize = 16;
const MAX_ID_BYTES: usize = 32;

/// A key that signs, and the public halves of those that are accepted.
#[derive(Clone)]
pub(crate) struct SigningKeys {
    signing: SigningKey,
    /// The signing key's public half is the first.
    public: PublicKeys,
}

impl SigningKeys {
    /// Keys that sign with this secret; `field` is what a refusal names.
    pub(crate) fn new(
        field: &'static str,
        id: &str,
        secret: impl AsRef<[u8]>,
    ) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        let bytes = <[u8; 32]>::try_from(secret).map_err(|_| {
            let length = format!("{} bytes", secret.len());
            refused(format!("{field}.secret"), length, "32 bytes, base64")
        })?;
        let signing = SigningKey::from_bytes(&bytes);
        let public = PublicKeys::none(field).and(id, signing.verifying_key())?;
        Ok(Self { signing, public })
    }

    /// A fresh random secret.
    pub(crate) fn random(field: &'static str) -> Self {
        let id = format!("random-{:08x}", u32::from_ne_bytes(random_bytes()));
        Self::new(field, &id, random_bytes::<32>())
            .unwrap_or_else(|_| unreachable!("a good id and 32 bytes"))
    }

    /// Reads `id:base64[,id:base64...]`; the first signs. The value that is refused is never part of the error: it may
    /// be a secret.
    pub(crate) fn parse(field: &'static str, text: &str) -> Result<Self, ConfigError> {
        let mut keys: Option<Self> = None;
        for entry in text.split(',') {
            let (id, secret) = decoded(field, entry)?;
            let key = Self::new(field, id, secret)?;
            keys = Some(match keys {
                None => key,
                Some(keys) => keys.also_accept(&key.public)?,
            });
        }
        keys.ok_or_else(|| refused(field, "", "id:base64[,id:base64...]"))
    }

    /// Also accepts what these keys signed.
    pub(crate) fn also_accept(mut self, others: &PublicKeys) -> Result<Self, ConfigError> {
        for (id, key) in &others.keys {
            self.public = self.public.and(id, *key)?;
        }
        Ok(self)
    }

    /// The public halves.
    pub(crate) const fn public(&self) -> &PublicKeys {
        &self.public
    }

    /// The signing key's id.
    pub(crate) fn id(&self) -> &str {
        self.public.keys.first().map_or("", |(id, _)| id.as_str())
    }

    /// Signs. The same text has the same signature.
    pub(crate) fn sign(&self, text: &[u8]) -> Signature {
        self.signing.sign(text)
    }
}

/// Public halves by their ids.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PublicKeys {
    field: &'static str,
    keys: Vec<(String, VerifyingKey)>,
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSigned {
    /// No key of this id is accepted.
    UnknownKey,
    /// The key of this id signed something else.
    Wrong,
}

impl PublicKeys {
    /// No key; `field` is what a refusal names.
    pub(crate) const fn none(field: &'static str) -> Self {
        Self {
            field,
            keys: Vec::new(),
        }
    }

    /// Adds a key.
    fn and(mut self, id: &str, key: VerifyingKey) -> Result<Self, ConfigError> {
        let field = self.field;
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if !(1..=MAX_ID_BYTES).contains(&id.len()) || !id.bytes().all(is_good) {
            let range = "1 to 32 of A-Z a-z 0-9 . _ -";
            return Err(refused(format!("{field}.id"), id, range));
        }
        if self.keys.len() >= MAX_KEYS || self.keys.iter().any(|(other, _)| other == id) {
            let range = "at most 16 keys with unique ids";
            return Err(refused(format!("{field}.id"), id, range));
        }
        // Under a weak key, one signature is good for many texts.
        if key.is_weak() {
            let range = "a public key of Ed25519 of full order";
            return Err(refused(format!("{field}.public"), "a weak key", range));
        }
        self.keys.push((id.to_owned(), key));
        Ok(self)
    }

    /// Adds those of others whose ids are not taken.
    pub(crate) fn and_new(mut self, others: &Self) -> Result<Self, ConfigError> {
        for (id, key) in &others.keys {
            if !self.keys.iter().any(|known| known == &(id.clone(), *key)) {
                self = self.and(id, *key)?;
            }
        }
        Ok(self)
    }

    /// Reads `id:base64[,id:base64...]` of 32 public bytes each.
    pub(crate) fn parse(field: &'static str, text: &str) -> Result<Self, ConfigError> {
        text.split(',').try_fold(Self::none(field), |keys, entry| {
            let (id, bytes) = decoded(field, entry)?;
            let key = <[u8; 32]>::try_from(bytes).ok();
            let key = key.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
            let range = "a public key of Ed25519, 32 bytes in base64";
            keys.and(
                id,
                key.ok_or_else(|| refused(format!("{field}.public"), id, range))?,
            )
        })
    }

    /// The ids, the signing key's first.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.keys.iter().map(|(id, _)| id.as_str()).collect()
    }

    /// Whether the key of this id signed that text. Strictly: what another checker would read otherwise is refused.
    pub(crate) fn verify(
        &self,
        id: &str,
        text: &[u8],
        signature: &Signature,
    ) -> Result<(), NotSigned> {
        let known = self.keys.iter().find(|(other, _)| other == id);
        let (_, key) = known.ok_or(NotSigned::UnknownKey)?;
        key.verify_strict(text, signature)
            .map_err(|_| NotSigned::Wrong)
    }
}

impl fmt::Display for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (id, key)) in self.keys.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{id}:{}", STANDARD.encode(key.as_bytes()))?;
        }
        Ok(())
    }
}

/// One `id:base64`. The id alone is named when it is refused: the rest may be a secret.
fn decoded<'a>(field: &'static str, entry: &'a str) -> Result<(&'a str, Vec<u8>), ConfigError> {
    let (id, text) = entry
        .trim()
        .split_once(':')
        .ok_or_else(|| refused(field, "(no colon)", "id:base64[,id:base64...]"))?;
    let bytes = STANDARD.decode(text).map_err(|_| {
        refused(
            format!("{field}.secret"),
            format!("{id}:..."),
            "32 bytes, base64",
        )
    })?;
    Ok((id, bytes))
}

fn refused(field: impl Into<String>, value: impl fmt::Display, range: &str) -> ConfigError {
    ConfigError {
        fields: vec![FieldError::new(field, value, range)],
    }
}
