//! The patch text of coding agents (`*** Begin Patch` ... `*** End Patch`) as actions on files.
//!
//! Shape: openai/codex codex-rs/apply-patch.

use readalong_model::{Action, Edit};

/// The files that a patch changes; `None` where the text is no such patch, or holds more than it.
pub(super) fn read(text: &str) -> Option<Vec<Action>> {
    let mut lines = text.trim().lines();
    if lines.next()?.trim() != "*** Begin Patch" {
        return None;
    }
    let mut files: Vec<File> = Vec::new();
    let mut ended = false;
    for line in lines {
        if ended {
            return None;
        }
        let header = |name: &str| {
            line.strip_prefix("*** ")?
                .strip_prefix(name)?
                .strip_prefix(": ")
                .map(|path| path.trim().to_owned())
        };
        if line.trim_end() == "*** End Patch" {
            ended = true;
        } else if let Some(path) = header("Add File") {
            files.push(File {
                path,
                kind: Kind::Add,
                moved_to: None,
                lines: String::new(),
            });
        } else if let Some(path) = header("Delete File") {
            files.push(File {
                path,
                kind: Kind::Delete,
                moved_to: None,
                lines: String::new(),
            });
        } else if let Some(path) = header("Update File") {
            files.push(File {
                path,
                kind: Kind::Update,
                moved_to: None,
                lines: String::new(),
            });
        } else if let Some(path) = header("Move to") {
            files.last_mut()?.moved_to = Some(path);
        } else if line.trim_end() != "*** End of File" {
            files.last_mut()?.push(line);
        }
    }
    let actions: Vec<Action> = files.into_iter().flat_map(File::actions).collect();
    (!actions.is_empty()).then_some(actions)
}

enum Kind {
    Add,
    Delete,
    Update,
}

struct File {
    path: String,
    kind: Kind,
    moved_to: Option<String>,
    /// The new content, or the diff.
    lines: String,
}

impl File {
    fn push(&mut self, line: &str) {
        let line = match self.kind {
            Kind::Add => line.strip_prefix('+').unwrap_or(line),
            // An empty line stands for an empty line that does not change.
            Kind::Update if line.is_empty() => " ",
            _ => line,
        };
        self.lines.push_str(line);
        self.lines.push('\n');
    }

    /// What is done to the file. A file that moves is changed under its new name, and the old one goes.
    fn actions(self) -> Vec<Action> {
        let Self {
            path,
            kind,
            moved_to,
            lines,
        } = self;
        match kind {
            Kind::Add => vec![Action::Write {
                path,
                content: lines,
            }],
            Kind::Delete => vec![Action::Remove { path }],
            Kind::Update => {
                let edits = if lines.is_empty() {
                    Vec::new()
                } else {
                    vec![Edit::Unified { diff: lines }]
                };
                match moved_to {
                    Some(new) => vec![Action::Edit { path: new, edits }, Action::Remove { path }],
                    None => vec![Action::Edit { path, edits }],
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_become_actions_on_files() {
        let patch = "*** Begin Patch\n*** Add File: a.txt\n+one\n+\n*** Update File: b.rs\n*** Move to: c.rs\n@@ fn main()\n-old\n+new\n\n*** Delete File: d\n*** End Patch\n";
        let edits = vec![Edit::Unified {
            diff: "@@ fn main()\n-old\n+new\n \n".into(),
        }];
        assert_eq!(
            read(patch),
            Some(vec![
                Action::Write {
                    path: "a.txt".into(),
                    content: "one\n\n".into()
                },
                Action::Edit {
                    path: "c.rs".into(),
                    edits
                },
                Action::Remove {
                    path: "b.rs".into()
                },
                Action::Remove { path: "d".into() },
            ])
        );
        for wrong in [
            "",
            "*** Begin Patch",
            "*** Begin Patch\nstray\n*** End Patch",
            "*** Begin Patch\n*** Delete File: d\n*** End Patch\nmore",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
