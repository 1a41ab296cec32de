//! What the model must keep after every call, stated without looking at how it does it.
//!
//! A [`Snapshot`] is what can be seen of a room from outside; the [`Witness`] compares the ones before
//! and after a call, and remembers what promises over time need. Both are taken at the same moment, so
//! whatever differs was done by the call.

use std::collections::HashMap;

use ticketon_queue::room::Room;
use ticketon_queue::{
    BROKER_LEASE_MS, BrokerId, LaneName, Lease, Observe, ObserveReply, Place, Presence, Reason,
    RoomNumbers, RoomState, Standing, UserId,
};

use super::life::{Call, user};
use super::step::USERS;

/// A broker that only looks, and only at copies of the model.
const PROBE: u64 = 1;

/// What can be seen of a room at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    now: i64,
    numbers: RoomNumbers,
    people: Vec<(Standing, Option<BrokerId>)>,
}

impl Snapshot {
    pub(super) fn take(model: &Room, now: i64) -> Self {
        let mut copy = model.clone();
        let probe = BrokerId::from_u64(PROBE);
        copy.register_broker(probe, now);
        let request = Observe {
            samples: Vec::new(),
            users: (0..USERS).map(user).collect(),
        };
        let people = match copy.observe(probe, &request, now) {
            ObserveReply::Observed(observed) => observed
                .users
                .into_iter()
                .map(|(standing, owner)| (standing, owner.map(|(broker, _)| broker)))
                .collect(),
            _ => Vec::new(),
        };
        Self {
            now,
            numbers: model.numbers(now),
            people,
        }
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.people
            .iter()
            .filter_map(|(standing, _)| match standing {
                Standing::Waiting(place) => Some(place),
                _ => None,
            })
    }

    fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.people
            .iter()
            .filter_map(|(standing, _)| lease_of(standing))
    }

    fn waiting(&self, lane: &LaneName) -> u64 {
        let lanes = &self.numbers.lanes;
        lanes
            .iter()
            .find(|one| one.name == *lane)
            .map_or(0, |lane| lane.waiting)
    }
}

fn lease_of(standing: &Standing) -> Option<&Lease> {
    match standing {
        Standing::Admitted(lease) => Some(lease),
        _ => None,
    }
}

/// A token bucket, in thousandths.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    milli: i64,
}

impl Bucket {
    fn fill(&mut self, elapsed_ms: i64, numbers: &RoomNumbers) {
        let full = i64::from(numbers.config.admit_burst()) * 1_000;
        let rate = i64::from(numbers.config.admit_per_second());
        self.milli = (self.milli + elapsed_ms.max(0) * rate).min(full);
    }
}

/// What happened so far, as far as promises over time need it.
#[derive(Debug)]
pub(super) struct Witness {
    /// Filled by every millisecond that ever passes: what Q5 allows at most.
    allowed: Bucket,
    /// Filled when a pace is due to be settled, by the time since: what Q7 asks for at least.
    due: Bucket,
    due_at: i64,
    /// Time that passed, without steps back.
    passed_ms: i64,
    /// When a person who is away was last heard of, and the grace of then.
    heard_of: HashMap<UserId, (i64, i64)>,
    /// When each broker was registered: its lease cannot run out sooner than its length after that.
    registered: HashMap<BrokerId, i64>,
    /// The most that may be admitted at a time: the capacity, and whoever was in when it shrank.
    most_admitted: u64,
    last_fence: u64,
    last_sequence: HashMap<LaneName, i64>,
    /// The fences of each user's admissions.
    fences: HashMap<UserId, Vec<u64>>,
    /// Admissions of two lanes since both have had people waiting.
    shares: HashMap<(LaneName, LaneName), (u64, u64)>,
}

/// What a call did to one person.
struct Change<'a> {
    user: UserId,
    before: &'a (Standing, Option<BrokerId>),
    after: &'a (Standing, Option<BrokerId>),
}

macro_rules! hold {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}

impl Witness {
    pub(super) fn new(model: &Room, now: i64) -> Self {
        let numbers = model.numbers(now);
        let full = Bucket {
            milli: i64::from(numbers.config.admit_burst()) * 1_000,
        };
        Self {
            allowed: full,
            due: full,
            due_at: now,
            passed_ms: 0,
            heard_of: HashMap::new(),
            registered: HashMap::new(),
            most_admitted: u64::from(numbers.config.capacity()),
            last_fence: 0,
            last_sequence: HashMap::new(),
            fences: HashMap::new(),
            shares: HashMap::new(),
        }
    }

    /// Time passes, or the clock goes back.
    pub(super) fn wait(&mut self, numbers: &RoomNumbers, ms: i64) {
        self.allowed.fill(ms, numbers);
        self.passed_ms += ms.max(0);
    }

    /// A fence of the user's admission before the one of this fence.
    pub(super) fn old_fence(&self, who: u8, own: u64) -> u64 {
        let fences = self.fences.get(&user(who));
        let old = fences.and_then(|all| all.iter().rev().find(|fence| **fence != own));
        old.copied().unwrap_or(1)
    }

    /// Checks that a call kept the promises.
    pub(super) fn check(
        &mut self,
        call: &Call,
        before: &Snapshot,
        after: &Snapshot,
    ) -> Result<(), String> {
        self.settle(call, before, after);
        if let Call::Register(broker) = call {
            self.registered.insert(*broker, self.passed_ms);
        }
        for (index, (was, is)) in before.people.iter().zip(&after.people).enumerate() {
            let change = Change {
                user: user(index as u8),
                before: was,
                after: is,
            };
            self.one_place(call, after, &change)
                .map_err(|why| format!("Q3: {} was {was:?} and is {is:?}: {why}", change.user))?;
            self.presence(call, after, &change)
                .map_err(|why| format!("Q8: {} was {was:?} and is {is:?}: {why}", change.user))?;
        }
        totals(call, before, after).map_err(|why| format!("Q3: {why}, in {:?}", after.numbers))?;
        self.capacity(call, before, after)?;
        self.admissions(call, before, after)?;
        self.shares(call, before, after)
    }

    /// Q3: what may become of a person, and by which call.
    fn one_place(
        &mut self,
        call: &Call,
        after: &Snapshot,
        change: &Change<'_>,
    ) -> Result<(), String> {
        let user = &change.user;
        let is_tick = matches!(call, Call::Tick(_));
        let joins = matches!(call, Call::Join(batch) if batch.iter().any(|one| one.user == *user));
        match (&change.before.0, &change.after.0) {
            (Standing::Waiting(was), Standing::Waiting(is)) => {
                hold!(
                    was.sequence == is.sequence && was.lane == is.lane,
                    "the place is another"
                );
            }
            (Standing::Waiting(was), Standing::Admitted(lease)) => {
                hold!(is_tick, "only a tick promotes");
                hold!(
                    lease.sequence == was.sequence && lease.lane == was.lane,
                    "not from their place"
                );
            }
            (Standing::Waiting(_), Standing::Gone { reason, fence: 0 }) => match reason {
                Reason::Left => {
                    let leaves = matches!(call, Call::Leave(who, _) if who == user);
                    hold!(leaves || is_tick, "nobody left");
                }
                Reason::RoomClosed => {
                    hold!(
                        is_tick && after.numbers.state == RoomState::Closed,
                        "the room is not closed"
                    );
                }
                _ => return Err("no such end of a place".to_owned()),
            },
            (Standing::Admitted(was), Standing::Admitted(is)) => {
                hold!(
                    was.fence == is.fence && was.sequence == is.sequence,
                    "another admission"
                );
                hold!(was.claimed <= is.claimed, "a claim was undone");
                let extends = matches!(call, Call::Extend(who, ..) if who == user);
                let is_longer = was.expires_at_ms < is.expires_at_ms;
                hold!(
                    was.expires_at_ms == is.expires_at_ms || extends && is_longer,
                    "another end"
                );
            }
            (Standing::Admitted(was), Standing::Gone { reason, fence }) => {
                hold!(was.fence == *fence, "another fence");
                let leaves = matches!(call, Call::Leave(who, with)
                    if who == user && with.is_none_or(|with| with == *fence));
                let completes =
                    matches!(call, Call::Complete(who, with) if who == user && with == fence);
                hold!(
                    *reason == Reason::Left && leaves || *reason == Reason::Completed && completes,
                    "a live lease ended for no reason"
                );
            }
            (Standing::Gone { .. } | Standing::Absent, Standing::Waiting(place)) => {
                hold!(joins, "who did not join waits");
                self.is_last(&place.lane, place.sequence)?;
            }
            (Standing::Gone { .. } | Standing::Absent, Standing::Admitted(lease)) => {
                hold!(joins, "who did not join is admitted");
                self.is_last(&lease.lane, lease.sequence)?;
            }
            (was @ (Standing::Gone { .. } | Standing::Absent), is) => {
                hold!(was == is, "the reason is another");
            }
            _ => return Err("vanished without a reason".to_owned()),
        }
        Ok(())
    }

    /// Q2: a new place is behind every earlier one of its lane.
    fn is_last(&mut self, lane: &LaneName, sequence: i64) -> Result<(), String> {
        // Drawn scores are below zero, and come in any order.
        let last = self.last_sequence.get(lane).copied().unwrap_or(0);
        let last = if sequence < 0 { i64::MIN } else { last };
        hold!(
            sequence > last,
            "sequence {sequence} of lane {lane} is not after {last}"
        );
        Ok(())
    }

    /// Q8: nobody loses a place who has a connection, or was heard of within the grace.
    fn presence(
        &mut self,
        call: &Call,
        after: &Snapshot,
        change: &Change<'_>,
    ) -> Result<(), String> {
        let user = &change.user;
        let waits = |standing: &Standing| matches!(standing, Standing::Waiting(_));
        let disconnects = match call {
            Call::Disconnect(broker, batch) => {
                change.before.1 == Some(*broker) && batch.iter().any(|(who, _)| who == user)
            }
            Call::TakeOver(broker) => change.before.1 == Some(*broker),
            _ => false,
        };
        let stays = waits(&change.before.0) && waits(&change.after.0);
        if stays && change.before.1.is_some() && change.after.1.is_none() {
            hold!(disconnects, "the connection was forgotten");
            if let Call::TakeOver(broker) = call {
                let at = self.registered.get(broker).copied().unwrap_or(0);
                let lives = self.passed_ms - at < BROKER_LEASE_MS;
                hold!(!lives, "the broker is alive");
            }
        }
        let swept = matches!(call, Call::Tick(_))
            && waits(&change.before.0)
            && matches!(
                change.after.0,
                Standing::Gone {
                    reason: Reason::Left,
                    ..
                }
            );
        if swept {
            hold!(change.before.1.is_none(), "a connected person was away");
            if let Some((at, grace)) = self.heard_of.get(user) {
                let away = self.passed_ms - at;
                hold!(
                    away >= *grace,
                    "away for {away} ms, with a grace of {grace} ms"
                );
            }
        }
        let heard = match call {
            Call::Join(batch) => batch.iter().any(|one| {
                // A stream of a broker that has lapsed is told so, and changes nothing.
                let owned = match one.presence {
                    Presence::Poll => true,
                    Presence::Stream { broker, .. } => change.after.1 == Some(broker),
                };
                one.user == *user && owned
            }),
            _ => disconnects || change.before.1 != change.after.1,
        };
        if heard {
            let grace = after.numbers.config.away_grace_ms();
            self.heard_of.insert(user.clone(), (self.passed_ms, grace));
        }
        Ok(())
    }

    /// The pace is settled where somebody is new, where a tick promotes, and where the config changes.
    fn settle(&mut self, call: &Call, before: &Snapshot, after: &Snapshot) {
        let changed = before.numbers.config_version != after.numbers.config_version;
        let ticked = matches!(call, Call::Tick(_)) && after.numbers.state.promotes();
        let joined = before.numbers.joined_total != after.numbers.joined_total;
        if changed || ticked || joined {
            self.due.fill(after.now - self.due_at, &before.numbers);
            self.due_at = after.now;
        }
        if changed {
            for bucket in [&mut self.allowed, &mut self.due] {
                bucket.fill(0, &after.numbers);
            }
        }
    }

    /// Q1: at no time are more admitted than the capacity, whatever was given back after an outage. Only a capacity that
    /// shrinks leaves more inside; a tick looks at everybody, so whoever is in after it is all that is left of them.
    fn capacity(&mut self, call: &Call, before: &Snapshot, after: &Snapshot) -> Result<(), String> {
        let capacity = u64::from(after.numbers.config.capacity());
        self.most_admitted = self.most_admitted.max(capacity);
        for at in [before, after] {
            let (admitted, active) = (at.leases().count() as u64, at.numbers.active);
            hold!(
                admitted.max(active) <= self.most_admitted,
                "Q1: {admitted} are admitted, {active} by the numbers, {} may be",
                self.most_admitted
            );
        }
        if matches!(call, Call::Tick(_)) {
            self.most_admitted = capacity.max(after.leases().count() as u64);
        }
        Ok(())
    }

    /// Q1, Q2, Q5 and Q7.
    fn admissions(
        &mut self,
        call: &Call,
        before: &Snapshot,
        after: &Snapshot,
    ) -> Result<(), String> {
        let (numbers, config) = (&after.numbers, &after.numbers.config);
        let old: Vec<u64> = before.leases().map(|lease| lease.fence).collect();
        let mut new: Vec<&Lease> = after
            .leases()
            .filter(|one| !old.contains(&one.fence))
            .collect();
        new.sort_unstable_by_key(|lease| lease.fence);
        let count = new.len() as u64;
        hold!(
            numbers.admitted_total == before.numbers.admitted_total + count,
            "Q3: {count} new leases, but the total is {} after {}",
            numbers.admitted_total,
            before.numbers.admitted_total
        );
        let active = after.leases().count() as u64;
        let capacity = u64::from(config.capacity());
        hold!(
            count == 0 || active <= capacity,
            "Q1: {active} are admitted, the capacity is {capacity}"
        );

        let at_once = matches!(call, Call::Join(_));
        hold!(
            count == 0 || !at_once || before.numbers.waiting() == 0,
            "Q2: a newcomer overtook who waits"
        );
        for lease in &new {
            hold!(
                lease.fence > self.last_fence,
                "the fence {} follows {}",
                lease.fence,
                self.last_fence
            );
            self.last_fence = lease.fence;
            let expires = after.now + config.entry_ttl_ms();
            let claim_by = (after.now + config.claim_ttl_ms()).min(expires);
            hold!(
                (lease.claim_by_ms, lease.expires_at_ms, lease.claimed)
                    == (claim_by, expires, false),
                "a new lease should end at {claim_by} and {expires}: {lease:?}"
            );
        }
        for lane in &numbers.lanes {
            let moved: Vec<i64> = new
                .iter()
                .filter(|one| one.lane == lane.name)
                .map(|one| one.sequence)
                .collect();
            hold!(
                moved.is_sorted(),
                "Q2: lane {} moved in the order {moved:?}",
                lane.name
            );
            let next = after
                .places()
                .filter(|one| one.lane == lane.name)
                .map(|one| one.sequence)
                .min();
            if let (Some(last), Some(next)) = (moved.last(), next) {
                hold!(
                    *last < next,
                    "Q2: {last} of lane {} overtook {next}",
                    lane.name
                );
            }
            let highest = moved.last().copied().unwrap_or(i64::MIN);
            hold!(
                lane.watermark >= highest,
                "Q8: the watermark of lane {} hides {highest}",
                lane.name
            );
        }

        self.allowed.milli -= count as i64 * 1_000;
        self.due.milli -= count as i64 * 1_000;
        hold!(
            self.allowed.milli >= 0,
            "Q5: {count} admissions, {} over the pace",
            -self.allowed.milli
        );
        if let Call::Tick(batch) = call {
            let may = numbers.state.promotes()
                && numbers.waiting() > 0
                && active < capacity
                && self.due.milli >= 1_000
                && count < *batch.min(&1_000) as u64;
            hold!(
                !may,
                "Q7: {count} were admitted, {} milli-admissions are due",
                self.due.milli
            );
        }

        for (index, (standing, _)) in after.people.iter().enumerate() {
            let (lane, sequence) = match standing {
                Standing::Waiting(place) => (&place.lane, place.sequence),
                Standing::Admitted(lease) => {
                    let fences = self.fences.entry(user(index as u8)).or_default();
                    if fences.last() != Some(&lease.fence) {
                        fences.push(lease.fence);
                    }
                    (&lease.lane, lease.sequence)
                }
                _ => continue,
            };
            let last = self.last_sequence.entry(lane.clone()).or_default();
            *last = sequence.max(*last);
        }
        Ok(())
    }

    /// Q2: of two lanes in which people wait, neither gets more than one admission more than its share.
    fn shares(&mut self, call: &Call, before: &Snapshot, after: &Snapshot) -> Result<(), String> {
        if before.numbers.config_version != after.numbers.config_version {
            self.shares.clear();
        }
        let old: Vec<u64> = before.leases().map(|lease| lease.fence).collect();
        let moved = |lane: &LaneName| {
            let new = after
                .leases()
                .filter(|one| one.lane == *lane && !old.contains(&one.fence));
            if matches!(call, Call::Tick(_)) {
                new.count() as u64
            } else {
                0
            }
        };
        for (index, one) in after.numbers.lanes.iter().enumerate() {
            for other in &after.numbers.lanes[index + 1..] {
                let pair = (one.name.clone(), other.name.clone());
                let both = |at: &Snapshot| at.waiting(&one.name) > 0 && at.waiting(&other.name) > 0;
                if !(both(before) && both(after)) {
                    self.shares.remove(&pair);
                    continue;
                }
                let (has, has_other) = self.shares.entry(pair).or_default();
                *has += moved(&one.name);
                *has_other += moved(&other.name);
                let (weight, weight_other) = (u64::from(one.weight), u64::from(other.weight));
                hold!(
                    (*has * weight_other).abs_diff(*has_other * weight) <= weight + weight_other,
                    "Q2: lanes of weights {weight} and {weight_other} got {has} and {has_other}"
                );
            }
        }
        Ok(())
    }
}

/// Q3: the numbers are what looking at everybody gives, and every place ever given is somewhere.
fn totals(call: &Call, before: &Snapshot, after: &Snapshot) -> Result<(), String> {
    let numbers = &after.numbers;
    let (waiting, admitted) = (after.places().count() as u64, after.leases().count() as u64);
    hold!(waiting == numbers.waiting(), "{waiting} people wait");
    for lane in &numbers.lanes {
        let here = after.places().filter(|one| one.lane == lane.name).count() as u64;
        hold!(
            here == lane.waiting,
            "{here} people wait in lane {}",
            lane.name
        );
    }
    hold!(numbers.active <= admitted, "{admitted} people are admitted");

    let became = |wanted: fn(&Standing) -> bool| {
        let changes = before.people.iter().zip(&after.people);
        changes
            .filter(|((was, _), (is, _))| was != is && wanted(is))
            .count() as u64
    };
    let left = became(|is| {
        matches!(
            is,
            Standing::Gone {
                reason: Reason::Left | Reason::RoomClosed,
                ..
            }
        )
    });
    let completed = became(|is| {
        matches!(
            is,
            Standing::Gone {
                reason: Reason::Completed,
                ..
            }
        )
    });
    hold!(
        numbers.left_total == before.numbers.left_total + left,
        "{left} places were left"
    );
    hold!(
        numbers.completed_total == before.numbers.completed_total + completed,
        "{completed} leases were completed"
    );
    let ended = numbers.completed_total + numbers.expired_total + numbers.left_total;
    let somewhere = waiting + admitted + ended;
    // Leases that ran out, and that nobody has met since, are not counted yet.
    let unswept = after.people.iter().filter(|(standing, _)| {
        matches!(
            standing,
            Standing::Gone {
                reason: Reason::Expired,
                ..
            }
        )
    });
    let most = if matches!(call, Call::Tick(_)) {
        0
    } else {
        unswept.count() as u64
    };
    hold!(
        somewhere <= numbers.joined_total && numbers.joined_total <= somewhere + most,
        "{} places were given, and {somewhere} are somewhere",
        numbers.joined_total
    );
    Ok(())
}
