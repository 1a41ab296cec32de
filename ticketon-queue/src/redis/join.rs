//! Joining, looking and leaving.

use std::collections::HashMap;

use super::call::RedisCall;
use super::decode::Fields;
use super::script::{Refusal, Verb};
use super::shape::Shape;
use super::{RedisStore, chunks, exactly};
use crate::error::StoreError;
use crate::id::{BrokerId, EventId, UserId};
use crate::state::RoomState;
use crate::store::{JoinReply, JoinRequest, Left, Presence, Standing};

pub(super) async fn join(
    store: &RedisStore,
    event: &EventId,
    batch: &[JoinRequest],
) -> Result<Option<Vec<JoinReply>>, StoreError> {
    let mut replies = Vec::with_capacity(batch.len());
    for chunk in chunks(batch) {
        let write = |shape: &Shape, call: &mut RedisCall| {
            write_joins(shape, call, chunk);
        };
        let read = |shape: &Shape, code, mut fields: Fields| match code {
            Ok(0) => {
                let state = fields.parsed("state")?;
                let replies = fields
                    .fields("replies")?
                    .each(|fields| read_join(shape, state, fields.fields("reply")?))?;
                exactly(Verb::Join, chunk.len(), replies)
            }
            other => Err(fields.unexpected(other)),
        };
        match store.call(event, Verb::Join, write, read).await? {
            Some(some) => replies.extend(some),
            None => return Ok(None),
        }
    }
    Ok(Some(replies))
}

pub(super) async fn standing(
    store: &RedisStore,
    event: &EventId,
    user: &UserId,
) -> Result<Option<Standing>, StoreError> {
    let write = |_: &Shape, call: &mut RedisCall| {
        call.arg(user.as_str());
    };
    store
        .call(
            event,
            Verb::Standing,
            write,
            |shape, code, mut fields| match code {
                Ok(0) => {
                    let state = fields.parsed("state")?;
                    fields.fields("standing")?.standing(shape, state)
                }
                other => Err(fields.unexpected(other)),
            },
        )
        .await
}

pub(super) async fn leave(
    store: &RedisStore,
    event: &EventId,
    user: &UserId,
    fence: Option<u64>,
) -> Result<Option<Left>, StoreError> {
    let write = |_: &Shape, call: &mut RedisCall| {
        call.arg(user.as_str())
            .arg(fence.map_or(String::new(), |fence| fence.to_string()));
    };
    store
        .call(event, Verb::Leave, write, |_, code, fields| match code {
            Ok(0) => Ok(Left::NotJoined),
            Ok(1) => Ok(Left::Waiting),
            Ok(2) => Ok(Left::Admitted),
            Err(Refusal::OtherFence) => Ok(Left::Stale),
            other => Err(fields.unexpected(other)),
        })
        .await
}

/// The arguments and keys of a batch of joins.
fn write_joins(shape: &Shape, call: &mut RedisCall, batch: &[JoinRequest]) {
    let mut positions: HashMap<BrokerId, usize> = HashMap::new();
    for request in batch {
        let lane = request
            .lane
            .as_ref()
            .and_then(|lane| shape.config.lane_index(lane))
            .unwrap_or(0);
        call.arg(request.user.as_str()).arg((lane + 1).to_string());
        match request.presence {
            Presence::Stream { broker, conn } => {
                let next = shape.first_added_key() + positions.len();
                let position = *positions.entry(broker).or_insert_with(|| {
                    shape.add_connections(call, broker);
                    next
                });
                call.arg(broker.to_string())
                    .arg(format!("{broker}:{conn}"))
                    .arg(position.to_string());
            }
            Presence::Poll => {
                call.arg("").arg("").arg("0");
            }
        }
        call.arg(
            request
                .resume
                .map_or(String::new(), |epoch| epoch.to_string()),
        );
        // Whether it counts, the script decides: the room may have opened.
        call.arg(
            shape
                .draw_key
                .as_ref()
                .map_or(String::new(), |key| key.score(&request.user).to_string()),
        );
    }
}

fn read_join(shape: &Shape, state: RoomState, mut fields: Fields) -> Result<JoinReply, StoreError> {
    let new = match fields.code()? {
        Ok(0) => false,
        Ok(1) => true,
        Err(Refusal::BrokerLapsed) => return Ok(JoinReply::BrokerLapsed),
        Err(Refusal::Full) => return Ok(JoinReply::Full),
        Err(Refusal::State) => return Ok(JoinReply::Refused { state }),
        Err(Refusal::Gone) => {
            let (reason, _) = fields.ending()?;
            return Ok(JoinReply::Gone { reason });
        }
        other => return Err(fields.unexpected(other)),
    };
    match fields.standing(shape, state)? {
        Standing::Waiting(place) => Ok(JoinReply::Waiting { place, new }),
        Standing::Admitted(lease) => Ok(JoinReply::Admitted { lease, new }),
        other => Err(fields.corrupt(format!("a join cannot lead to {other:?}"))),
    }
}
