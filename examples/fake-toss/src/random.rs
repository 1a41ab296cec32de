//! Names that nobody guesses: payment keys, transaction keys, secrets.

/// So many random bytes, in hexadecimal digits.
///
/// # Panics
/// When the operating system has no randomness.
pub(crate) fn hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).expect("the operating system has randomness");
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
