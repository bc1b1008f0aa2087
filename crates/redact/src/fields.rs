//! Every place of a chat where foreign text stands.

use readalong_model::{
    Action, Artifact, Availability, ChatHead, Edit, Message, Origin, Part, RawJson, Thread,
};

/// What stands in a field.
pub(crate) enum Content<'a> {
    Text(&'a mut String),
    Json(&'a mut RawJson),
}

/// Takes one field: the part of its message, its name, its content.
pub(crate) type See<'a> = dyn FnMut(Option<usize>, &'static str, Content<'_>) + 'a;

/// Calls `see` with every field of a message.
pub(crate) fn of_message(message: &mut Message, see: &mut See<'_>) {
    let mut head = |field, text: &mut Option<String>| {
        if let Some(text) = text {
            see(None, field, Content::Text(text));
        }
    };
    head("author", &mut message.author.name);
    head("model", &mut message.author.model);
    for (place, part) in message.parts.iter_mut().enumerate() {
        of_part(place, part, see);
    }
}

fn of_part(place: usize, part: &mut Part, see: &mut See<'_>) {
    let at = Some(place);
    match part {
        Part::Text { markdown } => see(at, "text", Content::Text(markdown)),
        Part::Reasoning { markdown, .. } => see(at, "reasoning", Content::Text(markdown)),
        Part::ToolCall(call) => {
            see(at, "tool name", Content::Text(&mut call.name));
            of_action(at, &mut call.action, see);
            if let Some(input) = &mut call.input {
                see(at, "tool input", Content::Json(input));
            }
        }
        Part::ToolResult { parts, .. } => {
            for part in parts {
                match part {
                    Part::Text { markdown } => see(at, "tool output", Content::Text(markdown)),
                    other => of_part(place, other, see),
                }
            }
        }
        Part::Image { alt, .. } => {
            if let Some(alt) = alt {
                see(at, "picture's text", Content::Text(alt));
            }
        }
        Part::File { .. } => {}
        Part::Source {
            title,
            url,
            excerpt,
        } => {
            see(at, "source's title", Content::Text(title));
            if let Some(url) = url {
                see(at, "source's address", Content::Text(url));
            }
            if let Some(excerpt) = excerpt {
                see(at, "source's excerpt", Content::Text(excerpt));
            }
        }
        Part::Notice { text, .. } => see(at, "notice", Content::Text(text)),
        Part::Unknown { label, json } => {
            see(at, "record's type", Content::Text(label));
            see(at, "record", Content::Json(json));
        }
    }
}

fn of_action(at: Option<usize>, action: &mut Action, see: &mut See<'_>) {
    let mut text = |text: &mut String| see(at, "tool input", Content::Text(text));
    let mut maybe = |maybe: &mut Option<String>| maybe.as_mut().map(&mut text);
    match action {
        Action::Other => {}
        Action::Read { path, lines } => {
            maybe(lines);
            text(path);
        }
        Action::Write { path, content } => {
            text(path);
            text(content);
        }
        Action::Edit { path, edits } => {
            text(path);
            for edit in edits {
                match edit {
                    Edit::Replace { old, new } => {
                        text(old);
                        text(new);
                    }
                    Edit::Unified { diff } => text(diff),
                }
            }
        }
        Action::Remove { path } | Action::List { path } => text(path),
        Action::Patch { files } => {
            for file in files {
                of_action(at, file, see);
            }
        }
        Action::Run {
            command,
            language,
            purpose,
        } => {
            maybe(language);
            maybe(purpose);
            text(command);
        }
        Action::Search { query, path } => {
            maybe(path);
            text(query);
        }
        Action::Fetch { url, prompt } => {
            maybe(prompt);
            text(url);
        }
        Action::WebSearch { query } => text(query),
        Action::Delegate { title, prompt } => {
            text(title);
            text(prompt);
        }
        Action::Plan { items } => items.iter_mut().for_each(|item| text(&mut item.text)),
    }
}

/// Calls `see` with every field of a thread.
pub(crate) fn of_thread(thread: &mut Thread, see: &mut See<'_>) {
    if let Some(title) = &mut thread.title {
        see(None, "subagent's title", Content::Text(title));
    }
}

/// Calls `see` with every field of an artifact but its bytes.
pub(crate) fn of_artifact(artifact: &mut Artifact, see: &mut See<'_>) {
    see(None, "file's name", Content::Text(&mut artifact.name));
    see(None, "file's type", Content::Text(&mut artifact.media_type));
    if let Availability::External { url } = &mut artifact.content {
        see(None, "file's address", Content::Text(url));
    }
}

/// Calls `see` with every field of what is said of a chat as a whole.
pub(crate) fn of_head(head: &mut ChatHead, see: &mut See<'_>) {
    see(None, "title", Content::Text(&mut head.title));
    of_origin(&mut head.origin, see);
}

/// Calls `see` with every field of what is said of a chat's origin.
pub(crate) fn of_origin(origin: &mut Origin, see: &mut See<'_>) {
    if let Some(app) = &mut origin.app {
        see(None, "program", Content::Text(app));
    }
}
