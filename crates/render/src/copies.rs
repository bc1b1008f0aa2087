//! The whole snapshot beside the pages: `chat.json` for machines and `chat.md` for people.

use std::fmt::Write as _;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};
use rayon::prelude::*;
use readalong_model::{
    Action, ArtifactId, CallState, Message, Part, Role, Snapshot, Status, ThreadId,
};

use crate::{
    activity, markdown::MAX_MARKDOWN_BYTES, outline::Outline, parts::readable_json, terminal,
};

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
            let mut speaker = None;
            let messages: Vec<(&Message, bool)> = path
                .into_iter()
                .map(|place| outline.message(place))
                .map(|message| (message, has_heading(message, &mut speaker)))
                .collect();
            let chunks: Vec<Vec<_>> = messages
                .chunks(MESSAGES_AT_ONCE)
                .map(<[_]>::to_vec)
                .collect();
            title.chain(chunks.into_iter().map(move |chunk| {
                let one = |messages: &[(&Message, bool)]| {
                    let mut text = String::new();
                    messages.iter().for_each(|(message, has_heading)| {
                        if *has_heading {
                            push_heading(&mut text, message);
                        }
                        push_message(&mut text, snapshot, message);
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

/// True where a message says something, or is the first thing that another one than the last speaker does.
fn has_heading(message: &Message, speaker: &mut Option<Role>) -> bool {
    if !matches!(message.role, Role::User | Role::Assistant) {
        return false;
    }
    let (mut says, mut acts) = (false, false);
    for part in &message.parts {
        match part {
            Part::Text { .. } | Part::Image { .. } | Part::File { .. } => says = true,
            Part::Reasoning { .. } | Part::ToolCall(_) | Part::Source { .. } => acts = true,
            // What tools answer has the role of either, and notices are nobody's.
            Part::ToolResult { .. } | Part::Notice { .. } | Part::Unknown { .. } => {}
        }
    }
    if !says && !acts {
        return false;
    }
    speaker.replace(message.role) != Some(message.role) || says
}

fn push_heading(out: &mut String, message: &Message) {
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

fn push_message(out: &mut String, snapshot: &Snapshot, message: &Message) {
    for part in &message.parts {
        push_part(out, snapshot, part);
    }
    match message.status {
        Status::Complete | Status::Partial => {}
        Status::Aborted => out.push_str("\n*Interrupted*\n"),
        Status::Error => out.push_str("\n*Failed*\n"),
    }
}

fn push_part(out: &mut String, snapshot: &Snapshot, part: &Part) {
    match part {
        Part::Text { markdown } => push_text(out, markdown.trim_end_matches('\n')),
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
        Part::Image { artifact, alt } => push_file(out, snapshot, *artifact, alt.as_deref()),
        Part::File { artifact } => push_file(out, snapshot, *artifact, None),
        Part::Source {
            title,
            url,
            excerpt,
        } => {
            let url = url.as_deref().map(one_line).unwrap_or_default();
            let _ = write!(out, "\n- {} {url}\n", one_line(title));
            for line in excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
                let _ = writeln!(out, "  > {line}");
            }
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

/// Text as it is, its last block closed: all that follows in the file would stand in an open fence.
fn push_text(out: &mut String, markdown: &str) {
    if markdown.len() > MAX_MARKDOWN_BYTES {
        push_fence(out, "", markdown);
        return;
    }
    let _ = writeln!(out, "\n{markdown}");
    if let Some(end) = open_end(markdown) {
        let _ = writeln!(out, "{end}");
    }
}

/// What ends the block that a text leaves open: a fence, or HTML that goes on until its end is named.
fn open_end(markdown: &str) -> Option<&str> {
    memchr::memchr3(b'`', b'~', b'<', markdown.as_bytes())?;
    let probe = format!("{markdown}\n\n# ");
    let mut depth = 0;
    let mut last = None;
    for (event, range) in Parser::new_ext(&probe, Options::empty()).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    last = Some((tag, range.start));
                }
                depth += 1;
            }
            Event::End(_) => depth -= 1,
            _ => {}
        }
    }
    let (tag, start) = last?;
    let block = markdown.get(start..)?.trim_start_matches(' ');
    match tag {
        Tag::CodeBlock(CodeBlockKind::Fenced(_)) => {
            let fence = block.chars().next()?;
            let length = block.find(|c| c != fence).unwrap_or(block.len());
            Some(&block[..length])
        }
        Tag::HtmlBlock => {
            let ends = [
                ("<!--", "-->"),
                ("<![CDATA[", "]]>"),
                ("<!", ">"),
                ("<?", "?>"),
            ];
            let end = ends.iter().find(|(start, _)| block.starts_with(start));
            Some(end.map_or("</pre>", |(_, end)| end))
        }
        _ => None,
    }
}

fn push_file(out: &mut String, snapshot: &Snapshot, artifact: ArtifactId, alt: Option<&str>) {
    let Some(artifact) = snapshot.artifacts.get(artifact.0 as usize) else {
        return;
    };
    let name = one_line(&artifact.name).replace(['[', ']'], "");
    match artifact.path() {
        Some(path) => _ = write!(out, "\n[{name}]({path})"),
        None => _ = write!(out, "\n{name} (not here)"),
    }
    if let Some(alt) = alt {
        let _ = write!(out, ": {}", one_line(alt));
    }
    out.push('\n');
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

#[cfg(test)]
mod tests {
    use readalong_model::{
        Artifact, ArtifactRole, Availability, LeftOut, Origin, RawJson, Thread, ThreadKind,
        ToolCall,
    };

    use super::*;
    use crate::index::Index;

    fn written(parts: Vec<(Role, Vec<Part>)>) -> String {
        let mut messages: Vec<Message> = Vec::new();
        for (number, (role, parts)) in parts.into_iter().enumerate() {
            let parent = messages.last().map(|message| message.id.clone());
            let mut message = Message::new(number.to_string(), role);
            (message.parent, message.parts) = (parent, parts);
            messages.push(message);
        }
        chat(messages)
    }

    fn chat(messages: Vec<Message>) -> String {
        let thread = Thread {
            kind: ThreadKind::Main,
            title: None,
            parent_call: None,
        };
        let snapshot = Snapshot {
            title: "Title".to_owned(),
            origin: Origin {
                format: "readalong".to_owned(),
                app: None,
                native_id: None,
            },
            created_at: None,
            updated_at: None,
            share: None,
            left_out: LeftOut::default(),
            damaged_records: 0,
            threads: vec![thread],
            active_leaf: messages.last().map(|message| message.id.clone()),
            artifacts: vec![Artifact {
                name: "cat.png".to_owned(),
                media_type: "image/png".to_owned(),
                role: ArtifactRole::Produced,
                content: Availability::Missing,
                dimensions: None,
            }],
            messages,
        };
        let index = Index::of(&snapshot);
        let outline = Outline::of(&snapshot, &index);
        String::from_utf8(markdown(&snapshot, &outline).flatten().collect()).unwrap()
    }

    fn text(markdown: &str) -> Part {
        Part::Text {
            markdown: markdown.to_owned(),
        }
    }

    fn call(id: &str) -> Part {
        Part::ToolCall(ToolCall {
            call_id: id.to_owned(),
            name: "look".to_owned(),
            action: Action::Other,
            input: RawJson::new("{}".to_owned()).ok(),
            state: CallState::Done,
        })
    }

    fn result(id: &str) -> Part {
        Part::ToolResult {
            call_id: id.to_owned(),
            is_error: false,
            parts: vec![text("seen")],
        }
    }

    #[test]
    fn what_the_model_does_stands_under_its_own_name() {
        let thought = Part::Reasoning {
            markdown: "Hm".to_owned(),
            duration_ms: None,
        };
        let chat = written(vec![
            (Role::User, vec![text("Do it")]),
            (Role::Assistant, vec![thought]),
            (Role::Assistant, vec![call("1")]),
            (Role::User, vec![result("1")]),
            (Role::Assistant, vec![call("2")]),
            (Role::User, vec![result("2"), text("And now?")]),
            (Role::Assistant, vec![text("Done")]),
        ]);
        let lines: Vec<&str> = chat
            .lines()
            .filter(|line| line.starts_with("## ") || line.starts_with("**") || *line == "> Hm")
            .collect();
        let expected = [
            "## User",
            "## Assistant",
            "> Hm",
            "**look** ",
            "**look** ",
            "## User",
            "## Assistant",
        ];
        assert_eq!(lines, expected, "{chat}");
    }

    #[test]
    fn a_block_that_a_text_leaves_open_ends_with_it() {
        for (open, end) in [
            ("```rust\nfn main() {", "```"),
            ("~~~~\n~~~\n```\n", "~~~~"),
            ("a\n\n  ````md\n```\nb\n```", "````"),
            ("<!-- note", "-->"),
            ("<pre>\n\nx", "</pre>"),
            ("<?php", "?>"),
            ("<![CDATA[ x", "]]>"),
            ("<!DOCTYPE", ">"),
            ("```a\nb\n```", ""),
            ("- ```\n  x", ""),
            ("> ```\n> x", ""),
            ("<div>\n```\nx\n```\n", ""),
            ("`` a", ""),
            ("<!-- note -->", ""),
        ] {
            let chat = written(vec![
                (Role::Assistant, vec![text(open)]),
                (Role::User, vec![text("next")]),
            ]);
            let end = match end {
                "" => String::new(),
                end => format!("{end}\n"),
            };
            let expected = format!("\n{}\n{end}\n## User\n\nnext\n", open.trim_end());
            assert!(chat.ends_with(&expected), "{open}: {chat}");
        }
        let long = format!("```\n{}", "`".repeat(2_000_000));
        let chat = written(vec![(Role::User, vec![text(&long)])]);
        assert!(chat.ends_with(&format!("\n{}\n", "`".repeat(2_000_001))));
    }

    #[test]
    fn nothing_that_pages_say_of_a_message_is_left_out() {
        let mut failed = Message::new("a", Role::Assistant);
        failed.status = Status::Error;
        failed.parts = vec![
            Part::Image {
                artifact: ArtifactId(0),
                alt: Some("A cat\nin a hat".to_owned()),
            },
            Part::Source {
                title: "Cats".to_owned(),
                url: Some("https://cats.example/".to_owned()),
                excerpt: Some("All cats\nare grey.".to_owned()),
            },
        ];
        let chat = chat(vec![failed]);
        let expected = "\n## Assistant\n\ncat.png (not here): A cat in a hat\n\n- Cats https://cats.example/\n  > All cats\n  \
                        > are grey.\n\n*Failed*\n";
        assert!(chat.ends_with(expected), "{chat}");
    }
}
