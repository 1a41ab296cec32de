//! The keys that sign tickets, and the public halves that check them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use ticketon_queue::id::random_bytes;
use ticketon_queue::{ConfigError, FieldError};

use super::{Parsed, TicketCode, TicketCodeError, signed, written};

/// The most keys that are accepted at a time.
const MAX_KEYS: usize = 16;
const MAX_ID_BYTES: usize = 32;
const FIELD: &str = "ticketKeys";

/// Signs tickets with one key, and checks those of some. `Debug` shows the ids alone.
///
/// As text they are `id:base64[,id:base64...]`, 32 secret bytes each; the first signs.
///
/// ```
/// use ticketon_domain::purchase::TicketKeys;
/// let text = "2026-02:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=,2026-01:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// let keys: TicketKeys = text.parse()?;
/// assert_eq!(format!("{keys:?}"), r#"TicketKeys(["2026-02", "2026-01"])"#);
/// assert!("2026-02:dG9vIHNob3J0".parse::<TicketKeys>().is_err());
/// # Ok::<(), ticketon_queue::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct TicketKeys {
    signing: SigningKey,
    /// The signing key's public half is the first.
    public: TicketPublicKeys,
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TicketKeys")
            .field(&self.public.ids())
            .finish()
    }
}

impl TicketKeys {
    /// Keys that sign with this secret.
    ///
    /// # Errors
    /// [`ConfigError`] when the id is not 1 to 32 of `A-Z a-z 0-9 . _ -`, or the secret has not 32 bytes.
    pub fn new(id: &str, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let secret = secret.as_ref();
        let bytes = <[u8; 32]>::try_from(secret).map_err(|_| {
            let length = format!("{} bytes", secret.len());
            refused(format!("{FIELD}.secret"), length, "32 bytes, base64")
        })?;
        let signing = SigningKey::from_bytes(&bytes);
        let public = TicketPublicKeys::default().and(id, signing.verifying_key())?;
        Ok(Self { signing, public })
    }

    /// A fresh random secret: for one process whose tickets need not outlive it.
    #[must_use]
    pub fn random() -> Self {
        let id = format!("random-{:08x}", u32::from_ne_bytes(random_bytes()));
        Self::new(&id, random_bytes::<32>())
            .unwrap_or_else(|_| unreachable!("a good id and 32 bytes"))
    }

    /// Also accepts tickets that these keys signed, for example the ones before.
    ///
    /// # Errors
    /// [`ConfigError`] when an id is taken, or when there would be more than 16 keys.
    pub fn also_accept(mut self, others: &TicketPublicKeys) -> Result<Self, ConfigError> {
        for (id, key) in &others.keys {
            self.public = self.public.and(id, *key)?;
        }
        Ok(self)
    }

    /// What a gate needs to check tickets by itself.
    #[must_use]
    pub fn public(&self) -> &TicketPublicKeys {
        &self.public
    }

    /// The signed code of a ticket. The same ticket has the same code.
    #[must_use]
    pub fn sign(&self, ticket: &TicketCode) -> String {
        let id = self.public.keys.first().map_or("", |(id, _)| id.as_str());
        let body = ticket.body(id);
        let signature = self.signing.sign(&signed(&body));
        written(body, &signature)
    }

    /// What a code says, if one of the keys signed it.
    ///
    /// # Errors
    /// [`TicketCodeError`] when it is another text, damaged, tampered with or signed with an unknown key.
    pub fn verify(&self, code: &str) -> Result<TicketCode, TicketCodeError> {
        self.public.verify(code)
    }
}

impl FromStr for TicketKeys {
    type Err = ConfigError;

    /// The value that is refused is never part of the error: it may be a secret.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let mut keys: Option<Self> = None;
        for entry in text.split(',') {
            let (id, secret) = decoded(entry)?;
            let key = Self::new(id, secret)?;
            keys = Some(match keys {
                None => key,
                Some(keys) => keys.also_accept(&key.public)?,
            });
        }
        keys.ok_or_else(|| refused(FIELD, "", "id:base64[,id:base64...]"))
    }
}

/// Checks tickets, without being able to make any.
///
/// The text form, `id:base64[,id:base64...]` of 32 public bytes each, is for gates and may be published.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TicketPublicKeys {
    keys: Vec<(String, VerifyingKey)>,
}

impl TicketPublicKeys {
    /// Adds a key.
    fn and(mut self, id: &str, key: VerifyingKey) -> Result<Self, ConfigError> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if !(1..=MAX_ID_BYTES).contains(&id.len()) || !id.bytes().all(is_good) {
            let range = "1 to 32 of A-Z a-z 0-9 . _ -";
            return Err(refused(format!("{FIELD}.id"), id, range));
        }
        if self.keys.len() >= MAX_KEYS || self.keys.iter().any(|(other, _)| other == id) {
            let range = "at most 16 keys with unique ids";
            return Err(refused(format!("{FIELD}.id"), id, range));
        }
        // Under a weak key, one signature is good for many texts.
        if key.is_weak() {
            let range = "a public key of Ed25519 of full order";
            return Err(refused(format!("{FIELD}.public"), "a weak key", range));
        }
        self.keys.push((id.to_owned(), key));
        Ok(self)
    }

    /// The ids, the signing key's first.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.keys.iter().map(|(id, _)| id.as_str()).collect()
    }

    /// What a code says, if one of the keys signed it.
    ///
    /// # Errors
    /// [`TicketCodeError`] when it is another text, damaged, tampered with or signed with an unknown key.
    pub fn verify(&self, code: &str) -> Result<TicketCode, TicketCodeError> {
        let parsed = Parsed::read(code)?;
        let known = self.keys.iter().find(|(id, _)| *id == parsed.key);
        let Some((_, key)) = known else {
            return Err(TicketCodeError::UnknownKey { key: parsed.key });
        };
        // Strictly: what another checker would read otherwise is refused here.
        key.verify_strict(&parsed.signed, &parsed.signature)
            .map_err(|_| TicketCodeError::Signature)?;
        Ok(parsed.ticket)
    }
}

impl fmt::Display for TicketPublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (id, key)) in self.keys.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{id}:{}", STANDARD.encode(key.as_bytes()))?;
        }
        Ok(())
    }
}

impl fmt::Debug for TicketPublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketPublicKeys({self})")
    }
}

impl FromStr for TicketPublicKeys {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        text.split(',').try_fold(Self::default(), |keys, entry| {
            let (id, bytes) = decoded(entry)?;
            let key = <[u8; 32]>::try_from(bytes).ok();
            let key = key.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
            let range = "a public key of Ed25519, 32 bytes in base64";
            keys.and(
                id,
                key.ok_or_else(|| refused(format!("{FIELD}.public"), id, range))?,
            )
        })
    }
}

/// One `id:base64`. The id alone is named when it is refused: the rest may be a secret.
fn decoded(entry: &str) -> Result<(&str, Vec<u8>), ConfigError> {
    let (id, text) = entry
        .trim()
        .split_once(':')
        .ok_or_else(|| refused(FIELD, "(no colon)", "id:base64[,id:base64...]"))?;
    let bytes = STANDARD.decode(text).map_err(|_| {
        refused(
            format!("{FIELD}.secret"),
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
