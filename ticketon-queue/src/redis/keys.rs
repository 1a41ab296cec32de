//! The keys of a room: the only place that spells one.
//!
//! All keys of a room share the hash tag `{event}`, so that a room lives in one slot of a cluster;
//! an [`EventId`] refuses braces. The set of all rooms is in a slot of its own.
//!
//! | key | type | holds |
//! | --- | --- | --- |
//! | `ticketon:{E}:room` | hash | config, its version, state, epoch, key of the draw, totals, rate budget, and for each lane the last sequence, the watermark and the pass |
//! | `ticketon:{E}:waiting:<lane>` | sorted set | user by sequence |
//! | `ticketon:{E}:entry` | sorted set | admitted user by deadline in ms |
//! | `ticketon:{E}:lease` | hash | user: fence, admitted at, claim by, expires at, claimed, sequence, lane |
//! | `ticketon:{E}:away` | sorted set | waiting user without a connection by end of the grace in ms |
//! | `ticketon:{E}:owner` | hash | user: broker and connection that own the place |
//! | `ticketon:{E}:brokers` | sorted set | broker by end of its lease in ms; 0 while it is taken over |
//! | `ticketon:{E}:conn:<broker>` | set | users connected there |
//! | `ticketon:{E}:gone` | hash | user: reason and fence of the ended place |
//! | `ticketon:{E}:gone:ends` | sorted set | the same user by when that is forgotten, in ms |
//! | `ticketon:{E}:dispatch` | stream | one record for each batch of changes, trimmed |
//! | `ticketon:rooms` | set | the ids of all rooms |

use crate::id::{BrokerId, EventId, LaneName};

/// The set of all rooms.
pub(super) const ROOMS: &str = "ticketon:rooms";

/// The keys that every script of a room is given, in the order of `prelude.lua`.
const FIXED: [&str; 9] = [
    "room",
    "entry",
    "lease",
    "away",
    "owner",
    "brokers",
    "gone",
    "gone:ends",
    "dispatch",
];

/// Spells the keys of one room.
#[derive(Debug, Clone)]
pub(super) struct RoomKeys {
    prefix: String,
}

impl RoomKeys {
    pub(super) fn new(event: &EventId) -> Self {
        Self {
            prefix: format!("ticketon:{{{event}}}:"),
        }
    }

    pub(super) fn room(&self) -> String {
        self.key(FIXED[0])
    }

    /// The keys that every script is given: the fixed ones.
    pub(super) fn fixed(&self) -> Vec<String> {
        FIXED.iter().map(|name| self.key(name)).collect()
    }

    /// The line of a lane.
    pub(super) fn waiting(&self, lane: &LaneName) -> String {
        self.key(&format!("waiting:{lane}"))
    }

    /// The users connected at a broker.
    pub(super) fn connections(&self, broker: BrokerId) -> String {
        self.key(&format!("conn:{broker}"))
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_room_are_in_one_slot_and_distinct() {
        let keys = RoomKeys::new(&EventId::new("spring:tour").unwrap());
        let mut all = keys.fixed();
        all.push(keys.waiting(&LaneName::default()));
        all.push(keys.connections(BrokerId::from_u64(7)));
        assert!(
            all.iter()
                .all(|key| key.starts_with("ticketon:{spring:tour}:"))
        );
        assert_eq!(keys.room(), "ticketon:{spring:tour}:room");
        assert_eq!(all[10], "ticketon:{spring:tour}:conn:0000000000000007");
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
