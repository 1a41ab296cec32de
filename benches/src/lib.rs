//! The on-sale simulator: sells a whole house to people of every habit, with faults in the middle, and judges every promise.
//!
//! The benchmarks are the program of this package, the simulator is a library, so that a small sale runs among the tests.

pub mod simulation;
