//! What people and observers write down while the sale runs: the other half of the evidence.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ticketon_domain::purchase::{OrderId, PaymentKey};
use ticketon_domain::seat::SeatHold;
use ticketon_queue::UserId;

/// How somebody's story ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// Has good tickets.
    Bought,
    /// Had tickets and gave some or all back.
    Returned,
    /// Found nothing that fits.
    NothingFits,
    /// Was told that all is sold, hoped for a while, and went home.
    SoldOut,
    /// Closed the page or left while in line.
    LeftLine,
    /// Was admitted and did not come.
    NoShow,
    /// Held seats and did not buy them.
    LetGo,
    /// Made an order and did not pay it.
    GaveUpOrder,
    /// The card was declined.
    Declined,
    /// The seats, or the time to pay, were gone when they paid: not charged.
    TooLate,
    /// Was told that the sale had a fault, again and again, and gave up.
    Fault,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Bought,
        Self::Returned,
        Self::NothingFits,
        Self::SoldOut,
        Self::LeftLine,
        Self::NoShow,
        Self::LetGo,
        Self::GaveUpOrder,
        Self::Declined,
        Self::TooLate,
        Self::Fault,
    ];

    /// For people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Bought => "bought tickets",
            Self::Returned => "bought, then gave tickets back",
            Self::NothingFits => "came in, nothing left that fits",
            Self::SoldOut => "in line when all was sold",
            Self::LeftLine => "left the line",
            Self::NoShow => "admitted, never came",
            Self::LetGo => "held seats, let them go",
            Self::GaveUpOrder => "ordered, did not pay",
            Self::Declined => "card declined",
            Self::TooLate => "too late to pay, not charged",
            Self::Fault => "met a fault and gave up",
        }
    }
}

/// A call that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Seats are asked for.
    Hold,
    /// An order is made.
    Initiate,
    /// It is paid, as long as the answer takes that is final.
    Confirm,
    /// Money is asked back.
    Refund,
    /// A code is shown at the gate.
    Gate,
}

impl Step {
    const ALL: [Self; 5] = [
        Self::Hold,
        Self::Initiate,
        Self::Confirm,
        Self::Refund,
        Self::Gate,
    ];

    /// For people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hold => "hold seats",
            Self::Initiate => "make the order",
            Self::Confirm => "pay",
            Self::Refund => "give back",
            Self::Gate => "enter",
        }
    }
}

/// How long calls of one kind took, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    /// Which.
    pub step: Step,
    /// How many.
    pub count: u64,
    /// The middle one.
    pub p50_ms: f64,
    /// 95 of 100 were faster.
    pub p95_ms: f64,
    /// 99 of 100 were faster.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// Somebody was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Through which lane.
    pub lane: String,
    /// The sequence of their place.
    pub sequence: i64,
    /// The admission's number.
    pub fence: u64,
    /// When.
    pub at_ms: i64,
    /// Until when they surely were in.
    pub until_ms: i64,
}

/// Somebody had a hold, and surely still had it at its end here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) hold: String,
    pub(super) fence: u64,
    pub(super) seats: Vec<String>,
    /// When the store says that it was taken.
    pub(super) from_ms: i64,
    pub(super) until_ms: i64,
}

/// What a person was answered under one idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) asked: String,
    pub(super) status: u16,
    pub(super) body: String,
}

/// Counters that people add to.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) joins: AtomicU64,
    pub(super) positions_up: AtomicU64,
    pub(super) vanished: AtomicU64,
    pub(super) second_places: AtomicU64,
    pub(super) cut_connections: AtomicU64,
    pub(super) found_again: AtomicU64,
    pub(super) lost_after_cut: AtomicU64,
    pub(super) positions: AtomicU64,
    pub(super) joined_twice: AtomicU64,
    pub(super) ran_out: AtomicU64,
    pub(super) strangers_refused: AtomicU64,
    pub(super) strangers_served: AtomicU64,
    pub(super) wrong_tokens_refused: AtomicU64,
    pub(super) wrong_tokens_taken: AtomicU64,
    pub(super) right_tokens_taken: AtomicU64,
    pub(super) doors_closed: AtomicU64,
    pub(super) doors_opened: AtomicU64,
    pub(super) two_orders: AtomicU64,
    pub(super) holds: AtomicU64,
    pub(super) partial_holds: AtomicU64,
    pub(super) same_answers: AtomicU64,
    pub(super) other_answers: AtomicU64,
    pub(super) other_bodies: AtomicU64,
    pub(super) other_bodies_taken: AtomicU64,
    pub(super) haggled: AtomicU64,
    pub(super) haggled_taken: AtomicU64,
    pub(super) entered: AtomicU64,
    pub(super) entered_twice: AtomicU64,
    pub(super) declined: AtomicU64,
    pub(super) paid: AtomicU64,
}

pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[derive(Debug)]
pub(super) struct Diary {
    pub(super) counters: Counters,
    admissions: Mutex<HashMap<u64, Admitted>>,
    holds: Mutex<HashMap<(String, u64), Held>>,
    in_line: Mutex<BTreeSet<UserId>>,
    maps_lost: Mutex<Vec<(i64, i64)>>,
    payments: Mutex<Vec<(OrderId, PaymentKey)>>,
    told_paid: Mutex<Vec<OrderId>>,
    endings: Mutex<BTreeMap<Ending, u64>>,
    times: Mutex<BTreeMap<Step, Histogram<u64>>>,
}

impl Diary {
    pub(super) fn new() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, 600_000_000, 3)
                .unwrap_or_else(|error| panic!("the bounds are fine: {error}"))
        };
        Self {
            counters: Counters::default(),
            admissions: Mutex::default(),
            holds: Mutex::default(),
            in_line: Mutex::default(),
            maps_lost: Mutex::default(),
            payments: Mutex::default(),
            told_paid: Mutex::default(),
            endings: Mutex::default(),
            times: Mutex::new(
                Step::ALL
                    .into_iter()
                    .map(|step| (step, histogram()))
                    .collect(),
            ),
        }
    }

    /// Somebody was let in; told again, it is the same admission.
    pub(super) fn admitted(&self, admitted: Admitted) {
        locked(&self.admissions)
            .entry(admitted.fence)
            .or_insert(admitted);
    }

    /// They were surely still in at this time.
    pub(super) fn still_in(&self, fence: u64, at_ms: i64) {
        if let Some(admitted) = locked(&self.admissions).get_mut(&fence) {
            admitted.until_ms = admitted.until_ms.max(at_ms);
        }
    }

    /// Somebody was told that they hold seats.
    pub(super) fn held(&self, hold: &SeatHold) {
        let seats = hold.seats.iter().map(|seat| seat.label.to_string());
        let held = Held {
            hold: hold.id.to_string(),
            fence: hold.fence,
            seats: seats.collect(),
            from_ms: hold.taken_at_ms,
            until_ms: hold.taken_at_ms,
        };
        locked(&self.holds)
            .entry((held.hold.clone(), held.fence))
            .or_insert(held);
    }

    /// They surely still held them at this time.
    pub(super) fn still_held(&self, hold: &SeatHold, at_ms: i64) {
        if let Some(held) = locked(&self.holds).get_mut(&(hold.id.to_string(), hold.fence)) {
            held.until_ms = held.until_ms.max(at_ms);
        }
    }

    /// Somebody waits in line from now on.
    pub(super) fn comes_into_line(&self, user: &UserId) {
        locked(&self.in_line).insert(user.clone());
    }

    pub(super) fn leaves_line(&self, user: &UserId) {
        locked(&self.in_line).remove(user);
    }

    pub(super) fn in_line(&self) -> Vec<UserId> {
        locked(&self.in_line).iter().cloned().collect()
    }

    /// A buyer authorized a payment.
    pub(super) fn payment(&self, order: OrderId, key: PaymentKey) {
        locked(&self.payments).push((order, key));
    }

    /// A buyer was told that the order is paid.
    pub(super) fn told_paid(&self, order: OrderId) {
        locked(&self.told_paid).push(order);
        add(&self.counters.paid);
    }

    pub(super) fn ended(&self, ending: Ending) {
        *locked(&self.endings).entry(ending).or_default() += 1;
    }

    pub(super) fn took(&self, step: Step, began: Instant) {
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        if let Some(times) = locked(&self.times).get_mut(&step) {
            times.saturating_record(micros);
        }
    }

    /// Compares what was answered under one key, again and again.
    pub(super) fn answers(&self, answers: &[Answered]) {
        for (place, later) in answers.iter().enumerate().skip(1) {
            let same = answers[..place]
                .iter()
                .find(|earlier| earlier.asked == later.asked);
            match same {
                Some(first) if first.status == later.status && first.body == later.body => {
                    add(&self.counters.same_answers);
                }
                Some(_) => add(&self.counters.other_answers),
                None if later.status == 422 => add(&self.counters.other_bodies),
                None => add(&self.counters.other_bodies_taken),
            }
        }
    }

    pub(super) fn admissions(&self) -> Vec<Admitted> {
        locked(&self.admissions).values().cloned().collect()
    }

    /// All holds were lost at some time between these two.
    pub(super) fn map_lost(&self, from_ms: i64, to_ms: i64) {
        locked(&self.maps_lost).push((from_ms, to_ms));
    }

    pub(super) fn maps_lost(&self) -> Vec<(i64, i64)> {
        locked(&self.maps_lost).clone()
    }

    pub(super) fn holds(&self) -> Vec<Held> {
        locked(&self.holds).values().cloned().collect()
    }

    pub(super) fn payments(&self) -> Vec<(OrderId, PaymentKey)> {
        locked(&self.payments).clone()
    }

    pub(super) fn all_told_paid(&self) -> Vec<OrderId> {
        locked(&self.told_paid).clone()
    }

    pub(super) fn endings(&self) -> Vec<(Ending, u64)> {
        let endings = locked(&self.endings);
        Ending::ALL
            .into_iter()
            .map(|ending| (ending, endings.get(&ending).copied().unwrap_or(0)))
            .collect()
    }

    pub(super) fn latencies(&self) -> Vec<Latency> {
        let times = locked(&self.times);
        let ms = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1_000.0;
        times
            .iter()
            .map(|(step, times)| Latency {
                step: *step,
                count: times.len(),
                p50_ms: ms(times.value_at_quantile(0.5)),
                p95_ms: ms(times.value_at_quantile(0.95)),
                p99_ms: ms(times.value_at_quantile(0.99)),
                max_ms: ms(times.max()),
            })
            .collect()
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
