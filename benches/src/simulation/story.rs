//! One person's story, from the first click to the gate.

use std::sync::Arc;
use std::time::Instant;

use ticketon_domain::purchase::{OrderView, PurchaseError, TicketView};
use ticketon_queue::{Clock as _, EventId, Fenced, Holder, SystemClock, UserId};

use super::diary::{Ending, Step, add};
use super::line::{self, Waited};
use super::pay::{self, Bought};
use super::person::{After, Exit, Person};
use super::shop::{self, Shopped};
use super::strangers;
use super::world::World;

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) event: EventId,
    pub(super) user: UserId,
    pub(super) fence: u64,
}

impl Holder for Visitor {
    fn event(&self) -> &EventId {
        &self.event
    }

    fn user(&self) -> &UserId {
        &self.user
    }

    fn admission_fence(&self) -> Option<u64> {
        Some(self.fence)
    }
}

/// Comes, waits, buys or does not, and goes home.
pub(super) async fn live(world: Arc<World>, number: u32) {
    let mut person = Person::of(world.plan.seed, number, world.pace.arrivals_ms);
    world.pause(person.arrives_ms).await;
    let ending = whole(&world, &mut person, number).await;
    world.diary.ended(ending);
}

async fn whole(world: &Arc<World>, person: &mut Person, number: u32) -> Ending {
    let user = UserId::new(format!("fan-{number}")).unwrap_or_else(|error| panic!("{error}"));
    let home = number as usize;
    let admitted = match line::wait(world, person, &user, home).await {
        Waited::Admitted(admitted) => admitted,
        Waited::Left => return Ending::LeftLine,
        Waited::SoldOut => return Ending::SoldOut,
        Waited::Fault => return Ending::Fault,
    };
    let visitor = Visitor {
        event: world.event().clone(),
        user,
        fence: admitted.fence,
    };
    if person.exit == Some(Exit::NoShow) {
        return Ending::NoShow;
    }
    if !claim(world, &visitor, home).await {
        return Ending::NoShow;
    }
    let ending = visit(world, person, &visitor, home).await;
    // Some say goodbye, others leave their slot to run out.
    let bought = matches!(ending, Ending::Bought | Ending::Returned);
    if !bought && person.dice.per_mille(900) {
        world.diary.still_in(visitor.fence, SystemClock.now_ms());
        leave(world, &visitor, home).await;
    }
    ending
}

async fn claim(world: &Arc<World>, visitor: &Visitor, home: usize) -> bool {
    let claimed = world.ask(home, |app| {
        let visitor = visitor.clone();
        async move {
            app.queue
                .claim(&visitor.event, &visitor.user, visitor.fence)
                .await
        }
    });
    match claimed.await {
        Some(Ok(Fenced::Done(_))) => {
            world.diary.still_in(visitor.fence, SystemClock.now_ms());
            true
        }
        _ => false,
    }
}

async fn leave(world: &Arc<World>, visitor: &Visitor, home: usize) {
    world
        .ask(home, |app| {
            let visitor = visitor.clone();
            async move {
                app.queue
                    .leave(&visitor.event, &visitor.user, Some(visitor.fence))
                    .await
                    .is_ok()
            }
        })
        .await;
}

async fn visit(world: &Arc<World>, person: &mut Person, visitor: &Visitor, home: usize) -> Ending {
    let hold = match shop::choose(world, person, visitor, home).await {
        Shopped::Held(hold) => *hold,
        Shopped::NothingFits => return Ending::NothingFits,
        Shopped::LetGo => return Ending::LetGo,
        Shopped::Fault => return Ending::Fault,
    };
    match pay::buy(world, person, visitor, &hold, home).await {
        Bought::Paid(order) => after(world, person, visitor, &order, home).await,
        Bought::GaveUp => Ending::GaveUpOrder,
        Bought::Declined => Ending::Declined,
        Bought::TooLate => Ending::TooLate,
        Bought::Fault => Ending::Fault,
    }
}

/// What becomes of the tickets.
async fn after(
    world: &Arc<World>,
    person: &mut Person,
    visitor: &Visitor,
    order: &OrderView,
    home: usize,
) -> Ending {
    let Some(first) = order.tickets.first() else {
        return Ending::Bought;
    };
    if person.dice.per_mille(100) {
        strangers::want_an_order(world, visitor, order, home).await;
    }
    match person.after {
        After::Keep => Ending::Bought,
        After::Return => {
            world.think(person.dice.between(50, 2_000)).await;
            give_back(world, visitor, order, None, home).await;
            Ending::Returned
        }
        After::ReturnOne => {
            give_back(world, visitor, order, Some(first), home).await;
            Ending::Returned
        }
        After::GoIn => {
            go_in(world, visitor, first, home).await;
            Ending::Bought
        }
        After::GoInAndReturn => {
            go_in(world, visitor, first, home).await;
            give_back(world, visitor, order, Some(first), home).await;
            Ending::Bought
        }
    }
}

async fn give_back(
    world: &Arc<World>,
    visitor: &Visitor,
    order: &OrderView,
    ticket: Option<&TicketView>,
    home: usize,
) {
    let began = Instant::now();
    let tickets: Vec<_> = ticket.iter().map(|ticket| ticket.ticket_id).collect();
    for _ in 0..20 {
        let given = world.ask(home, |app| {
            let (user, order, tickets) = (visitor.user.clone(), order.order_id, tickets.clone());
            async move {
                app.purchases
                    .refund(&user, &order, &tickets, "cannot come")
                    .await
            }
        });
        match given.await {
            Some(Err(PurchaseError::Store(_) | PurchaseError::Running { .. })) => {
                world.pause(50).await;
            }
            _ => break,
        }
    }
    world.diary.took(Step::Refund, began);
}

/// Shows the code at the gate, twice: the second time somebody else with a copy of it.
async fn go_in(world: &Arc<World>, visitor: &Visitor, ticket: &TicketView, home: usize) {
    let began = Instant::now();
    let code = world.ask(home, |app| {
        let (user, ticket) = (visitor.user.clone(), ticket.ticket_id);
        async move { app.purchases.ticket_code(&user, &ticket).await.ok() }
    });
    let Some(Some(code)) = code.await else {
        return;
    };
    let gate = |process: usize| {
        let code = code.clone();
        world
            .process(process)
            .ask(move |app| async move { app.purchases.verify(&code, None, true).await })
    };
    let (one, other) = tokio::join!(gate(home), gate(home + 1));
    world.diary.took(Step::Gate, began);
    match (one, other) {
        (Ok(Ok(_)), Ok(Ok(_))) => add(&world.diary.counters.entered_twice),
        (Ok(Ok(_)), _) | (_, Ok(Ok(_))) => add(&world.diary.counters.entered),
        _ => {}
    }
}
