//! Who is connected where, and whose absence counts.

use super::call::RedisCall;
use super::decode::Fields;
use super::script::{Refusal, Verb};
use super::shape::Shape;
use super::{RedisStore, chunks, exactly};
use crate::error::StoreError;
use crate::id::{BrokerId, ConnId, EventId, UserId};
use crate::store::{Attach, Attached, Observe, ObserveReply, Observed, Standing, TakenOver};

pub(super) async fn register_broker(
    store: &RedisStore,
    event: &EventId,
    broker: BrokerId,
) -> Result<Option<()>, StoreError> {
    let write = |_: &Shape, call: &mut RedisCall| {
        call.arg(broker.to_string());
    };
    store
        .call(
            event,
            Verb::RegisterBroker,
            write,
            |_, code, fields| match code {
                Ok(0) => Ok(()),
                other => Err(fields.unexpected(other)),
            },
        )
        .await
}

pub(super) async fn observe(
    store: &RedisStore,
    event: &EventId,
    broker: BrokerId,
    request: &Observe,
) -> Result<Option<ObserveReply>, StoreError> {
    let write = |_: &Shape, call: &mut RedisCall| {
        call.arg(broker.to_string())
            .arg(request.samples.len().to_string());
        for (lane, sequence) in &request.samples {
            call.arg(lane.saturating_add(1).to_string())
                .arg_int(*sequence);
        }
        for user in &request.users {
            call.arg(user.as_str());
        }
    };
    let read = |shape: &Shape, code, mut fields: Fields| match code {
        Ok(0) => {
            let numbers = fields.numbers(shape)?;
            let ranks = fields
                .fields("ranks")?
                .each(|fields| fields.count("rank"))?;
            let users = fields.fields("users")?.each(|fields| {
                let mut user = fields.fields("user")?;
                let owner = user.owner()?;
                let mut standing = user.fields("standing")?.standing(shape, numbers.state)?;
                if let Standing::Waiting(place) = &mut standing {
                    place.position = None;
                }
                Ok((standing, owner))
            })?;
            Ok(ObserveReply::Observed(Box::new(Observed {
                numbers,
                ranks: exactly(Verb::Observe, request.samples.len(), ranks)?,
                users: exactly(Verb::Observe, request.users.len(), users)?,
            })))
        }
        Err(Refusal::BrokerLapsed) => Ok(ObserveReply::BrokerLapsed),
        other => Err(fields.unexpected(other)),
    };
    store.call(event, Verb::Observe, write, read).await
}

pub(super) async fn attach(
    store: &RedisStore,
    event: &EventId,
    from: BrokerId,
    to: BrokerId,
    batch: &[Attach],
) -> Result<Option<Vec<Attached>>, StoreError> {
    let mut replies = Vec::with_capacity(batch.len());
    for chunk in chunks(batch) {
        let write = |shape: &Shape, call: &mut RedisCall| {
            shape.add_connections(call, to);
            call.arg(from.to_string()).arg(to.to_string());
            for item in chunk {
                call.arg(item.user.as_str()).arg(item.conn.to_string());
            }
        };
        let read = |_: &Shape, code, mut fields: Fields| match code {
            Ok(0) => {
                let replies =
                    fields
                        .fields("replies")?
                        .each(|fields| match fields.int("reply")? {
                            0 => Ok(Attached::NoPlace),
                            1 => Ok(Attached::Owner),
                            2 => Ok(Attached::Replaced),
                            3 => Ok(Attached::BrokerLapsed),
                            other => Err(fields.corrupt(format!("the reply {other} is unknown"))),
                        })?;
                exactly(Verb::Attach, chunk.len(), replies)
            }
            other => Err(fields.unexpected(other)),
        };
        match store.call(event, Verb::Attach, write, read).await? {
            Some(some) => replies.extend(some),
            None => return Ok(None),
        }
    }
    Ok(Some(replies))
}

pub(super) async fn disconnect(
    store: &RedisStore,
    event: &EventId,
    broker: BrokerId,
    batch: &[(UserId, ConnId)],
) -> Result<Option<()>, StoreError> {
    for chunk in chunks(batch) {
        let write = |shape: &Shape, call: &mut RedisCall| {
            shape.add_connections(call, broker);
            call.arg(broker.to_string());
            for (user, conn) in chunk {
                call.arg(user.as_str()).arg(conn.to_string());
            }
        };
        let read = |_: &Shape, code, fields: Fields| match code {
            Ok(0) => Ok(()),
            other => Err(fields.unexpected(other)),
        };
        if store
            .call(event, Verb::Disconnect, write, read)
            .await?
            .is_none()
        {
            return Ok(None);
        }
    }
    Ok(Some(()))
}

pub(super) async fn take_over(
    store: &RedisStore,
    event: &EventId,
    broker: BrokerId,
) -> Result<Option<TakenOver>, StoreError> {
    let write = |shape: &Shape, call: &mut RedisCall| {
        shape.add_connections(call, broker);
        call.arg(broker.to_string());
    };
    store
        .call(
            event,
            Verb::TakeOver,
            write,
            |_, code, mut fields| match code {
                Ok(0) => Ok(TakenOver::Moved {
                    people: fields.count("people")?,
                    more: fields.flag("more")?,
                }),
                Err(Refusal::Alive) => Ok(TakenOver::Alive),
                other => Err(fields.unexpected(other)),
            },
        )
        .await
}
