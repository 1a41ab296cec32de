//! The inbox of consumers in the database.

use async_trait::async_trait;
use ticketon_queue::StoreError;

use super::outbox::named;
use super::store::SqlStore;
use super::transaction::Reading;
use super::value::number;
use super::{keep_old, read, transaction, values};
use crate::outbox::Aggregate;
use crate::outbox::inbox::Inbox;

#[async_trait]
impl Inbox for SqlStore {
    async fn last(&self, consumer: &str, aggregate: &Aggregate) -> Result<u64, StoreError> {
        let aggregate = aggregate.to_string();
        // A replica may lag, and a version that seems new would be handled twice.
        read!(self, "read the inbox", Reading::Fresh, |conn| {
            let sql = "SELECT version FROM inbox WHERE consumer = ? AND aggregate = ?";
            let row = conn
                .row(sql, values![named("consumer", consumer)?, &aggregate])
                .await?;
            row.map_or(Ok(0), |row| row.count("version"))
        })
    }

    async fn handled(
        &self,
        consumer: &str,
        aggregate: &Aggregate,
        version: u64,
    ) -> Result<bool, StoreError> {
        let aggregate = aggregate.to_string();
        transaction!(self, "write the inbox", |conn| {
            let (consumer, version) = (named("consumer", consumer)?, number(version)?);
            let first = keep_old!("INTO inbox (consumer, aggregate, version) VALUES (?, ?, 0)");
            conn.run(first, values![consumer, &aggregate]).await?;
            let next =
                "UPDATE inbox SET version = ? WHERE consumer = ? AND aggregate = ? AND version < ?";
            let changed = conn
                .run(next, values![version, consumer, &aggregate, version])
                .await?;
            Ok(changed > 0)
        })
    }
}
