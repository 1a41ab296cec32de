//! Tickets in their buyers' hands, and at the gate.

use ticketon_queue::clock::rfc3339;
use ticketon_queue::{EventId, UserId};

use super::{OrderViews, PurchaseError, Purchases, VerifiedTicket};
use crate::purchase::command::{Command, Refused};
use crate::purchase::ticket_code::TicketCode;
use crate::purchase::{Changed, OrderId, OrderRecord, TicketId, TicketState};

impl Purchases {
    /// A person's orders that have good tickets, the newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn tickets(
        &self,
        user: &UserId,
        before: Option<&OrderId>,
        limit: usize,
    ) -> Result<OrderViews, PurchaseError> {
        let shared = &self.0.shared;
        let page = shared
            .store
            .orders_with_tickets(user, before, limit)
            .await?;
        Ok(shared.views(&page))
    }

    /// What a ticket's QR code says: signed, and good as long as the ticket is.
    ///
    /// # Errors
    /// [`PurchaseError::UnknownTicket`] when this person has no such ticket, [`PurchaseError::Ticket`] when it is not
    /// good any more, or a store failed.
    pub async fn ticket_code(
        &self,
        user: &UserId,
        ticket: &TicketId,
    ) -> Result<String, PurchaseError> {
        let shared = &self.0.shared;
        let record = shared.store.order_of_ticket(ticket).await?;
        let record = record
            .filter(|record| record.user == *user)
            .ok_or(PurchaseError::UnknownTicket)?;
        let found = record
            .order
            .ticket(ticket)
            .ok_or(PurchaseError::UnknownTicket)?;
        if !matches!(found.state, TicketState::Valid | TicketState::Used) {
            return Err(PurchaseError::Ticket {
                ticket: *ticket,
                state: found.state,
                used_at_ms: found.used_at_ms,
            });
        }
        let code = self.sign(&record, ticket);
        code.ok_or(PurchaseError::UnknownTicket)
    }

    /// The code of a ticket of this order.
    fn sign(&self, record: &OrderRecord, ticket: &TicketId) -> Option<String> {
        let found = record.order.ticket(ticket)?;
        Some(self.0.shared.keys.sign(&TicketCode {
            ticket: *ticket,
            order: record.order.id,
            event: record.order.event.clone(),
            seat: found.seat.clone(),
        }))
    }

    /// Checks a code at the gate; with `check_in` its holder comes in, which works once. A gate that names its event uses
    /// up no other event's ticket.
    ///
    /// # Errors
    /// [`PurchaseError::Invalid`] when the code is not ours, [`PurchaseError::OtherEvent`], [`PurchaseError::UnknownTicket`],
    /// [`PurchaseError::Ticket`] when the ticket is used or was given back, or a store failed.
    pub async fn verify(
        &self,
        code: &str,
        event: Option<&EventId>,
        check_in: bool,
    ) -> Result<VerifiedTicket, PurchaseError> {
        self.verify_as(code, event, check_in, None).await
    }

    /// As [`verify`](Self::verify) with `check_in`, under a name that the gate gives to its scan, like an idempotency key.
    /// Asked again under the same name, a ticket that it let in is answered as the first time.
    ///
    /// # Errors
    /// Like [`verify`](Self::verify).
    pub async fn check_in_once(
        &self,
        code: &str,
        event: Option<&EventId>,
        name: &str,
    ) -> Result<VerifiedTicket, PurchaseError> {
        self.verify_as(code, event, true, Some(name)).await
    }

    async fn verify_as(
        &self,
        code: &str,
        event: Option<&EventId>,
        check_in: bool,
        name: Option<&str>,
    ) -> Result<VerifiedTicket, PurchaseError> {
        let shared = &self.0.shared;
        let claims = shared
            .keys
            .verify(code)
            .map_err(|error| PurchaseError::Invalid {
                fields: vec![error.refused(code)],
            })?;
        if event.is_some_and(|event| *event != claims.event) {
            return Err(PurchaseError::OtherEvent {
                event: claims.event,
            });
        }
        let record = if check_in {
            let check_in = Command::CheckIn {
                ticket: claims.ticket,
                request: name.map(|name| format!("{} {name}", claims.ticket)),
            };
            match shared.changed(&claims.order, &check_in).await? {
                // It was this scan that let its holder in.
                Changed::Done(record) | Changed::Refused(Refused::Asked, record) => Ok(*record),
                Changed::Refused(refused, _) => Err(refused.into()),
                _ => Err(PurchaseError::UnknownOrder),
            }
        } else {
            shared
                .store
                .order(&claims.order)
                .await?
                .ok_or(PurchaseError::UnknownOrder)
        };
        let record = record.map_err(|error| match error {
            PurchaseError::UnknownOrder => PurchaseError::UnknownTicket,
            error => error,
        })?;
        let ticket = record
            .order
            .ticket(&claims.ticket)
            .ok_or(PurchaseError::UnknownTicket)?;
        let good = if check_in {
            TicketState::Used
        } else {
            TicketState::Valid
        };
        if ticket.state != good {
            let (state, used_at_ms) = (ticket.state, ticket.used_at_ms);
            return Err(PurchaseError::Ticket {
                ticket: claims.ticket,
                state,
                used_at_ms,
            });
        }
        Ok(VerifiedTicket {
            status: if check_in { "checkedIn" } else { "valid" },
            ticket_id: ticket.id,
            order_id: record.order.id,
            event_id: record.order.event.clone(),
            seat: ticket.seat.clone(),
            grade: ticket.grade.clone(),
            used_at: ticket.used_at_ms.map(rfc3339),
        })
    }
}
