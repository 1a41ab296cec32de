//! Every verb of the port at once.

use ticketon_queue::EventId;

use super::test_map::{answered, seats, user};
use crate::seat::{
    Choice, HoldId, HoldKey, HoldRequest, Limits, Mapped, Mend, Owned, SeatState, SeatStore,
    SeatSync, Truth,
};
use crate::venue::SeatIndex;

/// What every verb that needs a map answers: first those that name an epoch, then those that do not.
pub(super) async fn every_verb(
    store: &dyn SeatStore,
    event: &EventId,
    epoch: u64,
) -> (
    Vec<(&'static str, Mapped<()>)>,
    Vec<(&'static str, Mapped<()>)>,
) {
    let ann = user("ann");
    let id = HoldId::derive(event, &ann, "any");
    let fence = Some(1);
    let key = HoldKey {
        id,
        user: ann.clone(),
        fence,
    };
    let request = HoldRequest {
        id,
        user: ann.clone(),
        request_hash: 1,
        choice: Choice::Seats(seats([0])),
        ttl_ms: 1_000,
        limits: Limits::default(),
    };
    let batch = [SeatSync::Sold {
        user: ann.clone(),
        fence: 1,
        seats: seats([0]),
    }];
    let mends = [Mend {
        seat: SeatIndex::new(0),
        found: Owned {
            state: SeatState::Free,
            owner: 0,
        },
        truth: Truth::Sold {
            user: ann.clone(),
            fence: 1,
        },
    }];
    macro_rules! ask {
        ($verb:ident($($arg:expr),*)) => {
            (stringify!($verb), answered(stringify!($verb), store.$verb(event, $($arg),*).await).map(drop))
        };
    }
    let of_an_epoch = vec![
        ask!(changes(epoch, 0)),
        ask!(hold(epoch, &request)),
        ask!(find(epoch, &key)),
        ask!(holds_of(epoch, &ann)),
        ask!(extend(epoch, &key, 1_000, 9_000)),
        ask!(release(epoch, &key)),
        ask!(pin(epoch, &key)),
        ask!(unpin(epoch, &key, 0)),
        ask!(sync(epoch, &batch)),
        ask!(owners(epoch, SeatIndex::new(0))),
        ask!(pinned(epoch, 0)),
        ask!(mend(epoch, &mends)),
        ask!(block(epoch, &seats([0]))),
        ask!(unblock(epoch, &seats([0]))),
    ];
    (
        of_an_epoch,
        vec![ask!(head()), ask!(snapshot()), ask!(sweep())],
    )
}
