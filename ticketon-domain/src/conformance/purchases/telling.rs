//! What the seat map must hear.

use std::sync::Arc;

use super::order::*;
use crate::purchase::{PendingMessage, PurchaseStore, SeatMessage};

/// In the order of the changes, page by page, until it was applied.
pub async fn p3_what_the_map_must_hear_comes_in_its_order(store: &Arc<dyn PurchaseStore>) {
    let ann = make(store, "ann", 1, &[1, 2]).await;
    let ben = make(store, "ben", 2, &[3]).await;
    done(store, &ann, &confirm("ann", "pay-1", 2)).await;
    done(store, &ben, &confirm("ben", "pay-2", 1)).await;
    assert_eq!(read(store, 0, 10).await, [], "nobody has bought yet");
    let record = done(store, &ann, &paid(1)).await;
    done(store, &ben, &fail(1)).await;
    done(store, &ann, &refund(&[record.order.tickets[0].id])).await;
    assert_eq!(
        read(store, 0, 10).await.len(),
        2,
        "the money was not given back yet"
    );
    give_back(store, &ann, NOW).await;

    let all = read(store, 0, 10).await;
    let orders: Vec<_> = all.iter().map(|message| message.order).collect();
    assert_eq!(orders, [ann, ben, ann]);
    assert!(all.iter().all(|message| message.event == concert()));
    assert!(all.is_sorted_by_key(|message| message.id));
    let [sold, let_go, released] = &all[..] else {
        unreachable!("there are three");
    };
    let expected = SeatMessage::Sold {
        user: user("ann"),
        fence: 1_001,
        seats: vec![seat(1), seat(2)],
        admission: Some(7),
    };
    assert_eq!(sold.message, expected);
    assert!(
        matches!(let_go.message, SeatMessage::Unpin { .. }),
        "{let_go:?}"
    );
    let expected = SeatMessage::Released {
        user: user("ann"),
        fence: 1_001,
        seats: vec![seat(1)],
    };
    assert_eq!(released.message, expected);

    assert_eq!(read(store, 0, 2).await, all[..2]);
    assert_eq!(read(store, all[1].id, 2).await, all[2..]);
    let of_ann = store
        .seat_messages_of(&ann)
        .await
        .expect("the store answers");
    assert_eq!(of_ann, [all[0].clone(), all[2].clone()]);
    store
        .applied(&[all[0].id, all[1].id])
        .await
        .expect("the store answers");
    assert_eq!(read(store, 0, 10).await, all[2..]);
    // A number is never given twice.
    store
        .applied(&[all[2].id])
        .await
        .expect("the store answers");
    done(store, &ann, &refund(&[])).await;
    give_back(store, &ann, NOW + 1_200).await;
    assert!(read(store, 0, 10).await[0].id > all[2].id);
}

async fn read(store: &Arc<dyn PurchaseStore>, after: u64, limit: usize) -> Vec<PendingMessage> {
    let messages = store.seat_messages(after, limit).await;
    messages.expect("the store answers")
}
