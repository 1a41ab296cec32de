//! Lists: the newest first, page by page, and nobody else's.

use serde_json::{Value, json};

use super::shop::{Buyer, NOBODYS, Shop, id};

/// The ids of what a list has, page by page.
async fn pages(ann: &Buyer<'_>, path: &str, list: &str, limit: usize) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = String::new();
    // More pages than there can be mean that one does not end.
    for _ in 0..20 {
        let page = ann
            .get(&format!("{path}?limit={limit}{next}"))
            .await
            .is(200);
        let page = page.json();
        let items = page[list].as_array().unwrap().iter();
        pages.push(items.map(|item| id(item).to_owned()).collect());
        match page["next"].as_str() {
            Some(before) => next = format!("&before={before}"),
            None => return pages,
        }
    }
    panic!("no last page: {pages:?}");
}

pub(crate) async fn orders_come_by_pages(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let (ann, ben) = (shop.buyer("night").await, shop.buyer("night").await);
    let mut made = Vec::new();
    for _ in 0..5 {
        made.insert(0, id(&ann.order(1).await).to_owned());
        ben.order(1).await;
    }
    for limit in [1, 2, 4, 5, 100] {
        let pages = pages(&ann, "/purchase/history", "orders", limit).await;
        assert!(pages.iter().all(|page| page.len() <= limit), "{pages:?}");
        assert_eq!(pages.concat(), made, "{limit}");
    }
    let all = ann.get("/purchase/history").await.is(200);
    assert_eq!(all.header("cache-control"), Some("no-store"));
    let all = all.json();
    assert_eq!(
        (all["orders"].as_array().map(Vec::len), &all["next"]),
        (Some(5), &Value::Null)
    );
    assert_eq!(all["orders"][0], ann.see(&all["orders"][0]).await);
}

pub(crate) async fn tickets_come_by_pages(program: &str) {
    let shop = Shop::start(program).await;
    shop.event("night", &json!({})).await;
    let ann = shop.buyer("night").await;
    let mut made = Vec::new();
    for count in [1, 2, 1] {
        let paid = ann.paid(count).await;
        ann.order(1).await;
        for _ in 0..count {
            made.insert(0, id(&paid).to_owned());
        }
    }
    for limit in [1, 2, 100] {
        let pages = pages(&ann, "/tickets", "tickets", limit).await;
        assert_eq!(pages.concat(), made, "{limit}");
    }
}

pub(crate) async fn what_pages_is_checked(program: &str) {
    let shop = Shop::start(program).await;
    let ann = shop.buyer("demo").await;
    for path in ["/purchase/history", "/tickets"] {
        for bad in ["0", "101", "-1", "x", "", "1.5"] {
            let refused = ann.get(&format!("{path}?limit={bad}")).await;
            assert_eq!(refused.refuses("limit"), "1 to 100");
        }
        for bad in ["x", "", "%00"] {
            ann.get(&format!("{path}?before={bad}"))
                .await
                .refuses("before");
        }
        let both = ann.get(&format!("{path}?before=x&limit=0")).await;
        assert_eq!(
            both.problem(422, "invalid")["errors"]
                .as_array()
                .map(Vec::len),
            Some(2)
        );
        // Before all that there is comes nothing.
        let none = ann
            .get(&format!("{path}?before={NOBODYS}"))
            .await
            .is(200)
            .json();
        assert_eq!(none["next"], Value::Null);
    }
}
