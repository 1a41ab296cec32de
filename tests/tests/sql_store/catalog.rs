//! Events and layouts, in memory and in SQL alike.

use std::sync::Arc;

use ticketon_domain::adapter::memory::MemoryCatalog;
use ticketon_domain::event::{Catalog, Event, EventQuery, EventStatus, Put, RoomMark, Taken};
use ticketon_domain::venue::{Layout, sample};
use ticketon_queue::EventId;

use super::shop::Database;

fn hall() -> Layout {
    let json = r#"{"name": "Hall", "grades": ["all"], "areas": [{"id": "floor", "capacity": 10}]}"#;
    Layout::from_json(json).unwrap()
}

fn event(id: &str, category: &str, starts_at_ms: i64) -> Event {
    let builder = Event::builder(EventId::new(id).unwrap())
        .title("Tour", "투어")
        .venue("Hall")
        .starts_at_ms(starts_at_ms)
        .category(category, "x")
        .currency("KRW")
        .price("all", 100);
    builder
        .build()
        .unwrap()
        .after(None, &hall(), Taken::No)
        .unwrap()
}

fn next(event: &Event, status: EventStatus) -> Event {
    let changed = event.clone().with_status(status);
    changed.after(Some(event), &hall(), Taken::No).unwrap()
}

struct Catalogs {
    all: Vec<(&'static str, Arc<dyn Catalog>)>,
    _databases: Vec<Database>,
}

async fn catalogs() -> Catalogs {
    let databases = Database::all().await;
    let mut all: Vec<(&'static str, Arc<dyn Catalog>)> =
        vec![("model", Arc::new(MemoryCatalog::new()))];
    for database in &databases {
        all.push((database.name, Arc::new(database.store.clone())));
    }
    Catalogs {
        all,
        _databases: databases,
    }
}

#[tokio::test]
async fn an_event_is_saved_over_the_version_that_it_follows_on() {
    for (name, catalog) in &catalogs().await.all {
        let first = event("tour", "concert", 1_000_123);
        assert_eq!(
            catalog.put_event(&first).await.unwrap(),
            Put::Saved,
            "{name}"
        );
        assert_eq!(
            catalog.put_event(&first).await.unwrap(),
            Put::Saved,
            "{name}"
        );
        let second = next(&first, EventStatus::Open);
        let other = next(&first, EventStatus::Cancelled);
        assert_eq!(
            catalog.put_event(&second).await.unwrap(),
            Put::Saved,
            "{name}"
        );
        assert_eq!(
            catalog.put_event(&second).await.unwrap(),
            Put::Saved,
            "{name}"
        );
        assert_eq!(
            catalog.put_event(&other).await.unwrap(),
            Put::Conflict,
            "{name}"
        );
        assert_eq!(
            catalog.put_event(&first).await.unwrap(),
            Put::Conflict,
            "{name}"
        );
        let stored = catalog.event(first.id()).await.unwrap().unwrap();
        assert_eq!(*stored, second, "{name}");
        let unknown = EventId::new("else").unwrap();
        assert_eq!(catalog.event(&unknown).await.unwrap(), None, "{name}");
    }
}

#[tokio::test]
async fn of_many_who_save_a_version_at_once_one_does() {
    for (name, catalog) in &catalogs().await.all {
        for round in 0..5 {
            // Of each two, one wins the first version and one the next.
            let mut before: Option<Event> = None;
            for _ in 0..2 {
                let candidates: Vec<Event> = (0..8)
                    .map(|number| match &before {
                        None => event(&format!("race-{round}"), &format!("c{number}"), 1_000_000),
                        Some(first) if number % 2 == 0 => next(first, EventStatus::Open),
                        Some(first) => next(first, EventStatus::Cancelled),
                    })
                    .collect();
                let mut saving = Vec::new();
                for candidate in &candidates {
                    let (catalog, candidate) = (Arc::clone(catalog), candidate.clone());
                    saving.push(tokio::spawn(async move {
                        catalog.put_event(&candidate).await.unwrap()
                    }));
                }
                let mut saved = Vec::new();
                for (task, candidate) in saving.into_iter().zip(&candidates) {
                    if task.await.unwrap() == Put::Saved {
                        saved.push(candidate.clone());
                    }
                }
                let winner = catalog.event(candidates[0].id()).await.unwrap().unwrap();
                assert!(!saved.is_empty(), "{name}");
                assert!(
                    saved.iter().all(|saved| *saved == *winner),
                    "{name}: two versions won"
                );
                before = Some((*winner).clone());
            }
        }
    }
}

#[tokio::test]
async fn ids_are_told_apart_to_the_letter() {
    for (name, catalog) in &catalogs().await.all {
        let ids = [
            "Tour",
            "tour",
            "tour ",
            " tour",
            "tour\u{301}",
            "투어",
            "tóur",
            "to",
        ];
        for id in ids {
            let put = catalog
                .put_event(&event(id, "concert", 1_000_000))
                .await
                .unwrap();
            assert_eq!(put, Put::Saved, "{name} {id:?}");
        }
        for id in ids {
            let found = catalog
                .event(&EventId::new(id).unwrap())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(found.id().as_str(), id, "{name}");
        }
        let page = catalog
            .list(&EventQuery {
                limit: 100,
                ..EventQuery::default()
            })
            .await
            .unwrap();
        let mut sorted = ids.to_vec();
        sorted.sort_unstable();
        let listed: Vec<&str> = page.items.iter().map(|event| event.id().as_str()).collect();
        assert_eq!(listed, sorted, "{name}");
    }
}

#[tokio::test]
async fn pages_have_every_event_once() {
    for (name, catalog) in &catalogs().await.all {
        for number in 0..25 {
            let category = if number % 2 == 0 { "concert" } else { "sport" };
            let mut event = event(&format!("e{number:02}"), category, 1_000_000 + number);
            catalog.put_event(&event).await.unwrap();
            if number % 5 == 0 {
                event = next(&event, EventStatus::Open);
                catalog.put_event(&event).await.unwrap();
            }
        }
        let query = EventQuery {
            limit: 7,
            ..EventQuery::default()
        };
        let of = |category: &str| EventQuery {
            category: Some(category.to_owned()),
            ..query.clone()
        };
        let open = EventQuery {
            statuses: vec![EventStatus::Open, EventStatus::Cancelled],
            ..query.clone()
        };
        let late = EventQuery {
            starts_from_ms: Some(1_000_010),
            ..query.clone()
        };
        let all = EventQuery {
            starts_from_ms: Some(1_000_010),
            statuses: vec![EventStatus::Open],
            ..of("concert")
        };
        for (query, expected) in [
            (query.clone(), 25),
            (of("concert"), 13),
            (of("opera"), 0),
            (open, 5),
            (late, 15),
            (all, 2),
        ] {
            let mut query = query;
            let mut ids = Vec::new();
            loop {
                let page = catalog.list(&query).await.unwrap();
                assert!(page.items.len() <= 7, "{name}");
                assert!(page.items.iter().all(|event| query.takes(event)), "{name}");
                ids.extend(page.items.iter().map(|event| event.id().clone()));
                match page.next {
                    Some(next) => query.after = Some(next),
                    None => break,
                }
            }
            assert_eq!(ids.len(), expected, "{name} {query:?}");
            assert!(ids.is_sorted_by(|a, b| a < b), "{name}");
        }
    }
}

#[tokio::test]
async fn layouts_are_kept_under_their_versions() {
    let catalogs = catalogs().await;
    for (name, catalog) in &catalogs.all {
        for layout in [hall(), sample::concert(5_000, 300)] {
            let layout = Arc::new(layout);
            for _ in 0..2 {
                catalog.put_layout(&layout).await.unwrap();
            }
            let found = catalog.layout(layout.version()).await.unwrap().unwrap();
            assert_eq!(*found, *layout, "{name}");
        }
        assert!(
            catalog.layout("0123456789abcdef").await.unwrap().is_none(),
            "{name}"
        );
    }
    // Another process has nothing in its memory.
    let server = catalogs._databases.last().unwrap();
    let other = ticketon_domain::adapter::sql::SqlStore::connect(&server.url)
        .await
        .unwrap();
    assert_eq!(
        *other.layout(hall().version()).await.unwrap().unwrap(),
        hall()
    );
}

#[tokio::test]
async fn a_mark_is_kept_of_a_room_whose_event_there_is() {
    for (name, catalog) in &catalogs().await.all {
        let event = event("tour", "concert", 1_000_000);
        catalog
            .set_room_mark(event.id(), Some(RoomMark::Closed))
            .await
            .unwrap();
        assert_eq!(catalog.room_mark(event.id()).await.unwrap(), None, "{name}");
        catalog.put_event(&event).await.unwrap();
        for mark in [Some(RoomMark::Closing), Some(RoomMark::Closed), None, None] {
            catalog.set_room_mark(event.id(), mark).await.unwrap();
            assert_eq!(catalog.room_mark(event.id()).await.unwrap(), mark, "{name}");
        }
    }
}
