//! What every test of the whole needs: a folder of its own, the real binary, and a look into bundles.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use readalong_bundle::Manifest;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A file below `tests/fixtures`.
pub(crate) fn fixture(path: &str) -> PathBuf {
    root().join("tests/fixtures").join(path)
}

/// The real binary, in a neutral surrounding.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_readalong"));
    command.env_remove("RAYON_NUM_THREADS").env("TZ", "UTC");
    command
}

/// What became of a run of the binary.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end. No run may panic, whatever it is given.
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ran = Ran {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    };
    assert!(!ran.err.contains("panicked"), "{command:?}: {}", ran.err);
    ran
}

/// Runs the binary with these arguments.
pub(crate) fn readalong<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    run(program().args(args))
}

/// A folder of its own for one test: transcripts go in, bundles come out under `out`.
pub(crate) struct World {
    folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::with_prefix("readalong-it-").unwrap(),
        }
    }

    /// A place in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where bundles go.
    pub(crate) fn out(&self) -> PathBuf {
        self.path("out")
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs `export` with this world's folder for bundles; whatever the outcome.
    pub(crate) fn try_export(&self, file: &Path, args: &[&str]) -> Ran {
        run(program()
            .arg("export")
            .arg(file)
            .arg("--out")
            .arg(self.out())
            .arg("--json")
            .args(args))
    }

    /// Runs `export`, which has to work.
    pub(crate) fn export(&self, file: &Path, args: &[&str]) -> Exported {
        let ran = self.try_export(file, args);
        assert_eq!(ran.code, 0, "{}: {}", file.display(), ran.err);
        Exported::of(&ran)
    }

    /// Names in the folder for bundles: bundles, and what should not be there.
    pub(crate) fn names_in_out(&self) -> Vec<String> {
        let entries = fs::read_dir(self.out()).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// A bundle that was exported, and what was said of it.
pub(crate) struct Exported {
    /// The line of `--json`.
    pub(crate) said: Value,
    pub(crate) path: PathBuf,
}

impl Exported {
    pub(crate) fn of(ran: &Ran) -> Self {
        let said: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
        let path = PathBuf::from(said["path"].as_str().unwrap());
        Self { said, path }
    }

    pub(crate) fn id(&self) -> &str {
        self.said["id"].as_str().unwrap()
    }

    /// Warnings as they were told.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.said["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_str().unwrap())
            .collect()
    }

    /// All files with their bytes.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let manifest = fs::read(self.path.join("manifest.json")).unwrap();
        let listed: Manifest = serde_json::from_slice(&manifest).unwrap();
        for file in &listed.files {
            files.insert(
                file.path.to_string(),
                fs::read(self.path.join(file.path.as_str())).unwrap(),
            );
        }
        files.insert("manifest.json".to_owned(), manifest);
        files
    }

    pub(crate) fn file(&self, path: &str) -> String {
        fs::read_to_string(self.path.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// `chat.json`.
    pub(crate) fn chat(&self) -> Value {
        serde_json::from_str(&self.file("chat.json")).unwrap()
    }

    /// The text of all messages of all pages as find sees it, blanks collapsed.
    pub(crate) fn found_text(&self) -> String {
        let mut text = String::new();
        for (path, bytes) in self.files() {
            let Some(name) = path.strip_prefix("data/search-") else {
                continue;
            };
            let script = String::from_utf8(bytes).unwrap();
            let (_, data) = script.trim_end().split_once(',').unwrap();
            let data = data.strip_suffix(");").unwrap();
            let rows: Vec<(String, String)> =
                serde_json::from_str(data).unwrap_or_else(|e| panic!("{name}: {e}"));
            for (_, row) in rows {
                text.push_str(&collapsed(&row));
                text.push('\n');
            }
        }
        text
    }

    /// Fails if any file or name of the bundle holds this text.
    pub(crate) fn assert_lacks(&self, canary: &str) {
        for (path, bytes) in self.files() {
            assert!(!path.contains(canary), "{canary} is the name of {path}");
            assert!(!holds(&bytes, canary), "{canary} is in {path}");
        }
    }

    /// Fails if no file of the bundle holds this text: a canary that is nowhere proves nothing.
    pub(crate) fn assert_holds(&self, canary: &str) {
        assert!(
            self.files().values().any(|bytes| holds(bytes, canary)),
            "{canary} is nowhere"
        );
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// A text with single blanks for all white space.
pub(crate) fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines of an agent's session, one after the other.
#[derive(Default)]
pub(crate) struct Session {
    lines: Vec<String>,
}

impl Session {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A line as it is.
    pub(crate) fn raw(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// A record with this message; its time follows from its place.
    fn record(self, kind: &str, message: &Value) -> Self {
        let at = self.lines.len();
        let time = format!(
            "2026-03-01T{:02}:{:02}:{:02}.000Z",
            at / 3600 % 24,
            at / 60 % 60,
            at % 60
        );
        let above = at.checked_sub(1).map(|above| format!("u{above}"));
        let line = json!({
            "type": kind, "uuid": format!("u{at}"), "parentUuid": above, "sessionId": "s",
            "timestamp": time, "isSidechain": false, "message": message,
        });
        self.raw(line.to_string())
    }

    pub(crate) fn prompt(self, text: &str) -> Self {
        self.record("user", &json!({"role": "user", "content": text}))
    }

    /// A prompt of blocks: text, images.
    pub(crate) fn prompt_blocks(self, blocks: &Value) -> Self {
        self.record("user", &json!({"role": "user", "content": blocks}))
    }

    pub(crate) fn answer(self, text: &str) -> Self {
        self.answer_blocks(&json!([{"type": "text", "text": text}]))
    }

    pub(crate) fn answer_blocks(self, blocks: &Value) -> Self {
        let id = format!("msg_{}", self.lines.len());
        self.record(
            "assistant",
            &json!({"id": id, "role": "assistant", "model": "model-a", "content": blocks}),
        )
    }

    pub(crate) fn call(self, id: &str, name: &str, input: &Value) -> Self {
        self.answer_blocks(&json!([{"type": "tool_use", "id": id, "name": name, "input": input}]))
    }

    pub(crate) fn result(self, id: &str, content: &Value) -> Self {
        self.prompt_blocks(&json!([{"type": "tool_result", "tool_use_id": id, "content": content}]))
    }

    /// The first lines only.
    pub(crate) fn first(&self, lines: usize) -> String {
        self.lines
            .iter()
            .take(lines)
            .map(|line| format!("{line}\n"))
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn text(&self) -> String {
        self.first(self.lines.len())
    }
}
