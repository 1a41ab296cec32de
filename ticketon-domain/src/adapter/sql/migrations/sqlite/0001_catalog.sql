-- Events and layouts, and what the organiser blocked. Times are milliseconds since 1970 in UTC.

-- Under the version that follows from their content: written once, never changed.
CREATE TABLE layouts (
    version TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

-- The columns beside the body are those that listings ask for; category is empty for none.
CREATE TABLE events (
    id TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    category TEXT NOT NULL,
    status TEXT NOT NULL,
    starts_at_ms INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX events_listed ON events (category, id);

CREATE TABLE room_marks (
    event_id TEXT NOT NULL PRIMARY KEY,
    mark TEXT NOT NULL
) STRICT;

CREATE TABLE blocked_seats (
    event_id TEXT NOT NULL,
    seat TEXT NOT NULL,
    PRIMARY KEY (event_id, seat)
) STRICT, WITHOUT ROWID;
