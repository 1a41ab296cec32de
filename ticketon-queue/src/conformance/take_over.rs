//! Q8, of brokers: the people of a broker that died keep their places for the grace, whoever notices,
//! and whoever dies while tidying up.

use std::sync::Arc;

use super::test_room::{ALL, TestRoom, answered, event, pass, stream, user};
use crate::clock::ManualClock;
use crate::config::{RoomConfig, RoomConfigBuilder};
use crate::id::{BrokerId, ConnId};
use crate::state::Reason;
use crate::store::{
    Attach, Attached, BROKER_LEASE_MS, JoinReply, MAX_BATCH, ObserveReply, QueueStore, Standing,
    TakenOver,
};

const AWAY: Standing = Standing::Gone {
    reason: Reason::Left,
    fence: 0,
};

/// A room in which everybody waits.
fn full_house() -> RoomConfigBuilder {
    RoomConfig::builder().capacity(1).away_grace_seconds(20)
}

/// A broker is dead when its lease ran out, and not before. Then its people have the grace to come back
/// through another one; who does keeps the place, who does not has left.
///
/// # Panics
/// If somebody loses a place too early, keeps it for ever, or a live broker is taken over.
pub async fn q8_people_of_a_dead_broker_keep_their_place_for_the_grace(
    processes: &[Arc<dyn QueueStore>],
    clock: &ManualClock,
) {
    let event = event("q8-dead");
    let room = TestRoom::make(&*processes[0], &event, full_house()).await;
    let other = room.by(&processes[processes.len() - 1]);
    let (dies, lives) = (BrokerId::random(), BrokerId::random());
    room.register(dies).await;
    room.register(lives).await;
    let people: Vec<_> = (0..5)
        .map(|who| stream(user(who), dies, who as u64))
        .collect();
    room.line_up(&people).await;
    room.tick(ALL).await;
    let places = [room.sequence(&user(1)).await, room.sequence(&user(2)).await];

    // One comes back before anybody noticed.
    room.join_one(stream(user(1), lives, 11)).await;
    for _ in 0..BROKER_LEASE_MS / 2_000 - 1 {
        let tick = room.live(clock, 2).await;
        assert!(tick.lapsed.is_empty(), "a broker lapsed within its lease");
        other.observe(lives, vec![]).await;
    }
    assert_eq!(
        other.take_over(dies).await,
        TakenOver::Alive,
        "within its lease"
    );
    assert_eq!(
        room.live(clock, 2).await.lapsed,
        [dies],
        "who is to be taken over"
    );
    assert_eq!(
        other.take_over(lives).await,
        TakenOver::Alive,
        "it renewed its lease"
    );
    let moved = TakenOver::Moved {
        people: 4,
        more: false,
    };
    assert_eq!(other.take_over(dies).await, moved);
    assert!(room.tick(ALL).await.lapsed.is_empty(), "it is taken over");

    // One comes back within the grace; 3 and 4 do not.
    room.observe(lives, vec![]).await;
    for _ in 0..2 {
        room.live(clock, 8).await;
        room.observe(lives, vec![]).await;
    }
    room.join_one(stream(user(2), lives, 12)).await;
    for who in 3..5 {
        room.sequence(&user(who)).await;
    }
    room.live(clock, 6).await;
    assert_eq!(
        [room.sequence(&user(1)).await, room.sequence(&user(2)).await],
        places
    );
    for who in 3..5 {
        assert_eq!(room.standing(&user(who)).await, AWAY, "after the grace");
    }
}

/// A take-over is done in bounded batches, and who does it may die after each: the room goes on saying
/// that it is due, another process goes on with it, and nobody is forgotten or moved twice.
///
/// # Panics
/// If somebody is.
pub async fn q8_a_take_over_may_stop_in_the_middle(
    processes: &[Arc<dyn QueueStore>],
    clock: &ManualClock,
) {
    const PEOPLE: usize = MAX_BATCH + 200;
    let event = event("q8-middle");
    let room = TestRoom::make(&*processes[0], &event, full_house()).await;
    let other = room.by(&processes[processes.len() - 1]);
    let (dies, lives) = (BrokerId::random(), BrokerId::random());
    room.register(dies).await;
    let people: Vec<_> = (0..PEOPLE)
        .map(|who| stream(user(who), dies, who as u64))
        .collect();
    for batch in people.chunks(MAX_BATCH) {
        room.line_up(batch).await;
    }
    room.tick(1).await;
    let mut tick = room.live(clock, 10).await;
    room.register(lives).await;
    assert_eq!(tick.lapsed, [dies]);
    let half = TakenOver::Moved {
        people: MAX_BATCH as u64,
        more: true,
    };
    assert_eq!(room.take_over(dies).await, half);

    // The broker was only slow: it learns that it has lapsed, and its newcomers come elsewhere.
    assert_eq!(
        room.try_observe(dies, vec![]).await,
        ObserveReply::BrokerLapsed
    );
    let late = room.join(&[stream(user(PEOPLE), dies, 9_999)]).await;
    assert_eq!(late, [JoinReply::BrokerLapsed]);
    // Some people come back meanwhile, whether they were moved already or not.
    let back: Vec<_> = (0..PEOPLE).step_by(10).collect();
    for who in &back {
        room.join_one(stream(user(*who), lives, *who as u64)).await;
    }
    tick = other.tick(1).await;
    assert_eq!(tick.lapsed, [dies], "the other half is still due");
    let TakenOver::Moved {
        people,
        more: false,
    } = other.take_over(dies).await
    else {
        panic!("the second batch is the last");
    };
    assert!(people <= 200, "{people} of at most 200 were moved");
    assert!(other.tick(1).await.lapsed.is_empty(), "it is taken over");

    for _ in 0..3 {
        room.live(clock, 8).await;
        room.observe(lives, vec![]).await;
    }
    for who in 0..PEOPLE {
        let standing = room.standing(&user(who)).await;
        let here = matches!(standing, Standing::Waiting(_) | Standing::Admitted(_));
        if back.contains(&who) {
            assert!(here, "user {who} came back, and is {standing:?}");
        } else {
            assert!(!here, "user {who} did not come back, and is {standing:?}");
        }
    }
}

/// The newest stream of a person owns the place: what is said of older ones, by their broker or by
/// another, starts no grace.
///
/// # Panics
/// If an old connection costs a place, or the newest one does not.
pub async fn q8_a_late_disconnect_changes_nothing(
    processes: &[Arc<dyn QueueStore>],
    clock: &ManualClock,
) {
    let event = event("q8-late");
    let room = TestRoom::make(&*processes[0], &event, full_house()).await;
    let (old, new) = (BrokerId::random(), BrokerId::random());
    room.register(old).await;
    room.register(new).await;
    let who = user(1);
    room.line_up(&[stream(user(0), old, 1), stream(who.clone(), old, 2)])
        .await;
    room.tick(1).await;
    room.join_one(stream(who.clone(), old, 3)).await;
    room.disconnect(old, &who, 2).await;
    room.join_one(stream(who.clone(), new, 3)).await;
    room.disconnect(old, &who, 3).await;
    // A poll beside a stream starts no grace either.
    room.join_one(super::test_room::poll(who.clone())).await;
    for _ in 0..3 {
        room.live(clock, 8).await;
        let observed = room.observe(new, vec![who.clone()]).await;
        let (standing, owner) = &observed.users[0];
        assert!(matches!(standing, Standing::Waiting(_)), "{standing:?}");
        assert_eq!(*owner, Some((new, ConnId(3))));
    }
    room.disconnect(new, &who, 3).await;
    for _ in 0..3 {
        room.observe(new, vec![]).await;
        room.live(clock, 8).await;
    }
    assert_eq!(room.standing(&who).await, AWAY, "the newest stream closed");
}

/// The broker of a person's older and newest stream is told that the older one closed, and dies: with it dies
/// the newest one.
///
/// # Panics
/// If the person keeps the place for ever.
pub async fn q8_a_newer_stream_dies_with_its_broker(
    processes: &[Arc<dyn QueueStore>],
    clock: &ManualClock,
) {
    let event = event("q8-newer");
    let room = TestRoom::make(&*processes[0], &event, full_house()).await;
    let other = room.by(&processes[processes.len() - 1]);
    let dies = BrokerId::random();
    room.register(dies).await;
    let who = user(1);
    room.line_up(&[stream(user(0), dies, 1), stream(who.clone(), dies, 2)])
        .await;
    room.tick(1).await;
    room.join_one(stream(who.clone(), dies, 3)).await;
    room.disconnect(dies, &who, 2).await;
    other.live(clock, 10).await;
    other.take_over(dies).await;
    for _ in 0..3 {
        other.live(clock, 8).await;
    }
    let standing = room.standing(&who).await;
    assert_eq!(
        standing, AWAY,
        "nobody has been there for longer than the grace"
    );
}

/// A broker that was slow, and is taken over, comes back as a new incarnation: it keeps the people who
/// stayed with it, and learns who went elsewhere or has no place any more.
///
/// # Panics
/// If it takes somebody away from another broker, or loses one of its own.
pub async fn q8_a_broker_that_was_taken_over_comes_back(
    processes: &[Arc<dyn QueueStore>],
    clock: &ManualClock,
) {
    let event = event("q8-back");
    let room = TestRoom::make(&*processes[0], &event, full_house()).await;
    let other = room.by(&processes[processes.len() - 1]);
    let [before, after, third] = [BrokerId::random(), BrokerId::random(), BrokerId::random()];
    room.register(before).await;
    let people: Vec<_> = (0..5)
        .map(|who| stream(user(who), before, who as u64))
        .collect();
    room.line_up(&people).await;
    room.tick(1).await;
    other.live(clock, 10).await;
    let moved = other.take_over(before).await;
    let all = TakenOver::Moved {
        people: 5,
        more: false,
    };
    assert_eq!(moved, all);
    room.register(third).await;
    room.join_one(stream(user(1), third, 77)).await;
    room.leave(&user(2)).await;

    assert_eq!(
        room.try_observe(before, vec![]).await,
        ObserveReply::BrokerLapsed
    );
    room.register(after).await;
    let attach: Vec<_> = (1..5)
        .map(|who| Attach {
            user: user(who),
            conn: ConnId(who as u64),
        })
        .collect();
    let attached = room.store.attach(&event, before, after, &attach).await;
    let expected = [
        Attached::Replaced,
        Attached::NoPlace,
        Attached::Owner,
        Attached::Owner,
    ];
    assert_eq!(answered("attach", attached), expected);
    for _ in 0..4 {
        room.live(clock, 8).await;
        room.observe(after, vec![]).await;
        other.observe(third, vec![]).await;
    }
    for who in [1, 3, 4] {
        room.sequence(&user(who)).await;
    }
    pass(clock, 1);
}

/// A connection is never brought under an incarnation that has lapsed itself: nobody would notice when it
/// closes.
///
/// # Panics
/// If it is.
pub async fn q8_connections_stay_away_from_an_incarnation_that_lapsed(
    processes: &[Arc<dyn QueueStore>],
    clock: &ManualClock,
) {
    let event = event("q8-lapsed-twice");
    let room = TestRoom::make(&*processes[0], &event, full_house()).await;
    let other = room.by(&processes[processes.len() - 1]);
    let [before, after] = [BrokerId::random(), BrokerId::random()];
    room.register(before).await;
    room.line_up(&[stream(user(0), before, 1), stream(user(1), before, 2)])
        .await;
    room.tick(1).await;
    room.register(after).await;
    other.live(clock, 10).await;
    for lapsed in [before, after] {
        let moved = other.take_over(lapsed).await;
        assert!(
            matches!(moved, TakenOver::Moved { more: false, .. }),
            "{moved:?}"
        );
    }
    let attach = [Attach {
        user: user(1),
        conn: ConnId(2),
    }];
    let attached = room.store.attach(&event, before, after, &attach).await;
    assert_eq!(
        answered("attach", attached),
        [Attached::BrokerLapsed],
        "nobody watches over this incarnation any more"
    );
    for _ in 0..3 {
        other.live(clock, 8).await;
    }
    assert_eq!(room.standing(&user(1)).await, AWAY, "after the grace");
}
