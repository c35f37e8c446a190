-- What a person shows of themselves, and those who left.

ALTER TABLE users ADD COLUMN display_name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN about TEXT NOT NULL DEFAULT '';

-- Nothing of the person: an id, which messages go on to name, and for a while the hash of the name, which nobody else may
-- take meanwhile.
CREATE TABLE gone_users (
    user_id   BIGINT NOT NULL PRIMARY KEY,
    gone_ms   BIGINT NOT NULL,
    -- SHA-256 of the folded name, 64 hex digits; empty: the name is free.
    name_hash TEXT   NOT NULL
);
CREATE INDEX gone_users_by_name ON gone_users (name_hash);
