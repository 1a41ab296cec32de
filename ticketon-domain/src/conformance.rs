//! The promises of this crate, as tests for whoever writes a backend of a port (feature `conformance`).

pub mod purchases;
pub mod seats;
