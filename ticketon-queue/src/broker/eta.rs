//! How long it will take, from how fast the line moved.

use std::collections::VecDeque;

use crate::clock::UnixMs;
use crate::store::RoomNumbers;

/// The rate is measured over this long at the most.
const WINDOW_MS: i64 = 20_000;
/// Below this the measured rate says nothing yet.
const MIN_SPAN_MS: i64 = 2_000;
const SAMPLE_EVERY_MS: i64 = 500;
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

/// Admissions over the last seconds.
#[derive(Debug, Default)]
pub(crate) struct RateMeter {
    samples: VecDeque<(UnixMs, u64)>,
}

impl RateMeter {
    /// Notes how many admissions there have been.
    pub(crate) fn note(&mut self, now: UnixMs, admitted_total: u64) {
        if let Some((at, total)) = self.samples.back() {
            if now < *at || admitted_total < *total {
                self.samples.clear();
            } else if now - at < SAMPLE_EVERY_MS {
                return;
            }
        }
        self.samples.push_back((now, admitted_total));
        while self
            .samples
            .front()
            .is_some_and(|(at, _)| now - at > WINDOW_MS)
        {
            self.samples.pop_front();
        }
    }

    /// Admissions per second, once it was watched for long enough.
    #[allow(clippy::cast_precision_loss)] // counts and spans here are far below 2^52
    pub(crate) fn per_second(&self) -> Option<f64> {
        let ((from, first), (to, last)) = (self.samples.front()?, self.samples.back()?);
        let span = to - from;
        (span >= MIN_SPAN_MS).then(|| (last - first) as f64 * 1_000.0 / span as f64)
    }

    /// The estimate for a position in a lane. `None` where nobody can know: the room does not
    /// admit, or it is full and nobody has left it while it was watched.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // the values are bounded by MAX_SECONDS and not negative
    pub(crate) fn eta(&self, numbers: &RoomNumbers, lane: usize, position: u64) -> Option<Eta> {
        if !numbers.state.promotes() {
            return None;
        }
        let measured = self.per_second().filter(|rate| *rate > 0.0);
        let allowed = f64::from(numbers.config.admit_per_second());
        let free = numbers.active < u64::from(numbers.config.capacity());
        let (rate, low, high) = match measured {
            Some(rate) => (rate, 0.85, 1.25),
            None if free => (allowed, 0.8, 1.5),
            None => return None,
        };
        let own = numbers.lanes.get(lane)?;
        let sharing: u32 = numbers
            .lanes
            .iter()
            .filter(|other| other.waiting > 0 || other.name == own.name)
            .map(|other| other.weight)
            .sum();
        let share = f64::from(own.weight) / f64::from(sharing.max(1));
        let seconds = (position as f64 / (rate * share)).min(MAX_SECONDS);
        let low_seconds = (seconds * low).floor() as u64;
        Some(Eta {
            seconds: seconds.ceil() as u64,
            low_seconds,
            high_seconds: ((seconds * high).ceil() as u64).max(low_seconds + 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RoomConfig;
    use crate::id::UserId;
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

    #[test]
    fn measured_pace_beats_the_configured_one() {
        let numbers = room(10).numbers(0);
        let mut meter = RateMeter::default();
        let eta = meter.eta(&numbers, 0, 240).unwrap();
        assert_eq!(
            (eta.low_seconds, eta.seconds, eta.high_seconds),
            (32, 40, 60)
        );
        for second in 0..10_u8 {
            meter.note(i64::from(second) * 1_000, u64::from(second) * 12);
        }
        let eta = meter.eta(&numbers, 0, 240).unwrap();
        assert_eq!(
            (eta.low_seconds, eta.seconds, eta.high_seconds),
            (17, 20, 25)
        );
    }

    #[test]
    fn what_nobody_can_know_is_not_told() {
        let mut full = room(1);
        let request = JoinRequest {
            user: UserId::new("a").unwrap(),
            lane: None,
            presence: Presence::Poll,
            resume: None,
        };
        full.join(&request, 0);
        assert_eq!(RateMeter::default().eta(&full.numbers(0), 0, 5), None);
        let mut paused = room(1);
        paused.change_state(RoomVerb::Pause);
        assert_eq!(RateMeter::default().eta(&paused.numbers(0), 0, 5), None);
    }
}
