//! Which seats a request gets, if any.

use ticketon_queue::UnixMs;

use super::SeatMap;
use crate::seat::best::adjacent;
use crate::seat::state::SeatState;
use crate::seat::store::{Choice, Held};
use crate::venue::SeatIndex;

impl SeatMap {
    /// The seats of a choice, all free, in the order of the request; or the refusal.
    pub(super) fn choose(&mut self, choice: &Choice, now: UnixMs) -> Result<Vec<SeatIndex>, Held> {
        if let Choice::Seats(seats) = choice {
            return self.choose_named(seats, now);
        }
        if let Some(seats) = self.choose_any(choice) {
            return Ok(seats);
        }
        // Nobody is told that there are no seats while some are only not swept yet.
        self.end_due(now);
        self.choose_any(choice).ok_or(Held::NoSeats)
    }

    fn choose_named(&mut self, seats: &[SeatIndex], now: UnixMs) -> Result<Vec<SeatIndex>, Held> {
        if seats.is_empty() {
            return Err(Held::NoSeats);
        }
        for seat in seats {
            self.end_if_in_the_way(*seat, now);
        }
        let unavailable: Vec<SeatIndex> = seats
            .iter()
            .enumerate()
            .filter(|(at, seat)| !self.is_free(**seat) || seats[..*at].contains(seat))
            .map(|(_, seat)| *seat)
            .collect();
        if unavailable.is_empty() {
            Ok(seats.to_vec())
        } else {
            Err(Held::Unavailable { seats: unavailable })
        }
    }

    fn choose_any(&self, choice: &Choice) -> Option<Vec<SeatIndex>> {
        match choice {
            Choice::Seats(_) => None,
            Choice::Adjacent { count: 0, .. } | Choice::Units { count: 0, .. } => None,
            Choice::Adjacent {
                count,
                runs,
                orphans,
            } => {
                let is_free = |index| self.is_free(SeatIndex::new(index));
                let first = adjacent::pick(is_free, runs, *count, *orphans)?;
                Some((first..first + count).map(SeatIndex::new).collect())
            }
            Choice::Units {
                count,
                start,
                len,
                offset,
            } => {
                let from = offset.checked_rem(*len)?;
                let units = (from..*len).chain(0..from);
                let free: Vec<SeatIndex> = units
                    .filter_map(|unit| start.checked_add(unit))
                    .map(SeatIndex::new)
                    .filter(|unit| self.is_free(*unit))
                    .take(*count as usize)
                    .collect();
                (free.len() == *count as usize).then_some(free)
            }
        }
    }

    pub(super) fn is_free(&self, seat: SeatIndex) -> bool {
        self.state(seat) == SeatState::Free
    }

    /// Ends the hold that has this seat if its time is over.
    pub(super) fn end_if_in_the_way(&mut self, seat: SeatIndex, now: UnixMs) {
        if self.state(seat) == SeatState::Held {
            self.end_if_expired(self.owner(seat), now);
        }
    }
}
