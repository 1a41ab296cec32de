//! The promises of seats, as tests that any [`SeatStore`] can run.
//!
//! Who writes a store runs this kit over it (feature `conformance`, as a development dependency):
//! each promise is one `async fn` that builds a map of its own, does to it what the world does, and
//! panics with what it saw where the promise was broken. `s1` to `s4` are the numbers of the promises:
//!
//! | | |
//! | --- | --- |
//! | S1 | a hold takes all its seats or none; a seat has at most one holder |
//! | S2 | only the holder releases, extends or buys; a stale fence changes nothing |
//! | S3 | while the map is ready: free + held + sold + blocked = seats |
//! | S4 | an expired hold is sellable within one sweep |
//!
//! S3 is recounted by every check, whenever it looks at its map.
//!
//! The store must take its time from the [`ManualClock`] that it is made with.
//! [`seat_conformance_tests!`](crate::seat_conformance_tests) makes one test a promise. Here is a store
//! of one's own, which counts the holds that are asked for and leaves the rest to another one:
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering};
//!
//! use async_trait::async_trait;
//! use ticketon_domain::adapter::memory::MemorySeatStore;
//! use ticketon_domain::conformance::seats::{Subject, run_all};
//! use ticketon_domain::seat::*;
//! use ticketon_domain::venue::SeatIndex;
//! use ticketon_queue::{EventId, ManualClock, StoreError, UserId};
//!
//! #[derive(Debug)]
//! struct Counting<S> {
//!     inner: S,
//!     asked: AtomicU64,
//! }
//!
//! #[async_trait]
//! impl<S: SeatStore> SeatStore for Counting<S> {
//!     async fn hold(&self, event: &EventId, epoch: u64, request: &HoldRequest) -> Result<Mapped<Held>, StoreError> {
//!         self.asked.fetch_add(1, Ordering::Relaxed);
//!         self.inner.hold(event, epoch, request).await
//!     }
//!
//!     async fn head(&self, event: &EventId) -> Result<Mapped<MapHead>, StoreError> {
//!         self.inner.head(event).await
//!     }
//!     // ... and so on, verb by verb.
//! #   async fn snapshot(&self, event: &EventId) -> Result<Mapped<Snapshot>, StoreError> {
//! #       self.inner.snapshot(event).await
//! #   }
//! #   async fn changes(&self, event: &EventId, epoch: u64, after: u64) -> Result<Mapped<Changes>, StoreError> {
//! #       self.inner.changes(event, epoch, after).await
//! #   }
//! #   async fn find(&self, event: &EventId, epoch: u64, key: &HoldKey) -> Result<Mapped<HoldReply>, StoreError> {
//! #       self.inner.find(event, epoch, key).await
//! #   }
//! #   async fn holds_of(&self, event: &EventId, epoch: u64, user: &UserId) -> Result<Mapped<Vec<Hold>>, StoreError> {
//! #       self.inner.holds_of(event, epoch, user).await
//! #   }
//! #   async fn extend(&self, event: &EventId, epoch: u64, key: &HoldKey, ttl_ms: i64, cap_ms: i64) -> Result<Mapped<HoldReply>, StoreError> {
//! #       self.inner.extend(event, epoch, key, ttl_ms, cap_ms).await
//! #   }
//! #   async fn release(&self, event: &EventId, epoch: u64, key: &HoldKey) -> Result<Mapped<HoldReply>, StoreError> {
//! #       self.inner.release(event, epoch, key).await
//! #   }
//! #   async fn pin(&self, event: &EventId, epoch: u64, key: &HoldKey) -> Result<Mapped<HoldReply>, StoreError> {
//! #       self.inner.pin(event, epoch, key).await
//! #   }
//! #   async fn unpin(&self, event: &EventId, epoch: u64, key: &HoldKey, ttl_ms: i64) -> Result<Mapped<HoldReply>, StoreError> {
//! #       self.inner.unpin(event, epoch, key, ttl_ms).await
//! #   }
//! #   async fn sync(&self, event: &EventId, epoch: u64, batch: &[SeatSync]) -> Result<Mapped<Synced>, StoreError> {
//! #       self.inner.sync(event, epoch, batch).await
//! #   }
//! #   async fn owners(&self, event: &EventId, epoch: u64, from: SeatIndex) -> Result<Mapped<Vec<Owned>>, StoreError> {
//! #       self.inner.owners(event, epoch, from).await
//! #   }
//! #   async fn pinned(&self, event: &EventId, epoch: u64, skip: u32) -> Result<Mapped<Vec<Hold>>, StoreError> {
//! #       self.inner.pinned(event, epoch, skip).await
//! #   }
//! #   async fn mend(&self, event: &EventId, epoch: u64, batch: &[Mend]) -> Result<Mapped<Synced>, StoreError> {
//! #       self.inner.mend(event, epoch, batch).await
//! #   }
//! #   async fn block(&self, event: &EventId, epoch: u64, seats: &[SeatIndex]) -> Result<Mapped<Blocked>, StoreError> {
//! #       self.inner.block(event, epoch, seats).await
//! #   }
//! #   async fn unblock(&self, event: &EventId, epoch: u64, seats: &[SeatIndex]) -> Result<Mapped<Blocked>, StoreError> {
//! #       self.inner.unblock(event, epoch, seats).await
//! #   }
//! #   async fn sweep(&self, event: &EventId) -> Result<Mapped<Swept>, StoreError> {
//! #       self.inner.sweep(event).await
//! #   }
//! #   async fn begin_rebuild(&self, event: &EventId, spec: &MapSpec, over: Over) -> Result<Option<u64>, StoreError> {
//! #       self.inner.begin_rebuild(event, spec, over).await
//! #   }
//! #   async fn load(&self, event: &EventId, epoch: u64, seats: &[Load]) -> Result<bool, StoreError> {
//! #       self.inner.load(event, epoch, seats).await
//! #   }
//! #   async fn finish_rebuild(&self, event: &EventId, epoch: u64) -> Result<bool, StoreError> {
//! #       self.inner.finish_rebuild(event, epoch).await
//! #   }
//! #   async fn ping(&self) -> Result<(), StoreError> {
//! #       self.inner.ping().await
//! #   }
//! #   fn name(&self) -> &'static str {
//! #       "counting"
//! #   }
//! }
//!
//! async fn counting(clock: ManualClock) -> Subject {
//!     let inner = MemorySeatStore::new().with_clock(Arc::new(clock));
//!     Subject::new(Counting { inner, asked: AtomicU64::new(0) })
//! }
//!
//! mod tests {
//!     ticketon_domain::seat_conformance_tests!(super::counting);
//! }
//!
//! // Or all of them in a row, for example in a doctest:
//! # tokio::runtime::Builder::new_multi_thread().build().unwrap().block_on(async {
//! run_all(counting).await;
//! # });
//! ```
//!
//! A store that several processes share should be handed over as several handles, each with its
//! own connection and caches ([`Subject::processes`]). What the kit does not see is how a store
//! keeps what it acknowledged across its own crashes: that is to be tested with the server at hand.

mod again;
mod choosing;
mod ending;
mod epochs;
mod following;
mod holding;
mod late;
mod ledger;
mod rebuilding;
mod taking;
mod test_map;
mod verbs;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ticketon_queue::{ManualClock, UnixMs};

pub use self::again::*;
pub use self::choosing::*;
pub use self::ending::*;
pub use self::epochs::*;
pub use self::following::*;
pub use self::holding::*;
pub use self::late::*;
pub use self::ledger::*;
pub use self::rebuilding::*;
pub use self::taking::*;
use crate::seat::SeatStore;

/// When the checks begin: 2026-01-01T00:00:00Z.
const START_MS: UnixMs = 1_767_225_600_000;

/// How many processes a store that was given as one is used by at a time.
const PROCESSES: usize = 4;

/// A store under test, as each of several processes has it.
#[derive(Debug)]
pub struct Subject {
    processes: Vec<Arc<dyn SeatStore>>,
    alive: Vec<Box<dyn Any + Send + Sync>>,
}

impl Subject {
    /// A store of one process, whose tasks share it.
    pub fn new(store: impl SeatStore) -> Self {
        Self::shared(Arc::new(store))
    }

    /// As [`Subject::new`], for a store that is shared already.
    #[must_use]
    pub fn shared(store: Arc<dyn SeatStore>) -> Self {
        Self::processes(vec![store; PROCESSES])
    }

    /// A store of several processes: one handle each, all on the same state and the same clock.
    ///
    /// # Panics
    /// Without any handle.
    #[must_use]
    pub fn processes(processes: Vec<Arc<dyn SeatStore>>) -> Self {
        assert!(
            !processes.is_empty(),
            "a store under test has one handle at least"
        );
        Self {
            processes,
            alive: Vec::new(),
        }
    }

    /// The handles, one a process.
    #[must_use]
    pub fn handles(&self) -> &[Arc<dyn SeatStore>] {
        &self.processes
    }

    /// Keeps something until the check is over: a server, a folder.
    #[must_use]
    pub fn keeping(mut self, alive: impl Any + Send + Sync) -> Self {
        self.alive.push(Box::new(alive));
        self
    }
}

/// The check of one promise.
#[derive(Clone, Copy)]
pub struct Check {
    name: &'static str,
    run: for<'a> fn(&'a Subject, &'a ManualClock) -> BoxFuture<'a, ()>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

impl Check {
    /// The name of its function.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Checks a store that is made for it.
    ///
    /// # Panics
    /// If the store breaks the promise, or fails.
    pub async fn run(&self, make: impl AsyncFn(ManualClock) -> Subject) {
        let clock = ManualClock::at(START_MS);
        let subject = make(clock.clone()).await;
        (self.run)(&subject, &clock).await;
    }
}

/// Runs every check, one after the other, each on a store that is made for it.
///
/// # Panics
/// At the first promise that the store breaks.
pub async fn run_all(make: impl AsyncFn(ManualClock) -> Subject) {
    for check in CHECKS {
        check.run(&make).await;
    }
}

/// Runs the check of this name: what each test of [`seat_conformance_tests!`](crate::seat_conformance_tests) does.
///
/// # Panics
/// If there is no such check, or the store breaks the promise.
pub async fn run(name: &str, make: impl AsyncFn(ManualClock) -> Subject) {
    let check = CHECKS.iter().find(|check| check.name == name);
    let check = check.unwrap_or_else(|| panic!("no check has the name {name}"));
    check.run(make).await;
}

/// Makes one `#[tokio::test]` for each promise of seats, of a function `async fn(ManualClock) -> Subject`.
///
/// The crate needs tokio with the features `macros` and `rt-multi-thread`. Put it into a module of
/// its own for each store. See [`conformance::seats`](crate::conformance::seats).
#[macro_export]
macro_rules! seat_conformance_tests {
    ($make:expr) => {
        $crate::__seat_promises! { tests $make }
    };
}

/// The list of all checks: `alone` takes one handle, `together` all of them.
#[doc(hidden)]
#[macro_export]
macro_rules! __seat_promises {
    ($($into:tt)*) => {
        $crate::__seat_promises_into! { $($into)*;
            alone a_map_that_was_never_built_is_absent,
            alone s1_a_hold_takes_all_its_seats_or_none,
            together s1_many_tasks_want_the_same_seats,
            alone s1_a_retry_finds_its_own_hold,
            together s1_a_request_that_races_itself_takes_one_hold,
            together s1_a_lost_answer_may_be_asked_for_again,
            alone s1_limits_of_an_order_and_of_a_person,
            together s1_one_person_in_many_tasks_keeps_the_limit,
            alone s1_units_of_an_area,
            together s1_many_buyers_empty_an_area,
            alone s1_seats_side_by_side,
            together s1_many_groups_sit_side_by_side,
            alone s2_only_the_holder_with_the_right_fence,
            alone s2_a_stale_fence_changes_nothing,
            alone s2_a_pinned_hold_is_ended_by_its_order_alone,
            alone s2_holds_are_listed_and_extended,
            alone s2_fences_grow_over_everything,
            alone s2_late_calls_of_an_old_epoch_change_nothing,
            together s2_a_rebuild_cuts_off_whoever_is_at_work,
            alone s2_a_late_sale_takes_nothing_from_anybody,
            alone s2_a_map_that_is_built_anew_knows_which_sales_are_late,
            alone s3_every_change_is_told,
            together s3_a_busy_map_adds_up_and_can_be_followed,
            together s3_what_is_forgotten_is_a_gap,
            alone s3_messages_of_the_ledger_in_any_order,
            alone s3_a_sale_counts_after_its_hold_ended,
            alone s3_what_differs_is_read_and_mended,
            alone s4_pinned_holds_are_listed,
            alone s3_the_map_follows_the_ledger,
            alone s3_seats_are_blocked_all_or_none,
            alone s3_a_map_that_is_rebuilt_is_not_ready,
            alone s3_the_newest_rebuild_wins,
            together s3_rebuilds_that_race_leave_one_map,
            together s3_of_many_who_miss_a_map_one_builds_it,
            alone s3_a_rebuild_begins_over_what_was_seen,
            alone s3_a_refund_that_races_a_rebuild_is_not_lost,
            alone s4_an_expired_hold_is_sellable_at_once,
            alone s4_a_sweep_frees_what_is_over,
            together s4_many_sweepers_end_each_hold_once,
            alone s4_an_end_is_remembered_for_a_while,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __seat_promises_into {
    (tests $make:expr; $($how:ident $name:ident),* $(,)?) => {
        $(
            #[::tokio::test(flavor = "multi_thread")]
            async fn $name() {
                $crate::conformance::seats::run(stringify!($name), $make).await;
            }
        )*
    };
    (checks; $($how:ident $name:ident),* $(,)?) => {
        /// Every check of the kit.
        pub const CHECKS: &[Check] = &[
            $(Check { name: stringify!($name), run: $crate::__seat_promises_into!(@$how $name) }),*
        ];
    };
    (@alone $name:ident) => {
        |subject, clock| Box::pin($name(&subject.processes[0], clock))
    };
    (@together $name:ident) => {
        |subject, clock| Box::pin($name(&subject.processes, clock))
    };
}

crate::__seat_promises! { checks }
