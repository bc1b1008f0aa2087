//! One item of a chat as HTML: the same fragment in a bundle's page and, live, in a frame.

use std::mem;

use minijinja::{Environment, Value, value::Serde};
use readalong_model::{CallState, Part, Role, Status, ThreadId, Timestamp};

use crate::{
    RenderError,
    activity::{self, Done},
    context::{Entry, MessageContext, PartContext, ThreadContext, Version},
    highlight::Highlighter,
    index::THREAD_DEPTH_MAX,
    markdown::{MarkdownContext, markdown_into},
    outline::{Item, ItemKind, Outline},
    parts::{self, Blobs, Inlined},
    text,
};

/// Bytes of a thread's HTML that stand within its call; a longer one gets pages of its own.
const THREAD_INLINE_BYTES_MAX: usize = 48 << 10;
/// Characters of a prompt in the rail and the contents.
const PROMPT_CHARS_MAX: usize = 100;
/// Versions of a message that are all linked; of more, the first, the last and those around.
const VERSIONS_MAX: usize = 20;
/// Versions on either side that are linked where there are many.
const VERSIONS_AROUND: usize = 5;

/// How a mark begins that stands in the place of a secret.
const REDACTED: &str = "[redacted: ";

/// An item, rendered.
pub(crate) struct Fragment {
    pub(crate) html: String,
    /// Anchors of the messages that begin in it.
    pub(crate) anchors: Vec<String>,
    /// For the rail and the contents, where the item is a prompt.
    pub(crate) prompt: Option<Prompt>,
    /// What find sees of it.
    pub(crate) text: String,
    /// Marks of secrets that were taken out of it.
    pub(crate) redacted: usize,
    /// Alternatives that begin here and get pages of their own.
    pub(crate) branches: Vec<usize>,
    /// Threads that are too long to stand within their call.
    pub(crate) threads: Vec<LongThread>,
}

/// A prompt for the rail and the contents.
pub(crate) struct Prompt {
    pub(crate) anchor: String,
    pub(crate) text: String,
    pub(crate) at: Option<Timestamp>,
}

/// A thread that gets pages of its own.
pub(crate) struct LongThread {
    pub(crate) thread: ThreadId,
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    /// Anchor of the message whose call started it.
    pub(crate) back: String,
    /// What is rendered already; `None` for a thread that lies too deep within others or is too long to try.
    pub(crate) fragments: Option<Vec<Fragment>>,
}

/// Renders items of one snapshot.
pub(crate) struct FragmentRenderer<'a> {
    pub(crate) environment: &'a Environment<'static>,
    pub(crate) outline: &'a Outline<'a>,
    pub(crate) highlighter: Option<&'a Highlighter>,
    pub(crate) blobs: &'a Blobs<'a>,
    /// Where anchors lie that pages already have.
    pub(crate) page_of: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

impl FragmentRenderer<'_> {
    /// Renders an item. `depth` counts the threads that it lies in.
    pub(crate) fn render(&self, item: &Item, depth: usize) -> Result<Fragment, RenderError> {
        let mut fragment = Fragment {
            html: String::new(),
            anchors: Vec::new(),
            prompt: None,
            text: String::new(),
            redacted: 0,
            branches: Vec::new(),
            threads: Vec::new(),
        };
        let message = self.outline.message(item.message);
        let anchor = self.outline.anchor(item.message);
        let key = item.key(self.outline.index).to_string();
        if item.has_anchor {
            fragment.anchors.push(anchor.clone());
        }
        let inlined = Inlined::new(self.blobs);
        let parts = match item.kind {
            ItemKind::Activity => vec![self.activity(item, depth, (&mut fragment, &inlined))?],
            ItemKind::LooseThread(thread) => {
                vec![self.loose_thread(thread, depth, &mut fragment)?]
            }
            ItemKind::Prompt | ItemKind::Answer | ItemKind::Notice => self.parts(item, &inlined),
        };
        if item.kind == ItemKind::Prompt && item.has_anchor && depth == 0 {
            fragment.prompt = Some(Prompt {
                anchor: anchor.clone(),
                text: self.prompt_text(item),
                at: message.at,
            });
        }
        let alternatives = if item.has_anchor {
            self.versions(item, &mut fragment)
        } else {
            Vec::new()
        };
        let context = MessageContext {
            kind: kind_name(item.kind),
            role: role_name(message.role),
            status: status_name(message.status),
            key: &key,
            anchor: item.has_anchor.then_some(anchor.as_str()),
            number: item.number(),
            heading: fragment.prompt.as_ref().map(|prompt| prompt.text.as_str()),
            at: message.at.map(|at| at.to_string()),
            day: item.day.filter(|_| depth == 0).map(|at| at.to_string()),
            author: item.author.as_deref(),
            parts,
            alternatives,
        };
        let template = self.environment.get_template("message.html")?;
        fragment.html =
            template.render(minijinja::context! { message => Value::from(Serde(&context)) })?;
        text::text_into(&mut fragment.text, &fragment.html);
        fragment.redacted = fragment.text.matches(REDACTED).count();
        Ok(fragment)
    }

    /// Renders a path of messages as it stands within a call.
    fn thread_fragments(
        &self,
        thread: ThreadId,
        depth: usize,
    ) -> Result<Vec<Fragment>, RenderError> {
        let items = self.outline.items(&self.outline.path_of(thread));
        items.iter().map(|item| self.render(item, depth)).collect()
    }

    /// The parts of a prompt, answer or notice; files and sources that follow each other make one list.
    fn parts(&self, item: &Item, inlined: &Inlined<'_>) -> Vec<PartContext> {
        let artifacts = self.outline.artifacts;
        let message = self.outline.message(item.message);
        let mut shown = Vec::new();
        for (at, place) in item.parts.iter().enumerate() {
            let anchor = format!("{}-{at}", self.outline.anchor(item.message));
            match self.outline.part(*place) {
                Part::Text { markdown } => {
                    let is_typed = message.role == Role::User;
                    shown.push(PartContext::Text {
                        html: self.markdown(markdown, &anchor, is_typed),
                    });
                }
                Part::Image { artifact, alt } => {
                    shown.push(parts::image(artifacts, *artifact, alt.as_deref(), inlined))
                }
                Part::File { artifact } => parts::push_file(&mut shown, artifacts, *artifact),
                Part::Source {
                    title,
                    url,
                    excerpt,
                } => parts::push_source(&mut shown, title, url.as_deref(), excerpt.as_deref()),
                Part::Notice { kind, text } => shown.push(parts::notice(*kind, text, |text| {
                    self.markdown(text, &anchor, false)
                })),
                Part::Reasoning { .. }
                | Part::ToolCall(_)
                | Part::ToolResult { .. }
                | Part::Unknown { .. } => {}
            }
        }
        shown
    }

    fn markdown(&self, markdown: &str, anchor: &str, is_typed: bool) -> Value {
        let mut html = String::with_capacity(markdown.len() + markdown.len() / 4);
        let context = MarkdownContext {
            is_typed,
            anchor,
            highlighter: self.highlighter,
            heading_offset: 2,
        };
        markdown_into(&mut html, markdown, &context);
        Value::from_safe_string(html)
    }

    /// Consecutive calls, thoughts and quiet things behind one line.
    fn activity(
        &self,
        item: &Item,
        depth: usize,
        (fragment, inlined): (&mut Fragment, &Inlined<'_>),
    ) -> Result<PartContext, RenderError> {
        let mut entries = Vec::new();
        let mut done = Vec::new();
        let mut last_message = item.message;
        let mut others = Others::default();
        for place in &item.parts {
            let anchor =
                (place.message() != last_message).then(|| self.outline.anchor(place.message()));
            last_message = place.message();
            fragment.anchors.extend(anchor.clone());
            match self.outline.part(*place) {
                Part::ToolCall(call) => {
                    let mut shown = parts::call(call, self.highlighter);
                    shown.anchor = anchor;
                    let mut lines = 0;
                    for place in self.outline.index.results_of(*place) {
                        if let Part::ToolResult {
                            parts, is_error, ..
                        } = self.outline.part(place)
                        {
                            shown.result.extend(parts::result(
                                self.outline.artifacts,
                                parts,
                                *is_error,
                                inlined,
                            ));
                            lines += parts::lines(parts);
                        }
                    }
                    shown.size = (lines > 0).then(|| activity::count(lines, "line"));
                    for thread in self.outline.index.threads_at(*place) {
                        let context = self.thread(*thread, depth, place.message(), fragment)?;
                        shown.threads.push(context);
                    }
                    done.push(Done {
                        call,
                        added: shown.added,
                        removed: shown.removed,
                    });
                    entries.push(Entry::Call(Box::new(shown)));
                }
                Part::ToolResult {
                    parts, is_error, ..
                } => {
                    others.push(Other::Result);
                    entries.push(Entry::Result {
                        anchor,
                        result: parts::result(self.outline.artifacts, parts, *is_error, inlined),
                    });
                }
                Part::Reasoning {
                    markdown,
                    duration_ms,
                } => {
                    others.push(Other::Thought);
                    others.thought_ms = others.thought_ms.saturating_add(duration_ms.unwrap_or(0));
                    let html = (!markdown.is_empty()).then(|| {
                        self.markdown(
                            markdown,
                            &format!("{}-{}", self.outline.anchor(place.message()), place.part()),
                            false,
                        )
                    });
                    entries.push(Entry::Reasoning {
                        anchor,
                        html,
                        duration: duration_ms.and_then(activity::duration),
                    });
                }
                part => {
                    let (part, title, html) = parts::quiet(part);
                    others.push(Other::Quiet(title.clone()));
                    others.quiet_count += 1;
                    entries.push(Entry::Quiet {
                        anchor,
                        part,
                        title,
                        html,
                    });
                }
            }
        }
        Ok(PartContext::Activity {
            summary: activity::summary(&done).unwrap_or_else(|| others.summary()),
            failed: done
                .iter()
                .any(|done| matches!(done.call.state, CallState::Failed | CallState::Denied)),
            duration: self.duration_of(item),
            entries,
        })
    }

    /// From the first call of an activity to its last result.
    fn duration_of(&self, item: &Item) -> Option<String> {
        let calls = item
            .parts
            .iter()
            .filter(|place| matches!(self.outline.part(**place), Part::ToolCall(_)));
        let first = self.outline.message(calls.clone().next()?.message()).at?;
        let ends = calls.flat_map(|place| self.outline.index.results_of(*place));
        let ends = ends.filter_map(|place| self.outline.message(place.message()).at);
        let last = ends.max()?;
        activity::duration(u64::try_from(last.millis() - first.millis()).ok()?)
    }

    fn loose_thread(
        &self,
        thread: ThreadId,
        depth: usize,
        fragment: &mut Fragment,
    ) -> Result<PartContext, RenderError> {
        let first = self.outline.path_of(thread).first().copied().unwrap_or(0);
        let context = self.thread(thread, depth, first, fragment)?;
        let summary = context.summary.clone();
        Ok(PartContext::Activity {
            summary,
            failed: false,
            duration: None,
            entries: vec![Entry::Thread {
                anchor: None,
                thread: context,
            }],
        })
    }

    /// A thread within its call, or a link to its own pages.
    fn thread(
        &self,
        thread: ThreadId,
        depth: usize,
        caller: usize,
        fragment: &mut Fragment,
    ) -> Result<ThreadContext, RenderError> {
        let title = self.outline.threads.get(thread.0 as usize);
        let title = title.and_then(|thread| thread.title.as_deref().map(text::name));
        let (messages, calls) = self.outline.index.thread_size(thread);
        let (messages, calls) = (
            activity::count(messages, "message"),
            activity::count(calls, "tool call"),
        );
        let summary = match &title {
            Some(title) => format!("Subagent “{title}”: {messages}, {calls}"),
            None => format!("Subagent: {messages}, {calls}"),
        };
        let is_unseen = depth >= THREAD_DEPTH_MAX || self.outline.index.is_long(thread, depth + 1);
        let mut fragments = match is_unseen {
            true => Vec::new(),
            false => self.thread_fragments(thread, depth + 1)?,
        };
        let bytes: usize = fragments.iter().map(|part| part.html.len()).sum();
        if is_unseen || bytes > THREAD_INLINE_BYTES_MAX {
            let first = self.outline.index.places_in(thread).first();
            let name = self
                .outline
                .anchor(first.map_or(caller, |place| *place as usize));
            let name = format!("thread-{}", &name[1..]);
            let back = self.outline.anchor(caller);
            let within = fragments
                .iter_mut()
                .map(|part| mem::take(&mut part.threads));
            fragment.threads.extend(within.flatten());
            let href = format!("{name}.html");
            fragment.threads.push(LongThread {
                thread,
                name,
                title,
                back,
                fragments: (!is_unseen).then_some(fragments),
            });
            return Ok(ThreadContext {
                summary,
                href: Some(href),
                messages: None,
            });
        }
        let mut html = String::new();
        for part in fragments {
            html.push_str(&part.html);
            fragment.anchors.extend(part.anchors);
            fragment.branches.extend(part.branches);
            fragment.threads.extend(part.threads);
        }
        Ok(ThreadContext {
            summary,
            href: None,
            messages: Some(Value::from_safe_string(html)),
        })
    }

    /// Links to the other versions of a message. Those that begin here get pages of their own.
    fn versions(&self, item: &Item, fragment: &mut Fragment) -> Vec<Version> {
        let alternatives = self.outline.index.alternatives(item.message);
        if alternatives.len() < 2 {
            return Vec::new();
        }
        let version = |(at, message): (usize, &usize)| {
            let anchor = &self.outline.anchor(*message);
            let elsewhere = || {
                (self.page_of)(anchor).unwrap_or_else(|| format!("{}.html", branch_name(anchor)))
            };
            Version {
                number: at + 1,
                href: (*message != item.message).then(|| format!("{}#{anchor}", elsewhere())),
            }
        };
        // Once one of them has a page, all of them are known: looking at all from each would be quadratic.
        let has_page = |message: &usize| (self.page_of)(&self.outline.anchor(*message)).is_some();
        if !alternatives.iter().any(has_page) {
            let others = alternatives.iter().filter(|other| **other != item.message);
            fragment.branches.extend(others);
        }
        let here = alternatives.binary_search(&item.message).unwrap_or(0);
        let last = alternatives.len() - 1;
        let is_shown = |(at, _): &(usize, &usize)| {
            last < VERSIONS_MAX || *at == 0 || *at == last || at.abs_diff(here) <= VERSIONS_AROUND
        };
        let shown = alternatives.iter().enumerate().filter(is_shown);
        shown.map(version).collect()
    }

    fn prompt_text(&self, item: &Item) -> String {
        let texts = item
            .parts
            .iter()
            .filter_map(|place| match self.outline.part(*place) {
                Part::Text { markdown } => Some(markdown.as_str()),
                _ => None,
            });
        let line = texts
            .flat_map(str::lines)
            .map(|line| {
                line.trim()
                    .trim_start_matches(['#', '>', '*', '-', '`', ' '])
            })
            .find(|line| !line.is_empty());
        let line = line.unwrap_or("Image or file");
        text::cut(line, PROMPT_CHARS_MAX)
    }
}

/// The name of an alternative's first page, without its ending.
pub(crate) fn branch_name(anchor: &str) -> String {
    format!("branch-{}", &anchor[1..])
}

/// What an activity without calls holds.
#[derive(Default)]
struct Others {
    /// Each kind once, in the order of the chat.
    kinds: Vec<Other>,
    thought_ms: u64,
    quiet_count: usize,
}

enum Other {
    Thought,
    /// A note with this title, the first of them.
    Quiet(String),
    Result,
}

impl Others {
    fn push(&mut self, other: Other) {
        let kind = mem::discriminant(&other);
        if self
            .kinds
            .iter()
            .all(|there| mem::discriminant(there) != kind)
        {
            self.kinds.push(other);
        }
    }

    fn summary(self) -> String {
        let words = self.kinds.into_iter().map(|kind| match kind {
            Other::Thought => activity::duration(self.thought_ms).map_or_else(
                || "Thought".to_owned(),
                |duration| format!("Thought for {duration}"),
            ),
            Other::Quiet(title) if self.quiet_count == 1 => title,
            Other::Quiet(title) => format!("{title} and {} more", self.quiet_count - 1),
            Other::Result => "Result of a call that is not in the chat".to_owned(),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

fn kind_name(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Prompt => "prompt",
        ItemKind::Answer => "answer",
        ItemKind::Activity | ItemKind::LooseThread(_) => "activity",
        ItemKind::Notice => "notice",
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::System => "system",
        Role::Tool => "tool",
    }
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Complete => "complete",
        Status::Partial => "partial",
        Status::Aborted => "aborted",
        Status::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_keeps_the_order_of_the_chat() {
        let mut others = Others {
            quiet_count: 2,
            ..Others::default()
        };
        for other in [
            Other::Quiet("Command: /init".to_owned()),
            Other::Thought,
            Other::Quiet("Command: /clear".to_owned()),
            Other::Result,
            Other::Thought,
        ] {
            others.push(other);
        }
        let expected =
            "Command: /init and 1 more, Thought, Result of a call that is not in the chat";
        assert_eq!(others.summary(), expected);
    }
}
