//! Tool names and inputs of Anthropic's agents and server tools, as actions.
//!
//! Sources: real transcripts; wesm/agentsview internal/parser/claude.go. A tool whose input lacks what its action
//! needs stays `Action::Other` with its whole input.

use readalong_model::{Action, CallState, Edit, PlanItem, PlanStatus, RawJson, ToolCall};
use serde_json::{Map, Value, value::RawValue};

type Input = Map<String, Value>;

/// A tool call as the model knows it: what the action holds is taken out of the input.
pub(crate) fn tool_call(call_id: String, name: &str, input: Option<&RawValue>) -> ToolCall {
    let mut members: Option<Input> = input.and_then(|input| serde_json::from_str(input.get()).ok());
    let action = members.as_mut().and_then(|members| action(name, members));
    let input = match (&action, members) {
        (_, Some(members)) if members.is_empty() => None,
        (Some(_), Some(members)) => Some(RawJson::from(&Value::Object(members))),
        _ => input
            .filter(|input| !matches!(input.get(), "null" | "{}"))
            .map(|input| RawJson::from(input.to_owned())),
    };
    ToolCall {
        call_id,
        name: name.to_owned(),
        action: action.unwrap_or_default(),
        input,
        state: CallState::Done,
    }
}

/// Takes out of a call what it shows to the human: a plan to agree to.
pub(crate) fn take_plan(call: &mut ToolCall) -> Option<String> {
    let input = call
        .input
        .as_ref()
        .filter(|_| call.name == "ExitPlanMode")?;
    let mut input: Input = serde_json::from_str(input.get()).ok()?;
    let plan = take(&mut input, "plan")?;
    call.input = (!input.is_empty()).then(|| RawJson::from(&Value::Object(input)));
    Some(plan)
}

fn action(name: &str, input: &mut Input) -> Option<Action> {
    match name {
        "Read" | "NotebookRead" => {
            let path = take(input, "file_path").or_else(|| take(input, "notebook_path"))?;
            Some(Action::Read {
                path,
                lines: take_lines(input),
            })
        }
        "Write" => {
            let [path, content] = take_all(input, ["file_path", "content"])?;
            Some(Action::Write { path, content })
        }
        "Edit" | "Update" => {
            let [path, old, new] = take_all(input, ["file_path", "old_string", "new_string"])?;
            drop_default(input, "replace_all");
            Some(Action::Edit {
                path,
                edits: vec![Edit::Replace { old, new }],
            })
        }
        "MultiEdit" => multi_edit(input),
        "NotebookEdit" => {
            let [path, new] = take_all(input, ["notebook_path", "new_source"])?;
            Some(Action::Edit {
                path,
                edits: vec![Edit::Replace {
                    old: String::new(),
                    new,
                }],
            })
        }
        "Bash" | "PowerShell" | "bash" | "bash_code_execution" => {
            let command = take(input, "command")?;
            Some(Action::Run {
                command,
                language: None,
                purpose: take(input, "description"),
            })
        }
        "code_execution" => Some(Action::Run {
            command: take(input, "code")?,
            language: Some("python".to_owned()),
            purpose: None,
        }),
        "Grep" | "Glob" => {
            let query = take(input, "pattern")?;
            Some(Action::Search {
                query,
                path: take(input, "path"),
            })
        }
        "LS" => Some(Action::List {
            path: take(input, "path")?,
        }),
        "WebFetch" | "web_fetch" => {
            let url = take(input, "url")?;
            Some(Action::Fetch {
                url,
                prompt: take(input, "prompt"),
            })
        }
        "WebSearch" | "web_search" => Some(Action::WebSearch {
            query: take(input, "query")?,
        }),
        "Task" | "Agent" => {
            let prompt = take(input, "prompt")?;
            let title = take(input, "description").unwrap_or_default();
            Some(Action::Delegate { title, prompt })
        }
        "TodoWrite" => plan(input),
        "str_replace_based_edit_tool" | "str_replace_editor" | "text_editor_code_execution" => {
            text_editor(input)
        }
        _ => None,
    }
}

/// Takes a member that is a string.
fn take(input: &mut Input, key: &str) -> Option<String> {
    match input.get_mut(key)? {
        Value::String(text) => {
            let text = std::mem::take(text);
            input.shift_remove(key);
            Some(text)
        }
        _ => None,
    }
}

/// Takes several members that are strings, or none of them.
fn take_all<const N: usize>(input: &mut Input, keys: [&str; N]) -> Option<[String; N]> {
    let all = keys
        .iter()
        .all(|key| input.get(*key).is_some_and(Value::is_string));
    all.then(|| keys.map(|key| take(input, key).unwrap_or_default()))
}

/// Drops a switch that is off: it says nothing.
fn drop_default(input: &mut Input, key: &str) {
    if input.get(key) == Some(&Value::Bool(false)) {
        input.shift_remove(key);
    }
}

/// `offset` and `limit` as a range of lines.
fn take_lines(input: &mut Input) -> Option<String> {
    let number = |key: &str| input.get(key).and_then(Value::as_u64);
    let lines = match (number("offset"), number("limit")) {
        (None, None) => return None,
        (Some(first), None) => format!("{first}-"),
        (first, Some(count)) => {
            let first = first.unwrap_or(1);
            format!("{first}-{}", first.saturating_add(count).saturating_sub(1))
        }
    };
    for key in ["offset", "limit"] {
        if input.get(key).is_some_and(Value::is_u64) {
            input.shift_remove(key);
        }
    }
    Some(lines)
}

fn multi_edit(input: &mut Input) -> Option<Action> {
    let is_edit = |edit: &Value| {
        ["old_string", "new_string"]
            .iter()
            .all(|key| edit.get(key).is_some_and(Value::is_string))
    };
    let whole = input
        .get("edits")
        .and_then(Value::as_array)
        .is_some_and(|edits| edits.iter().all(is_edit));
    let path = if whole {
        take(input, "file_path")?
    } else {
        return None;
    };
    let Some(Value::Array(list)) = input.get_mut("edits") else {
        return None;
    };
    let mut edits = Vec::with_capacity(list.len());
    for edit in list.iter_mut().filter_map(Value::as_object_mut) {
        let old = take(edit, "old_string").unwrap_or_default();
        let new = take(edit, "new_string").unwrap_or_default();
        drop_default(edit, "replace_all");
        edits.push(Edit::Replace { old, new });
    }
    if list
        .iter()
        .all(|rest| rest.as_object().is_some_and(Map::is_empty))
    {
        input.shift_remove("edits");
    }
    Some(Action::Edit { path, edits })
}

/// The items of a plan. Their numbers, priorities and the words for "doing it now" repeat what order, status and text say.
fn plan(input: &mut Input) -> Option<Action> {
    let Some(Value::Array(todos)) = input.get("todos") else {
        return None;
    };
    let items = todos.iter().map(plan_item).collect::<Option<Vec<_>>>()?;
    let known = ["content", "status", "activeForm", "id", "priority"];
    let plain = |todo: &Value| {
        todo.as_object()
            .is_none_or(|todo| todo.keys().all(|key| known.contains(&key.as_str())))
    };
    if todos.iter().all(plain) {
        input.shift_remove("todos");
    }
    Some(Action::Plan { items })
}

fn plan_item(todo: &Value) -> Option<PlanItem> {
    let text = todo.as_str().or_else(|| todo.get("content")?.as_str())?;
    let status = match todo.get("status").and_then(Value::as_str) {
        Some("completed") => PlanStatus::Done,
        Some("in_progress") => PlanStatus::Active,
        _ => PlanStatus::Pending,
    };
    Some(PlanItem {
        text: text.to_owned(),
        status,
    })
}

fn text_editor(input: &mut Input) -> Option<Action> {
    let command = input.get("command").and_then(Value::as_str)?.to_owned();
    let action = match command.as_str() {
        "view" => Action::Read {
            path: take(input, "path")?,
            lines: None,
        },
        "create" => {
            let [path, content] = take_all(input, ["path", "file_text"])?;
            Action::Write { path, content }
        }
        "str_replace" => {
            let [path, old, new] = take_all(input, ["path", "old_str", "new_str"])?;
            Action::Edit {
                path,
                edits: vec![Edit::Replace { old, new }],
            }
        }
        _ => return None,
    };
    input.shift_remove("command");
    Some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(name: &str, input: &str) -> String {
        let raw: Box<RawValue> = serde_json::from_str(input).unwrap();
        let call = tool_call("c".into(), name, Some(&raw));
        let rest = call.input.as_ref().map_or("-", RawJson::get);
        format!("{} | {rest}", serde_json::to_string(&call.action).unwrap())
    }

    #[test]
    fn known_tools_become_actions_and_keep_the_rest() {
        for (name, input, expected) in [
            (
                "Read",
                r#"{"file_path":"/a","offset":10,"limit":31}"#,
                r#"{"read":{"path":"/a","lines":"10-40"}} | -"#,
            ),
            (
                "Read",
                r#"{"file_path":"/a","limit":5,"pages":"1"}"#,
                r#"{"read":{"path":"/a","lines":"1-5"}} | {"pages":"1"}"#,
            ),
            ("Read", r#"{"file_path":7}"#, r#""other" | {"file_path":7}"#),
            (
                "Write",
                r#"{"file_path":"/a","content":"x"}"#,
                r#"{"write":{"path":"/a","content":"x"}} | -"#,
            ),
            (
                "Write",
                r#"{"file_path":"/a"}"#,
                r#""other" | {"file_path":"/a"}"#,
            ),
            (
                "Edit",
                r#"{"file_path":"/a","old_string":"o","new_string":"n","replace_all":true}"#,
                r#"{"edit":{"path":"/a","edits":[{"replace":{"old":"o","new":"n"}}]}} | {"replace_all":true}"#,
            ),
            (
                "MultiEdit",
                r#"{"file_path":"/a","edits":[{"old_string":"o","new_string":"n","replace_all":false},{"old_string":"p","new_string":"q"}]}"#,
                r#"{"edit":{"path":"/a","edits":[{"replace":{"old":"o","new":"n"}},{"replace":{"old":"p","new":"q"}}]}} | -"#,
            ),
            (
                "MultiEdit",
                r#"{"file_path":"/a","edits":[{"old_string":"o"}]}"#,
                r#""other" | {"file_path":"/a","edits":[{"old_string":"o"}]}"#,
            ),
            (
                "NotebookEdit",
                r#"{"notebook_path":"/n","new_source":"x","cell_id":"1"}"#,
                r#"{"edit":{"path":"/n","edits":[{"replace":{"old":"","new":"x"}}]}} | {"cell_id":"1"}"#,
            ),
            (
                "Bash",
                r#"{"command":"ls","description":"List","timeout":5}"#,
                r#"{"run":{"command":"ls","purpose":"List"}} | {"timeout":5}"#,
            ),
            (
                "Grep",
                r#"{"pattern":"x","path":"/a","-n":true}"#,
                r#"{"search":{"query":"x","path":"/a"}} | {"-n":true}"#,
            ),
            (
                "Glob",
                r#"{"pattern":"*.rs"}"#,
                r#"{"search":{"query":"*.rs"}} | -"#,
            ),
            ("LS", r#"{"path":"/a"}"#, r#"{"list":{"path":"/a"}} | -"#),
            (
                "WebFetch",
                r#"{"url":"https://example.com","prompt":"p"}"#,
                r#"{"fetch":{"url":"https://example.com","prompt":"p"}} | -"#,
            ),
            (
                "WebSearch",
                r#"{"query":"q"}"#,
                r#"{"web_search":{"query":"q"}} | -"#,
            ),
            (
                "Task",
                r#"{"description":"d","prompt":"p","subagent_type":"Explore"}"#,
                r#"{"delegate":{"title":"d","prompt":"p"}} | {"subagent_type":"Explore"}"#,
            ),
            (
                "TodoWrite",
                r#"{"todos":["loose",{"content":"a","status":"completed","activeForm":"A"},{"content":"b","status":"in_progress"}]}"#,
                r#"{"plan":{"items":[{"text":"loose","status":"pending"},{"text":"a","status":"done"},{"text":"b","status":"active"}]}} | -"#,
            ),
            (
                "TodoWrite",
                r#"{"todos":"none"}"#,
                r#""other" | {"todos":"none"}"#,
            ),
            (
                "code_execution",
                r#"{"code":"1"}"#,
                r#"{"run":{"command":"1","language":"python"}} | -"#,
            ),
            (
                "str_replace_based_edit_tool",
                r#"{"command":"view","path":"/a"}"#,
                r#"{"read":{"path":"/a"}} | -"#,
            ),
            ("mcp__x__y", r#"{"a":1}"#, r#""other" | {"a":1}"#),
            ("ExitPlanMode", "{}", r#""other" | -"#),
            ("Bash", "[1]", r#""other" | [1]"#),
        ] {
            assert_eq!(show(name, input), expected, "{name} {input}");
        }
    }
}
