//! What may happen in a life, and how often.

use proptest::prelude::*;
use ticketon_queue::{Lane, LaneName, Opening, RoomConfig, RoomVerb};

use super::{PROCESSES, START_MS};

pub(super) const USERS: u8 = 12;
pub(super) const BROKERS: u8 = 3;
/// Lanes of the configs, and one that no room has.
pub(super) const LANES: [&str; 4] = ["vip", "general", "late", "unknown"];
pub(super) const CONFIGS: u8 = 8;
/// The config of a draw: refused once somebody has joined another room than that.
pub(super) const DRAW: u8 = 7;

/// Which fence a caller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// The one of the user's lease, or of their ended place.
    Own,
    /// One of an earlier admission of the user, from an answer that came late.
    Old,
    /// One that never was.
    Other,
}

/// One person of a batch of joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joining {
    /// Who.
    pub user: u8,
    /// An index of the lanes' names.
    pub lane: Option<u8>,
    /// The broker and the connection; a poll without.
    pub stream: Option<(u8, u8)>,
    /// Whether they had a place, and of this epoch.
    pub resume: Option<bool>,
}

/// A verb of the store, with arguments that are looked up when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Saves a config of the table.
    Save(u8),
    /// Asks for another state.
    State(RoomVerb),
    /// Joins people.
    Join(Vec<Joining>),
    /// Looks at a person.
    Standing(u8),
    /// Leaves, with a fence or without.
    Leave(u8, Option<Fence>),
    /// Claims.
    Claim(u8, Fence),
    /// Completes.
    Complete(u8, Fence),
    /// Extends by this many milliseconds.
    Extend(u8, Fence, i64),
    /// Ticks with this batch.
    Tick(usize),
    /// Registers a broker's incarnation.
    Register(u8),
    /// A broker looks at everybody.
    Observe(u8),
    /// A broker brings (user, connection) from one incarnation to another; from itself: from its last one.
    Attach(u8, u8, Vec<(u8, u8)>),
    /// (user, connection) closed.
    Disconnect(u8, Vec<(u8, u8)>),
    /// Takes a broker over.
    TakeOver(u8),
    /// Takes over one of those that the last tick named.
    TakeOverLapsed(u8),
}

/// One step of a life. The first number of a call is the process that makes it.
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
    /// A broker dies without a word, and starts again as a new incarnation that knows nothing.
    Crash(u8),
}

impl Step {
    /// Steps that do less: what shrinking tries in its place.
    pub(super) fn simpler(&self) -> Vec<Self> {
        match self {
            Self::Lost(by, _, verb) => vec![Self::Ask(*by, verb.clone())],
            Self::Ask(by, verb) if *by > 0 => vec![Self::Ask(0, verb.clone())],
            Self::Ask(by, Verb::Join(batch)) if batch.len() > 1 => (0..batch.len())
                .map(|left_out| {
                    let mut batch = batch.clone();
                    batch.remove(left_out);
                    Self::Ask(*by, Verb::Join(batch))
                })
                .collect(),
            Self::Ask(by, Verb::Join(batch)) => batch
                .iter()
                .flat_map(|one| {
                    [
                        Joining { lane: None, ..*one },
                        Joining {
                            stream: None,
                            ..*one
                        },
                        Joining {
                            resume: None,
                            ..*one
                        },
                    ]
                    .into_iter()
                    .filter(move |simpler| simpler != one)
                })
                .map(|one| Self::Ask(*by, Verb::Join(vec![one])))
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn fence() -> impl Strategy<Value = Fence> {
    prop_oneof![4 => Just(Fence::Own), 1 => Just(Fence::Old), 1 => Just(Fence::Other)]
}

fn joining() -> impl Strategy<Value = Joining> {
    let lane = proptest::option::of(0..LANES.len() as u8);
    let stream = proptest::option::of((0..BROKERS, 0..3_u8));
    let resume = prop_oneof![3 => Just(None), 1 => Just(Some(true)), 1 => Just(Some(false))];
    (0..USERS, lane, stream, resume).prop_map(|(user, lane, stream, resume)| Joining {
        user,
        lane,
        stream,
        resume,
    })
}

/// What kind of life it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// Whether the room may be closed, for good.
    pub(super) closes: bool,
    /// Whether the dispatchers tick seldom, and mostly after they were away.
    pub(super) dozes: bool,
}

fn verb(kind: Kind) -> impl Strategy<Value = Verb> {
    let verbs = RoomVerb::ALL[..if kind.closes { 6 } else { 5 }].to_vec();
    let ticks = if kind.dozes { 2 } else { 8 };
    let connections = proptest::collection::vec((0..USERS, 0..3_u8), 0..5);
    let for_ms = proptest::sample::select(vec![-5, 0, 1_500, 60_000, 1_000_000_000]);
    prop_oneof![
        2 => (0..CONFIGS).prop_map(Verb::Save),
        1 => proptest::sample::select(verbs).prop_map(Verb::State),
        3 => proptest::sample::select(vec![RoomVerb::Open, RoomVerb::Resume]).prop_map(Verb::State),
        10 => proptest::collection::vec(joining(), 0..5).prop_map(Verb::Join),
        2 => (0..USERS).prop_map(Verb::Standing),
        2 => (0..USERS, proptest::option::of(fence())).prop_map(|(user, fence)| Verb::Leave(user, fence)),
        5 => (0..USERS, fence()).prop_map(|(user, fence)| Verb::Claim(user, fence)),
        4 => (0..USERS, fence()).prop_map(|(user, fence)| Verb::Complete(user, fence)),
        2 => (0..USERS, fence(), for_ms).prop_map(|(user, fence, ms)| Verb::Extend(user, fence, ms)),
        ticks => proptest::sample::select(vec![0_usize, 1, 2, 1_000, 5_000]).prop_map(Verb::Tick),
        4 => (0..BROKERS).prop_map(Verb::Register),
        3 => (0..BROKERS).prop_map(Verb::Observe),
        2 => (0..BROKERS, 0..BROKERS, connections.clone()).prop_map(|(from, to, all)| Verb::Attach(from, to, all)),
        2 => (0..BROKERS, connections).prop_map(|(broker, all)| Verb::Disconnect(broker, all)),
        2 => (0..BROKERS).prop_map(Verb::TakeOver),
        3 => (0..16_u8).prop_map(Verb::TakeOverLapsed),
    ]
}

/// A step of such a life.
pub(super) fn step(kind: Kind) -> impl Strategy<Value = Step> {
    let process = || 0..PROCESSES;
    // Around the outage limit, the claim and entry times, the grace, a broker's lease and a reason's life.
    let forward = proptest::sample::select(vec![
        1, 40, 100, 250, 900, 1_000, 2_000, 4_000, 5_000, 5_001, 8_000, 10_000, 12_000, 20_000,
        300_000, 90_000_000,
    ]);
    let back = proptest::sample::select(vec![-1, -300, -6_000, -100_000]);
    prop_oneof![
        9 => proptest::sample::select(vec![1_i64, 40, 100, 250, 900, 1_000, 2_000]).prop_map(Step::Wait),
        3 => forward.prop_map(Step::Wait),
        1 => back.prop_map(Step::Wait),
        50 => (process(), verb(kind)).prop_map(|(by, verb)| Step::Ask(by, verb)),
        8 => (process(), process(), verb(kind)).prop_map(|(by, again, verb)| Step::Lost(by, again, verb)),
        4 => (process(), 0..12_u8).prop_map(|(by, back)| Step::Late(by, back)),
        1 => (0..BROKERS).prop_map(Step::Crash),
    ]
}

/// Small rooms, so that every bound is met.
pub(super) fn config(index: u8) -> RoomConfig {
    let lane = |name: &str, weight| Lane {
        name: LaneName::new(name).unwrap_or_else(|error| panic!("{error}")),
        weight,
    };
    let builder = RoomConfig::builder()
        .capacity(2)
        .admit_per_second(2)
        .admit_burst(3)
        .claim_ttl_seconds(2)
        .entry_ttl_seconds(10)
        .away_grace_seconds(8)
        .max_waiting(7)
        .lanes(vec![lane("vip", 3), lane("general", 1)]);
    let builder = match index {
        0 => builder,
        1 => builder.capacity(5).admit_per_second(7).admit_burst(1),
        2 => builder.lanes(vec![lane("general", 1), lane("late", 7), lane("vip", 2)]),
        3 => builder.lanes(vec![lane("general", 5)]).max_waiting(3),
        4 => builder.opens_at_ms(START_MS + 30_000).entry_ttl_seconds(2),
        5 => builder
            .capacity(1)
            .away_grace_seconds(30)
            .claim_ttl_seconds(9),
        DRAW => builder
            .opens_at_ms(START_MS + 30_000)
            .opening(Opening::Draw),
        _ => builder
            .lanes(vec![lane("late", 3), lane("vip", 2), lane("general", 5)])
            .max_waiting(12)
            .capacity(9)
            .admit_burst(9),
    };
    builder
        .build()
        .unwrap_or_else(|error| panic!("config {index}: {error}"))
}
