//! Taking a hold: from what a person asks for to seats of the map.
//!
//! Seats that are named are tried as they are. The best available are chosen here, from a map that may be a moment
//! old, so that the store only has to compare; who loses a few times against others has the store choose. Nobody is
//! told that there are no seats unless the store found none.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use ticketon_queue::id::random_bytes;
use ticketon_queue::{FieldError, UserId};

use super::desk::{Desk, Facts};
use super::outcome::{Refusal, SeatsError};
use super::request::{BestAvailable, What};
use super::shared::Shared;
use crate::seat::best::{BestRequest, Ranking, mark_taken};
use crate::seat::{Choice, Held, Hold, HoldId, HoldRequest, Mapped, Orphans};
use crate::venue::{GradeIndex, SeatIndex};

/// How often a choice from the map may collide before the store chooses.
const MAX_CONFLICTS: usize = 3;

/// A hold that is tried: whose, under which id, of what.
#[derive(Debug, Clone)]
pub(super) struct Try {
    pub(super) id: HoldId,
    pub(super) user: UserId,
    pub(super) hash: u64,
    pub(super) what: Arc<What>,
}

/// What is asked for, in the terms of a layout.
#[derive(Debug)]
enum Wanted {
    Seats(Vec<SeatIndex>),
    Best {
        ranking: Arc<Ranking>,
        count: u32,
        /// Areas that will do, too: their first unit and how many they have.
        areas: Vec<(u32, u32)>,
    },
    Units {
        start: u32,
        len: u32,
        count: u32,
    },
}

type Tried = Result<Mapped<Result<Hold, Refusal>>, SeatsError>;

impl Shared {
    /// Tries a hold on the map of this epoch.
    pub(super) fn try_hold<'a>(
        &'a self,
        desk: Arc<Desk>,
        facts: Arc<Facts>,
        epoch: u64,
        trying: Try,
    ) -> BoxFuture<'a, Tried> {
        Box::pin(async move {
            if let Err(why) = facts.event.check_on_sale(self.clock.now_ms()) {
                return Ok(Mapped::Ready(Err(Refusal::NotOnSale(why))));
            }
            let wanted = match wanted(&facts, &trying.what) {
                Ok(wanted) => wanted,
                Err(refusal) => return Ok(Mapped::Ready(Err(refusal))),
            };
            let attempt = Attempt {
                shared: self,
                desk: &desk,
                facts: &facts,
                epoch,
                trying: &trying,
            };
            match wanted {
                Wanted::Seats(seats) => attempt.seats(seats).await,
                Wanted::Units { start, len, count } => attempt.units(start, len, count).await,
                Wanted::Best {
                    ranking,
                    count,
                    areas,
                } => attempt.best(&ranking, count, &areas).await,
            }
        })
    }
}

struct Attempt<'a> {
    shared: &'a Shared,
    desk: &'a Desk,
    facts: &'a Facts,
    epoch: u64,
    trying: &'a Try,
}

impl Attempt<'_> {
    async fn ask(&self, choice: Choice) -> Result<Mapped<Held>, SeatsError> {
        let event = &self.facts.event;
        let request = HoldRequest {
            id: self.trying.id,
            user: self.trying.user.clone(),
            request_hash: self.trying.hash,
            choice,
            ttl_ms: event.hold_ms(),
            limits: event.limits(),
        };
        let held = self.shared.store.hold(event.id(), self.epoch, &request);
        Ok(held.await?)
    }

    async fn take(&self, choice: Choice) -> Tried {
        Ok(self.ask(choice).await?.map(|held| self.answer(held)))
    }

    fn answer(&self, held: Held) -> Result<Hold, Refusal> {
        match held {
            Held::Taken(hold) => Ok(hold),
            Held::Unavailable { seats } => Err(Refusal::SeatsTaken {
                seats: self.facts.labels(&seats),
            }),
            Held::NoSeats => Err(Refusal::NoSeats),
            Held::OverOrderLimit { asked } => {
                let field = count_field(&self.trying.what);
                Err(over_limit(field, asked, self.facts))
            }
            Held::OverUserLimit { has } => Err(Refusal::UserLimit {
                has,
                limit: self.facts.event.limits().per_user,
            }),
            Held::Ended { reason } => Err(Refusal::Ended { reason }),
            Held::Mismatch => Err(Refusal::Mismatch),
        }
    }

    async fn seats(&self, seats: Vec<SeatIndex>) -> Tried {
        if self.facts.event.orphans() == Orphans::Strict {
            let view = match self.shared.view(self.desk).await? {
                Mapped::Ready(view) => view,
                Mapped::NotReady(why) => return Ok(Mapped::NotReady(why)),
            };
            let ranker = &self.facts.ranker;
            let bits = &view.snapshot().bits;
            let lone = ranker.lone_seats(bits, &seats, Orphans::Strict);
            // A retry finds its own seats held, and so leaves nothing alone.
            if view.snapshot().head.epoch == self.epoch && !lone.is_empty() {
                return Ok(Mapped::Ready(Err(Refusal::LeavesOrphan {
                    seats: self.facts.labels(&lone),
                })));
            }
        }
        self.take(Choice::Seats(seats)).await
    }

    async fn units(&self, start: u32, len: u32, count: u32) -> Tried {
        // Buyers who begin at different units rarely want the same ones.
        let offset = u32::try_from(random() % u64::from(len.max(1))).unwrap_or(0);
        let choice = Choice::Units {
            count,
            start,
            len,
            offset,
        };
        self.take(choice).await
    }

    async fn best(&self, ranking: &Ranking, count: u32, areas: &[(u32, u32)]) -> Tried {
        if let Some(tried) = self.choose(ranking, count).await? {
            return Ok(tried);
        }
        let orphans = self.facts.event.orphans();
        for runs in ranking.tiers() {
            let choice = Choice::Adjacent {
                count,
                runs: Arc::clone(runs),
                orphans,
            };
            match self.take(choice).await? {
                Mapped::Ready(Err(Refusal::NoSeats)) => {}
                tried => return Ok(tried),
            }
        }
        for (start, len) in areas {
            match self.units(*start, *len, count).await? {
                Mapped::Ready(Err(Refusal::NoSeats)) => {}
                tried => return Ok(tried),
            }
        }
        Ok(Mapped::Ready(Err(Refusal::NoSeats)))
    }

    /// Chooses from the latest map and tries that, a few times. `None` when the store has to choose.
    async fn choose(
        &self,
        ranking: &Ranking,
        count: u32,
    ) -> Result<Option<Mapped<Result<Hold, Refusal>>>, SeatsError> {
        let desk = self.desk;
        for _ in 0..MAX_CONFLICTS {
            let view = match self.shared.view(desk).await? {
                Mapped::Ready(view) if view.snapshot().head.epoch == self.epoch => view,
                // The store says what is the matter.
                _ => return Ok(None),
            };
            let places = desk.spread.places(count);
            let chosen = {
                let mut choosing = desk.choosing();
                choosing.follow(&view);
                let orphans = self.facts.event.orphans();
                let chosen = ranking.choose(&choosing.bits, orphans, places, &mut random);
                if let Some(seats) = &chosen {
                    mark_taken(&mut choosing.bits, seats);
                }
                chosen
            };
            let Some(seats) = chosen else {
                return Ok(None);
            };
            let held = self.ask(Choice::Seats(seats.clone())).await;
            let (kept, collided): (&[SeatIndex], bool) = match &held {
                Ok(Mapped::Ready(Held::Taken(hold))) => (&hold.seats, false),
                Ok(Mapped::Ready(Held::Unavailable { seats })) => (seats, true),
                _ => (&[], false),
            };
            let free: Vec<SeatIndex> = seats
                .iter()
                .copied()
                .filter(|seat| !kept.contains(seat))
                .collect();
            desk.choosing().give_back(self.epoch, &free);
            if collided {
                desk.spread.collided(count, places);
                continue;
            }
            let held = held?;
            if matches!(held, Mapped::Ready(Held::Taken(_))) {
                desk.spread.took();
            }
            return Ok(Some(held.map(|held| self.answer(held))));
        }
        Ok(None)
    }
}

fn random() -> u64 {
    u64::from_ne_bytes(random_bytes())
}

/// The field that says how many seats.
fn count_field(what: &What) -> &'static str {
    match what {
        What::Seats(_) => "seats",
        What::Best(_) => "bestAvailable.count",
        What::Area { .. } => "count",
    }
}

fn over_limit(field: &str, asked: u32, facts: &Facts) -> Refusal {
    let most = facts.event.limits().per_order;
    invalid(field, asked, format!("1 to {most} seats an order"))
}

fn invalid(field: &str, value: impl std::fmt::Display, range: impl Into<String>) -> Refusal {
    Refusal::Invalid {
        fields: vec![FieldError::new(field, value, range)],
    }
}

/// What is asked for, in the terms of the layout; everything that makes no sense there is refused at once.
fn wanted(facts: &Facts, what: &What) -> Result<Wanted, Refusal> {
    let count = match what {
        What::Seats(labels) => u32::try_from(labels.len()).unwrap_or(u32::MAX),
        What::Best(best) => best.count,
        What::Area { count, .. } => *count,
    };
    if !(1..=facts.event.limits().per_order).contains(&count) {
        return Err(over_limit(count_field(what), count, facts));
    }
    match what {
        What::Seats(labels) => seats(facts, labels),
        What::Best(best) => best_of(facts, best),
        What::Area { id, count } => {
            let area = facts.layout.areas().find(|area| area.id == id.as_str());
            let area = area.ok_or_else(|| invalid("area", id, areas_of(facts)))?;
            Ok(Wanted::Units {
                start: area.start.get(),
                len: area.len,
                count: *count,
            })
        }
    }
}

fn areas_of(facts: &Facts) -> String {
    let ids: Vec<&str> = facts.layout.areas().map(|area| area.id).take(20).collect();
    if ids.is_empty() {
        return "nothing: this venue has no areas".to_owned();
    }
    format!("an area of the venue: {}", ids.join(", "))
}

fn seats(facts: &Facts, labels: &[String]) -> Result<Wanted, Refusal> {
    let mut fields = Vec::new();
    let mut taken = HashSet::new();
    let mut seats = Vec::with_capacity(labels.len());
    for (position, label) in labels.iter().enumerate() {
        let field = format!("seats[{position}]");
        let Some(seat) = facts.layout.index_of(label.as_str()) else {
            fields.push(FieldError::new(field, label, "a seat of the venue"));
            continue;
        };
        let is_unit = facts.layout.segment_of(seat).is_none();
        if !facts.event.seat_selection() && !is_unit {
            fields.push(FieldError::new(
                field,
                label,
                "bestAvailable: seats of this event are not picked",
            ));
        } else if !taken.insert(seat) {
            fields.push(FieldError::new(field, label, "each seat once"));
        }
        seats.push(seat);
    }
    if fields.is_empty() {
        Ok(Wanted::Seats(seats))
    } else {
        Err(Refusal::Invalid { fields })
    }
}

fn best_of(facts: &Facts, best: &BestAvailable) -> Result<Wanted, Refusal> {
    let layout = &facts.layout;
    let mut fields = Vec::new();
    let mut grades = Vec::new();
    for (position, name) in best.grades.iter().enumerate() {
        match layout.grade_index(name) {
            Some(grade) => grades.push(grade),
            None => fields.push(FieldError::new(
                format!("bestAvailable.grades[{position}]"),
                name,
                format!("a grade of the venue: {}", layout.grades().join(", ")),
            )),
        }
    }
    if let Some(section) = best.section.as_deref() {
        let known = layout.sections().any(|known| known.id == section)
            || layout.areas().any(|area| area.id == section);
        if !known {
            let range = "a section or area of the venue";
            fields.push(FieldError::new("bestAvailable.section", section, range));
        }
    }
    if !fields.is_empty() {
        return Err(Refusal::Invalid { fields });
    }
    let fits = |grade: GradeIndex| {
        (grades.is_empty() || grades.contains(&grade))
            && facts
                .price_of(grade)
                .is_some_and(|price| best.max_price.is_none_or(|most| price <= most))
    };
    // Who asks for the best seats does not mean to stand, unless they say so or nobody sits.
    let may_stand = !grades.is_empty() || best.section.is_some() || layout.sections().len() == 0;
    let areas = layout
        .areas()
        .filter(|area| may_stand && !best.accessible && fits(area.grade))
        .filter(|area| best.section.as_deref().is_none_or(|id| id == area.id))
        .map(|area| (area.start.get(), area.len))
        .collect();
    let request = BestRequest {
        grades: (!grades.is_empty()).then(|| grades.iter().copied().collect()),
        section: best.section.clone(),
        max_price: best.max_price,
        accessible: best.accessible,
        ..BestRequest::new(best.count)
    };
    Ok(Wanted::Best {
        ranking: facts.ranker.rank(&request, |grade| facts.price_of(grade)),
        count: best.count,
        areas,
    })
}
