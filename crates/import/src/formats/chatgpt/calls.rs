//! Calls of the product's tools: a message of the model to a recipient other than all is one.

use std::rc::Rc;

use readalong_model::{Action, Edit, RawJson};
use serde_json::{Map, Value};

/// What a node inherits from those above it. Cheap to copy: every node has one.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    /// The call that a tool's message answers.
    pub(super) call: Option<Rc<str>>,
    /// The canvas document that is being worked on.
    pub(super) document: Option<Rc<str>>,
    /// The parts of the report that was read last: its window tells of it again and again.
    pub(super) report: Option<Rc<str>>,
}

/// True where a message to this recipient is a call.
pub(super) fn is_tool(recipient: &str) -> bool {
    !matches!(recipient, "" | "all" | "user" | "assistant")
}

/// What people call a tool.
pub(super) fn name_of(tool: &str) -> &str {
    match tool {
        "t2uay3k.sj1i4kz" => "image_gen",
        _ => tool,
    }
}

/// What a call does, and the input that is left.
pub(super) fn action_of(
    tool: &str,
    input: &str,
    context: &mut Context,
) -> (Action, Option<RawJson>) {
    let family = tool.split('.').next().unwrap_or(tool);
    if matches!(
        family,
        "python" | "python_user_visible" | "code_interpreter"
    ) && !input.is_empty()
    {
        return (
            Action::Run {
                command: input.to_owned(),
                language: Some("python".to_owned()),
                purpose: None,
            },
            None,
        );
    }
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(input) else {
        let action = if matches!(family, "browser" | "web") {
            browser_words(input)
        } else {
            None
        };
        return match action {
            Some(action) => (action, None),
            None => (Action::Other, as_json(input)),
        };
    };
    let action = match (tool, family) {
        ("canmore.create_textdoc", _) => create(&mut members, context),
        ("canmore.update_textdoc", _) => update(&mut members, context),
        (_, "container") => run(&mut members),
        (_, "web" | "browser") | ("search", _) => browse(&mut members),
        _ => None,
    };
    match action {
        Some(action) if members.is_empty() => (action, None),
        Some(action) => (action, Some(RawJson::from(&Value::Object(members)))),
        None => (Action::Other, as_json(input)),
    }
}

/// An input that nothing is known of: as JSON where it is some, else as a string.
fn as_json(input: &str) -> Option<RawJson> {
    let input = input.trim();
    if input.is_empty() || input == "{}" {
        return None;
    }
    Some(
        RawJson::new(input.to_owned())
            .unwrap_or_else(|_| RawJson::from(&Value::String(input.to_owned()))),
    )
}

/// Takes a member that is a string.
fn take(members: &mut Map<String, Value>, key: &str) -> Option<String> {
    match members.get_mut(key) {
        Some(Value::String(text)) => {
            let text = std::mem::take(text);
            members.shift_remove(key);
            Some(text)
        }
        _ => None,
    }
}

fn create(members: &mut Map<String, Value>, context: &mut Context) -> Option<Action> {
    if !(members.get("name")?.is_string() && members.get("content")?.is_string()) {
        return None;
    }
    let (path, content) = (take(members, "name")?, take(members, "content")?);
    context.document = Some(path.as_str().into());
    Some(Action::Write { path, content })
}

/// Replacements by pattern; the pattern `.*` rewrites the whole document.
fn update(members: &mut Map<String, Value>, context: &Context) -> Option<Action> {
    let path = context.document.as_deref().unwrap_or("canvas").to_owned();
    let updates = members.get("updates")?.as_array()?;
    let pair = |update: &Value| {
        let only_known = update
            .as_object()?
            .keys()
            .all(|key| matches!(key.as_str(), "pattern" | "replacement" | "multiple"));
        Some((
            update["pattern"].as_str()?.to_owned(),
            update["replacement"].as_str()?.to_owned(),
        ))
        .filter(|_| only_known)
    };
    let pairs: Vec<(String, String)> = updates.iter().map(pair).collect::<Option<_>>()?;
    let multiple: Vec<Value> = updates
        .iter()
        .map(|update| update["multiple"].clone())
        .collect();
    members.shift_remove("updates");
    if let [(pattern, content)] = pairs.as_slice()
        && pattern == ".*"
    {
        return Some(Action::Write {
            path,
            content: content.clone(),
        });
    }
    if multiple.contains(&Value::Bool(true)) {
        members.insert("multiple".to_owned(), Value::Array(multiple));
    }
    Some(Action::Edit {
        path,
        edits: pairs
            .into_iter()
            .map(|(old, new)| Edit::Replace { old, new })
            .collect(),
    })
}

/// A command in a container: a list of words, or a line.
fn run(members: &mut Map<String, Value>) -> Option<Action> {
    let words = members.get("cmd")?;
    let command = match words {
        Value::String(line) => line.clone(),
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().map(Value::as_str).collect::<Option<_>>()?;
            match words.as_slice() {
                ["bash" | "sh", "-c" | "-lc", line] => (*line).to_owned(),
                words => words.join(" "),
            }
        }
        _ => return None,
    };
    members.shift_remove("cmd");
    Some(Action::Run {
        command,
        language: None,
        purpose: None,
    })
}

/// A search (`query`, `search_query: [{q}]`) or the opening of a page (`url`, `open: [{ref_id}]`).
fn browse(members: &mut Map<String, Value>) -> Option<Action> {
    if let Some(query) = take(members, "query").or_else(|| take(members, "q")) {
        return Some(Action::WebSearch { query });
    }
    if members
        .get("url")
        .and_then(Value::as_str)
        .is_some_and(is_url)
    {
        return take(members, "url").map(|url| Action::Fetch { url, prompt: None });
    }
    if let Some(queries) = members
        .get_mut("search_query")
        .and_then(Value::as_array_mut)
    {
        let texts: Vec<String> = queries
            .iter_mut()
            .filter_map(|query| take(query.as_object_mut()?, "q"))
            .collect();
        queries.retain(|query| query.as_object().is_none_or(|query| !query.is_empty()));
        if queries.is_empty() {
            members.shift_remove("search_query");
        }
        return Some(texts.join("\n"))
            .filter(|texts| !texts.is_empty())
            .map(|query| Action::WebSearch { query });
    }
    let opened = members.get_mut("open").and_then(Value::as_array_mut)?;
    let [Value::Object(page)] = opened.as_mut_slice() else {
        return None;
    };
    let url = page
        .get("ref_id")
        .and_then(Value::as_str)
        .filter(|id| is_url(id))?
        .to_owned();
    page.shift_remove("ref_id");
    if page.is_empty() {
        members.shift_remove("open");
    }
    Some(Action::Fetch { url, prompt: None })
}

/// Commands of the older browser, which look like function calls: `search("...")`, `open_url("...")`.
fn browser_words(input: &str) -> Option<Action> {
    let (name, rest) = input.trim().split_once('(')?;
    let argument: String = serde_json::from_str(rest.trim_end().strip_suffix(')')?).ok()?;
    match name {
        "search" => Some(Action::WebSearch { query: argument }),
        "open_url" if is_url(&argument) => Some(Action::Fetch {
            url: argument,
            prompt: None,
        }),
        _ => None,
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tools_become_actions_and_the_rest_stays() {
        for (tool, input, expected) in [
            (
                "python",
                "print(1)",
                r#"Run { command: "print(1)", language: Some("python"), purpose: None } None"#,
            ),
            (
                "browser",
                r#"search("red \"kites\"")"#,
                r#"WebSearch { query: "red \"kites\"" } None"#,
            ),
            (
                "browser",
                r#"open_url("https://example.com/")"#,
                r#"Fetch { url: "https://example.com/", prompt: None } None"#,
            ),
            (
                "browser",
                "quote_lines(1, 2)",
                r#"Other Some("\"quote_lines(1, 2)\"")"#,
            ),
            (
                "web.run",
                r#"{"search_query":[{"q":"a"},{"q":"b","recency":7}],"response_length":"short"}"#,
                r#"WebSearch { query: "a\nb" } Some("{\"search_query\":[{\"recency\":7}],\"response_length\":\"short\"}")"#,
            ),
            (
                "web.run",
                r#"{"open":[{"ref_id":"https://example.com/x"}]}"#,
                r#"Fetch { url: "https://example.com/x", prompt: None } None"#,
            ),
            (
                "web.run",
                r#"{"open":[{"ref_id":"turn0search1"}]}"#,
                r#"Other Some("{\"open\":[{\"ref_id\":\"turn0search1\"}]}")"#,
            ),
            (
                "container.exec",
                r#"{"cmd":["bash","-lc","ls -l"],"timeout":5}"#,
                r#"Run { command: "ls -l", language: None, purpose: None } Some("{\"timeout\":5}")"#,
            ),
            (
                "canmore.update_textdoc",
                r#"{"updates":[{"pattern":".*","multiple":false,"replacement":"all"}]}"#,
                r#"Write { path: "canvas", content: "all" } None"#,
            ),
            (
                "canmore.update_textdoc",
                r#"{"updates":[{"pattern":"a","multiple":true,"replacement":"b"}]}"#,
                r#"Edit { path: "canvas", edits: [Replace { old: "a", new: "b" }] } Some("{\"multiple\":[true]}")"#,
            ),
            (
                "canmore.update_textdoc",
                r#"{"updates":[7]}"#,
                r#"Other Some("{\"updates\":[7]}")"#,
            ),
            ("bio", "Likes tea", r#"Other Some("\"Likes tea\"")"#),
            ("api.x", "{}", "Other None"),
        ] {
            let (action, rest) = action_of(tool, input, &mut Context::default());
            assert_eq!(
                format!("{action:?} {:?}", rest.as_ref().map(RawJson::get)),
                expected,
                "{tool} {input}"
            );
        }
    }
}
