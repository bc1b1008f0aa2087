//! What tool calls did, in words: the line that an activity folds behind, and the line of each call.

use readalong_model::{Action, CallState, ToolCall};

/// Characters of a command, query or name within a line.
const OBJECT_CHARS_MAX: usize = 72;
/// Different things that a summary names; the rest is counted.
const CLAUSES_MAX: usize = 6;

/// A call as one line: what it does and to what.
pub(crate) struct Line {
    pub(crate) verb: String,
    pub(crate) object: Option<String>,
    /// The object unshortened, where it was shortened.
    pub(crate) object_full: Option<String>,
}

/// The line of a call.
pub(crate) fn line(call: &ToolCall) -> Line {
    let (verb, object) = match &call.action {
        Action::Other => (readable_name(&call.name), None),
        Action::Read { path, lines: None } => ("Read".to_owned(), Some(path.clone())),
        Action::Read {
            path,
            lines: Some(lines),
        } => ("Read".to_owned(), Some(format!("{path}:{lines}"))),
        Action::Write { path, .. } => ("Wrote".to_owned(), Some(path.clone())),
        Action::Edit { path, .. } => ("Edited".to_owned(), Some(path.clone())),
        Action::Remove { path } => ("Deleted".to_owned(), Some(path.clone())),
        Action::Patch { files } => ("Edited".to_owned(), Some(files_of(files))),
        Action::Run {
            command,
            language: None,
            ..
        } => ("Ran".to_owned(), Some(command.clone())),
        Action::Run {
            language: Some(language),
            ..
        } => (format!("Ran {language} code"), None),
        Action::Search { query, path: None } => ("Searched".to_owned(), Some(format!("“{query}”"))),
        Action::Search {
            query,
            path: Some(path),
        } => ("Searched".to_owned(), Some(format!("“{query}” in {path}"))),
        Action::List { path } => ("Listed".to_owned(), Some(path.clone())),
        Action::Fetch { url, .. } => ("Opened".to_owned(), Some(url.clone())),
        Action::WebSearch { query } => ("Searched the web:".to_owned(), Some(format!("“{query}”"))),
        Action::Delegate { title, .. } => ("Delegated".to_owned(), Some(format!("“{title}”"))),
        Action::Plan { items } => {
            let done = items
                .iter()
                .filter(|item| item.status == readalong_model::PlanStatus::Done)
                .count();
            (
                "Updated the plan".to_owned(),
                Some(format!("{done} of {} done", items.len())),
            )
        }
    };
    let is_path = matches!(
        call.action,
        Action::Read { .. }
            | Action::Write { .. }
            | Action::Edit { .. }
            | Action::Remove { .. }
            | Action::List { .. }
    );
    let short = object.as_deref().map(|object| {
        if is_path {
            short_path(object)
        } else {
            short_text(object)
        }
    });
    let object_full = match &call.action {
        Action::Other => Some(call.name.clone()).filter(|name| short_text(name) != *name),
        _ => object.filter(|object| Some(object) != short.as_ref()),
    };
    Line {
        verb,
        object: short.filter(|object| !object.is_empty()),
        object_full,
    }
}

/// One kind of thing that an activity did, with all that it was done to.
struct Clause<'a> {
    kind: Kind,
    name: &'a str,
    calls: Vec<&'a ToolCall>,
    added: usize,
    removed: usize,
    failed: usize,
    refused: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Edit,
    Remove,
    Run,
    Search,
    List,
    Fetch,
    WebSearch,
    Delegate,
    Plan,
    Other,
}

/// A call with the lines that it added and removed.
pub(crate) struct Done<'a> {
    pub(crate) call: &'a ToolCall,
    pub(crate) added: usize,
    pub(crate) removed: usize,
}

/// What an activity did: `Read 3 files, edited src/a.rs +12 −3, ran cargo test (failed)`; `None` where it holds no call.
pub(crate) fn summary(done: &[Done<'_>]) -> Option<String> {
    let mut clauses: Vec<Clause<'_>> = Vec::new();
    for Done {
        call,
        added,
        removed,
    } in done
    {
        let kind = kind_of(&call.action);
        let same = |clause: &&mut Clause<'_>| {
            clause.kind == kind && (kind != Kind::Other || clause.name == call.name)
        };
        let clause = match clauses.iter_mut().find(same) {
            Some(clause) => clause,
            None => {
                clauses.push(Clause {
                    kind,
                    name: &call.name,
                    calls: Vec::new(),
                    added: 0,
                    removed: 0,
                    failed: 0,
                    refused: 0,
                });
                let last = clauses.len() - 1;
                &mut clauses[last]
            }
        };
        clause.calls.push(call);
        clause.added += added;
        clause.removed += removed;
        clause.failed += usize::from(call.state == CallState::Failed);
        clause.refused += usize::from(call.state == CallState::Denied);
    }
    let more = clauses.len().saturating_sub(CLAUSES_MAX);
    let mut words: Vec<String> = clauses
        .iter()
        .take(CLAUSES_MAX)
        .map(Clause::words)
        .collect();
    if more > 0 {
        words.push(format!("{more} more"));
    }
    let summary = words.join(", ");
    let mut chars = summary.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
}

fn kind_of(action: &Action) -> Kind {
    match action {
        Action::Other => Kind::Other,
        Action::Read { .. } => Kind::Read,
        Action::Write { .. } => Kind::Write,
        Action::Edit { .. } | Action::Patch { .. } => Kind::Edit,
        Action::Remove { .. } => Kind::Remove,
        Action::Run { .. } => Kind::Run,
        Action::Search { .. } => Kind::Search,
        Action::List { .. } => Kind::List,
        Action::Fetch { .. } => Kind::Fetch,
        Action::WebSearch { .. } => Kind::WebSearch,
        Action::Delegate { .. } => Kind::Delegate,
        Action::Plan { .. } => Kind::Plan,
    }
}

impl Clause<'_> {
    fn words(&self) -> String {
        let number = self.calls.len();
        let mut objects: Vec<_> = self.calls.iter().map(|call| self.object(call)).collect();
        objects.sort();
        objects.dedup();
        let distinct = objects.len();
        let one = objects.pop().flatten().filter(|_| distinct == 1);
        let one = one.map(|(_, short)| short);
        let mut words = match (self.kind, one) {
            (Kind::Read, Some(path)) => format!("read {path}"),
            (Kind::Read, None) => format!("read {distinct} files"),
            (Kind::Write, Some(path)) => format!("wrote {path}"),
            (Kind::Write, None) => format!("wrote {distinct} files"),
            (Kind::Edit, Some(path)) => format!("edited {path}"),
            (Kind::Edit, None) => format!("edited {distinct} files"),
            (Kind::Remove, Some(path)) => format!("deleted {path}"),
            (Kind::Remove, None) => format!("deleted {distinct} files"),
            (Kind::Run, Some(command)) => format!("ran {command}"),
            (Kind::Run, None) if number == 1 => "ran code".to_owned(),
            (Kind::Run, None) => format!("ran {number} commands"),
            (Kind::Search, Some(query)) => format!("searched {query}"),
            (Kind::Search, None) => format!("searched {number} times"),
            (Kind::List, Some(path)) => format!("listed {path}"),
            (Kind::List, None) => format!("listed {distinct} folders"),
            (Kind::Fetch, Some(url)) => format!("opened {url}"),
            (Kind::Fetch, None) => format!("opened {number} pages"),
            (Kind::WebSearch, Some(query)) => format!("searched the web for {query}"),
            (Kind::WebSearch, None) => format!("searched the web {number} times"),
            (Kind::Delegate, Some(title)) => format!("delegated {title}"),
            (Kind::Delegate, None) => format!("delegated {number} tasks"),
            (Kind::Plan, _) => "updated the plan".to_owned(),
            (Kind::Other, _) if number == 1 => format!("used {}", readable_name(self.name)),
            (Kind::Other, _) => format!("used {} {number} times", readable_name(self.name)),
        };
        if self.added > 0 {
            words.push_str(&format!(" +{}", self.added));
        }
        if self.removed > 0 {
            words.push_str(&format!(" −{}", self.removed));
        }
        for (count, what) in [(self.failed, "failed"), (self.refused, "refused")] {
            match count {
                0 => {}
                _ if number == 1 => words.push_str(&format!(" ({what})")),
                count => words.push_str(&format!(" ({count} {what})")),
            }
        }
        words
    }

    /// What one of the calls was done to, whole and as lines show it: of a file that was read in pieces, the file.
    fn object(&self, call: &ToolCall) -> Option<(String, String)> {
        match &call.action {
            Action::Read { path, .. } if self.calls.len() > 1 => {
                Some((path.clone(), short_path(path)))
            }
            _ => {
                let line = line(call);
                let short = line.object?;
                Some((line.object_full.unwrap_or_else(|| short.clone()), short))
            }
        }
    }
}

/// A tool's name for people: `mcp__github__create_issue` becomes `github create_issue`.
fn readable_name(name: &str) -> String {
    let name = name
        .strip_prefix("mcp__")
        .unwrap_or(name)
        .replace("__", " ");
    let name = short_text(&name);
    if name.is_empty() {
        "a tool".to_owned()
    } else {
        name
    }
}

fn files_of(files: &[Action]) -> String {
    let path = |action: &Action| match action {
        Action::Write { path, .. } | Action::Edit { path, .. } | Action::Remove { path } => {
            Some(short_path(path))
        }
        _ => None,
    };
    match files {
        [file] => path(file).unwrap_or_default(),
        files => format!("{} files", files.len()),
    }
}

/// The end of a path that tells files apart: at most its last three names.
fn short_path(path: &str) -> String {
    let mut starts = path.rmatch_indices(['/', '\\']).map(|(at, _)| at + 1);
    match (path.len() > 40, starts.nth(2)) {
        (true, Some(start)) if start > 1 => short_text(&format!("…/{}", &path[start..])),
        _ => short_text(path),
    }
}

/// The first line of a text, shortened.
fn short_text(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default().trim_end();
    let mut short: String = first.chars().take(OBJECT_CHARS_MAX).collect();
    if short.len() < first.len() || lines.next().is_some() {
        short.push('…');
    }
    short
}

/// A number of things: `1 line`, `2 lines`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Milliseconds for people: `8.2 s`, `3 min 12 s`, `2 h 5 min`; `None` below a second.
pub(crate) fn duration(millis: u64) -> Option<String> {
    let seconds = millis / 1000;
    match seconds {
        0 => None,
        1..=9 => Some(format!("{}.{} s", seconds, millis % 1000 / 100)),
        10..=59 => Some(format!("{seconds} s")),
        60..=3599 => Some(format!("{} min {} s", seconds / 60, seconds % 60)),
        _ => Some(format!("{} h {} min", seconds / 3600, seconds % 3600 / 60)),
    }
}

/// Bytes for people, in powers of 1,000 as file managers show them.
pub(crate) fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => (1_000, "KB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    let tenths = bytes / (unit / 10);
    if tenths >= 100 {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(action: Action, state: CallState) -> ToolCall {
        ToolCall {
            call_id: "c".into(),
            name: "mcp__github__create_issue".into(),
            action,
            input: None,
            state,
        }
    }

    #[test]
    fn a_summary_says_what_happened() {
        let read = |path: &str| {
            call(
                Action::Read {
                    path: path.into(),
                    lines: None,
                },
                CallState::Done,
            )
        };
        let run = call(
            Action::Run {
                command: "cargo test\n--all".into(),
                language: None,
                purpose: None,
            },
            CallState::Failed,
        );
        let edit = call(
            Action::Edit {
                path: "/home/dev/projects/app/src/very/deep/login.rs".into(),
                edits: vec![],
            },
            CallState::Done,
        );
        let (a, b, other) = (
            read("a.rs"),
            read("b.rs"),
            call(Action::Other, CallState::Done),
        );
        let done = |call, added, removed| Done {
            call,
            added,
            removed,
        };
        let all = [
            done(&a, 0, 0),
            done(&run, 0, 0),
            done(&b, 0, 0),
            done(&edit, 12, 3),
            done(&other, 0, 0),
        ];
        assert_eq!(
            summary(&all).unwrap(),
            "Read 2 files, ran cargo test… (failed), edited …/very/deep/login.rs +12 −3, used github create_issue"
        );
        assert_eq!(summary(&all[..1]).unwrap(), "Read a.rs");
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn a_summary_names_one_thing_only_where_it_was_the_only_one() {
        let read = |path: &str, lines: Option<&str>| Action::Read {
            path: path.to_owned(),
            lines: lines.map(str::to_owned),
        };
        let run = |command: &str, language: Option<&str>| Action::Run {
            command: command.to_owned(),
            language: language.map(str::to_owned),
            purpose: None,
        };
        let write = |path: &str| Action::Write {
            path: path.to_owned(),
            content: String::new(),
        };
        let deep = |name: &str| format!("/home/dev/projects/{name}/src/very/deep/login.rs");
        for (actions, expected) in [
            (
                vec![
                    run("1", Some("python")),
                    run("2", Some("python")),
                    run("ls", None),
                ],
                "Ran 3 commands",
            ),
            (vec![run("ls", None), run("ls", None)], "Ran ls"),
            (vec![read("a.rs", Some("1-9"))], "Read a.rs:1-9"),
            (
                vec![
                    read("a.rs", Some("1-9")),
                    read("a.rs", Some("10-20")),
                    read("a.rs", None),
                ],
                "Read a.rs",
            ),
            (
                vec![read("a", None), read("b", None), read("a", Some("1-9"))],
                "Read 2 files",
            ),
            (vec![write("a"), write("b"), write("a")], "Wrote 2 files"),
            (vec![write(&deep("a")), write(&deep("b"))], "Wrote 2 files"),
        ] {
            let calls: Vec<ToolCall> = actions
                .into_iter()
                .map(|action| call(action, CallState::Done))
                .collect();
            let done: Vec<Done<'_>> = calls
                .iter()
                .map(|call| Done {
                    call,
                    added: 0,
                    removed: 0,
                })
                .collect();
            assert_eq!(summary(&done).unwrap(), expected);
        }
    }

    #[test]
    fn quantities_are_for_people() {
        let durations =
            [900, 8_240, 59_000, 192_000, 7_500_000].map(|ms| duration(ms).unwrap_or_default());
        assert_eq!(durations, ["", "8.2 s", "59 s", "3 min 12 s", "2 h 5 min"]);
        assert_eq!(
            [0, 999, 1_000, 12_345, 2_345_678].map(size),
            ["0 B", "999 B", "1.0 KB", "12 KB", "2.3 MB"]
        );
    }
}
