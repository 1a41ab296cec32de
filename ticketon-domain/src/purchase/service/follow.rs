//! Telling the seat map what the store committed: every message until it is applied, those of an order in their order.

use std::collections::HashSet;
use std::time::Duration;

use ticketon_queue::{EventId, UserId};

use super::{PurchaseError, Shared};
use crate::purchase::store::MAX_MESSAGES;
use crate::purchase::{OrderId, OrderRecord, PendingMessage, SeatMessage};
use crate::seat::{HoldKey, LedgerChange, Outcome, Refusal, SeatsError};

/// The most messages that the map is told at once.
const BATCH: usize = 100;

/// What came of telling the map something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The map has heard it.
    Heard,
    /// It need not hear it: nothing was said.
    Needless,
    /// It could not hear it now.
    Not,
}

impl Shared {
    /// Tells the map all that it has yet to hear; answers of how many orders something is left.
    pub(super) async fn tell_all(&self) -> Result<usize, PurchaseError> {
        let mut after = 0;
        let mut stuck = HashSet::new();
        loop {
            let messages = self.store.seat_messages(after, MAX_MESSAGES).await?;
            let Some(last) = messages.last() else {
                return Ok(stuck.len());
            };
            after = last.id;
            let is_last_page = messages.len() < MAX_MESSAGES;
            self.tell(&messages, &mut stuck).await?;
            if is_last_page {
                return Ok(stuck.len());
            }
        }
    }

    /// Tells the map these messages, but those of orders that are stuck; an order is once the map could not be told a
    /// message of it, so that what comes after waits with it.
    pub(super) async fn tell(
        &self,
        messages: &[PendingMessage],
        stuck: &mut HashSet<OrderId>,
    ) -> Result<(), PurchaseError> {
        let mut rest = messages;
        while !rest.is_empty() {
            let (batch, more) = rest.split_at(run(rest));
            rest = more;
            let batch: Vec<&PendingMessage> = batch
                .iter()
                .filter(|one| !stuck.contains(&one.order))
                .collect();
            let Some(first) = batch.first() else {
                continue;
            };
            let told = match &first.message {
                SeatMessage::Unpin { .. } => self.let_go(first).await,
                _ => self.sync(&first.event, &batch).await,
            };
            match told {
                Ok(Told::Not) => stuck.extend(batch.iter().map(|one| one.order)),
                Ok(told) => {
                    if told == Told::Heard {
                        let told_before = self.told_before(&batch).await?;
                        if !told_before.is_empty() {
                            self.tell_anew(&first.event, &told_before).await?;
                        }
                    }
                    let ids: Vec<u64> = batch.iter().map(|one| one.id).collect();
                    self.store.applied(&ids).await?;
                    self.complete(&batch).await;
                }
                Err(error) => {
                    tracing::debug!(target: "ticketon::purchase", event = %first.event, %error, "the seat map is told later");
                    stuck.extend(batch.iter().map(|one| one.order));
                }
            }
        }
        Ok(())
    }

    async fn sync(
        &self,
        event: &EventId,
        batch: &[&PendingMessage],
    ) -> Result<Told, PurchaseError> {
        let changes: Vec<LedgerChange> = batch
            .iter()
            .filter_map(|one| ledger_change(&one.message))
            .collect();
        Ok(self.follow(event, &changes).await?)
    }

    /// Lets the map follow.
    async fn follow(&self, event: &EventId, changes: &[LedgerChange]) -> Result<Told, SeatsError> {
        match self.seats.sync(event, changes).await {
            Ok(Outcome::Done(synced)) => {
                if !synced.lost.is_empty() {
                    tracing::warn!(target: "ticketon::purchase", %event, holds = synced.lost.len(), "holds ended because their seats were sold to others");
                }
                Ok(Told::Heard)
            }
            Ok(Outcome::Refused(_)) => Ok(Told::Not),
            // There is no map to tell.
            Err(SeatsError::UnknownEvent { .. }) => Ok(Told::Needless),
            Err(error) => Err(error),
        }
    }

    /// Gives a hold that was not paid for its deadline again.
    async fn let_go(&self, told: &PendingMessage) -> Result<Told, PurchaseError> {
        let SeatMessage::Unpin {
            user,
            hold,
            fence,
            until_ms,
            seats,
        } = &told.message
        else {
            return Ok(Told::Needless);
        };
        // Told twice, when the last time was not written down: another order may have begun to pay with the hold.
        let claimed = self.store.order_of_hold(&told.event, hold).await?;
        if claimed.is_some_and(|other| other.order.id != told.order) {
            return Ok(Told::Needless);
        }
        let key = HoldKey {
            id: *hold,
            user: user.clone(),
            fence: Some(*fence),
        };
        let left_ms = until_ms.saturating_sub(self.now_ms());
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        let (user, fence, seats) = (user.clone(), *fence, seats.clone());
        match self.seats.unpin(&told.event, &key, left).await {
            Ok(Outcome::Done(_)) => Ok(Told::Heard),
            Err(SeatsError::UnknownEvent { .. }) => Ok(Told::Needless),
            Ok(Outcome::Refused(Refusal::NotReady { .. })) => Ok(Told::Not),
            Ok(Outcome::Refused(_)) => {
                let released = LedgerChange::Released { user, fence, seats };
                Ok(self.follow(&told.event, &[released]).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Lets go of the hold of an order that failed, outside of its messages. What does not work now, the keeper of the map
    /// finds later.
    pub(super) async fn let_go_again(&self, record: &OrderRecord) {
        let told = PendingMessage {
            id: 0,
            event: record.order.event.clone(),
            order: record.order.id,
            message: SeatMessage::unpin(record),
        };
        if let Err(error) = self.let_go(&told).await {
            tracing::warn!(target: "ticketon::purchase", order = %told.order, %error, "the hold of a failed order may stay pinned");
        }
    }

    /// The admissions of who has bought are complete. One that cannot be completed now ends at its deadline.
    async fn complete(&self, batch: &[&PendingMessage]) {
        let Some(queue) = &self.queue else {
            return;
        };
        let bought = batch.iter().filter_map(|one| match &one.message {
            SeatMessage::Sold {
                user,
                admission: Some(fence),
                ..
            } => Some((&one.event, user, *fence)),
            _ => None,
        });
        let bought: Vec<(&EventId, &UserId, u64)> = bought.collect();
        for (event, user, fence) in bought {
            if let Err(error) = queue.complete(event, user, fence).await {
                tracing::debug!(target: "ticketon::purchase", %event, %error, "an admission is not completed; it ends at its deadline");
            }
        }
    }
}

/// How many of these messages can be told at once: what was sold and released of one event, or one unpin.
fn run(messages: &[PendingMessage]) -> usize {
    let Some(first) = messages.first() else {
        return 0;
    };
    if matches!(first.message, SeatMessage::Unpin { .. }) {
        return 1;
    }
    let fits =
        |one: &&PendingMessage| one.event == first.event && ledger_change(&one.message).is_some();
    messages.iter().take(BATCH).take_while(fits).count().max(1)
}

fn ledger_change(message: &SeatMessage) -> Option<LedgerChange> {
    match message {
        SeatMessage::Sold {
            user, fence, seats, ..
        } => Some(LedgerChange::Sold {
            user: user.clone(),
            fence: *fence,
            seats: seats.clone(),
        }),
        SeatMessage::Released { user, fence, seats } => Some(LedgerChange::Released {
            user: user.clone(),
            fence: *fence,
            seats: seats.clone(),
        }),
        SeatMessage::Unpin { .. } => None,
    }
}
