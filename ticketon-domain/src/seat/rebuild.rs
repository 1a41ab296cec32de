//! Rebuilding a map from the ledger: what is sold, what was given back and what is blocked; everything else is free.
//!
//! The rebuild takes its epoch before it reads, so whoever began with an older one is refused from then on, and a
//! sale that is committed while it reads is told to the map afterwards. It begins over what its caller saw, so of many
//! processes that miss the same map one builds it. A newer rebuild wins. One that dies leaves a map that is
//! `rebuilding`; the keeper of some process starts over.

use ticketon_queue::{EventId, StoreError};

use super::service::Shared;
use super::{Load, MAX_BATCH, MapSpec, Mapped, NotReady, Over};
use crate::venue::{Layout, SeatLabel};

/// Builds the map of an event anew. Answers `false` when another rebuild has begun meanwhile, or since the map was seen.
pub(crate) async fn rebuild(
    shared: &Shared,
    event: &EventId,
    layout: &Layout,
    over: Over,
) -> Result<bool, StoreError> {
    let spec = MapSpec {
        layout: layout.version().to_owned(),
        seats: layout.seat_count(),
    };
    let begun = shared.store.begin_rebuild(event, &spec, over).await?;
    let Some(epoch) = begun else {
        tracing::debug!(target: "ticketon::seats", %event, ?over, "somebody else rebuilds the map");
        return Ok(false);
    };
    tracing::info!(target: "ticketon::seats", %event, epoch, seats = spec.seats, "rebuilding the map");
    let mut counts = [0; LISTINGS.len()];
    for (listing, count) in LISTINGS.into_iter().zip(&mut counts) {
        let mut after = None;
        loop {
            let (loads, next) = listing.read(shared, event, layout, after.as_ref()).await?;
            *count += loads.len();
            if !load(shared, event, epoch, &loads).await? {
                return Ok(false);
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    let [sold, given_back, blocked] = counts;
    let done = shared.store.finish_rebuild(event, epoch).await?;
    if done {
        tracing::info!(target: "ticketon::seats", %event, epoch, sold, given_back, blocked, "the map is ready");
    }
    Ok(done)
}

/// What a map is built from.
#[derive(Debug, Clone, Copy)]
enum Listing {
    Sold,
    GivenBack,
    Blocked,
}

const LISTINGS: [Listing; 3] = [Listing::Sold, Listing::GivenBack, Listing::Blocked];

impl Listing {
    /// A page of it, and where the next one begins.
    async fn read(
        self,
        shared: &Shared,
        event: &EventId,
        layout: &Layout,
        after: Option<&SeatLabel>,
    ) -> Result<(Vec<Load>, Option<SeatLabel>), StoreError> {
        let ledger = &shared.ledger;
        let seat = |label: &SeatLabel| index(event, layout, label);
        Ok(match self {
            Self::Sold => {
                let page = ledger.sold(event, after, MAX_BATCH).await?;
                let loads = page.items.into_iter().filter_map(|sold| {
                    Some(Load::Sold {
                        seat: seat(&sold.seat)?,
                        user: sold.user,
                        fence: sold.fence,
                    })
                });
                (loads.collect(), page.next)
            }
            Self::GivenBack => {
                let page = ledger.given_back(event, after, MAX_BATCH).await?;
                let loads = page.items.into_iter().filter_map(|given| {
                    Some(Load::GivenBack {
                        seat: layout.index_of(&given.seat)?,
                        fence: given.fence,
                    })
                });
                (loads.collect(), page.next)
            }
            Self::Blocked => {
                let page = ledger.blocked(event, after, MAX_BATCH).await?;
                let loads = page.items.iter().filter_map(|label| {
                    let seat = seat(label)?;
                    Some(Load::Blocked { seat })
                });
                (loads.collect(), page.next)
            }
        })
    }
}

/// Builds the map of an event unless there is one of this layout, or somebody is at it.
pub(crate) async fn ensure(
    shared: &Shared,
    event: &EventId,
    layout: &Layout,
) -> Result<(), StoreError> {
    let over = match shared.store.head(event).await? {
        Mapped::Ready(head) if head.spec.layout == layout.version() => return Ok(()),
        Mapped::Ready(head) => Over::Ready { epoch: head.epoch },
        Mapped::NotReady(NotReady::Rebuilding { .. }) => return Ok(()),
        Mapped::NotReady(why) => why.into(),
    };
    rebuild(shared, event, layout, over).await.map(drop)
}

async fn load(
    shared: &Shared,
    event: &EventId,
    epoch: u64,
    loads: &[Load],
) -> Result<bool, StoreError> {
    for batch in loads.chunks(MAX_BATCH) {
        if !shared.store.load(event, epoch, batch).await? {
            tracing::info!(target: "ticketon::seats", %event, epoch, "a newer rebuild goes on");
            return Ok(false);
        }
    }
    Ok(true)
}

/// The seat with this label. What the layout does not have cannot be sold from its map either.
fn index(event: &EventId, layout: &Layout, label: &SeatLabel) -> Option<crate::venue::SeatIndex> {
    let seat = layout.index_of(label);
    if seat.is_none() {
        tracing::error!(target: "ticketon::seats", %event, %label, layout = layout.version(),
            "the ledger has a seat that the layout lacks");
    }
    seat
}
