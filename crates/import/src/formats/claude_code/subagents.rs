//! Subagents: threads of their own, inline in older sessions, in files of their own in newer ones.
//!
//! `<session>/subagents/agent-<id>.jsonl`, before that `agent-<id>.jsonl` beside the session. A thread is joined with the call that
//! started it by progress records, by the call's structured result, or by the prompt.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use readalong_model::{
    Action, Part, Place, Role, Thread, ThreadId, ThreadKind, Timestamp, ToolCall, Visibility,
};
use serde::Deserialize;

use super::{
    ChatBuilder, ClaudeCode, Line, Reader, Record, Refusal, Surroundings, sidecars::is_plain,
};
use crate::{
    formats::{BesideLines, lenient},
    framer::{self, Frame, Framer, Salvaged},
    head::Framing,
};

/// Files of subagents that are read, at most.
const FILES_MAX: usize = 1000;
/// Bytes at the beginning of a file of a subagent that tell when and for whom it began. The first record holds the prompt.
const START_BYTES: usize = 1 << 20;
/// Prompts of a thread that are looked at, at most, for the one that its call holds too: the first that is a text and nothing else.
const FIRST_PROMPTS_MAX: usize = 4;

/// The threads of subagents, by agent.
#[derive(Default)]
pub(super) struct Subagents {
    threads: HashMap<String, ThreadId>,
    /// Agent to the call that started it.
    links: HashMap<String, String>,
    /// Calls that give work away: id, title and prompt.
    calls: Vec<(String, String, String)>,
    /// The first prompts of each thread: place and text; none for one that is more than a text.
    prompts: HashMap<ThreadId, Vec<(usize, Option<String>)>>,
    /// Titles that files beside those of agents tell.
    titles: HashMap<ThreadId, String>,
    /// Prompts that were hidden because their calls hold them: place, and what they were before.
    hidden: HashMap<usize, Visibility>,
    /// Linked calls that have not come yet.
    awaited: HashSet<String>,
    /// Something came that may join threads and calls otherwise.
    changed: bool,
    /// Files of agents, in the order in which they are read, and those of them that tell nothing more beside them.
    files: Vec<String>,
    known: HashSet<String>,
    described: HashSet<String>,
    /// Files beside the session that are of this one or not, for the session that they were looked at for.
    own: HashMap<String, bool>,
    own_for: Option<String>,
}

impl Subagents {
    /// Notes that a call started an agent; the first one counts, later ones resume it.
    pub(super) fn link(&mut self, agent: Option<&str>, call: Option<&str>) {
        if let (Some(agent), Some(call)) = (agent, call)
            && !self.links.contains_key(agent)
        {
            self.links.insert(agent.to_owned(), call.to_owned());
            self.changed = true;
        }
    }

    pub(super) fn note_call(&mut self, call: &ToolCall) {
        if let Action::Delegate { title, prompt } = &call.action {
            self.calls
                .push((call.call_id.clone(), title.clone(), prompt.clone()));
            self.changed = true;
        }
        self.changed |= self.awaited.remove(&call.call_id);
    }

    /// Notes a prompt that was put.
    pub(super) fn note_prompt(&mut self, thread: ThreadId, place: usize, parts: &[Part]) {
        if thread.is_main() {
            return;
        }
        let prompts = self.prompts.entry(thread).or_default();
        if prompts.len() < FIRST_PROMPTS_MAX {
            let text = match parts {
                [Part::Text { markdown }] => Some(markdown.clone()),
                _ => None,
            };
            self.changed |= text.is_some();
            prompts.push((place, text));
        }
    }

    /// Notes that a prompt holds more than its text.
    pub(super) fn note_more(&mut self, thread: ThreadId, place: usize) {
        let prompts = self.prompts.entry(thread).or_default();
        if let Some(prompt) = prompts.iter_mut().find(|prompt| prompt.0 == place) {
            prompt.1 = None;
            self.changed = true;
        }
    }

    /// The first prompt of a thread that is a text: its place and text.
    fn first_prompt(&self, thread: ThreadId) -> Option<(usize, &str)> {
        let mut prompts = self.prompts.get(&thread)?.iter();
        prompts.find_map(|(place, text)| Some((*place, text.as_deref()?)))
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
        self.subagents.changed = true;
        thread
    }

    /// What looked like a subagent's own file is a session that begins with one.
    fn end_export(&mut self, chat: &mut ChatBuilder) {
        let Some(agent) = self.exported_agent.take() else {
            return;
        };
        let thread = self.thread_for(&agent, chat);
        for place in chat.move_messages(ThreadId::MAIN, thread) {
            if chat
                .kind_at(place)
                .is_some_and(|(role, ..)| role == Role::User)
                && let Some(message) = chat.peek_at(place)
            {
                self.subagents.note_prompt(thread, place, &message.parts);
            }
        }
        self.tree.move_thread(ThreadId::MAIN, thread);
        if let Some(open) = self.open.remove(&ThreadId::MAIN) {
            self.open.insert(thread, open);
        }
    }

    /// The files of subagents that lie beside the session: in a folder of its own and in those of its workflows, in older sessions beside it
    /// among those of other sessions.
    pub(super) fn subagent_files(
        &mut self,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<Vec<String>> {
        if !is_plain(&self.stem) || self.exported_agent.is_some() {
            return Ok(Vec::new());
        }
        let mut folders = vec![format!("{}/subagents/", self.stem)];
        // Those that a workflow starts have a folder for each of its runs.
        let runs = format!("{}/subagents/workflows/", self.stem);
        let names = surroundings.names_in(runs.trim_end_matches('/'));
        let names = names.into_iter().filter(|name| name.ends_with('/'));
        folders.extend(names.take(FILES_MAX).map(|name| runs.clone() + &name));
        let mut found: Vec<(String, String)> = Vec::new();
        for folder in folders {
            let names = surroundings.names_in(folder.trim_end_matches('/'));
            let agents = names.iter().filter_map(|name| agent_of(name));
            let paths =
                agents.map(|agent| (agent.to_owned(), format!("{folder}agent-{agent}.jsonl")));
            found.extend(paths.take(FILES_MAX - found.len()));
        }
        let mut new: Vec<(Option<Timestamp>, String)> = Vec::new();
        for (agent, path) in found {
            if !self.subagents.known.contains(&agent) {
                self.subagents.known.insert(agent);
                let start = surroundings.beside_start(&path, START_BYTES)?;
                new.push((start.as_deref().and_then(begun_at), path));
            }
        }
        // By their beginnings: a file that comes later stands later, however it is called.
        new.sort();
        let found_new = !new.is_empty();
        self.subagents
            .files
            .extend(new.into_iter().map(|(_, path)| path));
        // What those files say may tell of older ones.
        if !found_new {
            self.older_files(surroundings)?;
        }
        Ok(self.subagents.files.clone())
    }

    fn older_files(&mut self, surroundings: &mut dyn Surroundings) -> io::Result<()> {
        let subagents = &self.subagents;
        let mut agents: Vec<String> = subagents
            .links
            .keys()
            .filter(|agent| !subagents.known.contains(*agent) && is_plain(agent))
            .cloned()
            .collect();
        agents.sort();
        let linked: HashSet<&String> = subagents.links.values().collect();
        if subagents
            .calls
            .iter()
            .any(|(call, ..)| !linked.contains(call))
        {
            let names = surroundings.names_in("");
            let more = names
                .iter()
                .filter_map(|name| agent_of(name))
                .filter(|agent| !subagents.known.contains(*agent))
                .filter(|agent| !subagents.links.contains_key(*agent));
            agents.extend(more.take(FILES_MAX).map(str::to_owned));
        }
        for agent in agents {
            let path = format!("agent-{agent}.jsonl");
            if path.strip_suffix(".jsonl") != Some(&self.stem)
                && self.is_own(&path, surroundings)?
            {
                self.subagents.known.insert(agent);
                self.subagents.files.push(path);
            }
        }
        Ok(())
    }

    /// True for a file whose first record is of this session.
    fn is_own(&mut self, path: &str, surroundings: &mut dyn Surroundings) -> io::Result<bool> {
        if self.subagents.own_for != self.session {
            self.subagents.own.clear();
            self.subagents.own_for.clone_from(&self.session);
        }
        if let Some(is_own) = self.subagents.own.get(path) {
            return Ok(*is_own);
        }
        let Some(start) = surroundings.beside_start(path, START_BYTES)? else {
            return Ok(false);
        };
        let Some(first) = first_line(&start) else {
            return Ok(false);
        };
        let is_own = first.session().is_some() && first.session() == self.session.as_deref();
        self.subagents.own.insert(path.to_owned(), is_own);
        Ok(is_own)
    }

    fn read_meta(
        &mut self,
        path: &str,
        agent: &str,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let Some(bytes) = surroundings.beside(path)? else {
            return Ok(());
        };
        let Ok(meta) = serde_json::from_slice::<Meta<'_>>(&bytes) else {
            return Ok(());
        };
        self.subagents.link(Some(agent), meta.call.as_deref());
        self.subagents.described.insert(agent.to_owned());
        if let (Some(thread), Some(title)) = (
            self.subagents.threads.get(agent),
            meta.description.or(meta.agent_type),
        ) {
            self.subagents.titles.insert(*thread, title.into_owned());
            self.subagents.changed = true;
        }
        Ok(())
    }

    /// Reads lines of a subagent's file.
    pub(super) fn read_subagent(
        &mut self,
        lines: &BesideLines<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let name = lines.path.rsplit('/').next().unwrap_or(lines.path);
        let Some(agent) = agent_of(name) else {
            return Ok(());
        };
        let thread = self.thread_for(agent, chat);
        let visibility = if kind_of(agent) == ThreadKind::Subagent {
            Visibility::Shown
        } else {
            Visibility::Hidden
        };
        self.inside = Some((thread, visibility));
        chat.read_within(Some(agent));
        let read = self.read_lines(lines, chat, surroundings);
        chat.read_within(None);
        self.inside = None;
        read?;
        if !self.subagents.described.contains(agent)
            && let Some(folder) = lines
                .path
                .strip_suffix(name)
                .filter(|path| !path.is_empty())
        {
            let path = format!("{folder}agent-{agent}.meta.json");
            self.read_meta(&path, agent, surroundings)?;
        }
        Ok(())
    }

    fn read_lines(
        &mut self,
        lines: &BesideLines<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let mut place = Place {
            file: lines.path.to_owned(),
            unit: "line",
            number: 0,
        };
        let mut framer = Framer::new(lines.bytes, Framing::Lines);
        while let Some(frame) = framer.next()? {
            match frame {
                Frame::Piece { bytes, number } => {
                    place.number = lines.number + number - 1;
                    chat.at(&place);
                    self.take_piece(framer::trim(bytes), &place, chat, surroundings)?;
                }
                Frame::Skipped { number, reason } => {
                    place.number = lines.number + number - 1;
                    chat.at(&place);
                    damaged(reason, chat);
                }
            }
        }
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
        if !std::mem::take(&mut self.subagents.changed) {
            return;
        }
        let links = self.links();
        let by_id: HashMap<&str, (&str, &str)> = self
            .subagents
            .calls
            .iter()
            .map(|(id, title, prompt)| (id.as_str(), (title.as_str(), prompt.as_str())))
            .collect();
        let mut hidden: HashSet<usize> = HashSet::new();
        for thread in self.subagents.threads.values() {
            let call = links.get(thread).map(String::as_str);
            let known = call.and_then(|call| by_id.get(call).copied());
            let title = known
                .map(|(title, _)| title)
                .filter(|title| !title.is_empty());
            let title = title.or_else(|| self.subagents.titles.get(thread).map(String::as_str));
            let entry = chat.chat.threads.get(thread.0 as usize);
            let is_so = |entry: &Thread| {
                entry.parent_call.as_deref() == call && entry.title.as_deref() == title
            };
            if !entry.is_some_and(is_so)
                && let Some(entry) = chat.thread_mut(*thread)
            {
                entry.parent_call = call.map(str::to_owned);
                entry.title = title.map(str::to_owned);
            }
            let first = self.subagents.first_prompt(*thread);
            if let (Some((place, text)), Some((_, prompt))) = (first, known)
                && text.trim() == prompt.trim()
            {
                hidden.insert(place);
            }
        }
        self.hide_prompts(&hidden, chat);
    }

    /// The calls that started threads: as records tell, else by their prompts.
    fn links(&mut self) -> HashMap<ThreadId, String> {
        let subagents = &mut self.subagents;
        let mut threads: Vec<(&String, ThreadId)> = subagents
            .threads
            .iter()
            .map(|(agent, thread)| (agent, *thread))
            .collect();
        threads.sort_by_key(|(_, thread)| *thread);
        let mut links: HashMap<ThreadId, String> = HashMap::new();
        let mut taken: HashSet<&str> = HashSet::new();
        subagents.awaited.clear();
        for (agent, thread) in &threads {
            match subagents.links.get(*agent) {
                Some(call) if self.call_places.has(call) => {
                    taken.insert(call);
                    links.insert(*thread, call.clone());
                }
                Some(call) => drop(subagents.awaited.insert(call.clone())),
                None => {}
            }
        }
        let mut by_prompt: HashMap<&str, Vec<&str>> = HashMap::new();
        for (call, _, prompt) in subagents
            .calls
            .iter()
            .rev()
            .filter(|(call, ..)| !taken.contains(call.as_str()))
        {
            by_prompt.entry(prompt.trim()).or_default().push(call);
        }
        for (_, thread) in &threads {
            if links.contains_key(thread) {
                continue;
            }
            let call = subagents
                .first_prompt(*thread)
                .and_then(|(_, prompt)| by_prompt.get_mut(prompt.trim())?.pop());
            links.extend(call.map(|call| (*thread, call.to_owned())));
        }
        links
    }

    /// Hides the prompts at these places, and shows again those that were hidden so and are not among them.
    fn hide_prompts(&mut self, places: &HashSet<usize>, chat: &mut ChatBuilder) {
        let before = &mut self.subagents.hidden;
        for place in places {
            if !before.contains_key(place)
                && let Some(message) = chat.message_at(*place)
            {
                before.insert(*place, message.visibility);
                message.visibility = Visibility::Hidden;
            }
        }
        before.retain(|place, visibility| {
            let stays = places.contains(place);
            if !stays && let Some(message) = chat.message_at(*place) {
                message.visibility = *visibility;
            }
            stays
        });
    }
}

/// The first record that can be read at the beginning of a file.
fn first_line(start: &[u8]) -> Option<Line<'_>> {
    start
        .split(|byte| *byte == b'\n')
        .find_map(|line| serde_json::from_slice(framer::trim(line)).ok())
}

/// When a file began that begins so.
fn begun_at(start: &[u8]) -> Option<Timestamp> {
    start
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Line<'_>>(framer::trim(line)).ok())
        .find_map(|line| line.timestamp)
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
