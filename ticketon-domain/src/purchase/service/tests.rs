//! Two processes of one shop, of which one stood still in between.

#![cfg(feature = "sqlite")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ticketon_queue::{EventId, ManualClock, UserId};

use super::Purchases;
use crate::adapter::memory::MemorySeatStore;
use crate::adapter::sandbox::{Opened, Sandbox, SandboxOutcome};
use crate::adapter::sql::SqlStore;
use crate::event::{Event, EventStatus, Money};
use crate::purchase::{
    CancelPayment, Changed, CheckoutInfo, Command, Confirm, ConfirmPayment, OrderId, OrderRecord,
    OrderState, OrderView, Payment, PaymentKey, PaymentProvider, ProviderError, PurchaseError,
    PurchaseStore as _,
};
use crate::seat::{HoldId, Seats};
use crate::venue::sample;

const LEASE_MS: i64 = 60_000;

struct Shop {
    clock: ManualClock,
    store: SqlStore,
    seats: Seats,
    provider: Sandbox,
    purchases: Purchases,
    event: EventId,
}

impl Shop {
    async fn open() -> Self {
        Self::with(false, |sandbox| Arc::new(sandbox)).await
    }

    /// With a worker or without one, and with what stands before the provider.
    async fn with(recover: bool, before: impl FnOnce(Sandbox) -> Arc<dyn PaymentProvider>) -> Self {
        let clock = ManualClock::at(1_900_000_000_000);
        let shared = Arc::new(clock.clone());
        let store = SqlStore::sqlite(":memory:").await.unwrap();
        store.migrate().await.unwrap();
        let seats = Seats::builder(MemorySeatStore::new().with_clock(shared.clone()))
            .catalog(store.clone())
            .ledger(store.clone())
            .clock(shared.clone())
            .start()
            .await
            .unwrap();
        let hall = sample::theatre(40);
        let event = EventId::new("tour").unwrap();
        let mut tour = Event::builder(event.clone())
            .title("Tour", "Tour")
            .venue("Hall")
            .starts_at_ms(1_900_086_400_000)
            .status(EventStatus::Open)
            .currency("KRW");
        for grade in hall.grades() {
            tour = tour.price(grade, 1_000);
        }
        let saved = seats.put_event(tour.build().unwrap(), Arc::new(hall)).await;
        saved.unwrap().saved().unwrap();
        let provider = Sandbox::new().clock(shared);
        let purchases =
            Purchases::builder_shared(Arc::new(store.clone()), &seats, before(provider.clone()))
                .recover(recover)
                .start()
                .await
                .unwrap();
        Self {
            clock,
            store,
            seats,
            provider,
            purchases,
            event,
        }
    }

    fn person(&self, name: &str) -> (EventId, UserId) {
        (self.event.clone(), UserId::new(name).unwrap())
    }

    async fn hold(&self, name: &str) -> HoldId {
        let wanted = crate::seat::HoldSeats::best(2);
        let held = self.seats.hold(&self.person(name), wanted).await.unwrap();
        held.taken().unwrap().id
    }

    async fn order(
        &self,
        name: &str,
        hold: HoldId,
        outcome: SandboxOutcome,
    ) -> (OrderView, Confirm) {
        let order = self
            .purchases
            .initiate(&self.person(name), hold)
            .await
            .unwrap();
        let amount = Money::new(order.amount, order.currency);
        let opened = self.provider.open(&order.order_id, amount, outcome).await;
        let Ok(Opened::Payment(key)) = opened else {
            panic!("{opened:?}")
        };
        let confirm = Confirm {
            order: order.order_id,
            key,
            amount: order.amount,
        };
        (order, confirm)
    }

    /// Whether somebody's hold lives and ends by itself.
    async fn deadline(&self, name: &str, hold: HoldId) -> Option<i64> {
        let (event, user) = self.person(name);
        let held = self.seats.get(&(&event, &user), hold).await.unwrap();
        held.done().unwrap().expires_at_ms
    }
}

/// A process read that a hold is let go, and stood still. Meanwhile that was told, and the same hold bought again: to the
/// map there is nothing to say, and nobody else's hold is touched.
#[tokio::test]
async fn an_old_word_about_a_hold_that_was_bought_since_is_no_reason_to_build_the_map_anew() {
    let shop = Shop::open().await;
    let bystander = shop.hold("eve").await;
    let hold = shop.hold("ann").await;
    let (_, declined) = shop.order("ann", hold, SandboxOutcome::Decline).await;
    let user = UserId::new("ann").unwrap();
    let refused = shop.purchases.confirm(&user, &declined).await;
    assert!(
        matches!(refused, Err(PurchaseError::Declined { .. })),
        "{refused:?}"
    );
    let old = shop.store.seat_messages(0, 9).await.unwrap();
    assert_eq!(old.len(), 1);
    let shared = &shop.purchases.0.shared;
    assert_eq!(shared.tell_all().await.unwrap(), 0);
    let (_, paid) = shop.order("ann", hold, SandboxOutcome::Approve).await;
    let paid = shop.purchases.confirm(&user, &paid).await.unwrap();
    assert_eq!(paid.status, OrderState::Paid);
    assert_eq!(shared.tell_all().await.unwrap(), 0);
    // The other process wakes.
    let mut stuck = HashSet::new();
    shared.tell(&old, &mut stuck).await.unwrap();
    assert!(stuck.is_empty(), "{stuck:?}");
    assert!(shop.deadline("eve", bystander).await.is_some());
    let head = shop.seats.head(&shop.event).await.unwrap().done().unwrap();
    assert_eq!((head.counts.sold, head.counts.held), (2, 2));
}

/// A process read that seats were sold, and stood still. Meanwhile that was told, the seats were given back, and somebody else
/// holds them, on the same map or on one that was built anew: they keep them.
#[tokio::test]
async fn an_old_word_about_a_sale_that_was_given_back_takes_nobodys_hold() {
    for is_rebuilt in [false, true] {
        let shop = Shop::open().await;
        let hold = shop.hold("ann").await;
        let (_, paid) = shop.order("ann", hold, SandboxOutcome::Approve).await;
        let user = UserId::new("ann").unwrap();
        let paid = shop.purchases.confirm(&user, &paid).await.unwrap();
        let old = shop.store.seat_messages(0, 9).await.unwrap();
        assert_eq!(old.len(), 1);
        let shared = &shop.purchases.0.shared;
        assert_eq!(shared.tell_all().await.unwrap(), 0);
        let refund = shop.purchases.refund(&user, &paid.order_id, &[], "ill");
        assert_eq!(refund.await.unwrap().status, OrderState::Refunded);
        assert_eq!(shared.tell_all().await.unwrap(), 0);
        if is_rebuilt {
            assert!(shop.seats.rebuild(&shop.event).await.unwrap());
        }
        let same = crate::seat::HoldSeats::seats(paid.seats.iter().map(|seat| seat.label.as_str()));
        let held = shop.seats.hold(&shop.person("bob"), same).await.unwrap();
        let theirs = held.taken().unwrap().id;
        // The other process wakes.
        shared.tell(&old, &mut HashSet::new()).await.unwrap();
        assert!(shop.deadline("bob", theirs).await.is_some(), "{is_rebuilt}");
        let head = shop.seats.head(&shop.event).await.unwrap().done().unwrap();
        assert_eq!((head.counts.sold, head.counts.held), (0, 2), "{is_rebuilt}");
    }
}

/// A process took an order up and stood still before it kept the hold. Meanwhile its lease lapsed and the order failed.
async fn stood_still(shop: &Shop, hold: HoldId) -> OrderRecord {
    let (order, confirm) = shop.order("ann", hold, SandboxOutcome::Decline).await;
    let shared = &shop.purchases.0.shared;
    let begin = Command::Confirm {
        user: UserId::new("ann").unwrap(),
        provider: "sandbox".to_owned(),
        key: confirm.key,
        amount: order.amount,
        lease_ms: LEASE_MS,
    };
    let Changed::Done(asleep) = shared.changed(&order.order_id, &begin).await.unwrap() else {
        panic!("it may be paid");
    };
    shop.clock
        .advance(Duration::from_millis(LEASE_MS as u64 + 1));
    assert_eq!(shop.purchases.run_due().await.unwrap(), (1, true));
    let failed = shop.store.order(&order.order_id).await.unwrap().unwrap();
    assert_eq!(failed.order.state, OrderState::Failed);
    *asleep
}

#[tokio::test]
async fn who_wakes_after_its_lease_keeps_no_hold() {
    let shop = Shop::open().await;
    let hold = shop.hold("ann").await;
    let asleep = stood_still(&shop, hold).await;
    assert!(shop.deadline("ann", hold).await.is_some());
    let seen = shop.purchases.0.shared.settle(asleep).await.unwrap();
    assert_eq!(seen.order.state, OrderState::Failed);
    assert!(shop.deadline("ann", hold).await.is_some());
}

/// The lease was good when it looked, and not any more when the map heard it.
#[tokio::test]
async fn a_hold_that_was_kept_too_late_is_let_go_again() {
    let shop = Shop::open().await;
    let hold = shop.hold("ann").await;
    let mut asleep = stood_still(&shop, hold).await;
    let lease = asleep.work.lease.as_mut().unwrap();
    lease.until_ms += 10 * LEASE_MS;
    let seen = shop.purchases.0.shared.settle(asleep).await.unwrap();
    assert_eq!(seen.order.state, OrderState::Failed);
    assert!(shop.deadline("ann", hold).await.is_some());
}

/// The provider, which never answers for these payments.
#[derive(Debug)]
struct Hangs {
    sandbox: Sandbox,
    silent: Arc<Mutex<HashSet<PaymentKey>>>,
}

impl Hangs {
    async fn answers(&self, key: &PaymentKey) {
        if self.silent.lock().unwrap().contains(key) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl PaymentProvider for Hangs {
    fn name(&self) -> &'static str {
        self.sandbox.name()
    }

    async fn confirm(&self, request: &ConfirmPayment) -> Result<Payment, ProviderError> {
        self.answers(&request.key).await;
        self.sandbox.confirm(request).await
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Payment>, ProviderError> {
        self.answers(key).await;
        self.sandbox.payment(key).await
    }

    async fn payment_of(&self, order: &OrderId) -> Result<Option<Payment>, ProviderError> {
        self.sandbox.payment_of(order).await
    }

    async fn cancel(&self, request: &CancelPayment) -> Result<Payment, ProviderError> {
        self.sandbox.cancel(request).await
    }

    fn window(&self) -> Duration {
        self.sandbox.window()
    }

    fn checkout(&self) -> CheckoutInfo {
        self.sandbox.checkout()
    }
}

/// Of an order that somebody began to pay, and died: its lease has lapsed.
async fn left_behind(shop: &Shop, name: &str) -> (OrderView, PaymentKey) {
    let hold = shop.hold(name).await;
    let (order, confirm) = shop.order(name, hold, SandboxOutcome::Approve).await;
    let begin = Command::Confirm {
        user: UserId::new(name).unwrap(),
        provider: "sandbox".to_owned(),
        key: confirm.key.clone(),
        amount: order.amount,
        lease_ms: LEASE_MS,
    };
    let shared = &shop.purchases.0.shared;
    let begun = shared.changed(&order.order_id, &begin).await.unwrap();
    assert!(matches!(begun, Changed::Done(_)), "{begun:?}");
    (order, confirm.key)
}

#[tokio::test]
async fn an_order_whose_provider_is_silent_holds_up_no_other() {
    let silent: Arc<Mutex<HashSet<PaymentKey>>> = Arc::default();
    let of_provider = Arc::clone(&silent);
    let shop = Shop::with(true, |sandbox| {
        let silent = of_provider;
        Arc::new(Hangs { sandbox, silent })
    })
    .await;
    let (first, key) = left_behind(&shop, "ann").await;
    silent.lock().unwrap().insert(key);
    shop.clock
        .advance(Duration::from_millis(LEASE_MS as u64 + 1));
    let state = async |order: &OrderView| {
        let record = shop.store.order(&order.order_id).await.unwrap().unwrap();
        (record.order.state, record.work.fence)
    };
    // The worker has it, and waits.
    until(&shop, async || {
        state(&first).await == (OrderState::Confirming, 2)
    })
    .await;
    let (second, _) = left_behind(&shop, "bob").await;
    shop.clock
        .advance(Duration::from_millis(LEASE_MS as u64 / 2));
    until(&shop, async || state(&second).await.0 == OrderState::Paid).await;
    // Once it answers, the first is taken up anew.
    silent.lock().unwrap().clear();
    until(&shop, async || state(&first).await.0 == OrderState::Paid).await;
    shop.purchases.shutdown().await;
}

/// Lets the shop's clock go on until this is so.
async fn until(shop: &Shop, is_so: impl AsyncFn() -> bool) {
    for _ in 0..1_000 {
        if is_so().await {
            return;
        }
        shop.clock.advance(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen");
}
