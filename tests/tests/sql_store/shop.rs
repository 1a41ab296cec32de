//! Databases to test on, and orders to test with.

use tempfile::TempDir;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::event::Currency;
use ticketon_domain::purchase::{
    Change, Changed, Command, Line, OrderEvent, OrderId, OrderRecord, PaymentKey, PurchaseStore,
    TicketId,
};
use ticketon_domain::seat::HoldId;
use ticketon_domain::venue::SeatLabel;
use ticketon_queue::{EventId, UserId};
use ticketon_tests::MariaDb;

/// The time at which every order is made.
pub(crate) const NOW_MS: i64 = 1_800_000_000_000;

/// A database with its tables, and what keeps it there.
pub(crate) struct Database {
    pub(crate) name: &'static str,
    pub(crate) store: SqlStore,
    pub(crate) url: String,
    _folder: Option<TempDir>,
    pub(crate) server: Option<MariaDb>,
}

impl Database {
    pub(crate) async fn memory() -> Self {
        let store = SqlStore::sqlite(":memory:").await.unwrap();
        Self::of("memory", store, "sqlite::memory:".to_owned()).await
    }

    pub(crate) async fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("shop.db").display());
        let store = SqlStore::connect(&url).await.unwrap();
        let mut database = Self::of("file", store, url).await;
        database._folder = Some(folder);
        database
    }

    pub(crate) async fn server() -> Self {
        let server = MariaDb::start().await;
        let url = server.fresh_database().await;
        let store = SqlStore::connect(&url).await.unwrap();
        let mut database = Self::of("server", store, url).await;
        database.server = Some(server);
        database
    }

    async fn of(name: &'static str, store: SqlStore, url: String) -> Self {
        store.migrate().await.unwrap();
        Self {
            name,
            store,
            url,
            _folder: None,
            server: None,
        }
    }

    /// One of each kind.
    pub(crate) async fn all() -> Vec<Self> {
        vec![
            Self::memory().await,
            Self::file().await,
            Self::server().await,
        ]
    }
}

pub(crate) fn event() -> EventId {
    EventId::new("tour").unwrap()
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn seat(label: &str) -> SeatLabel {
    SeatLabel::new(label).unwrap()
}

pub(crate) fn key(text: &str) -> PaymentKey {
    PaymentKey::new(text).unwrap()
}

/// A new order of a person for seats that they hold.
pub(crate) fn order(name: &str, hold: &str, seats: &[&str], at_ms: i64) -> Change {
    order_under((1 << 52) + 7, name, hold, seats, at_ms)
}

/// As [`order`], from a hold of this fence.
pub(crate) fn order_under(
    fence: u64,
    name: &str,
    hold: &str,
    seats: &[&str],
    at_ms: i64,
) -> Change {
    let lines: Vec<Line> = seats
        .iter()
        .map(|label| Line {
            seat: seat(label),
            grade: "vip".to_owned(),
            price: 165_000,
        })
        .collect();
    let initiated = OrderEvent::Initiated {
        event_id: event(),
        buyer: "hash".to_owned(),
        hold_id: HoldId::derive(&event(), &user(name), hold),
        fence,
        sales_version: 1,
        amount: lines.iter().map(|line| line.price).sum(),
        lines,
        currency: "KRW".parse::<Currency>().unwrap(),
        pay_until_ms: at_ms + 600_000,
        hold_until_ms: at_ms + 900_000,
    };
    let id = OrderId::random(at_ms);
    let admission = Some(9);
    OrderRecord::initiate(
        id,
        user(name),
        at_ms,
        &initiated,
        admission,
        Some("c-1".to_owned()),
    )
    .unwrap()
}

pub(crate) fn confirm(order: &OrderRecord, payment: &str) -> Command {
    Command::Confirm {
        user: order.user.clone(),
        provider: "sandbox".to_owned(),
        key: key(payment),
        amount: order.order.amount,
        lease_ms: 30_000,
    }
}

pub(crate) fn paid(order: &OrderRecord) -> Command {
    Command::Paid {
        fence: order.work.fence,
        approved_at_ms: Some(NOW_MS),
        method: Some("card".to_owned()),
    }
}

/// Gives tickets of a paid order back, all of them if none is named, and the money.
pub(crate) async fn refund(
    store: &SqlStore,
    order: &OrderRecord,
    tickets: Vec<TicketId>,
) -> OrderRecord {
    let id = order.order.id;
    let asked = Command::Refund {
        user: Some(order.user.clone()),
        tickets,
        reason: "ill".to_owned(),
        request: None,
    };
    done(store, &id, &asked, NOW_MS).await;
    let record = done(store, &id, &Command::TakeUp { lease_ms: 1_000 }, NOW_MS).await;
    let open = record.order.open_refunds().next().unwrap();
    let refunded = Command::Refunded {
        fence: record.work.fence,
        refund: open.id,
        transaction_key: format!("t-{}", open.id),
    };
    done(store, &id, &refunded, NOW_MS).await
}

/// Lets an order be changed, which must succeed.
pub(crate) async fn done(
    store: &SqlStore,
    order: &OrderId,
    command: &Command,
    now_ms: i64,
) -> OrderRecord {
    match store.change(order, command, now_ms).await.unwrap() {
        Changed::Done(record) => *record,
        other => panic!("{command:?}: {other:?}"),
    }
}
