//! Payments of the sandbox in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ticketon_queue::StoreError;

use crate::adapter::sandbox::{MAX_PAYMENTS_OF_ORDER, SandboxBook, SandboxPayment};
use crate::purchase::{OrderId, PaymentKey};

/// The most payments that a [`MemorySandboxBook`] holds; the oldest go first.
pub const MAX_PAYMENTS: usize = 100_000;

/// A [`SandboxBook`] in memory. Clones share what it holds.
#[derive(Debug, Clone, Default)]
pub struct MemorySandboxBook(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    payments: BTreeMap<PaymentKey, SandboxPayment>,
    orders: BTreeMap<OrderId, Vec<PaymentKey>>,
    /// The keys by age.
    ages: VecDeque<PaymentKey>,
}

impl MemorySandboxBook {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A call never leaves the pages half-changed, so a poisoned lock is taken over.
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn insert(&mut self, payment: SandboxPayment) {
        if self.ages.len() >= MAX_PAYMENTS
            && let Some(oldest) = self.ages.pop_front()
        {
            self.remove(&oldest);
        }
        let key = payment.key().clone();
        let of_order = self.orders.entry(*payment.order()).or_default();
        of_order.push(key.clone());
        self.ages.push_back(key.clone());
        self.payments.insert(key, payment);
    }

    fn remove(&mut self, key: &PaymentKey) {
        let Some(payment) = self.payments.remove(key) else {
            return;
        };
        if let Some(keys) = self.orders.get_mut(payment.order()) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.orders.remove(payment.order());
            }
        }
    }
}

#[async_trait]
impl SandboxBook for MemorySandboxBook {
    async fn load(&self, key: &PaymentKey) -> Result<Option<SandboxPayment>, StoreError> {
        Ok(self.pages().payments.get(key).cloned())
    }

    async fn of_order(&self, order: &OrderId) -> Result<Vec<SandboxPayment>, StoreError> {
        let pages = self.pages();
        let keys = pages.orders.get(order).into_iter().flatten();
        let payments = keys.filter_map(|key| pages.payments.get(key));
        Ok(payments.take(MAX_PAYMENTS_OF_ORDER).cloned().collect())
    }

    async fn save(
        &self,
        before: Option<&SandboxPayment>,
        after: &SandboxPayment,
    ) -> Result<bool, StoreError> {
        let mut pages = self.pages();
        if pages.payments.get(after.key()) != before {
            return Ok(false);
        }
        match before {
            None => pages.insert(after.clone()),
            Some(_) => {
                pages.payments.insert(after.key().clone(), after.clone());
            }
        }
        Ok(true)
    }
}
