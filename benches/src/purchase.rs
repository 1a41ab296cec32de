//! Orders a second, from a hold to the ticket and the map, against writing the same rows without thinking.
//!
//! An order is initiated and confirmed by a provider that answers at once; it counts when its tickets are good, its events
//! are in the outbox, and the map has heard of the sale. The baseline ([`plain`]) writes the same rows into the same tables,
//! in the three transactions that nobody careful can do without: the order before anybody pays, the reservation before
//! the provider is called, the payment after. It reads, checks and locks nothing.

mod plain;
mod rows;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::adapter::sandbox::{Opened, Sandbox, SandboxOutcome};
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::event::{Event, EventStatus, Money};
use ticketon_domain::purchase::{Confirm, OrderState, PurchaseStore, Purchases};
use ticketon_domain::seat::{HoldId, Seats};
use ticketon_domain::venue::{SeatIndex, sample};
use ticketon_queue::{EventId, UserId};
use tokio::task::JoinSet;

use self::plain::Plain;
use crate::measure::{Table, Times, median, shown};
use crate::place::Place;

/// Seats of an order.
const SEATS: u32 = 2;
const HOUSE: u32 = 60_000;
/// Buyers at once, and how many orders they make in a round.
const CROWDS: [(u32, u32); 3] = [(1, 100), (16, 800), (64, 1_600)];
/// The first warms both up.
const ROUNDS: usize = 5;

fn name(buyers: u32, database: &str) -> String {
    format!("purchase: hold to ticket, {buyers} at once, {database}")
}

/// Whether a row on this database is asked for.
pub(crate) fn is_wanted(table: &Table, database: &str) -> bool {
    CROWDS
        .iter()
        .any(|(buyers, _)| table.wants(&name(*buyers, database)))
}

pub(crate) async fn measure(table: &mut Table, place: &Place) {
    if !is_wanted(table, place.name()) {
        return;
    }
    let name = |buyers: u32| name(buyers, place.name());
    let shop = Shop::open(place).await;
    let plain = Plain::open(place).await;
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
}

impl Shop {
    async fn open(place: &Place) -> Self {
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
        let purchases = Purchases::builder(store.clone(), &seats, provider.clone())
            .start()
            .await;
        Self {
            event,
            seats,
            purchases: purchases.expect("a fresh database starts"),
            store,
            provider,
        }
    }

    /// Sells so many orders to so many buyers at a time; answers how long that took, and how long each order.
    async fn sell(&self, buyers: u32, orders: u32, first_seat: u32) -> (Duration, Times) {
        let mut holds = Vec::new();
        for order in 0..orders {
            holds.push(self.hold(first_seat + order * SEATS).await);
        }
        let began = Instant::now();
        let mut crowd = JoinSet::new();
        for chunk in holds.chunks((orders / buyers) as usize) {
            let (purchases, provider, event) = (
                self.purchases.clone(),
                self.provider.clone(),
                self.event.clone(),
            );
            let holds = chunk.to_vec();
            crowd.spawn(async move {
                let mut times = Times::new();
                for (user, hold) in holds {
                    let began = Instant::now();
                    buy(&purchases, &provider, &event, &user, hold).await;
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
        self.purchases.shutdown().await;
        self.seats.shutdown().await;
    }
}

async fn buy(
    purchases: &Purchases,
    provider: &Sandbox,
    event: &EventId,
    user: &UserId,
    hold: HoldId,
) {
    let order = purchases
        .initiate(&(event, user), hold)
        .await
        .expect("an order");
    let amount = Money::new(order.amount, order.currency);
    let opened = provider
        .open(&order.order_id, amount, SandboxOutcome::Approve)
        .await;
    let Ok(Opened::Payment(key)) = opened else {
        panic!("{opened:?}")
    };
    let confirm = Confirm {
        order: order.order_id,
        key,
        amount: order.amount,
    };
    let paid = purchases.confirm(user, &confirm).await.expect("a payment");
    assert_eq!(paid.status, OrderState::Paid);
}
