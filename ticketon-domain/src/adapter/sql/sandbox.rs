//! Payments of the sandbox, so that they survive a restart as a real provider's do.

use async_trait::async_trait;
use ticketon_queue::StoreError;

use super::row::Row;
use super::store::SqlStore;
use super::transaction::Reading;
use super::{Fault, for_update, read, transaction, values};
use crate::adapter::sandbox::{MAX_PAYMENTS_OF_ORDER, SandboxBook, SandboxPayment};
use crate::purchase::{OrderId, PaymentKey};

#[async_trait]
impl SandboxBook for SqlStore {
    async fn load(&self, key: &PaymentKey) -> Result<Option<SandboxPayment>, StoreError> {
        read!(self, "read a sandbox payment", Reading::Fresh, |conn| {
            let sql = "SELECT body FROM sandbox_payments WHERE payment_key = ?";
            let row = conn.row(sql, values![key.as_str()]).await?;
            row.as_ref().map(payment).transpose()
        })
    }

    async fn of_order(&self, order: &OrderId) -> Result<Vec<SandboxPayment>, StoreError> {
        let order = order.to_string();
        let limit = i64::try_from(MAX_PAYMENTS_OF_ORDER).unwrap_or(i64::MAX);
        read!(
            self,
            "list an order's sandbox payments",
            Reading::Fresh,
            |conn| {
                let sql = "SELECT body FROM sandbox_payments WHERE order_id = ? LIMIT ?";
                let rows = conn.rows(sql, values![&order, limit]).await?;
                rows.iter().map(payment).collect()
            }
        )
    }

    async fn save(
        &self,
        before: Option<&SandboxPayment>,
        after: &SandboxPayment,
    ) -> Result<bool, StoreError> {
        let key = after.key().as_str();
        let order = after.order().to_string();
        let body = serde_json::to_string(after).map_err(|error| StoreError::Corrupt {
            context: "write a sandbox payment",
            detail: error.to_string(),
        })?;
        transaction!(self, "save a sandbox payment", |conn| {
            let Some(before) = before else {
                let sql =
                    "INSERT INTO sandbox_payments (payment_key, order_id, body) VALUES (?, ?, ?)";
                return match conn.run(sql, values![key, &order, &body]).await {
                    Ok(_) => Ok(true),
                    Err(Fault::Duplicate) => Ok(false),
                    Err(fault) => Err(fault),
                };
            };
            let sql = for_update!("SELECT body FROM sandbox_payments WHERE payment_key = ?");
            let stored = conn.row(sql, values![key]).await?;
            if stored.as_ref().map(payment).transpose()?.as_ref() != Some(before) {
                return Ok(false);
            }
            let sql = "UPDATE sandbox_payments SET body = ? WHERE payment_key = ?";
            conn.run(sql, values![&body, key]).await?;
            Ok(true)
        })
    }
}

fn payment(row: &Row) -> Result<SandboxPayment, Fault> {
    let body = row.text("body")?;
    serde_json::from_str(&body)
        .map_err(|error| Fault::Corrupt(format!("a sandbox payment: {error}")))
}
