//! What one broker knows of one room: its own connections, and what the store last said.
//!
//! Pure bookkeeping without I/O. Everything told to people comes from the store's state; the
//! watermark of a lane only selects whom to look up.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tokio::sync::watch;

use super::eta::RateMeter;
use super::update::{AdmittedUpdate, ClosedUpdate, Update, WaitingUpdate};
use crate::clock::UnixMs;
use crate::id::{BrokerId, ConnId, EventId, LaneName, UserId};
use crate::state::{Reason, RoomState};
use crate::store::{
    Lease, MAX_BATCH, MAX_SAMPLES, Observe, Observed, Place, RoomNumbers, Standing,
};
use crate::token::AdmissionKeys;
use crate::unguarded::holds;

/// Everybody is looked up within this time, also without any sign of a change.
const LOOK_UP_WITHIN_MS: i64 = 8_000;
/// Good-byes that may wait for the store.
const MAX_CLOSED: usize = 100_000;
/// Up to this position every change is told at once.
const NEAR: u64 = 50;
/// The people who are ranked differ from tick to tick, and come again after this many.
const SAMPLE_PHASES: usize = 8;

/// One connected person.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: ConnId,
    /// The incarnation under which the store knows this connection.
    pub(super) broker: BrokerId,
    pub(super) epoch: u64,
    pub(super) lane: LaneName,
    pub(super) sequence: i64,
    pub(super) phase: Phase,
    pub(super) connected_at_ms: UnixMs,
    pub(super) tell: watch::Sender<Option<Update>>,
}

#[derive(Debug)]
pub(super) enum Phase {
    Waiting {
        /// The lowest position told so far; `None` before the draw.
        position: Option<u64>,
        told_at_ms: UnixMs,
    },
    Admitted {
        fence: u64,
        claim_by_ms: UnixMs,
        expires_at_ms: UnixMs,
    },
}

/// One broker's side of one room.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The incarnation registered in the room.
    pub(super) broker: Option<BrokerId>,
    pub(super) conns: HashMap<UserId, Conn>,
    /// Local people in line, by lane and sequence.
    lines: HashMap<LaneName, BTreeSet<(i64, UserId)>>,
    admitted: BTreeSet<UserId>,
    /// Connections that closed and of which the store must be told.
    pub(super) closed: BTreeMap<BrokerId, Vec<(UserId, ConnId)>>,
    /// People who did something at this process: looked up next.
    pub(super) hints: HashSet<UserId>,
    /// Connections whose ownership the store has lost.
    pub(super) unowned: HashSet<UserId>,
    pub(super) numbers: Option<RoomNumbers>,
    pub(super) meter: RateMeter,
    /// People are here whom the store has lost, or who are of an older epoch: they join again.
    pub(super) rejoin: bool,
    /// Whom the store of this epoch does not know, although it never ended their place.
    lost: HashSet<UserId>,
    /// When somebody last asked about the room.
    pub(super) touched_at_ms: UnixMs,
    /// Where the slice of the next look-up starts.
    slice_after: Option<(LaneName, i64)>,
    admitted_after: Option<UserId>,
    /// Whom this tick has looked up already.
    looked_up: HashSet<UserId>,
    /// The connections that the look-up under way is about.
    asked: HashMap<UserId, ConnId>,
    /// A join of unknown fate may have left a connection under this incarnation that nobody holds.
    pub(super) tainted: bool,
    /// When the incarnation was registered.
    pub(super) registered_at_ms: UnixMs,
    told_state: Option<RoomState>,
    /// Moves the choice of people who are ranked.
    sample_phase: usize,
}

impl View {
    /// Puts a connection in and closes the user's older one, whichever that is.
    pub(super) fn insert(&mut self, user: &UserId, conn: Conn) {
        if self.conns.get(user).is_some_and(|other| other.id > conn.id) {
            conn.close(Reason::Replaced);
            return;
        }
        if let Some(old) = self.take(user) {
            old.close(Reason::Replaced);
        }
        match conn.phase {
            Phase::Waiting { .. } => {
                self.lines
                    .entry(conn.lane.clone())
                    .or_default()
                    .insert((conn.sequence, user.clone()));
            }
            Phase::Admitted { .. } => {
                self.admitted.insert(user.clone());
            }
        }
        self.conns.insert(user.clone(), conn);
    }

    /// Takes a connection out.
    pub(super) fn take(&mut self, user: &UserId) -> Option<Conn> {
        let conn = self.conns.remove(user)?;
        if let Some(line) = self.lines.get_mut(&conn.lane) {
            line.remove(&(conn.sequence, user.clone()));
        }
        self.admitted.remove(user);
        self.unowned.remove(user);
        self.hints.remove(user);
        self.lost.remove(user);
        Some(conn)
    }

    /// A person's stream was dropped.
    pub(super) fn drop_conn(&mut self, user: &UserId, broker: BrokerId, id: ConnId) {
        let mut broker = broker;
        if self.conns.get(user).is_some_and(|conn| conn.id == id)
            && let Some(conn) = self.take(user)
        {
            broker = conn.broker;
        }
        self.say_good_bye(broker, user.clone(), id);
    }

    /// The store must be told that a connection closed. When too many good-byes wait, the incarnation
    /// itself ends: its lease runs out, and whoever is connected is attached to the next one.
    pub(super) fn say_good_bye(&mut self, broker: BrokerId, user: UserId, id: ConnId) {
        let waiting: usize = self.closed.values().map(Vec::len).sum();
        if waiting >= MAX_CLOSED {
            self.closed.clear();
            self.broker = None;
        }
        self.closed.entry(broker).or_default().push((user, id));
    }

    pub(super) fn is_idle(&self) -> bool {
        self.conns.is_empty() && self.closed.is_empty()
    }

    /// Takes in the numbers alone.
    pub(super) fn note(&mut self, numbers: RoomNumbers) {
        self.meter.note(&numbers);
        self.numbers = Some(numbers);
    }

    /// Starts a tick.
    pub(super) fn begin(&mut self) {
        self.looked_up.clear();
    }

    /// What to ask next in this tick: on the beat first the samples and a slice of everybody, then
    /// whoever the watermarks select. The first call of a tick always asks for the numbers.
    pub(super) fn request(&mut self, first: bool, beat: bool, tick_ms: i64) -> Option<Observe> {
        let mut users: Vec<UserId> = self.hints.iter().take(MAX_BATCH).cloned().collect();
        for user in &users {
            self.hints.remove(user);
        }
        self.candidates(&mut users);
        let mut samples = Vec::new();
        if first && beat {
            self.admitted_slice(&mut users, tick_ms);
            self.waiting_slice(&mut users, tick_ms);
            samples = self.samples();
            self.sample_phase = (self.sample_phase + 1) % SAMPLE_PHASES;
        }
        // The answer is about these connections, and none that comes meanwhile.
        self.asked = users
            .iter()
            .filter_map(|user| Some((user.clone(), self.conns.get(user)?.id)))
            .collect();
        (first || !users.is_empty()).then_some(Observe { samples, users })
    }

    /// People whose sequence is at or below their lane's watermark.
    fn candidates(&mut self, users: &mut Vec<UserId>) {
        let Some(numbers) = &self.numbers else { return };
        for lane in &numbers.lanes {
            let Some(line) = self.lines.get(&lane.name) else {
                continue;
            };
            for (sequence, user) in line {
                if *sequence > lane.watermark || users.len() >= MAX_BATCH {
                    break;
                }
                if self.looked_up.insert(user.clone()) {
                    users.push(user.clone());
                }
            }
        }
    }

    fn admitted_slice(&mut self, users: &mut Vec<UserId>, tick_ms: i64) {
        let size = slice_size(self.admitted.len(), tick_ms).min(MAX_BATCH / 2);
        let after = self.admitted_after.take();
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let slice: Vec<UserId> = self
            .admitted
            .range::<UserId, _>((from, std::ops::Bound::Unbounded))
            .take(size)
            .cloned()
            .collect();
        self.admitted_after = (slice.len() == size)
            .then(|| slice.last().cloned())
            .flatten();
        for user in slice {
            if users.len() < MAX_BATCH && self.looked_up.insert(user.clone()) {
                users.push(user);
            }
        }
    }

    fn waiting_slice(&mut self, users: &mut Vec<UserId>, tick_ms: i64) {
        let Some(numbers) = &self.numbers else { return };
        let local: usize = self.lines.values().map(BTreeSet::len).sum();
        let mut size = slice_size(local, tick_ms);
        let (start_lane, mut after) = match self.slice_after.take() {
            Some((lane, sequence)) => (Some(lane), sequence),
            None => (None, i64::MIN),
        };
        let mut started = start_lane.is_none();
        for lane in &numbers.lanes {
            started = started || start_lane.as_ref() == Some(&lane.name);
            if !started {
                continue;
            }
            let line = self.lines.entry(lane.name.clone()).or_default();
            for (sequence, user) in line.range((
                std::ops::Bound::Included((after.saturating_add(1), least())),
                std::ops::Bound::Unbounded,
            )) {
                if size == 0 || users.len() >= MAX_BATCH {
                    self.slice_after = Some((lane.name.clone(), sequence - 1));
                    return;
                }
                size -= 1;
                if self.looked_up.insert(user.clone()) {
                    users.push(user.clone());
                }
            }
            after = i64::MIN;
        }
    }

    /// What to rank so that everybody's position follows, see [`upper_bound`]; rising within a lane.
    fn samples(&self) -> Vec<(usize, i64)> {
        let Some(numbers) = self.numbers.as_ref().filter(|it| !it.is_undrawn()) else {
            return Vec::new();
        };
        let each = MAX_SAMPLES / numbers.lanes.len().max(1);
        let mut samples = Vec::new();
        for (index, lane) in numbers.lanes.iter().enumerate() {
            let Some(line) = self.lines.get(&lane.name) else {
                continue;
            };
            let drawn = line.first().is_some_and(|(first, _)| *first < 0);
            let queued = line.last().is_some_and(|(last, _)| *last >= 0);
            let each = if drawn && queued { each / 2 } else { each };
            let later = (0, least());
            if drawn {
                let chosen = choose(line.range(..&later), each, self.sample_phase);
                samples.extend(chosen.into_iter().map(|score| (index, score + 1)));
            }
            if queued {
                let chosen = choose(line.range(&later..), each, self.sample_phase);
                samples.extend(chosen.into_iter().map(|sequence| (index, sequence)));
            }
        }
        samples
    }

    /// Takes in what the store said. Answers whether more people must be looked up in this tick.
    pub(super) fn apply(
        &mut self,
        request: &Observe,
        observed: Observed,
        event: &EventId,
        keys: &AdmissionKeys,
    ) -> bool {
        let now = observed.numbers.now_ms;
        let epoch = observed.numbers.epoch;
        self.meter.note(&observed.numbers);
        self.rejoin = !self.lost.is_empty() || self.conns.values().any(|conn| conn.epoch != epoch);
        for (user, (standing, owner)) in request.users.iter().zip(observed.users) {
            self.apply_one(user, standing, owner, event, keys, now);
        }
        if !request.samples.is_empty() || observed.numbers.is_undrawn() {
            self.rank(request, &observed.ranks, &observed.numbers);
        }
        self.numbers = Some(observed.numbers);
        self.has_candidates()
    }

    fn has_candidates(&self) -> bool {
        let Some(numbers) = &self.numbers else {
            return false;
        };
        numbers.lanes.iter().any(|lane| {
            self.lines.get(&lane.name).is_some_and(|line| {
                line.iter()
                    .take_while(|(sequence, _)| *sequence <= lane.watermark)
                    .any(|(_, user)| !self.looked_up.contains(user))
            })
        })
    }

    fn apply_one(
        &mut self,
        user: &UserId,
        standing: Standing,
        owner: Option<(BrokerId, ConnId)>,
        event: &EventId,
        keys: &AdmissionKeys,
        now: UnixMs,
    ) {
        let Some(conn) = self.conns.get(user) else {
            return;
        };
        if self.asked.get(user) != Some(&conn.id) {
            return;
        }
        let own = (conn.broker, conn.id);
        // An end is remembered for minutes and people are looked up within seconds: without one, a failover
        // took the place back.
        if standing == Standing::Absent {
            self.lost.insert(user.clone());
            self.rejoin = true;
            return;
        }
        let reason = match (&standing, owner) {
            (Standing::Gone { reason, .. }, _) => Some(*reason),
            (_, Some((at, _))) if at != own.0 => Some(Reason::Replaced),
            _ => None,
        };
        if let Some(reason) = reason {
            if let Some(conn) = self.take(user) {
                self.say_good_bye(conn.broker, user.clone(), conn.id);
                conn.close(reason);
            }
            return;
        }
        // Two connections of this process may have reached the store in either order: the newer one keeps the place.
        if owner != Some(own) {
            self.unowned.insert(user.clone());
        }
        match standing {
            Standing::Admitted(lease) => self.admit(user, &lease, event, keys, now),
            Standing::Waiting(place) => self.follow(user, &place),
            _ => {}
        }
    }

    /// Puts a connection where its person stands, if they have another place than it knows: they
    /// left and joined again without it.
    fn follow(&mut self, user: &UserId, place: &Place) {
        let Some(conn) = self.conns.get(user) else {
            return;
        };
        let knows = matches!(conn.phase, Phase::Waiting { .. })
            && (conn.sequence, &conn.lane) == (place.sequence, &place.lane);
        if knows || conn.epoch != place.epoch {
            return;
        }
        if let Some(mut conn) = self.take(user) {
            conn.lane = place.lane.clone();
            conn.sequence = place.sequence;
            conn.phase = Phase::Waiting {
                position: None,
                told_at_ms: 0,
            };
            self.insert(user, conn);
        }
    }

    /// Tells a person of their lease, unless they know it.
    pub(super) fn admit(
        &mut self,
        user: &UserId,
        lease: &Lease,
        event: &EventId,
        keys: &AdmissionKeys,
        now: UnixMs,
    ) {
        let Some(conn) = self.conns.get_mut(user) else {
            return;
        };
        let phase = Phase::Admitted {
            fence: lease.fence,
            claim_by_ms: lease.claim_by_ms,
            expires_at_ms: lease.expires_at_ms,
        };
        match (&conn.phase, &phase) {
            (
                Phase::Admitted {
                    fence,
                    claim_by_ms,
                    expires_at_ms,
                },
                _,
            ) if *fence == lease.fence
                && *claim_by_ms == lease.claim_by_ms
                && *expires_at_ms == lease.expires_at_ms =>
            {
                return;
            }
            (Phase::Waiting { .. }, _) => {
                let waited = (lease.admitted_at_ms - conn.connected_at_ms).max(0);
                #[allow(clippy::cast_precision_loss)] // a wait in milliseconds fits 52 bits
                metrics::histogram!("ticketon_wait_seconds").record(waited as f64 / 1_000.0);
                if let Some(line) = self.lines.get_mut(&conn.lane) {
                    line.remove(&(conn.sequence, user.clone()));
                }
                self.admitted.insert(user.clone());
            }
            _ => {}
        }
        conn.phase = phase;
        conn.epoch = lease.epoch;
        conn.lane = lease.lane.clone();
        conn.sequence = lease.sequence;
        conn.tell
            .send_replace(Some(Update::Admitted(admitted_update(
                event, user, lease, keys, now,
            ))));
    }

    /// Brings everybody's position up to date from the ranks of the samples.
    fn rank(&mut self, request: &Observe, ranks: &[u64], numbers: &RoomNumbers) {
        let state_changed = self.told_state.replace(numbers.state) != Some(numbers.state);
        for (index, lane) in numbers.lanes.iter().enumerate() {
            let known: Vec<(i64, u64)> = request
                .samples
                .iter()
                .zip(ranks)
                .filter(|((lane, _), _)| *lane == index)
                .map(|((_, sequence), rank)| (*sequence, *rank))
                .collect();
            let Some(line) = self.lines.get(&lane.name) else {
                continue;
            };
            let mut at = 0;
            for (sequence, user) in line {
                while known.get(at).is_some_and(|(next, _)| next <= sequence) {
                    at += 1;
                }
                let bound = upper_bound(&known, at, *sequence).map(|before| before + 1);
                if bound.is_none() && !numbers.is_undrawn() {
                    continue;
                }
                if let Some(conn) = self.conns.get_mut(user) {
                    conn.tell_position(bound, index, numbers, &self.meter, state_changed);
                }
            }
        }
    }

    /// The people of older epochs and those whom the store has lost, in the order in which they stood.
    pub(super) fn people_to_rejoin(&self, epoch: u64) -> Vec<(UserId, LaneName, ConnId)> {
        let mut people: Vec<(i64, UserId, LaneName, ConnId)> = self
            .conns
            .iter()
            .filter(|(user, conn)| conn.epoch != epoch || self.lost.contains(*user))
            .map(|(user, conn)| (conn.sequence, user.clone(), conn.lane.clone(), conn.id))
            .collect();
        if holds("rejoin-order") {
            people.sort_unstable();
        }
        people
            .into_iter()
            .map(|(_, user, lane, id)| (user, lane, id))
            .collect()
    }

    /// The update for a place, with what is known about the room.
    pub(super) fn waiting_update(&self, place: &Place) -> WaitingUpdate {
        let eta = self.numbers.as_ref().and_then(|numbers| {
            let lane = numbers.config.lane_index(&place.lane)?;
            self.meter.eta(numbers, lane, place.position?)
        });
        WaitingUpdate {
            epoch: place.epoch,
            sequence: place.sequence,
            position: place.position,
            waiting: place.waiting,
            eta,
            state: place.state,
            lane: place.lane.clone(),
        }
    }
}

/// The update for a lease, with a token signed now.
pub(crate) fn admitted_update(
    event: &EventId,
    user: &UserId,
    lease: &Lease,
    keys: &AdmissionKeys,
    now: UnixMs,
) -> AdmittedUpdate {
    AdmittedUpdate {
        epoch: lease.epoch,
        sequence: lease.sequence,
        admission_token: keys.sign_lease(event, user, lease, now),
        claim_by_ms: lease.claim_by_ms,
        expires_at_ms: lease.expires_at_ms,
        fence: lease.fence,
        claimed: lease.claimed,
    }
}

impl Conn {
    /// Ends the stream with a reason.
    pub(super) fn close(&self, reason: Reason) {
        self.tell.send_replace(Some(Update::Closed(ClosedUpdate {
            epoch: self.epoch,
            sequence: self.sequence,
            reason,
        })));
    }

    /// Tells the position if it is due: near the front each change, far behind every few seconds.
    fn tell_position(
        &mut self,
        bound: Option<u64>,
        lane: usize,
        numbers: &RoomNumbers,
        meter: &RateMeter,
        state_changed: bool,
    ) {
        let Phase::Waiting {
            position,
            told_at_ms,
        } = &mut self.phase
        else {
            return;
        };
        let before = *position;
        *position = match (before, bound) {
            (Some(told), Some(bound)) => Some(told.min(bound)),
            (told, bound) => told.or(bound),
        };
        let since = numbers.now_ms - *told_at_ms;
        let every = match *position {
            Some(_) if before.is_none() => 0,
            Some(0..=NEAR) if *position != before => 0,
            Some(0..=1_000) => 1_000,
            _ => 3_000,
        };
        // A clock that stepped back must not silence the line.
        if (0..every).contains(&since) && !state_changed {
            return;
        }
        let update = Update::Waiting(WaitingUpdate {
            epoch: self.epoch,
            sequence: self.sequence,
            position: *position,
            waiting: numbers.lanes[lane]
                .waiting
                .max(position.unwrap_or_default()),
            eta: position.and_then(|position| meter.eta(numbers, lane, position)),
            state: numbers.state,
            lane: self.lane.clone(),
        });
        let changed = self.tell.send_if_modified(|told| {
            let changed = told.as_ref() != Some(&update);
            if changed {
                *told = Some(update);
            }
            changed
        });
        if changed {
            *told_at_ms = numbers.now_ms;
        }
    }
}

/// At most so many people stand before `sequence`, by the ranks of the samples; `at` is the first
/// sample above it.
///
/// Everybody below the next sample but the person themselves: `rank(next) - 1`. Between two
/// sequences stand at most as many people as their distance: `rank(last) + sequence - last`.
/// Between two drawn scores, which are below zero, stands any number.
fn upper_bound(known: &[(i64, u64)], at: usize, sequence: i64) -> Option<u64> {
    let last = known[..at].last().filter(|(last, _)| *last >= 0);
    let by_distance = last.and_then(|(last, rank)| {
        let distance = u64::try_from(sequence.checked_sub(*last)?).ok()?;
        Some(rank.saturating_add(distance))
    });
    let by_next = known.get(at).map(|(_, rank)| rank.saturating_sub(1));
    by_distance.into_iter().chain(by_next).min()
}

/// Chooses at most `most` of the people: everybody at the front, then one after ever wider gaps, and
/// the last, so that the gaps stay a small part of the position. The phase moves the gaps.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // indexes of people are far below 2^52 and not negative
fn choose<'a>(
    people: impl Iterator<Item = &'a (i64, UserId)> + Clone,
    most: usize,
    phase: usize,
) -> Vec<i64> {
    let count = people.clone().count();
    let front = if count <= most { count } else { most / 3 };
    let wider = (most - front.min(most)).saturating_sub(1).max(1);
    let ratio = (count as f64 / front.max(1) as f64).powf(1.0 / wider as f64);
    let start = phase as f64 / SAMPLE_PHASES as f64;
    let mut next = 0;
    let mut chosen = Vec::with_capacity(most);
    for (index, (score, _)) in people.enumerate() {
        if index != next && index + 1 != count {
            continue;
        }
        chosen.push(*score);
        next = if index + 1 < front {
            index + 1
        } else {
            let power = start + chosen.len().saturating_sub(front) as f64;
            ((front as f64 * ratio.powf(power)) as usize).max(index + 1)
        };
    }
    chosen
}

/// How many of these to look up in a tick, so that all are within the time.
fn slice_size(people: usize, tick_ms: i64) -> usize {
    let ticks = usize::try_from(LOOK_UP_WITHIN_MS / tick_ms.max(1))
        .unwrap_or(1)
        .max(1);
    people.div_ceil(ticks).max(64)
}

/// The id that sorts before all others.
fn least() -> UserId {
    UserId::new("\u{20}").unwrap_or_else(|_| unreachable!("a space is an id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_between_samples() {
        // Drawn people and people who came later, in one line; samples of each part.
        let drawn = [-900_000, -500_000, -499_999, -70, -3, -1];
        let queued = [1, 5, 6, 7, 20, 21, 30, 40, 41, 50];
        let line: Vec<i64> = drawn.into_iter().chain(queued).collect();
        let rank = |probe: i64| line.iter().filter(|score| **score < probe).count() as u64;
        let probes = [-900_000 + 1, -70 + 1, -1 + 1, 1, 20, 50];
        let known: Vec<(i64, u64)> = probes.iter().map(|probe| (*probe, rank(*probe))).collect();
        for sequence in &line {
            let at = known.partition_point(|(probe, _)| probe <= sequence);
            let bound = upper_bound(&known, at, *sequence).unwrap();
            assert!(bound >= rank(*sequence), "{sequence}: {bound}");
            assert!(bound <= rank(*sequence) + 4, "{sequence}: {bound}");
        }
        let bound = |sequence: i64| {
            let at = known.partition_point(|(probe, _)| *probe <= sequence);
            upper_bound(&known, at, sequence)
        };
        // Exact where a sample is, whether drawn or not, and by distance behind the last.
        assert_eq!(
            [bound(-900_000), bound(-70), bound(-1)],
            [Some(0), Some(3), Some(5)]
        );
        assert_eq!(
            [bound(1), bound(20), bound(50)],
            [Some(6), Some(10), Some(15)]
        );
        assert_eq!(bound(60), Some(25));
        // Two with one score count each other, never nobody.
        assert_eq!(upper_bound(&[(-69, 2)], 0, -70), Some(1));
        assert_eq!(upper_bound(&[(-69, 2)], 1, -3), None);
        assert_eq!(upper_bound(&[], 0, -3), None);
    }

    #[test]
    fn samples_are_dense_at_the_front_and_few() {
        for (count, most) in [
            (0, 256),
            (1, 1),
            (10, 8),
            (256, 256),
            (257, 256),
            (300, 16),
            (100_000, 128),
        ] {
            let line: Vec<(i64, UserId)> = (0..count).map(|index| (index, least())).collect();
            let mut seen = std::collections::BTreeSet::new();
            for phase in 0..SAMPLE_PHASES {
                let chosen = choose(line.iter(), most, phase);
                assert!(chosen.len() <= most, "{} of {most}", chosen.len());
                assert_eq!(chosen.last(), line.last().map(|(last, _)| last));
                assert!(chosen.is_sorted_by(|a, b| a < b));
                for (index, pair) in chosen.windows(2).enumerate() {
                    let front = index + 1 < most / 3;
                    assert!(!front || pair[1] == pair[0] + 1, "{pair:?}");
                }
                seen.extend(chosen);
            }
            if count == 100_000 {
                assert!(seen.len() > 500, "{}", seen.len());
                let close = |pair: &[i64]| pair[1] - pair[0] <= pair[0] / 6 + 1;
                assert!(choose(line.iter(), most, 3).windows(2).all(close));
            }
        }
    }

    #[test]
    fn everybody_is_looked_up_in_time() {
        assert_eq!(slice_size(0, 200), 64);
        assert_eq!(slice_size(20_000, 200) * 40, 20_000);
    }
}
