//! The work inside the process: takes up what is due, and tells the seat map what it has yet to hear.
//!
//! Any number of processes may run it: a lease on each order keeps them apart, and a fence refuses the result of
//! whoever lost the lease meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use ticketon_queue::{StoreError, UnixMs};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use super::charge::UNKNOWN_PAYMENT;
use super::confirm::OTHER_PROVIDER;
use super::{PurchaseError, Shared};
use crate::purchase::command::Command;
use crate::purchase::provider::{PaymentStatus, ProviderError};
use crate::purchase::store::{MAX_DUE, MAX_FORGOTTEN, MAX_ORDERS};
use crate::purchase::work::pause;
use crate::purchase::{Changed, OrderId, OrderRecord, OrderState};

/// How often due orders are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often the map's messages are looked at when nobody wakes the teller.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// After so many milliseconds a map that has not heard of orders is worth a warning.
const LATE_MS: i64 = 10_000;
/// How often the orders that wait for an operator are counted, in milliseconds.
const COUNT_EVERY_MS: i64 = 10_000;
/// How many orders are worked on at once. Nearly all of that time is waiting, for the provider or a commit; after an outage of
/// the provider this is how fast its doubts are cleared.
const AT_ONCE: usize = 32;
/// Orders that rest, at the most.
const MAX_RESTING: usize = 10_000;
/// How long an attempt may last, in leases: each call of the provider has one, there are four at the most, and the rest takes
/// one more.
const ATTEMPT_LEASES: i64 = 5;
/// How long idempotency keys are remembered, in milliseconds.
const REQUEST_TTL_MS: i64 = 15 * 86_400_000;
/// How often old ones are forgotten, in milliseconds.
const FORGET_EVERY_MS: i64 = 600_000;

/// Takes up due orders until told to stop.
pub(super) async fn work(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut failing = false;
    let mut forget_at_ms = shared.now_ms();
    let mut count_at_ms = shared.now_ms();
    let mut under_way = UnderWay::default();
    loop {
        if shared.now_ms() >= count_at_ms {
            count_at_ms = shared.now_ms() + COUNT_EVERY_MS;
            if let Ok(page) = shared.store.attention(None, MAX_ORDERS).await {
                let count = u32::try_from(page.items.len()).unwrap_or(u32::MAX);
                metrics::gauge!("ticketon_orders_attention").set(count);
            }
        }
        if shared.now_ms() >= forget_at_ms {
            let forgotten = shared
                .store
                .forget_requests(shared.now_ms() - REQUEST_TTL_MS)
                .await
                .inspect_err(|error| {
                    tracing::debug!(target: "ticketon::purchase", %error, "old idempotency keys are forgotten later");
                });
            // As many again in the next round, while there are so many.
            let is_full = matches!(forgotten, Ok(count) if count >= MAX_FORGOTTEN);
            let pause_ms = if is_full { 0 } else { FORGET_EVERY_MS };
            forget_at_ms = shared.now_ms() + pause_ms;
        }
        let due = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            due = shared.store.due(shared.now_ms(), MAX_DUE) => due,
        };
        let (due, error) = match due {
            Ok(due) => (due, None),
            Err(error) => (Vec::new(), Some(PurchaseError::from(error))),
        };
        let is_more_due = under_way.begin(&shared, due);
        let error = error.or(under_way.failed.take());
        // Nothing is known to be well again while all are still at it.
        if error.is_some() || under_way.is_well() {
            note(&mut failing, error.as_ref());
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            // Where orders fail at once, the rest waits for the next look.
            () = under_way.half_done(&shared), if is_more_due && !failing => {}
            () = shared.clock.sleep(LOOK_EVERY) => {}
        }
    }
    // What is under way is broken off: the lease lapses, and somebody takes it up.
    under_way.tasks.shutdown().await;
}

/// How long an order rests that nothing could be done about.
#[derive(Debug, Clone, Copy)]
struct Rest {
    until_ms: UnixMs,
    attempts: u32,
}

/// The orders that this process works on.
#[derive(Default)]
struct UnderWay {
    tasks: JoinSet<Result<(), PurchaseError>>,
    orders: HashMap<Id, OrderId>,
    /// Orders that nothing can be done about, as long as they are as they are: they take no room from the others.
    resting: HashMap<OrderId, Rest>,
    /// Why one was not done, the first since somebody looked.
    failed: Option<PurchaseError>,
    /// Whether one was done since then.
    done: bool,
}

impl UnderWay {
    /// Takes orders up, as far as there is room; answers whether some are left.
    fn begin(&mut self, shared: &Arc<Shared>, due: Vec<OrderId>) -> bool {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.ended(ended, shared.now_ms());
        }
        let now_ms = shared.now_ms();
        for order in due {
            if self
                .resting
                .get(&order)
                .is_some_and(|rest| now_ms < rest.until_ms)
            {
                continue;
            }
            // Listed before it was taken up.
            if self.orders.values().any(|one| *one == order) {
                continue;
            }
            if self.orders.len() >= AT_ONCE {
                return true;
            }
            let shared = Arc::clone(shared);
            let task = async move { shared.attempt(&order).await };
            self.orders.insert(self.tasks.spawn(task).id(), order);
        }
        false
    }

    /// Whether orders are done, or none is to be.
    fn is_well(&mut self) -> bool {
        std::mem::take(&mut self.done) || self.orders.is_empty()
    }

    /// Waits until half of the room is free.
    async fn half_done(&mut self, shared: &Shared) {
        while self.orders.len() > AT_ONCE / 2
            && let Some(ended) = self.tasks.join_next_with_id().await
        {
            self.ended(ended, shared.now_ms());
        }
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), PurchaseError>), JoinError>, now_ms: UnixMs) {
        let (id, done) = match ended {
            Ok(ended) => ended,
            // It panicked, and was told of as every panic is; its lease lapses.
            Err(error) => (error.id(), Ok(())),
        };
        let order = self.orders.remove(&id);
        match (done, order) {
            (Err(error), Some(order)) if is_broken(&error) => self.rest(order, &error, now_ms),
            (Err(error), Some(order)) => {
                tracing::debug!(target: "ticketon::purchase", %order, %error, "an order is taken up later");
                self.failed.get_or_insert(error);
            }
            (_, order) => {
                self.done = true;
                if let Some(order) = order {
                    self.resting.remove(&order);
                }
            }
        }
    }

    /// Lets an order be for longer each time. Another process, of another version, may know what to do with it.
    fn rest(&mut self, order: OrderId, error: &PurchaseError, now_ms: UnixMs) {
        let attempts = self.resting.get(&order).map_or(0, |rest| rest.attempts);
        if attempts == 0 {
            tracing::error!(target: "ticketon::purchase", %order, %error, "nothing can be done about an order as it is");
        }
        if self.resting.len() >= MAX_RESTING {
            self.resting.retain(|_, rest| now_ms < rest.until_ms);
        }
        if self.resting.len() < MAX_RESTING {
            let pause_ms = i64::try_from(pause(attempts).as_millis()).unwrap_or(i64::MAX);
            let rest = Rest {
                until_ms: now_ms.saturating_add(pause_ms),
                attempts: attempts.saturating_add(1),
            };
            self.resting.insert(order, rest);
        }
    }
}

/// Tells the map what it has yet to hear until told to stop.
pub(super) async fn tell(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut failing = false;
    let mut behind_since_ms = None;
    let mut warned = false;
    loop {
        let told = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            told = shared.tell_all() => told,
        };
        let left = !matches!(told, Ok(0));
        note(&mut failing, told.as_ref().err());
        if let Ok(behind) = told {
            metrics::gauge!("ticketon_orders_untold")
                .set(u32::try_from(behind).unwrap_or(u32::MAX));
            let now_ms = shared.now_ms();
            behind_since_ms = (behind > 0).then(|| behind_since_ms.unwrap_or(now_ms));
            let is_late = behind_since_ms.is_some_and(|since_ms| now_ms - since_ms > LATE_MS);
            if is_late && !warned {
                tracing::warn!(target: "ticketon::purchase", orders = behind, "the seat map does not hear what became of orders");
            }
            warned = is_late;
        }
        let woken = async {
            // A map that cannot be told now is not asked again at once.
            if left {
                std::future::pending::<()>().await;
            }
            shared.messages.notified().await;
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = woken => {}
            () = shared.clock.sleep(TELL_EVERY) => {}
        }
    }
}

/// Whether an order is what cannot be, or cannot be read: asking again at once would be in vain.
fn is_broken(error: &PurchaseError) -> bool {
    matches!(
        error,
        PurchaseError::Fault(_) | PurchaseError::Store(StoreError::Corrupt { .. })
    )
}

fn note(failing: &mut bool, error: Option<&PurchaseError>) {
    if let Some(error) = error
        && !*failing
    {
        tracing::warn!(target: "ticketon::purchase", %error, "orders wait until the store answers");
    }
    *failing = error.is_some();
}

impl Shared {
    /// Takes up what is due now; answers how much was.
    pub(super) async fn round(&self) -> Result<usize, PurchaseError> {
        let due = self.store.due(self.now_ms(), MAX_DUE).await?;
        let count = due.len();
        let mut taken = stream::iter(due)
            .map(|order| async move { (order, self.take_up(&order).await) })
            .buffer_unordered(AT_ONCE);
        let mut first_error = None;
        while let Some((order, done)) = taken.next().await {
            if let Err(error) = done {
                tracing::debug!(target: "ticketon::purchase", %order, %error, "an order is taken up later");
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(count), Err)
    }

    /// Takes an order up for as long as an attempt may last. After that its lease has lapsed: it is broken off, and taken up
    /// anew.
    async fn attempt(&self, order: &OrderId) -> Result<(), PurchaseError> {
        let bound_ms = u64::try_from(ATTEMPT_LEASES * self.lease_ms).unwrap_or(0);
        tokio::select! {
            done = self.take_up(order) => done.map(drop),
            () = self.clock.sleep(Duration::from_millis(bound_ms)) => {
                tracing::warn!(
                    target: "ticketon::purchase",
                    %order, bound_ms,
                    "an order took longer than any attempt may: it is broken off, and taken up anew"
                );
                Ok(())
            }
        }
    }

    /// Does what is due about an order; `None` when nothing is, or somebody else does it.
    pub(super) async fn take_up(
        &self,
        order: &OrderId,
    ) -> Result<Option<OrderRecord>, PurchaseError> {
        let taken = match self
            .changed(
                order,
                &Command::TakeUp {
                    lease_ms: self.lease_ms,
                },
            )
            .await?
        {
            Changed::Done(record) => *record,
            Changed::Refused(_, record) if record.order.state == OrderState::Pending => {
                return Ok(match self.changed(order, &Command::Expire).await? {
                    Changed::Done(record) => Some(*record),
                    _ => None,
                });
            }
            _ => return Ok(None),
        };
        let done = match taken.order.state {
            OrderState::Confirming => self.settle(taken).await?,
            _ if taken.order.open_refunds().next().is_some() => self.give_back(taken).await?,
            OrderState::Failed => self.check_late(taken).await?,
            _ => taken,
        };
        Ok(Some(done))
    }

    /// Asks the provider once more about an order that was not paid: what it charged after all goes back.
    async fn check_late(&self, record: OrderRecord) -> Result<OrderRecord, PurchaseError> {
        let order = &record.order;
        let Some(claim) = &order.payment else {
            return Ok(record);
        };
        let fence = record.work.fence;
        let put_off = |code: &str, detail: &str, attend: bool, retry_after| Command::PutOff {
            fence,
            next_ms: self.now_ms() + record.work.pause_ms(retry_after),
            code: code.to_owned(),
            detail: detail.to_owned(),
            attend,
            new_key: false,
        };
        let mut is_known = true;
        let found = match self.is_elsewhere(claim) {
            Some(message) => Err(ProviderError::Misconfigured {
                code: OTHER_PROVIDER.to_owned(),
                message,
            }),
            None => self.provider.payment(&claim.key).await,
        };
        let command = match found {
            Ok(Some(payment)) if payment.is_for(&claim.key, &order.id, order.total()) => {
                match payment.status {
                    PaymentStatus::Done => Command::LateChecked {
                        fence,
                        charged: true,
                    },
                    PaymentStatus::PartiallyCanceled => put_off(
                        "partlyCanceledAtProvider",
                        "the order failed; a part of its payment is still charged",
                        true,
                        None,
                    ),
                    PaymentStatus::Pending
                    | PaymentStatus::AwaitingDeposit
                    | PaymentStatus::Unknown => put_off(
                        payment.status.as_str(),
                        "the order failed; its payment is not decided yet",
                        false,
                        None,
                    ),
                    _ => Command::LateChecked {
                        fence,
                        charged: false,
                    },
                }
            }
            Ok(other) => {
                is_known = other.is_some();
                Command::LateChecked {
                    fence,
                    charged: false,
                }
            }
            Err(error) => {
                let attend = matches!(error, ProviderError::Misconfigured { .. });
                put_off(error.code(), error.message(), attend, error.retry_after())
            }
        };
        let record = match self.changed(&order.id, &command).await? {
            Changed::Done(record) => *record,
            _ => return Ok(record),
        };
        let failed_unknown = record
            .order
            .failure
            .as_ref()
            .is_some_and(|why| why.code == UNKNOWN_PAYMENT);
        if !is_known && failed_unknown && record.work.late_check_ms.is_none() {
            // Nobody ever said that it was not charged.
            let attend = Command::Attend {
                code: UNKNOWN_PAYMENT.to_owned(),
                detail: "the order failed because the provider knows no such payment, after attempts that nobody knows the end of: \
                         if it was begun with other keys, it may have been charged there"
                    .to_owned(),
            };
            return Ok(match self.changed(&record.order.id, &attend).await? {
                Changed::Done(attended) => *attended,
                _ => record,
            });
        }
        if record.order.open_refunds().next().is_none() {
            return Ok(record);
        }
        match self
            .changed(
                &record.order.id,
                &Command::TakeUp {
                    lease_ms: self.lease_ms,
                },
            )
            .await?
        {
            Changed::Done(record) => self.give_back(*record).await,
            _ => Ok(record),
        }
    }
}
