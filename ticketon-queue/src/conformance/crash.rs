//! Q8, of single calls: a process may die before, within or after any verb, or lose its answer; sent
//! again, by whomever, the verb has the effect of once, and the state tells everybody what happened.

use std::sync::Arc;

use super::test_room::{ALL, TestRoom, answered, built, event, pass, poll, polls, stream, user};
use crate::clock::ManualClock;
use crate::config::RoomConfig;
use crate::id::{BrokerId, ConnId};
use crate::state::{Reason, RoomState, RoomVerb};
use crate::store::{
    Attach, Attached, Fenced, JoinReply, Left, QueueStore, RoomSaved, Standing, StateChanged,
    TakenOver,
};

/// Each verb, sent, its answer lost, and sent again by another process: once is enough, and the second
/// answer tells what the first would have told.
///
/// # Panics
/// If a verb takes effect twice, or its second answer misleads.
pub async fn q8_a_lost_answer_may_be_asked_for_again(
    processes: &[Arc<dyn QueueStore>],
    clock: &ManualClock,
) {
    let event = event("q8-again");
    let config = || RoomConfig::builder().capacity(2).admit_per_second(1_000);
    let room = TestRoom::make(&*processes[0], &event, config()).await;
    let [first, second] = [
        room.by(&processes[0]),
        room.by(&processes[processes.len() - 1]),
    ];
    let bigger = built(config().max_waiting(9));
    drop(first.store.save_room(&event, &bigger).await);
    let saved = second.store.save_room(&event, &bigger).await;
    assert_eq!(saved.expect("save_room failed"), RoomSaved::Same);
    drop(first.store.change_state(&event, RoomVerb::Pause).await);
    let changed = second.store.change_state(&event, RoomVerb::Pause).await;
    let paused = StateChanged::Now(RoomState::Paused);
    assert_eq!(answered("change_state", changed), paused);

    let (broker, who) = (BrokerId::random(), user(0));
    first.register(broker).await;
    second.register(broker).await;
    let joins = [
        stream(who.clone(), broker, 1),
        poll(user(1)),
        poll(user(2)),
        poll(user(3)),
    ];
    drop(first.join(&joins).await);
    for reply in second.join(&joins).await {
        let kept = matches!(reply, JoinReply::Waiting { new: false, .. });
        assert!(kept, "a join that was sent again led to {reply:?}");
    }
    first.change(RoomVerb::Resume).await;
    drop(first.tick(ALL).await);
    assert_eq!(
        second.tick(ALL).await.promoted,
        0,
        "both slots were given by the first tick"
    );

    let fence = room.lease(&who).await.fence;
    let claimed = first.claim(&who, fence).await;
    pass(clock, 100);
    assert_eq!(
        second.claim(&who, fence).await,
        claimed,
        "claimed is claimed"
    );
    let extended = answered(
        "extend",
        first.store.extend(&event, &who, fence, 60_000).await,
    );
    let again = answered(
        "extend",
        second.store.extend(&event, &who, fence, 60_000).await,
    );
    assert_eq!(again, extended, "extended until the same moment");
    first.disconnect(broker, &who, 1).await;
    second.disconnect(broker, &who, 1).await;
    for room in [first, second] {
        let attach = [Attach {
            user: who.clone(),
            conn: ConnId(1),
        }];
        let attached = room.store.attach(&event, broker, broker, &attach).await;
        assert_eq!(answered("attach", attached), [Attached::Owner]);
    }
    let _ = first.complete(&who, fence).await;
    assert_eq!(
        second.complete(&who, fence).await,
        Fenced::Done(()),
        "completed is completed"
    );
    let ended = Fenced::Ended {
        reason: Reason::Completed,
    };
    assert_eq!(second.claim(&who, fence).await, ended);
    let _ = first.leave(&user(3)).await;
    assert_eq!(
        second.leave(&user(3)).await,
        Left::NotJoined,
        "left is left"
    );

    let numbers = room.numbers().await;
    let totals = (numbers.joined_total, numbers.admitted_total);
    let ended = (
        numbers.completed_total,
        numbers.expired_total,
        numbers.left_total,
    );
    assert_eq!(
        (totals, ended),
        ((4, 2), (1, 0, 1)),
        "each verb counted once"
    );
}

/// A dispatcher promotes and dies before anybody hears of it: the next look of any broker finds the
/// lease, and the lane's watermark leads to it. Where nobody is told, the slot goes on at `claimBy`.
///
/// # Panics
/// If the lease cannot be found, or blocks its slot.
pub async fn q8_who_was_promoted_is_found_without_an_announcement(
    processes: &[Arc<dyn QueueStore>],
    clock: &ManualClock,
) {
    let event = event("q8-promoted");
    let config = RoomConfig::builder()
        .capacity(1)
        .admit_per_second(1_000)
        .claim_ttl_seconds(3);
    let room = TestRoom::make(&*processes[0], &event, config).await;
    let broker = BrokerId::random();
    room.register(broker).await;
    room.line_up(&[stream(user(0), broker, 1), stream(user(1), broker, 2)])
        .await;
    // The one that promotes is never heard of again.
    drop(room.by(&processes[processes.len() - 1]).tick(ALL).await);

    let observed = room.observe(broker, vec![user(0), user(1)]).await;
    let (Standing::Admitted(lease), Some(owner)) = &observed.users[0] else {
        panic!("the first person is {:?}", observed.users[0]);
    };
    assert_eq!(*owner, (broker, ConnId(1)), "who is to be told");
    assert!(
        observed.numbers.lanes[0].watermark >= lease.sequence,
        "the watermark {} is below the promoted {}",
        observed.numbers.lanes[0].watermark,
        lease.sequence
    );
    assert!(matches!(observed.users[1].0, Standing::Waiting(_)));

    pass(clock, 3_000);
    let tick = room.tick(ALL).await;
    assert_eq!(
        (tick.expired, tick.promoted),
        (1, 1),
        "the slot goes on at claimBy"
    );
    let gone = Standing::Gone {
        reason: Reason::Expired,
        fence: lease.fence,
    };
    assert_eq!(room.standing(&user(0)).await, gone);
    assert!(room.lease(&user(1)).await.fence > lease.fence);
}

/// A claim whose answer was lost holds: the lease lives to its end; only its own fence changes it, and a
/// fence of an earlier lease never does.
///
/// # Panics
/// If the lease ends early or late, or a stale fence changes something.
pub async fn q8_a_claim_holds_whoever_hears_of_it(store: &dyn QueueStore, clock: &ManualClock) {
    let event = event("q8-claim");
    let config = RoomConfig::builder()
        .capacity(1)
        .admit_per_second(1_000)
        .claim_ttl_seconds(2)
        .entry_ttl_seconds(4);
    let room = TestRoom::make(store, &event, config).await;
    let who = user(0);
    room.join(&polls(0..1)).await;
    let old = room.lease(&who).await.fence;
    assert_eq!(room.complete(&who, old).await, Fenced::Done(()));
    room.join(&polls(0..1)).await;
    let lease = room.lease(&who).await;
    assert!(lease.fence > old, "the fence rises with each admission");
    drop(room.claim(&who, lease.fence).await);
    for stale in [old, lease.fence + 1] {
        assert_eq!(room.claim(&who, stale).await, Fenced::Stale);
        assert_eq!(room.complete(&who, stale).await, Fenced::Stale);
        let extended = store.extend(&event, &who, stale, 60_000).await;
        assert_eq!(answered("extend", extended), Fenced::Stale);
        let left = store.leave(&event, &who, Some(stale)).await;
        assert_eq!(answered("leave", left), Left::Stale);
    }
    // An extension shorter than what is left changes nothing.
    let extended = answered("extend", store.extend(&event, &who, lease.fence, 1).await);
    assert!(
        matches!(&extended, Fenced::Done(same) if same.expires_at_ms == lease.expires_at_ms),
        "{extended:?}"
    );
    pass(clock, 3_999);
    let lives = room.lease(&who).await;
    assert!(
        lives.claimed && lives.expires_at_ms == lease.expires_at_ms,
        "{lives:?}"
    );
    pass(clock, 1);
    let expired = Fenced::Ended {
        reason: Reason::Expired,
    };
    assert_eq!(room.claim(&who, lease.fence).await, expired, "at its end");
    assert_eq!(room.numbers().await.expired_total, 1);
}

/// The store was away for an hour, or its clock went back: nobody loses a place, an unclaimed
/// admission or a broker for that. After one grace, everything runs as before.
///
/// # Panics
/// If the time that was lost is held against anybody, or nobody ever again.
pub async fn q8_time_lost_to_an_outage_costs_nobody_a_place(
    store: &dyn QueueStore,
    clock: &ManualClock,
) {
    for lost_ms in [3_600_000, -60_000] {
        let event = event("q8-outage");
        let config = RoomConfig::builder()
            .capacity(1)
            .admit_per_second(1_000)
            .claim_ttl_seconds(2)
            .entry_ttl_seconds(7_200)
            .away_grace_seconds(20);
        let room = TestRoom::make(store, &event, config).await;
        let broker = BrokerId::random();
        room.register(broker).await;
        room.join(&[
            poll(user(0)),
            poll(user(1)),
            poll(user(2)),
            stream(user(3), broker, 1),
        ])
        .await;
        let fence = room.lease(&user(0)).await.fence;

        pass(clock, lost_ms);
        let tick = room.tick(ALL).await;
        let ended = (tick.expired, tick.left, tick.promoted);
        assert_eq!(ended, (0, 0, 0), "after {lost_ms} ms were lost");
        assert!(tick.lapsed.is_empty(), "no broker could renew its lease");
        assert_eq!(room.take_over(broker).await, TakenOver::Alive);
        room.sequence(&user(1)).await;
        assert!(matches!(room.claim(&user(0), fence).await, Fenced::Done(_)));
        // Within the grace one comes back, and the other does not. A clock that went back is not waited for.
        room.live(clock, 18).await;
        room.observe(broker, vec![]).await;
        room.join(&[poll(user(1))]).await;
        if lost_ms > 0 {
            room.live(clock, 4).await;
            let away = Standing::Gone {
                reason: Reason::Left,
                fence: 0,
            };
            assert_eq!(room.standing(&user(2)).await, away, "the grace is over");
        }
        room.sequence(&user(1)).await;
        room.sequence(&user(3)).await;
    }
}
