//! The harness of Ticketon's own tests: real servers, real processes, real clients, a real browser.
//!
//! Whatever a test starts here listens on 127.0.0.1 at a port of its own, keeps its files in a
//! folder of its own, and ends with the value that stands for it, also when the test fails. A
//! failing test prints what its processes printed. Nothing here waits for a fixed time: everything
//! waits for a condition, with a bound ([`eventually`]).
//!
//! A server that cannot start is a failure, never a skipped test; `cargo xtask test --install`
//! installs what is missing. Faults in the harness panic, as assertions do.
//!
//! | to get | use |
//! | --- | --- |
//! | a private Redis, to be killed, paused, restarted | [`RedisServer`] |
//! | a private Redis Cluster, to lose its masters | [`RedisCluster`] |
//! | a master with replicas and Sentinels, to move | [`RedisSentinel`] |
//! | a private MariaDB, to be killed, paused, restarted | [`MariaDb`] |
//! | a private Kafka broker, to be killed, paused, restarted | [`KafkaBroker`] |
//! | a program of the workspace, running | [`workspace_bin`], [`AppProcess`] |
//! | a program that only tests use | [`test_program`] |
//! | an answer to a call, read to its end | [`answer()`] |
//! | a stream of server-sent events | [`SseClient`] |
//! | a page in headless Chromium | [`Browser`] |
//! | a slow way to a server | [`SlowProxy`] |
//! | a certificate that a test trusts | [`Authority`] |
//! | random lives of a room, in every store at once | [`agreement`] |
//! | a condition that becomes true | [`eventually`] |

pub mod agreement;
mod answer;
mod app;
mod binary;
mod browser;
mod certificate;
mod kafka;
pub mod lives;
mod mariadb;
mod port;
mod process;
mod proxy;
pub mod purchase_agreement;
mod redis;
mod redis_cluster;
mod redis_sentinel;
pub mod seat_agreement;
mod sse;
mod tls;
mod wait;

pub use answer::{Answer, answer, fields};
pub use app::{AppBuilder, AppProcess, Exit};
pub use binary::{test_program, workspace_bin, workspace_bin_with};
pub use browser::{Browser, BrowserBuilder};
pub use certificate::{Authority, Identity};
pub use kafka::{KafkaBroker, KafkaBuilder, KafkaRecord};
pub use mariadb::MariaDb;
pub use port::Port;
pub use process::Process;
pub use proxy::SlowProxy;
pub use redis::{RedisBuilder, RedisServer};
pub use redis_cluster::{RedisCluster, RedisClusterBuilder};
pub use redis_sentinel::{RedisSentinel, RedisSentinelBuilder};
pub use sse::{ConnectError, SseClient, SseEvent, SseParser, SseRequest};
pub use tls::speak_tls;
pub use wait::{Condition, eventually};

/// The programs of this name that may be installed; the first one found is used.
fn installed(any_of: &[&str]) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .collect();
    any_of
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!(
                "{} is not installed: run `cargo xtask test --install`",
                any_of.join(" or ")
            )
        })
}

/// The code of the project's front page compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
