//! Waiting for a condition, with a bound and a message that says what was seen last.

use std::fmt::{Debug, Display};
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
/// let third = ticketon_tests::eventually(Duration::from_secs(5), async || {
///     looks += 1;
///     (looks == 3).then_some(looks)
/// })
/// .await;
/// assert_eq!(third, 3);
/// # }
/// ```
#[track_caller]
pub fn eventually<F, C>(bound: Duration, look: F) -> impl Future<Output = C::Value>
where
    F: AsyncFnMut() -> C,
    C: Condition,
{
    let caller = Location::caller();
    async move {
        match try_eventually(bound, look).await {
            Ok(value) => value,
            Err(seen) => panic!("at {caller}: {seen}"),
        }
    }
}

/// As [`eventually`], for callers that add to the message.
pub(crate) async fn try_eventually<F, C>(bound: Duration, mut look: F) -> Result<C::Value, String>
where
    F: AsyncFnMut() -> C,
    C: Condition,
{
    let deadline = Instant::now() + bound;
    let mut looks = 0_u32;
    let mut last = "nothing".to_owned();
    let gave_up = |looks: u32, last: &dyn Display| {
        format!("not so within {bound:?}, after {looks} looks; the last one saw: {last}")
    };
    loop {
        looks += 1;
        match timeout_at(deadline, look()).await {
            Err(_) => return Err(gave_up(looks, &format!("{last}, then no answer"))),
            Ok(seen) => match seen.check() {
                Ok(value) => return Ok(value),
                Err(seen) => last = seen,
            },
        }
        if Instant::now() + STEP > deadline {
            return Err(gave_up(looks, &last));
        }
        sleep_until(Instant::now() + STEP).await;
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
        assert!(seen.ends_with("then no answer"), "{seen}");
    }

    #[tokio::test]
    #[should_panic(expected = "wait.rs")]
    async fn the_failure_names_the_caller() {
        eventually(Duration::from_millis(20), || async { false }).await;
    }
}
