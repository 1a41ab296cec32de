//! One life of a shop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use ticketon_domain::purchase::{
    Confirm, OrderId, OrderState, OrderView, PaymentKey, PurchaseError, TicketCode,
};
use ticketon_domain::seat::{HoldId, HoldSeats, Mapped, SeatSync};
use ticketon_queue::UserId;

use super::Met;
use super::fault::Op;
use super::shop::{Process, SEATS, Shop, seat};
use super::step::{Deed, Step};
use super::witness;

/// How often the clock moves until all is decided, at the most.
const MOVES: u32 = 400;

/// What a buyer was told of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// Its tickets are good.
    Paid,
    /// It was not paid, and why.
    Declined(String),
}

/// What people know.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) holds: Vec<(UserId, HoldId)>,
    pub(super) orders: Vec<Ordered>,
    pub(super) told: Vec<(OrderId, PaymentKey, Told)>,
    met: Met,
}

#[derive(Debug, Clone)]
pub(super) struct Ordered {
    user: UserId,
    view: OrderView,
    payments: Vec<PaymentKey>,
}

pub(super) struct Life {
    pub(super) shop: Arc<Shop>,
    pub(super) known: Arc<Mutex<Known>>,
    running: FuturesUnordered<BoxFuture<'static, ()>>,
    /// The map lost something that it had acknowledged.
    forgot: bool,
}

impl Life {
    pub(super) fn new(shop: Shop) -> Self {
        Self {
            shop: Arc::new(shop),
            known: Arc::default(),
            running: FuturesUnordered::new(),
            forgot: false,
        }
    }

    pub(super) fn met(&self) -> Met {
        locked(&self.known).met
    }

    /// Takes a step, and lets what runs go on until it is done or waits for the clock.
    pub(super) async fn take(&mut self, step: &Step) {
        let shop = Arc::clone(&self.shop);
        match step {
            Step::Do(process, deed, fault, together) => {
                let fault = fault.map(|(at, fault)| (usize::from(at), fault));
                let op = Op::new(&shop.clock, fault);
                let work = self.deed(*process, deed.clone());
                let known = Arc::clone(&self.known);
                self.running.push(Box::pin(async move {
                    let done = Arc::clone(&op).run(work).await;
                    let met = &mut locked(&known).met;
                    met.faults += u64::from(op.met());
                    met.deaths += u64::from(done.is_none());
                }));
                if *together {
                    return;
                }
            }
            Step::Sweep => drop(shop.maps.sweep(&shop.event).await),
            Step::Flush => (shop.flush)().await,
            Step::Rebuild(process) => {
                let seats = &shop.processes[usize::from(*process)].seats;
                drop(seats.rebuild(&shop.event).await);
            }
            Step::Forget(order) => self.forget(*order).await,
            Step::Wait(ms) => {
                let by = Duration::from_millis(u64::try_from(*ms).unwrap_or(0));
                shop.clock.manual().advance(by);
            }
        }
        self.drive().await;
    }

    /// Until nothing runs but what waits for the clock.
    async fn drive(&mut self) {
        let mut waiting = self.shop.clock.waiting();
        // Whom the clock has just woken has not noticed yet.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        loop {
            let running = self.running.len();
            if running == 0 {
                return;
            }
            tokio::select! {
                biased;
                _ = self.running.next() => {}
                _ = waiting.wait_for(|waiting| *waiting >= running) => return,
            }
        }
    }

    /// The seats of an order, or of a hold, become free in the map behind everybody's back.
    async fn forget(&mut self, order: u8) {
        let shop = &self.shop;
        let Some(order) = pick(&locked(&self.known).orders, order).cloned() else {
            return;
        };
        let Ok(Some(record)) = shop.books.order(&order.view.order_id).await else {
            return;
        };
        let Ok(Mapped::Ready(head)) = shop.maps.head(&shop.event).await else {
            return;
        };
        let Ok(layout) = shop.processes[0].seats.layout(&shop.event).await else {
            return;
        };
        let seats = record.order.seats();
        let lost = SeatSync::Released {
            user: record.user.clone(),
            fence: record.order.fence,
            seats: seats
                .iter()
                .filter_map(|seat| layout.index_of(seat))
                .collect(),
        };
        drop(shop.maps.sync(&shop.event, head.epoch, &[lost]).await);
        self.forgot = true;
    }

    /// What somebody does.
    fn deed(&self, process: u8, deed: Deed) -> BoxFuture<'static, ()> {
        let shop = Arc::clone(&self.shop);
        let known = Arc::clone(&self.known);
        Box::pin(async move {
            let process = &shop.processes[usize::from(process)];
            Doing {
                shop: &shop,
                process,
                known: &known,
            }
            .deed(deed)
            .await;
        })
    }

    /// Lets time pass until all is decided, and says what is not as it was promised.
    pub(super) async fn end(&mut self) -> Result<(), String> {
        let shop = Arc::clone(&self.shop);
        let mut quiet = false;
        for _ in 0..MOVES {
            self.drive().await;
            // What ends from here on may leave something for the next round.
            let rests = self.running.is_empty();
            if !matches!(shop.maps.head(&shop.event).await, Ok(Mapped::Ready(_))) {
                let rebuilt = shop.processes[0].seats.rebuild(&shop.event).await;
                rebuilt.map_err(|error| format!("the map cannot be built: {error}"))?;
            }
            let mut heard = true;
            for process in &shop.processes {
                let (_, all) = process
                    .purchases
                    .run_due()
                    .await
                    .map_err(|error| format!("what is due is not done: {error}"))?;
                heard &= all;
            }
            self.drive().await;
            let due = shop.books.due(i64::MAX, 1).await;
            let due = due.map_err(|error| error.to_string())?;
            if rests && due.is_empty() && heard {
                quiet = true;
                break;
            }
            shop.clock.manual().advance(Duration::from_secs(31));
            drop(shop.maps.sweep(&shop.event).await);
            self.drive().await;
        }
        if !quiet {
            let due = shop.books.due(i64::MAX, 100).await;
            return Err(format!("something stays open for ever: {due:?}"));
        }
        if self.forgot {
            let rebuilt = shop.processes[0].seats.rebuild(&shop.event).await;
            rebuilt.map_err(|error| format!("the map cannot be built: {error}"))?;
        }
        let users: Vec<UserId> = (0..4).map(user).collect();
        let orders = witness::check(&shop, &users).await?;
        let known = locked(&self.known);
        witness::check_told(&orders, &known.told)?;
        drop(known);
        let met = &mut locked(&self.known).met;
        for record in &orders {
            match record.order.state {
                OrderState::Paid => met.paid += 1,
                OrderState::Failed => met.failed += 1,
                OrderState::PartiallyRefunded | OrderState::Refunded => met.refunded += 1,
                _ => {}
            }
            met.late += u64::from(
                record.order.failure.is_some() && record.order.state == OrderState::Refunded,
            );
            met.taken_over += u64::from(record.work.fence > 2);
        }
        Ok(())
    }
}

/// A process in which somebody does something.
struct Doing<'a> {
    shop: &'a Shop,
    process: &'a Process,
    known: &'a Mutex<Known>,
}

impl Doing<'_> {
    async fn deed(&self, deed: Deed) {
        match deed {
            Deed::Hold(who, first, count) => self.hold(who, first, count).await,
            Deed::Initiate(hold) => self.initiate(hold).await,
            Deed::Pay(order, outcome) => {
                let Some(order) = self.order(order) else {
                    return;
                };
                let amount = order.view.amount;
                let key = self
                    .shop
                    .bank
                    .pay(&order.view.order_id, amount, outcome)
                    .await;
                let Some(key) = key else { return };
                self.remember(&order, &key);
                self.confirm(&order, &key, amount).await;
            }
            Deed::Again(order, payment) => {
                let Some(order) = self.order(order) else {
                    return;
                };
                if let Some(key) = pick(&order.payments, payment) {
                    self.confirm(&order, key, order.view.amount).await;
                }
            }
            Deed::Cheat(order, other) => {
                let (Some(order), Some(other)) = (self.order(order), self.order(other)) else {
                    return;
                };
                if let Some(key) = other.payments.first() {
                    let less = u64::from(order.view.order_id == other.view.order_id);
                    self.confirm(&order, key, order.view.amount - less.min(order.view.amount))
                        .await;
                }
            }
            Deed::Cancel(order) => {
                let Some(order) = self.order(order) else {
                    return;
                };
                drop(
                    self.process
                        .purchases
                        .cancel(&order.user, &order.view.order_id)
                        .await,
                );
            }
            Deed::Refund(order, mask, operator) => self.refund(order, mask, operator).await,
            Deed::CheckIn(order, ticket) => self.check_in(order, ticket).await,
            Deed::Retry(order) => {
                let Some(order) = self.order(order) else {
                    return;
                };
                drop(self.process.purchases.retry(&order.view.order_id).await);
            }
            Deed::Hint(order) => {
                let Some(order) = self.order(order) else {
                    return;
                };
                let (key, id) = (order.payments.last(), Some(&order.view.order_id));
                drop(self.process.purchases.hint(key, id).await);
            }
            Deed::Work => drop(self.process.purchases.run_due().await),
        }
    }

    fn order(&self, number: u8) -> Option<Ordered> {
        pick(&locked(self.known).orders, number).cloned()
    }

    fn remember(&self, order: &Ordered, key: &PaymentKey) {
        let mut known = locked(self.known);
        let of = |one: &&mut Ordered| one.view.order_id == order.view.order_id;
        if let Some(order) = known.orders.iter_mut().find(of) {
            order.payments.push(key.clone());
        }
    }

    async fn hold(&self, who: u8, first: u8, count: u8) {
        let holder = (self.shop.event.clone(), user(who));
        let labels = (first..first + count).map(|number| seat(number % SEATS));
        let held = self
            .process
            .seats
            .hold(&holder, HoldSeats::seats(labels))
            .await;
        if let Ok(held) = held
            && let Ok(hold) = held.taken()
        {
            locked(self.known).holds.push((holder.1, hold.id));
        }
    }

    async fn initiate(&self, hold: u8) {
        let Some((user, hold)) = pick(&locked(self.known).holds, hold).cloned() else {
            return;
        };
        let holder = (self.shop.event.clone(), user.clone());
        let made = self.process.purchases.initiate(&holder, hold).await;
        let mut known = locked(self.known);
        if let Ok(view) = made
            && known
                .orders
                .iter()
                .all(|one| one.view.order_id != view.order_id)
        {
            let payments = Vec::new();
            known.orders.push(Ordered {
                user,
                view,
                payments,
            });
            known.met.orders += 1;
        }
    }

    async fn confirm(&self, order: &Ordered, key: &PaymentKey, amount: u64) {
        let id = order.view.order_id;
        let confirm = Confirm {
            order: id,
            key: key.clone(),
            amount,
        };
        let answer = self.process.purchases.confirm(&order.user, &confirm).await;
        let told = match answer {
            Ok(view) if view.status == OrderState::Confirming => return,
            Ok(_) => Told::Paid,
            Err(PurchaseError::Declined { code, .. }) => Told::Declined(code),
            Err(_) => return,
        };
        locked(self.known).told.push((id, key.clone(), told));
    }

    async fn refund(&self, order: u8, mask: u8, operator: bool) {
        let Some(order) = self.order(order) else {
            return;
        };
        let purchases = &self.process.purchases;
        let id = order.view.order_id;
        let Ok(view) = purchases.get(&order.user, &id).await else {
            return;
        };
        let wanted = view.tickets.iter().enumerate();
        let wanted = wanted.filter(|(at, _)| mask >> (at % 3) & 1 == 1);
        let tickets: Vec<_> = wanted.map(|(_, ticket)| ticket.ticket_id).collect();
        if operator {
            drop(
                purchases
                    .refund_for(&id, &tickets, "the show changed")
                    .await,
            );
        } else {
            drop(purchases.refund(&order.user, &id, &tickets, "ill").await);
        }
    }

    async fn check_in(&self, order: u8, ticket: u8) {
        let Some(order) = self.order(order) else {
            return;
        };
        let purchases = &self.process.purchases;
        let id = order.view.order_id;
        let Ok(view) = purchases.get(&order.user, &id).await else {
            return;
        };
        let Some(ticket) = pick(&view.tickets, ticket) else {
            return;
        };
        let code = purchases.ticket_keys().sign(&TicketCode {
            ticket: ticket.ticket_id,
            order: id,
            event: self.shop.event.clone(),
            seat: ticket.seat.clone(),
        });
        if purchases.verify(&code, None, true).await.is_ok() {
            locked(self.known).met.used += 1;
        }
    }
}

pub(super) fn user(number: u8) -> UserId {
    UserId::new(["ann", "ben", "cho", "dan"][usize::from(number % 4)]).expect("a good id")
}

/// The one of this number, counted from the newest, around and around.
fn pick<T>(all: &[T], number: u8) -> Option<&T> {
    let back = usize::from(number).checked_rem(all.len())?;
    all.get(all.len() - 1 - back)
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
