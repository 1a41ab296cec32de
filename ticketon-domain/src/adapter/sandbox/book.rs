//! The port of the sandbox: where its payments are written down.

use async_trait::async_trait;
use ticketon_queue::StoreError;

use super::payment::SandboxPayment;
use crate::purchase::{OrderId, PaymentKey};

/// The most payments that one order may have: a buyer who begins anew each time, and no flood.
pub const MAX_PAYMENTS_OF_ORDER: usize = 20;

/// Where the sandbox writes its payments down, one at a time.
///
/// A change is lost or saved as a whole. A save whose answer was lost may be repeated: it then finds
/// itself saved, or that somebody else was faster, and the sandbox looks again.
#[async_trait]
pub trait SandboxBook: Send + Sync + std::fmt::Debug + 'static {
    /// A payment by its key.
    async fn load(&self, key: &PaymentKey) -> Result<Option<SandboxPayment>, StoreError>;

    /// The payments of an order, in no order; at most [`MAX_PAYMENTS_OF_ORDER`].
    async fn of_order(&self, order: &OrderId) -> Result<Vec<SandboxPayment>, StoreError>;

    /// Writes a payment down if the stored one is still `before`, and `None` if there is none yet. Says whether it did.
    async fn save(
        &self,
        before: Option<&SandboxPayment>,
        after: &SandboxPayment,
    ) -> Result<bool, StoreError>;
}
