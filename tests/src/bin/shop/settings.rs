//! What both programs of the contracts share: their settings, and one event that is on sale.
//!
//! | setting | says |
//! | --- | --- |
//! | `--listen <address>` | where to listen |
//! | `TICKETON_ADMIN_TOKEN` | who may call the operators' routes |
//! | `TICKETON_ADMISSION_SECRET` | signs tokens |
//! | `TICKETON_REDIS_URL` | rooms and seats in this Redis instead of in memory |
//!
//! Those of purchases: [`purchases`].

mod gate;
mod purchases;

use std::error::Error;

use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::adapter::redis::RedisSeatStore;
use ticketon_domain::event::{Event, EventStatus};
use ticketon_domain::seat::Seats;
use ticketon_domain::venue::sample;
use ticketon_queue::http::AdminToken;
use ticketon_queue::{
    AdmissionKeys, EventId, MemoryStore, RedisStore, RoomConfig, UnixMs, WaitingQueue,
};

pub(crate) use purchases::Paid;

/// 2099-01-01T00:00:00Z.
const STARTS_AT_MS: UnixMs = 4_070_908_800_000;

/// What a program serves.
pub(crate) struct Shop {
    pub(crate) listen: String,
    pub(crate) admin: AdminToken,
    pub(crate) queue: WaitingQueue,
    pub(crate) seats: Seats,
    /// Purchases, if they are to be served.
    pub(crate) paid: Option<Paid>,
}

impl Shop {
    /// Ends all that runs: streams first; then nothing long-lived is left to wait for.
    pub(crate) async fn shutdown(&self) {
        self.seats.shutdown().await;
        self.queue.shutdown().await;
        if let Some(paid) = &self.paid {
            paid.purchases.shutdown().await;
        }
    }
}

/// Reads the settings, starts everything, and puts the event `demo` on sale.
pub(crate) async fn start() -> Result<Shop, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let listen = match (args.next().as_deref(), args.next()) {
        (Some("--listen"), Some(address)) => address,
        _ => return Err("--listen <address> is missing".into()),
    };
    let admin = AdminToken::new(&std::env::var("TICKETON_ADMIN_TOKEN")?)?;
    let keys = AdmissionKeys::new("env", std::env::var("TICKETON_ADMISSION_SECRET")?)?;
    let (queue, seats) = match std::env::var("TICKETON_REDIS_URL") {
        Ok(url) => {
            let rooms = RedisStore::connect(url).await?;
            let seats = Seats::builder(RedisSeatStore::on(&rooms));
            (WaitingQueue::builder(rooms), seats)
        }
        Err(_) => (
            WaitingQueue::builder(MemoryStore::new()),
            Seats::builder(MemorySeatStore::new()),
        ),
    };
    let queue = queue.admission_keys(keys).start().await?;
    let store = purchases::store().await?;
    let seats = match &store {
        Some(store) => seats.catalog(store.clone()).ledger(store.clone()),
        None => seats,
    };
    let seats = seats.queue(&queue).start().await?;
    let paid = match store {
        Some(store) => Some(purchases::start(store, &seats, &queue).await?),
        None => None,
    };

    let demo = EventId::new("demo")?;
    let room = RoomConfig::builder().capacity(1_000).build()?;
    queue.ensure_room(&demo, room).await?;
    let event = Event::builder(demo)
        .title("Spring Tour", "봄 투어")
        .venue("Concert Hall")
        .category("concert", "Concert")
        .starts_at_ms(STARTS_AT_MS)
        .status(EventStatus::Open)
        .currency("KRW")
        .price("vip", 165_000)
        .price("r", 143_000)
        .price("s", 121_000)
        .price("a", 99_000)
        .build()?;
    let hall = sample::concert(300, 50);
    seats.put_event(event, hall).await?.saved()?;
    Ok(Shop {
        listen,
        admin,
        queue,
        seats,
        paid,
    })
}

/// Returns once the harness asks the program to end.
pub(crate) async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    if let Ok(mut terminate) = signal(SignalKind::terminate()) {
        terminate.recv().await;
    }
}
