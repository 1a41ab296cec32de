//! The seat stores against the model, and the model against the promises: random lives of one seat map.
//!
//! A life is a list of [`Step`]s: what people, orders, keepers, organisers and the clock do, and what
//! goes wrong on the way: answers that are lost, calls that arrive late or twice, rebuilds that stop
//! in the middle or race each other and refunds, stores that lose everything. Each step is taken by
//! the pure model, by the memory store and by every store that is put [beside](SeatBench::beside);
//! every answer and every snapshot must be the same everywhere, and after every step the model must
//! keep the promises S1 to S4.
//!
//! Lives are of two kinds. In a *wild* one the store is told anything, as by a caller with faults. In an
//! *orderly* one seats are sold and given back by a ledger, whose messages arrive in its order, though
//! any of them may come again: then the map, whenever it has heard everything, says what the ledger says, and who
//! compares the two finds nothing to mend.

mod call;
mod ledger;
mod life;
mod redis;
mod step;
mod view;
mod witness;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use ticketon_domain::seat::SeatStore;
use ticketon_queue::{EventId, ManualClock};

use self::life::Life;
pub use self::step::{Message, Right, Step, Verb, Wish};
use crate::lives::World;
pub use crate::lives::{Broken, Failure, Search, search};

/// When a life begins: 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;

/// Processes that share a store.
const PROCESSES: u8 = 3;

/// Steps of one life.
const LIFE: usize = 250;

/// What a life met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Met {
    /// Steps taken.
    pub steps: u64,
    /// Holds taken.
    pub taken: u64,
    /// Holds refused.
    pub refused: u64,
    /// Holds whose time ran out.
    pub expired: u64,
    /// Seats sold by the ledger.
    pub sold: u64,
    /// Calls that found the map not ready.
    pub not_ready: u64,
    /// Rebuilds finished.
    pub rebuilt: u64,
    /// Answers that were lost, and calls that came again.
    pub repeated: u64,
    /// How often the map had heard everything that the ledger said.
    pub settled: u64,
    /// How often it was compared with the ledger.
    pub compared: u64,
    /// Seats and holds that were mended then.
    pub mended: u64,
    /// Rebuilds that were refused, because somebody else was at it.
    pub outrun: u64,
}

impl std::ops::AddAssign for Met {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.taken += other.taken;
        self.refused += other.refused;
        self.expired += other.expired;
        self.sold += other.sold;
        self.not_ready += other.not_ready;
        self.rebuilt += other.rebuilt;
        self.repeated += other.repeated;
        self.settled += other.settled;
        self.compared += other.compared;
        self.mended += other.mended;
        self.outrun += other.outrun;
    }
}

/// Makes a store forget everything.
type Flush = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A store that lives beside the model.
pub struct Beside {
    processes: Vec<Arc<dyn SeatStore>>,
    flush: Flush,
    _alive: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Beside").field(&self.processes).finish()
    }
}

impl Beside {
    /// A store as several processes have it, on the [clock](SeatBench::clock) of the bench, what makes it
    /// forget everything, and what must stay alive with it.
    ///
    /// # Panics
    /// Without any process.
    pub fn new(
        processes: Vec<Arc<dyn SeatStore>>,
        flush: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
        alive: impl Any + Send + Sync,
    ) -> Self {
        assert!(!processes.is_empty(), "a store has one handle at least");
        Self {
            processes,
            flush: Box::new(flush),
            _alive: Box::new(alive),
        }
    }

    /// The store as this process has it.
    fn by(&self, process: u8) -> &dyn SeatStore {
        &*self.processes[usize::from(process) % self.processes.len()]
    }
}

/// The stores that live side by side with the model, on one clock.
#[derive(Debug)]
pub struct SeatBench {
    clock: ManualClock,
    beside: Vec<Beside>,
    lives: AtomicU64,
}

impl SeatBench {
    /// The model and the memory store, which runs the model: only the promises can break. Fast.
    #[must_use]
    pub fn of_the_model() -> Self {
        Self {
            clock: ManualClock::at(START_MS),
            beside: Vec::new(),
            lives: AtomicU64::new(0),
        }
    }

    /// The clock that every store beside must take its time from.
    #[must_use]
    pub fn clock(&self) -> ManualClock {
        self.clock.clone()
    }

    /// Puts a store beside the model.
    #[must_use]
    pub fn beside(mut self, store: Beside) -> Self {
        self.beside.push(store);
        self
    }
}

impl World for SeatBench {
    type Step = Step;
    type Met = Met;
    const SOAK: &'static str = " --seats";

    /// Every third life is wild.
    fn steps(life: u64, runner: &mut TestRunner) -> Vec<Step> {
        let all = proptest::collection::vec(step::step(life % 3 == 2), LIFE);
        let tree = all.new_tree(runner);
        tree.unwrap_or_else(|reason| panic!("no steps: {reason}"))
            .current()
    }

    fn simpler(step: &Step) -> Vec<Step> {
        step.simpler()
    }

    async fn live(&self, steps: &[Step]) -> Result<Met, Broken> {
        let number = self.lives.fetch_add(1, Ordering::Relaxed);
        let event = EventId::new(format!("life-{number}"));
        let event = event.unwrap_or_else(|error| panic!("{error}"));
        self.clock.set(START_MS);
        let broken = |at| move |why| Broken { at, why };
        let mut life = Life::begin(&self.clock, &self.beside, event);
        for (at, step) in steps.iter().enumerate() {
            let taken = life.take(step).await;
            taken
                .map_err(|why| format!("{step:?}: {why}"))
                .map_err(broken(at))?;
        }
        life.end()
            .await
            .map_err(broken(steps.len().saturating_sub(1)))
    }
}
