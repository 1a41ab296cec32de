//! Random lives of orders, through the store.

use std::time::Duration;

use ticketon_domain::purchase::{
    Changed, Command, OrderId, OrderRecord, OrderState, PaymentKey, PurchaseStore, RefundId,
    TicketId,
};
use ticketon_queue::Clock as _;

use super::house::House;

/// A small generator of numbers, the same for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    pub(crate) fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}

/// So many orders, each of which lives a while; some are sealed on the way.
pub(crate) async fn live(house: &mut House, orders: u64, dice: &mut Dice) -> Vec<OrderId> {
    let mut ids = Vec::new();
    for _ in 0..orders {
        let seats = 1 + dice.below(4) as usize;
        let made = house.order(seats).await;
        ids.push(made.order.id);
        for _ in 0..dice.below(5) {
            // Now and then one that was made before lives on.
            let id = if dice.below(3) == 0 {
                *dice.one_of(&ids)
            } else {
                made.order.id
            };
            for _ in 0..1 + dice.below(4) {
                step(house, &id, dice).await;
            }
        }
        if dice.below(20) == 0 {
            house.seal().await;
        }
    }
    ids
}

/// One command that may make sense; often it does.
async fn step(house: &House, id: &OrderId, dice: &mut Dice) {
    house
        .clock
        .advance(Duration::from_millis(1 + dice.below(900)));
    let record = house.store.order(id).await.unwrap().unwrap();
    let command = command(&record, house.clock.now_ms(), dice);
    let changed = house
        .store
        .change(id, &command, house.clock.now_ms())
        .await
        .unwrap();
    let told = matches!(changed, Changed::Done(_) | Changed::Refused(..));
    assert!(told, "{command:?}: {changed:?}");
}

fn command(record: &OrderRecord, now_ms: i64, dice: &mut Dice) -> Command {
    let fence = record.work.fence;
    let order = &record.order;
    let user = record.user.clone();
    let code = || "REJECTED".to_owned();
    let message = || "the bank said no".to_owned();
    let confirm = Command::Confirm {
        user: user.clone(),
        provider: "sandbox".to_owned(),
        key: PaymentKey::new(format!("p-{}", order.id)).unwrap(),
        amount: order.amount,
        lease_ms: 200,
    };
    let put_off = Command::PutOff {
        fence,
        next_ms: now_ms + 10,
        code: code(),
        detail: message(),
        attend: dice.below(4) == 0,
        new_key: false,
    };
    let tickets: Vec<TicketId> = order.tickets.iter().map(|ticket| ticket.id).collect();
    let refunds: Vec<RefundId> = order.open_refunds().map(|refund| refund.id).collect();
    let reason = format!("reason of {user} because of illness");
    let mut choices = vec![Command::TakeUp { lease_ms: 200 }, put_off, Command::Retry];
    match order.state {
        OrderState::Pending => {
            choices.extend([confirm.clone(), confirm.clone(), confirm.clone(), confirm]);
            choices.push(Command::Cancel { user });
            choices.push(Command::Fail {
                fence: None,
                code: code(),
                message: message(),
                late_check_ms: None,
            });
            if dice.below(8) == 0 {
                // It is too late only if the clock says so, which a later order does not mind.
                choices.push(Command::Expire);
            }
        }
        OrderState::Confirming => {
            let paid = Command::Paid {
                fence,
                approved_at_ms: Some(now_ms),
                method: Some("card".to_owned()),
            };
            choices.extend([paid.clone(), paid.clone(), paid]);
            choices.push(confirm);
            let late_check_ms = Some(now_ms + 5);
            choices.push(Command::Fail {
                fence: Some(fence),
                code: code(),
                message: message(),
                late_check_ms,
            });
        }
        OrderState::Failed => choices.push(Command::LateChecked {
            fence,
            charged: dice.below(2) == 0,
        }),
        OrderState::Paid | OrderState::PartiallyRefunded => {
            let ticket = *dice.one_of(&tickets);
            let by = (dice.below(2) == 0).then_some(user);
            choices.push(Command::CheckIn {
                ticket,
                request: None,
            });
            let some = if dice.below(3) == 0 {
                Vec::new()
            } else {
                vec![ticket]
            };
            choices.push(Command::Refund {
                user: by,
                tickets: some,
                reason,
                request: None,
            });
            choices.push(Command::Attend {
                code: code(),
                detail: message(),
            });
        }
        _ => {}
    }
    if let Some(&refund) = refunds.first() {
        let done = Command::Refunded {
            fence,
            refund,
            transaction_key: format!("t-{refund}"),
        };
        choices.extend([done.clone(), done]);
        choices.push(Command::RefundRefused {
            fence,
            refund,
            code: code(),
            message: message(),
        });
        choices.push(Command::TakeUp { lease_ms: 200 });
    }
    dice.one_of(&choices).clone()
}
