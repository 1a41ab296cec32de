//! The names of all metrics, in one place.

/// Describes the metrics and lets the counters start at zero. The host chooses the exporter and
/// installs it before it starts a queue.
pub(crate) fn describe() {
    for (name, what) in [
        ("ticketon_joined_total", "Places given"),
        ("ticketon_admitted_total", "Admissions made"),
        (
            "ticketon_expired_total",
            "Admissions that ran out, no-shows included",
        ),
        (
            "ticketon_left_total",
            "Places and admissions given up, by leaving or by staying away",
        ),
        ("ticketon_completed_total", "Admissions completed"),
    ] {
        metrics::describe_counter!(name, what);
        metrics::counter!(name).increment(0);
    }
    for (name, what) in [
        ("ticketon_waiting", "People in line, over all rooms"),
        ("ticketon_active", "Live admissions, over all rooms"),
        ("ticketon_streams", "Streams connected to this process"),
    ] {
        metrics::describe_gauge!(name, what);
        metrics::gauge!(name).set(0.0);
    }
    for (name, what) in [
        ("ticketon_store_seconds", "Time of a store call, by verb"),
        (
            "ticketon_tick_seconds",
            "Time of a round over all rooms, of dispatcher or broker",
        ),
        (
            "ticketon_wait_seconds",
            "Time from connecting to being admitted, of people who waited here",
        ),
    ] {
        metrics::describe_histogram!(name, metrics::Unit::Seconds, what);
    }
    metrics::describe_histogram!("ticketon_join_batch", "Joins that went as one call");
}
