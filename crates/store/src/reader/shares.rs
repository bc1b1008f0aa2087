//! Reading shares.

use readalong_model::{ChatId, Digest, Share, ShareId, UserId};
use rusqlite::{Connection, Row};

use super::Reader;
use crate::{
    Cursor, ShareFilter, ShareOrder, SharePage,
    sql::{self, Result},
};

/// Columns of a share and of its chat's name.
pub(super) const COLUMNS: usize = 12;
pub(super) const SHARE: &str =
    "s.id, c.id, s.owner, s.name, s.visibility, s.updates, s.includes_artifacts,
    s.created_at, s.expires_at, s.frozen_at_seq, s.bundle, c.title";
pub(super) const FROM: &str = "FROM shares s JOIN chats c ON c.key = s.chat";
/// What [`ShareFilter`] asks for, but for [`chat_wanted`].
const WHERE: &str = "WHERE s.owner = ?1
    AND (?2 IS NULL OR instr(coalesce(s.name_folded, c.title_folded), ?2) > 0)
    AND (?3 IS NULL OR s.visibility = ?3) AND (?4 IS NULL OR s.updates = ?4)";

impl Reader<'_> {
    /// A share, expired or not.
    ///
    /// # Errors
    /// The database fails.
    pub fn share(&self, id: &ShareId) -> Result<Option<Share>> {
        find(&self.transaction, id)
    }

    /// A share, for its owner only.
    ///
    /// # Errors
    /// The database fails.
    pub fn share_of(&self, owner: UserId, id: &ShareId) -> Result<Option<Share>> {
        let sql = format!("SELECT {SHARE} {FROM} WHERE s.id = ?1 AND s.owner = ?2");
        sql::one(&self.transaction, &sql, (id.as_str(), owner.0), share)
    }

    /// The shares of a chat, the newest first.
    ///
    /// # Errors
    /// The database fails.
    pub fn shares_of_chat(&self, chat: &ChatId) -> Result<Vec<Share>> {
        let sql =
            format!("SELECT {SHARE} {FROM} WHERE c.id = ?1 ORDER BY s.created_at DESC, s.id DESC");
        sql::all(&self.transaction, &sql, [chat.as_str()], share)
    }

    /// The shares of an owner with the names of their chats, in the order of the filter, and where the list goes on.
    ///
    /// # Errors
    /// The database fails.
    pub fn shares(&self, owner: UserId, filter: &ShareFilter) -> Result<SharePage> {
        let (order, after) = match filter.order {
            ShareOrder::Newest => (
                "s.created_at DESC, s.id DESC",
                "(s.created_at, s.id) < (CAST(?6 AS INTEGER), ?7)",
            ),
            ShareOrder::Oldest => (
                "s.created_at, s.id",
                "(s.created_at, s.id) > (CAST(?6 AS INTEGER), ?7)",
            ),
            ShareOrder::Name => (
                "coalesce(s.name_folded, c.title_folded), s.id",
                "(coalesce(s.name_folded, c.title_folded), s.id) > (?6, ?7)",
            ),
        };
        let sql = format!(
            "SELECT {SHARE}, coalesce(s.name_folded, c.title_folded) {FROM} {WHERE} AND {} AND (?7 IS NULL OR {after})
             ORDER BY {order} LIMIT ?8 OFFSET ?9",
            chat_wanted(filter, "?5")
        );
        let (text, visibility, updates) = wanted(filter)?;
        let values = (
            owner.0,
            text,
            visibility,
            updates,
            filter.chat.as_ref().map(ChatId::as_str),
            filter.after.as_ref().map(|after| &after.by),
            filter.after.as_ref().map(|after| &after.id),
            i64::from(filter.limit) + 1,
            filter.offset,
        );
        let mut by = Vec::new();
        let mut shares = sql::all(&self.transaction, &sql, values, |row| {
            by.push(match filter.order {
                ShareOrder::Newest | ShareOrder::Oldest => row.get::<_, i64>(7)?.to_string(),
                ShareOrder::Name => row.get(12)?,
            });
            Ok((share(row)?, row.get(11)?))
        })?;
        let is_cut = shares.len() > filter.limit as usize;
        shares.truncate(filter.limit as usize);
        let next = shares.last().filter(|_| is_cut).map(|(share, _)| Cursor {
            by: by[shares.len() - 1].clone(),
            id: share.id.to_string(),
        });
        Ok(SharePage { shares, next })
    }

    /// The shares of all owners that a filter finds, with the names of their chats and owners, the newest first: for those who may do all.
    ///
    /// # Errors
    /// The database fails.
    pub fn shares_of_all(&self, filter: &ShareFilter) -> Result<Vec<(Share, String, String)>> {
        let sql = format!(
            "SELECT {SHARE}, u.name {FROM} JOIN users u ON u.id = s.owner
             WHERE (?1 IS NULL OR instr(coalesce(s.name_folded, c.title_folded), ?1) > 0 OR instr(u.name_folded, ?1) > 0)
             AND (?2 IS NULL OR s.visibility = ?2) AND (?3 IS NULL OR s.updates = ?3)
             AND {} ORDER BY s.created_at DESC, s.id DESC LIMIT ?5 OFFSET ?6",
            chat_wanted(filter, "?4")
        );
        let (text, visibility, updates) = wanted(filter)?;
        let chat = filter.chat.as_ref().map(ChatId::as_str);
        let values = (text, visibility, updates, chat, filter.limit, filter.offset);
        sql::all(&self.transaction, &sql, values, |row| {
            Ok((share(row)?, row.get(COLUMNS - 1)?, row.get(COLUMNS)?))
        })
    }

    /// A share of anybody's, with the names of its chat and owner: for those who may do all.
    ///
    /// # Errors
    /// The database fails.
    pub fn share_of_all(&self, id: &ShareId) -> Result<Option<(Share, String, String)>> {
        let sql =
            format!("SELECT {SHARE}, u.name {FROM} JOIN users u ON u.id = s.owner WHERE s.id = ?1");
        sql::one(&self.transaction, &sql, [id.as_str()], |row| {
            Ok((share(row)?, row.get(COLUMNS - 1)?, row.get(COLUMNS)?))
        })
    }

    /// How many shares of an owner a filter finds, whatever its offset and limit.
    ///
    /// # Errors
    /// The database fails.
    pub fn count_shares(&self, owner: UserId, filter: &ShareFilter) -> Result<u64> {
        let chat_wanted = chat_wanted(filter, "?5");
        let sql = format!("SELECT count(*) {FROM} {WHERE} AND {chat_wanted}");
        let (text, visibility, updates) = wanted(filter)?;
        let chat = filter.chat.as_ref().map(ChatId::as_str);
        let values = (owner.0, text, visibility, updates, chat);
        let count = sql::one(&self.transaction, &sql, values, |row| sql::seq(row, 0))?;
        Ok(count.unwrap_or(0))
    }

    /// All live shares of all owners, for a server that begins.
    ///
    /// # Errors
    /// The database fails.
    pub fn live_shares(&self) -> Result<Vec<Share>> {
        let sql = format!("SELECT {SHARE} {FROM} WHERE s.updates = 'live'");
        sql::all(&self.transaction, &sql, [], share)
    }

    /// All bundles that shares serve, so that others may be cleared away.
    ///
    /// # Errors
    /// The database fails.
    pub fn bundles(&self) -> Result<Vec<Digest>> {
        let sql = "SELECT DISTINCT bundle FROM shares WHERE bundle IS NOT NULL ORDER BY bundle";
        sql::all(&self.transaction, sql, [], |row| sql::digest(row, 0))
    }
}

/// Whether a share is of the chat that is asked for: those of one chat are found without going through all.
fn chat_wanted(filter: &ShareFilter, chat: &str) -> String {
    match filter.chat {
        Some(_) => format!("c.id = {chat}"),
        None => format!("{chat} IS NULL"),
    }
}

type Wanted = (Option<String>, Option<String>, Option<String>);

fn wanted(filter: &ShareFilter) -> Result<Wanted> {
    Ok((
        filter.text.as_deref().map(sql::folded),
        filter.visibility.map(sql::word).transpose()?,
        filter.updates.map(sql::word).transpose()?,
    ))
}

/// A share by its id.
pub(crate) fn find(connection: &Connection, id: &ShareId) -> Result<Option<Share>> {
    let sql = format!("SELECT {SHARE} {FROM} WHERE s.id = ?1");
    sql::one(connection, &sql, [id.as_str()], share)
}

/// The shares of a chat, for whoever deletes it.
pub(crate) fn of_chat(connection: &Connection, chat: sql::ChatKey) -> Result<Vec<ShareId>> {
    let sql = "SELECT id FROM shares WHERE chat = ?1 ORDER BY id";
    sql::all(connection, sql, [chat], |row| sql::share_id(row, 0))
}

pub(super) fn share(row: &Row<'_>) -> Result<Share> {
    let bundle: Option<[u8; 32]> = row.get(10)?;
    Ok(Share {
        id: sql::share_id(row, 0)?,
        chat: sql::chat_id(row, 1)?,
        owner: UserId(row.get(2)?),
        name: row.get(3)?,
        visibility: sql::variant(row, 4)?,
        updates: sql::variant(row, 5)?,
        includes_artifacts: row.get(6)?,
        created_at: sql::time(row, 7)?,
        expires_at: sql::maybe_time(row, 8)?,
        frozen_at_seq: sql::maybe_seq(row, 9)?,
        bundle: bundle.map(Digest::from),
    })
}
