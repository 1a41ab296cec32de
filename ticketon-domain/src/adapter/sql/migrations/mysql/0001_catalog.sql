-- Events and layouts, and what the organiser blocked. Times are milliseconds since 1970 in UTC.

-- Under the version that follows from their content: written once, never changed.
CREATE TABLE IF NOT EXISTS layouts (
    version VARBINARY(64) NOT NULL PRIMARY KEY,
    body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL
) ENGINE = InnoDB;

-- The columns beside the body are those that listings ask for; category is empty for none.
CREATE TABLE IF NOT EXISTS events (
    id VARBINARY(128) NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    category VARBINARY(128) NOT NULL,
    status VARBINARY(32) NOT NULL,
    starts_at_ms BIGINT NOT NULL,
    body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    KEY events_listed (category, id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS room_marks (
    event_id VARBINARY(128) NOT NULL PRIMARY KEY,
    mark VARBINARY(32) NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS blocked_seats (
    event_id VARBINARY(128) NOT NULL,
    seat VARBINARY(64) NOT NULL,
    PRIMARY KEY (event_id, seat)
) ENGINE = InnoDB;
