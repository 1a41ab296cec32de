//! Lives from a seed, until one breaks.

use std::fmt;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::shrink::shrink;
use super::step::Kind;
use super::{Bench, Broken, Met, Step, Verb, step};

/// Steps of a long life.
const LIFE: usize = 400;
/// Steps of a short life.
const SHORT_LIFE: usize = 40;

/// Where to look for a life that breaks.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// From the same seed come the same lives.
    pub seed: u64,
    /// Steps to take at least, over all lives.
    pub steps: u64,
}

/// A life that breaks, made as short as it could be.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed of the search.
    pub seed: u64,
    /// How many steps went well before, in other lives.
    pub before: u64,
    /// The steps that break, as short as could be found.
    pub steps: Vec<Step>,
    /// What they break.
    pub broken: Broken,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, before, .. } = self;
        writeln!(f, "{}", self.broken.why)?;
        writeln!(f, "\nafter these steps, which make a regression test:")?;
        for step in &self.steps {
            writeln!(f, "    {step:?},")?;
        }
        write!(
            f,
            "found by: cargo xtask soak --seed {seed} --steps {}",
            before + 1
        )
    }
}

/// Lives lives from the seed until the steps are taken, one breaks, or `progress`, which is told after
/// each life what was met so far, says stop.
///
/// # Errors
/// The first life that breaks.
pub async fn search(
    bench: &Bench,
    search: Search,
    mut progress: impl FnMut(&Met) -> bool,
) -> Result<Met, Box<Failure>> {
    let mut met = Met::default();
    for life in 0.. {
        let steps = steps(search.seed, life);
        match bench.live(&steps).await {
            Ok(one) => met += one,
            Err(broken) => {
                let (steps, broken) = shrink(bench, steps, broken).await;
                return Err(Box::new(Failure {
                    seed: search.seed,
                    before: met.steps,
                    steps,
                    broken,
                }));
            }
        }
        if !progress(&met) || met.steps >= search.steps {
            break;
        }
    }
    Ok(met)
}

/// The steps of one life of a seed. Of three lives two are short, and in one of those the dispatchers doze: a room
/// that has become busy is seldom quiet again, and what happens in a quiet one is to be met too. Every fourth one may
/// close its room for good; every fifth one begins with a draw, which is refused once somebody has joined.
fn steps(seed: u64, life: u64) -> Vec<Step> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&life.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let kind = Kind {
        closes: life.is_multiple_of(4),
        dozes: life % 3 == 1,
    };
    let length = if life.is_multiple_of(3) {
        LIFE
    } else {
        SHORT_LIFE
    };
    let all = proptest::collection::vec(step::step(kind), length);
    let tree = all.new_tree(&mut runner);
    let mut steps = tree
        .unwrap_or_else(|reason| panic!("no steps: {reason}"))
        .current();
    if life % 5 == 1 {
        steps[0] = Step::Ask(0, Verb::Save(step::DRAW));
    }
    steps
}
