-- Version 4: full text of messages, the order of lists, and what the owner did. A text is what some messages of a chat say that followed each other; its number is that of the chat
-- in the upper 32 bits and that of the last of their events in the lower ones. The index keeps which three letters a text has, not where. due: it is not in the index, since one of
-- its messages is another now. Messages after the event `indexed_seq` are in no text yet. `scrub` is 1 where the index still has to let go of what was removed.

CREATE VIRTUAL TABLE texts USING fts5(text, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1', detail = 'none');
CREATE TABLE text_ranges (
    key       INTEGER PRIMARY KEY,
    chat      INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    due       INTEGER NOT NULL
) STRICT;
CREATE INDEX text_ranges_of_chat ON text_ranges (chat, last_seq);
CREATE INDEX text_ranges_due ON text_ranges (due) WHERE due;
INSERT INTO meta (key, value) VALUES ('indexed_seq', '0'), ('scrub', '0');

CREATE INDEX chats_by_title ON chats (owner, title_folded, key);

-- What the owner did to a chat, newest last: the events that the history shows and of which some can be undone. Earlier edits and names stay in the log for that.
CREATE TABLE changes (
    chat INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (chat, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO changes (chat, seq) SELECT e.chat, e.seq FROM events e JOIN chats c ON c.key = e.chat WHERE e.kind IN (7, 8, 9, 10);

-- Artifacts that the owner hid, by their places.
CREATE TABLE hidden_artifacts (
    chat  INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (chat, place)
) STRICT, WITHOUT ROWID;
