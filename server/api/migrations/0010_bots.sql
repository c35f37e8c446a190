-- Programs with an account of their own: a bot is a user whom nobody can log in as by password.

CREATE TABLE bots (
    user_id    BIGINT NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    -- Whose it is; 0: the operator's.
    owner_id   BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX bots_by_owner ON bots (owner_id, user_id);

-- Each token of a bot is a device of it: whatever ends the device ends the token, in the core too.
CREATE TABLE bot_tokens (
    device_id  BIGINT NOT NULL PRIMARY KEY REFERENCES devices (device_id) ON DELETE CASCADE,
    -- SHA-256, 64 hex digits.
    token_hash TEXT   NOT NULL UNIQUE,
    -- Bits: 1 read, 2 send, 4 connect.
    scopes     BIGINT NOT NULL
);
