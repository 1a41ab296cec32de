//! Lives from a seed, until one breaks.

use std::fmt;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::shrink::shrink;
use super::{Broken, World};

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
pub struct Failure<Step> {
    /// The seed of the search.
    pub seed: u64,
    /// How many steps went well before, in other lives.
    pub before: u64,
    /// The steps that break, as short as could be found.
    pub steps: Vec<Step>,
    /// What they break.
    pub broken: Broken,
    /// The arguments of `cargo xtask soak` for such lives.
    soak: &'static str,
}

impl<Step: fmt::Debug> fmt::Display for Failure<Step> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed, before, soak, ..
        } = self;
        writeln!(f, "{}", self.broken.why)?;
        writeln!(f, "\nafter these steps, which make a regression test:")?;
        for step in &self.steps {
            writeln!(f, "    {step:?},")?;
        }
        write!(
            f,
            "found by: cargo xtask soak{soak} --seed {seed} --steps {}",
            before + 1
        )
    }
}

/// Lives lives from the seed until the steps are taken, one breaks, or `progress`, which is told after
/// each life what was met so far, says stop.
///
/// # Errors
/// The first life that breaks.
pub async fn search<W: World>(
    world: &W,
    search: Search,
    mut progress: impl FnMut(&W::Met) -> bool,
) -> Result<W::Met, Box<Failure<W::Step>>> {
    let mut met = W::Met::default();
    let mut taken = 0;
    for life in 0.. {
        let steps = W::steps(life, &mut runner(search.seed, life));
        let length = steps.len() as u64;
        match world.live(&steps).await {
            Ok(one) => met += one,
            Err(broken) => {
                let (steps, broken) = shrink(world, steps, broken).await;
                return Err(Box::new(Failure {
                    seed: search.seed,
                    before: taken,
                    steps,
                    broken,
                    soak: W::SOAK,
                }));
            }
        }
        taken += length;
        if !progress(&met) || taken >= search.steps {
            break;
        }
    }
    Ok(met)
}

/// Where the steps of one life of a seed come from.
fn runner(seed: u64, life: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&life.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), rng)
}
