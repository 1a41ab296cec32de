//! The draw: it opens once, and what people were drawn by stays as it is.

use super::test_room::{ALL, TestRoom, built, event, pass, polls, user};
use crate::clock::{Clock, ManualClock, UnixMs};
use crate::config::{Opening, RoomConfig, RoomConfigBuilder};
use crate::state::RoomState;
use crate::store::{DrawNumbers, JoinReply, Place, QueueStore, RoomSaved};

/// A room that draws at this time.
fn draw_at(opens_at_ms: UnixMs) -> RoomConfigBuilder {
    RoomConfig::builder()
        .capacity(1)
        .away_grace_seconds(3_600)
        .opening(Opening::Draw)
        .opens_at_ms(opens_at_ms)
}

/// The place of one person, who waits.
async fn place(room: &TestRoom<'_>, index: usize) -> Place {
    match room.join(&polls(index..index + 1)).await.swap_remove(0) {
        JoinReply::Waiting { place, .. } => place,
        other => panic!("user {index} should wait, but is {other:?}"),
    }
}

async fn drawn(room: &TestRoom<'_>) -> DrawNumbers {
    let numbers = room.numbers().await;
    numbers.draw.expect("the room draws")
}

async fn save(room: &TestRoom<'_>, config: RoomConfigBuilder) -> RoomSaved {
    let saved = room.store.save_room(room.event, &built(config)).await;
    saved.expect("save_room failed")
}

/// At its time the room opens for good, whether a join or a tick comes first: who joins from then on stands
/// behind all who were drawn, also when the clock goes back.
///
/// # Panics
/// If they are drawn.
pub async fn draw_who_joins_at_the_opening_is_not_drawn(
    store: &dyn QueueStore,
    clock: &ManualClock,
) {
    let event = event("draw-opening");
    let opens_at = clock.now_ms() + 60_000;
    let room = TestRoom::make(store, &event, draw_at(opens_at)).await;
    let early = place(&room, 0).await;
    assert!(
        early.sequence < 0 && early.position.is_none(),
        "before the opening nobody has a position: {early:?}"
    );
    assert_eq!(drawn(&room).await.key, None, "before the opening");
    pass(clock, 60_000);
    let late = place(&room, 1).await;
    assert!(
        late.sequence > 0 && late.state == RoomState::Open,
        "somebody who joined at the opening was drawn: {late:?}"
    );
    assert_eq!(late.position, Some(2), "behind who was drawn");
    pass(clock, -30_000);
    let later = place(&room, 2).await;
    assert!(
        later.sequence > late.sequence,
        "somebody who joined after the opening was drawn: {later:?}"
    );
    let draw = drawn(&room).await;
    assert_eq!((draw.drawn, draw.key.is_some()), (1, true));
}

/// From the first join on neither the kind nor the time of the opening changes, also when everybody has left.
///
/// # Panics
/// If either does.
pub async fn draw_settings_freeze_at_the_first_join(store: &dyn QueueStore, clock: &ManualClock) {
    let event = event("draw-frozen");
    let opens_at = clock.now_ms() + 60_000;
    let room = TestRoom::make(store, &event, draw_at(opens_at)).await;
    let before = drawn(&room).await.commitment;
    let later = || draw_at(opens_at + 60_000);
    assert_eq!(save(&room, later()).await, RoomSaved::Changed);
    let first = place(&room, 0).await.sequence;
    let frozen = |field| RoomSaved::Frozen { field };
    assert_eq!(
        save(&room, draw_at(opens_at)).await,
        frozen("opensAt"),
        "the time of a draw in which somebody stands"
    );
    let fifo = later().opening(Opening::Fifo);
    assert_eq!(save(&room, fifo).await, frozen("opening"));
    assert_eq!(save(&room, later().capacity(7)).await, RoomSaved::Changed);
    room.leave(&user(0)).await;
    assert_eq!(save(&room, draw_at(opens_at)).await, frozen("opensAt"));
    assert_eq!(place(&room, 0).await.sequence, first, "drawn again");
    assert_eq!(drawn(&room).await.commitment, before);
}

/// A room that opened while nobody was there may draw again: by another key, because its key was made known.
///
/// # Panics
/// If it draws by a key that people could know before.
pub async fn draw_a_key_that_was_made_known_is_not_used_again(
    store: &dyn QueueStore,
    clock: &ManualClock,
) {
    let event = event("draw-key");
    let opens_at = clock.now_ms() + 60_000;
    let room = TestRoom::make(store, &event, draw_at(opens_at)).await;
    pass(clock, 60_000);
    assert_eq!(room.tick(ALL).await.state, RoomState::Open);
    let known = drawn(&room).await;
    assert!(known.key.is_some(), "at the opening the key is made known");
    let again = draw_at(clock.now_ms() + 60_000);
    assert_eq!(save(&room, again).await, RoomSaved::Changed);
    let draw = drawn(&room).await;
    assert_eq!(draw.key, None);
    assert_ne!(
        draw.commitment, known.commitment,
        "a key that everybody knows draws again"
    );
    assert!(place(&room, 0).await.sequence < 0);
}
