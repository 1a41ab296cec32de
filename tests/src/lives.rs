//! Random lives, whatever lives them: from a seed until one breaks, and then as short as it can be made.
//!
//! A life is a list of steps that mean something in every state, because what they need is looked up
//! when they are taken. So any part of a life is a life, and shrinking needs no preconditions: it cuts
//! at the step that failed, then leaves out runs of steps, then makes single steps simpler. That is
//! what proptest-state-machine would be taken for; here it also works for the million steps of
//! `cargo xtask soak`, and in async code.

mod search;
mod shrink;

use std::fmt::Debug;
use std::ops::AddAssign;

use proptest::test_runner::TestRunner;

pub use self::search::{Failure, Search, search};

/// What broke a life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The step at which it was seen, from 0.
    pub at: usize,
    /// What was seen.
    pub why: String,
}

/// A model and the stores beside it, which live the same lives.
pub trait World {
    /// One step of a life.
    type Step: Debug + Clone;
    /// What a life met.
    type Met: Default + AddAssign;
    /// The arguments of `cargo xtask soak` for such lives, apart from steps and seed.
    const SOAK: &'static str;

    /// The steps of the life of this number.
    fn steps(life: u64, runner: &mut TestRunner) -> Vec<Self::Step>;

    /// Steps that do less than this one: what shrinking tries in its place.
    fn simpler(step: &Self::Step) -> Vec<Self::Step>;

    /// Lives a life, apart from all others.
    ///
    /// # Errors
    /// Where two answers differ or a promise is broken.
    fn live(&self, steps: &[Self::Step]) -> impl Future<Output = Result<Self::Met, Broken>>;
}
