//! The verbs as Lua scripts, and the codes that they answer.
//!
//! One file a verb under `lua/`, each with its contract in its header. What they share stands in
//! `prelude.lua`, and the limits of the port are put before it, so that each is written once.

use std::sync::LazyLock;

use ::redis::aio::ConnectionLike;
use ::redis::{Cmd, ErrorKind, RedisError, Script, ServerErrorKind, ToRedisArgs, Value, cmd};

use crate::store::{BROKER_LEASE_MS, GONE_TTL_MS, MAX_BATCH, OUTAGE_MS};

/// About how many records the feed of a room keeps.
const FEED_LENGTH: usize = 1_000;

macro_rules! verbs {
    ($($verb:ident = $name:literal,)+) => {
        /// What a script does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Verb { $($verb,)+ }

        impl Verb {
            /// Its name in metrics, spans and errors, and its file's.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$verb => $name,)+ }
            }

            /// The script, compiled and sent lazily.
            pub(super) fn script(self) -> &'static Code {
                match self {
                    $(Self::$verb => {
                        static SCRIPT: LazyLock<Code> = LazyLock::new(|| {
                            room_script(include_str!(concat!("lua/", $name, ".lua")))
                        });
                        &SCRIPT
                    })+
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

fn room_script(verb: &str) -> Code {
    Code::new(format!(
        "local MAX_BATCH, BROKER_LEASE_MS, OUTAGE_MS, GONE_TTL_MS, FEED_LENGTH = \
         {MAX_BATCH}, {BROKER_LEASE_MS}, {OUTAGE_MS}, {GONE_TTL_MS}, {FEED_LENGTH}\n{}\n{verb}",
        include_str!("lua/prelude.lua"),
    ))
}

/// Adds a room to the set of all rooms; it stands alone, because the set is in another slot.
pub(super) fn enlist() -> &'static Code {
    static SCRIPT: LazyLock<Code> =
        LazyLock::new(|| Code::new(include_str!("lua/enlist.lua").to_owned()));
    &SCRIPT
}

/// The text of a script, and the hash by which a server knows it.
#[derive(Debug)]
pub(super) struct Code {
    text: String,
    hash: String,
}

impl Code {
    fn new(text: String) -> Self {
        Self {
            hash: Script::new(&text).get_hash().to_owned(),
            text,
        }
    }
}

/// One run of a script: its keys and arguments.
///
/// In place of the client's own `ScriptInvocation`, which answers a missing script by loading it at
/// every master of a cluster, and so fails in all slots while one master is down.
#[derive(Debug)]
pub(super) struct Call {
    code: &'static Code,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn of(code: &'static Code) -> Self {
        Self {
            code,
            keys: Vec::new(),
            args: Vec::new(),
        }
    }

    /// Adds a key, or each of several.
    pub(super) fn key(&mut self, key: impl ToRedisArgs) -> &mut Self {
        key.write_redis_args(&mut self.keys);
        self
    }

    /// Adds an argument, or each of several.
    pub(super) fn arg(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        arg.write_redis_args(&mut self.args);
        self
    }

    /// Runs the script; a server that lacks it is sent the text.
    pub(super) async fn run(
        &self,
        connection: &mut (impl ConnectionLike + Send),
    ) -> Result<Value, RedisError> {
        let known = self.command("EVALSHA", &self.code.hash);
        match known.query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let whole = self.command("EVAL", &self.code.text);
                whole.query_async(connection).await
            }
            answer => answer,
        }
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = cmd(name);
        command
            .arg(script)
            .arg(self.keys.len())
            .arg(&self.keys)
            .arg(&self.args);
        command
    }
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
