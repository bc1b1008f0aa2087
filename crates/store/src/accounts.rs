//! Writing users, tokens, sessions, settings and legacy links. These are of this server alone and make no events.

use readalong_model::{Digest, Timestamp, UserId};
use rusqlite::Connection;

use crate::{
    LegacyLink, StoreError, UserRole, Write, Written,
    reader::chats::is_legacy_of_another,
    record::SESSION_ID_DIGITS,
    showcase,
    sql::{self, Result, run},
};

/// Does a write of an account within a transaction. What changes chats and shares is done in `actions.rs`.
pub(crate) fn perform(connection: &Connection, now: Timestamp, write: Write) -> Result<Written> {
    match write {
        Write::CreateUser {
            name,
            role,
            password_hash,
        } => return create_user(connection, now, &name, role, password_hash.as_deref()),
        Write::SetPassword {
            user,
            password_hash,
        } => {
            let sql = "UPDATE users SET password_hash = ?2 WHERE id = ?1";
            found(run(connection, sql, (user.0, password_hash))?)?;
            end_sessions(connection, user)?;
        }
        Write::SetRole { user, role } => {
            if role != UserRole::Admin {
                check_admin_stays(connection, user)?;
            }
            let sql = "UPDATE users SET role = ?2 WHERE id = ?1";
            found(run(connection, sql, (user.0, role.as_str()))?)?;
        }
        Write::CreateToken {
            user,
            name,
            sha256,
            expires_at,
        } => return create_token(connection, now, user, name, sha256, expires_at),
        Write::RemoveToken { user, id } => {
            let sql = "DELETE FROM tokens WHERE id = ?1 AND user = ?2";
            found(run(connection, sql, (id, user.0))?)?;
        }
        Write::CreateSession {
            user,
            sha256,
            agent,
            expires_at,
        } => create_session(connection, now, user, (sha256, &agent), expires_at)?,
        Write::RemoveSession { sha256 } => {
            let sql = "DELETE FROM sessions WHERE sha256 = ?1";
            run(connection, sql, [sha256.as_bytes()])?;
        }
        Write::RemoveSessionsOf(user) => end_sessions(connection, user)?,
        Write::CreateSignin {
            user,
            sha256,
            expires_at,
        } => create_signin(connection, now, user, sha256, expires_at)?,
        Write::Signin {
            sha256,
            session,
            agent,
            expires_at,
        } => return sign_in(connection, now, sha256, (session, &agent), expires_at),
        Write::RenameUser { user, name } => rename(connection, user, name)?,
        Write::RemoveSessionOf { user, id } => {
            let sql =
                "DELETE FROM sessions WHERE user = ?1 AND lower(substr(hex(sha256), 1, ?3)) = ?2";
            found(run(connection, sql, (user.0, id, SESSION_ID_DIGITS))?)?;
        }
        Write::RemoveOtherSessions { user, keep } => {
            let sql = "DELETE FROM sessions WHERE user = ?1 AND sha256 <> ?2";
            run(connection, sql, (user.0, keep.as_bytes()))?;
            end_signins(connection, user)?;
        }
        Write::Used { sha256 } => {
            for sql in [
                "UPDATE tokens SET used_at = ?2 WHERE sha256 = ?1",
                "UPDATE sessions SET used_at = ?2 WHERE sha256 = ?1",
            ] {
                run(connection, sql, (sha256.as_bytes(), now.millis()))?;
            }
        }
        Write::SignUp {
            issuer,
            subject,
            name,
            role,
        } => return sign_up(connection, now, (&issuer, &subject), &name, role),
        Write::Showcase(write) => return showcase::perform(connection, now, write),
        Write::Setting { key, value } => set(connection, &key, value)?,
        Write::ImportLegacy(links) => {
            for link in links {
                take_legacy(connection, now, &link)?;
            }
        }
        other => unreachable!("{other:?} changes a chat and is done elsewhere"),
    }
    Ok(Written::default())
}

/// Refuses users that do not exist.
pub(crate) fn check_user(connection: &Connection, user: UserId) -> Result<()> {
    let sql = "SELECT 1 FROM users WHERE id = ?1";
    sql::one(connection, sql, [user.0], |_| Ok(()))?.ok_or(StoreError::NotFound)
}

/// Refuses to leave the server without anybody who may do all.
pub(crate) fn check_admin_stays(connection: &Connection, leaves: UserId) -> Result<()> {
    let sql = "SELECT 1 FROM users WHERE id = ?1 AND role = ?2
        AND NOT EXISTS (SELECT 1 FROM users WHERE id <> ?1 AND role = ?2)";
    let values = (leaves.0, UserRole::Admin.as_str());
    match sql::one(connection, sql, values, |_| Ok(()))? {
        Some(()) => Err(StoreError::LastAdmin),
        None => Ok(()),
    }
}

/// Removes a user and what signs it in.
pub(crate) fn remove_user(connection: &Connection, user: UserId) -> Result<()> {
    end_sessions(connection, user)?;
    for sql in [
        "DELETE FROM tokens WHERE user = ?1",
        "DELETE FROM signins WHERE user = ?1",
        "DELETE FROM identities WHERE user = ?1",
        "DELETE FROM users WHERE id = ?1",
    ] {
        run(connection, sql, [user.0])?;
    }
    Ok(())
}

fn found(rows: usize) -> Result<()> {
    match rows {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

fn create_user(
    connection: &Connection,
    now: Timestamp,
    name: &str,
    role: UserRole,
    password_hash: Option<&str>,
) -> Result<Written> {
    let sql = "INSERT INTO users (name, name_folded, role, password_hash, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO NOTHING";
    let folded = sql::folded(name);
    let values = (name, folded, role.as_str(), password_hash, now.millis());
    match run(connection, sql, values)? {
        0 => Err(StoreError::Exists {
            name: name.to_owned(),
        }),
        _ => Ok(Written {
            user: Some(UserId(connection.last_insert_rowid())),
            created: true,
            ..Written::default()
        }),
    }
}

fn sign_up(
    connection: &Connection,
    now: Timestamp,
    identity: (&str, &str),
    name: &str,
    role: UserRole,
) -> Result<Written> {
    let sql = "SELECT user FROM identities WHERE issuer = ?1 AND subject = ?2";
    let known = sql::one(connection, sql, identity, |row| Ok(UserId(row.get(0)?)))?;
    if known.is_some() {
        return Ok(Written {
            user: known,
            ..Written::default()
        });
    }
    let written = create_user(connection, now, name, role, None)?;
    let sql = "INSERT INTO identities (issuer, subject, user) VALUES (?1, ?2, ?3)";
    let (issuer, subject) = identity;
    run(
        connection,
        sql,
        (issuer, subject, written.user.map(|user| user.0)),
    )?;
    Ok(written)
}

fn rename(connection: &Connection, user: UserId, name: String) -> Result<()> {
    let folded = sql::folded(&name);
    let taken = "SELECT 1 FROM users WHERE name_folded = ?1 AND id <> ?2";
    if sql::one(connection, taken, (&folded, user.0), |_| Ok(()))?.is_some() {
        return Err(StoreError::Exists { name });
    }
    let sql = "UPDATE users SET name = ?2, name_folded = ?3 WHERE id = ?1";
    found(run(connection, sql, (user.0, name, folded))?)
}

fn create_token(
    connection: &Connection,
    now: Timestamp,
    user: UserId,
    name: String,
    sha256: Digest,
    expires_at: Option<Timestamp>,
) -> Result<Written> {
    check_user(connection, user)?;
    let sql = "INSERT INTO tokens (user, name, sha256, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO NOTHING";
    let expires_at = expires_at.map(Timestamp::millis);
    let values = (user.0, &name, sha256.as_bytes(), now.millis(), expires_at);
    match run(connection, sql, values)? {
        0 => Err(StoreError::Exists { name }),
        _ => Ok(Written {
            token: Some(connection.last_insert_rowid()),
            created: true,
            ..Written::default()
        }),
    }
}

/// Begins a session; those that ended long ago go on this occasion.
fn create_session(
    connection: &Connection,
    now: Timestamp,
    user: UserId,
    (sha256, agent): (Digest, &str),
    expires_at: Timestamp,
) -> Result<()> {
    check_user(connection, user)?;
    let sql = "DELETE FROM sessions WHERE expires_at <= ?1";
    run(connection, sql, [now.millis()])?;
    let sql = "INSERT INTO sessions (sha256, user, agent, created_at, used_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?4, ?5)";
    let values = (
        sha256.as_bytes(),
        user.0,
        agent,
        now.millis(),
        expires_at.millis(),
    );
    run(connection, sql, values)?;
    Ok(())
}

fn end_sessions(connection: &Connection, user: UserId) -> Result<()> {
    run(connection, "DELETE FROM sessions WHERE user = ?1", [user.0])?;
    end_signins(connection, user)
}

/// A link to sign in with is a session that has not begun.
fn end_signins(connection: &Connection, user: UserId) -> Result<()> {
    run(connection, "DELETE FROM signins WHERE user = ?1", [user.0])?;
    Ok(())
}

fn create_signin(
    connection: &Connection,
    now: Timestamp,
    user: UserId,
    sha256: Digest,
    expires_at: Timestamp,
) -> Result<()> {
    check_user(connection, user)?;
    let sql = "DELETE FROM signins WHERE expires_at <= ?1";
    run(connection, sql, [now.millis()])?;
    let sql = "INSERT INTO signins (sha256, user, expires_at) VALUES (?1, ?2, ?3)";
    run(
        connection,
        sql,
        (sha256.as_bytes(), user.0, expires_at.millis()),
    )?;
    Ok(())
}

fn sign_in(
    connection: &Connection,
    now: Timestamp,
    sha256: Digest,
    session: (Digest, &str),
    expires_at: Timestamp,
) -> Result<Written> {
    let sql = "DELETE FROM signins WHERE sha256 = ?1 AND expires_at > ?2 RETURNING user";
    let values = (sha256.as_bytes(), now.millis());
    let user = sql::one(connection, sql, values, |row| Ok(UserId(row.get(0)?)))?;
    let user = user.ok_or(StoreError::NotFound)?;
    create_session(connection, now, user, session, expires_at)?;
    Ok(Written {
        user: Some(user),
        created: true,
        ..Written::default()
    })
}

fn set(connection: &Connection, key: &str, value: Option<String>) -> Result<()> {
    match value {
        Some(value) => {
            let sql = "INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
            run(connection, sql, (key, value))?;
        }
        None => {
            run(connection, "DELETE FROM settings WHERE key = ?1", [key])?;
        }
    }
    Ok(())
}

fn take_legacy(connection: &Connection, now: Timestamp, link: &LegacyLink) -> Result<()> {
    let key = sql::chat_key(connection, &link.chat)?.ok_or(StoreError::NotFound)?;
    let sql = "SELECT owner FROM chats WHERE key = ?1";
    let owner = sql::one(connection, sql, [key], |row| Ok(UserId(row.get(0)?)))?;
    let owner = owner.ok_or(StoreError::NotFound)?;
    if is_legacy_of_another(connection, owner, &link.path, now)? {
        return Err(StoreError::Exists {
            name: link.path.clone(),
        });
    }
    let sql = "INSERT INTO legacy (path, chat, expires_at) VALUES (?1, ?2, ?3)
        ON CONFLICT DO UPDATE SET chat = excluded.chat, expires_at = excluded.expires_at";
    run(connection, sql, (&link.path, key, link.expires_at.millis()))?;
    Ok(())
}
