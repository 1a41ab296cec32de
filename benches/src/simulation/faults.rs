//! What goes wrong in the middle of the sale, on purpose: each once so much is sold.

use std::sync::Arc;
use std::time::Duration;

use ticketon_queue::{Clock as _, SystemClock};

use super::plan::Sabotage;
use super::world::World;

/// A fault, and how long it lasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// What.
    pub what: &'static str,
    /// For charts: short.
    pub short: &'static str,
    /// When it began, in milliseconds since the first person.
    pub from_ms: i64,
    /// When it ended.
    pub to_ms: i64,
}

/// How often it is looked how much is sold.
const EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    ProviderDown,
    Crash(usize),
    MapLost,
}

/// How many faults there are.
pub(super) const COUNT: usize = PLAN.len();

/// After so many sold seats in a hundred of those that can be sold.
const PLAN: [(u64, Fault); 5] = [
    (15, Fault::ProviderDown),
    (35, Fault::Crash(1)),
    (55, Fault::MapLost),
    (70, Fault::Crash(0)),
    (82, Fault::ProviderDown),
];

/// Causes them all, as far as enough is sold for them.
pub(super) async fn cause(world: Arc<World>) -> Vec<Mark> {
    let began_ms = SystemClock.now_ms();
    let mut marks = Vec::new();
    for (percent, fault) in PLAN {
        let wanted = world.plan.for_sale() * percent / 100;
        loop {
            let sold = world
                .head()
                .await
                .map_or(0, |head| u64::from(head.counts.sold));
            if sold >= wanted {
                break;
            }
            if world.is_empty() {
                return marks;
            }
            SystemClock.sleep(EVERY).await;
        }
        let from_ms = SystemClock.now_ms() - began_ms;
        happen(&world, fault).await;
        marks.push(Mark {
            what: fault.what(),
            short: fault.short(),
            from_ms,
            to_ms: SystemClock.now_ms() - began_ms,
        });
    }
    marks
}

impl Fault {
    const fn what(self) -> &'static str {
        match self {
            Self::ProviderDown => {
                "the provider answers nobody; half of the calls arrive all the same"
            }
            Self::Crash(0) => "process A dies in the middle of everything, and is started anew",
            Self::Crash(_) => "process B dies in the middle of everything, and is started anew",
            Self::MapLost => {
                "the seat map is gone, with all holds; it is rebuilt from what is sold"
            }
        }
    }

    const fn short(self) -> &'static str {
        match self {
            Self::ProviderDown => "provider down",
            Self::Crash(0) => "A crashes",
            Self::Crash(_) => "B crashes",
            Self::MapLost => "map lost",
        }
    }
}

async fn happen(world: &Arc<World>, fault: Fault) {
    match fault {
        Fault::ProviderDown => {
            world.house.provider.set_down(true);
            world.pause(world.pace.outage_ms).await;
            world.house.provider.set_down(false);
        }
        Fault::Crash(number) => {
            let process = world.process(number);
            if world.plan.sabotage == Sabotage::LosePlaces {
                world.lose_places().await;
            }
            process.crash();
            world.pause(world.pace.restart_ms).await;
            process.start().await;
        }
        Fault::MapLost => {
            world.house.lose_maps().await;
            while world.head().await.is_none() {
                SystemClock.sleep(EVERY).await;
            }
        }
    }
}
