//! The port itself: rooms are made, changed, listed, and unknown where they do not exist.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::test_room::{TestRoom, answered, built, event, lane, poll, polls, user};
use crate::clock::{Clock, ManualClock};
use crate::config::{Lane, RoomConfig};
use crate::id::BrokerId;
use crate::state::RoomVerb;
use crate::store::{JoinReply, JoinRequest, Observe, QueueStore, RoomSaved};

/// Every verb answers `None`, and makes nothing.
///
/// # Panics
/// If a verb answers anything else.
pub async fn a_room_that_does_not_exist_answers_nothing(
    store: &dyn QueueStore,
    _clock: &ManualClock,
) {
    let event = &event("nowhere");
    let (who, broker) = (&user(0), BrokerId::random());
    macro_rules! nothing {
        ($verb:ident($($arg:expr),*)) => {
            let answer = store.$verb(event, $($arg),*).await;
            let answer = answer.unwrap_or_else(|error| panic!("{} failed: {error}", stringify!($verb)));
            assert_eq!(answer, None, "{} of a room that does not exist", stringify!($verb));
        };
    }
    nothing!(numbers());
    nothing!(change_state(RoomVerb::Close));
    nothing!(join(&[]));
    nothing!(join(&[poll(who.clone())]));
    nothing!(standing(who));
    nothing!(leave(who, None));
    nothing!(claim(who, 1));
    nothing!(complete(who, 1));
    nothing!(extend(who, 1, 1));
    nothing!(tick(1));
    nothing!(register_broker(broker));
    nothing!(observe(broker, &Observe::default()));
    nothing!(attach(broker, BrokerId::random(), &[]));
    nothing!(disconnect(broker, &[]));
    nothing!(take_over(broker));
    let rooms = store.rooms().await.expect("rooms failed");
    assert!(!rooms.contains(event), "a question made a room");
    store.ping().await.expect("ping failed");
}

/// A room is made once, changed by another config, and refuses to drop a lane in which people wait.
///
/// # Panics
/// If saving leads to anything else.
pub async fn a_room_is_made_changed_and_listed(store: &dyn QueueStore, clock: &ManualClock) {
    let event = event("saved");
    let lanes = |names: &[&str]| {
        let lanes = names.iter().map(|name| Lane {
            name: lane(name),
            weight: 1,
        });
        RoomConfig::builder().capacity(1).lanes(lanes.collect())
    };
    let room = TestRoom::make(store, &event, lanes(&["vip", "general"])).await;
    assert!(store.rooms().await.expect("rooms failed").contains(&event));
    let numbers = room.numbers().await;
    assert_eq!(*numbers.config, built(lanes(&["vip", "general"])));
    assert_eq!(
        numbers.now_ms,
        clock.now_ms(),
        "the store's time is the clock's"
    );

    let save = async |names: &[&str]| {
        let saved = store.save_room(&event, &built(lanes(names))).await;
        saved.expect("save_room failed")
    };
    assert_eq!(save(&["vip", "general"]).await, RoomSaved::Same);
    room.line_up(&[JoinRequest {
        lane: Some(lane("vip")),
        ..poll(user(0))
    }])
    .await;
    let refused = RoomSaved::LaneNotEmpty { lane: lane("vip") };
    assert_eq!(save(&["general"]).await, refused);
    assert_eq!(room.numbers().await.config_version, numbers.config_version);
    assert_eq!(save(&["late", "general", "vip"]).await, RoomSaved::Changed);
    let now = room.numbers().await;
    assert!(
        now.config_version > numbers.config_version,
        "the version rises"
    );
    assert_eq!(now.epoch, numbers.epoch, "the epoch stays");
    let waiting: Vec<u64> = now.lanes.iter().map(|lane| lane.waiting).collect();
    assert_eq!(waiting, [0, 0, 1], "people keep their lane");
}

/// A process that knows an older config does what the newer one says: nobody is put into a lane that is
/// not theirs any more, and no two people of a lane have the same sequence.
///
/// # Panics
/// If it goes by the older one.
pub async fn a_config_that_another_process_changed_is_honoured(
    processes: &[Arc<dyn QueueStore>],
    _clock: &ManualClock,
) {
    let event = event("changed");
    let lanes = |names: [&str; 2]| {
        let lanes = names.map(|name| Lane {
            name: lane(name),
            weight: 1,
        });
        RoomConfig::builder().capacity(1).lanes(lanes.into())
    };
    let room = TestRoom::make(&*processes[0], &event, lanes(["vip", "general"])).await;
    let other = room.by(&processes[processes.len() - 1]);
    room.change(RoomVerb::Pause).await;
    other.numbers().await;
    let swapped = built(lanes(["general", "vip"]));
    let saved = room.store.save_room(&event, &swapped).await;
    assert_eq!(saved.expect("save_room failed"), RoomSaved::Changed);
    let vip = |index| JoinRequest {
        lane: Some(lane("vip")),
        ..poll(user(index))
    };
    let late = other.join_one(vip(0)).await;
    let next = room
        .by(&processes[1 % processes.len()])
        .join_one(vip(1))
        .await;
    assert!(
        late < next,
        "two people of a lane have the sequences {late} and {next}, by an old config and by the new one"
    );
    let waiting: Vec<_> = other.numbers().await.lanes;
    let waiting: Vec<_> = waiting
        .iter()
        .map(|lane| (lane.name.as_str(), lane.waiting))
        .collect();
    assert_eq!(
        waiting,
        [("general", 0), ("vip", 2)],
        "who waits in which lane"
    );
}

/// However many join at once: as many wait as the config allows, and the others are told that it is full.
///
/// # Panics
/// If more wait.
pub async fn a_line_takes_as_many_as_its_config_allows(
    processes: &[Arc<dyn QueueStore>],
    _clock: &ManualClock,
) {
    const EACH: usize = 10;
    const MOST: usize = 13;
    let event = event("full");
    let config = RoomConfig::builder().capacity(1).max_waiting(MOST as u32);
    let room = TestRoom::make(&*processes[0], &event, config).await;
    room.change(RoomVerb::Pause).await;
    let people = MOST.div_ceil(processes.len()).max(EACH);
    let mut tasks = JoinSet::new();
    for (part, process) in processes.iter().enumerate() {
        let (process, event) = (Arc::clone(process), event.clone());
        tasks.spawn(async move {
            let mut full = 0;
            for request in polls(part * people..(part + 1) * people) {
                match answered("join", process.join(&event, &[request]).await)[..] {
                    [JoinReply::Waiting { new: true, .. }] => {}
                    [JoinReply::Full] => full += 1,
                    ref other => panic!("a join led to {other:?}"),
                }
            }
            full
        });
    }
    let full: usize = tasks.join_all().await.into_iter().sum();
    let waiting = room.numbers().await.waiting();
    assert!(
        waiting == MOST as u64 && full == people * processes.len() - MOST,
        "{waiting} people wait where {MOST} may, and {full} were told that it is full"
    );
}
