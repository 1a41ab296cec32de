//! What [`Seats`] are built with when a host names nothing else: everything but the seats in memory.

use std::sync::Arc;

use super::{MemoryCatalog, MemoryLedger};
use crate::seat::{SeatStore, Seats, SeatsBuilder};

impl Seats {
    /// A builder over a store, with catalog and ledger in memory.
    pub fn builder(store: impl SeatStore) -> SeatsBuilder {
        Self::builder_shared(Arc::new(store))
    }

    /// A builder over a store that is shared already, with catalog and ledger in memory.
    pub fn builder_shared(store: Arc<dyn SeatStore>) -> SeatsBuilder {
        let catalog = Arc::new(MemoryCatalog::new());
        SeatsBuilder::new(store, catalog, Arc::new(MemoryLedger::new()))
    }
}
