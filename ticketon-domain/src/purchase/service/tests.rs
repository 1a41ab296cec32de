//! Who stood still in between, and a provider that is silent, slow, busy or another shop's: who works on an order then, and
//! what counts.

#![cfg(feature = "sqlite")]

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ticketon_queue::{Clock as _, EventId, ManualClock, UserId};

use super::Purchases;
use crate::adapter::memory::MemorySeatStore;
use crate::adapter::sandbox::{Opened, Sandbox, SandboxOutcome};
use crate::adapter::sql::SqlStore;
use crate::event::{Event, EventStatus, Money};
use crate::purchase::command::Refused;
use crate::purchase::work::ATTEMPTS_BEFORE_ATTENTION;
use crate::purchase::{
    CancelPayment, Changed, CheckoutInfo, Command, Confirm, ConfirmPayment, OrderId, OrderRecord,
    OrderState, OrderView, Payment, PaymentKey, PaymentProvider, ProviderError, PurchaseError,
    PurchaseStore as _,
};
use crate::seat::{HoldId, Seats};
use crate::venue::sample;

const START_MS: i64 = 1_900_000_000_000;
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
        Self::at(ManualClock::at(START_MS), false, |sandbox| {
            Arc::new(sandbox)
        })
        .await
    }

    async fn record(&self, order: &OrderView) -> OrderRecord {
        self.store.order(&order.order_id).await.unwrap().unwrap()
    }

    async fn take_up(&self, order: &OrderView) -> Changed {
        let take_up = Command::TakeUp { lease_ms: LEASE_MS };
        let shared = &self.purchases.0.shared;
        shared.changed(&order.order_id, &take_up).await.unwrap()
    }

    async fn at(
        clock: ManualClock,
        recover: bool,
        before: impl FnOnce(Sandbox) -> Arc<dyn PaymentProvider>,
    ) -> Self {
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

/// What a payment's calls meet.
#[derive(Debug, Clone, Copy)]
enum Met {
    /// No answer, ever.
    Silence,
    /// The provider has no time before this has passed.
    Busy(Duration),
    /// So long a wait, in which nothing is charged; a look then shows what the payment is.
    Slow(Duration),
    /// The provider of another shop, which knows none of these payments.
    Unheard,
}

/// What payments meet at the provider.
#[derive(Debug, Default)]
struct Meetings {
    met: Mutex<HashMap<PaymentKey, Met>>,
    /// How many calls met something.
    asked: AtomicU32,
}

impl Meetings {
    fn put(&self, key: PaymentKey, met: Met) {
        self.met.lock().unwrap().insert(key, met);
    }

    fn clear(&self) {
        self.met.lock().unwrap().clear();
    }

    fn of(&self, key: &PaymentKey) -> Option<Met> {
        self.met.lock().unwrap().get(key).copied()
    }
}

/// The provider, and what payments meet there.
#[derive(Debug)]
struct Odd {
    sandbox: Sandbox,
    clock: ManualClock,
    meetings: Arc<Meetings>,
}

impl Odd {
    async fn meet(&self, key: &PaymentKey) -> Result<(), ProviderError> {
        let met = self.meetings.of(key);
        if met.is_some() {
            self.meetings.asked.fetch_add(1, Ordering::SeqCst);
        }
        match met {
            None | Some(Met::Unheard) => Ok(()),
            Some(Met::Slow(wait)) => {
                self.clock.sleep(wait).await;
                Ok(())
            }
            Some(Met::Silence) => std::future::pending().await,
            Some(Met::Busy(retry_after)) => Err(ProviderError::Unknown {
                code: "TOO_MANY_REQUESTS".to_owned(),
                message: "later".to_owned(),
                retry_after: Some(retry_after),
                kept: false,
            }),
        }
    }
}

#[async_trait]
impl PaymentProvider for Odd {
    fn name(&self) -> &'static str {
        self.sandbox.name()
    }

    async fn confirm(&self, request: &ConfirmPayment) -> Result<Payment, ProviderError> {
        self.meet(&request.key).await?;
        match self.meetings.of(&request.key) {
            Some(Met::Unheard) => Err(ProviderError::Refused {
                code: "NOT_FOUND_PAYMENT".to_owned(),
                message: "no such payment".to_owned(),
            }),
            Some(Met::Slow(_)) => Err(ProviderError::Unknown {
                code: "TIMED_OUT".to_owned(),
                message: "no answer in time".to_owned(),
                retry_after: None,
                kept: false,
            }),
            _ => self.sandbox.confirm(request).await,
        }
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Payment>, ProviderError> {
        self.meet(key).await?;
        match self.meetings.of(key) {
            Some(Met::Unheard) => Ok(None),
            _ => self.sandbox.payment(key).await,
        }
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

/// A shop before whose provider payments meet what is put there.
async fn with_odd_provider(recover: bool) -> (Shop, Arc<Meetings>) {
    let (clock, meetings) = (ManualClock::at(START_MS), Arc::<Meetings>::default());
    let odd = |sandbox| -> Arc<dyn PaymentProvider> {
        let (clock, meetings) = (clock.clone(), Arc::clone(&meetings));
        Arc::new(Odd {
            sandbox,
            clock,
            meetings,
        })
    };
    (Shop::at(clock.clone(), recover, odd).await, meetings)
}

#[tokio::test]
async fn an_order_whose_provider_is_silent_holds_up_no_other() {
    let (shop, met) = with_odd_provider(true).await;
    let (first, key) = left_behind(&shop, "ann").await;
    met.put(key, Met::Silence);
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
    met.clear();
    until(&shop, async || state(&first).await.0 == OrderState::Paid).await;
    shop.purchases.shutdown().await;
}

#[tokio::test]
async fn a_provider_that_says_when_is_not_asked_before() {
    let (shop, met) = with_odd_provider(false).await;
    let (order, key) = left_behind(&shop, "ann").await;
    met.put(key, Met::Busy(Duration::from_secs(90)));
    shop.clock
        .advance(Duration::from_millis(LEASE_MS as u64 + 1));
    let begun_ms = shop.purchases.0.shared.now_ms();
    shop.purchases.run_due().await.unwrap();
    let record = shop.store.order(&order.order_id).await.unwrap().unwrap();
    assert_eq!(record.order.state, OrderState::Confirming);
    let next_ms = record.work.next_ms.unwrap();
    assert!(next_ms >= begun_ms + 90_000, "{} ms", next_ms - begun_ms);
}

/// Two calls of the provider, each nearly as long as a lease: nobody takes the order away in between, and what they show
/// counts.
#[tokio::test]
async fn each_call_of_the_provider_has_a_lease() {
    let (shop, met) = with_odd_provider(false).await;
    let (order, key) = left_behind(&shop, "ann").await;
    shop.clock
        .advance(Duration::from_millis(LEASE_MS as u64 + 1));
    // It was charged, and the answer was lost.
    let charge = ConfirmPayment {
        key: key.clone(),
        order: order.order_id,
        amount: Money::new(order.amount, order.currency),
        idempotency_key: "before".to_owned(),
    };
    shop.provider.confirm(&charge).await.unwrap();
    met.put(key, Met::Slow(Duration::from_secs(50)));
    let began_ms = shop.clock.now_ms();
    let somebody_else = async {
        until(&shop, async || {
            shop.clock.now_ms() > began_ms + LEASE_MS + 10_000
        })
        .await;
        let taken = shop.take_up(&order).await;
        assert!(
            matches!(taken, Changed::Refused(Refused::NotDue, _)),
            "{taken:?}"
        );
        until(&shop, async || {
            shop.record(&order).await.order.state == OrderState::Paid
        })
        .await;
    };
    let (done, ()) = tokio::join!(shop.purchases.run_due(), somebody_else);
    assert_eq!(done.unwrap(), (1, true));
    assert_eq!(shop.record(&order).await.work.fence, 2, "one attempt");
}

/// Whoever takes an order up and dies, or is too slow, again and again: somebody hears of it, and it goes on.
#[tokio::test]
async fn attempts_that_never_end_are_counted() {
    let (shop, _) = with_odd_provider(false).await;
    let (order, _) = left_behind(&shop, "ann").await;
    for number in 1..=ATTEMPTS_BEFORE_ATTENTION {
        let attention = shop.record(&order).await.work.attention;
        assert_eq!(attention, None, "before attempt {number}");
        shop.clock
            .advance(Duration::from_millis(LEASE_MS as u64 + 1));
        let taken = shop.take_up(&order).await;
        assert!(matches!(taken, Changed::Done(_)), "{taken:?}");
    }
    let attention = shop.record(&order).await.work.attention.unwrap();
    assert_eq!(attention.code, "brokenOff");
    shop.clock
        .advance(Duration::from_millis(LEASE_MS as u64 + 1));
    shop.purchases.run_due().await.unwrap();
    let paid = shop.record(&order).await;
    assert_eq!(paid.order.state, OrderState::Paid);
    assert_eq!((paid.work.attention, paid.work.broken_off), (None, 0));
}

/// Perhaps it was charged, and then the service is started with the keys of another shop, where nobody knows the payment.
#[tokio::test]
async fn a_payment_that_its_provider_does_not_know_is_not_forgotten() {
    let (shop, met) = with_odd_provider(false).await;
    let (order, key) = left_behind(&shop, "ann").await;
    met.put(key, Met::Unheard);
    shop.clock
        .advance(Duration::from_millis(LEASE_MS as u64 + 1));
    shop.purchases.run_due().await.unwrap();
    let first = shop.record(&order).await;
    assert_eq!(first.order.state, OrderState::Confirming, "not at once");
    let work = async || {
        shop.clock.advance(Duration::from_secs(20));
        shop.purchases.run_due().await.unwrap();
        shop.record(&order).await
    };
    let mut seen = first;
    while seen.order.state == OrderState::Confirming {
        seen = work().await;
    }
    assert_eq!(seen.order.failure.unwrap().code, "unknownPayment");
    assert_eq!(seen.work.attention, None, "its window is open");
    shop.clock.advance(shop.provider.window());
    let seen = work().await;
    let attention = seen.work.attention.unwrap();
    assert_eq!(attention.code, "unknownPayment");
    // Looked at anew it is as before, until somebody has settled it.
    let seen = shop.purchases.retry(&order.order_id).await.unwrap();
    assert_eq!(seen.attention.unwrap().code, "unknownPayment");
    let seen = shop.purchases.settle(&order.order_id).await.unwrap();
    assert_eq!(seen.attention, None);
    assert_eq!(work().await.work.attention, None);
}

/// The order changes between what the provider says and what is made of it: whoever gave the hint gives it again.
#[tokio::test]
async fn a_hint_that_was_overtaken_is_to_be_said_again() {
    let (shop, met) = with_odd_provider(false).await;
    let hold = shop.hold("ann").await;
    let (order, confirm) = shop.order("ann", hold, SandboxOutcome::Approve).await;
    let user = UserId::new("ann").unwrap();
    let paid = shop.purchases.confirm(&user, &confirm).await.unwrap();
    let slow = Met::Slow(Duration::from_secs(2));
    met.put(confirm.key.clone(), slow);
    let hinted = shop.purchases.hint(Some(&confirm.key), None);
    let meanwhile = async {
        while met.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let check_in = Command::CheckIn {
            ticket: paid.tickets[0].ticket_id,
            request: None,
        };
        let shared = &shop.purchases.0.shared;
        shared.changed(&order.order_id, &check_in).await.unwrap();
        shop.clock.advance(Duration::from_secs(3));
    };
    let (hinted, ()) = tokio::join!(hinted, meanwhile);
    assert!(
        matches!(hinted, Err(PurchaseError::Running { .. })),
        "{hinted:?}"
    );
}

/// Lets the shop's clock go on until this is so.
async fn until(shop: &Shop, is_so: impl AsyncFn() -> bool) {
    for _ in 0..1_000 {
        if is_so().await {
            return;
        }
        shop.clock.advance(Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen");
}
