//! A client of server-sent events that behaves as browsers do, and shows what they hide.

mod client;
mod parser;

pub use client::{ConnectError, SseClient, SseRequest};
pub use parser::{SseEvent, SseParser};
