-- Whom an issuer of JWTs names, and which user that is.

CREATE TABLE identities (
    -- As the issuer writes itself in "iss".
    issuer     TEXT   NOT NULL,
    -- As it writes the person; unique within the issuer and compared byte by byte.
    subject    TEXT   NOT NULL,
    user_id    BIGINT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id);
