//! Orders a second, from a hold to the ticket and the map, against writing the same rows without thinking.
//!
//! An order is initiated and confirmed by a provider that answers at once; it counts when its tickets are good, its events
//! are in the outbox, and the map has heard of the sale. Over HTTP it goes the whole way: through the contract, behind the
//! door, under an idempotency key, beside a relay and a sealer that run as in a shop; and it counts once its events are at
//! the bus. The baseline ([`plain`]) writes the same rows into the same tables, in the three transactions that nobody
//! careful can do without: the order before anybody pays, the reservation before the provider is called, the payment
//! after; and deletes the events where a relay does. It reads, checks and locks nothing.

mod http;
mod plain;
mod rows;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::adapter::sandbox::{Opened, Sandbox, SandboxOutcome};
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::event::{Event, EventStatus, Money};
use ticketon_domain::outbox::OutboxStore as _;
use ticketon_domain::purchase::{
    Confirm, OrderId, OrderState, PaymentKey, PurchaseStore, Purchases,
};
use ticketon_domain::seat::{HoldId, Seats};
use ticketon_domain::venue::{SeatIndex, sample};
use ticketon_queue::{EventId, UserId};
use tokio::task::JoinSet;

use self::http::{Around, Front};
use self::plain::Plain;
use crate::measure::{Table, Times, WANTED, median, shown};
use crate::place::Place;

/// Seats of an order.
const SEATS: u32 = 2;
const HOUSE: u32 = 60_000;
/// Buyers at once, and how many orders they make in a round.
const CROWDS: [(u32, u32); 3] = [(1, 100), (16, 800), (64, 1_600)];
/// The first warms both up.
const ROUNDS: usize = 5;

/// By which way orders come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By the handle.
    Handle,
    /// By the HTTP contract, with all that runs beside.
    Http,
}

fn name(way: Way, buyers: u32, database: &str) -> String {
    match way {
        Way::Handle => format!("purchase: hold to ticket, {buyers} at once, {database}"),
        Way::Http => {
            format!("purchase over HTTP: hold to bus, {buyers} at once, {database}")
        }
    }
}

/// Whether a row on this database is asked for.
pub(crate) fn is_wanted(table: &Table, database: &str) -> bool {
    [Way::Handle, Way::Http]
        .into_iter()
        .any(|way| is_way_wanted(table, way, database))
}

fn is_way_wanted(table: &Table, way: Way, database: &str) -> bool {
    CROWDS
        .iter()
        .any(|(buyers, _)| table.wants(&name(way, *buyers, database)))
}

pub(crate) async fn measure(table: &mut Table, place: &Place) {
    for way in [Way::Handle, Way::Http] {
        if is_way_wanted(table, way, place.name()) {
            measure_way(table, way, place).await;
        }
    }
}

async fn measure_way(table: &mut Table, way: Way, place: &Place) {
    let name = |buyers: u32| name(way, buyers, place.name());
    let shop = Shop::open(place, way).await;
    let plain = Plain::open(place, way == Way::Http).await;
    let mut sold = 0;
    for (buyers, orders) in CROWDS {
        if !table.wants(&name(buyers)) {
            continue;
        }
        let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        let mut times = Times::new();
        for round in 0..ROUNDS {
            let (took, each) = shop.sell(buyers, orders, sold).await;
            let subject = f64::from(orders) / took.as_secs_f64();
            let rows = rows::of(orders, sold);
            let baseline = f64::from(orders) / plain.write(buyers, rows).await.as_secs_f64();
            sold += orders * SEATS;
            if round > 0 {
                ratios.push(subject / baseline);
                ours.push(subject);
                theirs.push(baseline);
                times.merge(&each);
            }
        }
        table.add(
            name(buyers),
            median(ratios),
            format!(
                "{:.0}/s, each {} (p99 {})",
                median(ours),
                shown(times.median()),
                shown(times.p99())
            ),
            format!("{:.0}/s", median(theirs)),
            "orders/s ÷ orders/s of bare writes",
        );
        table.wanted(WANTED);
    }
    shop.close().await;
}

/// Everything that sells, over one database.
struct Shop {
    event: EventId,
    seats: Seats,
    purchases: Purchases,
    store: SqlStore,
    provider: Sandbox,
    front: Option<Front>,
}

impl Shop {
    async fn open(place: &Place, way: Way) -> Self {
        let store = place.fresh_store().await;
        let seats = Seats::builder(MemorySeatStore::new())
            .catalog(store.clone())
            .ledger(store.clone());
        let seats = seats.start().await.expect("a fresh database starts");
        let event = EventId::new(rows::EVENT).expect("a valid id");
        let hall = Arc::new(sample::theatre(HOUSE));
        let mut sale = Event::builder(event.clone())
            .title("Bench", "Bench")
            .venue("Hall")
            .starts_at_ms(4_102_444_800_000)
            .status(EventStatus::Open)
            .hold_seconds(3_600)
            .max_hold_seconds(7_200)
            .currency("KRW");
        for grade in hall.grades() {
            sale = sale.price(grade, 1_000);
        }
        let saved = seats
            .put_event(sale.build().expect("a valid event"), hall)
            .await;
        saved
            .expect("a fresh database")
            .saved()
            .expect("a valid event");
        let provider = Sandbox::new();
        let mut purchases = Purchases::builder(store.clone(), &seats, provider.clone());
        let mut parts = None;
        if way == Way::Http {
            let around = Around::start(&store, &event).await;
            purchases = purchases.queue(&around.queue).wakes(around.wake.clone());
            parts = Some(around);
        }
        let purchases = purchases.start().await.expect("a fresh database starts");
        Self {
            front: parts.map(|around| Front::new(&purchases, around)),
            event,
            seats,
            purchases,
            store,
            provider,
        }
    }

    /// Sells so many orders to so many buyers at a time; answers how long that took, and how long each order.
    async fn sell(&self, buyers: u32, orders: u32, first_seat: u32) -> (Duration, Times) {
        let mut holds = Vec::new();
        for order in 0..orders {
            let (user, hold) = self.hold(first_seat + order * SEATS).await;
            let token = match &self.front {
                Some(front) => front.admit(&self.event, &user).await,
                None => String::new(),
            };
            holds.push(Buyer { user, hold, token });
        }
        let began = Instant::now();
        let mut crowd = JoinSet::new();
        for chunk in holds.chunks((orders / buyers) as usize) {
            let (purchases, provider, event) = (
                self.purchases.clone(),
                self.provider.clone(),
                self.event.clone(),
            );
            let http = self.front.as_ref().map(|front| front.http.clone());
            let holds = chunk.to_vec();
            crowd.spawn(async move {
                let mut times = Times::new();
                for buyer in holds {
                    let began = Instant::now();
                    match &http {
                        Some(http) => http::buy(http, &provider, &event, &buyer).await,
                        None => buy(&purchases, &provider, &event, &buyer).await,
                    }
                    times.add(began.elapsed());
                }
                times
            });
        }
        let mut times = Times::new();
        for each in crowd.join_all().await {
            times.merge(&each);
        }
        while !self
            .store
            .seat_messages(0, 1)
            .await
            .expect("an answer")
            .is_empty()
        {
            tokio::task::yield_now().await;
        }
        if self.front.is_some() {
            while self.store.backlog().await.expect("an answer").pending > 0 {
                tokio::task::yield_now().await;
            }
        }
        (began.elapsed(), times)
    }

    async fn hold(&self, first: u32) -> (UserId, HoldId) {
        let layout = self.seats.layout(&self.event).await.expect("an event");
        let user = UserId::new(format!("buyer-{first}")).expect("a valid id");
        let labels = (first..first + SEATS).filter_map(|seat| layout.label(SeatIndex::new(seat)));
        let labels: Vec<String> = labels.map(|label| label.to_string()).collect();
        let held = self
            .seats
            .hold(&(&self.event, &user), &labels)
            .await
            .expect("an answer");
        let hold = held.taken().expect("nobody else holds them").id;
        (user, hold)
    }

    async fn close(self) {
        if let Some(front) = &self.front {
            front.shutdown().await;
        }
        self.purchases.shutdown().await;
        self.seats.shutdown().await;
    }
}

/// Somebody who holds seats, and their admission token where one is asked for.
#[derive(Debug, Clone)]
struct Buyer {
    user: UserId,
    hold: HoldId,
    token: String,
}

/// What a buyer does on the provider's page.
async fn pay(provider: &Sandbox, order: &OrderId, amount: Money) -> PaymentKey {
    match provider.open(order, amount, SandboxOutcome::Approve).await {
        Ok(Opened::Payment(key)) => key,
        other => panic!("{other:?}"),
    }
}

async fn buy(purchases: &Purchases, provider: &Sandbox, event: &EventId, buyer: &Buyer) {
    let Buyer { user, hold, .. } = buyer;
    let order = purchases
        .initiate(&(event, user), *hold)
        .await
        .expect("an order");
    let amount = Money::new(order.amount, order.currency);
    let key = pay(provider, &order.order_id, amount).await;
    let confirm = Confirm {
        order: order.order_id,
        key,
        amount: order.amount,
    };
    let paid = purchases.confirm(user, &confirm).await.expect("a payment");
    assert_eq!(paid.status, OrderState::Paid);
}
