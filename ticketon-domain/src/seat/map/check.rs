//! What must be true of a map between any two calls.

use std::collections::HashMap;

use ticketon_queue::UserId;

use super::{Has, Known, Phase, SeatMap};
use crate::seat::state::{Counts, SeatState};
use crate::seat::store::KEPT_CHANGES;
use crate::venue::SeatIndex;

macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}

impl SeatMap {
    /// Recounts everything: the states of the seats (promise S3), that each held seat is in exactly one
    /// hold and each hold has its seats (S1), and that whatever is kept twice is the same. For tests.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        ensure!(
            self.phase != Phase::Absent || *self == Self::new(),
            "a map that is absent has something"
        );
        let counted = Counts::of(&self.bits, self.spec.seats);
        ensure!(
            counted == self.counts,
            "S3: counted {counted:?}, kept {:?}",
            self.counts
        );
        ensure!(
            counted.total() == self.spec.seats,
            "S3: {counted:?} of {} seats",
            self.spec.seats
        );
        ensure!(self.written.is_empty(), "writes were not published");
        self.check_holds()?;
        self.check_ends()?;
        self.check_people()?;
        self.check_changes()
    }

    fn check_holds(&self) -> Result<(), String> {
        let mut held = 0;
        for (fence, entry) in &self.holds {
            let hold = &entry.hold;
            ensure!(hold.fence == *fence, "{hold:?} is kept as {fence}");
            ensure!(
                *fence <= self.last_fence,
                "{hold:?} is newer than the last fence"
            );
            ensure!(hold.epoch == self.epoch, "{hold:?} is of another epoch");
            ensure!(!hold.seats.is_empty(), "{hold:?} has no seats");
            let fence = *fence;
            let known = self.ids.get(&hold.id);
            ensure!(
                known == Some(&Known::Living { fence }),
                "{hold:?} has the id of {known:?}"
            );
            if let Some(deadline) = hold.deadline_ms {
                let is_due = self.deadlines.contains(&(deadline, fence));
                ensure!(is_due, "{hold:?} would never end");
            }
            for seat in &hold.seats {
                let (state, owner) = (self.state(*seat), self.owner(*seat));
                ensure!(
                    state == SeatState::Held && owner == fence,
                    "S1: seat {seat:?} of {hold:?} is {state:?} by {owner}"
                );
            }
            held += hold.seats.len();
        }
        ensure!(
            held == self.counts.held as usize,
            "S1: {held} seats are in holds, {} are held",
            self.counts.held
        );
        let unpinned = self.holds.values().filter_map(|one| one.hold.deadline_ms);
        ensure!(
            unpinned.count() == self.deadlines.len(),
            "{:?} has deadlines of no holds",
            self.deadlines
        );
        Ok(())
    }

    fn check_ends(&self) -> Result<(), String> {
        let (mut living, mut ended) = (0, 0);
        for (id, known) in &self.ids {
            match known {
                Known::Living { .. } => living += 1,
                Known::Ended { at, .. } => {
                    ended += 1;
                    let is_kept = self.ended.contains(&(*at, *id));
                    ensure!(is_kept, "the end of {id} would never be forgotten");
                }
            }
        }
        ensure!(
            living == self.holds.len(),
            "{living} ids of {} holds",
            self.holds.len()
        );
        ensure!(
            ended == self.ended.len(),
            "{ended} ids of {} ends",
            self.ended.len()
        );
        Ok(())
    }

    fn check_people(&self) -> Result<(), String> {
        let mut users: HashMap<&UserId, Has> = HashMap::new();
        let mut sold: HashMap<u64, u32> = HashMap::new();
        for entry in self.holds.values() {
            let has = users.entry(&entry.hold.user).or_default();
            has.holds.insert(entry.hold.fence);
        }
        for seat in (0..self.spec.seats).map(SeatIndex::new) {
            if self.state(seat) == SeatState::Sold {
                *sold.entry(self.owner(seat)).or_default() += 1;
            }
        }
        ensure!(
            sold.len() == self.sold.len(),
            "seats are sold under {sold:?}, kept is {:?}",
            self.sold
        );
        for (fence, count) in sold {
            let Some((user, kept)) = self.sold.get(&fence) else {
                return Err(format!("nobody has the {count} seats of {fence}"));
            };
            ensure!(
                *kept == count,
                "{user} has {count} seats of {fence}, kept is {kept}"
            );
            users.entry(user).or_default().sold += count;
        }
        let kept: HashMap<&UserId, Has> = self
            .users
            .iter()
            .map(|(user, has)| (user, has.clone()))
            .collect();
        ensure!(users == kept, "people have {users:?}, kept is {kept:?}");
        Ok(())
    }

    fn check_changes(&self) -> Result<(), String> {
        let kept = self.changes.len() as u64;
        ensure!(
            kept == self.version.min(KEPT_CHANGES as u64),
            "{kept} changes are kept at version {}",
            self.version
        );
        let versions = self.version - kept + 1..=self.version;
        let are_whole = self
            .changes
            .iter()
            .map(|change| change.version)
            .eq(versions);
        ensure!(are_whole, "the changes have a gap");
        let last = self.changes.back();
        let is_seen = last.is_none_or(|change| {
            let now = |(seat, state): &(SeatIndex, SeatState)| self.state(*seat) == *state;
            change.seats.iter().all(now)
        });
        ensure!(
            is_seen,
            "the last change is not what the map says: {last:?}"
        );
        Ok(())
    }
}
