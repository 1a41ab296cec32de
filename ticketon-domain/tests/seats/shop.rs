//! A shop to test with: one event in a small hall, and everything that it is made of.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ticketon_domain::adapter::memory::{MemoryCatalog, MemoryLedger, MemorySeatStore};
use ticketon_domain::event::{Event, EventBuilder, EventStatus};
use ticketon_domain::seat::*;
use ticketon_domain::venue::{Layout, SeatIndex, SeatLabel};
use ticketon_queue::{EventId, ManualClock, StoreError, UserId, WaitingQueue};

/// When tests begin.
pub(crate) const START_MS: i64 = 1_900_000_000_000;
/// When the event begins.
pub(crate) const SHOW_MS: i64 = START_MS + 86_400_000;

/// Section A with two rows of ten, `A-1-1` to `A-2-10`: the first vip, the second standard. And a floor of 30.
pub(crate) fn hall() -> Layout {
    layout(10)
}

/// The same with rows of this length.
pub(crate) fn layout(row: u32) -> Layout {
    let json = serde_json::json!({
        "name": "Hall", "grades": ["vip", "standard", "floor"],
        "sections": [{"id": "A", "rows": [
            {"id": "1", "grade": "vip", "segments": [{"from": 1, "count": row, "x": 0, "y": 0}]},
            {"id": "2", "grade": "standard", "segments": [{"from": 1, "count": row, "x": 0, "y": 1}]},
        ]}],
        "areas": [{"id": "floor", "grade": "floor", "capacity": 30}],
    });
    Layout::from_json(json.to_string()).unwrap()
}

pub(crate) fn id() -> EventId {
    EventId::new("tour").unwrap()
}

/// The event, on sale.
pub(crate) fn tour() -> EventBuilder {
    Event::builder(id())
        .title("Tour", "투어")
        .venue("Hall")
        .starts_at_ms(SHOW_MS)
        .status(EventStatus::Open)
        .currency("KRW")
        .price("vip", 150_000)
        .price("standard", 90_000)
        .price("floor", 50_000)
        .limits(4, 6)
}

/// Somebody at the event.
pub(crate) fn person(name: impl std::fmt::Display) -> (EventId, UserId) {
    (id(), UserId::new(name.to_string()).unwrap())
}

pub(crate) fn labels(hold: &SeatHold) -> Vec<&str> {
    hold.seats.iter().map(|seat| seat.label.as_str()).collect()
}

pub(crate) fn label(text: &str) -> SeatLabel {
    SeatLabel::new(text).unwrap()
}

/// A shop: handle and parts.
pub(crate) struct Shop {
    pub(crate) clock: ManualClock,
    pub(crate) store: Spy,
    pub(crate) catalog: MemoryCatalog,
    pub(crate) ledger: MemoryLedger,
    pub(crate) seats: Seats,
}

impl Shop {
    /// With the event in the hall, and a keeper.
    pub(crate) async fn open() -> Self {
        Self::with(tour(), None, true).await
    }

    /// Nobody keeps the maps.
    pub(crate) async fn without_keeper() -> Self {
        Self::with(tour(), None, false).await
    }

    pub(crate) async fn with(
        event: EventBuilder,
        queue: Option<&WaitingQueue>,
        keep: bool,
    ) -> Self {
        let clock = ManualClock::at(START_MS);
        let memory = MemorySeatStore::new().with_clock(Arc::new(clock.clone()));
        let store = Spy::new(memory);
        let (catalog, ledger) = (MemoryCatalog::new(), MemoryLedger::new());
        let seats = start(&store, &catalog, &ledger, &clock, queue, keep).await;
        let event = event.build().unwrap();
        seats
            .put_event(event, hall())
            .await
            .unwrap()
            .saved()
            .unwrap();
        Self {
            clock,
            store,
            catalog,
            ledger,
            seats,
        }
    }

    /// Another process on the same stores.
    pub(crate) async fn another(&self, keep: bool) -> Seats {
        let Self {
            clock,
            store,
            catalog,
            ledger,
            ..
        } = self;
        start(store, catalog, ledger, clock, None, keep).await
    }

    /// Lets time pass in steps, until the answer is `Some`.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        mut check: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        for _ in 0..600 {
            if let Some(found) = check().await {
                return found;
            }
            self.pass(100).await;
        }
        panic!("{what}: not within a minute");
    }

    /// Lets so many milliseconds pass, and everything happen that is due.
    pub(crate) async fn pass(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
        settle().await;
    }

    /// Lets so many seconds pass, in steps.
    pub(crate) async fn pass_seconds(&self, seconds: u64) {
        for _ in 0..seconds {
            self.pass(1_000).await;
        }
    }

    pub(crate) async fn hold(&self, name: &str, seats: &[&str]) -> SeatHold {
        let held = self.seats.hold(&person(name), seats).await;
        held.unwrap().taken().unwrap()
    }

    pub(crate) async fn refused(&self, name: &str, request: impl Into<HoldSeats>) -> Refusal {
        let held = self.seats.hold(&person(name), request).await;
        held.unwrap().taken().unwrap_err()
    }

    pub(crate) async fn counts(&self) -> Counts {
        let head = self.store.memory.head(&id()).await.unwrap();
        head.ready().unwrap().counts
    }

    /// Begins a rebuild beside the handle, whatever there is.
    pub(crate) async fn begin_rebuild(&self, spec: &MapSpec) -> u64 {
        let begun = self
            .store
            .memory
            .begin_rebuild(&id(), spec, Over::Any)
            .await;
        begun.unwrap().unwrap()
    }

    /// Sells the seats of a hold, as a purchase does: first the ledger, then the map.
    pub(crate) async fn sell(&self, name: &str, hold: &SeatHold) {
        let user = person(name).1;
        let seats: Vec<SeatLabel> = hold.seats.iter().map(|seat| seat.label.clone()).collect();
        let sold: Vec<SoldSeat> = seats
            .iter()
            .map(|seat| SoldSeat {
                seat: seat.clone(),
                user: user.clone(),
                fence: hold.fence,
            })
            .collect();
        assert!(self.ledger.record_sold(&id(), &sold).is_empty());
        let fence = hold.fence;
        let change = LedgerChange::Sold { user, fence, seats };
        let synced = self.seats.sync(&id(), &[change]).await;
        let _ = synced.unwrap().done().unwrap();
    }

    /// Gives sold seats back.
    pub(crate) async fn refund(&self, name: &str, hold: &SeatHold) {
        let user = person(name).1;
        let seats: Vec<SeatLabel> = hold.seats.iter().map(|seat| seat.label.clone()).collect();
        self.ledger.record_released(&id(), hold.fence, &seats);
        let fence = hold.fence;
        let change = LedgerChange::Released { user, fence, seats };
        let synced = self.seats.sync(&id(), &[change]).await;
        let _ = synced.unwrap().done().unwrap();
    }
}

async fn start(
    store: &Spy,
    catalog: &MemoryCatalog,
    ledger: &MemoryLedger,
    clock: &ManualClock,
    queue: Option<&WaitingQueue>,
    keep: bool,
) -> Seats {
    let mut builder = Seats::builder(store.clone())
        .catalog(catalog.clone())
        .ledger(ledger.clone())
        .clock(Arc::new(clock.clone()))
        .keep(keep);
    if let Some(queue) = queue {
        builder = builder.queue(queue);
    }
    builder.start().await.unwrap()
}

/// Lets every task run until all of them wait.
pub(crate) async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// The store in memory, with eyes: counts calls, fails when told to, and lets a rival be faster.
#[derive(Debug, Clone)]
pub(crate) struct Spy {
    pub(crate) memory: MemorySeatStore,
    calls: Arc<Mutex<HashMap<&'static str, usize>>>,
    pub(crate) down: Arc<AtomicBool>,
    /// How many more holds of named seats lose against a rival who takes the first of them.
    pub(crate) rivals: Arc<AtomicUsize>,
}

impl Spy {
    pub(crate) fn new(memory: MemorySeatStore) -> Self {
        Self {
            memory,
            calls: Arc::default(),
            down: Arc::default(),
            rivals: Arc::default(),
        }
    }

    pub(crate) fn calls(&self, verb: &'static str) -> usize {
        self.calls.lock().unwrap().get(verb).copied().unwrap_or(0)
    }

    async fn note(&self, verb: &'static str) -> Result<(), StoreError> {
        *self.calls.lock().unwrap().entry(verb).or_default() += 1;
        // Like a store that is elsewhere: others run meanwhile.
        tokio::task::yield_now().await;
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable {
                context: verb,
                source: "it is down".into(),
            });
        }
        Ok(())
    }

    /// Somebody else takes the first seat that is about to be held.
    async fn outrun(&self, event: &EventId, epoch: u64, choice: &Choice) {
        let Choice::Seats(seats) = choice else {
            return;
        };
        let left = self.rivals.load(Ordering::SeqCst);
        if left == 0 {
            return;
        }
        self.rivals.store(left - 1, Ordering::SeqCst);
        let rival = HoldRequest {
            id: HoldId::from_bytes(ticketon_queue::id::random_bytes()),
            user: UserId::new(format!("rival-{left}")).unwrap(),
            request_hash: 1,
            choice: Choice::Seats(vec![seats[0]]),
            ttl_ms: 300_000,
            limits: Limits::default(),
        };
        let held = self.memory.hold(event, epoch, &rival).await.unwrap();
        assert!(matches!(held, Mapped::Ready(Held::Taken(_))), "{held:?}");
    }
}

macro_rules! watched {
    ($(fn $verb:ident($($name:ident: $kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl SeatStore for Spy {
            $(async fn $verb(&self, event: &EventId, $($name: $kind),*) -> Result<$answer, StoreError> {
                self.note(stringify!($verb)).await?;
                self.memory.$verb(event, $($name),*).await
            })*

            async fn hold(
                &self,
                event: &EventId,
                epoch: u64,
                request: &HoldRequest,
            ) -> Result<Mapped<Held>, StoreError> {
                let verb = match &request.choice {
                    Choice::Seats(_) => "hold",
                    Choice::Adjacent { .. } => "choose",
                    Choice::Units { .. } => "units",
                };
                self.note(verb).await?;
                self.outrun(event, epoch, &request.choice).await;
                self.memory.hold(event, epoch, request).await
            }

            async fn ping(&self) -> Result<(), StoreError> {
                self.note("ping").await
            }

            fn name(&self) -> &'static str {
                "spy"
            }
        }
    };
}

watched! {
    fn head() -> Mapped<MapHead>;
    fn snapshot() -> Mapped<Snapshot>;
    fn changes(epoch: u64, after: u64) -> Mapped<Changes>;
    fn find(epoch: u64, key: &HoldKey) -> Mapped<HoldReply>;
    fn holds_of(epoch: u64, user: &UserId) -> Mapped<Vec<Hold>>;
    fn extend(epoch: u64, key: &HoldKey, ttl_ms: i64, cap_ms: i64) -> Mapped<HoldReply>;
    fn release(epoch: u64, key: &HoldKey) -> Mapped<HoldReply>;
    fn pin(epoch: u64, key: &HoldKey) -> Mapped<HoldReply>;
    fn unpin(epoch: u64, key: &HoldKey, ttl_ms: i64) -> Mapped<HoldReply>;
    fn sync(epoch: u64, batch: &[SeatSync]) -> Mapped<Synced>;
    fn owners(epoch: u64, from: SeatIndex) -> Mapped<Vec<Owned>>;
    fn pinned(epoch: u64, skip: u32) -> Mapped<Vec<Hold>>;
    fn mend(epoch: u64, batch: &[Mend]) -> Mapped<Synced>;
    fn block(epoch: u64, seats: &[SeatIndex]) -> Mapped<Blocked>;
    fn unblock(epoch: u64, seats: &[SeatIndex]) -> Mapped<Blocked>;
    fn sweep() -> Mapped<Swept>;
    fn begin_rebuild(spec: &MapSpec, over: Over) -> Option<u64>;
    fn load(epoch: u64, seats: &[Load]) -> bool;
    fn finish_rebuild(epoch: u64) -> bool;
}

/// The time that has passed since the tests began, in milliseconds.
pub(crate) fn since(at: i64) -> i64 {
    at - START_MS
}
