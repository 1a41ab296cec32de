//! The keys that sign checkpoints, and the public halves that check them.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::Signature;
use ticketon_queue::ConfigError;

use crate::signing::{NotSigned, PublicKeys, SigningKeys};

const FIELD: &str = "auditKeys";

/// Signs checkpoints with one key, and checks those of some. `Debug` shows the ids alone.
///
/// As text they are `id:base64[,id:base64...]`, 32 secret bytes each; the first signs. To rotate, put a new key in
/// front and keep the old one, or its public half, for as long as its checkpoints are to be checked.
///
/// ```
/// use ticketon_domain::audit::AuditKeys;
/// let keys: AuditKeys = "2026:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=".parse()?;
/// assert_eq!(format!("{keys:?}"), r#"AuditKeys(["2026"])"#);
/// assert_eq!(keys.public().to_string(), "2026:gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q=");
/// # Ok::<(), ticketon_queue::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct AuditKeys {
    keys: SigningKeys,
    public: AuditPublicKeys,
}

impl fmt::Debug for AuditKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuditKeys")
            .field(&self.public.ids())
            .finish()
    }
}

impl From<SigningKeys> for AuditKeys {
    fn from(keys: SigningKeys) -> Self {
        let public = AuditPublicKeys(keys.public().clone());
        Self { keys, public }
    }
}

impl AuditKeys {
    /// Keys that sign with this secret.
    ///
    /// # Errors
    /// [`ConfigError`] when the id is not 1 to 32 of `A-Z a-z 0-9 . _ -`, or the secret has not 32 bytes.
    pub fn new(id: &str, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        SigningKeys::new(FIELD, id, secret).map(Into::into)
    }

    /// Also accepts checkpoints that these keys signed, for example the ones before.
    ///
    /// # Errors
    /// [`ConfigError`] when an id is taken by another key, or when there would be more than 16 keys.
    pub fn also_accept(self, others: &AuditPublicKeys) -> Result<Self, ConfigError> {
        let Self { keys, public } = self;
        let public = AuditPublicKeys(public.0.and_new(&others.0)?);
        Ok(Self { keys, public })
    }

    /// What checks checkpoints.
    #[must_use]
    pub const fn public(&self) -> &AuditPublicKeys {
        &self.public
    }

    /// The signing key's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.keys.id()
    }

    pub(super) fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.keys.sign(text).to_bytes()
    }
}

impl FromStr for AuditKeys {
    type Err = ConfigError;

    /// The value that is refused is never part of the error: it may be a secret.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        SigningKeys::parse(FIELD, text).map(Into::into)
    }
}

/// Checks checkpoints, without being able to make any.
///
/// The text form, `id:base64[,id:base64...]` of 32 public bytes each, may be published. Without any key nothing is
/// accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct AuditPublicKeys(PublicKeys);

impl Default for AuditPublicKeys {
    fn default() -> Self {
        Self(PublicKeys::none(FIELD))
    }
}

impl AuditPublicKeys {
    /// The ids, the signing key's first.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.0.ids()
    }

    pub(super) fn verify(
        &self,
        id: &str,
        text: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), NotSigned> {
        self.0.verify(id, text, &Signature::from_bytes(signature))
    }
}

impl fmt::Display for AuditPublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AuditPublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditPublicKeys({self})")
    }
}

impl FromStr for AuditPublicKeys {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        PublicKeys::parse(FIELD, text).map(Self)
    }
}
