//! Calls of tools that the provider runs itself, and of tools that it names by the kind of item: search, shell, pictures, computer.

use std::borrow::Cow;

use readalong_model::{Action, CallState, Edit, RawJson};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    AnswerDraft, CallDraft, Draft, Fields,
    pieces::{self, Piece},
    tools,
};
use crate::{
    builder::{is_data_url, is_web_url},
    responses_items::members as lenient,
};

impl Fields<'_> {
    /// Reads an item of a kind that names its tool; `None` where the kind is unknown.
    pub(super) fn hosted(&self, kind: &str) -> Result<Option<Draft>, serde_json::Error> {
        let (call, answer) = match kind {
            "web_search_call" => self.web_search()?,
            "file_search_call" => self.file_search()?,
            "code_interpreter_call" => self.code_interpreter()?,
            "computer_call" => (named("computer", object(self.action)?), None),
            "mcp_call" => self.mcp()?,
            "local_shell_call" | "shell_call" => (self.shell()?, None),
            "apply_patch_call" => (self.patch()?, None),
            "image_generation_call" => return self.picture().map(Some),
            _ => return Ok(None),
        };
        let failed = matches!(self.status.as_deref(), Some("failed" | "incomplete"));
        let state = if failed {
            CallState::Failed
        } else {
            call.state
        };
        Ok(Some(Draft::Call {
            call: CallDraft {
                id: self.call_id(),
                state,
                ..call
            },
            answer,
        }))
    }

    /// The answer of a tool of which only the provider saw the answer: there was one where the call is complete.
    fn unseen_answer(&self) -> Option<AnswerDraft> {
        matches!(self.status.as_deref(), Some("completed")).then(AnswerDraft::default)
    }

    fn web_search(&self) -> Result<(CallDraft, Option<AnswerDraft>), serde_json::Error> {
        let mut input = object(self.action)?;
        let mut answer = self.unseen_answer();
        if let Some(Value::Array(sources)) = input.remove("sources") {
            let pieces = sources.iter().filter_map(|source| {
                let url = source.get("url").and_then(Value::as_str)?.to_owned();
                let title = source
                    .get("title")
                    .and_then(Value::as_str)
                    .unwrap_or(&url)
                    .to_owned();
                Some(Piece::Source {
                    title,
                    url: Some(url),
                    excerpt: None,
                })
            });
            answer.get_or_insert_default().pieces.extend(pieces);
        }
        let kind = input.remove("type");
        let action = match kind.as_ref().and_then(Value::as_str) {
            Some("open_page") => {
                tools::text(&mut input, &["url"]).map(|url| Action::Fetch { url, prompt: None })
            }
            Some("find_in_page") => {
                let pattern = tools::text(&mut input, &["pattern"]);
                let url = tools::text(&mut input, &["url"]);
                pattern.map(|query| Action::Search { query, path: url })
            }
            _ => tools::query(&mut input).map(|query| Action::WebSearch { query }),
        };
        if let (Some(kind), None) = (kind, &action) {
            input.insert("type".to_owned(), kind);
        }
        Ok((
            CallDraft {
                action: action.unwrap_or_default(),
                ..named("web_search", input)
            },
            answer,
        ))
    }

    fn file_search(&self) -> Result<(CallDraft, Option<AnswerDraft>), serde_json::Error> {
        #[derive(Deserialize)]
        struct Found<'a> {
            #[serde(borrow, default, deserialize_with = "lenient::text")]
            filename: Option<Cow<'a, str>>,
            #[serde(borrow, default, deserialize_with = "lenient::text")]
            file_id: Option<Cow<'a, str>>,
            #[serde(borrow, default, deserialize_with = "lenient::text")]
            text: Option<Cow<'a, str>>,
        }
        let mut input = Map::new();
        if let Some(queries) = self.queries {
            input.insert("queries".to_owned(), serde_json::from_str(queries.get())?);
        }
        let action = tools::query(&mut input).map(|query| Action::Search { query, path: None });
        let mut answer = self.unseen_answer();
        for found in self
            .results
            .map(pieces::elements)
            .transpose()?
            .into_iter()
            .flatten()
            .filter(|found| found.get().starts_with('{'))
        {
            let found: Found<'_> = serde_json::from_str(found.get())?;
            let title = found
                .filename
                .or(found.file_id)
                .unwrap_or(Cow::Borrowed("file"))
                .into_owned();
            let source = Piece::Source {
                title,
                url: None,
                excerpt: found.text.map(Cow::into_owned),
            };
            answer.get_or_insert_default().pieces.push(source);
        }
        Ok((
            CallDraft {
                action: action.unwrap_or_default(),
                ..named("file_search", input)
            },
            answer,
        ))
    }

    fn code_interpreter(&self) -> Result<(CallDraft, Option<AnswerDraft>), serde_json::Error> {
        let run = |code: &Cow<'_, str>| Action::Run {
            command: code.clone().into_owned(),
            language: Some("python".to_owned()),
            purpose: None,
        };
        let action = self.code.as_ref().map(run).unwrap_or_default();
        let answer = match self.outputs.or(self.results) {
            Some(outputs) => Some(pieces::answer(outputs)?),
            None => self.unseen_answer(),
        };
        Ok((
            CallDraft {
                action,
                ..named("code_interpreter", Map::new())
            },
            answer,
        ))
    }

    fn mcp(&self) -> Result<(CallDraft, Option<AnswerDraft>), serde_json::Error> {
        let tool = self.name.as_deref().unwrap_or("tool");
        let name = self
            .server_label
            .as_deref()
            .map_or_else(|| tool.to_owned(), |server| format!("{server}.{tool}"));
        let input = tools::Input::read(self.arguments)?;
        let error = self.error.filter(|error| error.get() != "null");
        let answer = match (self.output, error) {
            (_, Some(error)) => Some(AnswerDraft {
                is_error: true,
                ..pieces::answer(error)?
            }),
            (Some(output), None) => Some(pieces::answer(output)?),
            (None, None) => None,
        };
        Ok((
            CallDraft {
                name,
                action: Action::Other,
                input: input.into_json(),
                ..CallDraft::default()
            },
            answer,
        ))
    }

    fn shell(&self) -> Result<CallDraft, serde_json::Error> {
        let mut input = object(self.action)?;
        input.remove("type");
        if let Some(Value::Array(commands)) = input.remove("commands") {
            let lines: Vec<&str> = commands.iter().filter_map(Value::as_str).collect();
            input.insert("command".to_owned(), lines.join("\n").into());
        }
        Ok(tools::call("shell", tools::Input::Object(input)))
    }

    fn patch(&self) -> Result<CallDraft, serde_json::Error> {
        let mut input = object(self.operation)?;
        let kind = tools::text(&mut input, &["type"]).unwrap_or_default();
        let path = tools::text(&mut input, &["path"]).unwrap_or_default();
        let diff = tools::text(&mut input, &["diff"]).unwrap_or_default();
        let file = match kind.as_str() {
            "create_file" => {
                let lines = diff
                    .lines()
                    .filter(|line| !line.starts_with("@@"))
                    .map(|line| line.strip_prefix('+').unwrap_or(line));
                Action::Write {
                    path,
                    content: lines.fold(String::new(), |all, line| all + line + "\n"),
                }
            }
            "update_file" => Action::Edit {
                path,
                edits: vec![Edit::Unified { diff }],
            },
            "delete_file" => Action::Remove { path },
            _ => return Ok(named("apply_patch", object(self.operation)?)),
        };
        Ok(CallDraft {
            action: Action::Patch { files: vec![file] },
            ..named("apply_patch", input)
        })
    }

    /// A picture that the model made; a call without result where there is none.
    fn picture(&self) -> Result<Draft, serde_json::Error> {
        let alt = self.revised_prompt.as_deref().map(str::to_owned);
        match self
            .result
            .map(pieces::string)
            .transpose()?
            .flatten()
            .filter(|data| !data.is_empty())
        {
            Some(url) if is_web_url(&url) || is_data_url(&url) => {
                Ok(Draft::Made(vec![Piece::Image {
                    url: url.into_owned(),
                    alt,
                }]))
            }
            Some(data) => {
                let media_type =
                    format!("image/{}", self.output_format.as_deref().unwrap_or("png"));
                Ok(Draft::Made(vec![Piece::Base64Image {
                    data: data.into_owned(),
                    media_type,
                    alt,
                }]))
            }
            None => {
                let mut input = Map::new();
                input.extend(alt.map(|prompt| ("prompt".to_owned(), prompt.into())));
                let state = if self.status.as_deref() == Some("failed") {
                    CallState::Failed
                } else {
                    CallState::NoResult
                };
                let call = CallDraft {
                    id: self.call_id(),
                    state,
                    ..named("image_generation", input)
                };
                Ok(Draft::Call { call, answer: None })
            }
        }
    }
}

fn named(name: &str, input: Map<String, Value>) -> CallDraft {
    let input = (!input.is_empty()).then(|| RawJson::from(&Value::Object(input)));
    CallDraft {
        name: name.to_owned(),
        input,
        ..CallDraft::default()
    }
}

/// The members of an object; none where it is something else.
fn object(raw: Option<&RawValue>) -> Result<Map<String, Value>, serde_json::Error> {
    match raw {
        Some(raw) if raw.get().starts_with('{') => serde_json::from_str(raw.get()),
        _ => Ok(Map::new()),
    }
}
