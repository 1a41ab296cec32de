//! Q5: admissions in any window never exceed rate x window + burst.
//! Q7: with slots and budget free and people waiting, a tick admits.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::test_room::{ALL, TestRoom, answered, event, pass, poll, polls, user};
use crate::clock::{Clock, ManualClock};
use crate::config::RoomConfig;
use crate::state::{Reason, RoomState, RoomVerb};
use crate::store::{JoinReply, Left, QueueStore, Standing};

/// However many dispatchers tick at once: together they admit what the pace allows, no more and no less.
///
/// # Panics
/// If the pace is another.
pub async fn q5_many_dispatchers_together_keep_the_pace(
    processes: &[Arc<dyn QueueStore>],
    clock: &ManualClock,
) {
    const PEOPLE: u64 = 250;
    const RATE: u64 = 200;
    const BURST: u64 = 30;
    const STEP_MS: u64 = 7;
    let event = event("q5-pace");
    let config = RoomConfig::builder()
        .capacity(10_000)
        .admit_per_second(RATE as u32)
        .admit_burst(BURST as u32);
    let room = TestRoom::make(&*processes[0], &event, config).await;
    room.line_up(&polls(0..PEOPLE as usize)).await;
    let mut promoted = 0;
    for step in 0.. {
        let mut tasks = JoinSet::new();
        for process in processes {
            let (process, event) = (Arc::clone(process), event.clone());
            tasks.spawn(async move {
                let first = answered("tick", process.tick(&event, ALL).await);
                let second = answered("tick", process.tick(&event, ALL).await);
                first.promoted + second.promoted
            });
        }
        promoted += tasks.join_all().await.into_iter().sum::<u64>();
        let allowed = BURST + step * STEP_MS * RATE / 1_000;
        assert_eq!(
            promoted,
            allowed.min(PEOPLE),
            "admissions within {} ms at {RATE} a second with a burst of {BURST}",
            step * STEP_MS
        );
        if promoted == PEOPLE {
            break;
        }
        pass(clock, STEP_MS as i64);
    }
}

/// Neither an hour without a tick nor a clock that goes back lends more than the burst.
///
/// # Panics
/// If it does.
pub async fn q5_neither_a_pause_nor_a_clock_step_lends_admissions(
    store: &dyn QueueStore,
    clock: &ManualClock,
) {
    let event = event("q5-steps");
    let config = RoomConfig::builder()
        .capacity(10_000)
        .admit_per_second(10)
        .admit_burst(5)
        .away_grace_seconds(60);
    let room = TestRoom::make(store, &event, config).await;
    let start = clock.now_ms();
    room.line_up(&polls(0..500)).await;
    assert_eq!(room.tick(ALL).await.promoted, 5, "the burst");
    assert_eq!(room.tick(ALL).await.promoted, 0, "the burst is spent");
    pass(clock, 100);
    assert_eq!(
        room.tick(ALL).await.promoted,
        1,
        "a tenth of a second later"
    );
    pass(clock, 3_600_000);
    assert_eq!(room.tick(ALL).await.promoted, 5, "after an hour of nothing");
    clock.set(start);
    assert_eq!(
        room.tick(ALL).await.promoted,
        0,
        "after a clock that went back"
    );
    pass(clock, 200);
    assert_eq!(
        room.tick(ALL).await.promoted,
        2,
        "a fifth of a second later"
    );
}

/// A line that was empty for a while lets nobody in faster than the burst.
///
/// # Panics
/// If it does.
pub async fn q5_quiet_time_is_not_saved_up_beyond_the_burst(
    store: &dyn QueueStore,
    clock: &ManualClock,
) {
    let event = event("q5-quiet");
    let config = RoomConfig::builder()
        .capacity(10_000)
        .admit_per_second(10)
        .admit_burst(5);
    let room = TestRoom::make(store, &event, config).await;
    for _ in 0..20 {
        pass(clock, 300);
        assert_eq!(room.tick(ALL).await.promoted, 0);
    }
    let replies = room.join(&polls(0..50)).await;
    let admitted = replies
        .iter()
        .filter(|reply| matches!(reply, JoinReply::Admitted { .. }));
    assert_eq!(admitted.count(), 5, "admitted at once, with a burst of 5");
}

/// A slot that is given back goes on with the next tick, until nobody waits.
///
/// # Panics
/// If a tick leaves a slot free.
pub async fn q7_a_tick_admits_whenever_it_may(store: &dyn QueueStore, clock: &ManualClock) {
    let event = event("q7-slots");
    let config = RoomConfig::builder().capacity(2).admit_per_second(1_000);
    let room = TestRoom::make(store, &event, config).await;
    room.join(&polls(0..20)).await;
    assert_eq!(room.numbers().await.active, 2);
    for index in 0..18 {
        assert_eq!(room.tick(ALL).await.promoted, 0, "without a free slot");
        assert_eq!(room.leave(&user(index)).await, Left::Admitted);
        assert_eq!(
            room.tick(ALL).await.promoted,
            1,
            "with a slot and budget free"
        );
        pass(clock, 10);
    }
    assert_eq!(room.numbers().await.waiting(), 0);
}

/// A room opens at its time by itself; in each state joins, promotions and places are as the table of
/// [`RoomState`] says; no state ends a live lease.
///
/// # Panics
/// If a state lets anybody do what it should not, or does not let them do what it should.
pub async fn q7_the_state_says_who_may_move(store: &dyn QueueStore, clock: &ManualClock) {
    let event = event("q7-states");
    let config = RoomConfig::builder()
        .capacity(2)
        .admit_per_second(1_000)
        .opens_at_ms(clock.now_ms() + 4_000);
    let room = TestRoom::make(store, &event, config).await;
    room.join(&polls(0..12)).await;
    let tick = room.tick(ALL).await;
    assert_eq!(
        (tick.state, tick.promoted),
        (RoomState::Scheduled, 0),
        "before its time"
    );
    pass(clock, 4_000);
    let tick = room.tick(ALL).await;
    assert_eq!(
        (tick.state, tick.promoted),
        (RoomState::Open, 2),
        "at its time"
    );

    let mut next = 0;
    for (verb, joins, promotes) in [
        (RoomVerb::Pause, true, false),
        (RoomVerb::Resume, true, true),
        (RoomVerb::Drain, false, true),
        (RoomVerb::SoldOut, false, false),
        (RoomVerb::Open, true, true),
    ] {
        room.change(verb).await;
        let replies = room.join(&[poll(user(100 + next))]).await;
        let refused = matches!(replies[0], JoinReply::Refused { .. });
        assert_eq!(!refused, joins, "a join after {verb:?} led to {replies:?}");
        let before = room.numbers().await;
        assert_eq!(before.active, 2, "no state ends a live lease: {verb:?}");
        assert_eq!(room.leave(&user(next)).await, Left::Admitted);
        assert_eq!(
            room.tick(ALL).await.promoted,
            u64::from(promotes),
            "after {verb:?}"
        );
        if !promotes {
            assert_eq!(
                room.numbers().await.waiting(),
                before.waiting(),
                "places are kept"
            );
            // Back to two live leases.
            let back = if verb == RoomVerb::Pause {
                RoomVerb::Resume
            } else {
                RoomVerb::Open
            };
            room.change(back).await;
            assert_eq!(room.tick(ALL).await.promoted, 1);
        }
        next += 1;
        pass(clock, 100);
    }
    let (inside, waiting) = (
        room.lease(&user(next)).await,
        room.numbers().await.waiting(),
    );
    room.change(RoomVerb::Close).await;
    let tick = room.tick(ALL).await;
    assert_eq!(
        (tick.promoted, tick.left, tick.waiting),
        (0, waiting, 0),
        "closed"
    );
    assert_eq!(
        room.lease(&user(next)).await,
        inside,
        "its lease runs to its end"
    );
    let ended = Standing::Gone {
        reason: Reason::RoomClosed,
        fence: 0,
    };
    assert_eq!(room.standing(&user(11)).await, ended);
}
