-- The relays that live: a fair share of the shards follows from their number.
CREATE TABLE outbox_relays (
    relay TEXT NOT NULL PRIMARY KEY,
    until_ms INTEGER NOT NULL,
    term_ms INTEGER NOT NULL,
    doubted_ms INTEGER
) STRICT;

-- The bus that the outbox belongs to: one row, or none.
CREATE TABLE outbox_bus (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    name TEXT NOT NULL
) STRICT;

-- Messages that the bus refuses, or that cannot be read. Their aggregates rest until retry_ms.
CREATE TABLE outbox_parked (
    aggregate TEXT NOT NULL PRIMARY KEY,
    shard INTEGER NOT NULL,
    message INTEGER NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    retry_ms INTEGER NOT NULL,
    why TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_parked_of_shard ON outbox_parked (shard, message);
CREATE INDEX outbox_parked_since ON outbox_parked (since_ms);

-- Every shard has its row from the start, so that relays lock the same rows in the same order.
INSERT OR IGNORE INTO outbox_leases (shard, owner, fence, until_ms) VALUES
    (0, '', 0, 0), (1, '', 0, 0), (2, '', 0, 0), (3, '', 0, 0), (4, '', 0, 0), (5, '', 0, 0), (6, '', 0, 0), (7, '', 0, 0),
    (8, '', 0, 0), (9, '', 0, 0), (10, '', 0, 0), (11, '', 0, 0), (12, '', 0, 0), (13, '', 0, 0), (14, '', 0, 0), (15, '', 0, 0),
    (16, '', 0, 0), (17, '', 0, 0), (18, '', 0, 0), (19, '', 0, 0), (20, '', 0, 0), (21, '', 0, 0), (22, '', 0, 0), (23, '', 0, 0),
    (24, '', 0, 0), (25, '', 0, 0), (26, '', 0, 0), (27, '', 0, 0), (28, '', 0, 0), (29, '', 0, 0), (30, '', 0, 0), (31, '', 0, 0),
    (32, '', 0, 0), (33, '', 0, 0), (34, '', 0, 0), (35, '', 0, 0), (36, '', 0, 0), (37, '', 0, 0), (38, '', 0, 0), (39, '', 0, 0),
    (40, '', 0, 0), (41, '', 0, 0), (42, '', 0, 0), (43, '', 0, 0), (44, '', 0, 0), (45, '', 0, 0), (46, '', 0, 0), (47, '', 0, 0),
    (48, '', 0, 0), (49, '', 0, 0), (50, '', 0, 0), (51, '', 0, 0), (52, '', 0, 0), (53, '', 0, 0), (54, '', 0, 0), (55, '', 0, 0),
    (56, '', 0, 0), (57, '', 0, 0), (58, '', 0, 0), (59, '', 0, 0), (60, '', 0, 0), (61, '', 0, 0), (62, '', 0, 0), (63, '', 0, 0);

-- The last version of an aggregate's events that each consumer has handled.
CREATE TABLE inbox (
    consumer TEXT NOT NULL,
    aggregate TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (consumer, aggregate)
) STRICT;
