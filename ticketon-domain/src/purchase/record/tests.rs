//! Every command in every state, and what stays true of an order whatever is asked of it.

mod life;
mod table;

use ticketon_queue::{EventId, UnixMs, UserId};

use super::{Change, MAX_REFUSED, OrderRecord};
use crate::audit::{ChainHash, Entry};
use crate::event::Currency;
use crate::outbox::Aggregate;
use crate::purchase::command::{Command, Refused};
use crate::purchase::event::{Line, OrderEvent, buyer_hash};
use crate::purchase::order::Order;
use crate::purchase::{
    OrderId, OrderState, PaymentKey, RefundState, SeatMessage, TicketId, TicketState,
};
use crate::seat::HoldId;
use crate::venue::SeatLabel;

const START_MS: UnixMs = 1_767_225_600_000;
const PAY_MS: UnixMs = 300_000;
const LEASE_MS: i64 = 60_000;
const WINDOW_MS: i64 = 600_000;
const PRICES: [u64; 3] = [50_000, 70_000, 110_000];
const AMOUNT: u64 = 230_000;
const FENCE: u64 = 77;

fn ann() -> UserId {
    UserId::new("ann").unwrap()
}

fn key(name: &str) -> PaymentKey {
    PaymentKey::new(name).unwrap()
}

fn order_id() -> OrderId {
    OrderId::from_bytes([7; 16])
}

fn seat(number: usize) -> SeatLabel {
    SeatLabel::new(format!("A-1-{number}")).unwrap()
}

fn ticket(number: usize) -> TicketId {
    TicketId::derive(&order_id(), &seat(number))
}

fn initiated(prices: [u64; 3]) -> Change {
    let line = |(number, price): (usize, &u64)| Line {
        seat: seat(number),
        grade: "R".to_owned(),
        price: *price,
    };
    let event = OrderEvent::Initiated {
        event_id: EventId::new("concert").unwrap(),
        buyer: buyer_hash(&order_id(), &ann()),
        hold_id: HoldId::from_bytes([1; 16]),
        fence: FENCE,
        sales_version: 1,
        lines: prices.iter().enumerate().map(line).collect(),
        amount: prices.iter().sum(),
        currency: Currency::KRW,
        pay_until_ms: START_MS + PAY_MS,
        hold_until_ms: START_MS + 2 * PAY_MS,
    };
    OrderRecord::initiate(order_id(), ann(), START_MS, &event, Some(3), None).unwrap()
}

fn confirm() -> Command {
    Command::Confirm {
        user: ann(),
        provider: "bank".to_owned(),
        key: key("pay-1"),
        amount: AMOUNT,
        lease_ms: LEASE_MS,
    }
}

fn take_up() -> Command {
    Command::TakeUp { lease_ms: LEASE_MS }
}

fn paid(fence: u64) -> Command {
    Command::Paid {
        fence,
        approved_at_ms: Some(START_MS),
        method: None,
    }
}

fn fail(fence: Option<u64>, now_ms: UnixMs) -> Command {
    Command::Fail {
        fence,
        code: "declined".to_owned(),
        message: "the card is empty".to_owned(),
        late_check_ms: Some(now_ms + WINDOW_MS),
    }
}

fn refund(tickets: &[TicketId]) -> Command {
    refund_by(&ann(), tickets)
}

fn refund_by(user: &UserId, tickets: &[TicketId]) -> Command {
    Command::Refund {
        user: Some(user.clone()),
        tickets: tickets.to_vec(),
        reason: "ill".to_owned(),
        request: None,
    }
}

/// An order with its whole history, which checks what must stay true after each step.
#[derive(Debug, Clone)]
struct Shelf {
    now_ms: UnixMs,
    record: OrderRecord,
    entries: Vec<Entry>,
    messages: Vec<SeatMessage>,
}

impl Shelf {
    fn new() -> Self {
        Self::priced(PRICES)
    }

    fn priced(prices: [u64; 3]) -> Self {
        let change = initiated(prices);
        let shelf = Self {
            now_ms: START_MS,
            record: change.record,
            entries: change.entries,
            messages: change.messages,
        };
        shelf.check();
        shelf
    }

    fn ask(&mut self, command: &Command) -> Result<(), Refused> {
        let before = self.record.clone();
        let decided = before.decide(command, self.now_ms);
        let change = match decided {
            Ok(change) => change,
            Err(refused) => {
                assert!(
                    !matches!(refused, Refused::Impossible(_)),
                    "{command:?} is a fault in {before:?}: {refused}"
                );
                return Err(refused);
            }
        };
        let from = before.order.state;
        let to = change.record.order.state;
        assert!(
            from == to || from.may_become(to),
            "{command:?} led from {from} to {to}"
        );
        assert!(change.record.work.fence >= before.work.fence);
        assert_eq!(change.news.len(), change.entries.len());
        for (news, entry) in change.news.iter().zip(&change.entries) {
            assert_eq!(news.version, entry.seq);
            assert_eq!(news.kind, entry.kind);
            assert_eq!(news.aggregate, Aggregate::order(order_id()));
        }
        self.record = change.record;
        self.entries.extend(change.entries);
        self.messages.extend(change.messages);
        self.check();
        Ok(())
    }

    /// Asks what must be granted.
    fn ok(mut self, command: &Command) -> Self {
        let state = self.record.order.state;
        let done = self.ask(command);
        assert_eq!(done, Ok(()), "{command:?} of an order that is {state}");
        self
    }

    fn at(mut self, now_ms: UnixMs) -> Self {
        self.now_ms = now_ms;
        self
    }

    fn fence(&self) -> u64 {
        self.record.work.fence
    }

    /// The order as its entries tell it.
    fn rebuilt(&self) -> Order {
        let event = |entry: &Entry| serde_json::from_str::<OrderEvent>(&entry.body).unwrap();
        let first = &self.entries[0];
        let mut order = Order::initiated(first.order, first.at_ms, &event(first)).unwrap();
        for entry in &self.entries[1..] {
            order.apply(entry.at_ms, &event(entry)).unwrap();
        }
        order
    }

    fn check(&self) {
        let (order, work) = (&self.record.order, &self.record.work);
        assert_eq!(*order, self.rebuilt());
        assert_eq!(order.version, self.entries.len() as u64);
        let mut head = ChainHash::START;
        for (at, entry) in self.entries.iter().enumerate() {
            assert_eq!((entry.seq, entry.prev), (at as u64 + 1, head));
            assert!(entry.is_whole());
            head = entry.hash;
        }
        assert_eq!(head, self.record.head);
        let text = serde_json::to_string(&self.record).unwrap();
        let read: OrderRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(read, self.record, "a record is what was stored of it");

        self.check_money();
        self.check_tickets();
        if let Some(lease) = work.lease {
            assert_eq!(lease.fence, work.fence, "a lease is the newest");
        }
        assert!(
            order
                .open_refunds()
                .all(|refund| refund.requested_at_ms <= self.now_ms)
        );
        let is_open = matches!(order.state, OrderState::Pending | OrderState::Confirming)
            || order.open_refunds().next().is_some()
            || work.late_check_ms.is_some();
        assert_eq!(
            self.record.due_ms().is_some(),
            is_open,
            "what is open is due, and nothing else: {:?}",
            self.record
        );
        self.check_map();
    }

    fn check_money(&self) {
        let order = &self.record.order;
        let open: u64 = order.open_refunds().map(|refund| refund.amount).sum();
        assert!(order.refunded() + open <= order.amount);
        let was_paid = matches!(
            order.state,
            OrderState::Paid | OrderState::PartiallyRefunded | OrderState::Refunded
        );
        assert!(was_paid || order.refunded() == 0);
        if order.state == OrderState::Refunded {
            assert_eq!(order.refunded(), order.amount);
        }
        // What is left of the payment is what the tickets that were not given back cost.
        let is_kept = |state| {
            matches!(
                state,
                TicketState::Valid | TicketState::Used | TicketState::Refunding
            )
        };
        let kept: u64 = order
            .tickets
            .iter()
            .filter(|ticket| is_kept(ticket.state))
            .map(|ticket| ticket.price)
            .sum();
        if was_paid && order.failure.is_none() {
            assert_eq!(kept, order.amount - order.refunded());
        } else {
            assert_eq!(kept, 0);
        }
    }

    fn check_tickets(&self) {
        let order = &self.record.order;
        let may_be: &[TicketState] = match (order.state, &order.failure) {
            (OrderState::Pending | OrderState::Canceled | OrderState::Expired, _) => &[],
            (OrderState::Confirming, _) => &[TicketState::Reserved],
            (OrderState::Failed, _) | (OrderState::Refunded, Some(_)) => &[TicketState::Void],
            (OrderState::Paid, _) => &[
                TicketState::Valid,
                TicketState::Used,
                TicketState::Refunding,
            ],
            (OrderState::PartiallyRefunded, _) => &[
                TicketState::Valid,
                TicketState::Used,
                TicketState::Refunding,
                TicketState::Refunded,
            ],
            (OrderState::Refunded, None) => &[TicketState::Refunded],
        };
        for ticket in &order.tickets {
            assert!(
                may_be.contains(&ticket.state),
                "a ticket is {} while its order is {}",
                ticket.state,
                order.state
            );
            assert_eq!(
                ticket.used_at_ms.is_some(),
                ticket.state == TicketState::Used
            );
        }
        let refunding = order
            .tickets
            .iter()
            .filter(|ticket| ticket.state == TicketState::Refunding)
            .map(|ticket| ticket.price);
        let open = order.open_refunds().filter(|_| order.failure.is_none());
        assert_eq!(
            refunding.sum::<u64>(),
            open.map(|refund| refund.amount).sum::<u64>()
        );
    }

    /// A map that heard every message has as sold what is live and paid for.
    fn check_map(&self) {
        let mut sold: Vec<&SeatLabel> = Vec::new();
        for message in &self.messages {
            match message {
                SeatMessage::Sold { seats, fence, .. } => {
                    assert_eq!(*fence, FENCE);
                    sold.extend(seats);
                }
                SeatMessage::Released { seats, fence, .. } => {
                    assert_eq!(*fence, FENCE);
                    sold.retain(|seat| !seats.contains(seat));
                }
                SeatMessage::Unpin { .. } => assert!(sold.is_empty()),
            }
        }
        let live = self
            .record
            .order
            .tickets
            .iter()
            .filter(|ticket| ticket.state.is_live() && ticket.state != TicketState::Reserved);
        let mut live: Vec<&SeatLabel> = live.map(|ticket| &ticket.seat).collect();
        sold.sort();
        live.sort();
        assert_eq!(sold, live);
    }
}

/// An order in each state that it can be in, and in the open ones with and without somebody at work.
fn shelves() -> Vec<(&'static str, Shelf)> {
    let pending = Shelf::new();
    let confirming = pending.clone().ok(&confirm());
    let put_off = confirming.clone().ok(&put_off(1));
    let was_paid = confirming.clone().ok(&paid(1));
    let failed = confirming.clone().ok(&fail(Some(1), START_MS));
    let never_began = pending.clone().ok(&fail(None, START_MS));
    let refunding = was_paid.clone().ok(&refund(&[ticket(0)]));
    let refunding_now = refunding.clone().ok(&take_up());
    let partially = refunding_now.clone().ok(&refunded(&refunding_now));
    let rest = partially.clone().ok(&refund(&[]));
    let rest = rest.clone().at(rest.now_ms + 1_200).ok(&take_up());
    let all = rest.clone().ok(&refunded(&rest));
    let checking = failed.clone().at(START_MS + WINDOW_MS).ok(&take_up());
    let checked = checking.clone().ok(&late_checked(&checking, false));
    let charged = checking.clone().ok(&late_checked(&checking, true));
    let charged = charged.ok(&take_up());
    let given_back = charged.clone().ok(&refunded(&charged));
    let canceled = pending.clone().ok(&Command::Cancel { user: ann() });
    let expired = pending.clone().at(START_MS + PAY_MS).ok(&Command::Expire);
    vec![
        ("pending", pending),
        ("confirming", confirming),
        ("put off", put_off),
        ("paid", was_paid),
        ("failed", failed),
        ("never began", never_began),
        ("refunding", refunding),
        ("refunding now", refunding_now),
        ("partially refunded", partially),
        ("refunding the rest", rest),
        ("refunded", all),
        ("checking late", checking),
        ("checked late", checked),
        ("charged late", charged),
        ("given back", given_back),
        ("canceled", canceled),
        ("expired", expired),
    ]
}

fn put_off(fence: u64) -> Command {
    Command::PutOff {
        fence,
        next_ms: START_MS + 1_000,
        code: "timeout".to_owned(),
        detail: "no answer".to_owned(),
        attend: false,
        new_key: false,
    }
}

/// The oldest open refund was done.
fn refunded(shelf: &Shelf) -> Command {
    let open = shelf.record.order.open_refunds().next();
    let last = shelf.record.order.refunds.last();
    Command::Refunded {
        fence: shelf.fence(),
        refund: open.or(last).map_or_else(
            || crate::purchase::RefundId::derive(&order_id(), 0),
            |refund| refund.id,
        ),
        transaction_key: "t".to_owned(),
    }
}

fn refund_refused(shelf: &Shelf) -> Command {
    let Command::Refunded { fence, refund, .. } = refunded(shelf) else {
        unreachable!("that is what it makes");
    };
    Command::RefundRefused {
        fence,
        refund,
        code: "closed".to_owned(),
        message: "the account is closed".to_owned(),
    }
}

fn late_checked(shelf: &Shelf, charged: bool) -> Command {
    Command::LateChecked {
        fence: shelf.fence(),
        charged,
    }
}

#[test]
fn a_refused_refund_makes_its_tickets_good_again() {
    let (_, shelf) = shelves().swap_remove(7);
    let id = shelf.record.order.refunds[0].id;
    let refused = refund_refused(&shelf);
    let shelf = shelf.ok(&refused);
    let order = &shelf.record.order;
    assert_eq!(order.refunds[0].state, RefundState::Refused);
    assert_eq!(order.tickets[0].state, TicketState::Valid);
    assert!(shelf.record.work.attention.is_some());
    let again = shelf.clone().ok(&refund(&[ticket(0)]));
    assert_ne!(again.record.order.refunds[1].id, id);
}
