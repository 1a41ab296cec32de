//! Best available: which seats to offer to who names none.

pub mod adjacent;
#[cfg(test)]
mod oracle;

pub use adjacent::pick;
