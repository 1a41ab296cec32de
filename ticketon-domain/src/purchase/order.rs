//! An order as its events made it: pure, without I/O; the time comes with each event.

use serde::{Deserialize, Serialize};
use ticketon_queue::{EventId, UnixMs};

use super::event::{Line, OrderEvent};
use super::state::{OrderState, RefundCause, RefundState, TicketState};
use super::{OrderId, PaymentKey, RefundId, TicketId};
use crate::event::{Currency, Money};
use crate::seat::HoldId;
use crate::venue::SeatLabel;

/// The payment that an order is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The provider.
    pub provider: String,
    /// The payment's key there.
    pub key: PaymentKey,
    /// When it began.
    pub began_at_ms: UnixMs,
    /// When the provider charged.
    pub approved_at_ms: Option<UnixMs>,
    /// How it was paid.
    pub method: Option<String>,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
}

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its id.
    pub id: TicketId,
    /// Its seat.
    pub seat: SeatLabel,
    /// The seat's grade.
    pub grade: String,
    /// What it cost, in minor units.
    pub price: u64,
    /// What it is.
    pub state: TicketState,
    /// When its holder came in.
    pub used_at_ms: Option<UnixMs>,
}

/// Money that is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its id.
    pub id: RefundId,
    /// The tickets that are given back.
    pub tickets: Vec<TicketId>,
    /// How much, in minor units.
    pub amount: u64,
    /// Who wanted it.
    pub cause: RefundCause,
    /// The hash of the reason.
    pub reason: String,
    /// What it is.
    pub state: RefundState,
    /// When it was asked for.
    pub requested_at_ms: UnixMs,
    /// When it was done or refused.
    pub ended_at_ms: Option<UnixMs>,
    /// The provider's name of the movement.
    pub transaction_key: Option<String>,
    /// Why the provider refused.
    pub failure: Option<Failure>,
}

/// An order: what its events made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// How many events made it.
    pub version: u64,
    /// What it is.
    pub state: OrderState,
    /// The event whose seats it buys.
    pub event: EventId,
    /// The hash of who buys.
    pub buyer: String,
    /// The hold that its seats are in.
    pub hold: HoldId,
    /// The hold's fence.
    pub fence: u64,
    /// The sales version of the event that the prices are of.
    pub sales_version: u64,
    /// The seats and their prices.
    pub lines: Vec<Line>,
    /// What they cost together, in minor units.
    pub amount: u64,
    /// The currency.
    pub currency: Currency,
    /// When it was made.
    pub created_at_ms: UnixMs,
    /// When it last changed.
    pub changed_at_ms: UnixMs,
    /// Until when it may be paid.
    pub pay_until_ms: UnixMs,
    /// Until when its seats are held, if it is not paid.
    pub hold_until_ms: UnixMs,
    /// Its payment, once one began.
    pub payment: Option<Claim>,
    /// Why it was not paid.
    pub failure: Option<Failure>,
    /// Its tickets, in the order of its lines, once a payment began.
    pub tickets: Vec<Ticket>,
    /// What was or is to be given back, the oldest first.
    pub refunds: Vec<Refund>,
}

/// An event that cannot have happened to this order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen to an order that is {state}: {detail}")]
pub struct Impossible {
    /// The event's kind.
    pub event: &'static str,
    /// What the order is.
    pub state: OrderState,
    /// What does not fit.
    pub detail: &'static str,
}

impl Order {
    /// An order as its first event made it; `None` if that is another event than [`OrderEvent::Initiated`].
    #[must_use]
    pub fn initiated(id: OrderId, at_ms: UnixMs, event: &OrderEvent) -> Option<Self> {
        let OrderEvent::Initiated {
            event_id,
            buyer,
            hold_id,
            fence,
            sales_version,
            lines,
            amount,
            currency,
            pay_until_ms,
            hold_until_ms,
        } = event
        else {
            return None;
        };
        Some(Self {
            id,
            version: 1,
            state: OrderState::Pending,
            event: event_id.clone(),
            buyer: buyer.clone(),
            hold: *hold_id,
            fence: *fence,
            sales_version: *sales_version,
            lines: lines.clone(),
            amount: *amount,
            currency: *currency,
            created_at_ms: at_ms,
            changed_at_ms: at_ms,
            pay_until_ms: *pay_until_ms,
            hold_until_ms: *hold_until_ms,
            payment: None,
            failure: None,
            tickets: Vec::new(),
            refunds: Vec::new(),
        })
    }

    /// Lets something happen to it.
    ///
    /// # Errors
    /// [`Impossible`]; then the order must not be used any more.
    pub fn apply(&mut self, at_ms: UnixMs, event: &OrderEvent) -> Result<(), Impossible> {
        let state = self.state;
        self.make(at_ms, event).map_err(|detail| Impossible {
            event: event.kind(),
            state,
            detail,
        })?;
        self.version += 1;
        self.changed_at_ms = at_ms;
        Ok(())
    }

    fn make(&mut self, at_ms: UnixMs, event: &OrderEvent) -> Result<(), &'static str> {
        match event {
            OrderEvent::Initiated { .. } => return Err("it was made before"),
            OrderEvent::ConfirmStarted {
                provider,
                payment_key,
            } => {
                self.become_(OrderState::Confirming)?;
                self.payment = Some(Claim {
                    provider: provider.clone(),
                    key: payment_key.clone(),
                    began_at_ms: at_ms,
                    approved_at_ms: None,
                    method: None,
                });
                self.tickets = self
                    .lines
                    .iter()
                    .map(|line| reserved(&self.id, line))
                    .collect();
            }
            OrderEvent::Paid {
                approved_at_ms,
                method,
            } => {
                self.become_(OrderState::Paid)?;
                let payment = self.payment.as_mut().ok_or("it has no payment")?;
                payment.approved_at_ms = *approved_at_ms;
                payment.method.clone_from(method);
                self.turn(TicketState::Reserved, TicketState::Valid);
            }
            OrderEvent::Failed { code, message } => {
                self.become_(OrderState::Failed)?;
                self.failure = Some(Failure {
                    code: code.clone(),
                    message: message.clone(),
                });
                self.turn(TicketState::Reserved, TicketState::Void);
            }
            OrderEvent::Canceled => self.become_(OrderState::Canceled)?,
            OrderEvent::Expired => self.become_(OrderState::Expired)?,
            OrderEvent::RefundRequested {
                refund_id,
                ticket_ids,
                amount,
                cause,
                reason,
            } => {
                self.ask_refund(at_ms, *refund_id, ticket_ids, *amount, *cause, reason)?;
            }
            OrderEvent::Refunded {
                refund_id,
                transaction_key,
            } => {
                let refund = self.end_refund(at_ms, refund_id, RefundState::Completed)?;
                refund.transaction_key = Some(transaction_key.clone());
                let tickets = refund.tickets.clone();
                self.turn_these(&tickets, TicketState::Refunding, TicketState::Refunded)?;
                // A ticket that cost nothing may be left when all the money is given back.
                let given_back = |ticket: &Ticket| {
                    matches!(ticket.state, TicketState::Refunded | TicketState::Void)
                };
                let all = self.refunded() == self.amount && self.tickets.iter().all(given_back);
                self.become_(if all {
                    OrderState::Refunded
                } else {
                    OrderState::PartiallyRefunded
                })?;
            }
            OrderEvent::RefundRefused {
                refund_id,
                code,
                message,
            } => {
                let refund = self.end_refund(at_ms, refund_id, RefundState::Refused)?;
                refund.failure = Some(Failure {
                    code: code.clone(),
                    message: message.clone(),
                });
                let tickets = refund.tickets.clone();
                self.turn_these(&tickets, TicketState::Refunding, TicketState::Valid)?;
            }
            OrderEvent::TicketUsed { ticket_id } => {
                self.turn_these(&[*ticket_id], TicketState::Valid, TicketState::Used)?;
                for ticket in self
                    .tickets
                    .iter_mut()
                    .filter(|ticket| ticket.id == *ticket_id)
                {
                    ticket.used_at_ms = Some(at_ms);
                }
            }
        }
        Ok(())
    }

    fn become_(&mut self, next: OrderState) -> Result<(), &'static str> {
        if !self.state.may_become(next) {
            return Err("no such transition");
        }
        self.state = next;
        Ok(())
    }

    fn ask_refund(
        &mut self,
        at_ms: UnixMs,
        id: RefundId,
        tickets: &[TicketId],
        amount: u64,
        cause: RefundCause,
        reason: &str,
    ) -> Result<(), &'static str> {
        let charged_late = cause == RefundCause::LateCharge && self.state == OrderState::Failed;
        let paid = matches!(self.state, OrderState::Paid | OrderState::PartiallyRefunded);
        if !charged_late && !paid {
            return Err("it is not paid");
        }
        if paid && tickets.is_empty() {
            return Err("no tickets are given back");
        }
        self.turn_these(tickets, TicketState::Valid, TicketState::Refunding)?;
        let open: u64 = self.open_refunds().map(|refund| refund.amount).sum();
        let left = self.amount.checked_sub(self.refunded() + open);
        if left.is_none_or(|left| amount > left) {
            return Err("more than was paid");
        }
        self.refunds.push(Refund {
            id,
            tickets: tickets.to_vec(),
            amount,
            cause,
            reason: reason.to_owned(),
            state: RefundState::Requested,
            requested_at_ms: at_ms,
            ended_at_ms: None,
            transaction_key: None,
            failure: None,
        });
        Ok(())
    }

    fn end_refund(
        &mut self,
        at_ms: UnixMs,
        id: &RefundId,
        state: RefundState,
    ) -> Result<&mut Refund, &'static str> {
        let refund = self.refunds.iter_mut().find(|refund| refund.id == *id);
        let refund = refund.ok_or("it has no such refund")?;
        if refund.state != RefundState::Requested {
            return Err("the refund has ended before");
        }
        refund.state = state;
        refund.ended_at_ms = Some(at_ms);
        Ok(refund)
    }

    fn turn(&mut self, from: TicketState, to: TicketState) {
        for ticket in self
            .tickets
            .iter_mut()
            .filter(|ticket| ticket.state == from)
        {
            ticket.state = to;
        }
    }

    fn turn_these(
        &mut self,
        ids: &[TicketId],
        from: TicketState,
        to: TicketState,
    ) -> Result<(), &'static str> {
        for id in ids {
            let ticket = self.tickets.iter_mut().find(|ticket| ticket.id == *id);
            let ticket = ticket.ok_or("it has no such ticket")?;
            if ticket.state != from {
                return Err("the ticket is in another state");
            }
            ticket.state = to;
        }
        Ok(())
    }

    /// What it costs.
    #[must_use]
    pub fn total(&self) -> Money {
        Money::new(self.amount, self.currency)
    }

    /// How much was given back, in minor units.
    #[must_use]
    pub fn refunded(&self) -> u64 {
        let done = |refund: &&Refund| refund.state == RefundState::Completed;
        self.refunds
            .iter()
            .filter(done)
            .map(|refund| refund.amount)
            .sum()
    }

    /// The refunds that the provider has yet to do, the oldest first.
    pub fn open_refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds
            .iter()
            .filter(|refund| refund.state == RefundState::Requested)
    }

    /// Whether somebody may come in by one of its tickets, or has.
    #[must_use]
    pub fn has_good_tickets(&self) -> bool {
        let good = |ticket: &Ticket| matches!(ticket.state, TicketState::Valid | TicketState::Used);
        self.tickets.iter().any(good)
    }

    /// A ticket of it.
    #[must_use]
    pub fn ticket(&self, id: &TicketId) -> Option<&Ticket> {
        self.tickets.iter().find(|ticket| ticket.id == *id)
    }

    /// Its seats.
    #[must_use]
    pub fn seats(&self) -> Vec<SeatLabel> {
        self.lines.iter().map(|line| line.seat.clone()).collect()
    }
}

fn reserved(order: &OrderId, line: &Line) -> Ticket {
    Ticket {
        id: TicketId::derive(order, &line.seat),
        seat: line.seat.clone(),
        grade: line.grade.clone(),
        price: line.price,
        state: TicketState::Reserved,
        used_at_ms: None,
    }
}
