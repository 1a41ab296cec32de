//! A small house whose rows are touched one by one.

use ticketon_domain::audit::{AuditLog, StoredEntry};
use ticketon_domain::purchase::OrderRecord;

use super::house::{House, short};

/// Three orders, sealed with 4, 3 and 1 entries by checkpoint 1; the second has a fourth since, and checkpoint 2 seals
/// a fourth order of 3 entries.
pub(crate) struct Scene {
    pub(crate) house: House,
    pub(crate) a: OrderRecord,
    /// As it was when it was sealed.
    pub(crate) b_before: OrderRecord,
    pub(crate) b: OrderRecord,
    pub(crate) c: OrderRecord,
    pub(crate) d: OrderRecord,
}

impl Scene {
    pub(crate) async fn set(mut house: House) -> Self {
        let a = house.paid(2).await;
        let a = house.used(&a, 0).await;
        let b_before = house.paid(1).await;
        let c = house.order(1).await;
        assert_eq!(house.seal().await.heads, 3);
        let d = house.paid(1).await;
        assert_eq!(house.seal().await.heads, 1);
        let b = house.used(&b_before, 0).await;
        house.remember().await;
        let verified = house.is_whole().await;
        assert_eq!(
            (verified.orders, verified.entries, verified.unsealed),
            (4, 12, 1)
        );
        assert_eq!((verified.checkpoints, verified.heads), (2, 4));
        Self {
            house,
            a,
            b_before,
            b,
            c,
            d,
        }
    }

    pub(crate) async fn both() -> [Self; 2] {
        let [file, server] = House::both().await;
        [Self::set(file).await, Self::set(server).await]
    }

    /// What is told after statements: the orders a, b, c, d are 0, 1, 2, 3.
    pub(crate) async fn told(&mut self, statements: &[String]) -> Vec<String> {
        let findings = self.house.after(statements).await;
        short(&findings, &[&self.a, &self.b, &self.c, &self.d])
    }

    pub(crate) async fn entries(&self, order: &OrderRecord) -> Vec<StoredEntry> {
        let log: &dyn AuditLog = &*self.house.store;
        log.entries(&order.order.id.to_string(), 1, 100)
            .await
            .unwrap()
    }
}

pub(crate) fn at(order: &OrderRecord, seq: i64) -> String {
    format!("WHERE order_id = '{}' AND seq = {seq}", order.order.id)
}

/// Puts an order's row, and those of its tickets, back to how they were.
pub(crate) fn set_order(record: &OrderRecord) -> Vec<String> {
    let body = serde_json::to_string(record).unwrap();
    let (id, version) = (record.order.id, record.order.version);
    let order = format!("UPDATE orders SET body = '{body}', version = {version} WHERE id = '{id}'");
    let tickets = record.order.tickets.iter().map(|ticket| {
        let (id, state) = (ticket.id, ticket.state);
        format!("UPDATE tickets SET state = '{state}' WHERE id = '{id}'")
    });
    std::iter::once(order).chain(tickets).collect()
}
