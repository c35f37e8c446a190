-- Who may sign up where sign-up is by invitation.

CREATE TABLE invites (
    invite_id  BIGINT NOT NULL PRIMARY KEY,
    -- SHA-256 of the code, 64 hex digits: who reads the table cannot sign up.
    code_hash  TEXT   NOT NULL UNIQUE,
    -- 0: the operator.
    made_by    BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    uses       BIGINT NOT NULL,
    uses_left  BIGINT NOT NULL
);
CREATE INDEX invites_by_maker ON invites (made_by, invite_id);
CREATE INDEX invites_by_end ON invites (expires_ms);
