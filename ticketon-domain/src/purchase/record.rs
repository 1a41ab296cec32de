//! An order as a store keeps it, and the one place where it is decided what becomes of it.
//!
//! [`OrderRecord::decide`] is pure: a store loads the record under a lock, lets it decide, and writes the whole
//! [`Change`] in the same transaction. So a crash leaves all of a change or nothing of it.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use ticketon_queue::{UnixMs, UserId};

use super::command::{Command, Refused, cause};
use super::event::{OrderEvent, hashed};
use super::message::{SeatMessage, seat_messages};
use super::order::{Impossible, Order, Refund};
use super::state::{OrderState, RefundCause, RefundState, TicketState};
use super::work::{CANCEL_SPACING_MS, Lease, Work};
use super::{OrderId, RefundId, TicketId};
use crate::audit::{ChainHash, Entry};
use crate::outbox::{Aggregate, NewMessage};

/// After the provider has refused so many refunds of an order, only an operator may ask for another: each one stays in the
/// order for good.
const MAX_REFUSED: usize = 20;

/// An order with all that a store keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// What its history made it.
    pub order: Order,
    /// Who buys.
    pub user: UserId,
    /// What is left to do.
    pub work: Work,
    /// The hash of its last audit entry.
    pub head: ChainHash,
    /// The reasons of its refunds, by their ids.
    pub reasons: Vec<(RefundId, String)>,
    /// By which requests its refunds and check-ins were asked for, each as its caller named it.
    #[serde(default)]
    pub asked: Vec<String>,
    /// The admission that its buyer came in by.
    #[serde(default)]
    pub admission: Option<u64>,
    /// What ties its logs and messages to the request that made it.
    pub correlation: Option<String>,
}

/// What a command makes of an order: written as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The order afterwards.
    pub record: OrderRecord,
    /// What happened, for its audit; often nothing.
    pub entries: Vec<Entry>,
    /// The same for those who listen: one message an entry.
    pub news: Vec<NewMessage>,
    /// What the seat map must be told, in this order.
    pub messages: Vec<SeatMessage>,
}

impl Change {
    /// The same, with messages that name the request that caused it; without one they name that which made the order.
    #[must_use]
    pub fn correlated(mut self, correlation: Option<&str>) -> Self {
        if let Some(correlation) = correlation {
            for news in &mut self.news {
                news.correlation = Some(correlation.to_owned());
            }
        }
        self
    }
}

impl OrderRecord {
    /// A new order.
    ///
    /// # Errors
    /// [`Impossible`] when the event is no [`OrderEvent::Initiated`].
    pub fn initiate(
        id: OrderId,
        user: UserId,
        now_ms: UnixMs,
        event: &OrderEvent,
        admission: Option<u64>,
        correlation: Option<String>,
    ) -> Result<Change, Impossible> {
        let order = Order::initiated(id, now_ms, event).ok_or(Impossible {
            event: event.kind(),
            state: OrderState::Pending,
            detail: "an order begins otherwise",
        })?;
        let entry = entry(&order, now_ms, event, ChainHash::START);
        let record = Self {
            head: entry.hash,
            order,
            user,
            work: Work::default(),
            reasons: Vec::new(),
            asked: Vec::new(),
            admission,
            correlation,
        };
        Ok(Change {
            news: vec![record.news(&entry)],
            record,
            entries: vec![entry],
            messages: Vec::new(),
        })
    }

    /// What its provider should have of its payment, in minor units: what neither its refunds gave back, nor an operator has
    /// settled.
    #[must_use]
    pub fn balance(&self) -> u64 {
        let gone = self.work.settled.unwrap_or(0);
        self.order
            .amount
            .saturating_sub(self.order.refunded())
            .saturating_sub(gone)
    }

    /// When somebody must look at it next; `None` when nothing is left to do.
    #[must_use]
    pub fn due_ms(&self) -> Option<UnixMs> {
        self.work.due_ms(&self.order)
    }

    /// What a command makes of it.
    ///
    /// # Errors
    /// [`Refused`]; then nothing is to be written.
    pub fn decide(&self, command: &Command, now_ms: UnixMs) -> Result<Change, Refused> {
        let mut next = self.clone();
        let events = next.events(command, now_ms)?;
        let mut entries = Vec::with_capacity(events.len());
        let mut news = Vec::with_capacity(events.len());
        let mut messages = Vec::new();
        for event in &events {
            let before = next.order.state;
            next.order.apply(now_ms, event)?;
            messages.extend(seat_messages(before, &next, event));
            let entry = entry(&next.order, now_ms, event, next.head);
            next.head = entry.hash;
            news.push(next.news(&entry));
            entries.push(entry);
        }
        Ok(Change {
            record: next,
            entries,
            news,
            messages,
        })
    }

    /// What others hear of an entry: the event, whose order it is of, and what the order is now.
    fn news(&self, entry: &Entry) -> NewMessage {
        let mut payload: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&entry.body).unwrap_or_default();
        payload.remove("kind");
        payload.insert("orderId".to_owned(), entry.order.to_string().into());
        payload.insert("eventId".to_owned(), self.order.event.as_str().into());
        payload.insert("userId".to_owned(), self.user.as_str().into());
        payload.insert("status".to_owned(), self.order.state.as_str().into());
        NewMessage {
            aggregate: Aggregate::order(entry.order),
            version: entry.seq,
            kind: entry.kind.clone(),
            occurred_at_ms: entry.at_ms,
            correlation: self.correlation.clone(),
            payload: serde_json::Value::Object(payload).to_string(),
        }
    }

    /// Decides what happens, and changes what is left to do.
    fn events(&mut self, command: &Command, now_ms: UnixMs) -> Result<Vec<OrderEvent>, Refused> {
        match command {
            Command::Confirm {
                user,
                provider,
                key,
                amount,
                lease_ms,
            } => {
                self.is_of(user)?;
                if *amount != self.order.amount {
                    return Err(Refused::Amount {
                        amount: self.order.amount,
                        asked: *amount,
                    });
                }
                let started = match self.order.state {
                    OrderState::Pending if now_ms >= self.order.pay_until_ms => {
                        return Err(Refused::TooLate {
                            pay_until_ms: self.order.pay_until_ms,
                        });
                    }
                    OrderState::Pending => vec![OrderEvent::ConfirmStarted {
                        provider: provider.clone(),
                        payment_key: key.clone(),
                    }],
                    OrderState::Confirming => {
                        let is_same = |claim: &super::order::Claim| {
                            claim.key == *key && claim.provider == *provider
                        };
                        if !self.order.payment.as_ref().is_some_and(is_same) {
                            return Err(Refused::OtherPayment);
                        }
                        self.is_free(now_ms)?;
                        Vec::new()
                    }
                    state => return Err(Refused::State { state }),
                };
                self.work.take(now_ms, *lease_ms);
                Ok(started)
            }
            Command::TakeUp { lease_ms } => {
                if self.order.state == OrderState::Pending
                    || self.due_ms().is_none_or(|due_ms| now_ms < due_ms)
                {
                    return Err(Refused::NotDue);
                }
                self.work.take(now_ms, *lease_ms);
                Ok(Vec::new())
            }
            Command::Paid {
                fence,
                approved_at_ms,
                method,
            } => {
                self.is_held(*fence)?;
                self.work.decided();
                Ok(vec![OrderEvent::Paid {
                    approved_at_ms: *approved_at_ms,
                    method: method.clone(),
                }])
            }
            Command::Fail {
                fence,
                code,
                message,
                late_check_ms,
            } => {
                match (fence, self.order.state) {
                    (None, OrderState::Pending) => {}
                    (Some(fence), OrderState::Confirming) => self.is_held(*fence)?,
                    (_, state) => return Err(Refused::State { state }),
                }
                self.work.decided();
                self.work.late_check_ms = late_check_ms.filter(|_| self.order.payment.is_some());
                self.work.charge_until_ms = self.work.late_check_ms;
                Ok(vec![OrderEvent::Failed {
                    code: code.clone(),
                    message: message.clone(),
                }])
            }
            Command::Renew { fence, lease_ms } => {
                self.is_held(*fence)?;
                self.work.lease = Some(Lease {
                    until_ms: now_ms.saturating_add(*lease_ms),
                    fence: *fence,
                });
                Ok(Vec::new())
            }
            Command::PutOff {
                fence,
                next_ms,
                code,
                detail,
                attend,
                new_key,
            } => {
                self.is_held(*fence)?;
                self.put_off(now_ms, *next_ms, code, detail, *attend);
                self.work.cancel_key += u32::from(*new_key);
                Ok(Vec::new())
            }
            Command::Cancel { user } => {
                self.is_of(user)?;
                self.is_in(&[OrderState::Pending])?;
                self.work.decided();
                Ok(vec![OrderEvent::Canceled])
            }
            Command::Expire => {
                self.is_in(&[OrderState::Pending])?;
                if now_ms < self.order.pay_until_ms {
                    return Err(Refused::NotDue);
                }
                self.work.decided();
                Ok(vec![OrderEvent::Expired])
            }
            Command::Refund {
                user,
                tickets,
                reason,
                request,
            } => self.refund(user.as_ref(), tickets, reason, request.as_deref()),
            Command::Refunded {
                fence,
                refund,
                transaction_key,
            } => {
                self.is_held(*fence)?;
                self.refund_ended(now_ms);
                Ok(vec![OrderEvent::Refunded {
                    refund_id: *refund,
                    transaction_key: transaction_key.clone(),
                }])
            }
            Command::RefundRefused {
                fence,
                refund,
                code,
                message,
            } => {
                self.is_held(*fence)?;
                self.refund_ended(now_ms);
                let detail = format!("the provider refused refund {refund}: {code}: {message}");
                self.work.attend(now_ms, "refundRefused", &detail);
                Ok(vec![OrderEvent::RefundRefused {
                    refund_id: *refund,
                    code: code.clone(),
                    message: message.clone(),
                }])
            }
            Command::LateChecked { fence, charged } => {
                self.is_held(*fence)?;
                self.is_in(&[OrderState::Failed])?;
                if self.order.open_refunds().next().is_some() {
                    return Err(Refused::NotDue);
                }
                self.work.decided();
                self.work.late_check_ms = None;
                if !charged {
                    let charge_until_ms = self.work.charge_until_ms;
                    self.work.late_check_ms = charge_until_ms.filter(|until_ms| now_ms < *until_ms);
                    return Ok(Vec::new());
                }
                let reason = "the payment was charged after its order had failed";
                Ok(vec![self.refund_event(
                    Vec::new(),
                    self.order.amount,
                    RefundCause::LateCharge,
                    reason,
                )])
            }
            Command::CheckIn { ticket, request } => {
                if self.was_asked(request.as_deref()) {
                    return Err(Refused::Asked);
                }
                self.is_in(&[OrderState::Paid, OrderState::PartiallyRefunded])?;
                self.is_valid(ticket)?;
                self.asked.extend(request.clone());
                Ok(vec![OrderEvent::TicketUsed { ticket_id: *ticket }])
            }
            Command::Attend { code, detail } => {
                self.work.attend(now_ms, code, detail);
                Ok(Vec::new())
            }
            Command::LookNow => {
                self.is_in(&[OrderState::Confirming, OrderState::Failed])?;
                self.is_free(now_ms)?;
                if self.order.state == OrderState::Failed {
                    // Money that goes back already, or that the provider does not give back, is nobody's to ask for again.
                    if self.order.payment.is_none() || !self.order.refunds.is_empty() {
                        return Err(Refused::NotDue);
                    }
                    self.work.late_check_ms = Some(now_ms);
                }
                self.work.next_ms = None;
                Ok(Vec::new())
            }
            Command::Settle { missing } => {
                let is_open = matches!(
                    self.order.state,
                    OrderState::Pending | OrderState::Confirming
                ) || self.order.open_refunds().next().is_some();
                if self.work.attention.is_none() || is_open {
                    return Err(Refused::NotDue);
                }
                self.is_free(now_ms)?;
                self.work.decided();
                self.work.attention = None;
                self.work.late_check_ms = None;
                self.work.settled = Some(self.work.settled.unwrap_or(0).saturating_add(*missing));
                Ok(Vec::new())
            }
            Command::Retry => {
                let failed = self.order.state == OrderState::Failed && self.order.payment.is_some();
                if self.work.attention.is_none() && self.due_ms().is_none() && !failed {
                    return Err(Refused::NotDue);
                }
                self.is_free(now_ms)?;
                self.work.decided();
                self.work.attention = None;
                if failed && self.order.open_refunds().next().is_none() {
                    self.work.late_check_ms = Some(now_ms);
                }
                Ok(Vec::new())
            }
        }
    }

    fn refund(
        &mut self,
        user: Option<&UserId>,
        tickets: &[TicketId],
        reason: &str,
        request: Option<&str>,
    ) -> Result<Vec<OrderEvent>, Refused> {
        if let Some(user) = user {
            self.is_of(user)?;
        }
        if self.was_asked(request) {
            return Err(Refused::Asked);
        }
        self.is_in(&[OrderState::Paid, OrderState::PartiallyRefunded])?;
        let refused = |refund: &&Refund| refund.state == RefundState::Refused;
        if user.is_some() && self.order.refunds.iter().filter(refused).count() >= MAX_REFUSED {
            return Err(Refused::NothingToRefund);
        }
        let mut ids: Vec<TicketId> = Vec::new();
        if tickets.is_empty() {
            let valid = self
                .order
                .tickets
                .iter()
                .filter(|ticket| ticket.state == TicketState::Valid);
            ids.extend(valid.map(|ticket| ticket.id));
        }
        for id in tickets {
            self.is_valid(id)?;
            if !ids.contains(id) {
                ids.push(*id);
            }
        }
        if ids.is_empty() {
            return Err(Refused::NothingToRefund);
        }
        let amount = ids
            .iter()
            .filter_map(|id| self.order.ticket(id))
            .map(|ticket| ticket.price)
            .sum();
        self.asked.extend(request.map(str::to_owned));
        Ok(vec![self.refund_event(ids, amount, cause(user), reason)])
    }

    fn refund_event(
        &mut self,
        ticket_ids: Vec<TicketId>,
        amount: u64,
        cause: RefundCause,
        reason: &str,
    ) -> OrderEvent {
        let number = u32::try_from(self.order.refunds.len()).unwrap_or(u32::MAX);
        let refund_id = RefundId::derive(&self.order.id, number);
        self.reasons.push((refund_id, reason.to_owned()));
        let reason = hashed(&self.order.id, reason);
        OrderEvent::RefundRequested {
            refund_id,
            ticket_ids,
            amount,
            cause,
            reason,
        }
    }

    fn was_asked(&self, request: Option<&str>) -> bool {
        request.is_some_and(|request| self.asked.iter().any(|asked| asked == request))
    }

    fn refund_ended(&mut self, now_ms: UnixMs) {
        self.work.decided();
        self.work.cancel_key = 0;
        self.work.next_cancel_ms = Some(now_ms + CANCEL_SPACING_MS);
    }

    fn put_off(&mut self, now_ms: UnixMs, next_ms: UnixMs, code: &str, detail: &str, attend: bool) {
        self.work.lease = None;
        self.work.attempts += 1;
        self.work.next_ms = Some(next_ms);
        if self.order.open_refunds().next().is_some() {
            self.work.next_cancel_ms = Some(now_ms + CANCEL_SPACING_MS);
        }
        if attend || self.work.is_stuck() {
            self.work.attend(now_ms, code, detail);
        }
    }

    fn is_of(&self, user: &UserId) -> Result<(), Refused> {
        if self.user == *user {
            Ok(())
        } else {
            Err(Refused::NotYours)
        }
    }

    fn is_in(&self, states: &[OrderState]) -> Result<(), Refused> {
        let state = self.order.state;
        if states.contains(&state) {
            Ok(())
        } else {
            Err(Refused::State { state })
        }
    }

    fn is_free(&self, now_ms: UnixMs) -> Result<(), Refused> {
        match self.work.lease {
            Some(lease) if now_ms < lease.until_ms => Err(Refused::Running {
                until_ms: lease.until_ms,
            }),
            _ => Ok(()),
        }
    }

    fn is_held(&self, fence: u64) -> Result<(), Refused> {
        if self.work.lease.is_some_and(|lease| lease.fence == fence) {
            Ok(())
        } else {
            Err(Refused::Fenced)
        }
    }

    fn is_valid(&self, id: &TicketId) -> Result<(), Refused> {
        let ticket = self
            .order
            .ticket(id)
            .ok_or(Refused::UnknownTicket { ticket: *id })?;
        if ticket.state == TicketState::Valid {
            return Ok(());
        }
        Err(Refused::Ticket {
            ticket: *id,
            state: ticket.state,
            used_at_ms: ticket.used_at_ms,
        })
    }
}

fn entry(order: &Order, at_ms: UnixMs, event: &OrderEvent, prev: ChainHash) -> Entry {
    // An event is a value of plain fields: it always has a text.
    let body = serde_json::to_string(event).unwrap_or_default();
    Entry::chained(order.id, order.version, at_ms, event.kind(), body, prev)
}
