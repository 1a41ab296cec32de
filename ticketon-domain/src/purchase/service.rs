//! The handle that hosts use: orders from the hold to the ticket, and back.
//!
//! Cloning it is cheap. `start` runs a worker inside the process unless told otherwise: it takes up what crashed
//! processes left, expires what was not paid, gives money back, and tells the seat map what was sold.

mod builder;
mod charge;
mod confirm;
mod error;
mod follow;
mod initiate;
mod look;
mod manage;
mod refund;
#[cfg(test)]
mod tests;
mod tickets;
mod told_twice;
mod view;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ticketon_queue::{Clock, UnixMs, UserId, WaitingQueue};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

pub use builder::PurchasesBuilder;
pub use confirm::Confirm;
pub use error::PurchaseError;
use look::Looks;
pub use view::{
    AdminOrder, AdminOrders, AttentionView, EntryView, OrderView, OrderViews, PaymentView,
    RefundView, SeatView, TicketView, VerifiedTicket,
};

use super::provider::PaymentProvider;
use super::store::PurchaseStore;
use super::ticket_code::TicketKeys;
use super::{Changed, Claim, Command, OrderId, OrderRecord};
use crate::outbox::Wake;
use crate::seat::Seats;

/// How long `shutdown` waits for the worker, at the most.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// Told to stop, or gone with the last handle: either ends the worker.
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What the handle and the worker have in common.
#[derive(Debug)]
pub(super) struct Shared {
    store: Arc<dyn PurchaseStore>,
    provider: Arc<dyn PaymentProvider>,
    seats: Seats,
    queue: Option<WaitingQueue>,
    clock: Arc<dyn Clock>,
    keys: TicketKeys,
    lease_ms: i64,
    /// The seat map has something to hear.
    messages: Notify,
    /// The outbox has something to publish; its relay waits for this.
    news: Wake,
    looks: Looks,
}

/// Purchases: the handle to everything in this module.
///
/// A payment that is confirmed once is charged once, however often, and by however many processes, it is confirmed; what
/// cannot be decided now is decided by the worker.
#[derive(Debug, Clone)]
pub struct Purchases(Arc<Inner>);

impl Purchases {
    /// The seats that are bought.
    #[must_use]
    pub fn seats(&self) -> &Seats {
        &self.0.shared.seats
    }

    /// Where orders are kept.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn PurchaseStore> {
        &self.0.shared.store
    }

    /// Who takes the money.
    #[must_use]
    pub fn provider(&self) -> &Arc<dyn PaymentProvider> {
        &self.0.shared.provider
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.shared.clock
    }

    /// Who signs tickets.
    #[must_use]
    pub fn ticket_keys(&self) -> &TicketKeys {
        &self.0.shared.keys
    }

    /// An order of this person, as it is now.
    ///
    /// # Errors
    /// [`PurchaseError::UnknownOrder`], or a store failed.
    pub async fn get(&self, user: &UserId, order: &OrderId) -> Result<OrderView, PurchaseError> {
        let shared = &self.0.shared;
        let record = shared.own(user, order).await?;
        Ok(shared.view(&record))
    }

    /// Gives up an order that is not paid, and its seats.
    ///
    /// # Errors
    /// [`PurchaseError::UnknownOrder`], [`PurchaseError::State`] when it is being paid or has ended, or a store failed.
    pub async fn cancel(&self, user: &UserId, order: &OrderId) -> Result<OrderView, PurchaseError> {
        let shared = &self.0.shared;
        let record = shared
            .change(order, &Command::Cancel { user: user.clone() })
            .await?;
        let holder = (record.order.event.clone(), record.user.clone());
        // The order is canceled already; a hold that cannot be given back now ends at its deadline.
        if let Err(error) = shared.seats.release(&holder, record.order.hold).await {
            tracing::info!(target: "ticketon::purchase", %order, %error, "the hold of a canceled order stays until its deadline");
        }
        Ok(shared.view(&record))
    }

    /// A person's orders, the newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn history(
        &self,
        user: &UserId,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderViews, PurchaseError> {
        let shared = &self.0.shared;
        let page = shared.store.orders_of(user, before, limit).await?;
        Ok(shared.views(&page))
    }

    /// Does once and now what the worker does: takes up what is due, waits for the slowest of it, and tells the seat map
    /// what it has yet to hear. Answers how many orders were due, and whether the map has heard everything. For hosts that
    /// start without a worker ([`PurchasesBuilder::recover`]); a provider of their own needs time-outs.
    ///
    /// # Errors
    /// A store failed; what was not done is still due.
    pub async fn run_due(&self) -> Result<(usize, bool), PurchaseError> {
        let shared = &self.0.shared;
        let done = shared.round().await;
        let left = shared.tell_all().await?;
        Ok((done?, left == 0))
    }

    /// Ends the worker. Orders stay what they are; another process, or the next start, takes them up.
    pub async fn shutdown(&self) {
        self.0.stop.send_replace(true);
        let tasks: Vec<JoinHandle<()>> = {
            let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.drain(..).collect()
        };
        for mut task in tasks {
            if tokio::time::timeout(SHUTDOWN_LIMIT, &mut task)
                .await
                .is_err()
            {
                tracing::warn!(target: "ticketon::purchase", "the worker did not end in time");
                task.abort();
            }
        }
    }
}

impl Shared {
    fn now_ms(&self) -> UnixMs {
        self.clock.now_ms()
    }

    /// An order of this person.
    async fn own(&self, user: &UserId, order: &OrderId) -> Result<OrderRecord, PurchaseError> {
        let record = self.store.order(order).await?;
        record
            .filter(|record| record.user == *user)
            .ok_or(PurchaseError::UnknownOrder)
    }

    /// Does what a command asks, or says why not.
    async fn change(
        &self,
        order: &OrderId,
        command: &Command,
    ) -> Result<OrderRecord, PurchaseError> {
        match self.changed(order, command).await? {
            Changed::Done(record) => Ok(*record),
            Changed::Refused(refused, _) => Err(refused.into()),
            Changed::SeatsTaken(seats) => Err(PurchaseError::SeatsTaken { seats }),
            Changed::PaymentTaken => Err(PurchaseError::PaymentTaken),
            Changed::Unknown => Err(PurchaseError::UnknownOrder),
        }
    }

    /// Does what a command asks, and wakes whoever has something to tell.
    async fn changed(&self, order: &OrderId, command: &Command) -> Result<Changed, PurchaseError> {
        let changed = self.store.change(order, command, self.now_ms()).await?;
        if let Changed::Done(record) = &changed {
            self.news.wake();
            if has_messages(command) {
                self.messages.notify_one();
            }
            count(command, record);
        }
        Ok(changed)
    }

    /// Why an order's payment cannot be asked about here, if so: it was begun at another provider.
    fn is_elsewhere(&self, claim: &Claim) -> Option<String> {
        let ours = self.provider.name();
        (claim.provider != ours && claim.provider != charge::FREE).then(|| {
            let theirs = &claim.provider;
            format!("the payment is at {theirs}, and this process works with {ours}: run one with {theirs}")
        })
    }

    fn view(&self, record: &OrderRecord) -> OrderView {
        OrderView::new(record, &self.provider.checkout())
    }

    fn views(&self, page: &super::OrderPage) -> OrderViews {
        let orders = page.items.iter().map(|record| self.view(record)).collect();
        OrderViews {
            orders,
            next: page.next,
        }
    }
}

/// Whether the map may have something to hear of a command that was done.
const fn has_messages(command: &Command) -> bool {
    matches!(
        command,
        Command::Paid { .. } | Command::Fail { .. } | Command::Refunded { .. }
    )
}

fn count(command: &Command, record: &OrderRecord) {
    let counter = match command {
        Command::Paid { .. } | Command::Fail { .. } | Command::Cancel { .. } | Command::Expire => {
            metrics::counter!("ticketon_orders_total", "state" => record.order.state.as_str())
        }
        Command::Refunded { .. } => {
            metrics::counter!("ticketon_refunds_total", "outcome" => "completed")
        }
        Command::RefundRefused { .. } => {
            metrics::counter!("ticketon_refunds_total", "outcome" => "refused")
        }
        Command::PutOff { .. } => metrics::counter!("ticketon_payments_unknown_total"),
        Command::CheckIn { .. } => metrics::counter!("ticketon_checkins_total"),
        _ => return,
    };
    counter.increment(1);
}
