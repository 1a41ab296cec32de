//! Q2: promotions follow the order of a lane, and lanes share by weight.

use std::collections::BTreeMap;

use super::test_room::{ALL, TestRoom, event, lane, poll, polls, user};
use crate::clock::ManualClock;
use crate::config::{Lane, RoomConfig};
use crate::state::RoomVerb;
use crate::store::{JoinRequest, Left, QueueStore, Standing};

/// A room with these lanes, in which nothing but their shares decides.
fn lanes(weights: &[(&str, u32)]) -> crate::config::RoomConfigBuilder {
    let lanes = weights.iter().map(|(name, weight)| Lane {
        name: lane(name),
        weight: *weight,
    });
    RoomConfig::builder()
        .capacity(10_000)
        .admit_per_second(10_000)
        .lanes(lanes.collect())
}

fn joins_lane(index: usize, name: &str) -> JoinRequest {
    JoinRequest {
        lane: Some(lane(name)),
        ..poll(user(index))
    }
}

/// Within a lane nobody overtakes, in batches of any size; at every moment each lane has its share,
/// give or take one admission.
///
/// # Panics
/// If somebody overtakes, or a lane is more than one admission off.
pub async fn q2_a_lane_keeps_its_order_and_lanes_share_by_weight(
    store: &dyn QueueStore,
    _clock: &ManualClock,
) {
    const WEIGHTS: [(&str, u32); 3] = [("vip", 5), ("general", 3), ("late", 2)];
    let event = event("q2-shares");
    let room = TestRoom::make(store, &event, lanes(&WEIGHTS)).await;
    let people: Vec<JoinRequest> = (0..300)
        .map(|index| joins_lane(index, WEIGHTS[index % 3].0))
        .collect();
    room.line_up(&people).await;

    let mut admitted: Vec<usize> = Vec::new();
    let mut shares: BTreeMap<usize, u32> = BTreeMap::new();
    for batch in [1, 1, 1, 7, 30, 1, 50, 9] {
        assert_eq!(room.tick(batch).await.promoted, batch as u64);
        let mut fresh: Vec<(u64, usize)> = Vec::new();
        for index in (0..300).filter(|index| !admitted.contains(index)) {
            if let Standing::Admitted(lease) = room.standing(&user(index)).await {
                fresh.push((lease.fence, index));
            }
        }
        // By fence, which rises with each admission.
        fresh.sort_unstable();
        for (_, index) in fresh {
            *shares.entry(index % 3).or_default() += 1;
            admitted.push(index);
            let total = admitted.len() as f64;
            for (lane, (name, weight)) in WEIGHTS.iter().enumerate() {
                let due = total * f64::from(*weight) / 10.0;
                let has = f64::from(shares.get(&lane).copied().unwrap_or(0));
                assert!(
                    (due - has).abs() <= 1.0,
                    "after {total} admissions, lane {name} has {has} of {due}"
                );
            }
        }
    }
    for (index, (name, _)) in WEIGHTS.iter().enumerate() {
        let order: Vec<usize> = admitted
            .iter()
            .copied()
            .filter(|person| person % 3 == index)
            .collect();
        assert!(
            order.is_sorted(),
            "in lane {name} people moved in the order {order:?}"
        );
    }
}

/// A lane in which nobody waited while others moved gets its share from then on, and no more.
///
/// # Panics
/// If it catches up for the time in which it was empty.
pub async fn q2_a_lane_that_was_empty_has_saved_nothing_up(
    store: &dyn QueueStore,
    _clock: &ManualClock,
) {
    let event = event("q2-empty");
    let room = TestRoom::make(store, &event, lanes(&[("vip", 1), ("general", 1)])).await;
    let general: Vec<_> = (0..60).map(|index| joins_lane(index, "general")).collect();
    room.line_up(&general).await;
    assert_eq!(room.tick(30).await.promoted, 30);
    let vip: Vec<_> = (60..90).map(|index| joins_lane(index, "vip")).collect();
    room.line_up(&vip).await;
    assert_eq!(room.tick(20).await.promoted, 20);
    let numbers = room.numbers().await;
    let admitted = [30 - numbers.lanes[0].waiting, 30 - numbers.lanes[1].waiting];
    assert!(
        admitted.iter().all(|has| has.abs_diff(10) <= 1),
        "of 20 admissions, vip and general got {admitted:?}"
    );
}

/// Who leaves and joins again stands behind everybody who stayed.
///
/// # Panics
/// If they do not.
pub async fn q2_who_comes_back_stands_at_the_back(store: &dyn QueueStore, _clock: &ManualClock) {
    let event = event("q2-back");
    let config = RoomConfig::builder().capacity(100).admit_per_second(1_000);
    let room = TestRoom::make(store, &event, config).await;
    room.line_up(&polls(0..5)).await;
    assert_eq!(room.leave(&user(0)).await, Left::Waiting);
    room.line_up(&polls(0..1)).await;
    assert_eq!(room.tick(4).await.promoted, 4);
    assert!(matches!(
        room.standing(&user(0)).await,
        Standing::Waiting(_)
    ));
    assert_eq!(room.tick(ALL).await.promoted, 1);
    let (last, before) = (room.lease(&user(0)).await, room.lease(&user(4)).await);
    assert!(
        last.fence > before.fence,
        "the fence rises with each admission"
    );
    assert!(
        last.sequence > before.sequence,
        "the sequence rises with each place"
    );
}

/// A slot is free and nobody has ticked yet: whoever joins in that moment stands behind those who wait.
///
/// # Panics
/// If they are admitted before them.
pub async fn q2_nobody_overtakes_the_line_by_joining(store: &dyn QueueStore, _clock: &ManualClock) {
    let event = event("q2-overtake");
    let config = RoomConfig::builder().capacity(2).admit_per_second(1_000);
    let room = TestRoom::make(store, &event, config).await;
    room.line_up(&polls(0..3)).await;
    room.join(&polls(3..4)).await;
    let last = room.standing(&user(3)).await;
    assert!(
        matches!(last, Standing::Waiting(_)),
        "somebody overtook three people by joining: {last:?}"
    );
    assert_eq!(room.tick(ALL).await.promoted, 2);
    room.lease(&user(0)).await;
    room.lease(&user(1)).await;
    room.change(RoomVerb::Drain).await;
    room.leave(&user(0)).await;
    room.tick(ALL).await;
    room.lease(&user(2)).await;
    room.sequence(&user(3)).await;
}
