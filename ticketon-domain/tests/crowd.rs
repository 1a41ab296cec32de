//! What a crowd costs the stores, while they are slow, fail, or have lost a map.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use ticketon_domain::adapter::memory::{MemoryCatalog, MemorySeatStore};
use ticketon_domain::event::{Catalog, Event, EventPage, EventQuery, EventStatus, Put, RoomMark};
use ticketon_domain::seat::*;
use ticketon_domain::venue::{Layout, SeatIndex};
use ticketon_queue::{Clock, EventId, ManualClock, StoreError, UnixMs, UserId};

const NOW: UnixMs = 1_800_000_000_000;
const CROWD: usize = 50;

/// How many times each verb was asked about each event.
#[derive(Debug, Default)]
struct Asked(Mutex<HashMap<(&'static str, String), usize>>);

impl Asked {
    fn count(&self, verb: &'static str, of: &str) {
        *self
            .0
            .lock()
            .unwrap()
            .entry((verb, of.to_owned()))
            .or_default() += 1;
    }

    fn times(&self, verb: &'static str, of: &str) -> usize {
        let asked = self.0.lock().unwrap();
        asked.get(&(verb, of.to_owned())).copied().unwrap_or(0)
    }
}

/// A store whose answers take time, or do not come, or that lost the map of an event.
#[derive(Debug)]
struct Slow {
    inner: MemorySeatStore,
    clock: ManualClock,
    asked: Arc<Asked>,
    takes_ms: Arc<AtomicI64>,
    fails: Arc<AtomicUsize>,
}

const LOST: &str = "lost";

impl Slow {
    async fn asked(&self, verb: &'static str, event: &EventId) -> Result<(), StoreError> {
        self.asked.count(verb, event.as_str());
        tokio::task::yield_now().await;
        let takes_ms = self.takes_ms.load(Ordering::SeqCst);
        self.clock
            .advance(Duration::from_millis(takes_ms.unsigned_abs()));
        if self.fails.load(Ordering::SeqCst) > 0 {
            return Err(StoreError::Unavailable {
                context: "test",
                source: "no answer".into(),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl SeatStore for Slow {
    async fn head(&self, event: &EventId) -> Result<Mapped<MapHead>, StoreError> {
        self.asked("head", event).await?;
        if event.as_str() == LOST {
            return Ok(Mapped::NotReady(NotReady::Absent));
        }
        self.inner.head(event).await
    }
    async fn snapshot(&self, event: &EventId) -> Result<Mapped<Snapshot>, StoreError> {
        self.asked("snapshot", event).await?;
        if event.as_str() == LOST {
            return Ok(Mapped::NotReady(NotReady::Absent));
        }
        self.inner.snapshot(event).await
    }
    async fn changes(
        &self,
        event: &EventId,
        epoch: u64,
        after: u64,
    ) -> Result<Mapped<Changes>, StoreError> {
        self.asked("changes", event).await?;
        self.inner.changes(event, epoch, after).await
    }
    async fn hold(
        &self,
        event: &EventId,
        epoch: u64,
        request: &HoldRequest,
    ) -> Result<Mapped<Held>, StoreError> {
        self.inner.hold(event, epoch, request).await
    }
    async fn find(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.inner.find(event, epoch, key).await
    }
    async fn holds_of(
        &self,
        event: &EventId,
        epoch: u64,
        user: &UserId,
    ) -> Result<Mapped<Vec<Hold>>, StoreError> {
        self.inner.holds_of(event, epoch, user).await
    }
    async fn extend(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
        cap_ms: i64,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.inner.extend(event, epoch, key, ttl_ms, cap_ms).await
    }
    async fn release(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.inner.release(event, epoch, key).await
    }
    async fn pin(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.inner.pin(event, epoch, key).await
    }
    async fn unpin(
        &self,
        event: &EventId,
        epoch: u64,
        key: &HoldKey,
        ttl_ms: i64,
    ) -> Result<Mapped<HoldReply>, StoreError> {
        self.inner.unpin(event, epoch, key, ttl_ms).await
    }
    async fn sync(
        &self,
        event: &EventId,
        epoch: u64,
        batch: &[SeatSync],
    ) -> Result<Mapped<Synced>, StoreError> {
        self.inner.sync(event, epoch, batch).await
    }
    async fn owners(
        &self,
        event: &EventId,
        epoch: u64,
        from: SeatIndex,
    ) -> Result<Mapped<Vec<Owned>>, StoreError> {
        self.inner.owners(event, epoch, from).await
    }
    async fn pinned(
        &self,
        event: &EventId,
        epoch: u64,
        skip: u32,
    ) -> Result<Mapped<Vec<Hold>>, StoreError> {
        self.inner.pinned(event, epoch, skip).await
    }
    async fn mend(
        &self,
        event: &EventId,
        epoch: u64,
        batch: &[Mend],
    ) -> Result<Mapped<Synced>, StoreError> {
        self.inner.mend(event, epoch, batch).await
    }
    async fn block(
        &self,
        event: &EventId,
        epoch: u64,
        seats: &[SeatIndex],
    ) -> Result<Mapped<Blocked>, StoreError> {
        self.inner.block(event, epoch, seats).await
    }
    async fn unblock(
        &self,
        event: &EventId,
        epoch: u64,
        seats: &[SeatIndex],
    ) -> Result<Mapped<Blocked>, StoreError> {
        self.inner.unblock(event, epoch, seats).await
    }
    async fn sweep(&self, event: &EventId) -> Result<Mapped<Swept>, StoreError> {
        self.asked("sweep", event).await?;
        self.inner.sweep(event).await
    }
    async fn begin_rebuild(
        &self,
        event: &EventId,
        spec: &MapSpec,
        over: Over,
    ) -> Result<Option<u64>, StoreError> {
        self.inner.begin_rebuild(event, spec, over).await
    }
    async fn load(&self, event: &EventId, epoch: u64, seats: &[Load]) -> Result<bool, StoreError> {
        self.inner.load(event, epoch, seats).await
    }
    async fn finish_rebuild(&self, event: &EventId, epoch: u64) -> Result<bool, StoreError> {
        self.inner.finish_rebuild(event, epoch).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
    fn name(&self) -> &'static str {
        "slow"
    }
}

/// A catalog that counts what it is asked.
#[derive(Debug, Clone)]
struct Counting {
    inner: MemoryCatalog,
    asked: Arc<Asked>,
}

#[async_trait]
impl Catalog for Counting {
    async fn put_layout(&self, layout: &Arc<Layout>) -> Result<(), StoreError> {
        self.inner.put_layout(layout).await
    }
    async fn layout(&self, version: &str) -> Result<Option<Arc<Layout>>, StoreError> {
        self.asked.count("layout", "");
        tokio::task::yield_now().await;
        self.inner.layout(version).await
    }
    async fn put_event(&self, event: &Event) -> Result<Put, StoreError> {
        self.inner.put_event(event).await
    }
    async fn event(&self, event: &EventId) -> Result<Option<Arc<Event>>, StoreError> {
        tokio::task::yield_now().await;
        self.inner.event(event).await
    }
    async fn list(&self, query: &EventQuery) -> Result<EventPage, StoreError> {
        self.asked.count("list", "");
        tokio::task::yield_now().await;
        self.inner.list(query).await
    }
    async fn room_mark(&self, event: &EventId) -> Result<Option<RoomMark>, StoreError> {
        self.inner.room_mark(event).await
    }
    async fn set_room_mark(
        &self,
        event: &EventId,
        mark: Option<RoomMark>,
    ) -> Result<(), StoreError> {
        self.inner.set_room_mark(event, mark).await
    }
}

struct House {
    clock: ManualClock,
    asked: Arc<Asked>,
    takes_ms: Arc<AtomicI64>,
    fails: Arc<AtomicUsize>,
    catalog: Counting,
    seats: Seats,
}

/// Events in a store as above; `keep` runs a keeper.
async fn house(events: &[&str], keep: bool) -> House {
    let clock = ManualClock::at(NOW);
    let asked = Arc::new(Asked::default());
    let catalog = Counting {
        inner: MemoryCatalog::new(),
        asked: Arc::clone(&asked),
    };
    let (takes_ms, fails) = (Arc::new(AtomicI64::new(0)), Arc::default());
    let store = Slow {
        inner: MemorySeatStore::new().with_clock(Arc::new(clock.clone())),
        clock: clock.clone(),
        asked: Arc::clone(&asked),
        takes_ms: Arc::clone(&takes_ms),
        fails: Arc::clone(&fails),
    };
    let seats = Seats::builder(store)
        .catalog(catalog.clone())
        .clock(Arc::new(clock.clone()))
        .keep(keep);
    let seats = seats.start().await.unwrap();
    for event in events {
        let hall = Layout::from_json(
            r#"{"name": "Hall", "grades": ["all"], "areas": [{"id": "floor", "capacity": 10}]}"#,
        );
        let event = Event::builder(EventId::new(*event).unwrap())
            .title("Tour", "투어")
            .venue("Hall")
            .starts_at_ms(NOW + 3_600_000)
            .status(EventStatus::Open)
            .currency("KRW")
            .price("all", 1_000)
            .build()
            .unwrap();
        seats
            .put_event(event, hall.unwrap())
            .await
            .unwrap()
            .saved()
            .unwrap();
    }
    House {
        clock,
        asked,
        takes_ms,
        fails,
        catalog,
        seats,
    }
}

fn tour() -> EventId {
    EventId::new("tour").unwrap()
}

#[tokio::test]
async fn a_slow_map_is_read_once_for_all_who_wait() {
    let house = house(&["tour"], false).await;
    house.takes_ms.store(300, Ordering::SeqCst);
    let event = tour();
    let views = join_all((0..CROWD).map(|_| house.seats.snapshot(&event))).await;
    assert!(views.into_iter().all(|view| view.unwrap().done().is_ok()));
    let read = house.asked.times("snapshot", "tour");
    assert!(read <= 2, "{read} readings for {CROWD} people");
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_waited_for_once_by_all() {
    let house = house(&["tour"], false).await;
    house.takes_ms.store(500, Ordering::SeqCst);
    house.fails.store(1, Ordering::SeqCst);
    let event = tour();
    let views = join_all((0..CROWD).map(|_| house.seats.snapshot(&event))).await;
    assert!(views.iter().all(Result::is_err));
    let read = house.asked.times("snapshot", "tour");
    assert!(read <= 2, "{read} readings for {CROWD} people");
    house.clock.advance(Duration::from_secs(1));
    let watches = join_all((0..CROWD).map(|_| house.seats.watch(&event, None))).await;
    assert!(watches.iter().all(Result::is_err));
    let read = house.asked.times("head", "tour");
    assert!(read <= 4, "{read} readings for {CROWD} watchers");
}

#[tokio::test]
async fn watchers_who_come_at_once_wait_for_one_answer() {
    let house = house(&["tour"], false).await;
    let event = tour();
    let before = house.asked.times("head", "tour");
    let watches = join_all((0..CROWD).map(|_| house.seats.watch(&event, None))).await;
    for watch in watches {
        assert!(watch.unwrap().next().await.unwrap().resync);
    }
    let read = house.asked.times("head", "tour") - before + house.asked.times("changes", "tour");
    assert!(read <= 3, "{read} readings for {CROWD} watchers");
}

#[tokio::test]
async fn a_process_that_starts_reads_a_layout_once_for_all() {
    let house = house(&["tour"], false).await;
    let other = Seats::builder(MemorySeatStore::new())
        .catalog(house.catalog.clone())
        .keep(false);
    let other = other.start().await.unwrap();
    let event = tour();
    let found = join_all((0..CROWD).map(|_| other.event(&event))).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(house.asked.times("layout", ""), 1);
    let nothing = EventId::new("nothing").unwrap();
    assert!(matches!(
        other.event(&nothing).await,
        Err(SeatsError::UnknownEvent { .. })
    ));
}

#[tokio::test]
async fn who_asks_for_a_map_that_does_not_come_costs_other_events_nothing() {
    let house = house(&["tour", LOST], true).await;
    let lost = EventId::new(LOST).unwrap();
    let looked = async {
        while house.asked.times("sweep", LOST) < 40 {
            assert!(house.seats.snapshot(&lost).await.unwrap().done().is_err());
            house.clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looked)
        .await
        .expect("the keeper looks at what is missed");
    let rounds = (house.clock.now_ms() - NOW) / 1_000;
    let swept = house.asked.times("sweep", "tour");
    assert!(swept as i64 <= rounds + 1, "{swept} sweeps in {rounds} s");
    // Nor are they kept from their round.
    assert!(swept as i64 >= rounds / 2, "{swept} sweeps in {rounds} s");
    house.seats.shutdown().await;
}

#[tokio::test]
async fn a_listing_is_read_once_a_second_for_all_and_at_once_after_an_event_was_saved() {
    let house = house(&["tour"], false).await;
    let query = EventQuery {
        limit: 50,
        ..EventQuery::default()
    };
    let asked = || join_all((0..CROWD).map(|_| house.seats.list(&query)));
    assert!(
        asked()
            .await
            .iter()
            .all(|page| page.as_ref().unwrap().items.len() == 1)
    );
    assert_eq!(house.asked.times("list", ""), 1);
    let saved = house.seats.set_status(&tour(), EventStatus::Closed).await;
    saved.unwrap().saved().unwrap();
    let page = house.seats.list(&query).await.unwrap();
    assert_eq!(page.items[0].status(), EventStatus::Closed);
    asked().await;
    assert_eq!(house.asked.times("list", ""), 2);
    house.clock.advance(Duration::from_secs(1));
    asked().await;
    assert_eq!(house.asked.times("list", ""), 3);
}
