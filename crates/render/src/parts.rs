//! Parts of messages as what templates get: calls and their input, results, images, files, sources, notices.

use std::{borrow::Cow, cell::Cell, fmt::Write as _, io};

use data_encoding::BASE64;
use minijinja::Value;
use readalong_model::{
    Action, Artifact, ArtifactId, Availability, CallState, Digest, Edit, NoticeKind, Part,
    PlanStatus, ToolCall,
};

use crate::{
    activity,
    context::{Call, File, Image, PartContext, Source},
    diff,
    highlight::Highlighter,
    html::{escape_code, escape_text},
    linkify,
    markdown::code_block_into,
    terminal,
    text::name,
};

/// Lines and bytes of a result that show before the rest is unfolded.
const FIRST_LINES: usize = 16;
const FIRST_BYTES_MAX: usize = 3000;
/// The largest SVG that is put into a page.
const SVG_BYTES_MAX: u64 = 64 << 10;

/// Bytes of SVGs that are put into one item; what comes after them is a file of the list. They stand in it as often as they are shown.
const ITEM_SVG_BYTES_MAX: u64 = 256 << 10;
/// Bytes that JSON may have indented: so many times its own, and some more. What is nested deeper stands without indentation, or its blanks
/// would be a hundred times as long as itself.
const INDENTED_TIMES_MAX: usize = 8;
const INDENTED_BYTES_MIN: usize = 64 << 10;

/// Reads an artifact's bytes; `None` where they are not there.
pub(crate) type Blobs<'a> = dyn Fn(Digest) -> Option<Vec<u8>> + Sync + 'a;

/// What an item may still put into its page.
pub(crate) struct Inlined<'a> {
    blobs: &'a Blobs<'a>,
    svg_bytes_left: Cell<u64>,
}

impl<'a> Inlined<'a> {
    pub(crate) fn new(blobs: &'a Blobs<'a>) -> Self {
        Self {
            blobs,
            svg_bytes_left: Cell::new(ITEM_SVG_BYTES_MAX),
        }
    }

    /// True where an SVG of that size stands in the page.
    fn takes_svg(&self, size_bytes: u64) -> bool {
        let left = self.svg_bytes_left.get().checked_sub(size_bytes);
        let fits = size_bytes <= SVG_BYTES_MAX && left.is_some();
        if fits {
            self.svg_bytes_left.set(left.unwrap_or(0));
        }
        fits
    }
}

/// A call, without its result.
pub(crate) fn call(call: &ToolCall, highlighter: Option<&Highlighter>) -> Call {
    let line = activity::line(call);
    let mut input = Input {
        html: String::new(),
        added: 0,
        removed: 0,
        highlighter,
    };
    // What the line has shortened stands whole behind it, unless the action shows it anyway.
    match (&call.action, &line.object_full) {
        (Action::Run { .. } | Action::Patch { .. }, _) | (_, None) => {}
        (_, Some(whole)) => input.line("path", whole),
    }
    input.action(&call.action);
    if let Some(rest) = &call.input {
        input.fields(rest.get());
    }
    let state = match call.state {
        CallState::Done => "done",
        CallState::NoResult => "no_result",
        CallState::Failed => "failed",
        CallState::Denied => "denied",
    };
    Call {
        anchor: None,
        verb: line.verb,
        object: line.object,
        object_full: line.object_full,
        added: input.added,
        removed: input.removed,
        size: None,
        state,
        input: (!input.html.is_empty()).then(|| Value::from_safe_string(input.html)),
        result: Vec::new(),
        threads: Vec::new(),
    }
}

/// The input of a call in the making.
struct Input<'h> {
    html: String,
    added: usize,
    removed: usize,
    highlighter: Option<&'h Highlighter>,
}

impl Input<'_> {
    fn action(&mut self, action: &Action) {
        match action {
            Action::Write { path, content } => self.content(path, content),
            Action::Edit { edits, .. } => edits.iter().for_each(|edit| self.edit(edit)),
            Action::Patch { files } => files.iter().for_each(|file| self.file(file)),
            Action::Run {
                command,
                language,
                purpose,
            } => {
                if let Some(purpose) = purpose {
                    self.line("purpose", purpose);
                }
                match language {
                    Some(language) => {
                        code_block_into(&mut self.html, command, Some(language), self.highlighter)
                    }
                    None => self.pre("command", command),
                }
            }
            Action::Fetch {
                prompt: Some(prompt),
                ..
            } => self.pre("prompt", prompt),
            Action::Delegate { prompt, .. } => self.pre("prompt", prompt),
            Action::Plan { items } => {
                self.html.push_str("<ul class=\"plan\">");
                for item in items {
                    let (class, words) = match item.status {
                        PlanStatus::Pending => ("pending", "To do"),
                        PlanStatus::Active => ("active", "Doing"),
                        PlanStatus::Done => ("done", "Done"),
                    };
                    let _ = write!(
                        self.html,
                        "<li class=\"plan-{class}\"><span class=\"sr-only\">{words}: </span>"
                    );
                    escape_text(&mut self.html, &item.text);
                    self.html.push_str("</li>");
                }
                self.html.push_str("</ul>");
            }
            Action::Other
            | Action::Read { .. }
            | Action::Remove { .. }
            | Action::Search { .. }
            | Action::WebSearch { .. }
            | Action::List { .. }
            | Action::Fetch { prompt: None, .. } => {}
        }
    }

    /// One file of a patch, under its path.
    fn file(&mut self, file: &Action) {
        if let Action::Write { path, .. } | Action::Edit { path, .. } | Action::Remove { path } =
            file
        {
            self.line("path", path);
        }
        self.action(file);
    }

    fn content(&mut self, path: &str, content: &str) {
        self.added += content.lines().count();
        let extension = path
            .rsplit_once('.')
            .map(|(_, extension)| extension)
            .filter(|extension| !extension.contains('/'));
        code_block_into(&mut self.html, content, extension, self.highlighter);
    }

    fn edit(&mut self, edit: &Edit) {
        let shown = match edit {
            Edit::Replace { old, new } => diff::diff_texts(old, new),
            Edit::Unified { diff } => diff::diff_unified(diff),
        };
        self.added += shown.added;
        self.removed += shown.removed;
        self.html.push_str(&shown.html);
    }

    fn line(&mut self, class: &str, text: &str) {
        let _ = write!(self.html, "<p class=\"{class}\">");
        escape_code(&mut self.html, text);
        self.html.push_str("</p>");
    }

    fn pre(&mut self, class: &str, text: &str) {
        let _ = write!(self.html, "<pre class=\"{class}\" tabindex=\"0\">");
        escape_code(&mut self.html, text);
        self.html.push_str("</pre>");
    }

    /// What is left of the input: one line a member, texts of several lines as they are.
    fn fields(&mut self, json: &str) {
        self.pre("fields", &readable_json(json));
    }
}

/// JSON for people: members of an object one by one, their texts unescaped; anything else indented; what nests too deep as it is.
pub(crate) fn readable_json(json: &str) -> String {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(json) else {
        return json.to_owned();
    };
    let mut bytes_left = INDENTED_BYTES_MIN + INDENTED_TIMES_MAX * json.len();
    let serde_json::Value::Object(members) = &value else {
        return indented(&value, &mut bytes_left);
    };
    let mut out = String::new();
    for (key, value) in members {
        if !out.is_empty() {
            out.push('\n');
        }
        match value.as_str() {
            Some(text) if text.contains('\n') => _ = write!(out, "{key}:\n{text}"),
            Some(text) => _ = write!(out, "{key}: {text}"),
            None => _ = write!(out, "{key}: {}", indented(value, &mut bytes_left)),
        }
    }
    out
}

/// JSON over several lines, or in one where that takes more bytes than are left.
fn indented(value: &serde_json::Value, bytes_left: &mut usize) -> String {
    let mut out = Bounded {
        bytes: Vec::new(),
        bytes_max: *bytes_left,
    };
    let is_written = serde_json::to_writer_pretty(&mut out, value).is_ok();
    *bytes_left -= out.bytes.len();
    match String::from_utf8(out.bytes) {
        Ok(text) if is_written => text,
        _ => value.to_string(),
    }
}

/// Takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A tool's answer.
pub(crate) fn result(
    artifacts: &[Artifact],
    parts: &[Part],
    is_error: bool,
    inlined: &Inlined<'_>,
) -> Vec<PartContext> {
    let mut shown = Vec::new();
    for part in parts {
        match part {
            Part::Text { markdown } if markdown.is_empty() => {}
            Part::Text { markdown } => shown.push(output(markdown, is_error)),
            Part::Image { artifact, alt } => {
                shown.push(image(artifacts, *artifact, alt.as_deref(), inlined))
            }
            Part::File { artifact } => push_file(&mut shown, artifacts, *artifact),
            Part::Source {
                title,
                url,
                excerpt,
            } => push_source(&mut shown, title, url.as_deref(), excerpt.as_deref()),
            Part::Unknown { json, .. } => shown.push(output(&readable_json(json.get()), is_error)),
            Part::Reasoning { markdown: text, .. } | Part::Notice { text, .. } => {
                shown.push(output(text, is_error))
            }
            Part::ToolResult { parts, .. } => {
                // A result within a result does not occur; its texts are shown all the same.
                let texts = parts.iter().filter_map(|part| {
                    if let Part::Text { markdown } = part {
                        Some(markdown)
                    } else {
                        None
                    }
                });
                shown.extend(texts.map(|text| output(text, is_error)));
            }
            Part::ToolCall(call) => shown.push(output(&call.name, is_error)),
        }
    }
    shown
}

/// Lines of a tool's answer, for the line of its call.
pub(crate) fn lines(parts: &[Part]) -> usize {
    let texts = parts.iter().map(|part| {
        if let Part::Text { markdown } = part {
            markdown.as_str()
        } else {
            ""
        }
    });
    texts
        .map(|text| terminal::plain_text(text).lines().count())
        .sum()
}

/// Text with terminal codes, as it looked at its end: its first lines, and the rest behind a fold that says how much there is.
fn output(text: &str, is_error: bool) -> PartContext {
    let plain = terminal::plain_text(text);
    let (first, rest) = split_output(&plain);
    let (first_html, rest_html) = terminal::terminal_halves(text, first.len());
    let lines = rest.lines().count();
    let more = match lines {
        1 if !first.ends_with('\n') => {
            format!("{} more characters", rest.chars().count())
        }
        1 => "1 more line".to_owned(),
        lines => format!("{lines} more lines"),
    };
    PartContext::Output {
        is_error,
        first: Value::from_safe_string(first_html),
        rest: (!rest_html.is_empty()).then(|| Value::from_safe_string(rest_html)),
        more,
    }
}

/// Cuts a long text after its first lines; a text that is a little longer stays whole.
fn split_output(text: &str) -> (&str, &str) {
    let mut ends = memchr::memchr_iter(b'\n', text.as_bytes());
    let by_lines = match ends.nth(FIRST_LINES - 1) {
        Some(end) if ends.nth(3).is_some() => end + 1,
        _ => text.len(),
    };
    if by_lines <= FIRST_BYTES_MAX || text.len() <= FIRST_BYTES_MAX + FIRST_BYTES_MAX / 4 {
        return text.split_at(by_lines);
    }
    let mut cut = FIRST_BYTES_MAX;
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let at_line = memchr::memrchr(b'\n', &text.as_bytes()[..cut])
        .map(|end| end + 1)
        .filter(|end| *end > FIRST_BYTES_MAX / 3);
    text.split_at(at_line.unwrap_or(cut))
}

/// A picture, or why it is not shown.
pub(crate) fn image(
    artifacts: &[Artifact],
    id: ArtifactId,
    alt: Option<&str>,
    inlined: &Inlined<'_>,
) -> PartContext {
    let mut image = Image {
        src: None,
        href: None,
        alt: alt.unwrap_or("Image").to_owned(),
        caption: alt.map(str::to_owned),
        width: None,
        height: None,
        absent: None,
        host: None,
    };
    let Some(artifact) = artifacts.get(id.0 as usize) else {
        image.absent = Some("Image is missing");
        return PartContext::Image(image);
    };
    if alt.is_none() {
        image.alt = name(&artifact.name);
    }
    match &artifact.content {
        Availability::Present { sha256, size_bytes } => match artifact.media_type.as_str() {
            "image/png" | "image/jpeg" | "image/gif" | "image/webp" | "image/avif"
            | "image/bmp"
                if !artifact.is_active() =>
            {
                image.src = artifact.path();
            }
            "image/svg+xml" if inlined.takes_svg(*size_bytes) => {
                image.src = (inlined.blobs)(*sha256)
                    .map(|bytes| format!("data:image/svg+xml;base64,{}", BASE64.encode(&bytes)));
                image.href = artifact.path();
            }
            _ => {
                return PartContext::Files {
                    files: vec![file(artifact)],
                };
            }
        },
        Availability::External { url } => {
            image.absent = Some("Image on another host, not loaded:");
            image.host = Some(name(linkify::host(url).unwrap_or("unknown host")));
        }
        Availability::Missing | Availability::TextOnly { .. } => {
            image.absent = Some("Image is not in the transcript")
        }
    }
    if let Some((width, height)) = artifact.dimensions.filter(|_| image.src.is_some()) {
        (image.width, image.height) = (Some(width), Some(height));
    }
    PartContext::Image(image)
}

/// Adds a file to the list that the parts end with, or begins one.
pub(crate) fn push_file(shown: &mut Vec<PartContext>, artifacts: &[Artifact], id: ArtifactId) {
    let Some(artifact) = artifacts.get(id.0 as usize) else {
        return;
    };
    match shown.last_mut() {
        Some(PartContext::Files { files }) => files.push(file(artifact)),
        _ => shown.push(PartContext::Files {
            files: vec![file(artifact)],
        }),
    }
}

/// A file as lists show it.
pub(crate) fn file(artifact: &Artifact) -> File {
    let media_type = name(&artifact.media_type);
    let facts = match &artifact.content {
        Availability::Present { size_bytes, .. } => {
            format!("{media_type}, {}", activity::size(*size_bytes))
        }
        Availability::TextOnly { size_bytes, .. } => {
            format!("text of {media_type}, {}", activity::size(*size_bytes))
        }
        Availability::Missing => "not in the transcript".to_owned(),
        Availability::External { url } => format!(
            "on another host: {}",
            name(linkify::host(url).unwrap_or("unknown"))
        ),
    };
    File {
        name: name(&artifact.name),
        href: artifact.path(),
        facts,
    }
}

/// Adds a source to the list that the parts end with, or begins one.
pub(crate) fn push_source(
    shown: &mut Vec<PartContext>,
    title: &str,
    url: Option<&str>,
    excerpt: Option<&str>,
) {
    let url = url.and_then(linkify::safe_href);
    let source = Source {
        title: title.to_owned(),
        host: url
            .as_deref()
            .and_then(linkify::shown_host)
            .map(Cow::into_owned),
        url,
        excerpt: excerpt.map(str::to_owned),
    };
    match shown.last_mut() {
        Some(PartContext::Sources { sources }) => sources.push(source),
        _ => shown.push(PartContext::Sources {
            sources: vec![source],
        }),
    }
}

/// Something that happened to the chat.
pub(crate) fn notice(
    kind: NoticeKind,
    text: &str,
    markdown: impl Fn(&str) -> Value,
) -> PartContext {
    let (notice, icon, title) = notice_words(kind);
    let is_short = text.len() <= 200 && !text.contains('\n');
    match text {
        "" => PartContext::Notice {
            notice,
            icon,
            title: title.to_owned(),
            html: None,
        },
        text if is_short && kind != NoticeKind::Compaction => PartContext::Notice {
            notice,
            icon,
            title: format!("{title}: {text}"),
            html: None,
        },
        text => PartContext::Notice {
            notice,
            icon,
            title: title.to_owned(),
            html: Some(markdown(text)),
        },
    }
}

fn notice_words(kind: NoticeKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        NoticeKind::Compaction => ("compaction", "summary", "Earlier messages were summarised"),
        NoticeKind::Rewind => ("rewind", "rewind", "Later messages were taken back"),
        NoticeKind::Error => ("error", "warning", "Error"),
        NoticeKind::Interrupted => ("interrupted", "pause", "Interrupted"),
        NoticeKind::Queue => ("queue", "list", "Queued prompt"),
        NoticeKind::Command => ("command", "list", "Command"),
        NoticeKind::ModelChange => ("model-change", "info", "Model changed"),
        NoticeKind::Info => ("info", "info", "Note"),
    }
}

/// A thing about the chat that is folded behind one quiet line: its kind, that line, and what is behind it.
pub(crate) fn quiet(part: &Part) -> (&'static str, String, Value) {
    let (kind, title, text) = match part {
        Part::Notice { kind, text } => {
            let (_, _, words) = notice_words(*kind);
            let first = text
                .lines()
                .find(|line| !line.trim().is_empty())
                .unwrap_or_default();
            let begin: String = first.chars().take(60).collect();
            (
                "notice",
                if begin.is_empty() {
                    words.to_owned()
                } else {
                    format!("{words}: {begin}")
                },
                text.clone(),
            )
        }
        Part::Unknown { label, json } if label.is_empty() => (
            "unknown",
            "Unknown record".to_owned(),
            readable_json(json.get()),
        ),
        Part::Unknown { label, json } => {
            let label: String = label.chars().take(60).collect();
            (
                "unknown",
                format!("Unknown record “{label}”"),
                readable_json(json.get()),
            )
        }
        Part::Text { markdown } | Part::Reasoning { markdown, .. } => {
            ("text", "Note".to_owned(), markdown.clone())
        }
        Part::Image { .. } | Part::File { .. } => ("file", "File".to_owned(), String::new()),
        Part::Source { title, .. } => ("source", "Source".to_owned(), title.clone()),
        Part::ToolCall(call) => ("tool_call", call.name.clone(), String::new()),
        Part::ToolResult { .. } => ("tool_result", "Result".to_owned(), String::new()),
    };
    let mut html = String::new();
    terminal::terminal_into(&mut html, &text);
    (kind, title, Value::from_safe_string(html))
}

#[cfg(test)]
mod tests {
    use readalong_model::ArtifactRole;

    use super::*;

    #[test]
    fn json_is_indented_where_that_does_not_make_it_many_times_as_long() {
        let json = r#"{"a": [1, {"b": "c"}], "d": "two\nlines"}"#;
        let expected = "a: [\n  1,\n  {\n    \"b\": \"c\"\n  }\n]\nd:\ntwo\nlines";
        assert_eq!(readable_json(json), expected);
        let (open, close) = ("[".repeat(100), "]".repeat(100));
        let deep = format!("{open}{}1{close}", "1,".repeat(50_000));
        for json in [deep.clone(), format!("{{\"a\":{deep},\"b\":{deep}}}")] {
            let text = readable_json(&json);
            assert!(text.len() < 10 * json.len() + 100_000, "{}", text.len());
            assert!(text.contains(&deep));
        }
    }

    #[test]
    fn output_is_folded_as_it_looked_at_its_end() {
        let folded = |text: &str| match output(text, false) {
            PartContext::Output {
                first, rest, more, ..
            } => (
                first.to_string(),
                rest.unwrap_or_default().to_string(),
                more,
            ),
            _ => unreachable!(),
        };
        let bar = (0..=100).map(|percent| format!("{percent:3} {}\r", "=".repeat(60)));
        let bar = bar.collect::<String>() + "\ndone\n";
        let (first, rest, _) = folded(&bar);
        assert_eq!(first, format!("100 {}\ndone\n", "=".repeat(60)));
        assert_eq!(rest, "");

        let red: String = (1..=30).map(|line| format!("line {line}\n")).collect();
        let (first, rest, more) = folded(&format!("\x1b[31m{red}\x1b[0m"));
        assert!(
            first.starts_with("<span class=\"t-fg1\">line 1\n"),
            "{first}"
        );
        assert!(first.ends_with("line 16\n</span>"), "{first}");
        assert!(
            rest.starts_with("<span class=\"t-fg1\">line 17\n"),
            "{rest}"
        );
        assert_eq!(more, "14 more lines");

        let frame =
            |percent| (0..24).map(move |layer| format!("\x1b[Klayer {layer}: {percent} %\n"));
        let frames = [0, 50, 100].map(|percent| frame(percent).collect::<String>());
        let (first, rest, more) = folded(&frames.join("\x1b[24A"));
        assert!(first.starts_with("layer 0: 100 %\n"), "{first}");
        assert!(rest.ends_with("layer 23: 100 %\n"), "{rest}");
        assert_eq!(more, "8 more lines");
        let text = Part::Text {
            markdown: frames.join("\x1b[24A"),
        };
        assert_eq!(lines(&[text]), 24);
    }

    #[test]
    fn an_svg_that_is_shown_again_and_again_becomes_a_file() {
        let svg = vec![b' '; 60_000];
        let artifact = Artifact {
            name: "a.svg".to_owned(),
            media_type: "image/svg+xml".to_owned(),
            role: ArtifactRole::Produced,
            content: Availability::Present {
                sha256: Digest::of(&svg),
                size_bytes: svg.len() as u64,
            },
            dimensions: None,
        };
        let shown = vec![
            Part::Image {
                artifact: ArtifactId(0),
                alt: None
            };
            100
        ];
        let blobs = |_| Some(svg.clone());
        let shown = result(&[artifact], &shown, false, &Inlined::new(&blobs));
        let is_inlined = |part: &&PartContext| matches!(part, PartContext::Image(_));
        let inlined = shown.iter().filter(is_inlined).count();
        assert_eq!((inlined, shown.len()), (4, 100));
    }
}
