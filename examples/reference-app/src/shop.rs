//! What the event `demo` sells: a concert hall of which a part is sold already.

use sha2::{Digest as _, Sha256};
use ticketon_domain::adapter::memory::MemoryLedger;
use ticketon_domain::event::{Event, EventStatus};
use ticketon_domain::seat::{Seats, SoldSeat};
use ticketon_domain::venue::{Layout, SeatIndex, sample};
use ticketon_queue::clock::parse_rfc3339;
use ticketon_queue::{EventId, UserId};

use crate::events::{ENGLISH, KOREAN, STARTS_AT, VENUE};

/// Seats, and units of the standing area.
const SEATS: u32 = 1_800;
const STANDING: u32 = 200;
/// How many in a hundred were sold before, in whole neighbourhoods.
const SOLD_PERCENT: u8 = 35;

fn hall() -> Layout {
    sample::concert(SEATS, STANDING)
}

/// The demo's ledger: seats that were sold before anybody came, the same in each process.
pub(crate) fn sold_before(event: &EventId) -> MemoryLedger {
    let ledger = MemoryLedger::new();
    let Ok(user) = UserId::new("early-fan") else {
        return ledger;
    };
    let hall = hall();
    let sold: Vec<SoldSeat> = (0..hall.seat_count())
        .map(SeatIndex::new)
        .filter(|seat| was_sold(*seat))
        .filter_map(|seat| {
            Some(SoldSeat {
                seat: hall.label(seat)?,
                user: user.clone(),
                fence: 1,
            })
        })
        .collect();
    let refused = ledger.record_sold(event, &sold);
    debug_assert!(refused.is_empty(), "each seat is sold once");
    ledger
}

/// Neighbours were often bought together: two or three at a time share their luck.
fn was_sold(seat: SeatIndex) -> bool {
    let hash = Sha256::digest((seat.get() / 3).to_be_bytes());
    hash[0] % 100 < SOLD_PERCENT
}

/// Makes the event if there is none.
///
/// # Errors
/// When the store failed, or the event does not fit its hall.
pub(crate) async fn open(seats: &Seats, id: EventId) -> Result<(), Box<dyn std::error::Error>> {
    let event = Event::builder(id)
        .title(ENGLISH, KOREAN)
        .venue(VENUE)
        .category("concert", "Concert")
        .starts_at_ms(parse_rfc3339(STARTS_AT).ok_or("the demo has no date")?)
        .status(EventStatus::Open)
        .currency("KRW")
        .price("vip", 165_000)
        .price("r", 143_000)
        .price("s", 121_000)
        .price("a", 99_000)
        .build()?;
    seats.put_event(event, hall()).await?.saved()?;
    Ok(())
}
