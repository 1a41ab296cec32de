//! Best available: which seats to offer to who names none.
//!
//! A [`Ranker`] knows a layout and says where a [`BestRequest`] may be seated, the best first: a
//! [`Ranking`]. Seats are chosen from a snapshot by [`Ranking::choose`], at random among places about as
//! good, so that many buyers at once rarely collide ([`Spread`] says among how many); who collided a few
//! times chooses inside the store, where [`pick`]'s rule finds what fits if anything does.
//! [`Ranker::lone_seats`] judges seats that were picked by hand.
//!
//! All of this is pure: a snapshot goes in, seats come out. Nobody has them until a store has taken a hold.

pub mod adjacent;
mod bits;
mod cache;
mod choose;
mod house;
mod lone;
#[cfg(test)]
mod oracle;
mod rank;
mod ranking;
mod request;
mod spread;
mod windows;

pub use adjacent::pick;
pub use choose::{choose, choose_units, mark_taken};
pub use rank::Ranker;
pub use ranking::Ranking;
pub use request::{BestRequest, Grades};
pub use spread::Spread;
