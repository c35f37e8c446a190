-- Short access tokens, and what gets the next one. A device's refresh tokens form a family: each is shown once and gives
-- the next. A family ends with its device.

ALTER TABLE devices ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN seen_ms BIGINT NOT NULL DEFAULT 0;

CREATE TABLE refresh_tokens (
    device_id   BIGINT NOT NULL PRIMARY KEY REFERENCES devices (device_id) ON DELETE CASCADE,
    -- SHA-256 of what all tokens of the family have in common, 64 hex digits.
    family_hash TEXT   NOT NULL UNIQUE,
    -- Of the one that was not shown yet; empty: the family has ended.
    next_hash   TEXT   NOT NULL,
    -- Of the one that was shown last, and when it was shown first; empty: none.
    shown_hash  TEXT   NOT NULL,
    shown_ms    BIGINT NOT NULL,
    -- When its owner gave the password.
    began_ms    BIGINT NOT NULL,
    expires_ms  BIGINT NOT NULL
);
