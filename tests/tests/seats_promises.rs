//! The promises of seats over every store: the conformance kit of `ticketon-domain`.
//!
//! A store is one line in the table, and one function that makes it.

use std::sync::Arc;

use ticketon_domain::adapter::memory::MemorySeatStore;
use ticketon_domain::conformance::seats::Subject;
use ticketon_domain::seat::SeatStore;
use ticketon_queue::ManualClock;

/// Processes that share a store.
const PROCESSES: usize = 4;

/// One module a store: each promise of the kit.
macro_rules! stores {
    ($($name:ident: $make:path,)*) => {
        $(mod $name {
            ticketon_domain::seat_conformance_tests!($make);
        })*
    };
}

stores! {
    memory: super::memory,
    memory_in_an_arc: super::memory_in_an_arc,
}

/// Clones that share their maps.
async fn memory(clock: ManualClock) -> Subject {
    let store = MemorySeatStore::new().with_clock(Arc::new(clock));
    let clone = || Arc::new(store.clone()) as Arc<dyn SeatStore>;
    Subject::processes((0..PROCESSES).map(|_| clone()).collect())
}

/// One store behind one pointer.
async fn memory_in_an_arc(clock: ManualClock) -> Subject {
    let store = MemorySeatStore::new().with_clock(Arc::new(clock));
    Subject::shared(Arc::new(store))
}
