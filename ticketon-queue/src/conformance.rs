//! The promises of the waiting room, as tests that any [`QueueStore`] can run.
//!
//! Who writes a store runs this kit over it (feature `conformance`, as a development dependency):
//! each promise is one `async fn` that makes a room of its own, does to it what the world does,
//! and panics with what it saw where the promise was broken. `q1` to `q8` are the numbers of the
//! promises in the project's `docs/guarantees.md`, `draw` is the draw; the others are the port's own.
//!
//! The store must take its time from the [`ManualClock`] that it is made with. [`conformance_tests!`](crate::conformance_tests)
//! makes one test a promise:
//!
//! ```
//! use std::sync::Arc;
//! use ticketon_queue::conformance::Subject;
//! use ticketon_queue::{ManualClock, MemoryStore};
//!
//! async fn memory(clock: ManualClock) -> Subject {
//!     Subject::new(MemoryStore::with_clock(Arc::new(clock)))
//! }
//!
//! mod tests {
//!     ticketon_queue::conformance_tests!(super::memory);
//! }
//!
//! // Or all of them in a row, for example in a doctest:
//! # tokio::runtime::Builder::new_multi_thread().build().unwrap().block_on(async {
//! ticketon_queue::conformance::run_all(memory).await;
//! # });
//! ```
//!
//! A store that several processes share should be handed over as several handles, each with its
//! own connection and caches ([`Subject::processes`]). What the kit does not see is how a store
//! keeps what it acknowledged across its own crashes: that is to be tested with the server at hand.

mod capacity;
mod crash;
mod draw;
mod order;
mod outage;
mod pace;
mod place;
mod port;
mod take_over;
mod test_room;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use self::capacity::*;
pub use self::crash::*;
pub use self::draw::*;
pub use self::order::*;
pub use self::outage::*;
pub use self::pace::*;
pub use self::place::*;
pub use self::port::*;
pub use self::take_over::*;
use crate::clock::{ManualClock, UnixMs};
use crate::store::QueueStore;

/// When the checks begin: 2026-01-01T00:00:00Z.
const START_MS: UnixMs = 1_767_225_600_000;

/// How many processes a store that was given as one is used by at a time.
const PROCESSES: usize = 4;

/// A store under test, as each of several processes has it.
#[derive(Debug)]
pub struct Subject {
    processes: Vec<Arc<dyn QueueStore>>,
    alive: Vec<Box<dyn Any + Send + Sync>>,
}

impl Subject {
    /// A store of one process, whose tasks share it.
    pub fn new(store: impl QueueStore) -> Self {
        Self::shared(Arc::new(store))
    }

    /// As [`Subject::new`], for a store that is shared already.
    #[must_use]
    pub fn shared(store: Arc<dyn QueueStore>) -> Self {
        Self::processes(vec![store; PROCESSES])
    }

    /// A store of several processes: one handle each, all on the same state and the same clock.
    ///
    /// # Panics
    /// Without any handle.
    #[must_use]
    pub fn processes(processes: Vec<Arc<dyn QueueStore>>) -> Self {
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
    pub fn handles(&self) -> &[Arc<dyn QueueStore>] {
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

/// Runs the check of this name: what each test of [`conformance_tests!`](crate::conformance_tests) does.
///
/// # Panics
/// If there is no such check, or the store breaks the promise.
pub async fn run(name: &str, make: impl AsyncFn(ManualClock) -> Subject) {
    let check = CHECKS.iter().find(|check| check.name == name);
    let check = check.unwrap_or_else(|| panic!("no check has the name {name}"));
    check.run(make).await;
}

/// Makes one `#[tokio::test]` for each promise, of a function `async fn(ManualClock) -> Subject`.
///
/// The crate needs tokio with the features `macros` and `rt-multi-thread`. Put it into a module of
/// its own for each store.
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::__promises! { tests $make }
    };
}

/// The list of all checks: `alone` takes one handle, `together` all of them.
#[doc(hidden)]
#[macro_export]
macro_rules! __promises {
    ($($into:tt)*) => {
        $crate::__promises_into! { $($into)*;
            alone a_room_that_does_not_exist_answers_nothing,
            alone a_room_is_made_changed_and_listed,
            together a_config_that_another_process_changed_is_honoured,
            together a_line_takes_as_many_as_its_config_allows,
            together q1_many_dispatchers_never_admit_beyond_the_capacity,
            alone q1_a_lapsed_lease_that_nobody_swept_takes_no_slot,
            alone q1_a_slot_given_on_the_spot_is_not_given_back,
            alone q1_a_smaller_capacity_admits_nobody_until_leases_end,
            alone q1_admissions_that_outlive_an_outage_keep_their_slots,
            alone q2_a_lane_keeps_its_order_and_lanes_share_by_weight,
            alone q2_a_lane_that_was_empty_has_saved_nothing_up,
            alone q2_nobody_overtakes_the_line_by_joining,
            alone q2_who_comes_back_stands_at_the_back,
            together q3_everybody_is_in_exactly_one_place,
            alone q3_every_end_has_its_reason,
            together q4_a_join_may_be_sent_any_number_of_times,
            alone q4_a_place_is_resumed_or_its_end_is_told,
            together q5_many_dispatchers_together_keep_the_pace,
            alone q5_neither_a_pause_nor_a_clock_step_lends_admissions,
            alone q5_quiet_time_is_not_saved_up_beyond_the_burst,
            alone q7_a_tick_admits_whenever_it_may,
            alone q7_the_state_says_who_may_move,
            together q8_a_lost_answer_may_be_asked_for_again,
            together q8_who_was_promoted_is_found_without_an_announcement,
            alone q8_a_claim_holds_whoever_hears_of_it,
            alone q8_an_admission_outlives_an_outage_that_no_tick_has_seen,
            alone q8_time_lost_to_an_outage_costs_nobody_a_place,
            together q8_people_of_a_dead_broker_keep_their_place_for_the_grace,
            together q8_a_take_over_may_stop_in_the_middle,
            together q8_a_late_disconnect_changes_nothing,
            together q8_a_newer_stream_dies_with_its_broker,
            together q8_a_broker_that_was_taken_over_comes_back,
            together q8_connections_stay_away_from_an_incarnation_that_lapsed,
            alone draw_who_joins_at_the_opening_is_not_drawn,
            alone draw_settings_freeze_at_the_first_join,
            alone draw_a_key_that_was_made_known_is_not_used_again,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __promises_into {
    (tests $make:expr; $($how:ident $name:ident),* $(,)?) => {
        $(
            #[::tokio::test(flavor = "multi_thread")]
            async fn $name() {
                $crate::conformance::run(stringify!($name), $make).await;
            }
        )*
    };
    (checks; $($how:ident $name:ident),* $(,)?) => {
        /// Every check of the kit.
        pub const CHECKS: &[Check] = &[
            $(Check { name: stringify!($name), run: $crate::__promises_into!(@$how $name) }),*
        ];
    };
    (@alone $name:ident) => {
        |subject, clock| Box::pin($name(&*subject.processes[0], clock))
    };
    (@together $name:ident) => {
        |subject, clock| Box::pin($name(&subject.processes, clock))
    };
}

crate::__promises! { checks }
