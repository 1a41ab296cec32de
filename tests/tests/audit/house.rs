//! A house with orders, and somebody who can write into its database by hand.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tempfile::TempDir;
use ticketon_domain::adapter::sql::SqlStore;
use ticketon_domain::audit::{
    AuditKeys, AuditLog, AuditPublicKeys, Finding, Sealed, Verified, Verifier, rebuild, seal,
};
use ticketon_domain::event::Currency;
use ticketon_domain::purchase::event::buyer_hash;
use ticketon_domain::purchase::{
    Changed, Command, Created, Line, OrderEvent, OrderId, OrderRecord, PaymentKey, PurchaseStore,
};
use ticketon_domain::seat::HoldId;
use ticketon_queue::{Clock as _, EventId, ManualClock, UserId};
use ticketon_tests::MariaDb;

pub(crate) const NOW_MS: i64 = 1_800_000_000_000;

/// The tables that a hand may change.
const TABLES: [&str; 4] = ["audit", "audit_checkpoints", "orders", "tickets"];

pub(crate) struct House {
    pub(crate) name: &'static str,
    pub(crate) store: Arc<SqlStore>,
    pub(crate) url: String,
    pub(crate) clock: ManualClock,
    pub(crate) keys: AuditKeys,
    /// How many orders were made.
    pub(crate) made: u64,
    hand: Hand,
    _kept: Kept,
}

enum Kept {
    Folder(#[allow(dead_code, reason = "it goes with the house")] TempDir),
    Server(#[allow(dead_code, reason = "it ends with the house")] Box<MariaDb>),
}

/// A connection past the store.
enum Hand {
    Sqlite(sqlx::SqliteConnection),
    MySql(sqlx::MySqlConnection),
}

impl House {
    pub(crate) async fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let url = format!("sqlite:{}", path.display());
        let store = SqlStore::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(path)
            // What the hand writes need not survive a loss of power.
            .synchronous(sqlx::sqlite::SqliteSynchronous::Off)
            .busy_timeout(std::time::Duration::from_secs(10))
            // Whoever has the file can write what no program of ours would.
            .pragma("ignore_check_constraints", "ON");
        let hand = Hand::Sqlite(options.connect().await.unwrap());
        Self::of("sqlite", store, url, hand, Kept::Folder(folder))
    }

    pub(crate) async fn server() -> Self {
        let server = MariaDb::start().await;
        let url = server.fresh_database().await;
        let store = SqlStore::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        let mut hand = sqlx::MySqlConnection::connect(&url).await.unwrap();
        let unchecked = sqlx::query("SET SESSION check_constraint_checks = 0");
        unchecked.execute(&mut hand).await.unwrap();
        let hand = Hand::MySql(hand);
        Self::of("mariadb", store, url, hand, Kept::Server(Box::new(server)))
    }

    fn of(name: &'static str, store: SqlStore, url: String, hand: Hand, kept: Kept) -> Self {
        Self {
            name,
            store: Arc::new(store),
            url,
            clock: ManualClock::at(NOW_MS),
            keys: AuditKeys::new("2027", [7; 32]).unwrap(),
            made: 0,
            hand,
            _kept: kept,
        }
    }

    pub(crate) async fn both() -> [Self; 2] {
        [Self::file().await, Self::server().await]
    }

    /// A new order of so many seats.
    pub(crate) async fn order(&mut self, seats: usize) -> OrderRecord {
        self.made += 1;
        let number = self.made;
        // No two orders of one millisecond: their ids are in the order in which they were made.
        self.clock.advance(std::time::Duration::from_millis(1));
        let at_ms = self.clock.now_ms();
        let id = OrderId::random(at_ms);
        let user = user(number);
        let event = EventId::new("tour").unwrap();
        let line = |seat: usize| Line {
            seat: format!("A-{number}-{}", seat + 1).parse().unwrap(),
            grade: "vip".to_owned(),
            price: 165_000,
        };
        let lines: Vec<Line> = (0..seats).map(line).collect();
        let initiated = OrderEvent::Initiated {
            event_id: event.clone(),
            buyer: buyer_hash(&id, &user),
            hold_id: HoldId::derive(&event, &user, "1"),
            fence: 7,
            sales_version: 1,
            amount: lines.iter().map(|line| line.price).sum(),
            lines,
            currency: "KRW".parse::<Currency>().unwrap(),
            pay_until_ms: at_ms + 600_000,
            hold_until_ms: at_ms + 900_000,
        };
        let made = OrderRecord::initiate(id, user, at_ms, &initiated, None, None).unwrap();
        assert_eq!(self.store.create(&made).await.unwrap(), Created::Done);
        made.record
    }

    /// Lets an order be changed, which must succeed.
    pub(crate) async fn done(&self, order: &OrderRecord, command: &Command) -> OrderRecord {
        let id = order.order.id;
        match self
            .store
            .change(&id, command, self.clock.now_ms())
            .await
            .unwrap()
        {
            Changed::Done(record) => *record,
            other => panic!("{command:?}: {other:?}"),
        }
    }

    /// A paid order: three entries.
    pub(crate) async fn paid(&mut self, seats: usize) -> OrderRecord {
        let order = self.order(seats).await;
        let confirm = Command::Confirm {
            user: order.user.clone(),
            provider: "sandbox".to_owned(),
            key: PaymentKey::new(format!("p-{}", self.made)).unwrap(),
            amount: order.order.amount,
            lease_ms: 30_000,
        };
        let order = self.done(&order, &confirm).await;
        let paid = Command::Paid {
            fence: order.work.fence,
            approved_at_ms: Some(self.clock.now_ms()),
            method: Some("card".to_owned()),
        };
        self.done(&order, &paid).await
    }

    /// The n-th ticket's holder comes in: one entry more.
    pub(crate) async fn used(&self, order: &OrderRecord, ticket: usize) -> OrderRecord {
        let ticket = order.order.tickets[ticket].id;
        self.done(
            order,
            &Command::CheckIn {
                ticket,
                request: None,
            },
        )
        .await
    }

    pub(crate) async fn seal(&self) -> Sealed {
        seal(&*self.store, &self.keys, &self.clock).await.unwrap()
    }

    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(self.keys.public().clone())
    }

    pub(crate) async fn verify(&self) -> (Verified, Vec<Finding>) {
        verify(&self.verifier(), &*self.store).await
    }

    pub(crate) async fn findings(&self) -> Vec<Finding> {
        self.verify().await.1
    }

    pub(crate) async fn rebuild_findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let rebuilt = rebuild(&*self.store, &mut |finding| findings.push(finding))
            .await
            .unwrap();
        assert_eq!(rebuilt.findings, findings.len() as u64);
        findings
    }

    /// Asserts that nothing is wrong.
    pub(crate) async fn is_whole(&self) -> Verified {
        let (verified, findings) = self.verify().await;
        assert_eq!(findings, [], "{}", self.name);
        assert_eq!(self.rebuild_findings().await, [], "{}", self.name);
        verified
    }

    /// Writes into the database by hand; answers how many rows that met.
    pub(crate) async fn write(&mut self, sql: impl Into<String>) -> u64 {
        let sql = AssertSqlSafe(sql.into());
        match &mut self.hand {
            Hand::Sqlite(conn) => sqlx::query(sql)
                .execute(conn)
                .await
                .unwrap()
                .rows_affected(),
            Hand::MySql(conn) => sqlx::query(sql)
                .execute(conn)
                .await
                .unwrap()
                .rows_affected(),
        }
    }

    /// The same where the database may refuse.
    pub(crate) async fn try_write(&mut self, sql: impl Into<String>) -> bool {
        let sql = AssertSqlSafe(sql.into());
        match &mut self.hand {
            Hand::Sqlite(conn) => sqlx::query(sql).execute(conn).await.is_ok(),
            Hand::MySql(conn) => sqlx::query(sql).execute(conn).await.is_ok(),
        }
    }

    /// The first column of an answer, as texts in hexadecimal digits so that nothing is lost.
    pub(crate) async fn hex(&mut self, column: &str, rest: &str) -> Vec<String> {
        let sql = AssertSqlSafe(match &self.hand {
            Hand::Sqlite(_) => format!("SELECT coalesce(hex({column}), 'NULL') {rest}"),
            Hand::MySql(_) => {
                format!("SELECT coalesce(hex(CAST({column} AS CHAR)), 'NULL') {rest}")
            }
        });
        match &mut self.hand {
            Hand::Sqlite(conn) => {
                let rows = sqlx::query(sql).fetch_all(conn).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Hand::MySql(conn) => {
                let rows = sqlx::query(sql).fetch_all(conn).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// The texts of a column.
    pub(crate) async fn texts(&mut self, column: &str, rest: &str) -> Vec<String> {
        let hex = self.hex(column, rest).await;
        hex.iter().map(|hex| unhex(hex)).collect()
    }

    /// Remembers how the tables are.
    pub(crate) async fn remember(&mut self) {
        for table in TABLES {
            self.write(format!("DROP TABLE IF EXISTS kept_{table}"))
                .await;
            self.write(format!(
                "CREATE TABLE kept_{table} AS SELECT * FROM {table}"
            ))
            .await;
        }
    }

    /// Brings the tables back to how they were.
    pub(crate) async fn restore(&mut self) {
        for table in TABLES {
            self.write(format!("DELETE FROM {table}")).await;
            self.write(format!("INSERT INTO {table} SELECT * FROM kept_{table}"))
                .await;
        }
    }

    /// What is found after statements, each of which must meet a row; then all is as before.
    pub(crate) async fn after(&mut self, statements: &[String]) -> Vec<Finding> {
        for sql in statements {
            assert!(self.write(sql.as_str()).await > 0, "{sql} met no row");
        }
        let findings = self.findings().await;
        self.restore().await;
        findings
    }
}

pub(crate) async fn verify(verifier: &Verifier, log: &dyn AuditLog) -> (Verified, Vec<Finding>) {
    let mut findings = Vec::new();
    let verified = verifier
        .verify(log, &mut |finding| findings.push(finding))
        .await
        .unwrap();
    assert_eq!(verified.findings, findings.len() as u64);
    (verified, findings)
}

pub(crate) fn user(number: u64) -> UserId {
    UserId::new(format!("person-{number}@example.com")).unwrap()
}

pub(crate) fn public(keys: &str) -> AuditPublicKeys {
    keys.parse().unwrap()
}

/// The findings as `order's place in the list:seq:what`, short enough to be compared.
pub(crate) fn short(findings: &[Finding], orders: &[&OrderRecord]) -> Vec<String> {
    let name = |finding: &Finding| {
        let order = finding.place.order.as_ref().map(|order| {
            let known = orders
                .iter()
                .position(|known| known.order.id.to_string() == *order);
            known.map_or("?".to_owned(), |index| index.to_string())
        });
        let value = serde_json::to_value(&finding.wrong).unwrap();
        let mut text = value["wrong"].as_str().unwrap().to_owned();
        for (key, place) in [
            ("entry", finding.place.seq),
            ("checkpoint", finding.place.checkpoint),
        ] {
            if let Some(place) = place {
                text.push_str(&format!(" {key} {place}"));
            }
        }
        order.map_or(text.clone(), |order| format!("{text} of {order}"))
    };
    let mut names: Vec<String> = findings.iter().map(name).collect();
    names.sort();
    names
}

pub(crate) fn unhex(hex: &str) -> String {
    let bytes = hex
        .as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
    String::from_utf8(bytes.collect()).unwrap()
}
