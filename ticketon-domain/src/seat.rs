//! Seats: who has which, and until when.
//!
//! [`SeatMap`] is the pure state machine and the reference; [`SeatStore`] is the port that
//! backends implement; [`SeatLedger`] knows what is sold for good. Nothing here knows of payments.

pub mod best;
pub mod hold;
mod keeper;
pub mod ledger;
pub mod map;
mod rebuild;
mod service;
pub mod state;
pub mod store;
mod watch;

pub use hold::{EndReason, Hold, HoldId};
pub use ledger::{GivenBack, Page, SeatLedger, SoldSeat, Untold};
pub use map::SeatMap;
pub use service::{
    BestAvailable, EventSaved, HeldSeat, HoldOutcome, HoldSeats, LedgerChange, MapView, Outcome,
    Refusal, SeatHold, Seats, SeatsBuilder, SeatsError,
};
pub use state::{Counts, SeatState};
pub use store::*;
pub use ticketon_queue::Holder;
pub use watch::{MapVersion, SeatUpdate, SeatUpdates};
