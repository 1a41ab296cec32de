//! A shop to test with: a hall, a database in memory, and Toss Payments' stand-in.

use std::sync::Arc;
use std::time::Duration;

use fake_toss::{FakeToss, Ledger, Settings};
use serde_json::{Value, json};
use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::adapter::toss::TossPayments;
use ticketon_domain::event::{Event, EventBuilder, EventStatus};
use ticketon_domain::purchase::{
    Confirm, OrderId, OrderState, OrderView, PaymentKey, PurchaseError, PurchaseStore, Purchases,
};
use ticketon_domain::seat::{HoldId, Seats};
use ticketon_domain::venue::Layout;
use ticketon_queue::{EventId, ManualClock, UserId};

const START_MS: i64 = 1_900_000_000_000;
pub(crate) const PRICE: u64 = 30_000;

pub(crate) struct Shop {
    pub(crate) clock: ManualClock,
    pub(crate) toss: FakeToss,
    pub(crate) store: SqlStore,
    pub(crate) seats: Seats,
    pub(crate) purchases: Purchases,
    event: EventId,
    user: UserId,
}

/// An order and the payment that its buyer has authorized.
pub(crate) struct Sale {
    pub(crate) order: OrderId,
    pub(crate) payment: PaymentKey,
    pub(crate) amount: u64,
}

fn hall() -> Layout {
    let json = json!({
        "name": "Hall", "grades": ["vip", "gift"],
        "sections": [{"id": "A", "rows": [
            {"id": "1", "grade": "vip", "segments": [{"from": 1, "count": 9, "x": 0, "y": 0}]},
            {"id": "2", "grade": "gift", "segments": [{"from": 1, "count": 9, "x": 0, "y": 1}]},
        ]}],
    });
    Layout::from_json(json.to_string()).unwrap()
}

fn tour(currency: &str) -> EventBuilder {
    Event::builder(EventId::new("tour").unwrap())
        .title("Tour", "투어")
        .venue("Hall")
        .starts_at_ms(START_MS + 86_400_000)
        .status(EventStatus::Open)
        .currency(currency)
        .price("vip", PRICE)
        .price("gift", 0)
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::in_currency("KRW").await
    }

    pub(crate) async fn in_currency(currency: &str) -> Self {
        let clock = ManualClock::at(START_MS);
        let shared = Arc::new(clock.clone());
        let store = SqlStore::sqlite(":memory:").await.unwrap();
        store.migrate().await.unwrap();
        let seats = Seats::builder(MemorySeatStore::new().with_clock(shared.clone()))
            .catalog(store.clone())
            .ledger(store.clone())
            .clock(shared)
            .start()
            .await
            .unwrap();
        let event = tour(currency).build().unwrap();
        let saved = seats.put_event(event, hall()).await.unwrap();
        saved.saved().unwrap();
        let toss = FakeToss::start(Settings::default()).await.unwrap();
        let client = TossPayments::builder("test_sk_fake")
            .base_url(toss.url())
            .read_timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        let purchases = Purchases::builder(store.clone(), &seats, client)
            .recover(false)
            .start()
            .await
            .unwrap();
        Self {
            clock,
            toss,
            store,
            seats,
            purchases,
            event: EventId::new("tour").unwrap(),
            user: UserId::new("ann").unwrap(),
        }
    }

    pub(crate) fn user(&self) -> &UserId {
        &self.user
    }

    pub(crate) fn event(&self) -> &EventId {
        &self.event
    }

    pub(crate) async fn hold(&self, seats: &[&str]) -> HoldId {
        let holder = (&self.event, &self.user);
        let held = self.seats.hold(&holder, seats).await.unwrap();
        held.taken().unwrap().id
    }

    pub(crate) async fn order(&self, seats: &[&str]) -> OrderView {
        let hold = self.hold(seats).await;
        let holder = (&self.event, &self.user);
        self.purchases.initiate(&holder, hold).await.unwrap()
    }

    /// An order of these seats, with an authorized payment.
    pub(crate) async fn sale(&self, seats: &[&str]) -> Sale {
        self.sale_by(seats, json!({})).await
    }

    /// The same, with other fields of the payment.
    pub(crate) async fn sale_by(&self, seats: &[&str], with: Value) -> Sale {
        let order = self.order(seats).await;
        let mut payment = json!({"orderId": order.order_id, "amount": order.amount});
        let fields = payment.as_object_mut().unwrap();
        fields.extend(with.as_object().unwrap().clone());
        Sale {
            order: order.order_id,
            payment: PaymentKey::new(self.toss.open(payment).await).unwrap(),
            amount: order.amount,
        }
    }

    pub(crate) async fn confirm(&self, sale: &Sale) -> Result<OrderView, PurchaseError> {
        let confirm = Confirm {
            order: sale.order,
            key: sale.payment.clone(),
            amount: sale.amount,
        };
        self.purchases.confirm(&self.user, &confirm).await
    }

    pub(crate) async fn paid(&self, seats: &[&str]) -> Sale {
        let sale = self.sale(seats).await;
        let paid = self.confirm(&sale).await.unwrap();
        assert_eq!(paid.status, OrderState::Paid);
        sale
    }

    /// What a call of the payment's order meets.
    pub(crate) async fn fault(&self, sale: &Sale, mut fault: Value) {
        fault["orderId"] = json!(sale.order);
        let (status, told) = self.toss.call("POST", "/fake/faults", &[], &fault).await;
        assert!((200..300).contains(&status), "{told}");
    }

    /// The provider's own doing with a payment.
    pub(crate) async fn provider(&self, sale: &Sale, verb: &str, body: &Value) {
        let path = format!("/fake/payments/{}/{verb}", sale.payment);
        let (status, told) = self.toss.call("POST", &path, &[], body).await;
        assert!((200..300).contains(&status), "{told}");
    }

    /// Somebody gives money back at the provider, past the shop.
    pub(crate) async fn cancel_elsewhere(&self, sale: &Sale, amount: Option<u64>) {
        let path = format!("/v1/payments/{}/cancel", sale.payment);
        let mut body = json!({"cancelReason": "by hand"});
        if let Some(amount) = amount {
            body["cancelAmount"] = json!(amount);
        }
        // `test_sk_fake:` in base64.
        let auth = ("authorization", "Basic dGVzdF9za19mYWtlOg==");
        let (status, told) = self.toss.call("POST", &path, &[auth], &body).await;
        assert_eq!(status, 200, "{told}");
        self.toss.advance(Duration::from_secs(2)).await;
    }

    pub(crate) async fn see(&self, sale: &Sale) -> OrderView {
        self.purchases.get(&self.user, &sale.order).await.unwrap()
    }

    pub(crate) async fn ledger(&self, sale: &Sale) -> Ledger {
        self.toss.ledger(&sale.order.to_string()).await
    }

    /// Why an operator should look at the order.
    pub(crate) async fn attention(&self, sale: &Sale) -> Option<String> {
        let record = self.store.order(&sale.order).await.unwrap().unwrap();
        record.work.attention.map(|attention| attention.code)
    }

    /// What the shop has asked the provider with this method.
    pub(crate) async fn calls(&self, method: &str) -> usize {
        let (_, calls) = self
            .toss
            .call("GET", "/fake/calls", &[], &Value::Null)
            .await;
        let calls = calls
            .as_array()
            .or_else(|| calls["calls"].as_array())
            .unwrap();
        calls.iter().filter(|call| call["method"] == method).count()
    }

    /// Lets time pass while something is done.
    pub(crate) async fn meanwhile<T>(&self, work: impl Future<Output = T>) -> T {
        let clock = async {
            loop {
                self.clock.advance(Duration::from_millis(50));
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            done = work => done,
            () = clock => unreachable!("time never ends"),
        }
    }

    /// Somebody says that the payment has changed.
    pub(crate) async fn hint(&self, sale: &Sale) -> Result<(), PurchaseError> {
        self.meanwhile(self.purchases.hint(Some(&sale.payment), None))
            .await
    }

    /// Lets time pass and the worker work, until the order is one of these.
    pub(crate) async fn until(&self, sale: &Sale, states: &[OrderState]) -> OrderView {
        for _ in 0..40 {
            self.clock.advance(Duration::from_secs(20));
            self.toss.advance(Duration::from_secs(2)).await;
            self.purchases.run_due().await.unwrap();
            let seen = self.see(sale).await;
            if states.contains(&seen.status) {
                return seen;
            }
        }
        panic!("{:?}", self.see(sale).await);
    }
}
