//! Creating a room, changing its config, and asking for another state.

use super::call::RedisCall;
use super::decode::{Fields, corrupt};
use super::keys::{ROOMS, RoomKeys};
use super::script::{self, Refusal, Verb};
use super::shape::Shape;
use super::{MAX_STALE, RedisStore, never_still};
use crate::config::RoomConfig;
use crate::error::StoreError;
use crate::id::EventId;
use crate::memory::MAX_ROOMS;
use crate::room::{changed_draw_setting, strides};
use crate::state::{RoomState, RoomVerb};
use crate::store::{RoomSaved, StateChanged};

/// All states, for the table of transitions that a change of state is given.
const STATES: [RoomState; 6] = [
    RoomState::Scheduled,
    RoomState::Open,
    RoomState::Paused,
    RoomState::Draining,
    RoomState::SoldOut,
    RoomState::Closed,
];

pub(super) async fn save_room(
    store: &RedisStore,
    event: &EventId,
    config: &RoomConfig,
) -> Result<RoomSaved, StoreError> {
    const VERB: Verb = Verb::Save;
    // A config that could not be read back would lock everybody out of the room.
    if RoomConfig::from_json(&config.to_json()).as_ref() != Ok(config) {
        return Err(corrupt(VERB.name(), "the config does not survive its JSON"));
    }
    for _ in 0..MAX_STALE {
        let known = store.read_shape(event).await?;
        let limit = if known.is_some() {
            usize::MAX
        } else {
            MAX_ROOMS
        };
        if !enlist(store, event, limit).await? {
            return Ok(RoomSaved::TooManyRooms { limit: MAX_ROOMS });
        }
        let mut invocation = match &known {
            Some(shape) if *shape.config == *config => return Ok(RoomSaved::Same),
            Some(shape) => shape.invocation(store.script(VERB), &store.now()),
            None => {
                let mut invocation = RedisCall::script(store.script(VERB));
                for key in RoomKeys::new(event).fixed() {
                    invocation.key(key);
                }
                invocation.arg("").arg(store.now()).arg("0");
                invocation
            }
        };
        let keys = RoomKeys::new(event);
        for lane in config.lanes() {
            invocation.key(keys.waiting(&lane.name));
        }
        write_config(&mut invocation, config);
        let changed = known
            .as_ref()
            .and_then(|shape| changed_draw_setting(&shape.config, config));
        invocation
            .arg(store.draw_keys.next().to_hex())
            .arg(changed.unwrap_or_default());
        let reply = store.link.run(VERB.name(), &invocation).await?;
        let mut fields = Fields::new(VERB.name(), reply)?;
        match fields.code()? {
            Ok(0) => return Ok(RoomSaved::Created),
            Ok(1) => return Ok(RoomSaved::Changed),
            Err(Refusal::LaneNotEmpty) => {
                let lane = fields.parsed("lane")?;
                return Ok(RoomSaved::LaneNotEmpty { lane });
            }
            Err(Refusal::Frozen) => {
                let field = changed.unwrap_or("opening");
                return Ok(RoomSaved::Frozen { field });
            }
            Err(Refusal::Stale | Refusal::NoRoom) => {}
            other => return Err(fields.unexpected(other)),
        }
    }
    Err(never_still(VERB.name()))
}

pub(super) async fn change_state(
    store: &RedisStore,
    event: &EventId,
    verb: RoomVerb,
) -> Result<Option<StateChanged>, StoreError> {
    let write = |_: &Shape, call: &mut RedisCall| {
        for state in STATES {
            if let Some(after) = state.after(verb) {
                call.arg(state.as_str()).arg(after.as_str());
            }
        }
    };
    store
        .call(
            event,
            Verb::ChangeState,
            write,
            |_, code, mut fields| match code {
                Ok(0) => Ok(StateChanged::Now(fields.parsed("state")?)),
                Err(Refusal::State) => Ok(StateChanged::Refused(fields.parsed("state")?)),
                other => Err(fields.unexpected(other)),
            },
        )
        .await
}

/// Adds the room to the set of all rooms; `false` when there are too many.
async fn enlist(store: &RedisStore, event: &EventId, limit: usize) -> Result<bool, StoreError> {
    let mut invocation = RedisCall::script(script::enlist());
    invocation
        .key(ROOMS)
        .arg(event.as_str())
        .arg(limit.to_string());
    let reply = store.link.run("enlist", &invocation).await?;
    let mut fields = Fields::new("enlist", reply)?;
    match fields.code()? {
        Ok(0) => Ok(true),
        Err(Refusal::TooManyRooms) => Ok(false),
        other => Err(fields.unexpected(other)),
    }
}

/// The arguments of a save that describe the new config.
fn write_config(invocation: &mut RedisCall, config: &RoomConfig) {
    let names: Vec<&str> = config
        .lanes()
        .iter()
        .map(|lane| lane.name.as_str())
        .collect();
    let strides: Vec<String> = strides(config).iter().map(u64::to_string).collect();
    invocation
        .arg(config.to_json().to_string())
        .arg(names.join(","))
        .arg(strides.join(","))
        .arg_int(config.capacity())
        .arg_int(config.admit_per_second())
        .arg_int(config.admit_burst())
        .arg_int(config.claim_ttl_ms())
        .arg_int(config.entry_ttl_ms())
        .arg_int(config.away_grace_ms())
        .arg_int(config.max_waiting())
        .arg(
            config
                .opens_at_ms()
                .map_or(String::new(), |at| at.to_string()),
        )
        .arg(config.opening().as_str());
}
