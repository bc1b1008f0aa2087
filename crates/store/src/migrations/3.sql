-- Version 3: people who sign in elsewhere, when sessions and tokens were used, featured shares. The first owner may do all from now on.

ALTER TABLE tokens ADD COLUMN used_at INTEGER;
ALTER TABLE sessions ADD COLUMN used_at INTEGER;
ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';

-- Who somebody is to a provider that signs people in.
CREATE TABLE identities (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    user    INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_of_user ON identities (user);

CREATE TABLE showcase (
    id          TEXT PRIMARY KEY,
    share       TEXT NOT NULL UNIQUE,
    title       TEXT NOT NULL,
    description TEXT NOT NULL,
    category    TEXT,
    sort_order  INTEGER NOT NULL,
    featured_at INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    featured_by INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Pictures of featured shares, apart from them: lists need none of their bytes.
CREATE TABLE thumbnails (
    entry      TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    bytes      BLOB NOT NULL
) STRICT;

UPDATE users SET role = 'admin' WHERE id = (SELECT min(id) FROM users WHERE role = 'owner')
    AND NOT EXISTS (SELECT 1 FROM users WHERE role = 'admin');
