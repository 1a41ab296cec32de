//! The page: the verdict first, then the sale over time, how people fared, and every promise.

use std::fmt::Write as _;

use super::super::judge::{Outcome, Verdict, number};
use super::super::{Ending, Latency, Moment, Sale};
use super::plot::{Curve, Plot};
use super::series::{Facts, drawn, rates};
use super::text::{seconds, stores};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page, complete in itself.
#[must_use]
pub fn page(sale: &Sale, verdicts: &[Verdict]) -> String {
    let count = |outcome| {
        let of_it = verdicts.iter().filter(|verdict| verdict.outcome == outcome);
        of_it.count()
    };
    let (tone, headline) = match (count(Outcome::Broken), count(Outcome::NotShown)) {
        (0, 0) => ("good", "Every promise held".to_owned()),
        (0, some) => ("bad", format!("Not everything was shown: {some}")),
        (1, _) => ("bad", "1 promise was broken".to_owned()),
        (some, _) => ("bad", format!("{some} promises were broken")),
    };
    let (seats, buyers) = (
        number(u64::from(sale.plan.seats)),
        number(u64::from(sale.plan.buyers)),
    );
    let parts = [
        figures(sale),
        time(sale),
        faults(sale),
        endings(sale),
        latencies(&sale.latencies),
        promises(verdicts),
        footer(sale),
    ];
    format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{headline}: {seats} places, {buyers} people</title><style>{STYLE}</style></head>
<body><main>
<header><p class="eyebrow">Ticketon · a simulated on-sale</p>
<h1>{seats} places,<br>{buyers} people.</h1>
<p class="verdict {tone}"><span aria-hidden="true"></span>{headline}</p>
<p class="lead">{} processes died in the middle, the provider went silent, the seat map was lost. {}.</p></header>
{}
</main><script>{SCRIPT}</script></body></html>
"#,
        crashes(sale),
        stores(sale),
        parts.concat()
    )
}

fn crashes(sale: &Sale) -> &'static str {
    match sale
        .marks
        .iter()
        .filter(|mark| mark.short.ends_with("crashes"))
        .count()
    {
        0 => "No",
        1 => "One of two",
        _ => "Both",
    }
}

fn figures(sale: &Sale) -> String {
    let facts = Facts::of(sale);
    let figures = [
        (number(facts.sold), "tickets sold"),
        (number(facts.orders), "orders decided"),
        (number(facts.most_waiting), "in line at once"),
        (
            number(facts.peak_per_second),
            "orders paid in the best second",
        ),
        (number(facts.events), "events delivered"),
        (
            format!("{:.0} s", seconds(sale.took_ms)),
            "from the first click to rest",
        ),
    ];
    let mut html = String::from(r#"<dl class="figures">"#);
    for (value, label) in figures {
        let _ = write!(html, "<div><dd>{value}</dd><dt>{label}</dt></div>");
    }
    html + "</dl>"
}

fn time(sale: &Sale) -> String {
    let moments = drawn(&sale.moments);
    let times: Vec<i64> = moments.iter().map(|moment| moment.at_ms).collect();
    let paid = rates(&moments, |moment| moment.paid);
    let declined = rates(&moments, |moment| moment.declined);
    let capacity = sale.evidence.line.capacity;
    let values = |of: fn(&Moment) -> Option<u64>| moments.iter().map(of).collect::<Vec<_>>();
    let curve = |class, label, values, area| Curve {
        class,
        label,
        values,
        area,
    };
    let most = |values: &[Option<u64>]| values.iter().flatten().max().copied().unwrap_or(1).max(1);
    let waiting = values(|moment| Some(moment.waiting));
    let active = values(|moment| Some(moment.active));
    let orders: Vec<Option<u64>> = paid.iter().copied().map(Some).collect();
    let refused: Vec<Option<u64>> = declined.into_iter().map(Some).collect();
    let plot = |id, title, note: String, most, curves, axis| Plot {
        id,
        title,
        note,
        times: &times,
        end_ms: times.last().copied().unwrap_or(1),
        most,
        limit: None,
        curves,
        stacked: false,
        marks: &sale.marks,
        axis,
    };
    let house = Plot {
        stacked: true,
        ..plot(
            "house",
            "The house",
            format!(
                "{} seats and standing places, by their state",
                number(u64::from(sale.plan.seats))
            ),
            u64::from(sale.plan.seats),
            vec![
                curve(
                    "sold",
                    "sold",
                    values(|moment| moment.seats.map(|seats| seats.sold)),
                    true,
                ),
                curve(
                    "held",
                    "held",
                    values(|moment| moment.seats.map(|seats| seats.held)),
                    true,
                ),
            ],
            false,
        )
    };
    let line = plot(
        "line",
        "The line",
        "people who wait".to_owned(),
        most(&waiting),
        vec![curve("waiting", "waiting", waiting, true)],
        false,
    );
    let shop = Plot {
        limit: Some((capacity, "room for")),
        ..plot(
            "shop",
            "The shop",
            "people who were let in".to_owned(),
            capacity * 5 / 4,
            vec![curve("active", "inside", active, true)],
            false,
        )
    };
    let till = plot(
        "till",
        "The till",
        "orders a second".to_owned(),
        most(&orders),
        vec![
            curve("paid", "paid", orders, true),
            curve("declined", "declined", refused, false),
        ],
        true,
    );
    let data = serde_json::json!({
        "times": times,
        "sold": values(|moment| moment.seats.map(|seats| seats.sold)),
        "held": values(|moment| moment.seats.map(|seats| seats.held)),
        "waiting": values(|moment| Some(moment.waiting)),
        "active": values(|moment| Some(moment.active)),
        "paid": paid,
        "declined": rates(&moments, |moment| moment.declined),
    });
    let plots = [house, line, shop, till].map(|plot| plot.html()).concat();
    format!(
        r#"<section class="time"><h2>The sale, second by second</h2><div class="plots">{plots}</div><script type="application/json" id="data">{data}</script></section>"#
    )
}

fn faults(sale: &Sale) -> String {
    if sale.marks.is_empty() {
        return String::new();
    }
    let mut html =
        String::from(r#"<section><h2>What went wrong on purpose</h2><ol class="faults">"#);
    for mark in &sale.marks {
        let (from, long) = (seconds(mark.from_ms), seconds(mark.to_ms - mark.from_ms));
        let what = sentence(mark.what);
        let _ = write!(
            html,
            "<li><span>{what}.</span><small>at {from:.1} s, for {long:.1} s</small></li>"
        );
    }
    html + "</ol></section>"
}

fn endings(sale: &Sale) -> String {
    let mut endings: Vec<(Ending, u64)> = sale
        .endings
        .iter()
        .copied()
        .filter(|(_, count)| *count > 0)
        .collect();
    endings.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let most = endings.first().map_or(1, |(_, count)| *count);
    let all = u64::from(sale.plan.buyers).max(1);
    let mut html =
        String::from(r#"<section><h2>How their stories ended</h2><table class="bars"><tbody>"#);
    for (ending, count) in endings {
        let class = match ending {
            Ending::Bought | Ending::Returned => "sold",
            Ending::Declined | Ending::TooLate | Ending::Fault => "declined",
            _ => "waiting",
        };
        let width = percent(count, most);
        let share = percent(count, all);
        let _ = write!(
            html,
            r#"<tr><th scope="row">{}</th><td><i class="key {class}" style="width:{width:.2}%"></i></td><td class="n">{}</td><td class="n share">{share:.1} %</td></tr>"#,
            sentence(ending.label()),
            number(count)
        );
    }
    html + "</tbody></table></section>"
}

#[expect(clippy::cast_precision_loss, reason = "people are few")]
fn percent(count: u64, of: u64) -> f64 {
    count as f64 / of as f64 * 100.0
}

/// Where a time is on a scale that runs from 1 ms to 100 s, each power of ten as wide as the others.
fn place(ms: f64) -> f64 {
    (ms.max(1.0).log10() / 5.0 * 100.0).min(100.0)
}

fn latencies(latencies: &[Latency]) -> String {
    let mut html = String::from(
        r#"<section><h2>How long they waited for an answer</h2><p class="lead">A dot is the middle one of all calls, the bar ends where 95 of 100 are done, the line where 99 are. Faults and retries included.</p><div class="ranges"><div class="scale" aria-hidden="true">"#,
    );
    for (ms, label) in [
        (1.0, "1 ms"),
        (10.0, "10"),
        (100.0, "100"),
        (1_000.0, "1 s"),
        (10_000.0, "10 s"),
    ] {
        let _ = write!(
            html,
            r#"<span style="left:{:.2}%">{label}</span>"#,
            place(ms)
        );
    }
    html += "</div>";
    for latency in latencies.iter().filter(|latency| latency.count > 0) {
        let [middle, most, nearly_all] =
            [latency.p50_ms, latency.p95_ms, latency.p99_ms].map(place);
        let _ = write!(
            html,
            r#"<div class="range"><p><b>{}</b><span>{} calls · {} / {} / {}</span></p><div class="track"><i class="whisker" style="left:{middle:.2}%;width:{:.2}%"></i><i class="bar" style="left:{middle:.2}%;width:{:.2}%"></i><i class="dot" style="left:{middle:.2}%"></i></div></div>"#,
            sentence(latency.step.label()),
            number(latency.count),
            shown(latency.p50_ms),
            shown(latency.p95_ms),
            shown(latency.p99_ms),
            nearly_all - middle,
            most - middle,
        );
    }
    html + "</div></section>"
}

fn shown(ms: f64) -> String {
    if ms >= 1_000.0 {
        format!("{:.1} s", ms / 1_000.0)
    } else if ms >= 10.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{ms:.1} ms")
    }
}

fn promises(verdicts: &[Verdict]) -> String {
    let mut html = String::from(r#"<section><h2>Promise by promise</h2><ul class="promises">"#);
    for verdict in verdicts {
        let (tone, word) = match verdict.outcome {
            Outcome::Held => ("good", "held"),
            Outcome::Broken => ("bad", "BROKEN"),
            Outcome::NotShown => ("bad", "NOT SHOWN"),
        };
        let _ = write!(
            html,
            r#"<li class="{tone}"><b>{}</b><div><h3>{}</h3><p>{}</p></div><em>{word}</em></li>"#,
            verdict.promise,
            sentence(verdict.says),
            escaped(&sentence(&verdict.seen))
        );
    }
    html + "</ul></section>"
}

fn footer(sale: &Sale) -> String {
    let plan = &sale.plan;
    let database = match plan.database {
        super::super::Kind::Sqlite => "sqlite",
        super::super::Kind::MariaDb => "mariadb",
    };
    let redis = if plan.redis { " --redis" } else { "" };
    format!(
        r#"<footer><p>Real time, real parts; what people think about takes tenths of seconds instead of tens. The same people again, not the same race:</p><pre>cargo xtask simulate --seats {} --buyers {} --seed {} --database {database}{redis}</pre></footer>"#,
        plan.seats, plan.buyers, plan.seed
    )
}

/// With a capital at the front.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Safe inside of HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_place_on_the_scale() {
        assert!((place(0.2) - 0.0).abs() < 1e-9);
        assert!((place(100.0) - 40.0).abs() < 1e-9);
        assert!((place(1e9) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn what_was_seen_cannot_become_markup() {
        let verdict = Verdict {
            promise: "P1",
            says: "one ticket a seat",
            outcome: Outcome::Broken,
            seen: "<script>".to_owned(),
        };
        let html = promises(&[verdict]);
        assert!(html.contains("&lt;script&gt;") && html.contains("BROKEN"));
    }
}
