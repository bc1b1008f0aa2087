//! Reading the showcase.

use std::collections::HashMap;

use readalong_model::{Share, ShareId, ShareVisibility, Timestamp};
use rusqlite::Row;

use super::{Reader, shares};
use crate::{
    ShowcaseWords, Thumbnail,
    sql::{self, Result},
};

/// A featured share.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowcaseEntry {
    /// Its id.
    pub id: String,
    /// What it says.
    pub words: ShowcaseWords,
    /// Its place: lower ones come first.
    pub sort_order: i64,
    /// When it was featured.
    pub featured_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Who featured it, where they are still there.
    pub featured_by: Option<String>,
    /// True where it has a picture.
    pub has_thumbnail: bool,
    /// The share.
    pub share: Share,
    /// What the share's chat is called.
    pub chat_title: String,
    /// Who shared it, where they are still there.
    pub shared_by: Option<String>,
}

/// Which entries are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShowcaseFilter {
    /// Only those that these people can open.
    pub visibility: Option<ShareVisibility>,
    /// How many to leave out.
    pub offset: u32,
    /// How many at most.
    pub limit: u32,
}

const ENTRY: &str =
    "f.id, f.title, f.description, f.category, f.sort_order, f.featured_at, f.updated_at, by.name,
    EXISTS (SELECT 1 FROM thumbnails t WHERE t.entry = f.id), owner.name";
/// Expired shares are not there for anybody.
const FROM: &str = "JOIN showcase f ON f.share = s.id LEFT JOIN users by ON by.id = f.featured_by LEFT JOIN users owner ON owner.id = s.owner
    WHERE (s.expires_at IS NULL OR s.expires_at > ?1)";

impl Reader<'_> {
    /// Featured shares that are there at `now`, in their order.
    ///
    /// # Errors
    /// The database fails.
    pub fn showcase(&self, filter: &ShowcaseFilter, now: Timestamp) -> Result<Vec<ShowcaseEntry>> {
        let sql = format!(
            "SELECT {}, {ENTRY} {} {FROM} AND (?2 IS NULL OR s.visibility = ?2)
             ORDER BY f.sort_order, f.featured_at, f.id LIMIT ?3 OFFSET ?4",
            shares::SHARE,
            shares::FROM
        );
        let visibility = filter.visibility.map(sql::word).transpose()?;
        let values = (now.millis(), visibility, filter.limit, filter.offset);
        sql::all(&self.transaction, &sql, values, entry)
    }

    /// A featured share that is there at `now`.
    ///
    /// # Errors
    /// The database fails.
    pub fn showcase_entry(&self, id: &str, now: Timestamp) -> Result<Option<ShowcaseEntry>> {
        let sql = format!(
            "SELECT {}, {ENTRY} {} {FROM} AND f.id = ?2",
            shares::SHARE,
            shares::FROM
        );
        sql::one(&self.transaction, &sql, (now.millis(), id), entry)
    }

    /// The entries by the shares that they feature.
    ///
    /// # Errors
    /// The database fails.
    pub fn showcase_ids(&self) -> Result<HashMap<ShareId, String>> {
        let sql = "SELECT share, id FROM showcase";
        let pairs = sql::all(&self.transaction, sql, [], |row| {
            Ok((sql::share_id(row, 0)?, row.get(1)?))
        })?;
        Ok(pairs.into_iter().collect())
    }

    /// How many shares are featured.
    ///
    /// # Errors
    /// The database fails.
    pub fn showcase_count(&self) -> Result<u64> {
        let sql = "SELECT count(*) FROM showcase";
        Ok(sql::one(&self.transaction, sql, [], |row| sql::seq(row, 0))?.unwrap_or(0))
    }

    /// The picture of a featured share.
    ///
    /// # Errors
    /// The database fails.
    pub fn thumbnail(&self, id: &str) -> Result<Option<Thumbnail>> {
        let sql = "SELECT media_type, bytes FROM thumbnails WHERE entry = ?1";
        sql::one(&self.transaction, sql, [id], |row| {
            Ok(Thumbnail {
                media_type: row.get(0)?,
                bytes: row.get(1)?,
            })
        })
    }
}

fn entry(row: &Row<'_>) -> Result<ShowcaseEntry> {
    let first = shares::COLUMNS;
    Ok(ShowcaseEntry {
        share: shares::share(row)?,
        chat_title: row.get(first - 1)?,
        id: row.get(first)?,
        words: ShowcaseWords {
            title: row.get(first + 1)?,
            description: row.get(first + 2)?,
            category: row.get(first + 3)?,
        },
        sort_order: row.get(first + 4)?,
        featured_at: sql::time(row, first + 5)?,
        updated_at: sql::time(row, first + 6)?,
        featured_by: row.get(first + 7)?,
        has_thumbnail: row.get(first + 8)?,
        shared_by: row.get(first + 9)?,
    })
}
