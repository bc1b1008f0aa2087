//! Function tools of coding agents: what their calls do.
//!
//! Shape: openai/codex codex-rs/core/src/tools (names and arguments of the tools).

use readalong_model::{Action, PlanItem, PlanStatus, RawJson};
use serde_json::{Map, Value, value::RawValue};

use super::{CallDraft, patch, pieces};
use crate::builder::shorten;

/// Characters of the title of work that is given away.
const TITLE_CHARS_MAX: usize = 60;

/// What a tool was given.
#[derive(Debug)]
pub(super) enum Input {
    Object(Map<String, Value>),
    Text(String),
    /// JSON of another kind, or none.
    Other(Option<RawJson>),
}

impl Input {
    /// Reads what stands as the input: a text that holds JSON, any other text, or JSON itself.
    pub(super) fn read(raw: Option<&RawValue>) -> Result<Self, serde_json::Error> {
        let Some(raw) = raw else {
            return Ok(Self::Other(None));
        };
        if let Some(text) = pieces::string(raw)? {
            let trimmed = text.trim_start();
            if trimmed.starts_with('{')
                && let Ok(object) = serde_json::from_str(trimmed)
            {
                return Ok(Self::Object(object));
            }
            return Ok(if trimmed.is_empty() {
                Self::Other(None)
            } else {
                Self::Text(text.into_owned())
            });
        }
        Ok(match raw.get().starts_with('{') {
            true => Self::Object(serde_json::from_str(raw.get())?),
            false => Self::Other(Some(RawJson::from(raw.to_owned()))),
        })
    }

    pub(super) fn into_json(self) -> Option<RawJson> {
        match self {
            Self::Object(object) if object.is_empty() => None,
            Self::Object(object) => Some(RawJson::from(&Value::Object(object))),
            Self::Text(text) => Some(RawJson::from(&Value::String(text))),
            Self::Other(json) => json,
        }
    }
}

/// A call of that tool: what it does, less what the action holds.
pub(super) fn call(name: &str, mut input: Input) -> CallDraft {
    let asks = matches!(&input, Input::Object(object) if asks_for_leave(object));
    let action = match &mut input {
        Input::Object(object) => action_of(base_name(name), object),
        Input::Text(text) => match text_action(base_name(name), text) {
            Some(action) => {
                input = Input::Other(None);
                Some(action)
            }
            None => None,
        },
        Input::Other(_) => None,
    };
    CallDraft {
        name: name.to_owned(),
        action: action.unwrap_or_default(),
        input: input.into_json(),
        asks,
        ..CallDraft::default()
    }
}

fn base_name(name: &str) -> &str {
    name.strip_prefix("functions.").unwrap_or(name)
}

fn asks_for_leave(object: &Map<String, Value>) -> bool {
    object.get("sandbox_permissions").and_then(Value::as_str) == Some("require_escalated")
        || object.get("with_escalated_permissions") == Some(&Value::Bool(true))
}

/// What a call with a free text does.
fn text_action(name: &str, text: &str) -> Option<Action> {
    let language = match name {
        "apply_patch" => return patch::read(text).map(|files| Action::Patch { files }),
        "js_repl" => "javascript",
        "python" => "python",
        _ => return None,
    };
    Some(Action::Run {
        command: text.to_owned(),
        language: Some(language.to_owned()),
        purpose: None,
    })
}

/// What a call does; takes the members that the action holds out of the input.
fn action_of(name: &str, input: &mut Map<String, Value>) -> Option<Action> {
    match name {
        "shell" | "container.exec" | "local_shell" | "shell_command" | "exec_command"
        | "unified_exec" => run(input),
        "apply_patch" => {
            let key = ["input", "patch"]
                .into_iter()
                .find(|key| input.get(*key).is_some_and(Value::is_string))?;
            let files = patch::read(input.get(key)?.as_str()?)?;
            input.remove(key);
            Some(Action::Patch { files })
        }
        "update_plan" => plan(input),
        "view_image" => text(input, &["path"]).map(|path| Action::Read { path, lines: None }),
        "read_file" => {
            text(input, &["file_path", "path"]).map(|path| Action::Read { path, lines: None })
        }
        "list_dir" => text(input, &["dir_path", "path"]).map(|path| Action::List { path }),
        "grep_files" => text(input, &["pattern"]).map(|query| Action::Search {
            query,
            path: text(input, &["path"]),
        }),
        "web_search" => query(input).map(|query| Action::WebSearch { query }),
        "spawn_agent" => {
            let prompt = text(input, &["message", "prompt"])?;
            Some(Action::Delegate {
                title: shorten(&prompt, TITLE_CHARS_MAX).unwrap_or_else(|| "Subagent".to_owned()),
                prompt,
            })
        }
        _ => None,
    }
}

/// A member that is a text, taken out.
pub(super) fn text(input: &mut Map<String, Value>, keys: &[&str]) -> Option<String> {
    let key = keys
        .iter()
        .find(|key| input.get(**key).is_some_and(Value::is_string))?;
    match input.remove(*key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// The query, or several as lines.
pub(super) fn query(input: &mut Map<String, Value>) -> Option<String> {
    let single = text(input, &["query", "q"]);
    let all = |queries: &[Value]| {
        queries
            .iter()
            .map(Value::as_str)
            .collect::<Option<Vec<&str>>>()
            .map(|queries| queries.join("\n"))
    };
    let several = input
        .get("queries")
        .and_then(Value::as_array)
        .and_then(|queries| all(queries))
        .filter(|text| !text.is_empty());
    match (single, several) {
        (Some(single), Some(several)) => {
            if several.lines().any(|line| line == single) {
                input.remove("queries");
                return Some(several);
            }
            Some(single)
        }
        (None, Some(several)) => {
            input.remove("queries");
            Some(several)
        }
        (single, None) => single.filter(|text| !text.is_empty()),
    }
}

fn run(input: &mut Map<String, Value>) -> Option<Action> {
    let key = ["command", "cmd"]
        .into_iter()
        .find(|key| input.contains_key(*key))?;
    let command = match input.get(key)? {
        Value::String(command) => command.clone(),
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().map(Value::as_str).collect::<Option<_>>()?;
            match words.as_slice() {
                [] => return None,
                ["apply_patch", text] => {
                    if let Some(files) = patch::read(text) {
                        input.remove(key);
                        return Some(Action::Patch { files });
                    }
                    command_line(&words)
                }
                [shell, "-c" | "-lc", script] if is_shell(shell) => (*script).to_owned(),
                words => command_line(words),
            }
        }
        _ => return None,
    };
    input.remove(key);
    let purpose = text(input, &["justification"]);
    Some(Action::Run {
        command,
        language: None,
        purpose,
    })
}

fn is_shell(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    matches!(name, "bash" | "sh" | "zsh" | "dash")
}

/// Words as one would type them.
fn command_line(words: &[&str]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    let quoted = words
        .iter()
        .map(|word| match !word.is_empty() && word.chars().all(plain) {
            true => (*word).to_owned(),
            false => format!("'{}'", word.replace('\'', r"'\''")),
        });
    quoted.collect::<Vec<_>>().join(" ")
}

fn plan(input: &mut Map<String, Value>) -> Option<Action> {
    let item = |item: &Value| {
        let text = item.get("step").and_then(Value::as_str)?.to_owned();
        let status = match item.get("status").and_then(Value::as_str) {
            Some("completed") => PlanStatus::Done,
            Some("in_progress") => PlanStatus::Active,
            _ => PlanStatus::Pending,
        };
        Some(PlanItem { text, status })
    };
    let items = input
        .get("plan")?
        .as_array()?
        .iter()
        .map(item)
        .collect::<Option<Vec<_>>>()?;
    input.remove("plan");
    Some(Action::Plan { items })
}
