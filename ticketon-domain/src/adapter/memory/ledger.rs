//! What is sold and blocked, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ticketon_queue::{EventId, StoreError, UserId};

use crate::seat::{GivenBack, Page, SeatLedger, SoldSeat};
use crate::venue::SeatLabel;

/// A [`SeatLedger`] in memory. Clones share what it holds. A restart forgets who bought what: for demonstrations, and
/// for tests, which record sales by themselves.
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger(Arc<Mutex<HashMap<EventId, Book>>>);

#[derive(Debug, Default)]
struct Book {
    sold: BTreeMap<SeatLabel, SoldSeat>,
    /// The newest fence under which each seat was given back.
    given_back: BTreeMap<SeatLabel, u64>,
    blocked: BTreeSet<SeatLabel>,
}

impl MemoryLedger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes down that seats are sold. A seat that is sold already stays with its owner: the answer has those.
    pub fn record_sold(&self, event: &EventId, sold: &[SoldSeat]) -> Vec<SeatLabel> {
        let mut books = self.books();
        let book = books.entry(event.clone()).or_default();
        let mut taken = Vec::new();
        for sale in sold {
            let stored = book
                .sold
                .entry(sale.seat.clone())
                .or_insert_with(|| sale.clone());
            if stored != sale {
                taken.push(sale.seat.clone());
            }
        }
        taken
    }

    /// Writes down that seats which were sold under this fence are given back.
    pub fn record_released(&self, event: &EventId, fence: u64, seats: &[SeatLabel]) {
        let mut books = self.books();
        let Some(book) = books.get_mut(event) else {
            return;
        };
        for seat in seats {
            if book.sold.get(seat).is_some_and(|sold| sold.fence == fence) {
                book.sold.remove(seat);
                let newest = book.given_back.entry(seat.clone()).or_default();
                *newest = fence.max(*newest);
            }
        }
    }

    /// Whose a seat is.
    #[must_use]
    pub fn owner(&self, event: &EventId, seat: &SeatLabel) -> Option<UserId> {
        let books = self.books();
        Some(books.get(event)?.sold.get(seat)?.user.clone())
    }

    fn books(&self) -> MutexGuard<'_, HashMap<EventId, Book>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn after(label: Option<&SeatLabel>) -> (Bound<&SeatLabel>, Bound<&SeatLabel>) {
    let from = label.map_or(Bound::Unbounded, Bound::Excluded);
    (from, Bound::Unbounded)
}

fn page<T: Clone>(
    mut items: impl Iterator<Item = T>,
    limit: usize,
    label: impl Fn(&T) -> SeatLabel,
) -> Page<T> {
    let taken: Vec<T> = items.by_ref().take(limit.max(1)).collect();
    let more = items.next().is_some();
    let next = taken.last().filter(|_| more).map(label);
    Page { items: taken, next }
}

#[async_trait]
impl SeatLedger for MemoryLedger {
    async fn sold(
        &self,
        event: &EventId,
        from: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<SoldSeat>, StoreError> {
        let books = self.books();
        let sold = books.get(event).map(|book| book.sold.range(after(from)));
        let items = sold.into_iter().flatten().map(|(_, sale)| sale.clone());
        Ok(page(items, limit, |sale| sale.seat.clone()))
    }

    async fn given_back(
        &self,
        event: &EventId,
        from: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<GivenBack>, StoreError> {
        let books = self.books();
        let given_back = books
            .get(event)
            .map(|book| book.given_back.range(after(from)));
        let items = given_back
            .into_iter()
            .flatten()
            .map(|(seat, fence)| GivenBack {
                seat: seat.clone(),
                fence: *fence,
            });
        Ok(page(items, limit, |given| given.seat.clone()))
    }

    async fn blocked(
        &self,
        event: &EventId,
        from: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<SeatLabel>, StoreError> {
        let books = self.books();
        let blocked = books.get(event).map(|book| book.blocked.range(after(from)));
        let items = blocked.into_iter().flatten().cloned();
        Ok(page(items, limit, SeatLabel::clone))
    }

    async fn set_blocked(
        &self,
        event: &EventId,
        seats: &[SeatLabel],
        blocked: bool,
    ) -> Result<(), StoreError> {
        let mut books = self.books();
        let book = books.entry(event.clone()).or_default();
        for seat in seats {
            if blocked {
                book.blocked.insert(seat.clone());
            } else {
                book.blocked.remove(seat);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_have_every_seat_once_and_a_sale_stays_with_its_owner() {
        let ledger = MemoryLedger::new();
        let event = EventId::new("tour").unwrap();
        let [ann, bob] = ["ann", "bob"].map(|name| UserId::new(name).unwrap());
        let sale = |number: u32, user: &UserId, fence| SoldSeat {
            seat: SeatLabel::new(format!("A-1-{number}")).unwrap(),
            user: user.clone(),
            fence,
        };
        let sales: Vec<SoldSeat> = (1..=25).map(|number| sale(number, &ann, 7)).collect();
        assert!(ledger.record_sold(&event, &sales).is_empty());
        assert!(ledger.record_sold(&event, &sales).is_empty(), "a retry");
        let taken = ledger.record_sold(&event, &[sale(3, &bob, 8), sale(30, &bob, 8)]);
        assert_eq!(taken, [SeatLabel::new("A-1-3").unwrap()]);

        let mut seen = BTreeSet::new();
        let mut from = None;
        loop {
            let page = ledger.sold(&event, from.as_ref(), 10).await.unwrap();
            assert!(page.items.len() <= 10);
            for sold in page.items {
                assert!(seen.insert(sold.seat));
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 26);

        let seat = SeatLabel::new("A-1-3").unwrap();
        ledger.record_released(&event, 8, std::slice::from_ref(&seat));
        assert_eq!(ledger.owner(&event, &seat), Some(ann));
        ledger.record_released(&event, 7, std::slice::from_ref(&seat));
        assert_eq!(ledger.owner(&event, &seat), None);
        let page = ledger.given_back(&event, None, 10).await.unwrap();
        let items = vec![GivenBack { seat, fence: 7 }];
        assert_eq!(page, Page { items, next: None });
    }
}
