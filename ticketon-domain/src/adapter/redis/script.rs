//! The verbs as Lua scripts, and the codes that they answer.
//!
//! One file a verb under `lua/`, each with its contract in its header. `prelude.lua` stands before all; a verb
//! that does more than read the head names the parts that stand between, because each part costs its
//! microseconds in every call. The limits of the port are put before all, so that each is written once.

use std::sync::LazyLock;

use ticketon_queue::redis::RedisScript;

use crate::seat::{
    ENDED_TTL_MS, KEPT_CHANGES, MAX_CHANGES, MAX_HOLD_MS, MAX_HOLD_SEATS, MAX_OWNED, MAX_PINNED,
    MAX_RUNS, MAX_SWEEP,
};

/// The most ended holds that one sweep forgets.
const MAX_FORGOTTEN: usize = 1_000;

/// About how many bytes of changes one call reads at most; one change always.
const MAX_CHANGES_BYTES: usize = 1 << 20;

/// How many changes are read between two looks at how large they are.
const CHANGES_STEP: usize = 100;

macro_rules! verbs {
    ($($verb:ident = $name:literal $(after $($part:literal)+)?,)+) => {
        /// What a script does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Verb { $($verb,)+ }

        impl Verb {
            #[cfg(any(test, feature = "conformance"))]
            pub(super) const ALL: &[Self] = &[$(Self::$verb,)+];

            /// Its name in metrics, spans and errors.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$verb => concat!("seats.", $name),)+ }
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
                    $(Self::$verb => map_script(
                        concat!($($(include_str!(concat!("lua/", $part, ".lua")), "\n",)+)? ""),
                        include_str!(concat!("lua/", $name, ".lua")),
                    ),)+
                }
            }
        }
    };
}

verbs! {
    Head = "head",
    Snapshot = "snapshot",
    Changes = "changes",
    Hold = "hold" after "seats" "records" "holds" "choose",
    Find = "find" after "seats" "records" "holds",
    HoldsOf = "holds_of" after "seats" "records" "holds",
    Extend = "extend" after "seats" "records" "holds",
    Release = "release" after "seats" "records" "holds",
    Pin = "pin" after "seats" "records" "holds",
    Unpin = "unpin" after "seats" "records" "holds",
    Sync = "sync" after "seats" "records" "holds" "sales",
    Owners = "owners",
    Pinned = "pinned" after "seats" "records" "holds",
    Mend = "mend" after "seats" "records" "holds" "sales",
    Block = "block" after "seats" "records" "holds",
    Unblock = "unblock" after "seats" "records" "holds",
    Sweep = "sweep" after "seats" "records" "holds",
    BeginRebuild = "begin_rebuild",
    Load = "load" after "seats" "records" "holds" "sales",
    FinishRebuild = "finish_rebuild",
}

fn map_script(parts: &str, verb: &str) -> String {
    format!(
        "local MAX_HOLD_SEATS, MAX_HOLD_MS, MAX_SWEEP, MAX_RUNS = \
         {MAX_HOLD_SEATS}, {MAX_HOLD_MS}, {MAX_SWEEP}, {MAX_RUNS}\n\
         local ENDED_TTL_MS, MAX_FORGOTTEN = {ENDED_TTL_MS}, {MAX_FORGOTTEN}\n\
         local KEPT_CHANGES, MAX_CHANGES, MAX_CHANGES_BYTES, CHANGES_STEP = \
         {KEPT_CHANGES}, {MAX_CHANGES}, {MAX_CHANGES_BYTES}, {CHANGES_STEP}\n\
         local MAX_OWNED, MAX_PINNED = {MAX_OWNED}, {MAX_PINNED}\n\
         {}\n{parts}{verb}",
        include_str!("lua/prelude.lua"),
    )
}

/// The negative codes of the scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no map.
    Absent,
    /// The map is being rebuilt.
    Rebuilding,
    /// The map is of another epoch.
    OtherEpoch,
    /// Seats are not free.
    Unavailable,
    /// Nothing fits.
    NoSeats,
    /// More seats than one hold may have.
    OverOrder,
    /// More seats than one user may have.
    OverUser,
    /// The hold has ended.
    Ended,
    /// The id is another request's.
    Mismatch,
    /// No hold has this id.
    Unknown,
    /// The hold is somebody else's, or has another fence.
    NotYours,
    /// The hold is pinned.
    Pinned,
    /// Another rebuild has begun, or the map is not what the caller saw.
    Superseded,
    /// Some changes are forgotten.
    Gap,
}

impl Refusal {
    pub(super) const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            -1 => Self::Absent,
            -2 => Self::Rebuilding,
            -3 => Self::OtherEpoch,
            -4 => Self::Unavailable,
            -5 => Self::NoSeats,
            -6 => Self::OverOrder,
            -7 => Self::OverUser,
            -8 => Self::Ended,
            -9 => Self::Mismatch,
            -10 => Self::Unknown,
            -11 => Self::NotYours,
            -12 => Self::Pinned,
            -13 => Self::Superseded,
            -14 => Self::Gap,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_its_own_contract() {
        for verb in Verb::ALL {
            let text = verb.text();
            let file = verb.name().trim_start_matches("seats.");
            assert!(text.contains(&format!("\n-- {file}: ")), "{file}");
            for part in ["-- KEYS  prelude\n", "-- ARGV  prelude", "-- OUT   0"] {
                assert_eq!(text.matches(part).count(), 1, "{file}: {part}");
            }
        }
    }
}
