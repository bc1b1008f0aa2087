//! The whole snapshot beside the pages: `chat.json` for machines and `chat.md` for people.

use std::fmt::Write as _;

use rayon::prelude::*;
use readalong_model::{Action, CallState, Message, Part, Role, Snapshot, ThreadId};

use crate::{activity, outline::Outline, parts::readable_json, terminal};

/// Messages that are written at once, and by one task of those that write side by side.
const MESSAGES_AT_ONCE: usize = 512;
const MESSAGES_PER_TASK: usize = 64;
/// The version of `chat.json` that is written.
const JSON_VERSION: u32 = 1;

/// `chat.json`: an object whose first member tells the version, whose last is the list of messages, one a line.
pub(crate) fn json(snapshot: &Snapshot) -> impl Iterator<Item = Vec<u8>> {
    let mut separator: &[u8] = b"";
    let chunks = snapshot
        .messages
        .chunks(MESSAGES_AT_ONCE)
        .flat_map(|chunk| {
            let pieces: Vec<Vec<u8>> = chunk
                .par_chunks(MESSAGES_PER_TASK)
                .map(json_lines)
                .collect();
            pieces
        });
    let chunks =
        chunks.flat_map(move |piece| [std::mem::replace(&mut separator, b",").to_vec(), piece]);
    std::iter::once(json_begin(snapshot))
        .chain(chunks)
        .chain(std::iter::once(JSON_END.to_vec()))
}

/// The end of `chat.json`, after the last message.
pub(crate) const JSON_END: &[u8] = b"\n]}\n";

/// The beginning of `chat.json`, up to the first message.
pub(crate) fn json_begin(snapshot: &Snapshot) -> Vec<u8> {
    let head = serde_json::to_string(snapshot).unwrap_or_default();
    let members = head
        .strip_prefix('{')
        .and_then(|head| head.strip_suffix('}'))
        .unwrap_or_default();
    format!("{{\"readalong\":{JSON_VERSION},{members},\"messages\":[").into_bytes()
}

/// Some messages of `chat.json`: the first ones, or some that follow others.
pub(crate) fn json_piece(messages: &[Message], is_first: bool) -> Vec<u8> {
    let mut piece = json_lines(messages);
    if !is_first {
        piece.insert(0, b',');
    }
    piece
}

/// Messages as JSON, each on a line that begins with a line feed, with commas between them.
fn json_lines(messages: &[Message]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        lines.extend_from_slice(if number == 0 { b"\n" } else { b",\n" });
        let length = lines.len();
        // Writing into memory fails for no message of ours; a line that did would be cut, not half-written.
        if serde_json::to_writer(&mut lines, message).is_err() {
            lines.truncate(length);
            lines.extend_from_slice(b"null");
        }
    }
    lines
}

/// `chat.md`: the chat as it is read first, then its other branches and threads.
pub(crate) fn markdown<'a>(
    snapshot: &'a Snapshot,
    outline: &'a Outline<'a>,
) -> impl Iterator<Item = Vec<u8>> + 'a {
    let mut begin = format!("# {}\n", one_line(&snapshot.title));
    for (name, value) in [
        ("From", snapshot.origin.app.clone()),
        ("Begun", snapshot.created_at.map(|at| at.to_string())),
    ] {
        if let Some(value) = value {
            let _ = write!(begin, "\n{name}: {}  ", one_line(&value));
        }
    }
    begin.push('\n');
    let sections = sections(snapshot, outline)
        .into_iter()
        .flat_map(move |(title, path)| {
            let title = std::iter::once(title.map_or_else(Vec::new, |title| {
                format!("\n---\n\n# {title}\n").into_bytes()
            }));
            let chunks: Vec<Vec<usize>> = path
                .chunks(MESSAGES_AT_ONCE)
                .map(<[usize]>::to_vec)
                .collect();
            title.chain(chunks.into_iter().map(move |chunk| {
                let one = |places: &[usize]| {
                    let mut text = String::new();
                    places.iter().for_each(|place| {
                        push_message(&mut text, snapshot, outline.message(*place))
                    });
                    text
                };
                let texts: Vec<String> = chunk.par_chunks(MESSAGES_PER_TASK).map(one).collect();
                texts.concat().into_bytes()
            }))
        });
    std::iter::once(begin.into_bytes()).chain(sections)
}

/// Every message stands in one section: the main path, the branches beside it, the threads.
fn sections(snapshot: &Snapshot, outline: &Outline<'_>) -> Vec<(Option<String>, Vec<usize>)> {
    let mut sections = Vec::new();
    let mut written = vec![false; snapshot.messages.len()];
    // Every branch waits once, however many versions name it.
    let mut waits = written.clone();
    for (number, thread) in snapshot.threads.iter().enumerate() {
        let main = outline.path_of(ThreadId(number as u32));
        let title = (number > 0).then(|| {
            format!(
                "Thread {number}{}",
                thread
                    .title
                    .as_ref()
                    .map(|title| format!(": {}", one_line(title)))
                    .unwrap_or_default()
            )
        });
        let mut open = vec![(title, main)];
        while let Some((title, path)) = open.pop() {
            let fresh: Vec<usize> = path
                .into_iter()
                .filter(|place| !std::mem::replace(&mut written[*place], true))
                .collect();
            if fresh.is_empty() {
                continue;
            }
            for place in fresh.iter().rev() {
                let others = outline.index.alternatives(*place);
                for other in others.iter().rev() {
                    if !written[*other] && !std::mem::replace(&mut waits[*other], true) {
                        let title = "Another version of a message above".to_owned();
                        open.push((Some(title), outline.index.branch_from(*other)));
                    }
                }
            }
            sections.push((title, fresh));
        }
    }
    sections
}

fn push_message(out: &mut String, snapshot: &Snapshot, message: &Message) {
    let is_heading = matches!(message.role, Role::User | Role::Assistant)
        && message.parts.iter().any(|part| {
            matches!(
                part,
                Part::Text { .. } | Part::Image { .. } | Part::File { .. }
            )
        });
    if is_heading {
        let who = match (&message.author.name, message.role) {
            (Some(name), _) => one_line(name),
            (None, Role::User) => "User".to_owned(),
            (None, _) => "Assistant".to_owned(),
        };
        let _ = write!(out, "\n## {who}");
        if let Some(model) = &message.author.model {
            let _ = write!(out, " ({})", one_line(model));
        }
        if let Some(at) = message.at {
            let _ = write!(out, " · {at}");
        }
        out.push('\n');
    }
    for part in &message.parts {
        push_part(out, snapshot, part);
    }
}

fn push_part(out: &mut String, snapshot: &Snapshot, part: &Part) {
    match part {
        Part::Text { markdown } => _ = writeln!(out, "\n{}", markdown.trim_end_matches('\n')),
        Part::Reasoning { markdown, .. } => {
            out.push_str("\n> Thought\n");
            for line in markdown.lines() {
                let _ = writeln!(out, "> {line}");
            }
        }
        Part::ToolCall(call) => {
            let line = activity::line(call);
            let state = match call.state {
                CallState::Done => "",
                CallState::NoResult => " (no result)",
                CallState::Failed => " (failed)",
                CallState::Denied => " (refused)",
            };
            let _ = write!(
                out,
                "\n**{}** {}{state}\n",
                one_line(&line.verb),
                one_line(&line.object_full.or(line.object).unwrap_or_default())
            );
            push_action(out, &call.action);
            if let Some(input) = &call.input {
                push_fence(out, "", &readable_json(input.get()));
            }
        }
        Part::ToolResult { parts, .. } => {
            for part in parts {
                match part {
                    Part::Text { markdown } => push_fence(out, "", &terminal::plain_text(markdown)),
                    other => push_part(out, snapshot, other),
                }
            }
        }
        Part::Image { artifact, .. } | Part::File { artifact } => {
            let Some(artifact) = snapshot.artifacts.get(artifact.0 as usize) else {
                return;
            };
            let name = one_line(&artifact.name).replace(['[', ']'], "");
            match artifact.path() {
                Some(path) => _ = writeln!(out, "\n[{name}]({path})"),
                None => _ = writeln!(out, "\n{name} (not here)"),
            }
        }
        Part::Source { title, url, .. } => {
            _ = write!(
                out,
                "\n- {} {}\n",
                one_line(title),
                url.as_deref().map(one_line).unwrap_or_default()
            )
        }
        Part::Notice { kind, text } => {
            let kind = serde_json::to_string(kind).unwrap_or_default();
            let _ = writeln!(out, "\n> [{}]", kind.trim_matches('"'));
            for line in text.lines() {
                let _ = writeln!(out, "> {line}");
            }
        }
        Part::Unknown { json, .. } => push_fence(out, "json", json.get()),
    }
}

fn push_action(out: &mut String, action: &Action) {
    match action {
        Action::Write { content, .. } => push_fence(out, "", content),
        Action::Edit { edits, .. } => {
            for edit in edits {
                match edit {
                    readalong_model::Edit::Replace { old, new } => {
                        let mut diff = String::new();
                        old.lines().for_each(|line| _ = writeln!(diff, "-{line}"));
                        new.lines().for_each(|line| _ = writeln!(diff, "+{line}"));
                        push_fence(out, "diff", &diff);
                    }
                    readalong_model::Edit::Unified { diff } => push_fence(out, "diff", diff),
                }
            }
        }
        Action::Patch { files } => {
            for file in files {
                if let Action::Write { path, .. }
                | Action::Edit { path, .. }
                | Action::Remove { path } = file
                {
                    let _ = writeln!(out, "\n`{}`", one_line(path));
                }
                push_action(out, file);
            }
        }
        Action::Run {
            command, language, ..
        } => push_fence(out, language.as_deref().unwrap_or("sh"), command),
        Action::Delegate { prompt, .. }
        | Action::Fetch {
            prompt: Some(prompt),
            ..
        } => push_fence(out, "", prompt),
        Action::Plan { items } => {
            out.push('\n');
            for item in items {
                let mark = if item.status == readalong_model::PlanStatus::Done {
                    'x'
                } else {
                    ' '
                };
                let _ = writeln!(out, "- [{mark}] {}", one_line(&item.text));
            }
        }
        _ => {}
    }
}

/// A fenced block whose fence is longer than any within.
fn push_fence(out: &mut String, language: &str, text: &str) {
    let mut longest = 2;
    let mut run = 0;
    let mut next = 0;
    for at in memchr::memchr_iter(b'`', text.as_bytes()) {
        run = if at == next { run + 1 } else { 1 };
        next = at + 1;
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let _ = write!(
        out,
        "\n{fence}{language}\n{}\n{fence}\n",
        text.trim_end_matches('\n')
    );
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
