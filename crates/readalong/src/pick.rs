//! Which share or chat a person means: by link, id, the beginning of an id, or name.

use anyhow::bail;
use serde_json::Value;

use crate::{
    client::{self, Client, encode},
    cmd::list::for_each,
    link,
};

/// Digits that the beginning of an id must have.
const DIGITS_MIN: usize = 4;

/// What was meant.
pub(crate) enum Picked {
    /// A share.
    Share(Value),
    /// A chat.
    Chat(Value),
}

impl Picked {
    /// Where the API has it.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Share(share) => format!("/api/v1/shares/{}", id(share)),
            Self::Chat(chat) => format!("/api/v1/chats/{}", id(chat)),
        }
    }
}

/// The id of a share or chat.
pub(crate) fn id(entry: &Value) -> &str {
    entry["id"].as_str().unwrap_or_default()
}

/// Finds the share or chat that a text means.
///
/// # Errors
/// Nothing or several are meant, or the server cannot be asked.
pub(crate) fn share_or_chat(client: &Client, text: &str) -> anyhow::Result<Picked> {
    if let Some(picked) = find_share_or_chat(client, text)? {
        return Ok(picked);
    }
    refuse_legacy(client, text)?;
    bail!(
        "there is no share or chat `{text}`; `readalong list` lists shares, `readalong list --chats` chats"
    )
}

/// Says of a legacy link what it is: it is in no list, and takes no change.
fn refuse_legacy(client: &Client, text: &str) -> anyhow::Result<()> {
    let address = text.split_once("://").map_or(text, |(_, rest)| rest);
    let Some(at) = address.find('/') else {
        return Ok(());
    };
    let share = format!("/api/v1/shares/{}", encode(&address[at..]));
    match client.get::<Value>(&share) {
        Err(error) if client::status(&error) == Some(409) => Err(error),
        _ => Ok(()),
    }
}

/// The shares of a chat.
///
/// # Errors
/// The server cannot be asked.
pub(crate) fn shares_of(client: &Client, chat: &Value) -> anyhow::Result<Vec<Value>> {
    let mut shares = Vec::new();
    let path = format!("/api/v1/shares?chat={}", id(chat));
    for_each(client, &path, &mut |share| {
        shares.push(share.clone());
        Ok(())
    })?;
    Ok(shares)
}

/// Finds the share or chat that a text means; `None` where there is none.
///
/// # Errors
/// Several are meant, or the server cannot be asked.
pub(crate) fn find_share_or_chat(client: &Client, text: &str) -> anyhow::Result<Option<Picked>> {
    if let Some(picked) = find_share(client, text)? {
        return Ok(Some(Picked::Share(picked)));
    }
    Ok(find_chat(client, text)?.map(Picked::Chat))
}

/// Finds the chat that a text means; `None` where there is none.
///
/// # Errors
/// Several are meant, or the server cannot be asked.
pub(crate) fn find_chat(client: &Client, text: &str) -> anyhow::Result<Option<Value>> {
    find(client, "chats", "title", text)
}

fn find_share(client: &Client, text: &str) -> anyhow::Result<Option<Value>> {
    match link::share_id(text) {
        Some(share) => find(client, "shares", "name", share.as_str()),
        None => find(client, "shares", "name", text),
    }
}

fn is_digits(text: &str) -> bool {
    text.len() >= DIGITS_MIN && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// True where a text is an id or the beginning of it.
pub(crate) fn is_beginning(text: &str, id: &str) -> bool {
    is_digits(text) && id.starts_with(&text.to_ascii_lowercase())
}

fn find(client: &Client, what: &str, name: &str, text: &str) -> anyhow::Result<Option<Value>> {
    let mut found: Vec<Value> = Vec::new();
    let mut take = |entry: &Value, is_meant: bool| {
        let is_new = found.iter().all(|other| id(other) != id(entry));
        if is_meant && is_new {
            found.push(entry.clone());
        }
        Ok(())
    };
    if is_digits(text) {
        for_each(client, &format!("/api/v1/{what}"), &mut |entry| {
            take(entry, is_beginning(text, id(entry)))
        })?;
    }
    if !text.trim().is_empty() {
        for_each(
            client,
            &format!("/api/v1/{what}?filter={}", encode(text)),
            &mut |entry| take(entry, entry[name] == text),
        )?;
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        count => bail!("{count} {what} are called `{text}`; name one by its id"),
    }
}
