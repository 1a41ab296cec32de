//! Random lives of a whole shop: buyers, operators, workers, sweeps, and all that goes wrong on the way.
//!
//! Two processes of the real [`Purchases`](ticketon_domain::purchase::Purchases) share a store of orders, a seat map and
//! a bank that moves no money. Each step is somebody's deed; at any of its calls to a port the process may die, before it or
//! after it, stand still for longer than a lease, or miss the answer. The map loses everything, or what it acknowledged
//! last. In the end the clock runs until nothing is left to do, and then: one charge or none, what was charged and not given
//! back is what the good tickets cost, one live ticket a seat, the map has the seats as sold that people have tickets for,
//! every order is what its audit says, and nobody was told otherwise.

mod fault;
mod life;
mod ports;
mod shop;
mod step;
mod store;
mod witness;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use proptest::prelude::Strategy as _;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use ticketon_domain::adapter::sql::SqlStore;

pub use self::fault::{Fault, Op, StillClock};
use self::life::Life;
pub use self::shop::{Books, Parts};
use self::shop::{START_MS, Shop};
pub use self::step::{Deed, Step};
pub use self::store::{Guards, ModelStore};
use crate::MariaDb;
use crate::lives::World;
pub use crate::lives::{Broken, Failure, Search, search};

/// Steps of one life.
const LIFE: usize = 60;

/// What lives met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Met {
    /// Steps taken.
    pub steps: u64,
    /// Faults met at calls.
    pub faults: u64,
    /// Processes that died.
    pub deaths: u64,
    /// Orders that were made.
    pub orders: u64,
    /// Orders that were paid in the end.
    pub paid: u64,
    /// Orders that were not paid.
    pub failed: u64,
    /// Orders of which some or all was given back.
    pub refunded: u64,
    /// Orders that were charged after they had failed, and given back.
    pub late: u64,
    /// Orders that somebody else went on with.
    pub taken_over: u64,
    /// Tickets used.
    pub used: u64,
}

impl std::ops::AddAssign for Met {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.faults += other.faults;
        self.deaths += other.deaths;
        self.orders += other.orders;
        self.paid += other.paid;
        self.failed += other.failed;
        self.refunded += other.refunded;
        self.late += other.late;
        self.taken_over += other.taken_over;
        self.used += other.used;
    }
}

type Make = Box<dyn Fn(StillClock) -> BoxFuture<'static, Parts> + Send + Sync>;

/// Shops that live lives, each in a shop of its own.
pub struct ShopBench {
    make: Make,
}

impl fmt::Debug for ShopBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShopBench").finish_non_exhaustive()
    }
}

impl ShopBench {
    /// Shops that are made by this, on their clock.
    pub fn new(
        make: impl Fn(StillClock) -> BoxFuture<'static, Parts> + Send + Sync + 'static,
    ) -> Self {
        Self {
            make: Box::new(make),
        }
    }

    /// Shops over the model of a store.
    #[must_use]
    pub fn of_the_model() -> Self {
        Self::with_guards(Guards::ALL)
    }

    /// Shops over the model of a store that leaves some guard out.
    #[must_use]
    pub fn with_guards(guards: Guards) -> Self {
        Self::new(move |clock| {
            let parts = Parts::over(Arc::new(ModelStore::new(guards)), &clock);
            Box::pin(std::future::ready(parts))
        })
    }

    /// Shops over a file in a folder that ends with them.
    #[must_use]
    pub fn with_sqlite() -> Self {
        Self::new(|clock| {
            Box::pin(async move {
                let folder = tempfile::tempdir().expect("a folder");
                let file = folder.path().join("shop.db");
                let store = SqlStore::sqlite(file.to_string_lossy()).await;
                let store = store.expect("a new file");
                store.migrate().await.expect("a new file");
                let mut parts = Parts::over(Arc::new(store), &clock);
                parts.alive = Box::new(folder);
                parts
            })
        })
    }

    /// Shops whose processes share a database of a private MariaDB.
    pub async fn with_mariadb() -> Self {
        let server = Arc::new(MariaDb::start().await);
        Self::new(move |clock| {
            let server = Arc::clone(&server);
            Box::pin(async move {
                let url = server.fresh_database().await;
                let mut books: Vec<Arc<dyn Books>> = Vec::new();
                for _ in 0..shop::PROCESSES {
                    let store = SqlStore::connect(&url).await.expect("a database");
                    store.migrate().await.expect("a database");
                    books.push(Arc::new(store));
                }
                let mut parts = Parts::over(Arc::clone(&books[0]), &clock);
                parts.books = books;
                parts.alive = Box::new(server);
                parts
            })
        })
    }

    /// Shops with a bank that charges again when it is told again.
    #[must_use]
    pub fn with_a_forgetful_bank() -> Self {
        Self::new(|clock| {
            let mut parts = Parts::over(Arc::new(ModelStore::new(Guards::ALL)), &clock);
            parts.bank_charges_once = false;
            Box::pin(std::future::ready(parts))
        })
    }
}

impl World for ShopBench {
    type Step = Step;
    type Met = Met;
    const SOAK: &'static str = " --purchases";

    fn steps(_: u64, runner: &mut TestRunner) -> Vec<Step> {
        let steps = proptest::collection::vec(step::step(), LIFE);
        let tree = steps.new_tree(runner).expect("steps can be made");
        tree.current()
    }

    fn simpler(step: &Step) -> Vec<Step> {
        step::simpler(step)
    }

    async fn live(&self, steps: &[Step]) -> Result<Met, Broken> {
        let clock = StillClock::at(START_MS);
        let parts = (self.make)(clock.clone()).await;
        let mut life = Life::new(Shop::open(parts, clock).await);
        for step in steps {
            life.take(step).await;
        }
        let at = steps.len().saturating_sub(1);
        life.end().await.map_err(|why| Broken { at, why })?;
        let mut met = life.met();
        met.steps = steps.len() as u64;
        Ok(met)
    }
}
