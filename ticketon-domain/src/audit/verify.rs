//! Walks an audit and tells what is wrong with it.
//!
//! First every chain, from the first entry to the head that its order knows; then every checkpoint, from the first to
//! the last, and whether what it sealed is still there. Memory is bounded by pages, whatever the size of the audit. The
//! walk may go on beside a running shop: a finding about a chain is told after a second look alone.

mod chain;
mod checkpoint;

use std::collections::BTreeMap;

use serde::Serialize;
use ticketon_queue::StoreError;

use super::{AuditLog, AuditPublicKeys, ChainHash, Checkpoint, Findings};

/// How much was walked, and how much of it is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Verified {
    /// Orders, and chains without one.
    pub orders: u64,
    /// Entries.
    pub entries: u64,
    /// Entries that no checkpoint has yet: a cut-off end of these shows by the order alone.
    pub unsealed: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Heads in them.
    pub heads: u64,
    /// What is wrong.
    pub findings: u64,
}

/// Walks audits.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use ticketon_domain::adapter::sql::SqlStore;
/// use ticketon_domain::audit::{AuditPublicKeys, Verifier};
/// let store = SqlStore::sqlite(":memory:").await?;
/// store.migrate().await?;
/// let keys: AuditPublicKeys = "2026:gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q=".parse()?;
/// let verified = Verifier::new(keys)
///     .verify(&store, &mut |finding| eprintln!("{finding}"))
///     .await?;
/// assert_eq!(verified.findings, 0);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone)]
pub struct Verifier {
    keys: AuditPublicKeys,
    noted: BTreeMap<u64, ChainHash>,
    orders: bool,
    entries: bool,
}

impl Verifier {
    /// A walk that believes checkpoints which these keys signed.
    #[must_use]
    pub fn new(keys: AuditPublicKeys) -> Self {
        Self {
            keys,
            noted: BTreeMap::new(),
            orders: true,
            entries: true,
        }
    }

    /// A checkpoint that was noted elsewhere, for example by an export, must be there. So the removal of the last
    /// checkpoints shows too.
    #[must_use]
    pub fn noted(mut self, checkpoint: &Checkpoint) -> Self {
        self.noted.insert(checkpoint.number, checkpoint.hash);
        self
    }

    /// Does not compare chains with their orders, for an audit that has none: an export.
    #[must_use]
    pub fn without_orders(mut self) -> Self {
        self.orders = false;
        self
    }

    /// Looks at checkpoints alone, for an export without entries.
    #[must_use]
    pub fn checkpoints_only(mut self) -> Self {
        self.entries = false;
        self
    }

    /// Walks all of it and tells each finding.
    ///
    /// # Errors
    /// [`StoreError`] if the audit cannot be read to its end.
    pub async fn verify(
        &self,
        log: &dyn AuditLog,
        findings: &mut Findings<'_>,
    ) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        let mut told = 0;
        let mut count = |finding| {
            told += 1;
            findings(finding);
        };
        if self.entries {
            self.verify_chains(log, &mut verified, &mut count).await?;
        }
        self.verify_checkpoints(log, &mut verified, &mut count)
            .await?;
        verified.findings = told;
        Ok(verified)
    }
}
