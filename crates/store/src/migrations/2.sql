-- Version 2: what the owner lets stand of the secrets in a chat (readalong-redact): a JSON array of kinds, rules and ids.

ALTER TABLE chats ADD COLUMN kept TEXT NOT NULL DEFAULT '[]';
