//! Writing the showcase: which shares are featured, and how. It is of this server alone and makes no events; a share that goes takes its entry with it.

use readalong_model::{ShareId, Timestamp, UserId};
use rusqlite::Connection;

use crate::{
    StoreError, Written,
    sql::{self, Result, run},
};

/// A change of the showcase.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ShowcaseWrite {
    /// Features a share, behind those that are there.
    Add {
        /// The entry's id.
        id: String,
        /// The share; it is featured once.
        share: ShareId,
        /// What the entry says.
        words: ShowcaseWords,
        /// Who features it.
        by: UserId,
    },
    /// Says something else of an entry.
    Change {
        /// The entry.
        id: String,
        /// What it says from now on.
        words: ShowcaseWords,
    },
    /// Takes an entry away; its share stays.
    Remove {
        /// The entry.
        id: String,
    },
    /// Puts entries into an order, all or none.
    Order(Vec<(String, i64)>),
    /// Sets or takes away an entry's picture.
    Thumbnail {
        /// The entry.
        id: String,
        /// The picture.
        picture: Option<Thumbnail>,
    },
}

/// What an entry of the showcase says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShowcaseWords {
    /// Its title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// What it stands under.
    pub category: Option<String>,
}

/// A picture of a featured share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// What it is.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Does a change within a transaction.
pub(crate) fn perform(
    connection: &Connection,
    now: Timestamp,
    write: ShowcaseWrite,
) -> Result<Written> {
    match write {
        ShowcaseWrite::Add {
            id,
            share,
            words,
            by,
        } => add(connection, now, (&id, &share), words, by)?,
        ShowcaseWrite::Change { id, words } => {
            let sql = "UPDATE showcase SET title = ?2, description = ?3, category = ?4, updated_at = ?5 WHERE id = ?1";
            let ShowcaseWords {
                title,
                description,
                category,
            } = words;
            let values = (id, title, description, category, now.millis());
            found(run(connection, sql, values)?)?;
        }
        ShowcaseWrite::Remove { id } => {
            run(connection, "DELETE FROM thumbnails WHERE entry = ?1", [&id])?;
            found(run(
                connection,
                "DELETE FROM showcase WHERE id = ?1",
                [&id],
            )?)?;
        }
        ShowcaseWrite::Order(orders) => {
            for (id, order) in orders {
                let sql = "UPDATE showcase SET sort_order = ?2 WHERE id = ?1";
                found(run(connection, sql, (id, order))?)?;
            }
        }
        ShowcaseWrite::Thumbnail { id, picture } => picture_of(connection, now, &id, picture)?,
    }
    Ok(Written::default())
}

/// Takes a share that goes out of the showcase.
pub(crate) fn forget_share(connection: &Connection, share: &ShareId) -> Result<()> {
    for sql in [
        "DELETE FROM thumbnails WHERE entry IN (SELECT id FROM showcase WHERE share = ?1)",
        "DELETE FROM showcase WHERE share = ?1",
    ] {
        run(connection, sql, [share.as_str()])?;
    }
    Ok(())
}

fn add(
    connection: &Connection,
    now: Timestamp,
    (id, share): (&str, &ShareId),
    words: ShowcaseWords,
    by: UserId,
) -> Result<()> {
    let is_there = "SELECT 1 FROM shares WHERE id = ?1";
    sql::one(connection, is_there, [share.as_str()], |_| Ok(()))?.ok_or(StoreError::NotFound)?;
    let sql = "INSERT INTO showcase (id, share, title, description, category, sort_order, featured_at, updated_at, featured_by)
        VALUES (?1, ?2, ?3, ?4, ?5, (SELECT coalesce(max(sort_order), -1) + 1 FROM showcase), ?6, ?6, ?7) ON CONFLICT DO NOTHING";
    let ShowcaseWords {
        title,
        description,
        category,
    } = words;
    let values = (
        id,
        share.as_str(),
        &title,
        description,
        category,
        now.millis(),
        by.0,
    );
    match run(connection, sql, values)? {
        0 => Err(StoreError::Exists { name: title }),
        _ => Ok(()),
    }
}

fn picture_of(
    connection: &Connection,
    now: Timestamp,
    id: &str,
    picture: Option<Thumbnail>,
) -> Result<()> {
    // Each picture has a time of its own, whatever the clock says: it is told apart by that.
    let touch = "UPDATE showcase SET updated_at = max(?2, updated_at + 1) WHERE id = ?1";
    found(run(connection, touch, (id, now.millis()))?)?;
    match picture {
        Some(Thumbnail { media_type, bytes }) => {
            let sql = "INSERT INTO thumbnails (entry, media_type, bytes) VALUES (?1, ?2, ?3)
                ON CONFLICT DO UPDATE SET media_type = excluded.media_type, bytes = excluded.bytes";
            run(connection, sql, (id, media_type, bytes))?;
        }
        None => {
            run(connection, "DELETE FROM thumbnails WHERE entry = ?1", [id])?;
        }
    }
    Ok(())
}

fn found(rows: usize) -> Result<()> {
    match rows {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}
