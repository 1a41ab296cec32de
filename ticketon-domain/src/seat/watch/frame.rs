//! Updates as server-sent events, encoded once for all watchers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;

use super::{MapVersion, SeatUpdate};
use crate::seat::{Change, SeatState};

/// An update with more seats is no shorter than the map.
pub(super) const MAX_FRAME_SEATS: usize = 4_000;

/// The names of the lists, by state.
const LISTS: [(SeatState, &str); 4] = [
    (SeatState::Free, "free"),
    (SeatState::Held, "held"),
    (SeatState::Sold, "sold"),
    (SeatState::Blocked, "blocked"),
];

/// Tells to read the map.
pub(super) fn resync(at: MapVersion) -> SeatUpdate {
    let MapVersion { epoch, version } = at;
    let frame =
        format!("event: resync\nid: {at}\ndata: {{\"epoch\":{epoch},\"version\":{version}}}\n\n");
    SeatUpdate {
        at,
        resync: true,
        frame: Bytes::from(frame),
    }
}

/// All that changed after `from`: the state that each seat has in the end. There is at least one change.
pub(super) fn delta<'a>(
    epoch: u64,
    from: u64,
    changes: impl Iterator<Item = &'a Change>,
) -> SeatUpdate {
    let mut version = from;
    let mut last: BTreeMap<u32, SeatState> = BTreeMap::new();
    for change in changes {
        version = change.version;
        last.extend(
            change
                .seats
                .iter()
                .map(|(seat, state)| (seat.get(), *state)),
        );
    }
    let at = MapVersion { epoch, version };
    if last.len() > MAX_FRAME_SEATS {
        return resync(at);
    }
    let mut frame = String::with_capacity(128 + 7 * last.len());
    // Writing to a string cannot fail.
    let _ = write!(
        frame,
        "event: seats\nid: {at}\ndata: {{\"epoch\":{epoch},\"from\":{from},\"version\":{version}"
    );
    for (state, name) in LISTS {
        let mut seats = last
            .iter()
            .filter(|(_, is)| **is == state)
            .map(|(seat, _)| seat);
        let Some(first) = seats.next() else {
            continue;
        };
        let _ = write!(frame, ",\"{name}\":[{first}");
        for seat in seats {
            let _ = write!(frame, ",{seat}");
        }
        frame.push(']');
    }
    frame.push_str("}\n\n");
    SeatUpdate {
        at,
        resync: false,
        frame: Bytes::from(frame),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::SeatIndex;

    fn change(version: u64, seats: &[(u32, SeatState)]) -> Change {
        let seat = |(seat, state): &(u32, SeatState)| (SeatIndex::new(*seat), *state);
        Change {
            version,
            seats: seats.iter().map(seat).collect(),
        }
    }

    #[test]
    fn an_update_has_the_last_state_of_each_seat() {
        use SeatState::{Blocked, Free, Held, Sold};
        let changes = [
            change(5, &[(1, Held), (2, Held), (9, Blocked)]),
            change(6, &[(1, Sold)]),
            change(7, &[(2, Free), (3, Held)]),
        ];
        let update = delta(12, 4, changes.iter());
        assert_eq!(update.at.to_string(), "12-7");
        assert_eq!(
            update.frame,
            "event: seats\nid: 12-7\ndata: {\"epoch\":12,\"from\":4,\"version\":7,\
             \"free\":[2],\"held\":[3],\"sold\":[1],\"blocked\":[9]}\n\n"
        );
    }

    #[test]
    fn an_update_that_is_longer_than_a_map_asks_to_read_the_map() {
        let seats = |count: usize| (0..count as u32).map(|seat| (seat, SeatState::Held));
        let fits = change(1, &seats(MAX_FRAME_SEATS).collect::<Vec<_>>());
        assert!(!delta(1, 0, [&fits].into_iter()).resync);
        let more = change(1, &seats(MAX_FRAME_SEATS + 1).collect::<Vec<_>>());
        let update = delta(1, 0, [&more].into_iter());
        assert!(update.resync);
        assert_eq!(
            update.frame,
            "event: resync\nid: 1-1\ndata: {\"epoch\":1,\"version\":1}\n\n"
        );
    }

    #[cfg(feature = "http")]
    #[test]
    fn frames_are_spelled_as_the_contract_spells_events() {
        use ticketon_queue::http::SseEvent;
        let update = delta(2, 0, [&change(1, &[(4, SeatState::Held)])].into_iter());
        let data = "{\"epoch\":2,\"from\":0,\"version\":1,\"held\":[4]}";
        let event = SseEvent::new("seats", "2-1".to_owned(), data.to_owned());
        assert_eq!(update.frame, event.to_bytes());
    }
}
