//! Seats: who has which, and until when.
//!
//! [`SeatMap`] is the pure state machine and the reference; [`SeatStore`] is the port that
//! backends implement; [`SeatLedger`] knows what is sold for good. Nothing here knows of payments.

pub mod best;
pub mod hold;
pub mod ledger;
pub mod map;
pub mod state;
pub mod store;

pub use hold::{EndReason, Hold, HoldId};
pub use ledger::{Page, SeatLedger, SoldSeat};
pub use map::SeatMap;
pub use state::{Counts, SeatState};
pub use store::*;
