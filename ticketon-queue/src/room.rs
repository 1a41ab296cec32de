//! The pure state machine of one room: no I/O, time passed in.
//!
//! It is the reference that every store is compared with, and what `MemoryStore` runs behind a
//! lock. Each public method is one verb of the store port with the same name and the same answer.
//! The one thing it is not told is a new draw's key, which comes from its [`DrawKeys`].

mod join;
mod lease;
mod presence;
mod tick;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::clock::UnixMs;
use crate::config::RoomConfig;
use crate::draw::{DrawKey, DrawKeys};
use crate::id::{BrokerId, ConnId, LaneName, UserId};
use crate::line::Line;
use crate::state::{Reason, RoomState, RoomVerb};
use crate::store::{
    DrawNumbers, GONE_TTL_MS, LaneNumbers, Lease, NOBODY_YET, OUTAGE_MS, Place, RoomNumbers,
    RoomSaved, Standing, StateChanged,
};

/// The largest stride unit: weights whose least common multiple is larger share it with rounding.
pub(crate) const MAX_STRIDE_UNIT: u64 = 1_000_000_000;

/// How far each lane's pass moves by one admission, in the config's order: unit / weight, where the unit is
/// the least common multiple of the weights, so that shares are exact.
pub(crate) fn strides(config: &RoomConfig) -> Vec<u64> {
    let mut unit = 1_u64;
    for lane in config.lanes() {
        let weight = u64::from(lane.weight);
        let multiple = unit / gcd(unit, weight) * weight;
        if multiple > MAX_STRIDE_UNIT {
            unit = MAX_STRIDE_UNIT;
            break;
        }
        unit = multiple;
    }
    config
        .lanes()
        .iter()
        .map(|lane| unit / u64::from(lane.weight))
        .collect()
}

/// The setting of the draw in which two configs differ, if either has one.
pub(crate) fn changed_draw_setting(old: &RoomConfig, new: &RoomConfig) -> Option<&'static str> {
    if old.opening() != new.opening() {
        return Some("opening");
    }
    (new.is_draw() && old.opens_at_ms() != new.opens_at_ms()).then_some("opensAt")
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// One lane's line and its share.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LaneState {
    line: Line,
    /// The last sequence handed out.
    sequence: i64,
    /// The highest sequence promoted.
    watermark: i64,
    /// Stride scheduling: the lane with the lowest pass is next.
    pass: u64,
}

impl Default for LaneState {
    fn default() -> Self {
        Self {
            line: Line::default(),
            sequence: 0,
            watermark: NOBODY_YET,
            pass: 0,
        }
    }
}

/// Totals since the room was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    joined: u64,
    admitted: u64,
    completed: u64,
    expired: u64,
    left: u64,
}

/// Why a place ended, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gone {
    reason: Reason,
    fence: u64,
    until: UnixMs,
}

/// One waiting room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    config: Arc<RoomConfig>,
    config_version: u64,
    state: RoomState,
    epoch: u64,
    draw_keys: DrawKeys,
    /// The key of the draw, if the room has one.
    draw_key: Option<DrawKey>,
    /// How many were in line when the room left `scheduled`.
    drawn: u64,
    lanes: HashMap<LaneName, LaneState>,
    /// The pass of the last admission: a lane that becomes non-empty starts no lower.
    pass: u64,
    /// Who waits: lane and sequence.
    waiting: HashMap<UserId, (LaneName, i64)>,
    leases: HashMap<UserId, Lease>,
    deadlines: BTreeSet<(UnixMs, UserId)>,
    away: HashMap<UserId, UnixMs>,
    away_ends: BTreeSet<(UnixMs, UserId)>,
    owner: HashMap<UserId, (BrokerId, ConnId)>,
    /// Lease deadline by broker; 0 while it is being taken over.
    brokers: HashMap<BrokerId, UnixMs>,
    conns: HashMap<BrokerId, HashSet<UserId>>,
    gone: HashMap<UserId, Gone>,
    gone_ends: BTreeSet<(UnixMs, UserId)>,
    last_fence: u64,
    totals: Totals,
    /// Admissions that the rate allows, in thousandths.
    budget_milli: i64,
    budget_at: UnixMs,
    tick_at: UnixMs,
    /// Until then nobody loses a place for having been away.
    guard_until: UnixMs,
}

impl Room {
    /// A new room. A draw gets a random key.
    #[must_use]
    pub fn new(config: RoomConfig, now: UnixMs) -> Self {
        Self::with_draw_keys(config, DrawKeys::random(), now)
    }

    /// A new room whose draws get their keys from here.
    #[must_use]
    pub fn with_draw_keys(config: RoomConfig, draw_keys: DrawKeys, now: UnixMs) -> Self {
        let lanes = config
            .lanes()
            .iter()
            .map(|lane| (lane.name.clone(), LaneState::default()))
            .collect();
        Self {
            config_version: 1,
            state: match config.opens_at_ms() {
                Some(at) if at > now => RoomState::Scheduled,
                _ => RoomState::Open,
            },
            epoch: now.unsigned_abs(),
            draw_key: config.is_draw().then(|| draw_keys.next()),
            draw_keys,
            drawn: 0,
            lanes,
            pass: 0,
            waiting: HashMap::new(),
            leases: HashMap::new(),
            deadlines: BTreeSet::new(),
            away: HashMap::new(),
            away_ends: BTreeSet::new(),
            owner: HashMap::new(),
            brokers: HashMap::new(),
            conns: HashMap::new(),
            gone: HashMap::new(),
            gone_ends: BTreeSet::new(),
            last_fence: 0,
            totals: Totals::default(),
            budget_milli: i64::from(config.admit_burst()) * 1_000,
            budget_at: now,
            tick_at: now,
            guard_until: 0,
            config: Arc::new(config),
        }
    }

    /// Changes the config.
    pub fn save(&mut self, config: &RoomConfig, now: UnixMs) -> RoomSaved {
        if *self.config == *config {
            return RoomSaved::Same;
        }
        let redrawn = changed_draw_setting(&self.config, config);
        if let Some(field) = redrawn
            && self.totals.joined > 0
        {
            return RoomSaved::Frozen { field };
        }
        let dropped: Vec<LaneName> = self
            .config
            .lanes()
            .iter()
            .filter(|lane| config.lane_index(&lane.name).is_none())
            .map(|lane| lane.name.clone())
            .collect();
        if let Some(lane) = dropped.iter().find(|lane| !self.line(lane).is_empty()) {
            return RoomSaved::LaneNotEmpty { lane: lane.clone() };
        }
        self.settle_budget(now);
        for lane in config.lanes() {
            self.lanes.entry(lane.name.clone()).or_default();
        }
        for lane in self.lanes.values_mut() {
            lane.pass = 0;
        }
        self.pass = 0;
        if redrawn.is_some() {
            self.restart_draw(config, now);
        }
        self.config = Arc::new(config.clone());
        self.config_version += 1;
        self.budget_milli = self
            .budget_milli
            .min(i64::from(config.admit_burst()) * 1_000);
        RoomSaved::Changed
    }

    /// The settings of the draw change before anybody has joined. A key that was made known, or none, is replaced.
    fn restart_draw(&mut self, config: &RoomConfig, now: UnixMs) {
        if !config.is_draw() {
            self.draw_key = None;
            return;
        }
        if self.draw_key.is_none() || self.state != RoomState::Scheduled {
            self.draw_key = Some(self.draw_keys.next());
        }
        if self.state == RoomState::Open && config.opens_at_ms().is_some_and(|at| at > now) {
            self.state = RoomState::Scheduled;
        }
    }

    /// Puts the room into a state. Leaving `scheduled` is for good once somebody has joined: it ends the draw.
    fn enter(&mut self, state: RoomState) {
        if self.state == RoomState::Scheduled && state != RoomState::Scheduled {
            self.drawn = self.waiting.len() as u64;
        }
        self.state = state;
    }

    /// Opens a scheduled room whose time has come, whatever the clock says later. Each verb that treats people
    /// before and after the opening differently asks this first, so that the two meet at one moment.
    fn open_if_due(&mut self, now: UnixMs) {
        let due = self.config.opens_at_ms().is_none_or(|at| at <= now);
        if self.state == RoomState::Scheduled && due {
            self.enter(RoomState::Open);
        }
    }

    fn is_undrawn(&self) -> bool {
        self.state == RoomState::Scheduled && self.config.is_draw()
    }

    /// Asks for another state.
    pub fn change_state(&mut self, verb: RoomVerb) -> StateChanged {
        match self.state.after(verb) {
            Some(state) => {
                self.enter(state);
                StateChanged::Now(state)
            }
            None => StateChanged::Refused(self.state),
        }
    }

    /// The numbers.
    #[must_use]
    pub fn numbers(&self, now: UnixMs) -> RoomNumbers {
        RoomNumbers {
            now_ms: now,
            epoch: self.epoch,
            state: self.state,
            config_version: self.config_version,
            config: Arc::clone(&self.config),
            active: self.live(now),
            lanes: self
                .config
                .lanes()
                .iter()
                .map(|lane| LaneNumbers {
                    name: lane.name.clone(),
                    weight: lane.weight,
                    waiting: self.line(&lane.name).len() as u64,
                    watermark: self.lanes[&lane.name].watermark,
                })
                .collect(),
            draw: self.draw_key.as_ref().map(|key| DrawNumbers {
                commitment: key.commitment(),
                key: (self.state != RoomState::Scheduled).then(|| key.clone()),
                drawn: self.drawn,
            }),
            joined_total: self.totals.joined,
            admitted_total: self.totals.admitted,
            completed_total: self.totals.completed,
            expired_total: self.totals.expired,
            left_total: self.totals.left,
        }
    }

    /// Where a user is. Nothing is changed: an expired lease reads as ended.
    #[must_use]
    pub fn standing(&self, user: &UserId, now: UnixMs) -> Standing {
        if let Some(lease) = self.leases.get(user) {
            return if self.is_live(lease, now) {
                Standing::Admitted(lease.clone())
            } else {
                Standing::Gone {
                    reason: Reason::Expired,
                    fence: lease.fence,
                }
            };
        }
        if let Some((lane, sequence)) = self.waiting.get(user) {
            return Standing::Waiting(self.place(user, lane, *sequence));
        }
        match self.gone.get(user) {
            Some(gone) if gone.until > now => Standing::Gone {
                reason: gone.reason,
                fence: gone.fence,
            },
            _ => Standing::Absent,
        }
    }

    fn place(&self, user: &UserId, lane: &LaneName, sequence: i64) -> Place {
        let line = self.line(lane);
        let position = || line.rank_of(sequence, user) as u64 + 1;
        Place {
            epoch: self.epoch,
            lane: lane.clone(),
            sequence,
            position: (!self.is_undrawn()).then(position),
            waiting: line.len() as u64,
            state: self.state,
        }
    }

    fn line(&self, lane: &LaneName) -> &Line {
        &self.lanes[lane].line
    }

    /// Leases whose deadline is in the future.
    fn live(&self, now: UnixMs) -> u64 {
        let ended = self
            .deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now)
            .count();
        (self.deadlines.len() - ended) as u64
    }

    /// Slots that are taken: a lease has its slot until it is ended, because one that ran out may live again, by an
    /// outage or a clock that goes back. Whoever gives slots ends first what ran out.
    fn taken(&self) -> u64 {
        self.leases.len() as u64
    }

    /// Whether time lost to an outage or a clock step must not be held against people.
    fn is_guarded(&self, now: UnixMs) -> bool {
        now < self.guard_until || self.is_after_outage(now)
    }

    fn is_after_outage(&self, now: UnixMs) -> bool {
        now < self.tick_at || now - self.tick_at > OUTAGE_MS
    }

    /// Whether the lease is live, or would be renewed by the tick after an outage.
    fn is_live(&self, lease: &Lease, now: UnixMs) -> bool {
        lease.deadline_ms() > now
            || (!lease.claimed && lease.expires_at_ms > now && self.is_guarded(now))
    }

    /// Brings the rate budget up to now.
    fn settle_budget(&mut self, now: UnixMs) {
        let rate = i64::from(self.config.admit_per_second());
        let full = i64::from(self.config.admit_burst()) * 1_000;
        // Elapsed time beyond what fills the budget adds nothing; a clock that stepped back neither.
        let elapsed = (now - self.budget_at).clamp(0, full / rate + 1);
        self.budget_milli = (self.budget_milli + elapsed * rate).min(full);
        self.budget_at = now;
    }

    /// Remembers why a place ended, and forgets who was connected.
    fn end(&mut self, user: &UserId, reason: Reason, fence: u64, now: UnixMs) {
        self.stop_away(user);
        self.owner.remove(user);
        self.forget_gone(user);
        let until = now + GONE_TTL_MS;
        let gone = Gone {
            reason,
            fence,
            until,
        };
        self.gone.insert(user.clone(), gone);
        self.gone_ends.insert((until, user.clone()));
    }

    fn forget_gone(&mut self, user: &UserId) {
        if let Some(gone) = self.gone.remove(user) {
            self.gone_ends.remove(&(gone.until, user.clone()));
        }
    }
}
