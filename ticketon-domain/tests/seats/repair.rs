//! Maps that differ from the ledger are mended; those that do not, whatever is on its way, are left alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::seat::*;
use ticketon_domain::venue::{SeatIndex, SeatLabel};
use ticketon_queue::{EventId, ManualClock, StoreError};

use crate::shop::{START_MS, Spy, hall, id, label, person, settle, tour};

/// Two looks at one map, and some time between them.
const TWO_LOOKS_S: u64 = 600;

/// A ledger with orders and messages, as a database has them.
#[derive(Debug, Clone, Default)]
struct Orders(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    sold: BTreeMap<SeatLabel, SoldSeat>,
    paying: HashSet<HoldId>,
    messages: BTreeMap<u64, LedgerChange>,
    last: u64,
    /// How often somebody compared.
    looks: usize,
}

impl Orders {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// An order begins to pay: its seats are nobody else's.
    fn reserve(&self, hold: &SeatHold, user: &str) {
        let mut book = self.book();
        book.paying.insert(hold.id);
        for seat in &hold.seats {
            let sold = SoldSeat {
                seat: seat.label.clone(),
                user: person(user).1,
                fence: hold.fence,
            };
            let other = book.sold.insert(seat.label.clone(), sold);
            assert_eq!(other, None, "sold twice");
        }
    }

    /// It is paid.
    fn pay(&self, hold: &SeatHold, user: &str) -> u64 {
        self.book().paying.remove(&hold.id);
        self.commit(LedgerChange::Sold {
            user: person(user).1,
            fence: hold.fence,
            seats: labels(hold),
        })
    }

    /// It is not paid, or given back.
    fn give_back(&self, hold: &SeatHold, user: &str) -> u64 {
        let mut book = self.book();
        book.paying.remove(&hold.id);
        for seat in &hold.seats {
            book.sold.remove(&seat.label);
        }
        drop(book);
        self.commit(LedgerChange::Released {
            user: person(user).1,
            fence: hold.fence,
            seats: labels(hold),
        })
    }

    fn commit(&self, change: LedgerChange) -> u64 {
        let mut book = self.book();
        book.last += 1;
        let number = book.last;
        book.messages.insert(number, change);
        number
    }

    /// As if the map had been told.
    fn forget(&self, number: u64) {
        self.book().messages.remove(&number);
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
        after: Option<&SeatLabel>,
        limit: usize,
    ) -> Result<Page<SoldSeat>, StoreError> {
        let book = self.book();
        let behind = book.sold.values();
        let behind = behind.filter(|sold| after.is_none_or(|after| sold.seat > *after));
        let mut items: Vec<SoldSeat> = behind.take(limit + 1).cloned().collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|sold| sold.seat.clone());
        Ok(Page { items, next })
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
        let mut book = self.book();
        book.looks += 1;
        let numbers = book.messages.keys();
        Ok(match (numbers.clone().min(), numbers.max()) {
            (Some(oldest), Some(newest)) => Untold::Changes {
                oldest: *oldest,
                newest: *newest,
            },
            _ => Untold::Nothing,
        })
    }
}

/// Counts what was mended, by kind.
#[derive(Debug, Clone, Default)]
struct Counted(Arc<Mutex<HashMap<String, u64>>>);

struct One(Counted, String);

impl CounterFn for One {
    fn increment(&self, value: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }

    fn absolute(&self, _value: u64) {}
}

impl Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() != "ticketon_seat_repairs_total" {
            return Counter::noop();
        }
        let kinds = key.labels().filter(|label| label.key() == "kind");
        let kind = kinds.map(metrics::Label::value).collect();
        Counter::from_arc(Arc::new(One(self.clone(), kind)))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl Counted {
    fn of(&self, kind: &str) -> u64 {
        self.0.lock().unwrap().get(kind).copied().unwrap_or(0)
    }
}

struct Shop {
    clock: ManualClock,
    store: Spy,
    orders: Orders,
    seats: Seats,
}

impl Shop {
    async fn open() -> Self {
        let clock = ManualClock::at(START_MS);
        let memory = MemorySeatStore::new().with_clock(Arc::new(clock.clone()));
        let (store, orders) = (Spy::new(memory), Orders::default());
        let seats = Seats::builder(store.clone())
            .ledger(orders.clone())
            .clock(Arc::new(clock.clone()));
        let seats = seats.start().await.unwrap();
        let event = tour().limits(40, 1_000).build().unwrap();
        let saved = seats.put_event(event, hall()).await.unwrap();
        saved.saved().unwrap();
        Self {
            clock,
            store,
            orders,
            seats,
        }
    }

    async fn hold(&self, name: &str, seats: &[&str]) -> SeatHold {
        let held = self.seats.hold(&person(name), seats).await;
        held.unwrap().taken().unwrap()
    }

    /// An order is being paid with a hold.
    async fn paying(&self, name: &str, seats: &[&str]) -> SeatHold {
        let hold = self.hold(name, seats).await;
        self.orders.reserve(&hold, name);
        let pinned = self.seats.pin(&id(), &key(name, &hold)).await.unwrap();
        assert!(matches!(pinned, Outcome::Done(_)), "{pinned:?}");
        hold
    }

    /// The map frees the seats of a hold that was pinned.
    async fn let_go(&self, name: &str, hold: &SeatHold) {
        let (event, key) = (id(), key(name, hold));
        let done = self.seats.unpin(&event, &key, Duration::ZERO).await;
        assert!(matches!(done, Ok(Outcome::Done(_))), "{done:?}");
    }

    /// Tells the map the oldest messages.
    async fn tell(&self, count: usize) {
        let next: Vec<(u64, LedgerChange)> = {
            let book = self.orders.book();
            let next = book.messages.iter().take(count);
            next.map(|(id, change)| (*id, change.clone())).collect()
        };
        for (number, change) in next {
            let told = self.seats.sync(&id(), &[change]).await.unwrap();
            assert!(matches!(told, Outcome::Done(_)), "{told:?}");
            self.orders.forget(number);
        }
    }

    /// What a message would do, behind the ledger's back.
    async fn say(&self, change: LedgerChange) {
        let told = self.seats.sync(&id(), &[change]).await.unwrap();
        assert!(matches!(told, Outcome::Done(_)), "{told:?}");
    }

    async fn pass(&self, seconds: u64) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            settle().await;
        }
    }

    async fn state(&self, seat: &str) -> SeatState {
        let snapshot = self.store.memory.snapshot(&id()).await.unwrap();
        let seat = hall().index_of(label(seat)).unwrap();
        snapshot.ready().unwrap().state(seat).unwrap()
    }

    async fn owned(&self, seat: &str) -> Owned {
        let head = self
            .store
            .memory
            .head(&id())
            .await
            .unwrap()
            .ready()
            .unwrap();
        let seat = hall().index_of(label(seat)).unwrap();
        let owned = self.store.memory.owners(&id(), head.epoch, seat).await;
        owned.unwrap().ready().unwrap()[0]
    }

    fn mends(&self) -> usize {
        self.store.calls("mend")
    }
}

fn key(name: &str, hold: &SeatHold) -> HoldKey {
    HoldKey {
        id: hold.id,
        user: person(name).1,
        fence: Some(hold.fence),
    }
}

fn change(is_sold: bool, name: &str, fence: u64, seats: &[&str]) -> LedgerChange {
    let user = person(name).1;
    let seats = seats.iter().map(|seat| label(seat)).collect();
    if is_sold {
        LedgerChange::Sold { user, fence, seats }
    } else {
        LedgerChange::Released { user, fence, seats }
    }
}

#[tokio::test]
async fn seats_that_only_the_ledger_has_as_sold_are_sold() {
    let counted = Counted::default();
    let _recording = metrics::set_default_local_recorder(&counted);
    let shop = Shop::open().await;
    // What the map was told was lost with the store's last writes: the seat is free, or held by the hold that is paid.
    let free = shop.paying("ann", &["A-1-1"]).await;
    let told = shop.orders.pay(&free, "ann");
    shop.orders.forget(told);
    shop.let_go("ann", &free).await;
    let pinned = shop.paying("bob", &["A-1-2", "A-1-3"]).await;
    let told = shop.orders.pay(&pinned, "bob");
    shop.orders.forget(told);
    // Somebody took one since, somebody was told to give one back that was sold again, and one is sold to another.
    let taken = shop.paying("cat", &["A-1-4"]).await;
    let told = shop.orders.pay(&taken, "cat");
    shop.orders.forget(told);
    shop.let_go("cat", &taken).await;
    let late = shop.paying("dan", &["A-1-5"]).await;
    shop.orders.pay(&late, "dan");
    shop.tell(9).await;
    shop.say(change(false, "dan", late.fence, &["A-1-5"])).await;
    let other = shop.paying("eve", &["A-1-6"]).await;
    shop.orders.pay(&other, "eve");
    shop.tell(9).await;
    shop.say(change(true, "zoe", other.fence + 9, &["A-1-6"]))
        .await;
    let next = shop.hold("fay", &["A-1-4", "A-1-10"]).await;
    let fenced = [
        ("A-1-1", &free),
        ("A-1-2", &pinned),
        ("A-1-3", &pinned),
        ("A-1-4", &taken),
        ("A-1-5", &late),
        ("A-1-6", &other),
    ];
    assert_eq!(shop.state("A-1-1").await, SeatState::Free);
    assert_eq!(shop.state("A-1-5").await, SeatState::Free);
    shop.pass(TWO_LOOKS_S).await;
    for (seat, hold) in fenced {
        let sold = Owned {
            state: SeatState::Sold,
            owner: hold.fence,
        };
        assert_eq!(shop.owned(seat).await, sold, "{seat}");
    }
    assert_eq!(counted.of("sold"), 6);
    assert_eq!((counted.of("freed"), counted.of("unpinned")), (0, 0));
    let lost = shop.seats.get(&person("fay"), next.id).await.unwrap();
    assert!(
        matches!(lost, Outcome::Refused(Refusal::Ended { .. })),
        "{lost:?}"
    );
    shop.pass(TWO_LOOKS_S).await;
    assert_eq!(counted.of("sold"), 6, "it is mended once");
}

#[tokio::test]
async fn seats_that_only_the_map_has_as_sold_are_free() {
    let counted = Counted::default();
    let _recording = metrics::set_default_local_recorder(&counted);
    let shop = Shop::open().await;
    let hold = shop.paying("ann", &["A-1-1", "A-1-2"]).await;
    shop.orders.pay(&hold, "ann");
    shop.tell(9).await;
    let told = shop.orders.give_back(&hold, "ann");
    shop.orders.forget(told);
    shop.pass(TWO_LOOKS_S).await;
    assert_eq!(shop.state("A-1-1").await, SeatState::Free);
    assert_eq!(shop.state("A-1-2").await, SeatState::Free);
    assert_eq!(counted.of("freed"), 2);
    // What was on its way so long changes nothing any more.
    shop.say(change(true, "ann", hold.fence, &["A-1-1"])).await;
    assert_eq!(shop.state("A-1-1").await, SeatState::Free);
    assert_eq!((counted.of("sold"), counted.of("unpinned")), (0, 0));
}

#[tokio::test]
async fn a_hold_that_nobody_pays_for_has_a_deadline_again() {
    let counted = Counted::default();
    let _recording = metrics::set_default_local_recorder(&counted);
    let shop = Shop::open().await;
    // The order failed and let the hold go; then its pin came late, from a process that had stood still.
    let stuck = shop.paying("ann", &["A-1-1", "A-1-2"]).await;
    let told = shop.orders.give_back(&stuck, "ann");
    shop.orders.forget(told);
    let paying = shop.paying("bob", &["A-1-3"]).await;
    shop.pass(TWO_LOOKS_S).await;
    assert_eq!(counted.of("unpinned"), 1);
    shop.pass(300).await;
    assert_eq!(shop.state("A-1-1").await, SeatState::Free);
    let kept = shop.seats.get(&person("bob"), paying.id).await.unwrap();
    let Outcome::Done(kept) = kept else {
        panic!("{kept:?}")
    };
    assert_eq!(kept.expires_at_ms, None, "an order is being paid with it");
    assert_eq!((counted.of("sold"), counted.of("freed")), (0, 0));
}

#[tokio::test]
async fn what_is_on_its_way_is_no_difference() {
    let shop = Shop::open().await;
    let sold = shop.paying("ann", &["A-1-1"]).await;
    shop.orders.pay(&sold, "ann");
    let refunded = shop.paying("bob", &["A-1-2"]).await;
    shop.orders.pay(&refunded, "bob");
    shop.tell(2).await;
    shop.orders.give_back(&refunded, "bob");
    let paid = shop.paying("cat", &["A-1-3"]).await;
    shop.orders.pay(&paid, "cat");
    let failed = shop.paying("dan", &["A-1-4"]).await;
    shop.orders.give_back(&failed, "dan");
    // However long it takes: the map is told in its time.
    shop.pass(2 * TWO_LOOKS_S).await;
    assert!(shop.orders.book().looks > 10, "somebody compared");
    assert_eq!((shop.mends(), shop.store.calls("unpin")), (0, 0));
    assert_eq!(shop.state("A-1-2").await, SeatState::Sold);
    shop.tell(9).await;
    shop.pass(TWO_LOOKS_S).await;
    assert_eq!((shop.mends(), shop.store.calls("unpin")), (0, 0));
}

#[tokio::test]
async fn what_differs_behind_a_message_that_waits_is_mended_when_that_is_told() {
    let shop = Shop::open().await;
    let waits = shop.paying("ann", &["A-1-1"]).await;
    shop.orders.pay(&waits, "ann");
    let hold = shop.paying("bob", &["A-1-2"]).await;
    let told = shop.orders.pay(&hold, "bob");
    shop.orders.forget(told);
    shop.pass(TWO_LOOKS_S).await;
    assert_eq!(shop.state("A-1-2").await, SeatState::Held);
    shop.tell(1).await;
    // The next look comes soon, because the last one found something; one is enough.
    shop.pass(40).await;
    assert_eq!(shop.state("A-1-2").await, SeatState::Sold);
}

#[tokio::test]
async fn a_ledger_that_does_not_tell_is_not_compared_with() {
    let shop = crate::shop::Shop::open().await;
    let hold = shop.hold("ann", &["A-1-1"]).await;
    let change = change(true, "ann", hold.fence, &["A-1-1"]);
    let told = shop.seats.sync(&id(), &[change]).await.unwrap();
    assert!(matches!(told, Outcome::Done(_)), "{told:?}");
    shop.pass_seconds(TWO_LOOKS_S).await;
    assert_eq!(shop.counts().await.sold, 1, "the host keeps its own books");
    assert_eq!(shop.store.calls("mend"), 0);
}

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// People hold, pay, give up and give back for an hour, and the map is told with delays of up to some minutes.
#[tokio::test]
async fn a_busy_shop_is_never_repaired() {
    let shop = Shop::open().await;
    let mut random = Numbers(20_260_101);
    let mut paying: Vec<(String, SeatHold)> = Vec::new();
    let mut paid: Vec<(String, SeatHold)> = Vec::new();
    for second in 0..3_600 {
        let name = format!("fan-{second}");
        match random.below(8) {
            0 | 1 => {
                let unit = format!("floor/{}", 1 + random.below(30));
                let held = shop.seats.hold(&person(&name), &[unit.as_str()]).await;
                if let Ok(hold) = held.unwrap().taken()
                    && !shop.orders.book().sold.contains_key(&hold.seats[0].label)
                {
                    shop.orders.reserve(&hold, &name);
                    let pinned = shop.seats.pin(&id(), &key(&name, &hold)).await;
                    assert!(matches!(pinned.unwrap(), Outcome::Done(_)));
                    paying.push((name, hold));
                }
            }
            2 | 3 if !paying.is_empty() => {
                let at = random.below(paying.len() as u64) as usize;
                let (name, hold) = paying.swap_remove(at);
                shop.orders.pay(&hold, &name);
                paid.push((name, hold));
            }
            4 if !paying.is_empty() => {
                let at = random.below(paying.len() as u64) as usize;
                let (name, hold) = paying.swap_remove(at);
                shop.orders.give_back(&hold, &name);
            }
            5 if !paid.is_empty() => {
                let at = random.below(paid.len() as u64) as usize;
                let (name, hold) = paid.swap_remove(at);
                shop.orders.give_back(&hold, &name);
            }
            // For minutes nobody tells the map anything.
            _ if second / 200 % 2 == 0 => shop.tell(random.below(4) as usize).await,
            _ => {}
        }
        shop.pass(1).await;
        for (name, hold) in &paying {
            let kept = shop.seats.get(&person(name), hold.id).await.unwrap();
            let Outcome::Done(kept) = kept else {
                panic!("{name} pays and has {kept:?}")
            };
            assert_eq!(kept.expires_at_ms, None, "{name} pays");
        }
    }
    assert!(shop.orders.book().looks > 40, "somebody compared");
    assert_eq!((shop.mends(), shop.store.calls("unpin")), (0, 0));
    let told = shop.orders.book().messages.len();
    shop.tell(told).await;
    let snapshot = shop.store.memory.snapshot(&id()).await.unwrap();
    let snapshot = snapshot.ready().unwrap();
    let book = shop.orders.book();
    for seat in (0..snapshot.head.spec.seats).map(SeatIndex::new) {
        let is_sold = snapshot.state(seat) == Some(SeatState::Sold);
        let sold = book.sold.get(&hall().label(seat).unwrap());
        let is_paid =
            sold.is_some_and(|sold| paid.iter().any(|(_, hold)| hold.fence == sold.fence));
        assert_eq!(is_sold, is_paid, "{seat}");
    }
}
