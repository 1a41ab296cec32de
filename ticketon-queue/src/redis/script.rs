//! The verbs as Lua scripts, and the codes that they answer.
//!
//! One file a verb under `lua/`, each with its contract in its header. What they share stands in
//! `prelude.lua`, and the limits of the port are put before it, so that each is written once.

use std::sync::LazyLock;

use super::call::RedisScript;
use crate::store::{BROKER_LEASE_MS, GONE_TTL_MS, MAX_BATCH, OUTAGE_MS};

/// About how many records the feed of a room keeps.
const FEED_LENGTH: usize = 1_000;

macro_rules! verbs {
    ($($verb:ident = $name:literal,)+) => {
        /// What a script does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Verb { $($verb,)+ }

        impl Verb {
            #[cfg(feature = "conformance")]
            pub(super) const ALL: &[Self] = &[$(Self::$verb,)+];

            /// Its name in metrics, spans and errors, and its file's.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$verb => $name,)+ }
            }

            /// The script, compiled and sent lazily.
            pub(super) fn script(self) -> &'static RedisScript {
                match self {
                    $(Self::$verb => {
                        static SCRIPT: LazyLock<RedisScript> =
                            LazyLock::new(|| RedisScript::new(Verb::$verb.text()));
                        &SCRIPT
                    })+
                }
            }

            /// The text of the script.
            pub(super) fn text(self) -> String {
                match self {
                    $(Self::$verb => room_script(include_str!(concat!("lua/", $name, ".lua"))),)+
                }
            }
        }
    };
}

verbs! {
    Save = "save",
    ChangeState = "change_state",
    Numbers = "numbers",
    Join = "join",
    Standing = "standing",
    Leave = "leave",
    Claim = "claim",
    Complete = "complete",
    Tick = "tick",
    RegisterBroker = "register_broker",
    Observe = "observe",
    Attach = "attach",
    Disconnect = "disconnect",
    TakeOver = "take_over",
}

fn room_script(verb: &str) -> String {
    format!(
        "local MAX_BATCH, BROKER_LEASE_MS, OUTAGE_MS, GONE_TTL_MS, FEED_LENGTH = \
         {MAX_BATCH}, {BROKER_LEASE_MS}, {OUTAGE_MS}, {GONE_TTL_MS}, {FEED_LENGTH}\n{}\n{verb}",
        include_str!("lua/prelude.lua"),
    )
}

/// Adds a room to the set of all rooms; it stands alone, because the set is in another slot.
pub(super) fn enlist() -> &'static RedisScript {
    static SCRIPT: LazyLock<RedisScript> =
        LazyLock::new(|| RedisScript::new(include_str!("lua/enlist.lua")));
    &SCRIPT
}

/// The negative codes of the scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The room does not exist.
    NoRoom,
    /// The config changed since the caller read its lanes.
    Stale,
    /// The broker is not registered, or was taken over.
    BrokerLapsed,
    /// The room is full.
    Full,
    /// The state does not allow it.
    State,
    /// The place to resume is gone.
    Gone,
    /// The lease with this fence has ended.
    Ended,
    /// There is no lease with this fence.
    OtherFence,
    /// The broker to take over is alive.
    Alive,
    /// A lane that the new config lacks is not empty.
    LaneNotEmpty,
    /// There are as many rooms as there may be.
    TooManyRooms,
    /// Somebody has joined, so the settings of the draw stay.
    Frozen,
}

impl Refusal {
    pub(super) fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            -1 => Self::NoRoom,
            -2 => Self::Stale,
            -3 => Self::BrokerLapsed,
            -4 => Self::Full,
            -5 => Self::State,
            -6 => Self::Gone,
            -7 => Self::Ended,
            -8 => Self::OtherFence,
            -9 => Self::Alive,
            -10 => Self::LaneNotEmpty,
            -11 => Self::TooManyRooms,
            -12 => Self::Frozen,
            _ => return None,
        })
    }
}
