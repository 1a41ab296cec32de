//! Guards of a whole process that a test may remove, to show what each of them prevents.
//!
//! The guards of the Redis scripts are marked there and removed from one store
//! (`RedisStoreBuilder::without_guard`); these stand in Rust. Without the feature
//! `conformance` every guard holds, and the compiler knows.

/// The names of all guards that a process may lack.
#[cfg(feature = "conformance")]
pub const GUARDS: &[&str] = &["attach", "rejoin-order", "remake", "resend"];

#[cfg(feature = "conformance")]
static REMOVED: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();

/// Removes guards from this process, once, before it makes its first queue.
///
/// # Panics
/// If there is no such guard, or some were removed before.
#[cfg(feature = "conformance")]
pub fn remove(guards: Vec<String>) {
    for guard in &guards {
        assert!(
            GUARDS.contains(&guard.as_str()),
            "no process has the guard {guard:?}, but {GUARDS:?}"
        );
    }
    let removed = REMOVED.set(guards);
    assert!(removed.is_ok(), "guards are removed once");
}

/// Whether the guard of this name is in place.
#[cfg(feature = "conformance")]
pub(crate) fn holds(guard: &str) -> bool {
    debug_assert!(GUARDS.contains(&guard), "{guard}");
    let removed = REMOVED.get();
    removed.is_none_or(|removed| !removed.iter().any(|name| name == guard))
}

/// Whether the guard of this name is in place: always.
#[cfg(not(feature = "conformance"))]
pub(crate) const fn holds(_guard: &str) -> bool {
    true
}
