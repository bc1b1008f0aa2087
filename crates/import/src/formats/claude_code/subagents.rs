//! Subagents: threads of their own, inline in older sessions, in files of their own in newer ones.
//!
//! `<session>/subagents/agent-<id>.jsonl`, before that `agent-<id>.jsonl` beside the session. A thread is joined with the call that
//! started it by progress records, by the call's structured result, or by the prompt.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use readalong_model::{
    Action, Part, Place, Role, Thread, ThreadId, ThreadKind, ToolCall, Visibility,
};
use serde::Deserialize;

use super::{
    ChatBuilder, ClaudeCode, Line, Reader, Record, Refusal, Surroundings, sidecars::is_plain,
};
use crate::{
    formats::lenient,
    framer::{self, Frame, Framer, Salvaged},
    head::Framing,
};

/// Files of subagents that are read, at most.
const FILES_MAX: usize = 1000;

/// The threads of subagents, by agent.
#[derive(Default)]
pub(super) struct Subagents {
    threads: HashMap<String, ThreadId>,
    /// Agent to the call that started it.
    links: HashMap<String, String>,
    /// Calls that give work away: id, title and prompt.
    calls: Vec<(String, String, String)>,
}

impl Subagents {
    /// Notes that a call started an agent; the first one counts, later ones resume it.
    pub(super) fn link(&mut self, agent: Option<&str>, call: Option<&str>) {
        if let (Some(agent), Some(call)) = (agent, call)
            && !self.links.contains_key(agent)
        {
            self.links.insert(agent.to_owned(), call.to_owned());
        }
    }

    pub(super) fn note_call(&mut self, call: &ToolCall) {
        if let Action::Delegate { title, prompt } = &call.action {
            self.calls
                .push((call.call_id.clone(), title.clone(), prompt.clone()));
        }
    }
}

/// What `agent-<id>.meta.json` says.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(borrow, deserialize_with = "lenient::text")]
    description: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    agent_type: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, rename = "toolUseId", deserialize_with = "lenient::text")]
    call: Option<std::borrow::Cow<'a, str>>,
}

impl ClaudeCode {
    /// The thread of a record.
    pub(super) fn thread_of(&mut self, line: &Line<'_>, chat: &mut ChatBuilder) -> ThreadId {
        if let Some((thread, _)) = self.inside {
            return thread;
        }
        let is_side = line.is_sidechain || line.stream_parent.is_some();
        let begun = std::mem::replace(&mut self.begun, true);
        if !begun && line.is_sidechain && line.stream_parent.is_none() {
            // The file may be a subagent's own.
            self.exported_agent = Some(line.agent_id.as_deref().unwrap_or_default().to_owned());
        }
        match &self.exported_agent {
            Some(_) if !is_side => self.end_export(chat),
            Some(agent) if line.agent_id.as_deref().unwrap_or_default() == agent => {
                return ThreadId::MAIN;
            }
            _ => {}
        }
        if !is_side {
            return ThreadId::MAIN;
        }
        let above = self
            .tree
            .above(line.parent_uuid.as_deref())
            .and_then(|node| self.tree.node(node))
            .map(|node| node.thread);
        let key = match (line.agent_id.as_deref(), line.stream_parent.as_deref()) {
            (Some(agent), _) => agent.to_owned(),
            (None, Some(call)) => format!("call {call}"),
            (None, None) => match above.filter(|thread| !thread.is_main()) {
                Some(thread) => return thread,
                None => format!("root {}", line.uuid.as_deref().unwrap_or_default()),
            },
        };
        if let Some(call) = line.stream_parent.as_deref() {
            self.subagents.link(Some(&key), Some(call));
        }
        self.thread_for(&key, chat)
    }

    fn thread_for(&mut self, key: &str, chat: &mut ChatBuilder) -> ThreadId {
        if let Some(thread) = self.subagents.threads.get(key) {
            return *thread;
        }
        let kind = kind_of(key);
        let thread = chat.add_thread(Thread {
            kind,
            title: None,
            parent_call: None,
        });
        self.subagents.threads.insert(key.to_owned(), thread);
        thread
    }

    /// What looked like a subagent's own file is a session that begins with one.
    fn end_export(&mut self, chat: &mut ChatBuilder) {
        let Some(agent) = self.exported_agent.take() else {
            return;
        };
        let thread = self.thread_for(&agent, chat);
        chat.move_messages(ThreadId::MAIN, thread);
        self.tree.move_thread(ThreadId::MAIN, thread);
        if let Some(open) = self.open.remove(&ThreadId::MAIN) {
            self.open.insert(thread, open);
        }
    }

    /// Reads the files of subagents that lie beside the session.
    pub(super) fn read_subagents(
        &mut self,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        if !is_plain(&self.stem) || self.exported_agent.is_some() {
            return Ok(());
        }
        let folder = format!("{}/subagents", self.stem);
        let names = surroundings.names_in(&folder);
        let mut read: HashSet<String> = HashSet::new();
        for name in names
            .iter()
            .filter(|name| agent_of(name).is_some())
            .take(FILES_MAX)
        {
            let Some(agent) = agent_of(name) else {
                continue;
            };
            read.insert(agent.to_owned());
            let path = format!("{folder}/{name}");
            if let Some(bytes) = surroundings.beside(&path)? {
                self.read_subagent(&path, agent, &bytes, chat, surroundings)?;
                self.read_meta(
                    &format!("{folder}/agent-{agent}.meta.json"),
                    agent,
                    chat,
                    surroundings,
                )?;
            }
        }
        self.read_older(&read, chat, surroundings)
    }

    /// Files of older sessions lie beside them, among those of other sessions.
    fn read_older(
        &mut self,
        read: &HashSet<String>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let mut agents: Vec<String> = self
            .subagents
            .links
            .keys()
            .filter(|agent| !read.contains(*agent) && is_plain(agent))
            .cloned()
            .collect();
        agents.sort();
        let linked: HashSet<&String> = self.subagents.links.values().collect();
        if self
            .subagents
            .calls
            .iter()
            .any(|(call, ..)| !linked.contains(call))
        {
            let names = surroundings.names_in("");
            let more = names
                .iter()
                .filter_map(|name| agent_of(name))
                .filter(|agent| !read.contains(*agent))
                .map(str::to_owned);
            agents.extend(
                more.take(FILES_MAX)
                    .filter(|agent| !self.subagents.links.contains_key(agent))
                    .collect::<Vec<_>>(),
            );
        }
        for agent in agents {
            let path = format!("agent-{agent}.jsonl");
            if path.strip_suffix(".jsonl") == Some(&self.stem) {
                continue;
            }
            if let Some(bytes) = surroundings
                .beside(&path)?
                .filter(|bytes| self.is_own(bytes))
            {
                self.read_subagent(&path, &agent, &bytes, chat, surroundings)?;
            }
        }
        Ok(())
    }

    /// True for a file whose first record is of this session.
    fn is_own(&self, bytes: &[u8]) -> bool {
        let mut lines = bytes
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Line<'_>>(framer::trim(line)).ok());
        lines.next().is_some_and(|line| {
            line.session().is_some() && line.session() == self.session.as_deref()
        })
    }

    fn read_meta(
        &mut self,
        path: &str,
        agent: &str,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let Some(bytes) = surroundings.beside(path)? else {
            return Ok(());
        };
        let Ok(meta) = serde_json::from_slice::<Meta<'_>>(&bytes) else {
            return Ok(());
        };
        self.subagents.link(Some(agent), meta.call.as_deref());
        let thread = self
            .subagents
            .threads
            .get(agent)
            .and_then(|thread| chat.chat.threads.get_mut(thread.0 as usize));
        if let Some(thread) = thread {
            thread.title = meta
                .description
                .or(meta.agent_type)
                .map(std::borrow::Cow::into_owned);
        }
        Ok(())
    }

    fn read_subagent(
        &mut self,
        path: &str,
        agent: &str,
        bytes: &[u8],
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let thread = self.thread_for(agent, chat);
        let visibility = if kind_of(agent) == ThreadKind::Subagent {
            Visibility::Shown
        } else {
            Visibility::Hidden
        };
        self.inside = Some((thread, visibility));
        let mut place = Place {
            file: path.to_owned(),
            unit: "line",
            number: 0,
        };
        let mut framer = Framer::new(bytes, Framing::Lines);
        while let Some(frame) = framer.next()? {
            match frame {
                Frame::Piece { bytes, number } => {
                    place.number = number;
                    chat.at(&place);
                    self.take_piece(framer::trim(bytes), &place, chat, surroundings)?;
                }
                Frame::Skipped { number, reason } => {
                    place.number = number;
                    chat.at(&place);
                    damaged(reason, chat);
                }
            }
        }
        self.inside = None;
        Ok(())
    }

    fn take_piece(
        &mut self,
        bytes: &[u8],
        place: &Place,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self.push(&Record { bytes, place }, chat, surroundings) {
            Ok(_) => return Ok(()),
            Err(Refusal::Io(error)) => return Err(error),
            Err(Refusal::Unreadable(_)) => {}
        }
        for salvaged in framer::salvage(bytes) {
            let (json, note) = match salvaged {
                Salvaged::Lost { bytes } => {
                    damaged(format!("{bytes} bytes could not be read"), chat);
                    continue;
                }
                Salvaged::Value { json, note } => (json, note),
            };
            match self.push(
                &Record {
                    bytes: json.as_bytes(),
                    place,
                },
                chat,
                surroundings,
            ) {
                Ok(_) => {
                    chat.warn(note.unwrap_or("several records stand in one place; all were read"))
                }
                Err(Refusal::Io(error)) => return Err(error),
                Err(Refusal::Unreadable(reason)) => {
                    damaged(format!("a record could not be read: {reason}"), chat)
                }
            }
        }
        Ok(())
    }

    /// Joins threads with the calls that started them, and hides the prompts that those calls hold already.
    pub(super) fn link_subagents(&mut self, chat: &mut ChatBuilder) {
        let by_id: HashMap<&str, &(String, String, String)> = self
            .subagents
            .calls
            .iter()
            .map(|call| (call.0.as_str(), call))
            .collect();
        let firsts = first_prompts(chat);
        let mut taken: HashSet<&str> = HashSet::new();
        let mut threads: Vec<(&String, ThreadId)> = self
            .subagents
            .threads
            .iter()
            .map(|(agent, thread)| (agent, *thread))
            .collect();
        threads.sort_by_key(|(_, thread)| *thread);
        let mut links: Vec<(ThreadId, &str)> = Vec::new();
        for (agent, thread) in &threads {
            if let Some(call) = self
                .subagents
                .links
                .get(*agent)
                .filter(|call| self.call_places.contains_key(*call))
            {
                taken.insert(call);
                links.push((*thread, call));
            }
        }
        let mut by_prompt: HashMap<&str, Vec<&str>> = HashMap::new();
        for (call, _, prompt) in self
            .subagents
            .calls
            .iter()
            .rev()
            .filter(|(call, ..)| !taken.contains(call.as_str()))
        {
            by_prompt.entry(prompt.trim()).or_default().push(call);
        }
        for (_, thread) in threads
            .iter()
            .filter(|(_, thread)| !links.iter().any(|(linked, _)| linked == thread))
            .collect::<Vec<_>>()
        {
            let call = firsts
                .get(thread)
                .and_then(|(_, prompt)| by_prompt.get_mut(prompt.trim())?.pop());
            links.extend(call.map(|call| (*thread, call)));
        }
        for (thread, call) in links {
            let Some(entry) = chat.chat.threads.get_mut(thread.0 as usize) else {
                continue;
            };
            entry.parent_call = Some(call.to_owned());
            let Some((_, title, prompt)) = by_id.get(call) else {
                continue;
            };
            if !title.is_empty() {
                entry.title = Some(title.clone());
            }
            let first = firsts
                .get(&thread)
                .filter(|(_, first)| first.trim() == prompt.trim());
            if let Some(message) = first.and_then(|(place, _)| chat.chat.messages.get_mut(*place)) {
                message.visibility = Visibility::Hidden;
            }
        }
    }
}

/// The first prompt of each thread: its place and text.
fn first_prompts(chat: &ChatBuilder) -> HashMap<ThreadId, (usize, String)> {
    let mut firsts = HashMap::new();
    for (place, message) in chat
        .chat
        .messages
        .iter()
        .enumerate()
        .filter(|(_, message)| message.role == Role::User && !message.thread.is_main())
    {
        if let [Part::Text { markdown }] = message.parts.as_slice() {
            firsts
                .entry(message.thread)
                .or_insert_with(|| (place, markdown.clone()));
        }
    }
    firsts
}

fn damaged(reason: String, chat: &mut ChatBuilder) {
    chat.chat.damaged_records += 1;
    chat.warn(reason);
}

/// The agent whose file has that name.
fn agent_of(name: &str) -> Option<&str> {
    name.strip_prefix("agent-")?
        .strip_suffix(".jsonl")
        .filter(|agent| is_plain(agent))
}

fn kind_of(agent: &str) -> ThreadKind {
    if agent.starts_with("acompact") {
        ThreadKind::Compaction
    } else if agent.starts_with("aprompt_suggestion") {
        ThreadKind::Side
    } else {
        ThreadKind::Subagent
    }
}
