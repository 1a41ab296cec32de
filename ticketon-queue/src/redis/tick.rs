//! What is due: ends what ran out, then promotes.

use super::RedisStore;
use super::call::RedisCall;
use super::script::Verb;
use super::shape::Shape;
use crate::error::StoreError;
use crate::id::EventId;
use crate::store::{MAX_BATCH, Tick};

pub(super) async fn tick(
    store: &RedisStore,
    event: &EventId,
    batch: usize,
) -> Result<Option<Tick>, StoreError> {
    let write = |_: &Shape, call: &mut RedisCall| {
        call.arg(batch.min(MAX_BATCH).to_string());
    };
    store
        .call(event, Verb::Tick, write, |_, code, mut fields| match code {
            Ok(0) => Ok(Tick {
                promoted: fields.count("promoted")?,
                expired: fields.count("expired")?,
                left: fields.count("left")?,
                more: fields.flag("more")?,
                state: fields.parsed("state")?,
                waiting: fields.count("waiting")?,
                active: fields.count("live leases")?,
                lapsed: fields
                    .fields("lapsed")?
                    .each(|fields| fields.parsed("broker"))?,
            }),
            other => Err(fields.unexpected(other)),
        })
        .await
}
