//! What the judge looks at: gathered from the stores themselves once all has come to rest, beside what people wrote down.
//!
//! The database is asked by SQL that is not the store's own, the provider for its own ledger, the map for its seats.

mod gather;

use ticketon_domain::audit::{Rebuilt, Verified};
use ticketon_domain::purchase::OrderState;

use super::bus::Consumed;
use super::diary::Admitted;

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Whether all came to rest in time.
    pub at_rest: bool,
    /// Faults that happened, and those that were planned.
    pub faults: (usize, usize),
    /// The waiting room.
    pub line: Line,
    /// The seat map.
    pub map: Map,
    /// Orders, as the database has them.
    pub orders: Vec<Order>,
    /// Tickets, as the database has them.
    pub tickets: Tickets,
    /// Payments, as the provider has them.
    pub payments: Vec<Charge>,
    /// What people were told.
    pub told: Told,
    /// The outbox and its consumer.
    pub outbox: Outbox,
    /// The audit.
    pub audit: Verified,
    /// How many orders were made anew from their entries, and what differs.
    pub rebuilt: Rebuilt,
    /// The first thing that is wrong with the audit.
    pub audit_finding: Option<String>,
}

/// The waiting room.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// How many may be in at a time.
    pub capacity: u64,
    /// How many are let in a second at the most.
    pub per_second: u64,
    /// How many at once after a quiet time.
    pub burst: u64,
    /// The most that were in at any look.
    pub most_active: u64,
    /// How often somebody looked.
    pub looks: u64,
    /// Everybody who was let in.
    pub admissions: Vec<Admitted>,
    /// The longest that people waited beside a free slot, in milliseconds.
    pub longest_stall_ms: i64,
    /// How often people asked for a place.
    pub joins: u64,
    /// Places given.
    pub places: u64,
    /// Admissions made.
    pub admitted: u64,
    /// Places and admissions that ended, each by its reason, and those that have not ended.
    pub accounted: u64,
    /// The same, by reasons, in words.
    pub account: String,
    /// People who had two places at once.
    pub second_places: u64,
    /// People whose place was another one after a reconnect, without a reason.
    pub vanished: u64,
    /// Positions that people were told.
    pub positions: u64,
    /// How often a position went up.
    pub positions_up: u64,
    /// People who asked on both processes at once, and were answered by both.
    pub joined_twice: u64,
    /// Looks at which somebody waited.
    pub waited_looks: u64,
    /// Admissions while people waited in all lanes, by lane, with the lane's weight.
    pub shares: Vec<(String, u32, u64)>,
    /// Connections that a crash cut.
    pub cut: u64,
    /// Of these, people who found their place again.
    pub found_again: u64,
    /// Of these, people whose place had ended meanwhile.
    pub lost_after_cut: u64,
    /// People who met a fault that did not end.
    pub faults_met: u64,
    /// Tokens that were tampered with, foreign, another person's, another event's, too old or from the future, and were
    /// refused.
    pub wrong_tokens_refused: u64,
    /// Such tokens that opened.
    pub wrong_tokens_taken: u64,
    /// People's own tokens that opened.
    pub right_tokens_taken: u64,
}

/// The seat map.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map {
    /// Seats and standing places.
    pub seats: u64,
    /// Looks at which the states did not add up to that.
    pub wrong_sums: u64,
    /// Looks at a map that was ready.
    pub looks: u64,
    /// Holds that people took.
    pub holds: u64,
    /// Seats that several people held, one after the other.
    pub seats_again: u64,
    /// Seats that two people held at once, in words.
    pub two_holders: Vec<String>,
    /// Holds that nobody gave back or bought.
    pub ran_out: u64,
    /// Strangers who wanted to do something with a hold, and were refused.
    pub strangers_refused: u64,
    /// Strangers who did something with a hold.
    pub strangers_served: u64,
    /// Holds with fewer seats than were asked for.
    pub partial_holds: u64,
    /// Retries that found another hold or order than the first call.
    pub two_orders: u64,
    /// Sold on the map, without a live ticket.
    pub sold_without_ticket: u64,
    /// Live tickets whose seat is not sold on the map.
    pub ticket_not_sold: u64,
    /// Seats that are still held.
    pub held: u64,
    /// Seats that are sold.
    pub sold: u64,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: String,
    /// What it is.
    pub state: OrderState,
    /// What the column says that it is.
    pub column: String,
    /// What it costs.
    pub amount: u64,
    /// What its seats cost by the list of prices.
    pub price: Option<u64>,
    /// What the lines of the order add up to.
    pub lines: u64,
    /// What was given back.
    pub refunded: u64,
    /// Something is left to do.
    pub open: bool,
    /// An operator should look.
    pub attention: Option<String>,
    /// Live tickets in the database.
    pub live_tickets: u64,
    /// Live tickets in its own account.
    pub expected_tickets: u64,
    /// How many things happened to it.
    pub version: u64,
}

/// Tickets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tickets {
    /// Live ones.
    pub live: u64,
    /// Seats that have more than one live ticket.
    pub seats_with_two: u64,
    /// Used ones.
    pub used: u64,
}

/// A payment, as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The order.
    pub order: String,
    /// What was charged in all.
    pub charged: u64,
    /// What of it the provider still has.
    pub left: u64,
    /// It may still become charged.
    pub undecided: bool,
}

/// What people were told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// Orders that somebody was told are paid.
    pub paid: Vec<String>,
    /// Retries that were answered the same.
    pub same_answers: u64,
    /// Retries that were answered otherwise.
    pub other_answers: u64,
    /// Other requests under a used key, refused.
    pub mismatches_refused: u64,
    /// Other requests under a used key, taken.
    pub mismatches_taken: u64,
    /// Lower amounts, refused.
    pub haggled: u64,
    /// Lower amounts, taken.
    pub haggled_taken: u64,
    /// People who came in with a ticket.
    pub entered: u64,
    /// Tickets by which two came in.
    pub entered_twice: u64,
    /// Calls about what is not theirs, without effect: orders of others, operators' calls.
    pub doors_closed: u64,
    /// Such calls that were answered, or after which the order was another.
    pub doors_opened: u64,
}

/// The outbox and its consumer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outbox {
    /// Events that wait.
    pub waiting: u64,
    /// Messages that the map has not heard.
    pub seat_messages: u64,
    /// What the consumer has seen.
    pub consumed: Consumed,
}
