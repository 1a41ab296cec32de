//! A whole on-sale in real time, by the real parts: a waiting room, seats, orders, a provider, an outbox and its consumer.
//!
//! Two processes serve, each a runtime of its own over the same stores, so that a crash is what it is: all tasks of one
//! process are gone in the middle of whatever they did. People come in a rush, with habits (`person`); faults come
//! when so much is sold (`faults`). At the end [`evidence`] is gathered from the stores themselves, and [`judge`] says
//! of every promise whether it held. What people think about takes tenths of seconds instead of tens.

mod answer;
mod bus;
mod database;
mod diary;
mod dice;
pub mod evidence;
mod faults;
mod house;
pub mod judge;
mod line;
mod moment;
mod pay;
mod person;
mod plan;
mod process;
mod provider;
pub mod report;
mod shop;
mod story;
mod strangers;
mod world;

use std::sync::Arc;
use std::time::Duration;

use ticketon_queue::{Clock as _, RoomVerb, SystemClock};
use tokio::task::{JoinHandle, JoinSet};

pub use database::Tampered;
pub use diary::{Ending, Latency, Step};
pub use faults::Mark;
pub use moment::Moment;
pub use plan::{Kind, Plan, Sabotage};

use self::evidence::Evidence;
use self::world::World;

/// How long after the last person went home all may take to come to rest.
const REST_WITHIN: Duration = Duration::from_secs(90);

/// A sale that is over, and what was seen of it.
#[derive(Debug)]
pub struct Sale {
    /// What was asked for.
    pub plan: Plan,
    /// What is judged.
    pub evidence: Evidence,
    /// How the house looked over time.
    pub moments: Vec<Moment>,
    /// What went wrong on purpose, and when.
    pub marks: Vec<Mark>,
    /// How long each kind of call took.
    pub latencies: Vec<Latency>,
    /// How people's stories ended.
    pub endings: Vec<(Ending, u64)>,
    /// From the first person to rest, in milliseconds.
    pub took_ms: i64,
    world: Arc<World>,
}

/// What a task gave; its panic is this one's.
async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("an observer was stopped: {error}"),
        },
    }
}

impl Sale {
    /// Sells the house.
    ///
    /// # Panics
    /// If a server cannot be started: that is no finding about the sale.
    pub async fn run(plan: Plan) -> Self {
        let world = Arc::new(World::open(plan.clone()).await);
        let began_ms = SystemClock.now_ms();
        let watching = tokio::spawn(moment::watch(Arc::clone(&world)));
        let trouble = tokio::spawn(faults::cause(Arc::clone(&world)));
        let mut people = JoinSet::new();
        for number in 0..plan.buyers {
            people.spawn(story::live(Arc::clone(&world), number));
        }
        while let Some(ended) = people.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        world.everybody_left();
        let marks = joined(trouble).await;
        let at_rest = world.rest(REST_WITHIN).await;
        let took_ms = SystemClock.now_ms() - began_ms;
        let moments = joined(watching).await;
        let evidence = Evidence::gather(&world, &moments, &marks, at_rest).await;
        // Only now: who still waits is told, and the numbers above have seen them.
        world.room(RoomVerb::Close).await;
        Self {
            plan,
            evidence,
            moments,
            marks,
            latencies: world.diary.latencies(),
            endings: world.diary.endings(),
            took_ms,
            world,
        }
    }

    /// Gathers the evidence anew, after the rows of the database were tampered with: shows that the judge sees it. Then the
    /// rows are as they were.
    ///
    /// # Panics
    /// If the database does not answer.
    pub async fn tampered(&self, how: Tampered) -> Evidence {
        // Nobody mends it meanwhile.
        self.world.close().await;
        self.world.database.tamper(how).await;
        let evidence = Evidence::gather(&self.world, &self.moments, &self.marks, true).await;
        self.world.database.mend().await;
        evidence
    }

    /// Ends the processes.
    pub async fn close(self) {
        self.world.close().await;
    }
}
