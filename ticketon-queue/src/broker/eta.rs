//! How long it will take, from what the room does at present.
//!
//! People are admitted as fast as the rate allows while slots are free, and as fast as slots come
//! free once they are not. How often people give up waiting, and how long an admission is held,
//! is measured over the last minutes, the latter in two ways: people times seconds for each ending
//! (Little's law), which is too long while the first who are in stay; and how long ago as many were
//! admitted as have ended by now, which is too short while only the quick ones left. Where a room
//! has settled the two meet. What was admitted lately says little: with nobody in line, it is
//! how many came.
//!
//! `score.rs` holds the estimates against what then happened.

#[cfg(test)]
mod score;

use std::collections::VecDeque;

use crate::clock::UnixMs;
use crate::store::{OUTAGE_MS, RoomNumbers};

/// What was measured this long ago counts a third; where little happens, up to the longest.
const MEMORY_S: f64 = 120.0;
const LONGEST_MEMORY_S: f64 = 600.0;
/// So many endings are enough to go by.
const ENOUGH_ENDINGS: f64 = 50.0;
/// Before this many seconds of watching, the config alone is believed.
const COLD_S: f64 = 2.0;
/// How many standard deviations the bounds are apart from the estimate.
const SPREAD: f64 = 1.6;
/// Admissions are remembered by the second, so many times at the most; then every other one is forgotten.
const ADMITTED_EVERY_MS: i64 = 1_000;
const MOST_ADMITTED: usize = 1_024;
/// Beyond a week no number helps.
const MAX_SECONDS: f64 = 604_800.0;

/// An estimate in seconds, with the bounds that people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Eta {
    /// The estimate.
    pub seconds: u64,
    /// Probably not sooner.
    pub low_seconds: u64,
    /// Probably not later.
    pub high_seconds: u64,
}

/// A room's numbers at the last look.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: UnixMs,
    epoch: u64,
    active: u64,
    waiting: u64,
    admitted: u64,
    /// Admissions that have ended, in whatever way.
    ended: u64,
    /// Places that ended in line.
    gave_up: u64,
}

impl Seen {
    fn of(numbers: &RoomNumbers) -> Self {
        let waiting = numbers.waiting();
        let placed = numbers.admitted_total + waiting;
        Self {
            at: numbers.now_ms,
            epoch: numbers.epoch,
            active: numbers.active,
            waiting,
            admitted: numbers.admitted_total,
            ended: numbers.admitted_total.saturating_sub(numbers.active),
            gave_up: numbers.joined_total.saturating_sub(placed),
        }
    }
}

/// What the room did over the last minutes; all of it fades.
#[derive(Debug, Default)]
pub(crate) struct RateMeter {
    last: Option<Seen>,
    /// How long admissions were watched, in seconds; does not fade.
    watched_s: f64,
    /// Admitted people times seconds, and how many admissions ended.
    held_s: f64,
    ended: f64,
    /// When how many had been admitted, from the latest of those that have ended on.
    admitted: VecDeque<(UnixMs, u64)>,
    /// By that, how long those that ended were held, and how many they are.
    paired_s: f64,
    paired: f64,
    /// Waiting people times seconds, and how many gave up.
    waited_s: f64,
    gave_up: f64,
}

/// How fast slots come free, per second, once all are taken: the estimate and its bounds.
struct Turnover {
    low: f64,
    likely: f64,
    high: f64,
}

#[allow(clippy::cast_precision_loss)] // people and milliseconds are far below 2^52
impl RateMeter {
    /// Looks at a room.
    pub(crate) fn note(&mut self, numbers: &RoomNumbers) {
        let now = Seen::of(numbers);
        let Some(last) = self.last.replace(now) else {
            self.remember(now);
            return;
        };
        if last.epoch != now.epoch {
            *self = Self {
                last: Some(now),
                ..Self::default()
            };
            return;
        }
        let passed_ms = now.at - last.at;
        // What happened during an outage, or a step of the clock, took an unknown time.
        if !(1..=OUTAGE_MS).contains(&passed_ms) {
            return;
        }
        let passed_s = passed_ms as f64 / 1_000.0;
        let memory_s = MEMORY_S * ENOUGH_ENDINGS / (self.ended + 1.0);
        let faded = (-passed_s / memory_s.clamp(MEMORY_S, LONGEST_MEMORY_S)).exp();
        let mean = |a: u64, b: u64| (a + b) as f64 / 2.0;
        self.held_s = self.held_s * faded + mean(last.active, now.active) * passed_s;
        self.ended = self.ended * faded + now.ended.saturating_sub(last.ended) as f64;
        self.waited_s = self.waited_s * faded + mean(last.waiting, now.waiting) * passed_s;
        self.gave_up = self.gave_up * faded + now.gave_up.saturating_sub(last.gave_up) as f64;
        if last.active + now.active > 0 {
            self.watched_s += passed_s;
        }
        self.remember(now);
        self.paired_s *= faded;
        self.paired *= faded;
        if now.ended > last.ended
            && let Some(admitted_at) = self.admitted_at(now.ended)
        {
            let ended = (now.ended - last.ended) as f64;
            self.paired += ended;
            self.paired_s += ended * (now.at - admitted_at).max(0) as f64 / 1_000.0;
        }
    }

    fn remember(&mut self, now: Seen) {
        let known = self.admitted.back().is_some_and(|(at, admitted)| {
            now.at - at < ADMITTED_EVERY_MS || *admitted == now.admitted
        });
        if known {
            return;
        }
        self.admitted.push_back((now.at, now.admitted));
        if self.admitted.len() > MOST_ADMITTED {
            let mut keep = false;
            self.admitted.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    /// About when so many had been admitted; `None` when that was before anybody watched.
    fn admitted_at(&mut self, count: u64) -> Option<UnixMs> {
        while self.admitted.get(1).is_some_and(|(_, next)| *next < count) {
            self.admitted.pop_front();
        }
        let (before, admitted) = *self.admitted.front()?;
        let (after, _) = *self.admitted.get(1)?;
        (admitted < count).then_some(i64::midpoint(before, after))
    }

    /// The estimate for a position in a lane. `None` where nobody can know: the room does not
    /// admit, or it is full and nobody has left it while it was watched.
    pub(crate) fn eta(&self, numbers: &RoomNumbers, lane: usize, position: u64) -> Option<Eta> {
        if !numbers.state.promotes() {
            return None;
        }
        let config = &numbers.config;
        let people = admitted_until(numbers, lane, position as f64)?;
        let free = f64::from(config.capacity()) - numbers.active as f64;
        if free <= 0.0 && self.ended < 0.5 {
            return None;
        }
        let turnover = self.turnover(numbers);
        let seconds = |per_second: f64| {
            let by_rate = self.until_served(people, f64::from(config.admit_per_second()));
            let by_slots = self.until_served((people - free.max(0.0)).max(0.0), per_second);
            by_rate.max(by_slots).min(MAX_SECONDS)
        };
        let likely = seconds(turnover.likely);
        let low = seconds(turnover.high) * 0.95 - 1.0;
        let high = seconds(turnover.low) * 1.05 + 1.0;
        Some(Eta::rounded(low.min(likely), likely, high.max(likely)))
    }

    /// When so many people have left the line, by being admitted at this pace or by giving up.
    fn until_served(&self, people: f64, per_second: f64) -> f64 {
        // As if ten minutes without anybody giving up had been watched before.
        let gives_up = self.gave_up / (self.waited_s + 600.0);
        if gives_up * people < 0.001 * per_second {
            return people / per_second;
        }
        (1.0 + gives_up * people / per_second).ln() / gives_up
    }

    fn turnover(&self, numbers: &RoomNumbers) -> Turnover {
        let config = &numbers.config;
        let capacity = f64::from(config.capacity());
        // Whoever chose capacity and rate expects that the rate can be kept.
        let expected_s = capacity / f64::from(config.admit_per_second());
        if self.watched_s < COLD_S {
            let likely = capacity / expected_s;
            return Turnover {
                low: likely / 1.5,
                likely,
                high: likely / 0.8,
            };
        }
        let longest_s = (config.entry_ttl_ms() as f64 / 1_000.0).max(expected_s);
        let within = |seconds: f64| seconds.clamp(0.001, longest_s);
        let by_law = within((self.held_s + expected_s) / (self.ended + 1.0));
        let by_pairs = if self.paired >= 1.0 {
            within(self.paired_s / self.paired)
        } else if Seen::of(numbers).ended < numbers.active {
            // The first are in, and next to none have ended: they may all end soon.
            within((2.0 * self.watched_s).max(expected_s)).min(by_law)
        } else {
            by_law
        };
        let doubt = SPREAD / (self.ended + 2.0).sqrt();
        Turnover {
            low: capacity / by_law.max(by_pairs) * (1.0 - doubt).max(0.3),
            likely: capacity / (by_law * by_pairs).sqrt(),
            high: capacity / by_law.min(by_pairs) * (1.0 + doubt),
        }
    }
}

/// How many people of all lanes are admitted until this position of this lane is: the lanes share
/// by weight, and one that has run empty leaves its share to the others.
#[allow(clippy::cast_precision_loss)] // people are far below 2^52
fn admitted_until(numbers: &RoomNumbers, lane: usize, position: f64) -> Option<f64> {
    let own = f64::from(numbers.lanes.get(lane)?.weight);
    let mut others: Vec<(f64, f64)> = numbers
        .lanes
        .iter()
        .enumerate()
        .filter(|(index, other)| *index != lane && other.waiting > 0)
        .map(|(_, other)| (f64::from(other.weight), other.waiting as f64))
        .collect();
    // Whoever has the fewest people for their weight runs empty first.
    others.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
    let turns = position / own;
    let ahead: f64 = others
        .iter()
        .map(|(weight, waiting)| (weight * turns).min(*waiting))
        .sum();
    Some(position + ahead)
}

impl Eta {
    /// Steps that grow with the time, outwards: a number that changes with each breath tells less.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 0 and MAX_SECONDS
    fn rounded(low: f64, likely: f64, high: f64) -> Self {
        let step = |seconds: f64| match seconds {
            ..30.0 => 1.0,
            30.0..180.0 => 5.0,
            180.0..900.0 => 15.0,
            900.0..3_600.0 => 60.0,
            _ => 300.0,
        };
        let down = |seconds: f64| (seconds / step(seconds)).floor() * step(seconds);
        let up = |seconds: f64| (seconds / step(seconds)).ceil() * step(seconds);
        let low_seconds = down(low.max(0.0)) as u64;
        Self {
            seconds: likely.ceil() as u64,
            low_seconds,
            high_seconds: (up(high.min(MAX_SECONDS)) as u64).max(low_seconds + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Lane, RoomConfig};
    use crate::id::{LaneName, UserId};
    use crate::room::Room;
    use crate::state::RoomVerb;
    use crate::store::{JoinRequest, Presence};

    fn room(capacity: u32) -> Room {
        let config = RoomConfig::builder()
            .capacity(capacity)
            .admit_per_second(6)
            .build()
            .unwrap();
        Room::new(config, 0)
    }

    fn join(room: &mut Room, name: &str, lane: Option<&str>, now: UnixMs) {
        let request = JoinRequest {
            user: UserId::new(name).unwrap(),
            lane: lane.map(|lane| LaneName::new(lane).unwrap()),
            presence: Presence::Poll,
            resume: None,
        };
        room.join(&request, now);
    }

    #[test]
    fn without_experience_the_config_is_believed() {
        let numbers = room(60).numbers(0);
        let eta = RateMeter::default().eta(&numbers, 0, 240).unwrap();
        assert_eq!(
            (eta.low_seconds, eta.seconds, eta.high_seconds),
            (35, 40, 50)
        );
    }

    #[test]
    fn a_quiet_room_is_not_taken_for_a_slow_one() {
        let mut room = room(1_000);
        let mut meter = RateMeter::default();
        for second in 0..120 {
            let now = second * 1_000;
            join(&mut room, &format!("visitor {second}"), None, now);
            room.tick(1_000, now);
            meter.note(&room.numbers(now));
        }
        let eta = meter.eta(&room.numbers(120_000), 0, 60).unwrap();
        assert_eq!(eta.seconds, 10);
    }

    #[test]
    fn what_nobody_can_know_is_not_told() {
        let mut full = room(1);
        join(&mut full, "a", None, 0);
        assert_eq!(RateMeter::default().eta(&full.numbers(0), 0, 5), None);
        let mut paused = room(1);
        paused.change_state(RoomVerb::Pause);
        assert_eq!(RateMeter::default().eta(&paused.numbers(0), 0, 5), None);
        assert_eq!(RateMeter::default().eta(&room(1).numbers(0), 7, 5), None);
    }

    #[test]
    fn lanes_share_until_one_is_empty() {
        let lane = |name: &str, weight| Lane {
            name: LaneName::new(name).unwrap(),
            weight,
        };
        let config = RoomConfig::builder()
            .capacity(1)
            .lanes(vec![lane("vip", 3), lane("general", 1)])
            .build()
            .unwrap();
        let mut room = Room::new(config, 0);
        for index in 0..31 {
            join(&mut room, &format!("v{index}"), Some("vip"), 0);
            join(&mut room, &format!("g{index}"), Some("general"), 0);
        }
        let numbers = room.numbers(0);
        assert_eq!(numbers.lanes[0].waiting, 30, "one is admitted");
        assert_eq!(admitted_until(&numbers, 0, 30.0), Some(40.0));
        assert_eq!(admitted_until(&numbers, 1, 5.0), Some(20.0));
        assert_eq!(admitted_until(&numbers, 1, 20.0), Some(50.0));
        assert_eq!(admitted_until(&numbers, 2, 1.0), None);
    }

    #[test]
    fn bounds_are_rounded_outwards() {
        let eta = Eta::rounded(0.0, 0.4, 0.9);
        assert_eq!((eta.low_seconds, eta.seconds, eta.high_seconds), (0, 1, 1));
        let eta = Eta::rounded(71.0, 84.2, 108.0);
        assert_eq!(
            (eta.low_seconds, eta.seconds, eta.high_seconds),
            (70, 85, 110)
        );
        let eta = Eta::rounded(1_000.0, 4_000.0, f64::INFINITY);
        assert_eq!((eta.low_seconds, eta.high_seconds), (960, 604_800));
    }
}
