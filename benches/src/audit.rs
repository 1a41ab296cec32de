//! Audit entries verified a second, against reading the same rows and hashing their texts.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use ticketon_domain::audit::{AuditKeys, Verifier, seal};
use ticketon_domain::event::Currency;
use ticketon_domain::purchase::event::buyer_hash;
use ticketon_domain::purchase::{Command, Line, OrderEvent, OrderId, OrderRecord, PurchaseStore};
use ticketon_domain::seat::HoldId;
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::{EventId, SystemClock, UserId};

use crate::measure::{Table, WANTED, median};
use crate::place::Place;

const ORDERS: u32 = 4_000;
const ROUNDS: usize = 5;
const NAME: &str = "audit: a chain of each of 4,000 orders verified, SQLite";

pub(crate) async fn measure(table: &mut Table, place: &Place) {
    if !table.wants(NAME) {
        return;
    }
    let url = place.fresh_url().await;
    let store = place.store(&url).await;
    for order in 0..ORDERS {
        write(&store, order).await;
    }
    let keys = AuditKeys::new("bench", [7; 32]).expect("a valid key");
    seal(&store, &keys, &SystemClock)
        .await
        .expect("it is sealed");
    let options = SqliteConnectOptions::new().filename(url.trim_start_matches("sqlite:"));
    let plain = SqlitePool::connect_with(options)
        .await
        .expect("a connection");
    let verifier = Verifier::new(keys.public().clone());
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let began = Instant::now();
        let mut print = |finding| panic!("{finding}");
        let verified = verifier
            .verify(&store, &mut print)
            .await
            .expect("an answer");
        let subject = rate(verified.entries, began.elapsed());
        let (entries, took) = bare(&plain).await;
        assert_eq!(entries, verified.entries);
        let baseline = rate(entries, took);
        if round > 0 {
            ratios.push(subject / baseline);
            ours.push(subject);
            theirs.push(baseline);
        }
    }
    table.add(
        NAME,
        median(ratios),
        format!("{:.0} entries/s", median(ours)),
        format!("{:.0} entries/s", median(theirs)),
        "entries/s ÷ entries/s of one SELECT and SHA-256",
    );
    table.wanted(WANTED);
}

#[expect(clippy::cast_precision_loss, reason = "few entries")]
fn rate(entries: u64, took: Duration) -> f64 {
    entries as f64 / took.as_secs_f64()
}

/// An order that was made and given up: two entries.
async fn write(store: &impl PurchaseStore, number: u32) {
    let id = OrderId::random(i64::from(number));
    let event = EventId::new("bench").expect("a valid id");
    let user = UserId::new(format!("buyer-{number}")).expect("a valid id");
    let hall = ticketon_domain::venue::sample::club(2);
    let initiated = OrderEvent::Initiated {
        event_id: event.clone(),
        buyer: buyer_hash(&id, &user),
        hold_id: HoldId::derive(&event, &user, "bench"),
        fence: 1,
        sales_version: 1,
        lines: vec![Line {
            seat: hall.label(SeatIndex::new(0)).expect("a club has places"),
            grade: "standing".to_owned(),
            price: 1_000,
        }],
        amount: 1_000,
        currency: Currency::KRW,
        pay_until_ms: 10,
        hold_until_ms: 20,
    };
    let made =
        OrderRecord::initiate(id, user.clone(), 0, &initiated, None, None).expect("an order");
    store.create(&made).await.expect("it is written");
    store
        .change(&id, &Command::Cancel { user }, 1)
        .await
        .expect("it is written");
}

async fn bare(plain: &SqlitePool) -> (u64, Duration) {
    let began = Instant::now();
    let sql = "SELECT order_id, seq, at_ms, kind, body, prev_hash, hash FROM audit ORDER BY order_id, seq";
    let rows = sqlx::query(sql).fetch_all(plain).await.expect("rows");
    let mut entries = 0;
    for row in &rows {
        let mut hash = Sha256::new();
        for column in ["kind", "body", "prev_hash"] {
            hash.update(row.get::<&str, _>(column));
        }
        assert_ne!(hash.finalize()[..], [0; 32]);
        entries += 1;
    }
    (entries, began.elapsed())
}
