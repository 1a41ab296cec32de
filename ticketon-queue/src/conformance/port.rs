//! The port itself: rooms are made, changed, listed, and unknown where they do not exist.

use super::test_room::{TestRoom, built, event, lane, poll, user};
use crate::clock::{Clock, ManualClock};
use crate::config::{Lane, RoomConfig};
use crate::id::BrokerId;
use crate::state::RoomVerb;
use crate::store::{JoinRequest, Observe, QueueStore, RoomSaved};

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
