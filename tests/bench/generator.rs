//! Writes long made-up transcripts for benchmarks and tests; the same options always give the same bytes.
//!
//! It imitates what a coding agent's session on disk weighs, not what it says: about 4 KB a message, 40 % of all bytes in the
//! structured copies of tool results, 17 % in progress records, code in about 2 % of them, file and command output of up to 50 KB.
//! It knows no crate of ours, so that a mistake in ours cannot hide in it.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};

/// What to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// How many `user` and `assistant` records the coding agent's transcript holds, to within one turn.
    pub(crate) messages: usize,
    /// Another seed gives another chat.
    pub(crate) seed: u64,
}

impl Options {
    /// A chat of `messages` messages with the seed that the benchmarks use.
    pub(crate) fn messages(messages: usize) -> Options {
        Options {
            messages,
            seed: 20_261_120,
        }
    }
}

/// Writes the chat as `claude-code`, `openai-chat` or `chatgpt`, and says how many bytes of it are images.
pub(crate) fn write(format: &str, options: Options, out: &mut dyn Write) -> io::Result<Written> {
    match format {
        "claude-code" => write_claude_code(options, out),
        "openai-chat" => write_openai_chat(options, out),
        "chatgpt" => write_chatgpt(options, out),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("no such format `{format}`"),
        )),
    }
}

/// What was written, for tables of shares.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) messages: usize,
    pub(crate) prompts: usize,
    pub(crate) bytes: u64,
    pub(crate) image_bytes: u64,
    pub(crate) structured_bytes: u64,
    pub(crate) progress_bytes: u64,
    pub(crate) user_bytes: u64,
    pub(crate) signature_bytes: u64,
    pub(crate) fenced_code_bytes: u64,
}

/// One step of the chat, in an order that every format can tell.
enum Event {
    Prompt {
        text: String,
        image: Option<String>,
    },
    Step {
        thinking: Option<String>,
        text: Option<String>,
        calls: Vec<Call>,
    },
}

struct Call {
    name: &'static str,
    input: Value,
    /// What the model saw.
    result: String,
    /// What the harness kept beside it.
    structured: Value,
    is_error: bool,
    progress: Vec<Value>,
}

/// Makes the events of a chat one turn at a time.
struct Chat {
    random: Random,
    turn: usize,
    fenced_code_bytes: u64,
}

impl Chat {
    fn new(options: Options) -> Chat {
        Chat {
            random: Random::new(options.seed),
            turn: 0,
            fenced_code_bytes: 0,
        }
    }

    /// The next turn: a prompt, steps with tools, an answer; 15 messages on average.
    fn turn(&mut self) -> Vec<Event> {
        let mut events = Vec::with_capacity(12);
        let image = (self.turn % 33 == 7).then(|| self.image());
        events.push(Event::Prompt {
            text: self.prompt(),
            image,
        });
        for step in 0..self.random.range(2, 8) {
            let thinking = self.random.chance(44).then(|| self.thinking());
            let text = (step == 0 || self.random.chance(30)).then(|| self.remark());
            let calls = if self.random.chance(12) { 2 } else { 1 };
            let calls = (0..calls).map(|_| self.call()).collect();
            events.push(Event::Step {
                thinking,
                text,
                calls,
            });
        }
        let thinking = self.random.chance(20).then(|| self.thinking());
        events.push(Event::Step {
            thinking,
            text: Some(self.answer()),
            calls: Vec::new(),
        });
        self.turn += 1;
        events
    }

    fn prompt(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.random.range(1, 4) {
            let _ = write!(text, "{} ", self.random.sentence());
        }
        if self.random.chance(15) {
            let _ = write!(text, "\n\n```\n{}```\n", self.log(5));
        }
        if self.random.chance(10) {
            text.push_str("\n\n这里的测试有时会失败，请检查一下。");
        }
        text
    }

    fn thinking(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.random.range(1, 3) {
            self.random.paragraph(&mut text);
        }
        text
    }

    fn remark(&mut self) -> String {
        let mut text = self.random.sentence();
        if self.random.chance(30) {
            let _ = write!(text, " See `{}`.", self.random.path());
        }
        text
    }

    fn answer(&mut self) -> String {
        let mut text = String::new();
        self.random.paragraph(&mut text);
        if self.random.chance(45) {
            let _ = write!(text, "## {}\n\n", self.random.title());
            for _ in 0..self.random.range(2, 6) {
                let _ = writeln!(
                    text,
                    "- **{}**: {} `{}`",
                    self.random.title(),
                    self.random.sentence(),
                    self.random.identifier()
                );
            }
            text.push('\n');
        }
        if self.random.chance(72) {
            let language = self.random.range(0, LANGUAGES.len());
            let lines = self.random.range(14, 64);
            let code = self.random.code(language, lines);
            self.fenced_code_bytes += code.len() as u64;
            let _ = write!(text, "```{}\n{code}```\n\n", LANGUAGES[language].name);
        }
        if self.random.chance(12) {
            text.push_str("| file | before | after |\n|---|---:|---:|\n");
            for _ in 0..self.random.range(2, 7) {
                let (path, before, after) = (
                    self.random.path(),
                    self.random.range(10, 900),
                    self.random.range(10, 900),
                );
                let _ = writeln!(text, "| `{path}` | {before} | {after} |");
            }
            text.push('\n');
        }
        if self.random.chance(20) {
            let _ = write!(
                text,
                "Read more in [the notes](https://example.org/{}) or at https://example.net/{}.\n\n",
                self.random.word(),
                self.random.word()
            );
        }
        self.random.paragraph(&mut text);
        text
    }

    fn call(&mut self) -> Call {
        match self.random.range(0, 100) {
            0..=39 => self.bash(),
            40..=62 => self.read(),
            63..=82 => self.edit(),
            83..=90 => self.grep(),
            91..=94 => self.write_file(),
            95..=97 => self.todo(),
            _ => self.task(),
        }
    }

    /// Many results are short, some long, few very long.
    fn result_lines(&mut self) -> usize {
        match self.random.range(0, 100) {
            0..=44 => self.random.range(1, 8),
            45..=79 => self.random.range(8, 40),
            80..=96 => self.random.range(40, 110),
            _ => self.random.range(110, 700),
        }
    }

    fn bash(&mut self) -> Call {
        let lines = self.result_lines();
        let mut stdout = self.log(lines);
        if self.random.chance(8) {
            stdout = format!(
                "\u{1b}[1m\u{1b}[32mFinished\u{1b}[0m `dev` profile\n{stdout}\u{1b}[31merror\u{1b}[0m: {}\n",
                self.random.sentence()
            );
        }
        stdout.truncate(floor_char(&stdout, 50_000));
        let is_error = self.random.chance(6);
        let command = format!(
            "cargo {} --package {} 2>&1 | tail -{}",
            self.random.word(),
            self.random.identifier(),
            lines
        );
        let mut progress = Vec::new();
        for tick in 0..self.random.range(0, 5) {
            let shown = floor_char(&stdout, 900);
            progress.push(json!({"type": "bash_progress", "output": &stdout[..shown.min(300)], "fullOutput": &stdout[..shown],
                "elapsedTimeSeconds": tick + 2, "totalLines": lines, "timeoutMs": 120_000}));
        }
        Call {
            name: "Bash",
            input: json!({"command": command, "description": self.random.sentence()}),
            structured: json!({"stdout": stdout, "stderr": "", "interrupted": false, "isImage": false, "noOutputExpected": false}),
            result: stdout,
            is_error,
            progress,
        }
    }

    fn read(&mut self) -> Call {
        let lines = self.result_lines().max(12);
        let language = self.random.range(0, LANGUAGES.len());
        let path = self.random.file(language);
        let mut content = self.random.code(language, lines);
        content.truncate(floor_char(&content, 46_000));
        let mut numbered = String::with_capacity(content.len() * 5 / 4);
        for (number, line) in content.lines().enumerate() {
            let _ = writeln!(numbered, "{:>6}→{line}", number + 1);
        }
        Call {
            name: "Read",
            input: json!({"file_path": path}),
            structured: json!({"type": "text", "file": {"filePath": path, "content": content, "numLines": lines, "startLine": 1, "totalLines": lines}}),
            result: numbered,
            is_error: false,
            progress: self.hooks(),
        }
    }

    fn edit(&mut self) -> Call {
        let language = self.random.range(0, LANGUAGES.len());
        let path = self.random.file(language);
        let count = self.random.range(80, 500);
        let original = self.random.code(language, count);
        let lines: Vec<&str> = original.lines().collect();
        let changed = self.random.range(1, 12).min(lines.len() / 3);
        let at = self.random.range(3, lines.len() - changed - 3);
        let old = lines[at..at + changed].join("\n");
        let kept = self.random.range(0, changed);
        let added = self.random.range(1, 14);
        let new = format!(
            "{}\n{}",
            lines[at..at + kept].join("\n"),
            self.random.code(language, added)
        )
        .trim_matches('\n')
        .to_owned();
        let mut patch: Vec<String> = lines[at - 3..at]
            .iter()
            .map(|line| format!(" {line}"))
            .collect();
        patch.extend(old.lines().map(|line| format!("-{line}")));
        patch.extend(new.lines().map(|line| format!("+{line}")));
        patch.extend(
            lines[at + changed..at + changed + 3]
                .iter()
                .map(|line| format!(" {line}")),
        );
        let shown: String =
            new.lines()
                .enumerate()
                .fold(String::new(), |mut shown, (number, line)| {
                    let _ = writeln!(shown, "{:>6}→{line}", at + number + 1);
                    shown
                });
        Call {
            name: "Edit",
            input: json!({"file_path": path, "old_string": old, "new_string": new, "replace_all": false}),
            structured: json!({"filePath": path, "oldString": old, "newString": new, "originalFile": original,
                "structuredPatch": [{"oldStart": at - 2, "oldLines": changed + 6, "newStart": at - 2, "newLines": new.lines().count() + 6, "lines": patch}],
                "userModified": false, "replaceAll": false}),
            result: format!(
                "The file {path} has been updated. Here's the result of running `cat -n` on a snippet of the edited file:\n{shown}"
            ),
            is_error: false,
            progress: self.hooks(),
        }
    }

    fn grep(&mut self) -> Call {
        let mut found = String::new();
        for _ in 0..self.result_lines() {
            let (language, line) = (
                self.random.range(0, LANGUAGES.len()),
                self.random.range(1, 2_000),
            );
            let code = self.random.code(language, 1);
            let _ = write!(found, "{}:{line}:{code}", self.random.file(language));
        }
        found.truncate(floor_char(&found, 30_000));
        Call {
            name: "Grep",
            input: json!({"pattern": self.random.identifier(), "output_mode": "content", "-n": true}),
            structured: json!({"mode": "content", "numFiles": 0, "filenames": [], "content": found, "numLines": found.lines().count()}),
            result: found,
            is_error: false,
            progress: Vec::new(),
        }
    }

    fn write_file(&mut self) -> Call {
        let language = self.random.range(0, LANGUAGES.len());
        let path = self.random.file(language);
        let lines = self.random.range(20, 160);
        let content = self.random.code(language, lines);
        Call {
            name: "Write",
            input: json!({"file_path": path, "content": content}),
            structured: json!({"type": "create", "filePath": path, "content": content, "structuredPatch": [], "originalFile": null}),
            result: format!("File created successfully at: {path}"),
            is_error: false,
            progress: self.hooks(),
        }
    }

    fn todo(&mut self) -> Call {
        let todos: Vec<Value> = (0..self.random.range(3, 8))
            .map(|at| json!({"content": self.random.sentence(), "status": (["completed", "in_progress", "pending"][at.min(2)]), "activeForm": self.random.sentence()}))
            .collect();
        Call {
            name: "TodoWrite",
            structured: json!({"oldTodos": todos, "newTodos": todos}),
            input: json!({"todos": todos}),
            result: "Todos have been modified successfully. Ensure that you continue to use the todo list to track your progress.".to_owned(),
            is_error: false,
            progress: Vec::new(),
        }
    }

    /// A subagent whose own messages lie in progress records only.
    fn task(&mut self) -> Call {
        let agent = format!("a{:06x}", self.random.next() & 0xff_ffff);
        let prompt = self.prompt();
        let mut answer = String::new();
        for _ in 0..self.random.range(2, 6) {
            self.random.paragraph(&mut answer);
        }
        let mut progress = Vec::new();
        for at in 0..self.random.range(3, 9) {
            let message = if at == 0 {
                json!({"type": "user", "message": {"role": "user", "content": [{"type": "text", "text": prompt}]}})
            } else {
                json!({"type": "assistant", "message": {"role": "assistant", "id": format!("msg_{agent}{at}"), "type": "message", "model": MODEL,
                    "content": [{"type": "text", "text": self.remark()}]}})
            };
            progress.push(json!({"type": "agent_progress", "message": message, "normalizedMessages": [], "prompt": prompt, "agentId": agent}));
        }
        Call {
            name: "Task",
            input: json!({"description": self.random.title(), "prompt": prompt, "subagent_type": "Explore"}),
            structured: json!({"status": "completed", "prompt": prompt, "agentId": agent, "content": [{"type": "text", "text": answer}],
                "totalDurationMs": 48_211, "totalTokens": 21_034, "totalToolUseCount": 6}),
            result: answer,
            is_error: false,
            progress,
        }
    }

    fn hooks(&mut self) -> Vec<Value> {
        let hook = |event: &str| {
            json!({"type": "hook_progress", "hookEvent": event, "hookName": format!("{event}:Edit"),
            "command": "bun run ${CLAUDE_PLUGIN_ROOT}/hooks/dist/on-tool-use.js --quiet --session current"})
        };
        (0..self.random.range(2, 5))
            .map(|at| hook(["PreToolUse", "PostToolUse"][at % 2]))
            .collect()
    }

    fn log(&mut self, lines: usize) -> String {
        let mut log = String::with_capacity(lines * 70);
        for line in 0..lines {
            match self.random.range(0, 4) {
                0 => writeln!(
                    log,
                    "test {}::{} ... ok",
                    self.random.identifier(),
                    self.random.identifier()
                ),
                1 => writeln!(
                    log,
                    "   Compiling {} v0.{}.{} ({})",
                    self.random.identifier(),
                    line,
                    self.random.range(0, 30),
                    self.random.path()
                ),
                2 => writeln!(
                    log,
                    "{}:{}:{}: warning: {}",
                    self.random.path(),
                    self.random.range(1, 900),
                    self.random.range(1, 90),
                    self.random.sentence()
                ),
                _ => writeln!(
                    log,
                    "-rw-r--r-- 1 dev dev {:>8} Nov {:>2} 11:{:02} {}",
                    self.random.range(100, 99_999),
                    line % 30 + 1,
                    line % 60,
                    self.random.path()
                ),
            }
            .expect("writing to a string does not fail");
        }
        log
    }

    /// A PNG of noise, about 20 KB, in base64.
    fn image(&mut self) -> String {
        base64(&png(&mut self.random, 82))
    }
}

const MODEL: &str = "claude-opus-4-6";

/// Session JSONL: one record a content block, results with a structured copy, progress in between.
fn write_claude_code(options: Options, out: &mut dyn Write) -> io::Result<Written> {
    let mut chat = Chat::new(options);
    let mut records = Records::new(out, options.seed);
    records.bare(&json!({"type": "file-history-snapshot", "messageId": "m0", "snapshot": {"messageId": "m0", "trackedFileBackups": {}}, "isSnapshotUpdate": false}))?;
    while records.written.messages < options.messages {
        for event in chat.turn() {
            match event {
                Event::Prompt { text, image } => records.prompt(&text, image.as_deref())?,
                Event::Step {
                    thinking,
                    text,
                    calls,
                } => records.step(thinking.as_deref(), text.as_deref(), &calls)?,
            }
        }
        records.record(
            "system",
            json!({"subtype": "turn_duration", "durationMs": 48_000, "isMeta": false}),
        )?;
    }
    let mut written = records.written;
    written.fenced_code_bytes = chat.fenced_code_bytes;
    Ok(written)
}

/// The envelope of session records and the chain of their ids.
struct Records<'a> {
    out: &'a mut dyn Write,
    ids: Random,
    session: String,
    parent: Option<String>,
    clock_ms: u64,
    written: Written,
}

impl<'a> Records<'a> {
    fn new(out: &'a mut dyn Write, seed: u64) -> Records<'a> {
        let mut ids = Random::new(seed ^ 0x5eed);
        let session = ids.uuid();
        Records {
            out,
            ids,
            session,
            parent: None,
            clock_ms: 1_767_603_600_000,
            written: Written::default(),
        }
    }

    fn bare(&mut self, record: &Value) -> io::Result<usize> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.written.bytes += line.len() as u64;
        Ok(line.len())
    }

    fn record(&mut self, kind: &str, fields: Value) -> io::Result<usize> {
        let uuid = self.ids.uuid();
        self.clock_ms += 40 + self.ids.next() % 4_000;
        let mut record = json!({"parentUuid": self.parent, "isSidechain": false, "userType": "external", "cwd": "/home/dev/projects/example",
            "sessionId": self.session, "version": "2.1.42", "gitBranch": "main", "slug": "quiet-reading-lamp", "type": kind});
        if let (Value::Object(record), Value::Object(fields)) = (&mut record, fields) {
            record.extend(fields);
            record.insert("uuid".to_owned(), json!(uuid));
            record.insert("timestamp".to_owned(), json!(iso_time(self.clock_ms)));
        }
        self.parent = Some(uuid);
        self.bare(&record)
    }

    fn prompt(&mut self, text: &str, image: Option<&str>) -> io::Result<()> {
        let content = match image {
            None => json!(text),
            Some(data) => {
                json!([{"type": "text", "text": text}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}])
            }
        };
        self.written.image_bytes += image.map_or(0, |data| data.len() as u64);
        self.written.prompts += 1;
        self.written.messages += 1;
        let bytes = self.record("user", json!({"message": {"role": "user", "content": content}, "todos": [], "permissionMode": "default"}))?;
        self.written.user_bytes += bytes as u64;
        Ok(())
    }

    fn step(
        &mut self,
        thinking: Option<&str>,
        text: Option<&str>,
        calls: &[Call],
    ) -> io::Result<()> {
        let message = format!("msg_{:016x}", self.ids.next());
        let request = format!("req_{:016x}", self.ids.next());
        if let Some(thinking) = thinking {
            let bytes: Vec<u8> = (0..52)
                .flat_map(|_| self.ids.next().to_le_bytes())
                .collect();
            let signature = base64(&bytes);
            self.written.signature_bytes += signature.len() as u64;
            self.block(
                &message,
                &request,
                json!({"type": "thinking", "thinking": thinking, "signature": signature}),
            )?;
        }
        if let Some(text) = text {
            self.block(&message, &request, json!({"type": "text", "text": text}))?;
        }
        let mut pending = Vec::new();
        for call in calls {
            let id = format!("toolu_{:016x}", self.ids.next());
            self.block(&message, &request, json!({"type": "tool_use", "id": id, "name": call.name, "input": call.input, "caller": {"type": "direct"}}))?;
            pending.push((id, self.parent.clone(), call));
        }
        for (id, call_record, call) in pending {
            for data in &call.progress {
                let bytes = self.record("progress", json!({"data": data, "toolUseID": format!("progress-{id}"), "parentToolUseID": id}))?;
                self.written.progress_bytes += bytes as u64;
            }
            self.written.structured_bytes += serde_json::to_vec(&call.structured)?.len() as u64;
            self.written.messages += 1;
            let mut block =
                json!({"tool_use_id": id, "type": "tool_result", "content": call.result});
            if call.is_error {
                block["is_error"] = json!(true);
            }
            let bytes = self.record("user", json!({"message": {"role": "user", "content": [block]}, "toolUseResult": call.structured, "sourceToolAssistantUUID": call_record}))?;
            self.written.user_bytes += bytes as u64;
        }
        Ok(())
    }

    fn block(&mut self, message: &str, request: &str, block: Value) -> io::Result<()> {
        self.written.messages += 1;
        let tokens = self.ids.next() % 2_000;
        self.record("assistant", json!({"message": {"model": MODEL, "id": message, "type": "message", "role": "assistant", "content": [block],
            "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 3, "cache_creation_input_tokens": 8_165, "cache_read_input_tokens": 17_842,
            "cache_creation": {"ephemeral_5m_input_tokens": 8_165, "ephemeral_1h_input_tokens": 0}, "output_tokens": tokens, "service_tier": "standard"}},
            "requestId": request}))?;
        Ok(())
    }
}

/// `{"messages": [...]}` with tool calls, written as it is made.
fn write_openai_chat(options: Options, out: &mut dyn Write) -> io::Result<Written> {
    let mut chat = Chat::new(options);
    let mut out = Counted { out, bytes: 0 };
    let mut written = Written::default();
    let mut calls_made = 0_usize;
    out.write_all(
        b"{\"messages\":[\n{\"role\":\"system\",\"content\":\"You are a careful engineer.\"}",
    )?;
    while written.messages < options.messages {
        for event in chat.turn() {
            let mut messages = Vec::new();
            match event {
                Event::Prompt { text, image: None } => {
                    messages.push(json!({"role": "user", "content": text}))
                }
                Event::Prompt {
                    text,
                    image: Some(data),
                } => {
                    written.image_bytes += data.len() as u64;
                    messages.push(json!({"role": "user", "content": [{"type": "text", "text": text},
                        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}}]}));
                }
                Event::Step {
                    thinking,
                    text,
                    calls,
                } => {
                    let mut message = json!({"role": "assistant", "content": text});
                    if let Some(thinking) = thinking {
                        message["reasoning_content"] = json!(thinking);
                    }
                    let first = calls_made;
                    calls_made += calls.len();
                    if !calls.is_empty() {
                        message["tool_calls"] = calls
                            .iter()
                            .enumerate()
                            .map(|(at, call)| json!({"id": format!("call_{}", first + at), "type": "function", "function": {"name": call.name, "arguments": call.input.to_string()}}))
                            .collect();
                    }
                    messages.push(message);
                    for (at, call) in calls.into_iter().enumerate() {
                        messages.push(json!({"role": "tool", "tool_call_id": format!("call_{}", first + at), "content": call.result}));
                    }
                }
            }
            for message in messages {
                written.prompts += usize::from(message["role"] == "user");
                written.messages += 1;
                write!(out, ",\n{message}")?;
            }
        }
    }
    out.write_all(b"\n]}\n")?;
    written.bytes = out.bytes;
    written.fenced_code_bytes = chat.fenced_code_bytes;
    Ok(written)
}

/// One conversation with a mapping of nodes in a chain; images are left out, as they lie beside it in a real export.
fn write_chatgpt(options: Options, out: &mut dyn Write) -> io::Result<Written> {
    let mut chat = Chat::new(options);
    let mut out = Counted { out, bytes: 0 };
    let mut written = Written::default();
    let mut time = 1_767_603_600.25;
    write!(
        out,
        "[{{\"title\":\"A long chat\",\"create_time\":{time},\"update_time\":{time},\"conversation_id\":\"long\",\"mapping\":{{\n\"n0\":"
    )?;
    let mut waiting = json!({"id": "n0", "message": null, "parent": null, "children": []});
    let mut nodes = 0_usize;
    while written.messages < options.messages {
        for event in chat.turn() {
            let mut messages = Vec::new();
            let said = |role: &str, recipient: &str, content: Value| {
                json!({"author": {"role": role, "name": null, "metadata": {}}, "content": content, "status": "finished_successfully",
                "end_turn": null, "weight": 1.0, "recipient": recipient, "metadata": {"model_slug": "gpt-5"}})
            };
            match event {
                Event::Prompt { text, .. } => messages.push(said(
                    "user",
                    "all",
                    json!({"content_type": "text", "parts": [text]}),
                )),
                Event::Step {
                    thinking,
                    text,
                    calls,
                } => {
                    if let Some(thinking) = thinking {
                        messages.push(said("assistant", "all", json!({"content_type": "thoughts", "thoughts": [{"summary": "", "content": thinking}]})));
                    }
                    if let Some(text) = text {
                        messages.push(said(
                            "assistant",
                            "all",
                            json!({"content_type": "text", "parts": [text]}),
                        ));
                    }
                    for call in calls {
                        messages.push(said("assistant", "python", json!({"content_type": "code", "language": "python", "text": call.input.to_string()})));
                        messages.push(said(
                            "tool",
                            "all",
                            json!({"content_type": "execution_output", "text": call.result}),
                        ));
                    }
                }
            }
            for mut message in messages {
                nodes += 1;
                time += 7.5;
                let id = format!("n{nodes}");
                message["id"] = json!(id);
                message["create_time"] = json!(time);
                written.prompts += usize::from(message["author"]["role"] == "user");
                written.messages += 1;
                waiting["children"] = json!([id]);
                write!(out, "{waiting},\n\"{id}\":")?;
                waiting = json!({"id": id, "message": message, "parent": format!("n{}", nodes - 1), "children": []});
            }
        }
    }
    writeln!(out, "{waiting}\n}},\"current_node\":\"n{nodes}\"}}]")?;
    written.bytes = out.bytes;
    written.fenced_code_bytes = chat.fenced_code_bytes;
    Ok(written)
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// SplitMix64: small, the same everywhere, good enough for made-up text.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of `low..high`.
    fn range(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low).max(1) as u64) as usize
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// The first words of the list come far more often than the last, as in real text.
    fn word(&mut self) -> &'static str {
        let at = self.range(0, WORDS.len()) * self.range(0, WORDS.len()) / WORDS.len();
        WORDS[at]
    }

    fn identifier(&mut self) -> String {
        let (first, second) = (self.word(), self.word());
        if self.chance(20) {
            format!("{first}_{second}_{}", self.range(0, 100))
        } else {
            format!("{first}_{second}")
        }
    }

    fn title(&mut self) -> String {
        let mut title = format!("{} {}", self.word(), self.word());
        title[..1].make_ascii_uppercase();
        title
    }

    fn path(&mut self) -> String {
        let language = self.range(0, LANGUAGES.len());
        self.file(language)
    }

    fn file(&mut self, language: usize) -> String {
        format!(
            "/home/dev/projects/example/{}/{}.{}",
            self.word(),
            self.word(),
            LANGUAGES[language].extension
        )
    }

    fn sentence(&mut self) -> String {
        let mut sentence = String::new();
        let words = self.range(6, 19);
        for at in 0..words {
            if at > 0 {
                sentence.push_str(if self.chance(7) { ", " } else { " " });
            }
            match self.range(0, 40) {
                0 => write!(sentence, "`{}`", self.identifier())
                    .expect("writing to a string does not fail"),
                1 => write!(sentence, "*{}*", self.word())
                    .expect("writing to a string does not fail"),
                _ => sentence.push_str(self.word()),
            }
        }
        if sentence.is_char_boundary(1) {
            sentence[..1].make_ascii_uppercase();
        }
        sentence.push('.');
        sentence
    }

    fn paragraph(&mut self, text: &mut String) {
        for _ in 0..self.range(2, 6) {
            let sentence = self.sentence();
            text.push_str(&sentence);
            text.push(' ');
        }
        text.push_str("\n\n");
    }

    /// Lines of code of a language, with an indentation that goes in and out.
    fn code(&mut self, language: usize, lines: usize) -> String {
        let language = &LANGUAGES[language];
        let mut code = String::with_capacity(lines * 40);
        for _ in 0..lines {
            let template = language.lines[self.range(0, language.lines.len())];
            for _ in 0..self.range(0, 4) {
                code.push_str("    ");
            }
            let mut rest = template;
            while let Some(at) = rest.find('$') {
                code.push_str(&rest[..at]);
                match rest.as_bytes().get(at + 1) {
                    Some(b'i') => code.push_str(&self.identifier()),
                    Some(b'w') => code.push_str(self.word()),
                    Some(b'n') => write!(code, "{}", self.range(0, 4_096))
                        .expect("writing to a string does not fail"),
                    _ => code.push('$'),
                }
                rest = &rest[at + 2..];
            }
            code.push_str(rest);
            code.push('\n');
        }
        code
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff
        )
    }
}

struct Language {
    name: &'static str,
    extension: &'static str,
    lines: &'static [&'static str],
}

/// `$i` stands for a name, `$w` for a word, `$n` for a number.
const LANGUAGES: [Language; 10] = [
    Language {
        name: "rust",
        extension: "rs",
        lines: &[
            "let $i = self.$i.get(&$i).ok_or(Error::$w { $i })?;",
            "pub fn $i(&mut self, $i: &str) -> Result<Vec<u8>, Error> {",
            "}",
            "// The $w of $i is $w until $w.",
            "match $i { Some($w) if $w.len() > $n => $i($w), _ => return Ok(()), }",
            "for ($i, $w) in $i.iter().enumerate().skip($n) {",
            "assert_eq!($i, \"$w $w\\n\");",
            "#[derive(Clone, Debug, PartialEq)]",
            "if $i.is_empty() && !$w.contains('$w') {",
            "use std::collections::{BTreeMap, $w};",
            "let $w: HashMap<String, &'a [u8]> = $i.collect();",
            "",
        ],
    },
    Language {
        name: "python",
        extension: "py",
        lines: &[
            "def $i(self, $i: str, $w=None) -> dict[str, int]:",
            "    \"\"\"Return the $w of $i.\"\"\"",
            "return {$i: $w for $i, $w in self.$i.items() if $w > $n}",
            "if not $i:",
            "raise ValueError(f\"$w {$i!r} is not $w\")",
            "from $w.$w import $i, $w",
            "# $w $w $w",
            "with open($i, \"rb\") as $w:",
            "$i = [$w.strip() for $w in $i.split(\"$w\")]",
            "@pytest.mark.parametrize(\"$w\", [$n, $n])",
            "",
        ],
    },
    Language {
        name: "javascript",
        extension: "js",
        lines: &[
            "const $i = await $w.$i({ $w: $n, $w: `$w ${$i}` });",
            "export function $i($w, { $w = $n } = {}) {",
            "}",
            "// $w the $w",
            "if (!$i?.$w) return null;",
            "document.querySelectorAll('.$w').forEach(($w) => $w.$i());",
            "return $i.filter(($w) => $w.$w !== \"$w\").map($i);",
            "import { $i } from './$w.js';",
            "let $w = /$w[a-z]+$n/g.test($i);",
            "",
        ],
    },
    Language {
        name: "typescript",
        extension: "ts",
        lines: &[
            "export interface $w<T extends $w = unknown> { $i?: T; readonly $w: string }",
            "const $i: Record<string, $w[]> = {};",
            "async function $i($w: $w): Promise<void> {",
            "}",
            "type $w = '$w' | '$w' | number;",
            "return ($i as $w).$w ?? $n;",
            "/** $w of $w. */",
            "private $i = new Map<string, $w>();",
            "",
        ],
    },
    Language {
        name: "bash",
        extension: "sh",
        lines: &[
            "for $w in \"$i\"/*.$w; do",
            "done",
            "if [[ -n $i && $n -gt 0 ]]; then",
            "fi",
            "$w --$w=$n \"$(cat $i | sort -u)\" > /tmp/$w.log 2>&1",
            "# $w $w",
            "export $i=$n",
            "grep -rn '$w' --include='*.$w' . | awk '{ print $w }'",
            "",
        ],
    },
    Language {
        name: "json",
        extension: "json",
        lines: &[
            "{ \"$i\": $n, \"$w\": [\"$w\", \"$w\"], \"$w\": null },",
            "\"$i\": { \"$w\": true, \"$w\": \"$w $w\" },",
            "\"$w\": [$n, $n, $n],",
        ],
    },
    Language {
        name: "c",
        extension: "c",
        lines: &[
            "static int $i(struct $w *$w, size_t $i)",
            "{",
            "}",
            "if ($i->$w == NULL || $w < $n) return -EINVAL;",
            "#define $i (1u << $n)",
            "/* $w $w $w */",
            "for (int $w = 0; $w < $n; $w++) $i[$w] = '\\0';",
            "#include <$w/$w.h>",
            "memcpy($i, &$w, sizeof(*$w));",
            "",
        ],
    },
    Language {
        name: "html",
        extension: "html",
        lines: &[
            "<div class=\"$w $w\" data-$w=\"$n\">",
            "</div>",
            "<a href=\"/$w/$n\">$w &amp; $w</a>",
            "<!-- $w $w -->",
            "<p>$w $w $w <b>$w</b></p>",
        ],
    },
    Language {
        name: "yaml",
        extension: "yml",
        lines: &[
            "$i: $n",
            "- name: $w $w",
            "$w: [\"$w\", $w]",
            "# $w",
            "$i: |",
        ],
    },
    Language {
        name: "sql",
        extension: "sql",
        lines: &[
            "SELECT $i, COUNT(*) AS $w FROM $i WHERE $w > $n GROUP BY $w;",
            "CREATE TABLE $i ($w INTEGER PRIMARY KEY, $w TEXT NOT NULL DEFAULT '$w');",
            "-- $w $w",
            "UPDATE $i SET $w = $n WHERE $w IN ($n, $n);",
            "",
        ],
    },
];

const WORDS: [&str; 158] = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "it",
    "for",
    "test",
    "file",
    "with",
    "this",
    "as",
    "not",
    "on",
    "from",
    "path",
    "error",
    "be",
    "value",
    "when",
    "by",
    "line",
    "state",
    "which",
    "name",
    "page",
    "index",
    "request",
    "has",
    "session",
    "cache",
    "result",
    "field",
    "message",
    "call",
    "reader",
    "writer",
    "check",
    "then",
    "now",
    "first",
    "last",
    "each",
    "module",
    "server",
    "client",
    "bundle",
    "table",
    "column",
    "parser",
    "token",
    "buffer",
    "stream",
    "chunk",
    "record",
    "entry",
    "item",
    "list",
    "map",
    "key",
    "default",
    "option",
    "config",
    "build",
    "release",
    "version",
    "branch",
    "commit",
    "merge",
    "review",
    "change",
    "before",
    "after",
    "between",
    "until",
    "because",
    "returns",
    "fails",
    "passes",
    "reads",
    "writes",
    "holds",
    "keeps",
    "moves",
    "splits",
    "joins",
    "matches",
    "loads",
    "stores",
    "waits",
    "retries",
    "timeout",
    "deadline",
    "socket",
    "thread",
    "worker",
    "queue",
    "lock",
    "handle",
    "context",
    "scope",
    "owner",
    "viewer",
    "archive",
    "digest",
    "manifest",
    "header",
    "footer",
    "margin",
    "layout",
    "widget",
    "button",
    "shadow",
    "colour",
    "theme",
    "window",
    "frame",
    "canvas",
    "pixel",
    "vector",
    "matrix",
    "number",
    "integer",
    "float",
    "string",
    "symbol",
    "pattern",
    "regex",
    "unicode",
    "newline",
    "escape",
    "quote",
    "bracket",
    "comma",
    "fixture",
    "sample",
    "golden",
    "snapshot",
    "assertion",
    "coverage",
    "fuzzer",
    "harness",
    "profile",
    "sampler",
    "latency",
    "throughput",
    "memory",
    "allocator",
    "garbage",
    "pointer",
    "reference",
    "lifetime",
    "borrow",
    "closure",
    "iterator",
    "generic",
];

/// The last place at or before `at` where the text may be cut.
fn floor_char(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

/// Milliseconds since 1970 as the transcripts write them.
fn iso_time(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        rest / 3_600_000,
        rest / 60_000 % 60,
        rest / 1_000 % 60,
        rest % 1_000
    )
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = u32::from(chunk[0]) << 16
            | u32::from(*chunk.get(1).unwrap_or(&0)) << 8
            | u32::from(*chunk.get(2).unwrap_or(&0));
        for at in 0..4 {
            text.push(if at <= chunk.len() {
                char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize])
            } else {
                '='
            });
        }
    }
    text
}

/// A square picture of noise: valid, and as hard to compress as a photograph.
fn png(random: &mut Random, side: u32) -> Vec<u8> {
    let mut raw = Vec::with_capacity((side * (side * 3 + 1)) as usize);
    for _ in 0..side {
        raw.push(0);
        raw.extend((0..side * 3).map(|_| random.next() as u8));
    }
    let mut data = vec![0x78, 0x01, 0x01];
    data.extend((raw.len() as u16).to_le_bytes());
    data.extend((!(raw.len() as u16)).to_le_bytes());
    data.extend(&raw);
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in &raw {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    data.extend((b << 16 | a).to_be_bytes());
    let mut header = Vec::from(side.to_be_bytes());
    header.extend(side.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", &header), (b"IDAT", &data), (b"IEND", &Vec::new())] {
        png.extend((data.len() as u32).to_be_bytes());
        let start = png.len();
        png.extend(kind);
        png.extend(data);
        png.extend(crc32(&png[start..]).to_be_bytes());
    }
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}
