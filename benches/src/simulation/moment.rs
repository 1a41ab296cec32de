//! How the house looks, some times a second.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ticketon_queue::{Clock as _, SystemClock};

use super::world::World;

/// How often somebody looks.
const EVERY: Duration = Duration::from_millis(40);
/// How often a line is printed, in milliseconds.
const TELL_EVERY_MS: i64 = 2_000;

/// One look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Since the first look, in milliseconds.
    pub at_ms: i64,
    /// The same by the store's clock.
    pub store_ms: i64,
    /// How many wait.
    pub waiting: u64,
    /// How many wait in each lane, in the order of the plan.
    pub lanes: Vec<u64>,
    /// How many are let in at this moment.
    pub active: u64,
    /// How many were let in so far.
    pub admitted: u64,
    /// Whether the room lets people in.
    pub open: bool,
    /// How many orders were said to be paid so far.
    pub paid: u64,
    /// How many payments were said to be declined so far.
    pub declined: u64,
    /// The seats, while there is a map.
    pub seats: Option<Seats>,
}

/// How many seats are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats {
    /// Free.
    pub free: u64,
    /// Held.
    pub held: u64,
    /// Sold.
    pub sold: u64,
    /// Blocked.
    pub blocked: u64,
}

impl Moment {
    fn line(&self) -> String {
        let seats = self.seats.map_or_else(
            || "no map".to_owned(),
            |seats| {
                format!(
                    "{} free, {} held, {} sold",
                    seats.free, seats.held, seats.sold
                )
            },
        );
        let (seconds, waiting, active, paid) =
            (self.at_ms / 1_000, self.waiting, self.active, self.paid);
        format!("{seconds:>4} s: {waiting} wait, {active} inside, {seats}, {paid} orders paid")
    }
}

/// Looks until all has come to rest.
pub(super) async fn watch(world: Arc<World>) -> Vec<Moment> {
    let began_ms = SystemClock.now_ms();
    let mut moments: Vec<Moment> = Vec::new();
    let mut told_ms = 0;
    let mut map = None;
    while !world.is_at_rest() {
        let counters = &world.diary.counters;
        let asked_ms = SystemClock.now_ms();
        let head = world.head().await;
        if let Some(head) = &head {
            // Another epoch is another map: it knows nothing of the holds of the one before.
            if let Some((epoch, seen_ms)) = map
                && epoch != head.epoch
            {
                world.diary.map_lost(seen_ms, SystemClock.now_ms());
            }
            map = Some((head.epoch, asked_ms));
        }
        let seats = head.map(|head| Seats {
            free: u64::from(head.counts.free),
            held: u64::from(head.counts.held),
            sold: u64::from(head.counts.sold),
            blocked: u64::from(head.counts.blocked),
        });
        if let Some(numbers) = world.numbers().await {
            moments.push(Moment {
                at_ms: SystemClock.now_ms() - began_ms,
                store_ms: numbers.now_ms,
                waiting: numbers.waiting(),
                lanes: numbers.lanes.iter().map(|lane| lane.waiting).collect(),
                active: numbers.active,
                admitted: numbers.admitted_total,
                open: numbers.state.promotes(),
                paid: counters.paid.load(Ordering::Relaxed),
                declined: counters.declined.load(Ordering::Relaxed),
                seats,
            });
        }
        if let Some(moment) = moments.last()
            && moment.at_ms >= told_ms + TELL_EVERY_MS
        {
            told_ms = moment.at_ms;
            eprintln!("{}", moment.line());
        }
        SystemClock.sleep(EVERY).await;
    }
    moments
}
