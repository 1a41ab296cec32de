//! What all processes of the sale share: the stores, the provider, the bus, the keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ticketon_domain::adapter::memory::{MemoryBus, MemorySeatStore};
use ticketon_domain::adapter::redis::RedisSeatStore;
use ticketon_domain::audit::AuditKeys;
use ticketon_domain::event::{Event, EventStatus};
use ticketon_domain::purchase::TicketKeys;
use ticketon_domain::seat::SeatStore;
use ticketon_domain::venue::{Layout, sample};
use ticketon_queue::{AdmissionKeys, EventId, MemoryStore, QueueStore, RedisStore};
use ticketon_tests::RedisServer;

use super::bus::SaleBus;
use super::plan::Plan;
use super::provider::Acquirer;

#[derive(Debug)]
pub(super) struct House {
    pub(super) event: EventId,
    pub(super) layout: Arc<Layout>,
    pub(super) provider: Acquirer,
    pub(super) bus: MemoryBus,
    pub(super) sale_bus: Arc<SaleBus>,
    pub(super) admission_keys: AdmissionKeys,
    pub(super) ticket_keys: TicketKeys,
    pub(super) audit_keys: AuditKeys,
    rooms: Rooms,
    maps: Maps,
    maps_lost: AtomicU64,
}

#[derive(Debug)]
enum Rooms {
    Memory(MemoryStore),
    Redis(RedisServer),
}

#[derive(Debug)]
enum Maps {
    Memory(MemorySeatStore),
    Redis(RedisServer),
}

impl House {
    pub(super) async fn open(plan: &Plan) -> Self {
        let (rooms, maps) = if plan.redis {
            (
                Rooms::Redis(RedisServer::start().await),
                Maps::Redis(RedisServer::start().await),
            )
        } else {
            (
                Rooms::Memory(MemoryStore::new()),
                Maps::Memory(MemorySeatStore::new()),
            )
        };
        let bus = MemoryBus::new();
        Self {
            event: EventId::new("spring-tour").unwrap_or_else(|error| panic!("{error}")),
            layout: Arc::new(sample::concert(
                plan.seats - plan.standing(),
                plan.standing(),
            )),
            provider: Acquirer::new(plan.seed, plan.sabotage),
            sale_bus: Arc::new(SaleBus::new(bus.clone(), plan.sabotage)),
            bus,
            admission_keys: AdmissionKeys::random(),
            ticket_keys: TicketKeys::random(),
            audit_keys: AuditKeys::new("sale", [7; 32]).unwrap_or_else(|error| panic!("{error}")),
            rooms,
            maps,
            maps_lost: AtomicU64::new(0),
        }
    }

    /// The rooms, by connections of the caller's own.
    pub(super) async fn rooms(&self) -> Arc<dyn QueueStore> {
        match &self.rooms {
            Rooms::Memory(store) => Arc::new(store.clone()),
            Rooms::Redis(server) => Arc::new(connected(server).await),
        }
    }

    /// The maps, by connections of the caller's own.
    pub(super) async fn maps(&self) -> Arc<dyn SeatStore> {
        match &self.maps {
            Maps::Memory(store) => Arc::new(store.clone()),
            Maps::Redis(server) => Arc::new(RedisSeatStore::on(&connected(server).await)),
        }
    }

    /// All maps are gone, as after a restart of a store that keeps nothing.
    pub(super) async fn lose_maps(&self) {
        self.maps_lost.fetch_add(1, Ordering::Release);
        match &self.maps {
            Maps::Memory(store) => store.clear(),
            Maps::Redis(server) => {
                server.cli(&["FLUSHALL"]).await;
            }
        }
    }

    /// How often that happened: a hold is one hold for as long as there is a map that knows it.
    pub(super) fn maps_lost(&self) -> u64 {
        self.maps_lost.load(Ordering::Acquire)
    }

    /// What is sold. A seat costs by its grade.
    pub(super) fn event(&self, plan: &Plan) -> Event {
        let pace = plan.pace();
        let mut event = Event::builder(self.event.clone())
            .title("Spring Tour", "봄 투어")
            .venue("Concert Hall")
            .starts_at_ms(4_102_444_800_000)
            .status(EventStatus::Open)
            .currency("KRW")
            .limits(4, 4)
            .hold_seconds(pace.hold_seconds)
            .max_hold_seconds(pace.hold_seconds * 2)
            .payment_seconds(pace.pay_seconds, pace.margin_seconds);
        for (place, grade) in self.layout.grades().iter().enumerate() {
            event = event.price(grade, price_of(place));
        }
        event
            .build()
            .unwrap_or_else(|error| panic!("the event is valid: {error}"))
    }

    /// What a seat costs, as the judge knows it: by the layout and the list of prices alone.
    pub(super) fn price(&self, seat: &str) -> Option<u64> {
        let index = self.layout.index_of(seat)?;
        let grade = self.layout.seat(index)?.grade;
        Some(price_of(grade.get() as usize))
    }
}

/// The price of a grade, by its place in the layout: primes, so that no two sums of few are the same by accident.
const fn price_of(grade: usize) -> u64 {
    [164_999, 131_009, 99_013, 77_003, 55_001][if grade < 5 { grade } else { 4 }]
}

async fn connected(server: &RedisServer) -> RedisStore {
    RedisStore::connect(server.url())
        .await
        .unwrap_or_else(|error| panic!("a private Redis answers: {error}"))
}
