//! Whose the sold seats are, as far as it follows from what the store was told.

use std::collections::{BTreeMap, BTreeSet};

use ticketon_domain::seat::{Load, SeatState, SeatSync, Truth};
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::UserId;

use crate::seat_agreement::call::{Answer, Call};
use crate::seat_agreement::view::View;

#[derive(Debug, Default)]
pub(super) struct Sold {
    seats: BTreeMap<SeatIndex, (u64, UserId)>,
    /// Whether two sales of a seat in one batch left open whose it is.
    is_muddled: bool,
}

impl Sold {
    /// How many seats a person has bought, where that is known.
    pub(super) fn of(&self, user: &UserId) -> Option<usize> {
        let theirs = self.seats.values().filter(|(_, owner)| owner == user);
        (!self.is_muddled).then(|| theirs.count())
    }

    /// Follows a call, which says this of the ledger that does not come late.
    pub(super) fn follow(
        &mut self,
        (call, timely): (&Call, &[SeatSync]),
        answer: &Answer,
        before: &View,
        after: &View,
    ) {
        match (call, answer) {
            (_, answer) if answer.is_not_ready() => return,
            (Call::Begin(..), _) => *self = Self::default(),
            (Call::Mend(_, batch), _) => {
                for mend in batch {
                    let was_sold = before.state(mend.seat) == SeatState::Sold;
                    let known = self.seats.get(&mend.seat).map(|(fence, _)| *fence);
                    let is_found = if was_sold {
                        mend.found.state == SeatState::Sold && known == Some(mend.found.owner)
                    } else {
                        after.state(mend.seat) == SeatState::Sold
                    };
                    if let Truth::Sold { user, fence } = &mend.truth
                        && is_found
                    {
                        self.seats.insert(mend.seat, (*fence, user.clone()));
                    }
                }
            }
            (Call::Sync(..), _) => self.hear(timely),
            (Call::Load(_, seats), _) => {
                for one in seats {
                    if let Load::Sold { seat, user, fence } = one {
                        self.sell(*seat, *fence, user);
                    }
                }
            }
            _ => {}
        }
        if after.snapshot().is_some() {
            self.seats
                .retain(|seat, _| after.state(*seat) == SeatState::Sold);
        }
    }

    fn hear(&mut self, batch: &[SeatSync]) {
        let mut sales: BTreeSet<(SeatIndex, u64)> = BTreeSet::new();
        for message in batch {
            match message {
                SeatSync::Sold { user, fence, seats } => {
                    for seat in seats {
                        sales.insert((*seat, *fence));
                        self.sell(*seat, *fence, user);
                    }
                }
                SeatSync::Released { fence, seats, .. } => {
                    let is_given = |seat: &SeatIndex| seats.contains(seat);
                    self.seats
                        .retain(|seat, (owner, _)| !(owner == fence && is_given(seat)));
                }
            }
        }
        let seats: BTreeSet<SeatIndex> = sales.iter().map(|(seat, _)| *seat).collect();
        self.is_muddled |= seats.len() < sales.len();
    }

    /// Of two sales the newer fence counts.
    fn sell(&mut self, seat: SeatIndex, fence: u64, user: &UserId) {
        let owner = self.seats.entry(seat).or_insert((fence, user.clone()));
        if owner.0 < fence {
            *owner = (fence, user.clone());
        }
    }
}
