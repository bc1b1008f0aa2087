-- Version 1: the log, what chats and shares are now, and accounts. Times are milliseconds since 1970, digests 32 bytes.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The log. Of a message, head, thread or artifact that is new in its place, the row before it goes, unless a frozen share shows it:
-- then until_seq says which event took its place. kind: see kind.rs.
CREATE TABLE events (
    seq       INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    chat      INTEGER NOT NULL,
    kind      INTEGER NOT NULL,
    place     INTEGER,
    message   TEXT,
    until_seq INTEGER,
    body      TEXT
) STRICT;
CREATE INDEX events_of_chat ON events (chat);
CREATE INDEX events_superseded ON events (chat) WHERE until_seq IS NOT NULL;

-- Written only by apply.rs, from here to the accounts.
CREATE TABLE chats (
    key          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    owner        INTEGER NOT NULL,
    source       TEXT,
    source_title TEXT NOT NULL,
    title        TEXT NOT NULL,
    title_folded TEXT NOT NULL,
    head_seq     INTEGER NOT NULL,
    renamed_seq  INTEGER,
    messages     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    created_seq  INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL,
    -- The last event that took the place of one that was not kept: before it, the chat as it was is not known any more.
    lost_seq     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX chats_by_source ON chats (owner, source) WHERE source IS NOT NULL;
CREATE INDEX chats_by_change ON chats (owner, changed_at, key);

-- Sources whose chat was deleted, by digest: a folder that is followed does not bring them back.
CREATE TABLE deleted_sources (
    owner  INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (owner, sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE threads (
    chat  INTEGER NOT NULL,
    place INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY (chat, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
    chat  INTEGER NOT NULL,
    place INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY (chat, place)
) STRICT, WITHOUT ROWID;

-- Every file that a chat has or had: what the artifacts folder holds and nobody names here may go.
CREATE TABLE files (
    sha256 BLOB NOT NULL,
    chat   INTEGER NOT NULL,
    PRIMARY KEY (sha256, chat)
) STRICT, WITHOUT ROWID;
CREATE INDEX files_of_chat ON files (chat);

-- Where the source's messages are: seq is the row of the log that holds the body, digest that of its JSON.
CREATE TABLE messages (
    chat   INTEGER NOT NULL,
    id     TEXT NOT NULL,
    place  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (chat, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_by_place ON messages (chat, place);

-- What the owner changed.
CREATE TABLE overlays (
    chat     INTEGER NOT NULL,
    id       TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    edit_seq INTEGER,
    hidden   INTEGER NOT NULL,
    erased   INTEGER NOT NULL,
    PRIMARY KEY (chat, id)
) STRICT, WITHOUT ROWID;

-- What went with an erased message and does not come back: digests of files (kind 0) and of names of the chat (kind 1).
CREATE TABLE erasures (
    chat   INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (chat, kind, sha256)
) STRICT, WITHOUT ROWID;

-- Chats that are gone and of which rows in events and messages are still to be cleared away.
CREATE TABLE purges (
    chat INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE shares (
    id                 TEXT PRIMARY KEY,
    chat               INTEGER NOT NULL,
    owner              INTEGER NOT NULL,
    name               TEXT,
    name_folded        TEXT,
    visibility         TEXT NOT NULL,
    updates            TEXT NOT NULL,
    includes_artifacts INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    expires_at         INTEGER,
    frozen_at_seq      INTEGER,
    bundle             BLOB,
    seq                INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX shares_of_chat ON shares (chat, frozen_at_seq);
CREATE INDEX shares_by_age ON shares (owner, created_at, id);

-- Accounts: these are of this server alone and not in the log.
CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL,
    name_folded   TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL,
    password_hash TEXT,
    created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user       INTEGER NOT NULL,
    name       TEXT NOT NULL,
    sha256     BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    UNIQUE (user, name)
) STRICT;

CREATE TABLE sessions (
    sha256     BLOB PRIMARY KEY,
    user       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_user ON sessions (user);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE signins (
    sha256     BLOB PRIMARY KEY,
    user       INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE legacy (
    path       TEXT PRIMARY KEY,
    chat       INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX legacy_of_chat ON legacy (chat);
