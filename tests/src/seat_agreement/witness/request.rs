//! What somebody who asks for a hold may be told.

use ticketon_domain::seat::{Blocked, Choice, ENDED_TTL_MS, Held, Hold, HoldRequest, Mapped};
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::UserId;

use super::Witness;
use crate::seat_agreement::call::{Answer, Call};
use crate::seat_agreement::view::View;

impl Witness {
    /// S1: a request of an id that holds finds its hold, of an id that held not long ago it hears of the end, and never takes
    /// seats again.
    pub(super) fn retry(
        &mut self,
        call: &Call,
        answer: &Answer,
        before: &View,
    ) -> Result<(), String> {
        let (Call::Hold(_, request), Answer::Held(Mapped::Ready(held))) = (call, answer) else {
            return Ok(());
        };
        let (id, hash) = (request.id, request.request_hash);
        let living = before.living.values().find(|hold| hold.id == id);
        let known = self.ids.get(&id).copied();
        let same = known.is_some_and(|(first, _)| first == hash);
        if let Some(hold) = living {
            let own = Held::Taken(hold.clone());
            let wanted = if same { own } else { Held::Mismatch };
            ensure!(*held == wanted, "S1: a retry of {hold:?} is told {held:?}");
        } else if known.is_some_and(|(_, alive)| self.latest - alive <= ENDED_TTL_MS) {
            let is_told = match held {
                Held::Ended { .. } => same,
                Held::Mismatch => !same,
                _ => false,
            };
            ensure!(is_told, "S1: a retry of what has ended is told {held:?}");
        } else if matches!(held, Held::Taken(_)) {
            self.ids.insert(id, (hash, before.now));
        }
        Ok(())
    }

    /// How many seats a person has, held and sold, where that is known.
    fn has(&self, user: &UserId, view: &View) -> Option<u32> {
        let theirs = view.living.values().filter(|hold| hold.user == *user);
        let held: usize = theirs.map(|hold| hold.seats.len()).sum();
        u32::try_from(held + self.sold.of(user)?).ok()
    }

    /// S1, S2: a new hold is whole, is what was asked for, within the limits, and newer than all before.
    pub(super) fn new_holds(
        &mut self,
        call: &Call,
        answer: &Answer,
        before: &View,
        after: &View,
    ) -> Result<(), String> {
        let mut new = after
            .living
            .values()
            .filter(|hold| !before.living.contains_key(&hold.fence));
        let (Some(hold), None) = (new.next(), new.next()) else {
            ensure!(new.next().is_none(), "S1: two holds of one call");
            return Ok(());
        };
        let Call::Hold(epoch, request) = call else {
            return Err(format!("S2: {hold:?} was not asked for"));
        };
        ensure!(
            *answer == Answer::Held(Mapped::Ready(Held::Taken(hold.clone()))),
            "S1: {hold:?} was taken"
        );
        let is_theirs = hold.id == request.id && hold.user == request.user && hold.epoch == *epoch;
        ensure!(is_theirs, "S2: {hold:?} is somebody else's");
        ensure!(hold.fence > self.last_fence, "S2: the fence is not newer");
        self.last_fence = hold.fence;
        fits(request, hold)?;
        let has = self.has(&hold.user, after).unwrap_or(0);
        ensure!(
            hold.seats.len() <= request.limits.per_order as usize,
            "more than an order may have"
        );
        ensure!(
            has <= request.limits.per_user,
            "more than a person may have"
        );
        Ok(())
    }

    /// S4: what cannot be blocked is somebody's.
    pub(super) fn not_blocked(call: &Call, answer: &Answer, after: &View) -> Result<(), String> {
        let (Call::Block(..), Answer::Blocked(Mapped::Ready(Blocked::Unavailable { seats }))) =
            (call, answer)
        else {
            return Ok(());
        };
        ensure!(!seats.is_empty(), "S1: refused for no seat");
        for seat in seats {
            ensure!(!after.is_to_be_had(*seat), "S4: {seat} is to be had");
        }
        Ok(())
    }

    /// S1, S4: who is refused could not have had what they asked for.
    pub(super) fn refusals(
        &self,
        call: &Call,
        answer: &Answer,
        before: &View,
        after: &View,
    ) -> Result<(), String> {
        let (Call::Hold(_, request), Answer::Held(Mapped::Ready(held))) = (call, answer) else {
            return Ok(());
        };
        let is_free = |seat: u32| after.is_to_be_had(SeatIndex::new(seat));
        match (held, &request.choice) {
            (Held::Taken(_), _) => return Ok(()),
            (Held::Unavailable { seats }, Choice::Seats(asked)) => {
                ensure!(!seats.is_empty(), "S1: refused for no seat");
                for seat in asked {
                    let is_named = seats.contains(seat);
                    ensure!(
                        is_named != is_free(seat.get()),
                        "S1, S4: {seat} is named: {is_named}"
                    );
                }
            }
            (
                Held::NoSeats,
                Choice::Units {
                    count, start, len, ..
                },
            ) => {
                let free = (*start..*start + *len)
                    .filter(|unit| is_free(*unit))
                    .count();
                ensure!(
                    free < *count as usize || *count == 0,
                    "S4: {free} units are free"
                );
            }
            (Held::NoSeats, Choice::Adjacent { count, runs, .. }) => {
                let fits = runs.iter().any(|run| {
                    let firsts = run.start..(run.start + run.len + 1).saturating_sub(*count);
                    firsts
                        .into_iter()
                        .any(|first| (first..first + count).all(is_free))
                });
                ensure!(!fits || *count == 0, "S4: there is a place");
            }
            (Held::NoSeats, Choice::Seats(asked)) => {
                ensure!(asked.is_empty(), "S1: no answer about {asked:?}");
            }
            (Held::OverUserLimit { has }, _) => {
                let known = self.has(&request.user, before);
                ensure!(
                    known.is_none_or(|known| known == *has),
                    "S4: the person has {known:?} seats, not {has}"
                );
            }
            (Held::Unavailable { .. }, _) => return Err("S1: nobody named a seat".to_owned()),
            _ => {}
        }
        // All or none.
        for (fence, hold) in &before.living {
            ensure!(
                after.living.get(fence) == Some(hold),
                "S1: a refusal changed {hold:?}"
            );
        }
        Ok(())
    }
}

/// Whether a hold is what was asked for.
fn fits(request: &HoldRequest, hold: &Hold) -> Result<(), String> {
    let first = hold.seats.first().map_or(0, |seat| seat.get());
    let is_fine = match &request.choice {
        Choice::Seats(seats) => *seats == hold.seats,
        Choice::Adjacent { count, runs, .. } => {
            let side_by_side = (first..).map(SeatIndex::new);
            let is_inside = runs
                .iter()
                .any(|run| run.start <= first && first + count <= run.start + run.len);
            hold.seats.len() == *count as usize
                && is_inside
                && hold
                    .seats
                    .iter()
                    .copied()
                    .eq(side_by_side.take(*count as usize))
        }
        Choice::Units {
            count, start, len, ..
        } => {
            let area = *start..*start + *len;
            hold.seats.len() == *count as usize
                && hold.seats.iter().all(|unit| area.contains(&unit.get()))
        }
    };
    ensure!(is_fine, "S1: {hold:?} is not {:?}", request.choice);
    let lasts = hold.deadline_ms.map(|end| end - hold.taken_at_ms);
    ensure!(
        lasts.is_some_and(|lasts| lasts > 0 && (lasts <= request.ttl_ms || lasts == 1)),
        "{hold:?} lasts too long"
    );
    Ok(())
}
