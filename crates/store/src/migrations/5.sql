-- Version 5: changes of the owner that were taken back, and those that took them back: what is taken back next is what was done before them.

ALTER TABLE changes ADD COLUMN undone INTEGER NOT NULL DEFAULT 0;
