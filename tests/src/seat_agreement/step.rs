//! What may happen in a life, and how often.

use std::sync::Arc;

use proptest::prelude::*;
use ticketon_domain::seat::{Choice, Limits, MapSpec, Orphans, Run};
use ticketon_domain::venue::SeatIndex;

use super::PROCESSES;

pub(super) const USERS: u8 = 5;
/// Idempotency keys of a person: few, so that they are used again.
const KEYS: u8 = 20;
/// The seats of the largest map: two rows of six, and an area of six units.
pub(super) const SEATS: u32 = 18;
const AREA: u32 = 12;
/// How many of the newest holds a step may mean.
const HOLDS: u8 = 10;

/// The maps that a rebuild may build.
pub(super) const SPECS: u8 = 3;

/// What a rebuild builds.
pub(super) fn spec(index: u8) -> MapSpec {
    // The last seats of a byte are padding in one, and the area ends beyond another.
    let seats = [SEATS, 16, 13][usize::from(index) % 3];
    MapSpec {
        layout: format!("hall-{seats}"),
        seats,
    }
}

/// Which seats somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// These; bits of a mask, in order or backwards.
    Seats(u32, bool),
    /// So many side by side.
    Adjacent(u32, Orphans),
    /// So many units of the area, from an offset.
    Units(u32, u32),
}

impl Wish {
    /// As a store is asked for it.
    pub(super) fn choice(&self) -> Choice {
        match self {
            Self::Seats(mask, backwards) => {
                let mut seats = of(*mask);
                if *backwards {
                    seats.reverse();
                }
                Choice::Seats(seats)
            }
            Self::Adjacent(count, orphans) => Choice::Adjacent {
                count: *count,
                runs: runs(),
                orphans: *orphans,
            },
            Self::Units(count, offset) => Choice::Units {
                count: *count,
                start: AREA,
                len: SEATS - AREA,
                offset: *offset,
            },
        }
    }
}

/// The seats of a mask.
pub(super) fn of(mask: u32) -> Vec<SeatIndex> {
    let bits = (0..u32::BITS).filter(|bit| mask >> bit & 1 == 1);
    bits.map(SeatIndex::new).collect()
}

/// The middle of the second row, then the first row, then the second one.
pub(super) fn runs() -> Arc<[Run]> {
    let run = |start, len, segment_start, centre_twice| Run {
        start,
        len,
        segment_start,
        segment_len: 6,
        centre_twice,
    };
    Arc::from([run(7, 4, 6, 17), run(0, 6, 0, 5), run(6, 6, 6, 17)])
}

/// What a caller proves of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Who they are, and the fence.
    Own,
    /// Who they are.
    Unfenced,
    /// The fence of another hold, or one that never was.
    Stale(u8),
    /// That they are somebody else.
    Foreign,
}

/// What a caller with faults says that the ledger says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Sold, or given back.
    pub is_sold: bool,
    /// Under which hold's fence; the newest is 0.
    pub hold: u8,
    /// Of which seats.
    pub mask: u32,
}

/// What somebody does, with arguments that are looked up when it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Asks for a hold: user, idempotency key, seats, time, limits.
    Hold(u8, u8, Wish, i64, Limits),
    /// Looks at a hold; the newest is 0.
    Find(u8, Right),
    /// Lists the holds of a person.
    HoldsOf(u8),
    /// Extends a hold by this time, up to this cap.
    Extend(u8, Right, i64, i64),
    /// Releases a hold.
    Release(u8, Right),
    /// Pins a hold.
    Pin(u8, Right),
    /// Unpins a hold for this time.
    Unpin(u8, Right, i64),
    /// Blocks the seats of a mask.
    Block(u32),
    /// Unblocks the seats of a mask.
    Unblock(u32),
    /// Sweeps.
    Sweep,
    /// Reads the changes after so many versions ago; below zero: after a version that never was.
    Changes(i64),
    /// Tells the store anything.
    Sync(Vec<Message>),
}

/// One step of a life. The first number is the process that acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Moves the clock, also back.
    Wait(i64),
    /// A call, answered.
    Ask(u8, Verb),
    /// A call whose answer is lost with the process or on the way; the second process makes it again.
    Lost(u8, u8, Verb),
    /// A call of before, so many calls ago, arrives again or late, with the arguments of then.
    Late(u8, u8),
    /// An order begins to pay with a hold, and pins it.
    Buy(u8, u8),
    /// An order ends, the oldest is 0: the ledger has the sale, or the hold is given up.
    Pay(u8, u8, bool),
    /// The ledger takes back seats of a sale, so many sales ago.
    Refund(u8, u32),
    /// A keeper tells the map so many of the ledger's messages; its answer may be lost.
    Deliver(u8, u8, bool),
    /// A keeper goes on with its rebuild by so many steps, or looks at the map and then begins one.
    Rebuild(u8, u8, u8),
    /// A keeper dies in the middle of its rebuild.
    Crash(u8),
    /// A keeper that finds the map not ready rebuilds it from the beginning to the end, with nobody in between.
    Renew(u8, u8),
    /// A keeper compares the map with the ledger, and mends what differs; what it found before comes late once more.
    Repair(u8),
    /// The store loses everything.
    Flush,
}

impl Step {
    /// Steps that do less: what shrinking tries in its place.
    pub(super) fn simpler(&self) -> Vec<Self> {
        let fewer = |mask: u32| {
            let bits = (0..u32::BITS).filter(move |bit| mask >> bit & 1 == 1);
            bits.map(move |bit| mask & !(1 << bit))
                .filter(|mask| *mask != 0)
        };
        match self {
            Self::Lost(by, _, verb) => vec![Self::Ask(*by, verb.clone())],
            Self::Ask(by, verb) if *by > 0 => vec![Self::Ask(0, verb.clone())],
            Self::Ask(by, Verb::Hold(user, key, Wish::Seats(mask, backwards), ttl, limits)) => {
                let wish = |mask| Wish::Seats(mask, *backwards);
                let hold = |mask| Verb::Hold(*user, *key, wish(mask), *ttl, *limits);
                fewer(*mask)
                    .map(|mask| Self::Ask(*by, hold(mask)))
                    .collect()
            }
            Self::Ask(by, Verb::Block(mask)) => {
                let block = |mask| Self::Ask(*by, Verb::Block(mask));
                fewer(*mask).map(block).collect()
            }
            Self::Ask(by, Verb::Sync(batch)) if batch.len() > 1 => (0..batch.len())
                .map(|left_out| {
                    let mut batch = batch.clone();
                    batch.remove(left_out);
                    Self::Ask(*by, Verb::Sync(batch))
                })
                .collect(),
            Self::Deliver(by, count, true) => vec![Self::Deliver(*by, *count, false)],
            Self::Renew(by, spec) if *spec > 0 => vec![Self::Renew(*by, 0)],
            Self::Rebuild(by, spec, calls) if *calls > 1 => {
                vec![Self::Rebuild(*by, *spec, calls - 1)]
            }
            _ => Vec::new(),
        }
    }
}

fn right() -> impl Strategy<Value = Right> {
    prop_oneof![
        6 => Just(Right::Own),
        2 => Just(Right::Unfenced),
        1 => (0..HOLDS).prop_map(Right::Stale),
        1 => Just(Right::Foreign),
    ]
}

/// A few seats: of a map, seldom beyond it.
fn mask() -> impl Strategy<Value = u32> {
    let seat = prop_oneof![30 => 0..SEATS, 1 => SEATS..SEATS + 4];
    proptest::collection::vec(seat, 0..4)
        .prop_map(|seats| seats.iter().fold(0, |mask, seat| mask | 1 << seat))
}

fn wish() -> impl Strategy<Value = Wish> {
    let orphans = proptest::sample::select(vec![Orphans::Allow, Orphans::Lenient, Orphans::Strict]);
    prop_oneof![
        6 => (mask(), any::<bool>()).prop_map(|(mask, backwards)| Wish::Seats(mask, backwards)),
        3 => (0..4_u32, orphans).prop_map(|(count, orphans)| Wish::Adjacent(count, orphans)),
        2 => (0..4_u32, 0..9_u32).prop_map(|(count, offset)| Wish::Units(count, offset)),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let limits = |per_order, per_user| Limits {
        per_order,
        per_user,
    };
    let all = vec![
        limits(4, 6),
        limits(4, 6),
        limits(9, 99),
        limits(9, 99),
        limits(3, 4),
        limits(2, 0),
    ];
    proptest::sample::select(all)
}

fn ttl() -> impl Strategy<Value = i64> {
    prop_oneof![
        1 => proptest::sample::select(vec![-5, 0, 1, 1_000_000_000_000]),
        3 => proptest::sample::select(vec![1_000, 2_000, 5_000]),
        4 => Just(60_000),
    ]
}

fn hold() -> impl Strategy<Value = Verb> {
    (0..USERS, 0..KEYS, wish(), ttl(), limits())
        .prop_map(|(user, key, wish, ttl, limits)| Verb::Hold(user, key, wish, ttl, limits))
}

fn message() -> impl Strategy<Value = Message> {
    (any::<bool>(), 0..HOLDS, mask()).prop_map(|(is_sold, hold, mask)| Message {
        is_sold,
        hold,
        mask,
    })
}

fn verb(wild: bool) -> BoxedStrategy<Verb> {
    if wild {
        let batch = proptest::collection::vec(message(), 0..4);
        prop_oneof![6 => calm(), 1 => batch.prop_map(Verb::Sync)].boxed()
    } else {
        calm().boxed()
    }
}

fn calm() -> impl Strategy<Value = Verb> {
    prop_oneof![
        24 => hold(),
        3 => (0..HOLDS, right()).prop_map(|(hold, right)| Verb::Find(hold, right)),
        1 => (0..USERS).prop_map(Verb::HoldsOf),
        5 => (0..HOLDS, right(), ttl(), ttl())
            .prop_map(|(hold, right, ttl, cap)| Verb::Extend(hold, right, ttl, cap)),
        8 => (0..HOLDS, right()).prop_map(|(hold, right)| Verb::Release(hold, right)),
        2 => (0..HOLDS, right()).prop_map(|(hold, right)| Verb::Pin(hold, right)),
        6 => (0..HOLDS, right(), ttl()).prop_map(|(hold, right, ttl)| Verb::Unpin(hold, right, ttl)),
        2 => mask().prop_map(Verb::Block),
        6 => mask().prop_map(Verb::Unblock),
        6 => Just(Verb::Sweep),
        2 => (-2..30_i64).prop_map(Verb::Changes),
    ]
}

/// A step; a caller that tells the store anything only where that is wanted.
pub(super) fn step(wild: bool) -> impl Strategy<Value = Step> {
    let process = || 0..PROCESSES;
    // Around the times of holds, and how long their ends are remembered.
    let forward = vec![1_i64, 1, 500, 1_000, 2_000, 4_999, 5_000, 60_000];
    let far = vec![600_000_i64, 600_001, 90_000_000];
    let back = vec![-1_i64, -1_000, -700_000];
    prop_oneof![
        8 => proptest::sample::select(forward).prop_map(Step::Wait),
        1 => proptest::sample::select(far).prop_map(Step::Wait),
        1 => proptest::sample::select(back).prop_map(Step::Wait),
        60 => (process(), verb(wild)).prop_map(|(by, verb)| Step::Ask(by, verb)),
        10 => (process(), process(), verb(wild)).prop_map(|(by, again, verb)| Step::Lost(by, again, verb)),
        5 => (process(), 0..12_u8).prop_map(|(by, back)| Step::Late(by, back)),
        9 => (process(), 0..4_u8).prop_map(|(by, hold)| Step::Buy(by, hold)),
        9 => (process(), 0..3_u8, proptest::bool::weighted(0.8)).prop_map(|(by, order, ok)| Step::Pay(by, order, ok)),
        7 => (0..6_u8, mask()).prop_map(|(sale, mask)| Step::Refund(sale, mask)),
        9 => (process(), 1..5_u8, any::<bool>()).prop_map(|(by, count, lost)| Step::Deliver(by, count, lost)),
        3 => (process(), 0..SPECS, 1..11_u8).prop_map(|(by, spec, calls)| Step::Rebuild(by, spec, calls)),
        1 => process().prop_map(Step::Crash),
        9 => (process(), 0..SPECS).prop_map(|(by, spec)| Step::Renew(by, spec)),
        4 => process().prop_map(Step::Repair),
        1 => Just(Step::Flush),
    ]
}
