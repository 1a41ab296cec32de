//! What may happen in a shop. A step means something in every state: what it needs is looked up when it is taken.

use proptest::prelude::*;
use ticketon_domain::adapter::sandbox::SandboxOutcome;

use super::fault::Fault;

/// What somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A person holds so many seats from this one on.
    Hold(u8, u8, u8),
    /// The person of a hold makes an order of it.
    Initiate(u8),
    /// The buyer of an order agrees to a payment that comes to this, and confirms it.
    Pay(u8, SandboxOutcome),
    /// The buyer of an order confirms a payment of before again.
    Again(u8, u8),
    /// The buyer of an order confirms another order's payment, or another amount.
    Cheat(u8, u8),
    /// The buyer of an order gives it up.
    Cancel(u8),
    /// Tickets of an order are given back, all for 0, by its buyer or an operator.
    Refund(u8, u8, bool),
    /// The holder of a ticket comes in.
    CheckIn(u8, u8),
    /// An operator has an order looked at now.
    Retry(u8),
    /// A webhook says that a payment has changed.
    Hint(u8),
    /// The worker does what is due.
    Work,
}

/// One step of a life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Somebody does something in this process; its call of this number meets a fault; the next step does not wait for it.
    Do(u8, Deed, Option<(u8, Fault)>, bool),
    /// Holds past their deadline end.
    Sweep,
    /// The map's store loses everything.
    Flush,
    /// The map is built anew, by this process.
    Rebuild(u8),
    /// The map's store loses what it acknowledged last of an order's seats: they are free in it.
    Forget(u8),
    /// Time passes, in milliseconds.
    Wait(i64),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        2 => Just(None),
        1 => (1..14_u8, prop::sample::select(&Fault::OF_LIVES[..])).prop_map(Some),
    ];
    prop_oneof![
        60 => (0..2_u8, deed(), fault, prop::bool::weighted(0.4))
            .prop_map(|(process, deed, fault, together)| Step::Do(process, deed, fault, together)),
        2 => Just(Step::Sweep),
        1 => Just(Step::Flush),
        5 => (0..2_u8).prop_map(Step::Rebuild),
        1 => (0..16_u8).prop_map(Step::Forget),
        10 => prop::sample::select(vec![10, 900, 1_300, 5_000, 20_000, 61_000, 80_000]).prop_map(Step::Wait),
        1 => Just(Step::Wait(300_000)),
        1 => Just(Step::Wait(700_000)),
    ]
}

/// One of the newest, in most cases the newest.
fn near() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(0), 1 => 1..4_u8]
}

fn deed() -> impl Strategy<Value = Deed> {
    let order = || prop_oneof![3 => near(), 1 => 0..16_u8];
    prop_oneof![
        12 => (0..4_u8, 0..12_u8, 1..4_u8).prop_map(|(user, seat, count)| Deed::Hold(user, seat, count)),
        16 => near().prop_map(Deed::Initiate),
        12 => (order(), prop::sample::select(&SandboxOutcome::ALL[..])).prop_map(|(order, outcome)| Deed::Pay(order, outcome)),
        5 => (order(), 0..4_u8).prop_map(|(order, payment)| Deed::Again(order, payment)),
        1 => (order(), order()).prop_map(|(order, other)| Deed::Cheat(order, other)),
        1 => order().prop_map(Deed::Cancel),
        6 => (order(), 0..8_u8, any::<bool>()).prop_map(|(order, mask, operator)| Deed::Refund(order, mask, operator)),
        2 => (order(), 0..3_u8).prop_map(|(order, ticket)| Deed::CheckIn(order, ticket)),
        1 => order().prop_map(Deed::Retry),
        2 => order().prop_map(Deed::Hint),
        12 => Just(Deed::Work),
    ]
}

/// Steps that do less.
pub(super) fn simpler(step: &Step) -> Vec<Step> {
    match step {
        Step::Do(process, deed, fault, together) => {
            let mut all = Vec::new();
            if fault.is_some() {
                all.push(Step::Do(*process, deed.clone(), None, *together));
            }
            if *together {
                all.push(Step::Do(*process, deed.clone(), *fault, false));
            }
            if *process > 0 {
                all.push(Step::Do(0, deed.clone(), *fault, *together));
            }
            if let Deed::Hold(user, seat, count) = deed
                && *count > 1
            {
                let deed = Deed::Hold(*user, *seat, 1);
                all.push(Step::Do(*process, deed, *fault, *together));
            }
            all
        }
        Step::Rebuild(1) => vec![Step::Rebuild(0)],
        Step::Wait(ms) if *ms > 10 => vec![Step::Wait(10)],
        _ => Vec::new(),
    }
}
