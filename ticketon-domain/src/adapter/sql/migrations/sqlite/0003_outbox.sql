-- Events that are yet to be published, in the order of each aggregate; deleted when they were.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    shard INTEGER NOT NULL,
    aggregate TEXT NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    occurred_ms INTEGER NOT NULL,
    correlation TEXT,
    payload TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_of_shard ON outbox (shard, id);

-- Which relay publishes a shard, until when.
CREATE TABLE outbox_leases (
    shard INTEGER NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    term_ms INTEGER NOT NULL DEFAULT 0,
    -- Since when somebody doubts that until_ms is by a clock that is right.
    doubted_ms INTEGER
) STRICT;
