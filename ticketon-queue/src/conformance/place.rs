//! Q3: a user is in exactly one of waiting, admitted, gone, and nobody vanishes without a reason.
//! Q4: a join is idempotent.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::test_room::{ALL, TestRoom, answered, event, pass, poll, polls, user};
use crate::clock::ManualClock;
use crate::config::RoomConfig;
use crate::state::{Reason, RoomVerb};
use crate::store::{Fenced, JoinReply, JoinRequest, Left, QueueStore, Standing};

/// Whatever people do at the same time, through however many processes: every place that was ever given
/// is in line, admitted, or counted as ended, and the numbers are what looking at each person gives.
///
/// # Panics
/// If a place is in two of them, or in none.
pub async fn q3_everybody_is_in_exactly_one_place(
    processes: &[Arc<dyn QueueStore>],
    clock: &ManualClock,
) {
    const PEOPLE: usize = 160;
    let event = event("q3-everybody");
    let config = RoomConfig::builder()
        .capacity(11)
        .admit_per_second(20_000)
        .claim_ttl_seconds(1)
        .away_grace_seconds(2)
        .max_waiting(100);
    let room = TestRoom::make(&*processes[0], &event, config).await;
    for round in 0..12 {
        let mut tasks = JoinSet::new();
        for part in 0..processes.len() {
            let (process, event) = (Arc::clone(&processes[part]), event.clone());
            let people = (part..PEOPLE).step_by(processes.len());
            tasks.spawn(async move {
                let room = TestRoom {
                    store: &*process,
                    event: &event,
                };
                for index in people {
                    act(&room, index, round).await;
                    if index % 16 == part {
                        room.tick(3).await;
                    }
                }
            });
        }
        tasks.join_all().await;
        pass(clock, 700);

        // Whoever ran out is counted as such by a tick; then every place is somewhere.
        room.tick(0).await;
        let numbers = room.numbers().await;
        let ended = numbers.completed_total + numbers.expired_total + numbers.left_total;
        assert_eq!(
            numbers.joined_total,
            numbers.waiting() + numbers.active + ended,
            "places ever given = waiting + admitted + ended, in {numbers:?}"
        );
        let (mut waiting, mut admitted) = (0, 0);
        for index in 0..PEOPLE {
            match room.standing(&user(index)).await {
                Standing::Waiting(_) => waiting += 1,
                Standing::Admitted(_) => admitted += 1,
                _ => {}
            }
        }
        assert_eq!(
            waiting,
            numbers.waiting(),
            "people found in line, and their number"
        );
        assert_eq!(
            admitted, numbers.active,
            "people found admitted, and their number"
        );
    }
    let numbers = room.numbers().await;
    assert!(
        numbers.left_total > 0 && numbers.completed_total > 0 && numbers.expired_total > 0,
        "places ended in every way: {numbers:?}"
    );
}

/// What a person does in a round.
async fn act(room: &TestRoom<'_>, index: usize, round: usize) {
    let who = user(index);
    match (index * 7 + round * 13) % 5 {
        // Some come once, and are not heard of again.
        _ if index.is_multiple_of(3) && !round.is_multiple_of(6) => {}
        0 => {
            room.leave(&who).await;
        }
        1 => {
            if let Standing::Admitted(lease) = room.standing(&who).await {
                room.complete(&who, lease.fence).await;
            }
        }
        _ => drop(room.join(&[poll(who)]).await),
    }
}

/// Each way in which a place ends is told afterwards, with the fence of the lease if there was one;
/// then the person may join again.
///
/// # Panics
/// If a reason is missing or wrong.
pub async fn q3_every_end_has_its_reason(store: &dyn QueueStore, clock: &ManualClock) {
    let event = event("q3-reasons");
    let config = RoomConfig::builder()
        .capacity(3)
        .admit_per_second(1_000)
        .claim_ttl_seconds(2)
        .away_grace_seconds(6);
    let room = TestRoom::make(store, &event, config).await;
    room.join(&polls(0..6)).await;
    let completed = room.lease(&user(0)).await.fence;
    assert_eq!(room.complete(&user(0), completed).await, Fenced::Done(()));
    let left = room.lease(&user(1)).await.fence;
    assert_eq!(room.leave(&user(1)).await, Left::Admitted);
    let expired = room.lease(&user(2)).await.fence;
    assert_eq!(room.leave(&user(3)).await, Left::Waiting);
    room.change(RoomVerb::Pause).await;
    // 2 comes in too late; 4 stays away; 5 asks now and then.
    for _ in 0..4 {
        pass(clock, 2_000);
        room.join(&[poll(user(5))]).await;
        room.tick(ALL).await;
    }
    room.change(RoomVerb::Close).await;
    room.tick(ALL).await;

    let ends = [
        (0, Reason::Completed, completed),
        (1, Reason::Left, left),
        (2, Reason::Expired, expired),
        (3, Reason::Left, 0),
        (4, Reason::Left, 0),
        (5, Reason::RoomClosed, 0),
    ];
    for (index, reason, fence) in ends {
        let expected = Standing::Gone { reason, fence };
        assert_eq!(room.standing(&user(index)).await, expected, "user {index}");
    }
    assert_eq!(
        room.standing(&user(6)).await,
        Standing::Absent,
        "who never came"
    );
    let numbers = room.numbers().await;
    let ended = (
        numbers.completed_total,
        numbers.expired_total,
        numbers.left_total,
    );
    assert_eq!(ended, (1, 1, 4), "completed, expired, left");
}

/// A join that is sent many times, by many processes at once, gives one place, and always the same.
///
/// # Panics
/// If anybody gets two places, or another one.
pub async fn q4_a_join_may_be_sent_any_number_of_times(
    processes: &[Arc<dyn QueueStore>],
    _clock: &ManualClock,
) {
    const PEOPLE: usize = 100;
    let event = event("q4-again");
    let config = RoomConfig::builder().capacity(3);
    let room = TestRoom::make(&*processes[0], &event, config).await;
    let mut tasks = JoinSet::new();
    for process in processes {
        let (process, event) = (Arc::clone(process), event.clone());
        tasks.spawn(async move {
            for _ in 0..3 {
                answered("join", process.join(&event, &polls(0..PEOPLE)).await);
            }
            answered("join", process.join(&event, &polls(0..PEOPLE)).await)
        });
    }
    let answers = tasks.join_all().await;
    assert_eq!(
        room.numbers().await.joined_total,
        PEOPLE as u64,
        "places given"
    );
    let sequence = |reply: &JoinReply| match reply {
        JoinReply::Waiting { place, new: false } => place.sequence,
        JoinReply::Admitted { lease, new: false } => lease.sequence,
        other => panic!("{other:?} is not the place that this person has"),
    };
    let first: Vec<i64> = answers[0].iter().map(sequence).collect();
    for other in &answers[1..] {
        let other: Vec<i64> = other.iter().map(sequence).collect();
        assert_eq!(other, first, "two processes see different places");
    }
}

/// Who comes back with the epoch of a place that ended is told why, and does not join again by
/// accident; who has it still keeps it; who has the epoch of a lost room joins.
///
/// # Panics
/// If a return leads to anything else.
pub async fn q4_a_place_is_resumed_or_its_end_is_told(
    store: &dyn QueueStore,
    _clock: &ManualClock,
) {
    let event = event("q4-resume");
    let config = RoomConfig::builder().capacity(1);
    let room = TestRoom::make(store, &event, config).await;
    room.line_up(&polls(0..3)).await;
    let epoch = room.numbers().await.epoch;
    let back = |index, epoch| JoinRequest {
        resume: Some(epoch),
        ..poll(user(index))
    };
    let sequence = room.sequence(&user(1)).await;
    assert_eq!(
        room.join_one(back(1, epoch)).await,
        sequence,
        "the place is kept"
    );
    room.leave(&user(1)).await;
    let left = JoinReply::Gone {
        reason: Reason::Left,
    };
    assert_eq!(
        room.join(&[back(1, epoch)]).await,
        [left],
        "the place has ended"
    );
    assert_eq!(room.numbers().await.joined_total, 3);
    let again = room.join_one(back(1, epoch + 1)).await;
    assert!(
        again > sequence,
        "a place of another epoch is gone for good: join anew, at the back"
    );
}
