//! Reading users, tokens, sessions and settings.

use readalong_model::{Digest, Timestamp, UserId};
use rusqlite::Row;

use super::Reader;
use crate::{
    SessionRecord, TokenRecord, User,
    sql::{self, Result},
};

const USER: &str = "u.id, u.name, u.role, u.password_hash IS NOT NULL, u.created_at";
const TOKEN: &str = "t.id, t.user, t.name, t.created_at, t.expires_at, t.used_at";
const SESSION: &str =
    "s.user, s.created_at, s.expires_at, lower(substr(hex(s.sha256), 1, 16)), s.agent, s.used_at";

impl Reader<'_> {
    /// All users, by name.
    ///
    /// # Errors
    /// The database fails.
    pub fn users(&self) -> Result<Vec<User>> {
        let sql = format!("SELECT {USER} FROM users u ORDER BY u.name_folded");
        sql::all(&self.transaction, &sql, [], |row| user(row, 0))
    }

    /// A user.
    ///
    /// # Errors
    /// The database fails.
    pub fn user(&self, id: UserId) -> Result<Option<User>> {
        let sql = format!("SELECT {USER} FROM users u WHERE u.id = ?1");
        sql::one(&self.transaction, &sql, [id.0], |row| user(row, 0))
    }

    /// The user of a name, in capital letters or not.
    ///
    /// # Errors
    /// The database fails.
    pub fn user_by_name(&self, name: &str) -> Result<Option<User>> {
        let sql = format!("SELECT {USER} FROM users u WHERE u.name_folded = ?1");
        sql::one(&self.transaction, &sql, [sql::folded(name)], |row| {
            user(row, 0)
        })
    }

    /// The password of a user as argon2 wrote it.
    ///
    /// # Errors
    /// The database fails.
    pub fn password_hash(&self, id: UserId) -> Result<Option<String>> {
        let sql = "SELECT password_hash FROM users WHERE id = ?1";
        let hash = sql::one(&self.transaction, sql, [id.0], |row| Ok(row.get(0)?))?;
        Ok(hash.flatten())
    }

    /// The token with this digest and its user, unless it is expired at `now`.
    ///
    /// # Errors
    /// The database fails.
    pub fn token(&self, sha256: Digest, now: Timestamp) -> Result<Option<(TokenRecord, User)>> {
        let sql = format!(
            "SELECT {TOKEN}, {USER} FROM tokens t JOIN users u ON u.id = t.user
             WHERE t.sha256 = ?1 AND (t.expires_at IS NULL OR t.expires_at > ?2)"
        );
        let values = (sha256.as_bytes(), now.millis());
        sql::one(&self.transaction, &sql, values, |row| {
            Ok((token(row)?, user(row, 6)?))
        })
    }

    /// The tokens of a user, expired ones too, by name.
    ///
    /// # Errors
    /// The database fails.
    pub fn tokens(&self, user: UserId) -> Result<Vec<TokenRecord>> {
        let sql = format!("SELECT {TOKEN} FROM tokens t WHERE t.user = ?1 ORDER BY t.name");
        sql::all(&self.transaction, &sql, [user.0], token)
    }

    /// The session with this digest and its user, unless it has ended at `now`.
    ///
    /// # Errors
    /// The database fails.
    pub fn session(&self, sha256: Digest, now: Timestamp) -> Result<Option<(SessionRecord, User)>> {
        let sql = format!(
            "SELECT {SESSION}, {USER} FROM sessions s JOIN users u ON u.id = s.user
             WHERE s.sha256 = ?1 AND s.expires_at > ?2"
        );
        let values = (sha256.as_bytes(), now.millis());
        sql::one(&self.transaction, &sql, values, |row| {
            Ok((session(row)?, user(row, 6)?))
        })
    }

    /// The sessions of a user that have not ended at `now`, the one that was used last first.
    ///
    /// # Errors
    /// The database fails.
    pub fn sessions(&self, user: UserId, now: Timestamp) -> Result<Vec<SessionRecord>> {
        let sql = format!(
            "SELECT {SESSION} FROM sessions s WHERE s.user = ?1 AND s.expires_at > ?2 ORDER BY coalesce(s.used_at, s.created_at) DESC, s.sha256"
        );
        sql::all(&self.transaction, &sql, (user.0, now.millis()), session)
    }

    /// Who somebody is here whom a provider knows.
    ///
    /// # Errors
    /// The database fails.
    pub fn identified(&self, issuer: &str, subject: &str) -> Result<Option<User>> {
        let sql = format!(
            "SELECT {USER} FROM identities i JOIN users u ON u.id = i.user WHERE i.issuer = ?1 AND i.subject = ?2"
        );
        sql::one(&self.transaction, &sql, (issuer, subject), |row| {
            user(row, 0)
        })
    }

    /// A setting.
    ///
    /// # Errors
    /// The database fails.
    pub fn setting(&self, key: &str) -> Result<Option<String>> {
        let sql = "SELECT value FROM settings WHERE key = ?1";
        sql::one(&self.transaction, sql, [key], |row| Ok(row.get(0)?))
    }
}

fn user(row: &Row<'_>, first: usize) -> Result<User> {
    let role: String = row.get(first + 2)?;
    Ok(User {
        id: UserId(row.get(first)?),
        name: row.get(first + 1)?,
        role: role.parse()?,
        has_password: row.get(first + 3)?,
        created_at: sql::time(row, first + 4)?,
    })
}

fn token(row: &Row<'_>) -> Result<TokenRecord> {
    Ok(TokenRecord {
        id: row.get(0)?,
        user: UserId(row.get(1)?),
        name: row.get(2)?,
        created_at: sql::time(row, 3)?,
        expires_at: sql::maybe_time(row, 4)?,
        used_at: sql::maybe_time(row, 5)?,
    })
}

fn session(row: &Row<'_>) -> Result<SessionRecord> {
    Ok(SessionRecord {
        user: UserId(row.get(0)?),
        created_at: sql::time(row, 1)?,
        expires_at: sql::time(row, 2)?,
        id: row.get(3)?,
        agent: row.get(4)?,
        used_at: sql::maybe_time(row, 5)?,
    })
}
