//! Brings one chat of a transcript into a data folder: only what is not there yet is sent.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use anyhow::Context;
use readalong_import::{ImportError, Imported, Pick, Transcript};
use readalong_model::{ChangeSet, Chat, ChatHead};
use serde_json::{Value, json};

use crate::{
    client::{Client, encode},
    cmd::export::list_chats,
    config::Config,
    files::{self, Neighbours},
    output,
    pick::id,
    redaction::{self, Redaction, Spooled},
};

/// Messages in one request.
const MESSAGES_AT_ONCE: usize = 500;
/// Bytes of messages in one request, about.
const BYTES_AT_ONCE: usize = 4 << 20;

/// Reads a chat of a transcript and brings it into the data folder; answers with the chat as the API has it.
///
/// # Errors
/// The transcript cannot be read, or the data folder does not take it.
pub(crate) fn upload(
    client: &Client,
    file: &Path,
    pick: Option<&str>,
    format: Option<&str>,
    (redaction, config): (&Redaction, &Config),
) -> anyhow::Result<Value> {
    let redactor = redaction.redactor(config)?;
    let bar = output::progress_bar("reading", 0, true);
    let transcript = Transcript::open(files::source(file, &bar)?, format)?;
    let mut neighbours = Neighbours::of(file).context("cannot make a temporary folder")?;
    let pick = pick.map_or(Pick::Only, |pick| Pick::Named(pick.to_owned()));
    let imported = transcript.read(&pick, &mut neighbours);
    bar.finish_and_clear();
    let Imported {
        mut chat, warnings, ..
    } = match imported {
        Err(error @ ImportError::ManyChats { .. }) => {
            list_chats(&transcript)?;
            return Err(error.into());
        }
        imported => imported?,
    };
    output::print_warnings(&warnings);
    let report = redactor.chat(&mut chat, &mut Spooled(neighbours.spool()))?;
    redaction.check(&report)?;
    redaction::note(&report);
    let source = readalong_live::source_key(&chat.origin, file, &files::host_name());
    let made: Value = client.post(
        "/api/v1/chats",
        &json!({ "source": source, "head": ChatHead::of(&chat), "kept": redaction.waived() }),
    )?;
    let path = format!("/api/v1/chats/{}", encode(id(&made)));
    for artifact in &chat.artifacts {
        if let Some((digest, _)) = artifact.bytes() {
            let bytes = neighbours.spool().read(digest)?;
            let _: Value = client.send(
                "PUT",
                &format!("{path}/artifacts/{digest}"),
                "application/octet-stream",
                &bytes,
            )?;
        }
    }
    send_changes(client, &path, chat)?;
    client.get(&path)
}

fn send_changes(client: &Client, path: &str, chat: Chat) -> anyhow::Result<()> {
    let index: Value = client.get(&format!("{path}/index"))?;
    let there: HashMap<&str, (u64, &str)> = index["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some((entry[0].as_str()?, (entry[2].as_u64()?, entry[1].as_str()?))))
        .collect();
    let head = ChatHead::of(&chat);
    let kept: HashSet<&str> = chat
        .messages
        .iter()
        .map(|message| message.id.0.as_str())
        .collect();
    let gone = there.keys().filter(|id| !kept.contains(*id));
    let mut changes = ChangeSet {
        removed: gone
            .map(|id| readalong_model::MessageId((*id).to_owned()))
            .collect(),
        head: Some(head),
        threads: numbered(&chat.threads),
        artifacts: numbered(&chat.artifacts),
        ..ChangeSet::default()
    };
    drop(kept);
    let bar = output::progress_bar("taking", chat.messages.len() as u64, false);
    let mut bytes = 0;
    for (place, message) in chat.messages.into_iter().enumerate() {
        bar.inc(1);
        let digest = message.digest().to_string();
        if there.get(message.id.0.as_str()) == Some(&(place as u64, digest.as_str())) {
            continue;
        }
        bytes += serde_json::to_vec(&message)?.len();
        changes.messages.push((place as u32, message));
        if changes.messages.len() >= MESSAGES_AT_ONCE || bytes >= BYTES_AT_ONCE {
            send(client, path, std::mem::take(&mut changes))?;
            bytes = 0;
        }
    }
    bar.finish_and_clear();
    send(client, path, changes)
}

fn send(client: &Client, path: &str, changes: ChangeSet) -> anyhow::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut changes = serde_json::to_value(changes)?;
    // In pieces: until the last of them a place may be that of two messages.
    changes["unsettled"] = Value::Bool(true);
    let _: Value = client.post(&format!("{path}/changes"), &changes)?;
    Ok(())
}

fn numbered<T: Clone>(list: &[T]) -> Vec<(u32, T)> {
    (0..).zip(list.iter().cloned()).collect()
}
