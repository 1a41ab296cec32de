//! From a hold to paid tickets, as impatient and unlucky as people are.

use std::sync::Arc;
use std::time::Instant;

use ticketon_domain::adapter::sandbox::SandboxOutcome;
use ticketon_domain::purchase::{OrderState, OrderView, PaymentKey, PurchaseError};
use ticketon_domain::seat::{Refusal, SeatHold, SeatsError};
use ticketon_queue::{Clock as _, SystemClock};

use super::answer::Confirmation;
use super::diary::{Answered, Step, add};
use super::person::{Exit, Habit, Person};
use super::shop;
use super::story::Visitor;
use super::world::World;

/// What came of it.
#[derive(Debug)]
pub(super) enum Bought {
    Paid(Box<OrderView>),
    GaveUp,
    Declined,
    TooLate,
    Fault,
}

/// How often an answer that is not final is asked for again.
const TRIES: u32 = 200;

pub(super) async fn buy(
    world: &Arc<World>,
    person: &mut Person,
    visitor: &Visitor,
    hold: &SeatHold,
    home: usize,
) -> Bought {
    let thinking = match person.habit {
        Habit::Hesitant => person.dice.between(300, 1_500),
        _ => person.dice.between(20, 200),
    };
    world.think(thinking).await;
    for attempt in 0..2 {
        let order = match initiate(world, person, visitor, hold, home).await {
            Ok(order) => order,
            Err(paid) => return paid,
        };
        match person.exit {
            Some(Exit::Order) => {
                world.think(person.dice.between(50, 300)).await;
                cancel(world, visitor, &order, home).await;
                return Bought::GaveUp;
            }
            Some(Exit::OrderLapses) => {
                add(&world.diary.counters.ran_out);
                return Bought::GaveUp;
            }
            _ => {}
        }
        // On the provider's page.
        let outcome = if attempt == 0 {
            person.outcome
        } else {
            SandboxOutcome::Approve
        };
        world.think(person.dice.between(40, 400)).await;
        let Some(payment) = world
            .house
            .provider
            .open(&order.order_id, order.amount, outcome)
            .await
        else {
            return Bought::Fault;
        };
        world.diary.payment(order.order_id, payment.clone());
        shop::still_held(world, hold);
        match confirm(world, person, visitor, &order, &payment, home).await {
            Bought::Declined if person.persistent && attempt == 0 => {
                add(&world.diary.counters.declined);
            }
            Bought::Declined => {
                add(&world.diary.counters.declined);
                return Bought::Declined;
            }
            paid => return paid,
        }
    }
    Bought::Declined
}

async fn initiate(
    world: &Arc<World>,
    person: &Person,
    visitor: &Visitor,
    hold: &SeatHold,
    home: usize,
) -> Result<OrderView, Bought> {
    let ask = |home: usize| {
        world.ask(home, |app| {
            let (visitor, hold) = (visitor.clone(), hold.id);
            async move { app.purchases.initiate(&visitor, hold).await }
        })
    };
    let began = Instant::now();
    for _ in 0..TRIES {
        let answer = if matches!(person.habit, Habit::Retrying | Habit::TwoTabs) {
            let (one, other) = tokio::join!(ask(home), ask(home + 1));
            if let (Some(Ok(one)), Some(Ok(other))) = (&one, &other)
                && one.order_id != other.order_id
                && both_live(world, visitor, [one, other], home).await
            {
                add(&world.diary.counters.two_orders);
            }
            if matches!(one, Some(Ok(_))) {
                one
            } else {
                other
            }
        } else {
            ask(home).await
        };
        match answer {
            Some(Ok(order)) => {
                world.diary.took(Step::Initiate, began);
                return Ok(order);
            }
            Some(Err(
                PurchaseError::Store(_)
                | PurchaseError::Seats(SeatsError::Store(_))
                | PurchaseError::Hold(Refusal::NotReady { .. } | Refusal::Pinned),
            ))
            | None => world.pause(50).await,
            Some(Err(_)) => return Err(Bought::TooLate),
        }
    }
    Err(Bought::Fault)
}

/// Whether two orders of one hold could both be paid. A hold may have a second order once the first has ended.
async fn both_live(
    world: &Arc<World>,
    visitor: &Visitor,
    orders: [&OrderView; 2],
    home: usize,
) -> bool {
    for order in orders {
        let view = settled(world, visitor, order, home).await;
        if view.is_none_or(|view| !view.status.claims_hold()) {
            return false;
        }
    }
    true
}

async fn cancel(world: &Arc<World>, visitor: &Visitor, order: &OrderView, home: usize) {
    world
        .ask(home, |app| {
            let (user, order) = (visitor.user.clone(), order.order_id);
            async move { app.purchases.cancel(&user, &order).await.is_ok() }
        })
        .await;
}

async fn confirm(
    world: &Arc<World>,
    person: &mut Person,
    visitor: &Visitor,
    order: &OrderView,
    payment: &PaymentKey,
    home: usize,
) -> Bought {
    let confirmation = Confirmation {
        user: visitor.user.clone(),
        order: order.order_id,
        payment: payment.clone(),
        amount: order.amount,
        key: format!("pay-{payment}"),
    };
    if person.haggles {
        let cheaper = Confirmation {
            amount: order.amount - 1,
            key: format!("cheap-{payment}"),
            ..confirmation.clone()
        };
        if let Some(answer) = send(world, &cheaper, home).await {
            let taken = answer.status < 300;
            add(if taken {
                &world.diary.counters.haggled_taken
            } else {
                &world.diary.counters.haggled
            });
        }
    }
    let began = Instant::now();
    let mut answers = Vec::new();
    if person.habit == Habit::TwoTabs {
        // The other tab pays at the same moment, under a key of its own.
        let other = Confirmation {
            key: format!("tab-{payment}"),
            ..confirmation.clone()
        };
        let (one, _) = tokio::join!(
            until_final(world, &confirmation, home),
            until_final(world, &other, home + 1)
        );
        answers.extend(one);
    } else {
        answers.extend(until_final(world, &confirmation, home).await);
    }
    if person.habit == Habit::Retrying && answers.last().is_some_and(Answered::is_final) {
        // Again on the other process, and once with another amount under the same key.
        answers.extend(send(world, &confirmation, home + 1).await);
        let other = Confirmation {
            amount: order.amount + 1,
            ..confirmation.clone()
        };
        answers.extend(send(world, &other, home).await);
        let finals: Vec<Answered> = answers
            .iter()
            .filter(|answer| answer.is_final())
            .cloned()
            .collect();
        world.diary.answers(&finals);
    }
    let Some(first) = answers.first() else {
        return Bought::Fault;
    };
    let settled = settled(world, visitor, order, home).await;
    world.diary.took(Step::Confirm, began);
    match (first.status, settled) {
        (_, Some(view)) if matches!(view.status, OrderState::Paid) => {
            world.diary.told_paid(view.order_id);
            world.diary.still_in(visitor.fence, order_paid_at(&view));
            Bought::Paid(Box::new(view))
        }
        (402, _) => Bought::Declined,
        (400..=499, _) => Bought::TooLate,
        (_, Some(view)) if view.status == OrderState::Failed => Bought::TooLate,
        _ => Bought::Fault,
    }
}

/// The buyer was surely in until the provider charged; the admission is completed right after.
fn order_paid_at(view: &OrderView) -> i64 {
    let approved = view
        .payment
        .as_ref()
        .and_then(|payment| payment.approved_at.as_deref());
    approved
        .and_then(ticketon_queue::clock::parse_rfc3339)
        .unwrap_or_else(|| SystemClock.now_ms())
}

/// Looks at the order until it is decided.
async fn settled(
    world: &Arc<World>,
    visitor: &Visitor,
    order: &OrderView,
    home: usize,
) -> Option<OrderView> {
    for _ in 0..TRIES {
        let view = world.ask(home, |app| {
            let (user, order) = (visitor.user.clone(), order.order_id);
            async move { app.purchases.get(&user, &order).await.ok() }
        });
        match view.await {
            Some(Some(view)) if view.status != OrderState::Confirming => return Some(view),
            _ => world.pause(100).await,
        }
    }
    None
}

/// Sends until the answer is final, under the same key, wherever somebody answers.
async fn until_final(
    world: &Arc<World>,
    confirmation: &Confirmation,
    home: usize,
) -> Option<Answered> {
    let mut last = None;
    for attempt in 0..TRIES {
        if let Some(answer) = send(world, confirmation, home + attempt as usize).await {
            let done = answer.is_final() || answer.status == 202;
            last = Some(answer);
            if done {
                break;
            }
        }
        world.pause(100).await;
    }
    last
}

async fn send(world: &Arc<World>, confirmation: &Confirmation, home: usize) -> Option<Answered> {
    world
        .ask(home, |app| {
            let confirmation = confirmation.clone();
            async move { confirmation.send(&app.http).await }
        })
        .await
}
