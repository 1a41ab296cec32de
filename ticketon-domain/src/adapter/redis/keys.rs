//! The keys of a seat map: the only place that spells one.
//!
//! All keys of a map share the hash tag `{event}` with the event's waiting room, so that both live in one
//! slot of a cluster; an [`EventId`] refuses braces. What the fields hold, byte by byte, says `lua/holds.lua`.
//!
//! | key | type | holds |
//! | --- | --- | --- |
//! | `ticketon:{E}:seats` | hash | state, layout, epoch, version, number of seats, counts, last fence, which call began its rebuild |
//! | `ticketon:{E}:seats:map` | string | two bits a seat |
//! | `ticketon:{E}:seats:owner` | string | 8 bytes a seat: the fence of who has it, or gave it back last |
//! | `ticketon:{E}:seats:holds` | hash | fence: the living hold |
//! | `ticketon:{E}:seats:ids` | hash | id of a hold: its fence, or how it ended |
//! | `ticketon:{E}:seats:deadlines` | sorted set | fence of a hold by its deadline in ms, +inf while it is pinned |
//! | `ticketon:{E}:seats:ended` | sorted set | id of an ended hold by when it ended, in ms |
//! | `ticketon:{E}:seats:users` | hash | user: number of sold seats, fences of holds |
//! | `ticketon:{E}:seats:sold` | hash | fence: number of seats sold under it, and to whom |
//! | `ticketon:{E}:seats:marks` | hash | index of a seat that was given back: the newest fence under which, 8 bytes |
//! | `ticketon:{E}:seats:changes` | stream | `<version>-1`: the seats that one call changed, trimmed |

use ticketon_queue::EventId;

/// The keys that every script is given, in the order of `prelude.lua`.
const NAMES: [&str; 11] = [
    "seats",
    "seats:map",
    "seats:owner",
    "seats:holds",
    "seats:ids",
    "seats:deadlines",
    "seats:ended",
    "seats:users",
    "seats:sold",
    "seats:changes",
    "seats:marks",
];

/// A key whose slot is asked whether Redis answers; nothing is kept there.
pub(super) const PING: &str = "ticketon:seats:ping";

/// All keys of an event's map.
pub(super) fn keys(event: &EventId) -> impl Iterator<Item = String> {
    NAMES
        .iter()
        .map(move |name| format!("ticketon:{{{event}}}:{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_map_are_in_one_slot_and_distinct() {
        let event = EventId::new("spring:tour").unwrap();
        let all: std::collections::BTreeSet<String> = keys(&event).collect();
        assert_eq!(all.len(), NAMES.len());
        assert!(
            all.iter()
                .all(|key| key.starts_with("ticketon:{spring:tour}:seats"))
        );
        assert!(all.contains("ticketon:{spring:tour}:seats"));
    }
}
