-- Accounts, first part. Portable to PostgreSQL: plain types, no functions of one database.

CREATE TABLE users (
    user_id       BIGINT  NOT NULL PRIMARY KEY,
    -- As the person wrote it, in Unicode normal form C.
    name          TEXT    NOT NULL,
    -- What makes it unique: normal form KC and full case folding.
    folded        TEXT    NOT NULL UNIQUE,
    -- PHC string of argon2id.
    password_hash TEXT    NOT NULL,
    created_ms    BIGINT  NOT NULL,
    -- 1 once the shard core has confirmed that it knows the user.
    in_core       BIGINT  NOT NULL DEFAULT 0
);

CREATE TABLE devices (
    device_id  BIGINT NOT NULL PRIMARY KEY,
    user_id    BIGINT NOT NULL REFERENCES users (user_id),
    created_ms BIGINT NOT NULL
);
CREATE INDEX devices_by_user ON devices (user_id);

-- Ids below `free_ms` of a node may be in use: a process takes a window of time before it hands out ids from it.
CREATE TABLE id_windows (
    node    BIGINT NOT NULL PRIMARY KEY,
    free_ms BIGINT NOT NULL
);
