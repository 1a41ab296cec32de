//! From an order to its tickets: reserve, pin, charge, write down.
//!
//! Before the provider is called, the order is bound to the payment and its seats are reserved in the store and pinned
//! in the map. Afterwards only what the provider says for good decides. Whatever breaks off in between leaves a lease
//! that lapses; whoever takes the order up then goes forward from here.

use ticketon_queue::{StoreError, UserId};

use super::charge::{FREE, Verdict, unknown};
use super::{OrderView, PurchaseError, Purchases, Shared};
use crate::event::EventStatus;
use crate::purchase::command::{Command, Refused};
use crate::purchase::{Changed, OrderId, OrderRecord, OrderState, PaymentKey};
use crate::seat::{HoldKey, Outcome, Refusal};

/// What an operator is told of an order whose payment is at a provider that this process does not work with.
pub(super) const OTHER_PROVIDER: &str = "otherProvider";

/// Why an order was not paid though its provider was not asked: its hold has ended.
const HOLD_ENDED: &str = "holdEnded";
/// The same: the seat map did not answer, so the seats could not be kept.
const SEATS_UNAVAILABLE: &str = "seatsUnavailable";

/// A payment that its buyer has authorized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    /// What is paid.
    pub order: OrderId,
    /// The payment's key at the provider.
    pub key: PaymentKey,
    /// The amount that the caller believes, in minor units: it is only compared.
    pub amount: u64,
}

impl Purchases {
    /// Charges an authorized payment and makes the tickets good. Asked again, also at once by several, it charges once
    /// and answers the same. An answer that is still `confirming` is decided by the worker: ask again by
    /// [`get`](Self::get). For an order that costs nothing no provider is asked, and any key will do.
    ///
    /// # Errors
    /// [`PurchaseError`]: refused before the provider was asked, declined by it, or a store failed.
    pub async fn confirm(
        &self,
        user: &UserId,
        confirm: &Confirm,
    ) -> Result<OrderView, PurchaseError> {
        let shared = &self.0.shared;
        let before = shared.own(user, &confirm.order).await?;
        if before.order.state == OrderState::Pending {
            shared.check_sale(&before).await?;
        }
        let (provider, key) = match before.order.amount {
            0 => (FREE, free_payment(&confirm.order)?),
            _ => (shared.provider.name(), confirm.key.clone()),
        };
        let command = Command::Confirm {
            user: user.clone(),
            provider: provider.to_owned(),
            key: key.clone(),
            amount: confirm.amount,
            lease_ms: shared.lease_ms,
        };
        let settled = match shared.changed(&confirm.order, &command).await? {
            Changed::Done(record) => shared.settle(*record).await?,
            Changed::SeatsTaken(seats) => {
                let seats_text: Vec<String> = seats.iter().map(ToString::to_string).collect();
                let message = format!("others have tickets for {}", seats_text.join(", "));
                shared.reject(&confirm.order, "seatsTaken", message).await?;
                return Err(PurchaseError::SeatsTaken { seats });
            }
            Changed::Refused(Refused::TooLate { pay_until_ms }, _) => {
                shared.changed(&confirm.order, &Command::Expire).await?;
                return Err(PurchaseError::TooLate { pay_until_ms });
            }
            // It was decided before: the same answer again.
            Changed::Refused(Refused::State { .. }, record) if is_for(&record, &key) => *record,
            Changed::Refused(Refused::State { .. }, record) if record.order.payment.is_some() => {
                return Err(PurchaseError::PaymentTaken);
            }
            Changed::Refused(
                Refused::State {
                    state: OrderState::Expired,
                },
                record,
            ) => {
                return Err(PurchaseError::TooLate {
                    pay_until_ms: record.order.pay_until_ms,
                });
            }
            Changed::Refused(refused, _) => return Err(refused.into()),
            Changed::PaymentTaken => return Err(PurchaseError::PaymentTaken),
            Changed::Unknown => return Err(PurchaseError::UnknownOrder),
        };
        match (settled.order.state, &settled.order.failure) {
            (OrderState::Failed, Some(failure)) => Err(PurchaseError::Declined {
                code: failure.code.clone(),
                message: failure.message.clone(),
            }),
            _ => Ok(shared.view(&settled)),
        }
    }
}

/// The payment of an order that costs nothing: each order has one of its own.
fn free_payment(order: &OrderId) -> Result<PaymentKey, PurchaseError> {
    PaymentKey::new(format!("{FREE}-{order}")).map_err(|error| PurchaseError::Invalid {
        fields: vec![error],
    })
}

fn is_for(record: &OrderRecord, key: &PaymentKey) -> bool {
    record
        .order
        .payment
        .as_ref()
        .is_some_and(|claim| claim.key == *key)
}

impl Shared {
    /// Refuses to sell what is not offered any more as it was when the order was made.
    async fn check_sale(&self, record: &OrderRecord) -> Result<(), PurchaseError> {
        let event = self.seats.event(&record.order.event).await?;
        let same = event.sales_version() == record.order.sales_version;
        if same && event.status() != EventStatus::Cancelled {
            return Ok(());
        }
        let message = "the event has changed since the order was made";
        self.reject(&record.order.id, "salesChanged", message.to_owned())
            .await?;
        Err(PurchaseError::SalesChanged)
    }

    /// Ends an order that no payment is bound to.
    async fn reject(
        &self,
        order: &OrderId,
        code: &str,
        message: String,
    ) -> Result<(), PurchaseError> {
        let fail = Command::Fail {
            fence: None,
            code: code.to_owned(),
            message,
            late_check_ms: None,
        };
        // Refused when another call has ended it or begun to pay: then that decides.
        self.changed(order, &fail).await?;
        Ok(())
    }

    /// Goes forward with an order that is being paid, under the lease that was just taken.
    pub(super) async fn settle(&self, record: OrderRecord) -> Result<OrderRecord, PurchaseError> {
        let Some(claim) = record.order.payment.clone() else {
            return Ok(record);
        };
        let fence = record.work.fence;
        if let Some(detail) = self.is_elsewhere(&claim) {
            let verdict = Verdict::Unknown {
                code: OTHER_PROVIDER.to_owned(),
                detail,
                attend: true,
                retry_after: None,
            };
            return self.write_down(record, fence, verdict).await;
        }
        let is_first = record.work.is_first_attempt();
        if !record.work.is_leased(self.now_ms()) {
            return Ok(self.store.order(&record.order.id).await?.unwrap_or(record));
        }
        let pinned = self.pin(&record).await;
        let verdict = match pinned {
            Ok(Outcome::Done(())) => self.charge(&record, &claim, is_first).await,
            // Nobody was charged: the provider was not asked.
            Ok(Outcome::Refused(refusal)) if is_first => {
                let code = match refusal {
                    Refusal::NotReady { .. } => SEATS_UNAVAILABLE,
                    _ => HOLD_ENDED,
                };
                unpaid(code, &refusal)
            }
            Err(error) if is_first => unpaid(SEATS_UNAVAILABLE, &error),
            // Somebody may have been: an attempt before this one went further.
            Ok(Outcome::Refused(Refusal::NotReady { .. })) => {
                Some(unknown("mapNotReady", "the seat map is being prepared"))
            }
            // The hold is gone with its map, but not the seats: they are reserved in the store, whose word is the last.
            Ok(Outcome::Refused(_)) => self.charge(&record, &claim, is_first).await,
            Err(error) => Some(unknown("storeUnavailable", &error.to_string())),
        };
        let settled = match verdict {
            Some(verdict) => self.write_down(record, fence, verdict).await?,
            // The lease has lapsed: whoever has it now decides.
            None => self.store.order(&record.order.id).await?.unwrap_or(record),
        };
        if settled.order.state == OrderState::Failed && settled.work.fence != fence {
            // Somebody else ended it, and let the hold go perhaps before it was pinned here.
            self.let_go_again(&settled).await;
        }
        Ok(settled)
    }

    /// Keeps the hold from ending while it is paid for.
    async fn pin(&self, record: &OrderRecord) -> Result<Outcome<()>, PurchaseError> {
        let order = &record.order;
        let key = HoldKey {
            id: order.hold,
            user: record.user.clone(),
            fence: Some(order.fence),
        };
        Ok(self.seats.pin(&order.event, &key).await?.map(|_| ()))
    }

    /// Writes down what an attempt showed.
    async fn write_down(
        &self,
        record: OrderRecord,
        fence: u64,
        verdict: Verdict,
    ) -> Result<OrderRecord, PurchaseError> {
        let now_ms = self.now_ms();
        let id = record.order.id;
        let command = match verdict {
            Verdict::Paid {
                approved_at_ms,
                method,
            } => Command::Paid {
                fence,
                approved_at_ms: approved_at_ms.or(Some(now_ms)),
                method,
            },
            Verdict::Unpaid { code, message } => {
                let window_ms =
                    i64::try_from(self.provider.window().as_millis()).unwrap_or(i64::MAX);
                let asked = record.order.amount > 0;
                let late_check_ms = asked.then(|| now_ms.saturating_add(window_ms));
                Command::Fail {
                    fence: Some(fence),
                    code,
                    message,
                    late_check_ms,
                }
            }
            Verdict::Unknown {
                code,
                detail,
                attend,
                retry_after,
            } => {
                tracing::warn!(target: "ticketon::purchase", order = %id, code, detail, "a payment is not decided yet");
                Command::PutOff {
                    fence,
                    next_ms: now_ms + record.work.pause_ms(retry_after),
                    code,
                    detail,
                    attend,
                    new_key: false,
                }
            }
        };
        match self.changed(&id, &command).await? {
            Changed::Done(record) => Ok(*record),
            // Whoever took the order up meanwhile decides.
            Changed::Refused(_, record) => Ok(*record),
            Changed::Unknown | Changed::SeatsTaken(_) | Changed::PaymentTaken => {
                let detail = format!("order {id} is gone while it is being paid");
                Err(StoreError::Corrupt {
                    context: "order",
                    detail,
                }
                .into())
            }
        }
    }
}

fn unpaid(code: &str, why: &dyn std::fmt::Display) -> Option<Verdict> {
    Some(Verdict::Unpaid {
        code: code.to_owned(),
        message: why.to_string(),
    })
}
