//! Admission leases: claimed, extended, completed. Every change compares the fence.

use super::RedisStore;
use super::call::RedisCall;
use super::decode::Fields;
use super::script::{Refusal, Verb};
use super::shape::Shape;
use crate::error::StoreError;
use crate::id::{EventId, UserId};
use crate::store::{Fenced, Lease, MAX_EXTEND_MS};

pub(super) async fn claim_or_extend(
    store: &RedisStore,
    event: &EventId,
    user: &UserId,
    fence: u64,
    for_ms: Option<i64>,
) -> Result<Option<Fenced<Lease>>, StoreError> {
    let write = |_: &Shape, call: &mut RedisCall| {
        call.arg(user.as_str()).arg_int(fence);
        match for_ms {
            Some(for_ms) => call.arg_int(for_ms.clamp(0, MAX_EXTEND_MS)),
            None => call.arg(""),
        };
    };
    store
        .call(
            event,
            Verb::Claim,
            write,
            |shape, code, mut fields| match code {
                Ok(0) => Ok(Fenced::Done(fields.lease(shape)?)),
                other => read_fenced(other, fields),
            },
        )
        .await
}

pub(super) async fn complete(
    store: &RedisStore,
    event: &EventId,
    user: &UserId,
    fence: u64,
) -> Result<Option<Fenced<()>>, StoreError> {
    let write = |_: &Shape, call: &mut RedisCall| {
        call.arg(user.as_str()).arg_int(fence);
    };
    store
        .call(event, Verb::Complete, write, |_, code, fields| match code {
            Ok(0) => Ok(Fenced::Done(())),
            other => read_fenced(other, fields),
        })
        .await
}

/// The refusals of the verbs that compare the fence.
fn read_fenced<T>(code: Result<u64, Refusal>, mut fields: Fields) -> Result<Fenced<T>, StoreError> {
    match code {
        Err(Refusal::Ended) => Ok(Fenced::Ended {
            reason: fields.ending()?.0,
        }),
        Err(Refusal::OtherFence) => Ok(Fenced::Stale),
        other => Err(fields.unexpected(other)),
    }
}
