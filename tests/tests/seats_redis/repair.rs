//! A Redis that lost its last writes: what the map forgot, or holds too much, is mended from the ledger.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use ticketon_domain::adapter::redis::RedisSeatStore;
use ticketon_domain::event::{Event, EventStatus};
use ticketon_domain::seat::{
    HoldId, HoldKey, LedgerChange, MapSpec, Mapped, NotReady, Outcome, Over, Owned, Page, SeatHold,
    SeatLedger, SeatState, SeatStore, Seats, SoldSeat, Untold,
};
use ticketon_domain::venue::{Layout, SeatIndex, SeatLabel};
use ticketon_queue::{EventId, ManualClock, StoreError, UserId};
use ticketon_tests::{RedisServer, eventually};

use super::test_map::{BOUND, connect, ready, user};

const START_MS: i64 = 1_900_000_000_000;

/// A ledger whose map has heard everything.
#[derive(Debug, Clone, Default)]
struct Orders(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    sold: BTreeMap<SeatLabel, SoldSeat>,
    paying: HashSet<HoldId>,
    /// How often somebody asked, twice in a comparison.
    asked: usize,
}

impl Orders {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// The seats of a hold are sold, or being paid for.
    fn sell(&self, hold: &SeatHold, name: &str, is_paid: bool) {
        let mut book = self.book();
        for seat in labels(hold) {
            let sold = SoldSeat {
                seat: seat.clone(),
                user: user(name),
                fence: hold.fence,
            };
            book.sold.insert(seat, sold);
        }
        if is_paid {
            book.paying.remove(&hold.id);
        } else {
            book.paying.insert(hold.id);
        }
    }

    fn give_back(&self, hold: &SeatHold) {
        let mut book = self.book();
        for seat in labels(hold) {
            book.sold.remove(&seat);
        }
        book.paying.remove(&hold.id);
    }
}

fn labels(hold: &SeatHold) -> Vec<SeatLabel> {
    hold.seats.iter().map(|seat| seat.label.clone()).collect()
}

#[async_trait]
impl SeatLedger for Orders {
    async fn sold(
        &self,
        _event: &EventId,
        _after: Option<&SeatLabel>,
        _limit: usize,
    ) -> Result<Page<SoldSeat>, StoreError> {
        let items = self.book().sold.values().cloned().collect();
        Ok(Page { items, next: None })
    }

    async fn blocked(
        &self,
        _event: &EventId,
        _after: Option<&SeatLabel>,
        _limit: usize,
    ) -> Result<Page<SeatLabel>, StoreError> {
        let (items, next) = (Vec::new(), None);
        Ok(Page { items, next })
    }

    async fn set_blocked(
        &self,
        _event: &EventId,
        _seats: &[SeatLabel],
        _blocked: bool,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn paid_for(
        &self,
        _event: &EventId,
        holds: &[HoldId],
    ) -> Result<Vec<HoldId>, StoreError> {
        let book = self.book();
        let paid = holds.iter().filter(|hold| book.paying.contains(hold));
        Ok(paid.copied().collect())
    }

    async fn untold(&self, _event: &EventId) -> Result<Untold, StoreError> {
        self.book().asked += 1;
        Ok(Untold::Nothing)
    }
}

/// A shop of two processes over one Redis.
struct Shop {
    redis: RedisServer,
    clock: ManualClock,
    store: RedisSeatStore,
    orders: Orders,
    event: EventId,
    hall: Layout,
    seats: [Seats; 2],
}

impl Shop {
    async fn open() -> Self {
        let redis = RedisServer::start().await;
        let clock = ManualClock::at(START_MS);
        let orders = Orders::default();
        let catalog = ticketon_domain::adapter::memory::MemoryCatalog::new();
        let start = async || {
            let store = connect(&redis.url()).await;
            let seats = Seats::builder(store.with_clock(Arc::new(clock.clone())))
                .catalog(catalog.clone())
                .ledger(orders.clone())
                .clock(Arc::new(clock.clone()));
            seats.start().await.unwrap()
        };
        let seats = [start().await, start().await];
        let hall = Layout::from_json(
            r#"{
            "name": "Hall", "grades": ["floor"],
            "areas": [{"id": "floor", "grade": "floor", "capacity": 30}]
        }"#,
        )
        .unwrap();
        let event = EventId::new("spring:tour").unwrap();
        let tour = Event::builder(event.clone())
            .title("Tour", "투어")
            .venue("Hall")
            .starts_at_ms(START_MS + 86_400_000)
            .status(EventStatus::Open)
            .currency("KRW")
            .price("floor", 50_000)
            .build()
            .unwrap();
        let saved = seats[0].put_event(tour, hall.clone()).await.unwrap();
        saved.saved().unwrap();
        let store = connect(&redis.url()).await;
        let store = store.with_clock(Arc::new(clock.clone()));
        Self {
            redis,
            clock,
            store,
            orders,
            event,
            hall,
            seats,
        }
    }

    async fn hold(&self, name: &str, units: &[&str]) -> SeatHold {
        let person: (EventId, UserId) = (self.event.clone(), user(name));
        let held = self.seats[0].hold(&person, units).await;
        held.unwrap().taken().unwrap()
    }

    async fn pin(&self, name: &str, hold: &SeatHold) {
        let pinned = self.seats[0].pin(&self.event, &key(name, hold)).await;
        assert!(matches!(pinned, Ok(Outcome::Done(_))), "{pinned:?}");
    }

    async fn tell(&self, change: LedgerChange) {
        let told = self.seats[1].sync(&self.event, &[change]).await;
        assert!(matches!(told, Ok(Outcome::Done(_))), "{told:?}");
    }

    async fn owned(&self, unit: &str) -> Owned {
        let head = ready(self.store.head(&self.event).await);
        let seat = self.hall.index_of(unit).unwrap();
        ready(self.store.owners(&self.event, head.epoch, seat).await)[0]
    }

    /// Redis dies, and comes back as it was when it was saved last.
    async fn lose_writes(&mut self) {
        self.redis.restart().await;
        for seats in &self.seats {
            eventually(BOUND, || async {
                seats.ping().await.map_err(|error| error.to_string())
            })
            .await;
        }
        eventually(BOUND, || async { self.store.ping().await.is_ok() }).await;
    }

    /// Until a unit is this.
    async fn becomes(&self, unit: &str, state: SeatState) {
        eventually(BOUND, || async {
            self.clock.advance(Duration::from_secs(1));
            let owned = self.owned(unit).await;
            (owned.state == state).then_some(()).ok_or(owned)
        })
        .await;
    }

    /// Until both processes have compared so often again.
    async fn compared(&self, times: usize) {
        let before = self.orders.book().asked;
        eventually(BOUND, || async {
            self.clock.advance(Duration::from_secs(5));
            tokio::task::yield_now().await;
            self.orders.book().asked >= before + 2 * times
        })
        .await;
    }
}

fn key(name: &str, hold: &SeatHold) -> HoldKey {
    HoldKey {
        id: hold.id,
        user: user(name),
        fence: Some(hold.fence),
    }
}

fn sold(hold: &SeatHold, name: &str) -> LedgerChange {
    LedgerChange::Sold {
        user: user(name),
        fence: hold.fence,
        seats: labels(hold),
    }
}

fn released(hold: &SeatHold, name: &str) -> LedgerChange {
    LedgerChange::Released {
        user: user(name),
        fence: hold.fence,
        seats: labels(hold),
    }
}

/// An order is confirmed and its hold pinned; Redis loses that, and the hold ends. The order is paid, and the map told.
#[tokio::test]
async fn a_sale_whose_pin_was_lost_is_on_the_map() {
    let mut shop = Shop::open().await;
    let hold = shop.hold("ann", &["floor/1", "floor/2"]).await;
    assert_eq!(shop.redis.cli(&["SAVE"]).await, "OK");
    shop.orders.sell(&hold, "ann", false);
    shop.pin("ann", &hold).await;
    shop.lose_writes().await;
    shop.clock.advance(Duration::from_secs(300));
    shop.becomes("floor/1", SeatState::Free).await;
    shop.orders.sell(&hold, "ann", true);
    shop.tell(sold(&hold, "ann")).await;
    let owned = Owned {
        state: SeatState::Sold,
        owner: hold.fence,
    };
    assert_eq!(shop.owned("floor/1").await, owned);
    shop.orders.give_back(&hold);
    shop.tell(released(&hold, "ann")).await;
    shop.tell(sold(&hold, "ann")).await;
    assert_eq!(shop.owned("floor/1").await.state, SeatState::Free);
}

/// Redis loses what it was told of sales, of refunds, and that a hold was let go.
#[tokio::test]
async fn what_redis_lost_is_mended() {
    let mut shop = Shop::open().await;
    let lost_sale = shop.hold("ann", &["floor/1", "floor/2"]).await;
    shop.orders.sell(&lost_sale, "ann", false);
    shop.pin("ann", &lost_sale).await;
    let lost_refund = shop.hold("bob", &["floor/3"]).await;
    shop.orders.sell(&lost_refund, "bob", true);
    shop.tell(sold(&lost_refund, "bob")).await;
    let stuck = shop.hold("cat", &["floor/4"]).await;
    shop.pin("cat", &stuck).await;
    let paying = shop.hold("dan", &["floor/5"]).await;
    shop.orders.sell(&paying, "dan", false);
    shop.pin("dan", &paying).await;
    let bought = shop.hold("eve", &["floor/6"]).await;
    shop.orders.sell(&bought, "eve", true);
    shop.tell(sold(&bought, "eve")).await;
    assert_eq!(shop.redis.cli(&["SAVE"]).await, "OK");

    shop.orders.sell(&lost_sale, "ann", true);
    shop.tell(sold(&lost_sale, "ann")).await;
    shop.orders.give_back(&lost_refund);
    shop.tell(released(&lost_refund, "bob")).await;
    let stuck_key = key("cat", &stuck);
    let let_go = shop.seats[0].unpin(&shop.event, &stuck_key, Duration::ZERO);
    assert!(matches!(let_go.await, Ok(Outcome::Done(_))));
    let new = shop.hold("fay", &["floor/7"]).await;
    shop.orders.sell(&new, "fay", true);
    shop.tell(sold(&new, "fay")).await;
    shop.lose_writes().await;
    assert_eq!(shop.owned("floor/1").await.state, SeatState::Held);
    assert_eq!(shop.owned("floor/3").await.state, SeatState::Sold);
    assert_eq!(shop.owned("floor/4").await.state, SeatState::Held);
    assert_eq!(shop.owned("floor/7").await.state, SeatState::Free);

    shop.becomes("floor/1", SeatState::Sold).await;
    shop.becomes("floor/2", SeatState::Sold).await;
    shop.becomes("floor/3", SeatState::Free).await;
    shop.becomes("floor/4", SeatState::Free).await;
    shop.becomes("floor/7", SeatState::Sold).await;
    // What was right is what it was: the order that is being paid keeps its hold, however long that takes.
    shop.compared(8).await;
    let epoch = ready(shop.store.head(&shop.event).await).epoch;
    let pinned = ready(shop.store.pinned(&shop.event, epoch, 0).await);
    let pinned: Vec<HoldId> = pinned.iter().map(|hold| hold.id).collect();
    assert_eq!(pinned, [paying.id]);
    for (unit, hold, state) in [
        ("floor/1", &lost_sale, SeatState::Sold),
        ("floor/5", &paying, SeatState::Held),
        ("floor/6", &bought, SeatState::Sold),
        ("floor/7", &new, SeatState::Sold),
    ] {
        let owner = hold.fence;
        assert_eq!(shop.owned(unit).await, Owned { state, owner }, "{unit}");
    }
}

/// A call to begin a rebuild that is sent again, because its answer was lost, is answered what it was; another one is refused.
#[tokio::test]
async fn a_rebuild_whose_beginning_is_sent_again_has_begun_once() {
    let redis = RedisServer::start().await;
    let store = connect(&redis.url()).await;
    let event = EventId::new("spring:tour").unwrap();
    let spec = MapSpec {
        layout: "hall-1".to_owned(),
        seats: 8,
    };
    let begin = async |over| store.begin_rebuild(&event, &spec, over).await.unwrap();
    let first = begin(Over::Absent).await.unwrap();
    redis
        .cli(&["CONFIG", "SET", "slowlog-log-slower-than", "0"])
        .await;
    let seen = Over::Rebuilding { epoch: first };
    let second = begin(seen).await.unwrap();
    let log = redis.cli(&["SLOWLOG", "GET", "128"]).await;
    let lines = log.lines().map(str::trim_end);
    let mut sent: Vec<&str> = lines
        .skip_while(|line| !line.eq_ignore_ascii_case("EVALSHA"))
        .take(21)
        .collect();
    assert_eq!(sent.len(), 21, "{log}");
    for _ in 0..2 {
        let again = redis.cli(&sent).await;
        assert_eq!(again, format!("0\n{second}"), "it has begun");
    }
    sent[20] = "another call";
    assert_eq!(redis.cli(&sent).await, "-13", "it is another map by now");
    assert_eq!(begin(seen).await, None);
    let rebuilding = Mapped::NotReady(NotReady::Rebuilding { epoch: second });
    assert_eq!(store.head(&event).await.unwrap(), rebuilding);
    assert!(store.finish_rebuild(&event, second).await.unwrap());
    let done = ready(store.owners(&event, second, SeatIndex::new(5)).await);
    assert_eq!(done.len(), 3);
}
