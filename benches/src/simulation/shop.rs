//! Choosing seats: the best ones, some on the map, or a place to stand.

use std::sync::Arc;
use std::time::Instant;

use ticketon_domain::seat::{HoldSeats, Outcome, Refusal, SeatHold, SeatState, SeatsError};
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::{Clock as _, SystemClock};

use super::diary::{Step, add};
use super::person::{Exit, Habit, Person, Wish};
use super::story::Visitor;
use super::strangers;
use super::world::World;

/// What came of choosing.
#[derive(Debug)]
pub(super) enum Shopped {
    Held(Box<SeatHold>),
    NothingFits,
    LetGo,
    Fault,
}

/// How often somebody tries, whatever the reason.
const TRIES: u32 = 120;
/// How often somebody picks seats that others were faster to take, before they take what is best.
const PICKS: u32 = 4;

pub(super) async fn choose(
    world: &Arc<World>,
    person: &mut Person,
    visitor: &Visitor,
    home: usize,
) -> Shopped {
    world.think(person.dice.between(20, 250)).await;
    let mut shopped = take(world, person, visitor, home, 0).await;
    if person.habit == Habit::Hesitant && person.dice.per_mille(400) {
        // Another row, perhaps.
        if let Shopped::Held(hold) = &shopped {
            world.think(person.dice.between(100, 800)).await;
            give_back(world, visitor, hold, home).await;
            shopped = take(world, person, visitor, home, 1).await;
        }
    }
    if let Shopped::Held(hold) = &shopped
        && person.dice.per_mille(100)
    {
        strangers::want_a_hold(world, visitor, hold, home).await;
        strangers::come_to_the_door(world, visitor, hold, home).await;
    }
    match (&shopped, person.exit) {
        (Shopped::Held(hold), Some(Exit::Hold)) => {
            // Nobody touches it: it is theirs until it ends.
            if let Some(ends_ms) = hold.expires_at_ms {
                world.diary.still_held(hold, ends_ms);
            }
            add(&world.diary.counters.ran_out);
            Shopped::LetGo
        }
        (Shopped::Held(hold), Some(Exit::HoldBack)) => {
            world.think(person.dice.between(50, 500)).await;
            give_back(world, visitor, hold, home).await;
            Shopped::LetGo
        }
        _ => shopped,
    }
}

/// They surely have a hold now, unless its time is over.
pub(super) fn still_held(world: &World, hold: &SeatHold) {
    let now_ms = SystemClock.now_ms();
    let ends_ms = hold.expires_at_ms.unwrap_or(now_ms);
    world.diary.still_held(hold, now_ms.min(ends_ms));
}

async fn give_back(world: &Arc<World>, visitor: &Visitor, hold: &SeatHold, home: usize) {
    still_held(world, hold);
    world
        .ask(home, |app| {
            let (visitor, hold) = (visitor.clone(), hold.id);
            async move { app.seats.release(&visitor, hold).await.is_ok() }
        })
        .await;
}

async fn take(
    world: &Arc<World>,
    person: &mut Person,
    visitor: &Visitor,
    home: usize,
    visit: u32,
) -> Shopped {
    let mut wish = person.wish;
    let mut picks = 0;
    let mut try_number = 0;
    for _ in 0..TRIES {
        let wanted = match wish {
            Wish::Best(count) => HoldSeats::best(count),
            Wish::Standing(count) => HoldSeats::area("standing", count),
            Wish::Picked(count) => match pick(world, person, count, home).await {
                Some(labels) => HoldSeats::seats(labels),
                None => HoldSeats::best(count),
            },
        };
        // One key a try; a retry of the same try has the same.
        let wanted = wanted.idempotency_key(format!("{visit}-{try_number}-{}", visitor.fence));
        let began = Instant::now();
        let held = hold(world, person, visitor, home, &wanted).await;
        match held {
            Some(Ok(Outcome::Done(hold))) => {
                world.diary.took(Step::Hold, began);
                add(&world.diary.counters.holds);
                world.diary.held(&hold);
                still_held(world, &hold);
                if hold.seats.len() != count_of(wish) as usize {
                    add(&world.diary.counters.partial_holds);
                }
                return Shopped::Held(Box::new(hold));
            }
            Some(Ok(Outcome::Refused(refusal))) => match refusal {
                Refusal::SeatsTaken { .. } | Refusal::LeavesOrphan { .. } => {
                    picks += 1;
                    try_number += 1;
                    if picks >= PICKS {
                        wish = Wish::Best(count_of(wish));
                    }
                    world.think(person.dice.between(20, 150)).await;
                }
                Refusal::NotReady { .. } => world.pause(person.dice.between(50, 150)).await,
                // The hold of a retry ended meanwhile, or the map that had it is gone.
                Refusal::Ended { .. } | Refusal::UnknownHold => try_number += 1,
                Refusal::NoSeats if count_of(wish) > 1 => {
                    try_number += 1;
                    wish = Wish::Best(count_of(wish) - 1);
                }
                _ => return Shopped::NothingFits,
            },
            Some(Err(SeatsError::Store(_))) | None => world.pause(50).await,
            Some(Err(_)) => return Shopped::Fault,
        }
    }
    Shopped::Fault
}

async fn hold(
    world: &Arc<World>,
    person: &Person,
    visitor: &Visitor,
    home: usize,
    wanted: &HoldSeats,
) -> Option<Result<Outcome<SeatHold>, SeatsError>> {
    let ask = |home: usize| {
        world.ask(home, |app| {
            let (visitor, wanted) = (visitor.clone(), wanted.clone());
            async move { app.seats.hold(&visitor, wanted).await }
        })
    };
    if !matches!(person.habit, Habit::Retrying | Habit::TwoTabs) {
        return ask(home).await;
    }
    // Sent twice under one key: one hold.
    let maps_lost = world.house.maps_lost();
    let (one, other) = tokio::join!(ask(home), ask(home + 1));
    if let (Some(Ok(Outcome::Done(one))), Some(Ok(Outcome::Done(other)))) = (&one, &other)
        && (one.id != other.id || one.fence != other.fence)
        && maps_lost == world.house.maps_lost()
    {
        add(&world.diary.counters.two_orders);
    }
    match &one {
        Some(Ok(Outcome::Done(_))) => one,
        _ => other,
    }
}

const fn count_of(wish: Wish) -> u32 {
    match wish {
        Wish::Best(count) | Wish::Picked(count) | Wish::Standing(count) => count,
    }
}

/// Free seats side by side, as somebody sees them on the map as it was a moment ago.
async fn pick(
    world: &Arc<World>,
    person: &mut Person,
    count: u32,
    home: usize,
) -> Option<Vec<String>> {
    let view = world
        .ask(home, |app| {
            let event = world.event().clone();
            async move { app.seats.snapshot(&event).await.ok()?.done().ok() }
        })
        .await??;
    let layout = &world.house.layout;
    let segments = layout.segments().len();
    let start = usize::try_from(person.dice.below(segments as u64)).unwrap_or(0);
    let order = layout
        .segments()
        .skip(start)
        .chain(layout.segments().take(start));
    for segment in order.take(200) {
        let first = segment.start.get();
        let mut free = 0;
        for seat in first..first + segment.len {
            let is_free = view.snapshot().state(SeatIndex::new(seat)) == Some(SeatState::Free);
            free = if is_free { free + 1 } else { 0 };
            if free == count {
                let seats = seat + 1 - count..=seat;
                let labels = seats.filter_map(|seat| layout.label(SeatIndex::new(seat)));
                return Some(labels.map(|label| label.to_string()).collect());
            }
        }
    }
    None
}
