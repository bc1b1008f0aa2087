//! Pieces of a message.
//!
//! Enums are written as `{"kind": {...}}` (serde's external tagging): internally tagged ones would have to copy [`RawJson`] through a buffer.

use serde::{Deserialize, Serialize};

use crate::{ArtifactId, RawJson};

/// One piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Prose. Markdown in messages of people and models; plain text with terminal codes in tool results.
    Text {
        /// The text as it was written.
        markdown: String,
    },
    /// What the model thought before it answered.
    Reasoning {
        /// The thoughts or their summary, Markdown; empty where the provider kept them.
        markdown: String,
        /// How long, in milliseconds, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
    },
    /// A tool that the model called.
    ToolCall(ToolCall),
    /// What a tool answered.
    ToolResult {
        /// The call it answers.
        call_id: String,
        /// The answer.
        parts: Vec<Part>,
        /// True where the tool failed or was refused.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
    /// A picture.
    Image {
        /// The picture's file.
        artifact: ArtifactId,
        /// Text in its place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alt: Option<String>,
    },
    /// Any other file.
    File {
        /// The file.
        artifact: ArtifactId,
    },
    /// Something the answer rests on.
    Source {
        /// Title, or the URL where there is none.
        title: String,
        /// Where it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// What was quoted of it, plain text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        excerpt: Option<String>,
    },
    /// Something that happened to the chat.
    Notice {
        /// What kind of thing.
        kind: NoticeKind,
        /// What is known of it, plain text; may be empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// A record that readalong does not know, kept as it was.
    Unknown {
        /// Its native type name, or empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        label: String,
        /// The record.
        json: RawJson,
    },
}

impl Part {
    /// True where all that the part said before is still in it.
    pub(crate) fn continues(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Text { markdown }, Self::Text { markdown: before })
            | (
                Self::Reasoning { markdown, .. },
                Self::Reasoning {
                    markdown: before, ..
                },
            ) => markdown.starts_with(before.trim_end()),
            // Its result may have come.
            (Self::ToolCall(call), Self::ToolCall(before)) => {
                let state = before.state;
                ToolCall {
                    state,
                    ..call.clone()
                } == *before
            }
            (now, before) => now == before,
        }
    }
}

/// Kinds of notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The history was replaced by a summary; the text is the summary.
    Compaction,
    /// Later messages were taken back.
    Rewind,
    /// The provider or the program failed.
    Error,
    /// The human interrupted.
    Interrupted,
    /// A prompt waited in a queue.
    Queue,
    /// A command of the program was used; the text is the command and what it said.
    Command,
    /// The model was changed.
    ModelChange,
    /// Anything else worth a line.
    Info,
}

/// A tool that the model called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Joins the call with its result; unique within the chat.
    pub call_id: String,
    /// The tool's name in the transcript.
    pub name: String,
    /// What the call does, where the importer knows the tool.
    #[serde(default, skip_serializing_if = "Action::is_other")]
    pub action: Action,
    /// The input, less what `action` already holds; `None` where nothing is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<RawJson>,
    /// How far the call came.
    #[serde(default, skip_serializing_if = "CallState::is_done")]
    pub state: CallState,
}

/// What a tool call does, in words that no tool vendor owns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Something else: the name and the input say all that is known.
    #[default]
    Other,
    /// Reads a file.
    Read {
        /// Path of the file.
        path: String,
        /// Which lines, for people (`10-40`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<String>,
    },
    /// Writes a whole file.
    Write {
        /// Path of the file.
        path: String,
        /// The new content.
        content: String,
    },
    /// Changes parts of a file.
    Edit {
        /// Path of the file.
        path: String,
        /// The changes, in order.
        edits: Vec<Edit>,
    },
    /// Deletes a file.
    Remove {
        /// Path of the file.
        path: String,
    },
    /// Changes several files at once.
    Patch {
        /// One action a file: `Write`, `Edit` or `Remove`.
        files: Vec<Action>,
    },
    /// Runs a command.
    Run {
        /// The command line or program text.
        command: String,
        /// Language of a program text (`python`); `None` for a shell command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        /// What it is for, in the model's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        purpose: Option<String>,
    },
    /// Looks for text or names in files.
    Search {
        /// What is looked for.
        query: String,
        /// Where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
    /// Lists a folder.
    List {
        /// Path of the folder.
        path: String,
    },
    /// Opens a web page.
    Fetch {
        /// Its address.
        url: String,
        /// What is asked of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt: Option<String>,
    },
    /// Searches the web.
    WebSearch {
        /// The query.
        query: String,
    },
    /// Gives work to a subagent; the thread that names this call as its parent holds what it did.
    Delegate {
        /// What for, in a few words.
        title: String,
        /// The whole instruction, Markdown.
        prompt: String,
    },
    /// Keeps the plan of work.
    Plan {
        /// Its items, all of them.
        items: Vec<PlanItem>,
    },
}

impl Action {
    fn is_other(&self) -> bool {
        *self == Self::Other
    }
}

/// One replaced piece of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// `old` became `new`.
    Replace {
        /// Text before.
        old: String,
        /// Text after.
        new: String,
    },
    /// Lines as in a unified diff, with their `+`, `-` and space, `@@` lines included.
    Unified {
        /// The diff.
        diff: String,
    },
}

/// One item of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanItem {
    /// What is to be done.
    pub text: String,
    /// How far it is.
    pub status: PlanStatus,
}

/// How far an item of a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Not begun.
    Pending,
    /// Being worked on.
    Active,
    /// Done.
    Done,
}

/// How far a tool call came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// Its result is in the chat.
    #[default]
    Done,
    /// No result is in the chat (yet).
    NoResult,
    /// It failed.
    Failed,
    /// The human refused it.
    Denied,
}

impl CallState {
    fn is_done(&self) -> bool {
        *self == Self::Done
    }
}
