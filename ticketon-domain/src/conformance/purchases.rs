//! The promises of orders, as tests that any [`PurchaseStore`] can run.
//!
//! Who writes a store runs this kit over it (feature `conformance`, as a development dependency): each promise is one
//! `async fn` that makes orders in an empty store, does to them what the world does, and panics with what it saw where the
//! promise was broken. `p1` to `p4` are the numbers of the promises:
//!
//! | | |
//! | --- | --- |
//! | P1 | at most one live ticket per seat or area unit |
//! | P2 | a change is written as a whole or not at all; an order is worked on by one at a time |
//! | P3 | what is stored of an order is what was decided |
//! | P4 | same idempotency key, same answer; another request is told; one that runs is told |
//!
//! [`purchase_conformance_tests!`](crate::purchase_conformance_tests) makes one test a promise, of a function that makes
//! an empty store as several processes have it:
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # mod of_a_store {
//! use ticketon_domain::adapter::sql::SqlStore;
//! use ticketon_domain::conformance::purchases::Subject;
//!
//! async fn sqlite() -> Subject {
//!     let store = SqlStore::sqlite(":memory:").await.unwrap();
//!     store.migrate().await.unwrap();
//!     Subject::new(store)
//! }
//!
//! mod tests {
//!     ticketon_domain::purchase_conformance_tests!(super::sqlite);
//! }
//! # }
//! ```
//!
//! What the kit does not see is how a store keeps what it acknowledged across its own crashes: that is to be tested with
//! the server at hand.

mod changing;
mod listing;
mod order;
mod racing;
mod requests;
mod telling;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

pub use self::changing::*;
pub use self::listing::*;
pub use self::racing::*;
pub use self::requests::*;
pub use self::telling::*;
use crate::purchase::PurchaseStore;

/// How many processes a store that was given as one is used by at a time.
const PROCESSES: usize = 4;

/// An empty store under test, as each of several processes has it.
#[derive(Debug)]
pub struct Subject {
    processes: Vec<Arc<dyn PurchaseStore>>,
    alive: Vec<Box<dyn Any + Send + Sync>>,
}

impl Subject {
    /// A store of one process, whose tasks share it.
    pub fn new(store: impl PurchaseStore) -> Self {
        let store: Arc<dyn PurchaseStore> = Arc::new(store);
        Self::processes(vec![store; PROCESSES])
    }

    /// A store of several processes: one handle each, all on the same state.
    ///
    /// # Panics
    /// Without any handle.
    #[must_use]
    pub fn processes(processes: Vec<Arc<dyn PurchaseStore>>) -> Self {
        assert!(
            !processes.is_empty(),
            "a store under test has one handle at least"
        );
        let alive = Vec::new();
        Self { processes, alive }
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
    run: for<'a> fn(&'a Subject) -> LocalBoxFuture<'a, ()>,
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
    pub async fn run(&self, make: impl AsyncFn() -> Subject) {
        let subject = make().await;
        (self.run)(&subject).await;
    }
}

/// Runs every check, one after the other, each on a store that is made for it.
///
/// # Panics
/// At the first promise that the store breaks.
pub async fn run_all(make: impl AsyncFn() -> Subject) {
    for check in CHECKS {
        check.run(&make).await;
    }
}

/// Runs the check of this name: what each test of
/// [`purchase_conformance_tests!`](crate::purchase_conformance_tests) does.
///
/// # Panics
/// If there is no such check, or the store breaks the promise.
pub async fn run(name: &str, make: impl AsyncFn() -> Subject) {
    let check = CHECKS.iter().find(|check| check.name == name);
    let check = check.unwrap_or_else(|| panic!("no check has the name {name}"));
    check.run(make).await;
}

/// Makes one `#[tokio::test]` for each promise of orders, of a function `async fn() -> Subject`.
///
/// The crate needs tokio with the features `macros` and `rt-multi-thread`. Put it into a module of its own for each store.
/// See [`conformance::purchases`](crate::conformance::purchases).
#[macro_export]
macro_rules! purchase_conformance_tests {
    ($make:expr) => {
        $crate::__purchase_promises! { tests $make }
    };
}

/// The list of all checks: `alone` takes one handle, `together` all of them.
#[doc(hidden)]
#[macro_export]
macro_rules! __purchase_promises {
    ($($into:tt)*) => {
        $crate::__purchase_promises_into! { $($into)*;
            alone p1_a_seat_has_one_live_ticket,
            together p1_many_orders_want_one_seat,
            alone p1_seats_that_are_given_back_can_be_bought_again,
            together p2_a_hold_is_claimed_by_one_order,
            alone p2_a_change_is_all_or_nothing,
            alone p2_a_refused_command_changes_nothing,
            alone p2_a_payment_is_bound_to_one_order,
            together p2_a_payment_is_bound_once_by_many,
            together p2_one_of_many_works_on_an_order,
            alone p2_verbs_may_be_sent_again,
            together p3_what_was_decided_is_what_is_stored,
            alone p3_an_order_is_found_by_what_it_has,
            alone p3_orders_come_in_pages,
            alone p3_what_is_due_comes_in_its_order,
            alone p3_what_needs_a_person_is_listed,
            alone p3_what_the_map_must_hear_comes_in_its_order,
            alone p4_a_request_is_answered_once,
            together p4_one_of_many_requests_goes_on,
            alone p4_old_requests_are_forgotten,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __purchase_promises_into {
    (tests $make:expr; $($how:ident $name:ident),* $(,)?) => {
        $(
            #[::tokio::test(flavor = "multi_thread")]
            async fn $name() {
                $crate::conformance::purchases::run(stringify!($name), $make).await;
            }
        )*
    };
    (checks; $($how:ident $name:ident),* $(,)?) => {
        /// Every check of the kit.
        pub const CHECKS: &[Check] = &[
            $(Check { name: stringify!($name), run: $crate::__purchase_promises_into!(@$how $name) }),*
        ];
    };
    (@alone $name:ident) => {
        |subject| Box::pin($name(&subject.processes[0]))
    };
    (@together $name:ident) => {
        |subject| Box::pin($name(&subject.processes))
    };
}

crate::__purchase_promises! { checks }
