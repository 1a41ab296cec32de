//! Venue layouts: which seats there are, and where.

mod label;

pub use label::{SeatIndex, SeatLabel};
