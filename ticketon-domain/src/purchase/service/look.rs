//! Looking a payment up because somebody said that it has changed.
//!
//! Anybody may say so, as often as they like, and each look costs a call of the provider under our key. So those who
//! ask for one order at the same time share a look that begins after they asked, looks at one order keep a distance,
//! and there are never more than a few at once. Nothing that was said is believed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ticketon_queue::UnixMs;
use tokio::sync::Semaphore;

use super::charge::FREE;
use super::refund::refunded_elsewhere;
use super::{PurchaseError, Purchases, Shared};
use crate::purchase::command::Command;
use crate::purchase::order::Claim;
use crate::purchase::provider::{Payment, PaymentStatus};
use crate::purchase::{Changed, OrderId, OrderRecord, OrderState, PaymentKey};

/// Looks at once in this process, at the most.
const AT_ONCE: usize = 16;
/// Orders that are looked at, or were a moment ago, at the most.
const MAX_ORDERS: usize = 1_024;
/// Who wait for looks at one order, at the most.
const MAX_WAITING: usize = 64;
/// From the end of a look at an order to the next.
const DISTANCE: Duration = Duration::from_millis(250);

/// The looks of this process.
#[derive(Debug)]
pub(super) struct Looks {
    orders: Mutex<HashMap<OrderId, Arc<Look>>>,
    slots: Semaphore,
}

/// The looks at one order.
#[derive(Debug, Default)]
struct Look {
    /// How many have asked for one.
    asked: AtomicU64,
    last: tokio::sync::Mutex<Last>,
}

/// The last looks.
#[derive(Debug, Default)]
struct Last {
    /// The last that led to something began after so many had asked.
    done: u64,
    /// The last that did not began after so many had asked.
    failed: u64,
    ended_ms: Option<UnixMs>,
}

impl Looks {
    pub(super) fn new() -> Self {
        Self {
            orders: Mutex::new(HashMap::new()),
            slots: Semaphore::new(AT_ONCE),
        }
    }

    /// The looks at an order; `None` when there are too many, or too many who wait for them.
    fn at(&self, order: &OrderId) -> Option<Arc<Look>> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.len() >= MAX_ORDERS && !orders.contains_key(order) {
            orders.retain(|_, look| Arc::strong_count(look) > 1);
            if orders.len() >= MAX_ORDERS {
                return None;
            }
        }
        let look = orders.entry(*order).or_default();
        (Arc::strong_count(look) <= MAX_WAITING).then(|| Arc::clone(look))
    }
}

/// What the provider has of a payment, beside what the order's refunds have left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Balance {
    Right,
    /// An operator was told.
    Wrong {
        /// How much is gone besides the order's refunds, in minor units.
        missing: u64,
    },
    /// It was not asked, or knows no such payment.
    Unknown,
    /// The order has changed meanwhile.
    Changed,
}

impl Purchases {
    /// Somebody said that a payment has changed: the provider is asked, and only what it says counts. Unknown payments
    /// and orders are passed over.
    ///
    /// # Errors
    /// [`PurchaseError::Provider`] when the provider did not answer, [`PurchaseError::Running`] when too many ask, or a
    /// store failed: who said so should say it again.
    pub async fn hint(
        &self,
        key: Option<&PaymentKey>,
        order: Option<&OrderId>,
    ) -> Result<(), PurchaseError> {
        let shared = &self.0.shared;
        let record = match (key, order) {
            (Some(key), _) => shared.store.order_of_payment(key).await?,
            (None, Some(order)) => shared.store.order(order).await?,
            (None, None) => None,
        };
        match record {
            Some(record) if record.order.payment.is_some() => shared.look(&record.order.id).await,
            _ => Ok(()),
        }
    }
}

impl Shared {
    /// Looks at an order's payment, or waits for somebody's look that begins from now on.
    async fn look(&self, order: &OrderId) -> Result<(), PurchaseError> {
        let busy = || PurchaseError::Running { until_ms: None };
        let look = self.looks.at(order).ok_or_else(busy)?;
        let mine = look.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = look.last.lock().await;
        if last.done >= mine {
            return Ok(());
        }
        if last.failed >= mine {
            return Err(busy());
        }
        if let Some(ended_ms) = last.ended_ms {
            let passed_ms = self.now_ms().saturating_sub(ended_ms);
            let passed = Duration::from_millis(u64::try_from(passed_ms).unwrap_or(0));
            self.clock.sleep(DISTANCE.saturating_sub(passed)).await;
        }
        let asked = look.asked.load(Ordering::SeqCst);
        let looked = {
            let _slot = self.looks.slots.acquire().await.map_err(|_| busy())?;
            self.look_now(order).await
        };
        last.ended_ms = Some(self.now_ms());
        match &looked {
            Ok(()) => last.done = asked,
            Err(_) => last.failed = asked,
        }
        looked
    }

    async fn look_now(&self, order: &OrderId) -> Result<(), PurchaseError> {
        let Some(record) = self.store.order(order).await? else {
            return Ok(());
        };
        match record.order.state {
            OrderState::Confirming => {
                // Refused while somebody works on it, who will see the same.
                if let Changed::Done(_) = self.changed(order, &Command::LookNow).await? {
                    self.take_up(order).await?;
                }
                Ok(())
            }
            OrderState::Failed => self.look_for_charge(&record).await,
            OrderState::Paid | OrderState::PartiallyRefunded => {
                match self.look_at_balance(&record).await? {
                    // What it saw was not of this order as it is: whoever said so says it again.
                    Balance::Changed => Err(PurchaseError::Running { until_ms: None }),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// A failed order was perhaps charged after all: then the money goes back now, not only after the provider's window.
    async fn look_for_charge(&self, record: &OrderRecord) -> Result<(), PurchaseError> {
        let Some(payment) = self.payment_of(record).await? else {
            return Ok(());
        };
        if payment.status == PaymentStatus::Done
            && let Changed::Done(_) = self.changed(&record.order.id, &Command::LookNow).await?
        {
            self.take_up(&record.order.id).await?;
        }
        Ok(())
    }

    /// A paid order whose money is gone needs an operator.
    pub(super) async fn look_at_balance(
        &self,
        record: &OrderRecord,
    ) -> Result<Balance, PurchaseError> {
        let order = &record.order;
        if order.open_refunds().next().is_some() {
            return Ok(Balance::Unknown);
        }
        if order.amount == 0 {
            return Ok(Balance::Right);
        }
        let Some(payment) = self.payment_of(record).await? else {
            return Ok(Balance::Unknown);
        };
        // A refund of ours may have come in between.
        let now = self.store.order(&order.id).await?;
        if now.is_none_or(|now| now.order.version != order.version) {
            return Ok(Balance::Changed);
        }
        let expected = record.balance();
        let missing = expected.saturating_sub(payment.balance);
        let is_settled = record.work.settled.is_some();
        let attend = if missing > 0 {
            refunded_elsewhere(missing)
        } else if expected > 0 && !payment.status.is_charged() && !is_settled {
            Command::Attend {
                code: "chargeUndone".to_owned(),
                detail: format!(
                    "the provider has the payment as {} though it was charged: its tickets are good without the money",
                    payment.status.as_str()
                ),
            }
        } else {
            return Ok(Balance::Right);
        };
        self.changed(&order.id, &attend).await?;
        Ok(Balance::Wrong { missing })
    }

    /// An order's payment as its provider has it; `None` when that is not asked here, or has no such payment.
    async fn payment_of(&self, record: &OrderRecord) -> Result<Option<Payment>, PurchaseError> {
        let order = &record.order;
        let ours = |claim: &&Claim| claim.provider != FREE && self.is_elsewhere(claim).is_none();
        let Some(claim) = order.payment.as_ref().filter(ours) else {
            return Ok(None);
        };
        let found = self.provider.payment(&claim.key).await?;
        Ok(found.filter(|payment| payment.is_for(&claim.key, &order.id, order.total())))
    }
}
