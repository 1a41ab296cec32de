//! Waiting for a condition, with a bound and a message that says what was seen last.

use std::fmt::Debug;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

/// Time between two looks at the condition.
const STEP: Duration = Duration::from_millis(10);

/// What a look at the world may answer: `bool`, `Option<T>` or `Result<T, E>`.
///
/// `false`, `None` and `Err` mean "not yet". The error of the last look is part of the failure
/// message, so a `Result` makes the most helpful condition.
pub trait Condition {
    /// What the condition yields once it holds.
    type Value;

    /// The value, or why there is none yet.
    ///
    /// # Errors
    /// A description of what was seen instead.
    fn check(self) -> Result<Self::Value, String>;
}

impl Condition for bool {
    type Value = ();

    fn check(self) -> Result<(), String> {
        if self {
            Ok(())
        } else {
            Err("false".to_owned())
        }
    }
}

impl<T> Condition for Option<T> {
    type Value = T;

    fn check(self) -> Result<T, String> {
        self.ok_or_else(|| "None".to_owned())
    }
}

impl<T, E: Debug> Condition for Result<T, E> {
    type Value = T;

    fn check(self) -> Result<T, String> {
        self.map_err(|error| format!("Err({error:?})"))
    }
}

/// Looks again and again until the condition holds, and yields its value.
///
/// A look that does not come back is cut off at the bound too.
///
/// # Panics
/// After `bound`, naming the caller, the number of looks and what the last one saw.
///
/// ```
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut looks = 0;
/// let third = ticketon_tests::eventually(Duration::from_secs(5), || {
///     looks += 1;
///     let seen = looks;
///     async move { (seen == 3).then_some(seen) }
/// })
/// .await;
/// assert_eq!(third, 3);
/// # }
/// ```
#[track_caller]
pub fn eventually<F, Fut>(
    bound: Duration,
    look: F,
) -> impl Future<Output = <Fut::Output as Condition>::Value>
where
    F: FnMut() -> Fut,
    Fut: Future<Output: Condition>,
{
    let caller = Location::caller();
    async move {
        match try_eventually(bound, look).await {
            Ok(value) => value,
            Err(seen) => panic!("at {caller}: {seen}"),
        }
    }
}

async fn try_eventually<F, Fut>(
    bound: Duration,
    mut look: F,
) -> Result<<Fut::Output as Condition>::Value, String>
where
    F: FnMut() -> Fut,
    Fut: Future<Output: Condition>,
{
    let mut looks = Looks::within(bound);
    loop {
        let seen = match timeout_at(looks.deadline, look()).await {
            Ok(seen) => seen.check(),
            Err(_) => Err(format!("no answer, and before that {}", looks.last)),
        };
        match seen {
            Ok(value) => return Ok(value),
            Err(seen) => looks.again_after(seen).await?,
        }
    }
}

/// The bound of [`eventually`] for a loop of one's own: one that changes what it looks at, which a
/// closure's future cannot borrow.
#[derive(Debug)]
pub(crate) struct Looks {
    deadline: Instant,
    bound: Duration,
    count: u32,
    last: String,
}

impl Looks {
    /// Begins to count.
    pub(crate) fn within(bound: Duration) -> Self {
        Self {
            deadline: Instant::now() + bound,
            bound,
            count: 0,
            last: "nothing".to_owned(),
        }
    }

    /// Waits a moment after a look that saw something else than wanted; an error after the bound.
    pub(crate) async fn again_after(&mut self, seen: String) -> Result<(), String> {
        self.count += 1;
        let next = Instant::now() + STEP;
        if next > self.deadline {
            let Self { bound, count, .. } = self;
            return Err(format!(
                "not so within {bound:?}, after {count} looks; the last one saw: {seen}"
            ));
        }
        self.last = seen;
        sleep_until(next).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_never_holds_says_what_was_seen() {
        let seen = try_eventually(Duration::from_millis(50), || async { Err::<(), _>("shut") })
            .await
            .unwrap_err();
        assert!(seen.contains("within 50ms"), "{seen}");
        assert!(seen.ends_with(r#"Err("shut")"#), "{seen}");
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_cut_off() {
        let seen = try_eventually(Duration::from_millis(50), std::future::pending::<bool>)
            .await
            .unwrap_err();
        assert!(
            seen.ends_with("no answer, and before that nothing"),
            "{seen}"
        );
    }

    #[tokio::test]
    #[should_panic(expected = "wait.rs")]
    async fn the_failure_names_the_caller() {
        eventually(Duration::from_millis(20), || async { false }).await;
    }
}
