//! The ledger of a life: what is sold for good, and what the map has still to be told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ticketon_domain::seat::{Hold, Load, Mend, Owned, SeatState, SeatSync, Snapshot, Truth};
use ticketon_domain::venue::SeatIndex;
use ticketon_queue::UserId;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    sold: BTreeMap<SeatIndex, (UserId, u64)>,
    /// The newest fence under which each seat was given back.
    given_back: BTreeMap<SeatIndex, u64>,
    pub(super) blocked: BTreeSet<SeatIndex>,
    sales: Vec<(UserId, u64, Vec<SeatIndex>)>,
    /// Messages that no answer was heard to, in the order of the commits.
    pub(super) outbox: VecDeque<SeatSync>,
}

impl Ledger {
    /// Whether this hold was bought.
    pub(super) fn has_sold(&self, fence: u64) -> bool {
        self.sales.iter().any(|(_, sold, _)| *sold == fence)
    }

    /// Writes a sale down; `false` when a seat is sold already, or was to somebody who held it later: in a shop the seats are
    /// reserved before the hold is pinned, so nobody buys them in between.
    pub(super) fn sell(&mut self, hold: &Hold) -> bool {
        let is_gone = |seat: &SeatIndex| {
            let later = self.given_back.get(seat);
            self.sold.contains_key(seat) || later.is_some_and(|later| *later > hold.fence)
        };
        if hold.seats.iter().any(is_gone) {
            return false;
        }
        let (user, fence, seats) = (hold.user.clone(), hold.fence, hold.seats.clone());
        for seat in &seats {
            self.sold.insert(*seat, (user.clone(), fence));
        }
        self.sales.push((user.clone(), fence, seats.clone()));
        self.outbox.push_back(SeatSync::Sold { user, fence, seats });
        true
    }

    /// Takes seats of a sale back, so many sales ago.
    pub(super) fn refund(&mut self, back: u8, wanted: &[SeatIndex]) {
        let Some((user, fence, seats)) = self.sales.iter().rev().nth(usize::from(back)).cloned()
        else {
            return;
        };
        let is_sold = |seat: &SeatIndex| self.sold.get(seat).is_some_and(|sold| sold.1 == fence);
        let seats: Vec<SeatIndex> = seats
            .into_iter()
            .filter(|seat| is_sold(seat) && (wanted.is_empty() || wanted.contains(seat)))
            .collect();
        if seats.is_empty() {
            return;
        }
        for seat in &seats {
            self.sold.remove(seat);
            let newest = self.given_back.entry(*seat).or_default();
            *newest = fence.max(*newest);
        }
        self.outbox
            .push_back(SeatSync::Released { user, fence, seats });
    }

    /// What a rebuild reads.
    pub(super) fn read(&self) -> Vec<Load> {
        let blocked = self
            .blocked
            .iter()
            .map(|seat| Load::Blocked { seat: *seat });
        let sold = self.sold.iter().map(|(seat, (user, fence))| Load::Sold {
            seat: *seat,
            user: user.clone(),
            fence: *fence,
        });
        let given_back = self.given_back.iter();
        let given_back = given_back.map(|(seat, fence)| Load::GivenBack {
            seat: *seat,
            fence: *fence,
        });
        blocked.chain(sold).chain(given_back).collect()
    }

    /// Whether a hold is of no use any more: nobody pays with it, and nothing was sold from it.
    pub(super) fn is_idle(&self, hold: &Hold, paying: &[Hold]) -> bool {
        let is_paid_for = paying.iter().any(|order| order.fence == hold.fence);
        !is_paid_for && !self.has_sold(hold.fence)
    }

    /// What a map has otherwise.
    pub(super) fn mends(&self, owned: &[Owned]) -> Vec<Mend> {
        let seats = (0..).map(SeatIndex::new).zip(owned);
        let mends = seats.filter_map(|(seat, found)| {
            let is_sold = found.state == SeatState::Sold;
            let truth = match self.sold.get(&seat) {
                Some((_, fence)) if is_sold && *fence == found.owner => return None,
                Some((user, fence)) => Truth::Sold {
                    user: user.clone(),
                    fence: *fence,
                },
                None if is_sold => Truth::Free,
                None => return None,
            };
            let found = *found;
            Some(Mend { seat, found, truth })
        });
        mends.collect()
    }

    /// Compares a map that has heard everything.
    pub(super) fn agrees(&self, snapshot: &Snapshot) -> Result<(), String> {
        for seat in (0..snapshot.head.spec.seats).map(SeatIndex::new) {
            let is_sold = snapshot.state(seat) == Some(SeatState::Sold);
            if is_sold != self.sold.contains_key(&seat) {
                return Err(format!(
                    "seat {seat} is {:?}, in the ledger it is {:?}",
                    snapshot.state(seat),
                    self.sold.get(&seat)
                ));
            }
        }
        Ok(())
    }
}
