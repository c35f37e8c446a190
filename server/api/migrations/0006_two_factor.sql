-- A second factor, one a user at most.

CREATE TABLE second_factors (
    user_id   BIGINT NOT NULL PRIMARY KEY REFERENCES users (user_id) ON DELETE CASCADE,
    -- Base 32.
    secret    TEXT   NOT NULL,
    -- 1 once a code has shown that the user's app holds the secret.
    is_on     BIGINT NOT NULL DEFAULT 0,
    -- Codes of this step of 30 seconds and of earlier ones are spent.
    last_step BIGINT NOT NULL DEFAULT 0
);

-- What is left of a user's recovery codes: SHA-256 in hex.
CREATE TABLE recovery_codes (
    user_id   BIGINT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    code_hash TEXT   NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);
