//! What each write may do and what it changes: checks who asks, compares with what is there, appends events.

use readalong_model::{
    Artifact, Change, ChangeSet, ChatHead, ChatId, Digest, Message, MessageId, Part, Seq, Share,
    ShareId, Thread, Updates, UserId,
};

use crate::{
    Body, Row, ShareChange, StoreError, Write, Written, accounts,
    apply::{
        Log,
        erase::{is_file_erased, is_title_erased},
        message_seq,
        rewrite::{drop_unnamed_files, put},
        title::TITLE_LEFT,
    },
    kind::MESSAGE_PUT,
    reader::{chats, history, shares},
    sql::{self, ChatKey, Result},
};

/// Does a write within a transaction. After an error the caller rolls back.
pub(crate) fn perform(log: &mut Log<'_>, write: Write) -> Result<Written> {
    match write {
        Write::All(writes) => return perform_all(log, writes),
        Write::CreateChat {
            id,
            owner,
            source,
            head,
        } => return create_chat(log, id, owner, source, head),
        Write::Apply {
            chat, by, changes, ..
        } => return take_changes(log, &chat, by, changes),
        Write::Edit {
            chat,
            by,
            id,
            parts,
        } => edit(log, &chat, by, id, parts)?,
        Write::Hide {
            chat,
            by,
            id,
            hidden,
        } => hide(log, &chat, by, id, hidden)?,
        Write::Erase { chat, by, id } => erase(log, &chat, by, id)?,
        Write::HideArtifact {
            chat,
            by,
            place,
            hidden,
        } => hide_artifact(log, &chat, by, place, hidden)?,
        Write::EraseArtifact { chat, by, place } => erase_artifact(log, &chat, by, place)?,
        Write::Undo { chat, by, seq } => undo(log, &chat, by, seq)?,
        Write::Rewrite { chat, rows } => rewrite(log, &chat, rows)?,
        Write::Keep { chat, by, kept } => {
            let key = owned_chat(log, &chat, by)?;
            let kept = serde_json::to_string(&kept)?;
            let sql = "UPDATE chats SET kept = ?2 WHERE key = ?1";
            sql::run(log.connection, sql, (key, kept))?;
        }
        Write::Rename { chat, by, title } => rename(log, &chat, by, title)?,
        Write::DeleteChat { chat, by } => {
            let key = owned_chat(log, &chat, by)?;
            delete_chat(log, &chat, key)?;
        }
        Write::CreateShare(share) => return create_share(log, share),
        Write::ChangeShare { id, by, change } => change_share(log, &id, by, change)?,
        Write::DeleteShares { ids, by } => delete_shares(log, ids, by)?,
        Write::RemoveUser { user, with_chats } => remove_user(log, user, with_chats)?,
        account => return accounts::perform(log.connection, log.now, account),
    }
    Ok(Written::default())
}

/// Does several writes; what each of them tells is told together.
fn perform_all(log: &mut Log<'_>, writes: Vec<Write>) -> Result<Written> {
    let mut all = Written::default();
    for write in writes {
        let written = perform(log, write)?;
        all = Written {
            applied: written.applied.or(all.applied),
            chat: written.chat.or(all.chat),
            created: written.created || all.created,
            ..all
        };
    }
    Ok(all)
}

/// A chat, for those who may change it; for all others it is not there.
fn owned_chat(log: &Log<'_>, chat: &ChatId, by: Option<UserId>) -> Result<ChatKey> {
    let sql = "SELECT key FROM chats WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)";
    let values = (chat.as_str(), by.map(|by| by.0));
    let key = sql::one(log.connection, sql, values, |row| Ok(ChatKey(row.get(0)?)))?;
    key.ok_or(StoreError::NotFound)
}

/// A share, for those who may change it.
fn owned_share(log: &Log<'_>, id: &ShareId, by: Option<UserId>) -> Result<Share> {
    let share = shares::find(log.connection, id)?;
    share
        .filter(|share| by.is_none_or(|by| by == share.owner))
        .ok_or(StoreError::NotFound)
}

fn create_chat(
    log: &mut Log<'_>,
    id: ChatId,
    owner: UserId,
    source: Option<String>,
    head: ChatHead,
) -> Result<Written> {
    accounts::check_user(log.connection, owner)?;
    if let Some(source) = &source {
        let sql = "SELECT id FROM chats WHERE owner = ?1 AND source = ?2";
        let there = sql::one(log.connection, sql, (owner.0, source), |row| {
            sql::chat_id(row, 0)
        })?;
        if there.is_some() {
            return Ok(Written {
                chat: there,
                ..Written::default()
            });
        }
    }
    if sql::chat_key(log.connection, &id)?.is_some() {
        return Err(StoreError::Exists {
            name: id.to_string(),
        });
    }
    log.append(&id, Change::ChatCreated { owner, source })?;
    log.append(&id, Change::Head(head))?;
    Ok(Written {
        chat: Some(id),
        created: true,
        ..Written::default()
    })
}

/// Appends what is new in a change set.
fn take_changes(
    log: &mut Log<'_>,
    chat: &ChatId,
    by: Option<UserId>,
    changes: ChangeSet,
) -> Result<Written> {
    let key = owned_chat(log, chat, by)?;
    if let Some(mut head) = changes.head {
        if is_title_erased(log.connection, key, &head.title)? {
            TITLE_LEFT.clone_into(&mut head.title);
        }
        let sql = "SELECT e.body FROM chats c JOIN events e ON e.seq = c.head_seq WHERE c.key = ?1";
        if is_new(log, sql, (key,), &head)? {
            log.append(chat, Change::Head(head))?;
        }
    }
    let titles = titles(log, key)?;
    for (place, mut thread) in changes.threads {
        if let Some(title) = &thread.title
            && is_title_erased(log.connection, key, title)?
        {
            thread.title = None;
        }
        let sql = "SELECT e.body FROM threads t JOIN events e ON e.seq = t.seq WHERE t.chat = ?1 AND t.place = ?2";
        if is_new(log, sql, (key, place), &thread)? {
            log.append(chat, Change::ThreadPut { place, thread })?;
        }
    }
    for (place, artifact) in changes.artifacts {
        take_artifact(log, chat, key, place, artifact)?;
    }
    for id in changes.removed {
        if message_seq(log.connection, key, &id)?.is_some() {
            log.append(chat, Change::MessageRemoved { id })?;
        }
    }
    for (place, message) in changes.messages {
        take_message(log, chat, key, place, message)?;
    }
    tell_titles(log, chat, key, &titles)?;
    Ok(Written {
        applied: chats::applied(log.connection, key)?,
        ..Written::default()
    })
}

/// Appends an artifact unless it is there like that already. One that went with an erased message stays away.
fn take_artifact(
    log: &mut Log<'_>,
    chat: &ChatId,
    key: ChatKey,
    place: u32,
    mut artifact: Artifact,
) -> Result<()> {
    if let Some((sha256, _)) = artifact.bytes() {
        if is_file_erased(log.connection, key, sha256)? {
            artifact = artifact.emptied();
            log.after.unnamed.push(sha256);
        } else {
            log.after.named.push(sha256);
        }
    }
    let sql = "SELECT e.body FROM artifacts a JOIN events e ON e.seq = a.seq WHERE a.chat = ?1 AND a.place = ?2";
    if !is_new(log, sql, (key, place), &artifact)? {
        return Ok(());
    }
    log.append(chat, Change::ArtifactPut { place, artifact })?;
    match is_artifact_hidden(log, key, place)? {
        // Whoever follows the log learns that what is new there is hidden as well.
        true => log.append(
            chat,
            Change::ArtifactHidden {
                place,
                hidden: true,
            },
        ),
        false => Ok(()),
    }
}

fn is_artifact_hidden(log: &Log<'_>, key: ChatKey, place: u32) -> Result<bool> {
    let sql = "SELECT 1 FROM hidden_artifacts WHERE chat = ?1 AND place = ?2";
    Ok(sql::one(log.connection, sql, (key, place), |_| Ok(()))?.is_some())
}

/// Refuses to change an artifact that is not there, or of which nothing is left.
fn check_artifact(log: &Log<'_>, key: ChatKey, place: u32) -> Result<()> {
    let sql = "SELECT e.body FROM artifacts a JOIN events e ON e.seq = a.seq WHERE a.chat = ?1 AND a.place = ?2";
    let artifact: Option<Artifact> =
        sql::one(log.connection, sql, (key, place), |row| sql::json(row, 0))?;
    match artifact.is_some_and(|artifact| artifact.emptied() != artifact) {
        true => Ok(()),
        false => Err(StoreError::NotFound),
    }
}

fn hide_artifact(
    log: &mut Log<'_>,
    chat: &ChatId,
    by: Option<UserId>,
    place: u32,
    hidden: bool,
) -> Result<()> {
    let key = owned_chat(log, chat, by)?;
    check_artifact(log, key, place)?;
    match is_artifact_hidden(log, key, place)? == hidden {
        true => Ok(()),
        false => log.append(chat, Change::ArtifactHidden { place, hidden }),
    }
}

fn erase_artifact(log: &mut Log<'_>, chat: &ChatId, by: Option<UserId>, place: u32) -> Result<()> {
    let key = owned_chat(log, chat, by)?;
    check_artifact(log, key, place)?;
    let files = files(log, key)?;
    log.append(chat, Change::ArtifactErased { place })?;
    log.after.unnamed.extend(files);
    log.after.truncate = true;
    Ok(())
}

/// Takes back the newest change of a thing that was not taken back yet.
fn undo(log: &mut Log<'_>, chat: &ChatId, by: Option<UserId>, seq: Seq) -> Result<()> {
    let key = owned_chat(log, chat, by)?;
    let before = history::before(log.connection, key, seq)?;
    change_message(log, chat, key, before)?;
    log.append(chat, Change::Undone { seq })
}

/// Appends a message unless it is there like that already. Of an erased one only its place in the tree is taken.
fn take_message(
    log: &mut Log<'_>,
    chat: &ChatId,
    key: ChatKey,
    place: u32,
    mut message: Message,
) -> Result<()> {
    if is_erased(log, key, &message.id)? {
        message = message.emptied();
    }
    let sql = "SELECT place, digest FROM messages WHERE chat = ?1 AND id = ?2";
    let there = sql::one(log.connection, sql, (key, &message.id.0), |row| {
        Ok((row.get::<_, u32>(0)?, sql::digest(row, 1)?))
    })?;
    match there {
        Some(there) if there == (place, message.digest()) => Ok(()),
        _ => log.append(chat, Change::MessagePut { place, message }),
    }
}

/// True where the log does not hold this very value.
fn is_new(
    log: &Log<'_>,
    sql: &str,
    values: impl rusqlite::Params,
    value: &impl serde::Serialize,
) -> Result<bool> {
    let there: Option<String> = sql::one(log.connection, sql, values, |row| Ok(row.get(0)?))?;
    Ok(there.is_none_or(|there| serde_json::to_string(value).ok() != Some(there)))
}

fn is_erased(log: &Log<'_>, key: ChatKey, id: &MessageId) -> Result<bool> {
    let sql = "SELECT erased FROM overlays WHERE chat = ?1 AND id = ?2";
    let erased = sql::one(log.connection, sql, (key, &id.0), |row| Ok(row.get(0)?))?;
    Ok(erased.unwrap_or(false))
}

/// Refuses to change a message that is neither there nor shown by a frozen share, or that is erased.
fn check_message(log: &Log<'_>, key: ChatKey, id: &MessageId) -> Result<()> {
    let kept = "SELECT 1 FROM events WHERE chat = ?1 AND until_seq IS NOT NULL AND kind = ?2 AND message = ?3 LIMIT 1";
    let kept = || sql::one(log.connection, kept, (key, MESSAGE_PUT, &id.0), |_| Ok(()));
    let is_there = message_seq(log.connection, key, id)?.is_some() || kept()?.is_some();
    match is_there && !is_erased(log, key, id)? {
        true => Ok(()),
        false => Err(StoreError::NotFound),
    }
}

fn edit(
    log: &mut Log<'_>,
    chat: &ChatId,
    by: Option<UserId>,
    id: MessageId,
    parts: Vec<Part>,
) -> Result<()> {
    let key = owned_chat(log, chat, by)?;
    check_message(log, key, &id)?;
    match history::said(log.connection, key, &id)?.as_ref() == Some(&parts) {
        true => Ok(()),
        false => change_message(log, chat, key, Change::Edited { id, parts }),
    }
}

fn hide(
    log: &mut Log<'_>,
    chat: &ChatId,
    by: Option<UserId>,
    id: MessageId,
    hidden: bool,
) -> Result<()> {
    let key = owned_chat(log, chat, by)?;
    check_message(log, key, &id)?;
    let sql = "SELECT hidden FROM overlays WHERE chat = ?1 AND id = ?2";
    let was = sql::one(log.connection, sql, (key, &id.0), |row| Ok(row.get(0)?))?;
    match was.unwrap_or(false) == hidden {
        true => Ok(()),
        false => change_message(log, chat, key, Change::Hidden { id, hidden }),
    }
}

fn erase(log: &mut Log<'_>, chat: &ChatId, by: Option<UserId>, id: MessageId) -> Result<()> {
    let key = owned_chat(log, chat, by)?;
    if is_erased(log, key, &id)? {
        return Ok(());
    }
    check_message(log, key, &id)?;
    let (files, threads) = (files(log, key)?, threads(log, key)?);
    change_message(log, chat, key, Change::Erased { id })?;
    let left = self::threads(log, key)?;
    for (place, thread) in left.into_iter().filter(|left| !threads.contains(left)) {
        log.append(chat, Change::ThreadPut { place, thread })?;
    }
    log.after.unnamed.extend(files);
    log.after.truncate = true;
    Ok(())
}

fn rewrite(log: &mut Log<'_>, chat: &ChatId, rows: Vec<Row>) -> Result<()> {
    let key = owned_chat(log, chat, None)?;
    let files = files(log, key)?;
    let mut is_changed = false;
    for row in &rows {
        is_changed |= put(log.connection, key, row)?;
        if let Body::Artifact(artifact) = &row.body
            && let Some((sha256, _)) = artifact.bytes()
        {
            log.after.named.push(sha256);
        }
    }
    if is_changed {
        drop_unnamed_files(log.connection, key)?;
        log.append(chat, Change::Redacted)?;
        log.after.unnamed.extend(files);
        log.after.truncate = true;
    }
    Ok(())
}

fn threads(log: &Log<'_>, key: ChatKey) -> Result<Vec<(u32, Thread)>> {
    let sql = "SELECT t.place, e.body FROM threads t JOIN events e ON e.seq = t.seq WHERE t.chat = ?1 ORDER BY t.place";
    sql::all(log.connection, sql, [key], |row| {
        Ok((row.get(0)?, sql::json(row, 1)?))
    })
}

/// The files that a chat has or had.
fn files(log: &Log<'_>, key: ChatKey) -> Result<Vec<Digest>> {
    let sql = "SELECT sha256 FROM files WHERE chat = ?1";
    sql::all(log.connection, sql, [key], |row| sql::digest(row, 0))
}

/// Appends what the owner does to a message, with which the name of the chat may go or come back.
fn change_message(log: &mut Log<'_>, chat: &ChatId, key: ChatKey, change: Change) -> Result<()> {
    let titles = match change {
        // It says so itself.
        Change::Renamed { .. } => return log.append(chat, change),
        _ => titles(log, key)?,
    };
    log.append(chat, change)?;
    tell_titles(log, chat, key, &titles)
}

/// What readers call a chat, and what its source does.
type Titles = Option<(String, String)>;

fn titles(log: &Log<'_>, key: ChatKey) -> Result<Titles> {
    let sql = "SELECT title, source_title FROM chats WHERE key = ?1";
    sql::one(log.connection, sql, [key], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Has whoever reads the log learn that the chat is called otherwise now, as from any other head.
fn tell_titles(log: &mut Log<'_>, chat: &ChatId, key: ChatKey, before: &Titles) -> Result<()> {
    if titles(log, key)? == *before {
        return Ok(());
    }
    let sql = "SELECT e.body FROM chats c JOIN events e ON e.seq = c.head_seq WHERE c.key = ?1";
    match sql::one(log.connection, sql, [key], |row| sql::json(row, 0))? {
        Some(head) => log.append(chat, Change::Head(head)),
        None => Ok(()),
    }
}

fn rename(log: &mut Log<'_>, chat: &ChatId, by: Option<UserId>, title: String) -> Result<()> {
    let key = owned_chat(log, chat, by)?;
    let sql = "SELECT 1 FROM chats WHERE key = ?1 AND title = ?2";
    match sql::one(log.connection, sql, (key, &title), |_| Ok(()))? {
        Some(()) => Ok(()),
        None => log.append(chat, Change::Renamed { title }),
    }
}

fn delete_chat(log: &mut Log<'_>, chat: &ChatId, key: ChatKey) -> Result<()> {
    for share in shares::of_chat(log.connection, key)? {
        log.append(chat, Change::ShareDeleted(share))?;
    }
    log.after.unnamed.extend(files(log, key)?);
    log.after.truncate = true;
    log.append(chat, Change::ChatDeleted)
}

fn create_share(log: &mut Log<'_>, mut share: Share) -> Result<Written> {
    let key = owned_chat(log, &share.chat, Some(share.owner))?;
    if shares::find(log.connection, &share.id)?.is_some() {
        return Err(StoreError::Exists {
            name: share.id.to_string(),
        });
    }
    settle_updates(log, key, &mut share, None)?;
    let chat = share.chat.clone();
    log.append(&chat, Change::ShareCreated(share))?;
    Ok(Written {
        created: true,
        ..Written::default()
    })
}

fn change_share(
    log: &mut Log<'_>,
    id: &ShareId,
    by: Option<UserId>,
    change: ShareChange,
) -> Result<()> {
    let was = owned_share(log, id, by)?;
    let key = owned_chat(log, &was.chat, None)?;
    let mut share = was.clone();
    share.visibility = change.visibility.unwrap_or(share.visibility);
    share.includes_artifacts = change
        .includes_artifacts
        .unwrap_or(share.includes_artifacts);
    share.name = change.name.unwrap_or(share.name);
    share.expires_at = change.expires_at.unwrap_or(share.expires_at);
    share.updates = change.updates.unwrap_or(share.updates);
    share.frozen_at_seq = change.frozen_at_seq.or(share.frozen_at_seq);
    share.bundle = change.bundle.unwrap_or(share.bundle);
    settle_updates(log, key, &mut share, was.frozen_at_seq)?;
    if share == was {
        return Ok(());
    }
    let chat = share.chat.clone();
    log.append(&chat, Change::ShareChanged(share))
}

/// Holds the rule that a live share has neither end nor bundle and that a frozen one shows what is kept.
fn settle_updates(log: &Log<'_>, key: ChatKey, share: &mut Share, kept: Option<Seq>) -> Result<()> {
    match share.updates {
        Updates::Live => {
            share.frozen_at_seq = None;
            share.bundle = None;
        }
        Updates::Frozen => {
            // The event of this very write: what comes after it is later.
            let now = *log.seq + 1;
            let at = share.frozen_at_seq.map_or(now, |at| at.min(now));
            let sql = "SELECT lost_seq FROM chats WHERE key = ?1";
            let lost = sql::one(log.connection, sql, [key], |row| sql::seq(row, 0))?;
            if Some(at) != kept && at < lost.unwrap_or(0) {
                return Err(StoreError::Superseded { seq: at });
            }
            share.frozen_at_seq = Some(at);
        }
    }
    Ok(())
}

fn delete_shares(log: &mut Log<'_>, mut ids: Vec<ShareId>, by: Option<UserId>) -> Result<()> {
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let share = owned_share(log, &id, by)?;
        log.append(&share.chat, Change::ShareDeleted(id))?;
    }
    Ok(())
}

fn remove_user(log: &mut Log<'_>, user: UserId, with_chats: bool) -> Result<()> {
    accounts::check_user(log.connection, user)?;
    accounts::check_admin_stays(log.connection, user)?;
    let sql = "SELECT id, key FROM chats WHERE owner = ?1 ORDER BY key";
    let chats = sql::all(log.connection, sql, [user.0], |row| {
        Ok((sql::chat_id(row, 0)?, ChatKey(row.get(1)?)))
    })?;
    if !chats.is_empty() && !with_chats {
        return Err(StoreError::OwnsChats {
            chats: chats.len() as u64,
        });
    }
    for (chat, key) in chats {
        delete_chat(log, &chat, key)?;
    }
    log.after.truncate = true;
    accounts::remove_user(log.connection, user)
}
