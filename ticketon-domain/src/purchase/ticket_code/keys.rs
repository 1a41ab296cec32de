//! The keys that sign tickets, and the public halves that check them.

use std::fmt;
use std::str::FromStr;

use ticketon_queue::ConfigError;

use super::{Parsed, TicketCode, TicketCodeError, signed, written};
use crate::signing::{NotSigned, PublicKeys, SigningKeys};

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
    keys: SigningKeys,
    public: TicketPublicKeys,
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TicketKeys")
            .field(&self.public.ids())
            .finish()
    }
}

impl From<SigningKeys> for TicketKeys {
    fn from(keys: SigningKeys) -> Self {
        let public = TicketPublicKeys(keys.public().clone());
        Self { keys, public }
    }
}

impl TicketKeys {
    /// Keys that sign with this secret.
    ///
    /// # Errors
    /// [`ConfigError`] when the id is not 1 to 32 of `A-Z a-z 0-9 . _ -`, or the secret has not 32 bytes.
    pub fn new(id: &str, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        SigningKeys::new(FIELD, id, secret).map(Into::into)
    }

    /// A fresh random secret: for one process whose tickets need not outlive it.
    #[must_use]
    pub fn random() -> Self {
        SigningKeys::random(FIELD).into()
    }

    /// Also accepts tickets that these keys signed, for example the ones before.
    ///
    /// # Errors
    /// [`ConfigError`] when an id is taken, or when there would be more than 16 keys.
    pub fn also_accept(self, others: &TicketPublicKeys) -> Result<Self, ConfigError> {
        self.keys.also_accept(&others.0).map(Into::into)
    }

    /// What a gate needs to check tickets by itself.
    #[must_use]
    pub fn public(&self) -> &TicketPublicKeys {
        &self.public
    }

    /// The signed code of a ticket. The same ticket has the same code.
    #[must_use]
    pub fn sign(&self, ticket: &TicketCode) -> String {
        let body = ticket.body(self.keys.id());
        let signature = self.keys.sign(&signed(&body));
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
        SigningKeys::parse(FIELD, text).map(Into::into)
    }
}

/// Checks tickets, without being able to make any.
///
/// The text form, `id:base64[,id:base64...]` of 32 public bytes each, is for gates and may be published.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketPublicKeys(PublicKeys);

impl Default for TicketPublicKeys {
    fn default() -> Self {
        Self(PublicKeys::none(FIELD))
    }
}

impl TicketPublicKeys {
    /// The ids, the signing key's first.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.0.ids()
    }

    /// What a code says, if one of the keys signed it.
    ///
    /// # Errors
    /// [`TicketCodeError`] when it is another text, damaged, tampered with or signed with an unknown key.
    pub fn verify(&self, code: &str) -> Result<TicketCode, TicketCodeError> {
        let parsed = Parsed::read(code)?;
        match self
            .0
            .verify(&parsed.key, &parsed.signed, &parsed.signature)
        {
            Ok(()) => Ok(parsed.ticket),
            Err(NotSigned::UnknownKey) => Err(TicketCodeError::UnknownKey { key: parsed.key }),
            Err(NotSigned::Wrong) => Err(TicketCodeError::Signature),
        }
    }
}

impl fmt::Display for TicketPublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
        PublicKeys::parse(FIELD, text).map(Self)
    }
}
