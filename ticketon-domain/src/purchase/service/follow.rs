//! Telling the seat map what the store committed: every message until it is applied, those of an order in their order.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use ticketon_queue::{EventId, StoreError, UserId};

use super::told_twice::live;
use super::{PurchaseError, Shared};
use crate::purchase::store::MAX_MESSAGES;
use crate::purchase::{OrderId, OrderRecord, PendingMessage, SeatMessage};
use crate::seat::{HoldKey, LedgerChange, Outcome, Refusal, SeatsError};

/// The most messages that the map is told at once.
const BATCH: usize = 100;
/// For how long messages that were read are told without being read again, in milliseconds. Other processes tell them too,
/// and what was told already need not be told late.
const FRESH_MS: i64 = 20;

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

impl Told {
    /// A call that failed told nothing, as far as is known.
    fn of(event: &EventId, outcome: Result<Self, PurchaseError>) -> Self {
        outcome.unwrap_or_else(|error| {
            tracing::debug!(target: "ticketon::purchase", %event, %error, "the seat map is told later");
            Self::Not
        })
    }
}

impl Shared {
    /// Tells the map all that it has yet to hear; answers of how many orders something is left.
    pub(super) async fn tell_all(&self) -> Result<usize, PurchaseError> {
        let mut after = 0;
        let mut stuck = HashSet::new();
        loop {
            let messages = self.store.seat_messages(after, MAX_MESSAGES).await?;
            let is_last_page = messages.len() < MAX_MESSAGES;
            let until = self.now_ms().saturating_add(FRESH_MS);
            let mut rest = messages.as_slice();
            while !rest.is_empty() {
                let (batch, more) = rest.split_at(run(rest));
                self.tell(batch, &mut stuck).await?;
                after = batch.last().map_or(after, |last| last.id);
                rest = more;
                if self.now_ms() > until {
                    break;
                }
            }
            if is_last_page && rest.is_empty() {
                return Ok(stuck.len());
            }
        }
    }

    /// Tells the map messages of one event, but those of orders that are stuck; an order is once the map could not be told a
    /// message of it, so that what comes after waits with it. An order is either let go of, or has what was sold and
    /// released: so the two need not wait for each other.
    pub(super) async fn tell(
        &self,
        messages: &[PendingMessage],
        stuck: &mut HashSet<OrderId>,
    ) -> Result<(), PurchaseError> {
        let batch = messages.iter().filter(|one| !stuck.contains(&one.order));
        let (unpins, changes): (Vec<_>, Vec<_>) =
            batch.partition(|one| matches!(one.message, SeatMessage::Unpin { .. }));
        let mut told: Vec<(&PendingMessage, Told)> = Vec::with_capacity(messages.len());
        if let Some(first) = changes.first() {
            let outcome = Told::of(&first.event, self.sync(&first.event, &changes).await);
            told.extend(changes.iter().map(|one| (*one, outcome)));
        }
        let mut is_away = false;
        for one in unpins {
            let outcome = match is_away {
                true => Ok(Told::Not),
                false => self.let_go(one).await,
            };
            // A store that does not answer is not waited for by each of them.
            is_away |= outcome.as_ref().is_err_and(is_unavailable);
            told.push((one, Told::of(&one.event, outcome)));
        }
        let not = told.iter().filter(|(_, told)| *told == Told::Not);
        stuck.extend(not.map(|(one, _)| one.order));
        told.retain(|(_, told)| *told != Told::Not);
        told.sort_unstable_by_key(|(one, _)| one.id);
        let heard = told.iter().filter(|(_, told)| *told == Told::Heard);
        let heard: Vec<&PendingMessage> = heard.map(|(one, _)| *one).collect();
        if let Some(first) = heard.first() {
            let told_before = self.told_before(&heard).await?;
            if !told_before.is_empty() {
                self.tell_anew(&first.event, &told_before).await?;
            }
        }
        let ids: Vec<u64> = told.iter().map(|(one, _)| one.id).collect();
        self.store.applied(&ids).await?;
        self.complete(&told).await;
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
        let (told, late) = self.follow(event, &changes).await?;
        if late > 0 {
            self.sell_late(event, batch).await?;
        }
        Ok(told)
    }

    /// The map took sales for late ones, of seats that were given back since. As a rule they are: told twice. But an order
    /// whose hold was lost with a map may be paid after somebody else had its seat from a later hold and gave it back.
    async fn sell_late(
        &self,
        event: &EventId,
        batch: &[&PendingMessage],
    ) -> Result<(), PurchaseError> {
        let sold = batch
            .iter()
            .filter(|one| matches!(one.message, SeatMessage::Sold { .. }));
        let orders: BTreeSet<OrderId> = sold.map(|one| one.order).collect();
        for order in orders {
            let Some(record) = self.store.order(&order).await? else {
                continue;
            };
            if !self.seats.are_sold(event, &live(&record)).await? {
                tracing::warn!(target: "ticketon::purchase", %event, %order, "a sale was taken for a late one: the map is built anew");
                self.seats.rebuild(event).await?;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Lets the map follow; answers how many sales it took for late ones, too.
    async fn follow(
        &self,
        event: &EventId,
        changes: &[LedgerChange],
    ) -> Result<(Told, u64), SeatsError> {
        match self.seats.sync(event, changes).await {
            Ok(Outcome::Done(synced)) => {
                if !synced.lost.is_empty() {
                    tracing::warn!(target: "ticketon::purchase", %event, holds = synced.lost.len(), "holds ended because their seats were sold to others");
                }
                Ok((Told::Heard, synced.late))
            }
            Ok(Outcome::Refused(_)) => Ok((Told::Not, 0)),
            // There is no map to tell.
            Err(SeatsError::UnknownEvent { .. }) => Ok((Told::Needless, 0)),
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
                Ok(self.follow(&told.event, &[released]).await?.0)
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
    async fn complete(&self, told: &[(&PendingMessage, Told)]) {
        let Some(queue) = &self.queue else {
            return;
        };
        let bought = told.iter().filter_map(|(one, _)| match &one.message {
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

fn is_unavailable(error: &PurchaseError) -> bool {
    use StoreError::Unavailable;
    matches!(
        error,
        PurchaseError::Store(Unavailable { .. })
            | PurchaseError::Seats(SeatsError::Store(Unavailable { .. }))
    )
}

/// How many of these messages can be told at once: those of one event.
fn run(messages: &[PendingMessage]) -> usize {
    let Some(first) = messages.first() else {
        return 0;
    };
    let fits = |one: &&PendingMessage| one.event == first.event;
    messages.iter().take(BATCH).take_while(fits).count()
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
