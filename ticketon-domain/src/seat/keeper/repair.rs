//! Comparing maps with the ledger, and mending what differs.
//!
//! A map follows the ledger message by message, and may miss one: a store that lost its last writes forgets that a hold was
//! pinned, or that seats were sold; a process that stood still tells it something old. So every few minutes the map of
//! each near event is compared with the ledger, by each process in its own time:
//!
//! | the ledger | the map | is mended |
//! | --- | --- | --- |
//! | has a seat as sold or being paid for | has it otherwise, and not held by that order's hold | it is sold |
//! | has a seat as sold | has it held by that hold, pinned, and no order is being paid with it | it is sold |
//! | has a seat as not sold | has it as sold | it is free |
//! | knows no order that is being paid with a hold, nor seats sold from it | has the hold pinned | it has a deadline again |
//!
//! What is on its way is no difference. A difference counts when it is found by two looks in a row, the same each time,
//! and the map has meanwhile been told everything that was committed before the end of the first. The map is read before
//! the ledger: what the ledger says was so after what the map says. And each change names what was found, so one that comes
//! late changes nothing. A comparison reads much, so a process looks at one map at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ticketon_queue::id::random_bytes;
use ticketon_queue::{EventId, StoreError, UnixMs, UserId};
use tokio::sync::watch;

use super::near::Near;
use crate::event::Event;
use crate::seat::service::Shared;
use crate::seat::{
    Hold, HoldId, HoldKey, HoldReply, MAX_BATCH, MAX_OWNED, MAX_PINNED, Mapped, Mend, Owned,
    SeatState, Truth, Untold,
};
use crate::venue::{Layout, SeatIndex};

/// How often it is asked which maps are due.
const ROUND: Duration = Duration::from_secs(5);
/// How often the catalog is read, in milliseconds.
const LIST_EVERY_MS: i64 = 60_000;
/// How long a map is not looked at, in milliseconds; and up to how much longer, so that processes look at different times.
const LOOK_EVERY_MS: i64 = 180_000;
const JITTER_MS: i64 = 60_000;
/// How long it is not looked at when it differs, in milliseconds.
const LOOK_AGAIN_MS: i64 = 30_000;
/// The most differences that one look takes up; others are found by the next.
const MAX_DIFFERENCES: usize = 10_000;
/// The most pages of pinned holds that one look reads.
const MAX_PAGES: usize = 1_000;
/// How many differences a log line names.
const NAMED: usize = 10;

/// Something in which a map and the ledger differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Difference {
    /// A seat.
    Seat(Mend),
    /// A hold that is pinned, though nobody pays for it.
    Pinned {
        id: HoldId,
        user: UserId,
        fence: u64,
    },
}

/// What a process remembers of the last look at a map.
#[derive(Debug, Default)]
struct Looked {
    due_ms: UnixMs,
    epoch: u64,
    /// What differed, and the newest change that the map was yet to be told when it was found first.
    differences: HashMap<Difference, u64>,
    failing: bool,
}

/// The comparisons of this process.
#[derive(Debug)]
pub(crate) struct Repairs {
    shared: Arc<Shared>,
    near: Near,
    looked: HashMap<EventId, Looked>,
}

impl Repairs {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            near: Near::default(),
            looked: HashMap::new(),
        }
    }

    /// Works until the signal.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let clock = Arc::clone(&self.shared.clock);
        loop {
            let work = async {
                clock.sleep(ROUND).await;
                self.round().await;
            };
            tokio::select! {
                // Also when the last handle is gone. What a look had found is found again.
                _ = stop.wait_for(|stop| *stop) => return,
                () = work => {}
            }
        }
    }

    /// Looks at the maps that are due.
    async fn round(&mut self) {
        let shared = &self.shared;
        self.near.read(shared, LIST_EVERY_MS).await;
        let mut before = std::mem::take(&mut self.looked);
        for event in self.near.events() {
            let now = shared.clock.now_ms();
            let mut looked = before.remove(event.id()).unwrap_or_else(|| Looked {
                due_ms: now + jitter(LOOK_EVERY_MS),
                ..Looked::default()
            });
            // A clock that stepped back must not keep a map from being looked at.
            let is_due = now >= looked.due_ms || looked.due_ms - now > LOOK_EVERY_MS + JITTER_MS;
            if is_due {
                let found = look(shared, event, &mut looked).await;
                if let Err(error) = &found
                    && !looked.failing
                {
                    tracing::warn!(target: "ticketon::keeper", event = %event.id(), %error,
                        "could not compare the map with the ledger");
                }
                looked.failing = found.is_err();
                looked.due_ms = shared.clock.now_ms()
                    + if looked.differences.is_empty() {
                        LOOK_EVERY_MS + jitter(JITTER_MS)
                    } else {
                        LOOK_AGAIN_MS
                    };
            }
            self.looked.insert(event.id().clone(), looked);
        }
    }
}

fn jitter(up_to_ms: i64) -> i64 {
    i64::from(u32::from_ne_bytes(random_bytes())) % up_to_ms
}

/// One look at one map; mends what two looks found.
async fn look(shared: &Shared, event: &Event, looked: &mut Looked) -> Result<(), StoreError> {
    let before = std::mem::take(&mut looked.differences);
    let id = event.id();
    // Before the map is read: what is told by then, the map shows.
    let told_until = match shared.ledger.untold(id).await? {
        Untold::Unknown => return Ok(()),
        Untold::Nothing => u64::MAX,
        Untold::Changes { oldest, .. } => oldest,
    };
    let Mapped::Ready(head) = shared.store.head(id).await? else {
        return Ok(());
    };
    if head.spec.layout != event.layout_version() {
        return Ok(());
    }
    let layout = shared.layout_of(event).await?;
    let epoch = head.epoch;
    let before = if looked.epoch == epoch {
        before
    } else {
        HashMap::new()
    };
    looked.epoch = epoch;
    let Some((owned, pinned)) = read_map(shared, id, epoch, head.spec.seats).await? else {
        return Ok(());
    };
    let sold = read_ledger(shared, id, &layout).await?;
    let ids: Vec<HoldId> = pinned.iter().map(|hold| hold.id).collect();
    let paid_for: HashSet<HoldId> = shared
        .ledger
        .paid_for(id, &ids)
        .await?
        .into_iter()
        .collect();
    // After the ledger was read: whatever it said then has a number up to this one, or was told.
    let committed = match shared.ledger.untold(id).await? {
        Untold::Changes { newest, .. } => newest,
        Untold::Unknown | Untold::Nothing => 0,
    };
    let mut settled = Vec::new();
    for difference in differences(&owned, &sold, &pinned, &paid_for) {
        match before.get(&difference) {
            Some(found_at) if *found_at < told_until => settled.push(difference),
            found_at => {
                let found_at = found_at.copied().unwrap_or(committed);
                looked.differences.insert(difference, found_at);
            }
        }
    }
    mend(shared, event, &layout, epoch, settled).await
}

/// What each seat is, and the holds that are pinned; `None` when the map is another one by now.
async fn read_map(
    shared: &Shared,
    event: &EventId,
    epoch: u64,
    seats: u32,
) -> Result<Option<(Vec<Owned>, Vec<Hold>)>, StoreError> {
    let mut owned: Vec<Owned> = Vec::new();
    for from in (0..seats).step_by(MAX_OWNED) {
        let page = shared.store.owners(event, epoch, SeatIndex::new(from));
        let Mapped::Ready(page) = page.await? else {
            return Ok(None);
        };
        owned.extend(page);
    }
    let mut pinned: Vec<Hold> = Vec::new();
    for _ in 0..MAX_PAGES {
        let skip = u32::try_from(pinned.len()).unwrap_or(u32::MAX);
        let Mapped::Ready(page) = shared.store.pinned(event, epoch, skip).await? else {
            return Ok(None);
        };
        let is_last = page.len() < MAX_PINNED;
        pinned.extend(page);
        if is_last {
            break;
        }
    }
    Ok(Some((owned, pinned)))
}

/// The seats that the ledger has as sold or being paid for.
async fn read_ledger(
    shared: &Shared,
    event: &EventId,
    layout: &Layout,
) -> Result<HashMap<SeatIndex, (UserId, u64)>, StoreError> {
    let mut sold = HashMap::new();
    let mut after = None;
    loop {
        let page = shared.ledger.sold(event, after.as_ref(), MAX_BATCH).await?;
        for one in page.items {
            // What the layout does not have is not on its map.
            if let Some(seat) = layout.index_of(&one.seat) {
                sold.insert(seat, (one.user, one.fence));
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(sold);
        }
    }
}

/// In what a map and the ledger differ.
fn differences(
    owned: &[Owned],
    sold: &HashMap<SeatIndex, (UserId, u64)>,
    pinned: &[Hold],
    paid_for: &HashSet<HoldId>,
) -> Vec<Difference> {
    let idle = pinned.iter().filter(|hold| !paid_for.contains(&hold.id));
    let idle: Vec<&Hold> = idle.collect();
    let idle_fences: HashSet<u64> = idle.iter().map(|hold| hold.fence).collect();
    let seats = (0..).map(SeatIndex::new).zip(owned);
    let seats = seats.filter_map(|(seat, found)| {
        let is_sold = found.state == SeatState::Sold;
        let truth = match sold.get(&seat) {
            Some((_, fence)) if is_sold && found.owner == *fence => return None,
            // Its order is being paid, or its hold ends at its deadline.
            Some((_, fence))
                if found.state == SeatState::Held
                    && found.owner == *fence
                    && !idle_fences.contains(fence) =>
            {
                return None;
            }
            Some((user, fence)) => Truth::Sold {
                user: user.clone(),
                fence: *fence,
            },
            None if is_sold => Truth::Free,
            None => return None,
        };
        let found = *found;
        Some(Difference::Seat(Mend { seat, found, truth }))
    });
    let has_sold = |hold: &Hold| {
        let mut fences = hold.seats.iter().filter_map(|seat| sold.get(seat));
        fences.any(|(_, fence)| *fence == hold.fence)
    };
    let holds = idle.iter().filter(|hold| !has_sold(hold));
    let holds = holds.map(|hold| Difference::Pinned {
        id: hold.id,
        user: hold.user.clone(),
        fence: hold.fence,
    });
    seats.chain(holds).take(MAX_DIFFERENCES).collect()
}

/// Mends what two looks found.
async fn mend(
    shared: &Shared,
    event: &Event,
    layout: &Layout,
    epoch: u64,
    differences: Vec<Difference>,
) -> Result<(), StoreError> {
    let id = event.id();
    let (mut sell, mut free, mut unpin) = (Vec::new(), Vec::new(), Vec::new());
    for difference in differences {
        match difference {
            Difference::Seat(mend) if mend.truth == Truth::Free => free.push(mend),
            Difference::Seat(mend) => sell.push(mend),
            Difference::Pinned { id, user, fence } => unpin.push(HoldKey {
                id,
                user,
                fence: Some(fence),
            }),
        }
    }
    for (kind, mends) in [("sold", sell), ("freed", free)] {
        for batch in mends.chunks(MAX_BATCH) {
            let Mapped::Ready(done) = shared.store.mend(id, epoch, batch).await? else {
                return Ok(());
            };
            let named = batch.iter().take(NAMED);
            let seats: Vec<_> = named.filter_map(|mend| layout.label(mend.seat)).collect();
            repaired(event, kind, done.changed, &format_args!("{seats:?}"));
        }
    }
    // Long enough for a payment that begins at this moment.
    let ttl_ms = event.payment_deadline_ms() + event.payment_margin_ms();
    for key in unpin {
        let Mapped::Ready(reply) = shared.store.unpin(id, epoch, &key, ttl_ms).await? else {
            return Ok(());
        };
        if !matches!(reply, HoldReply::Done(_)) {
            continue;
        }
        repaired(event, "unpinned", 1, &key.id);
        // Somebody may have begun to pay with it since the ledger was asked.
        if !shared.ledger.paid_for(id, &[key.id]).await?.is_empty() {
            let _ = shared.store.pin(id, epoch, &key).await?;
        }
    }
    Ok(())
}

fn repaired(event: &Event, kind: &'static str, count: u64, which: &dyn std::fmt::Display) {
    if count > 0 {
        metrics::counter!("ticketon_seat_repairs_total", "kind" => kind).increment(count);
        tracing::warn!(target: "ticketon::keeper", event = %event.id(), kind, count, %which,
            "the map differed from the ledger, and was mended");
    }
}
