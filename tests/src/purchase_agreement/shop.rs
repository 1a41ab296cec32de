//! A whole shop in one process: two processes of it, a map of twelve seats, a store of orders, a bank.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use ticketon_domain::adapter::memory::{MemoryCatalog, MemorySeatStore};
use ticketon_domain::adapter::sandbox::{Opened, Sandbox, SandboxOutcome};
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::event::{Currency, Event, EventStatus, Money};
use ticketon_domain::outbox::{Aggregate, OutboxStore as _};
use ticketon_domain::purchase::{
    CancelPayment, CheckoutInfo, ConfirmPayment, OrderId, Payment, PaymentKey, PaymentProvider,
    PaymentStatus, ProviderError, PurchaseStore, Purchases,
};
use ticketon_domain::seat::{SeatLedger, SeatStore, Seats};
use ticketon_domain::venue::Layout;
use ticketon_queue::{Clock, EventId, StoreError};

use super::fault::StillClock;
use super::ports::{Bank, Maps, Orders};
use super::store::ModelStore;

/// Processes that share everything.
pub(super) const PROCESSES: usize = 2;
/// Seats of the hall.
pub(super) const SEATS: u8 = 12;
/// How long whoever works on an order has it.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// When a shop opens: 2026-01-01T00:00:00Z.
pub(super) const START_MS: i64 = 1_767_225_600_000;

const HALL: &str = r#"{
    "name": "Small Hall", "grades": ["vip", "r", "free"],
    "sections": [
        {"id": "A", "grade": "vip", "rows": [{"id": "1", "segments": [{"from": 1, "count": 6, "x": 0, "y": 0}]}]},
        {"id": "B", "grade": "r", "rows": [{"id": "1", "segments": [{"from": 1, "count": 5, "x": 0, "y": 2}]}]},
        {"id": "C", "grade": "free", "rows": [{"id": "1", "segments": [{"from": 1, "count": 1, "x": 0, "y": 4}]}]}
    ]
}"#;

/// Orders and what is sold, as one store has them.
#[async_trait]
pub trait Books: PurchaseStore + SeatLedger {
    /// All that it has for others to hear, in the order in which they hear it; after this there is no more.
    async fn drain(&self) -> Result<Vec<(Aggregate, u64)>, StoreError>;
}

#[async_trait]
impl Books for ModelStore {
    async fn drain(&self) -> Result<Vec<(Aggregate, u64)>, StoreError> {
        let news = self.news().into_iter();
        Ok(news.map(|one| (one.aggregate, one.version)).collect())
    }
}

#[async_trait]
impl Books for SqlStore {
    async fn drain(&self) -> Result<Vec<(Aggregate, u64)>, StoreError> {
        let mut heard = Vec::new();
        let leased = self.lease("witness", None, START_MS, 1_000).await?;
        for lease in &leased.leases {
            loop {
                let next = self.unpublished(lease.shard, START_MS, 100).await?;
                let next = next.messages;
                if next.is_empty() {
                    break;
                }
                let ids: Vec<i64> = next.iter().map(|message| message.id).collect();
                heard.extend(
                    next.into_iter()
                        .map(|one| (one.message.aggregate, one.message.version)),
                );
                self.published(lease, &ids).await?;
            }
        }
        let left = self.backlog().await?.pending;
        assert_eq!(left, 0, "all shards were the witness's");
        Ok(heard)
    }
}

/// Makes a map store forget everything.
pub(super) type Flush = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// What a shop is made of.
pub struct Parts {
    /// The orders of each process; all the same.
    pub books: Vec<Arc<dyn Books>>,
    /// The map of each process, on the shop's clock; all the same.
    pub maps: Vec<Arc<dyn SeatStore>>,
    /// Makes the map forget everything.
    pub flush: Flush,
    /// Whether the bank charges once however often it is told to.
    pub bank_charges_once: bool,
    /// What must stay alive.
    pub alive: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("maps", &self.maps)
            .finish_non_exhaustive()
    }
}

impl Parts {
    /// Over one store of orders, and a map in memory.
    #[must_use]
    pub fn over(books: Arc<dyn Books>, clock: &StillClock) -> Self {
        let map = MemorySeatStore::new().with_clock(Arc::new(clock.manual().clone()));
        let flushed = map.clone();
        let map: Arc<dyn SeatStore> = Arc::new(map);
        Self {
            books: vec![books; PROCESSES],
            maps: vec![map; PROCESSES],
            flush: Arc::new(move || {
                flushed.clear();
                Box::pin(std::future::ready(()))
            }),
            bank_charges_once: true,
            alive: Box::new(()),
        }
    }
}

/// One process.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) seats: Seats,
    pub(super) purchases: Purchases,
}

/// The shop.
pub(super) struct Shop {
    pub(super) clock: StillClock,
    pub(super) event: EventId,
    pub(super) processes: Vec<Process>,
    /// The ports as they are, without faults.
    pub(super) books: Arc<dyn Books>,
    pub(super) maps: Arc<dyn SeatStore>,
    pub(super) flush: Flush,
    pub(super) bank: Till,
    _alive: Box<dyn Any + Send + Sync>,
}

impl Shop {
    pub(super) async fn open(parts: Parts, clock: StillClock) -> Self {
        let event = EventId::new("concert").expect("a good id");
        let catalog = MemoryCatalog::new();
        let bank = Till::new(&clock, parts.bank_charges_once);
        let mut processes = Vec::new();
        for (books, maps) in parts.books.iter().zip(&parts.maps) {
            let seats = Seats::builder(Maps(Arc::clone(maps)))
                .catalog(catalog.clone())
                .ledger_shared(Arc::clone(books) as Arc<dyn SeatLedger>)
                .clock(Arc::new(clock.clone()))
                .keep(false)
                .start()
                .await
                .expect("a store that answers");
            let orders = Orders(Arc::clone(books) as Arc<dyn PurchaseStore>);
            let purchases = Purchases::builder(orders, &seats, Bank(Arc::new(bank.clone())))
                .lease(LEASE)
                .recover(false)
                .start()
                .await
                .expect("a store that answers");
            processes.push(Process { seats, purchases });
        }
        let shop = Self {
            clock,
            event,
            processes,
            books: Arc::clone(&parts.books[0]),
            maps: Arc::clone(&parts.maps[0]),
            flush: parts.flush,
            bank,
            _alive: parts.alive,
        };
        shop.put_event().await;
        shop
    }

    async fn put_event(&self) {
        let hall = Layout::from_json(HALL).expect("a good layout");
        let event = Event::builder(self.event.clone())
            .title("Concert", "콘서트")
            .venue("Small Hall")
            .starts_at_ms(4_102_444_800_000)
            .status(EventStatus::Open)
            .currency("KRW")
            .price("vip", 165_000)
            .price("r", 90_000)
            .price("free", 0)
            .limits(12, 100)
            .hold_seconds(300)
            .payment_seconds(240, 30)
            .build()
            .expect("a good event");
        let saved = self.processes[0].seats.put_event(event, hall).await;
        saved
            .expect("a catalog that answers")
            .saved()
            .expect("a good event");
    }
}

/// The label of a seat.
pub(super) fn seat(number: u8) -> String {
    match number % SEATS {
        number @ 0..=5 => format!("A-1-{}", number + 1),
        number @ 6..=10 => format!("B-1-{}", number - 5),
        _ => "C-1-1".to_owned(),
    }
}

/// For which order, how much, and how often.
type Charges = (OrderId, u64, u32);

/// The bank: a sandbox, and a count of its charges.
#[derive(Debug, Clone)]
pub(super) struct Till {
    sandbox: Sandbox,
    charges_once: bool,
    /// What was opened for which order, and how often it was charged.
    opened: Arc<Mutex<HashMap<PaymentKey, Charges>>>,
}

/// What a bank has of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ledger {
    /// How often it charged.
    pub(super) charges: u32,
    /// What it charged and did not give back.
    pub(super) kept: u64,
}

impl Till {
    fn new(clock: &StillClock, charges_once: bool) -> Self {
        Self {
            sandbox: Sandbox::new().clock(Arc::new(clock.manual().clone()) as Arc<dyn Clock>),
            charges_once,
            opened: Arc::default(),
        }
    }

    pub(super) async fn pay(
        &self,
        order: &OrderId,
        amount: u64,
        outcome: SandboxOutcome,
    ) -> Option<PaymentKey> {
        let opened = self
            .sandbox
            .open(order, Money::new(amount, Currency::KRW), outcome)
            .await;
        let Opened::Payment(key) = opened.expect("a book in memory") else {
            return None;
        };
        let mut all = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key.clone(), (*order, amount, 0));
        Some(key)
    }

    pub(super) async fn ledger(&self, of: &OrderId) -> Ledger {
        let opened = {
            let all = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            let of_order = all.iter().filter(|(_, (order, _, _))| order == of);
            of_order
                .map(|(key, (_, amount, times))| (key.clone(), *amount, *times))
                .collect::<Vec<_>>()
        };
        let mut ledger = Ledger::default();
        for (key, amount, times) in opened {
            let payment = self.sandbox.payment(&key).await.expect("a book in memory");
            let payment = payment.expect("what was opened is there");
            let charged = matches!(
                payment.status,
                PaymentStatus::Done | PaymentStatus::PartiallyCanceled | PaymentStatus::Canceled
            );
            if charged {
                let again = times.saturating_sub(1);
                ledger.charges += 1 + again;
                ledger.kept += payment.balance + u64::from(again) * amount;
            }
        }
        ledger
    }
}

#[async_trait]
impl PaymentProvider for Till {
    fn name(&self) -> &'static str {
        self.sandbox.name()
    }

    async fn confirm(&self, request: &ConfirmPayment) -> Result<Payment, ProviderError> {
        let done = self.sandbox.confirm(request).await;
        if !self.charges_once && done.is_ok() {
            let mut all = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, _, times)) = all.get_mut(&request.key) {
                *times += 1;
            }
        }
        done
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Payment>, ProviderError> {
        self.sandbox.payment(key).await
    }

    async fn payment_of(&self, order: &OrderId) -> Result<Option<Payment>, ProviderError> {
        self.sandbox.payment_of(order).await
    }

    async fn cancel(&self, request: &CancelPayment) -> Result<Payment, ProviderError> {
        self.sandbox.cancel(request).await
    }

    fn window(&self) -> Duration {
        self.sandbox.window()
    }

    fn checkout(&self) -> CheckoutInfo {
        self.sandbox.checkout()
    }
}
