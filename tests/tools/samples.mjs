// Writes small made-up transcripts that show every kind of page: a long chat of a coding agent, a chat with branches, an empty chat,
// a chat with damaged records. The same bytes every time; what the tests look for is exported beside them.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { png } from "./bytes.mjs";

/** Stands `total` times in the long chat, on several pages, also where it is folded; never in names that pages repeat. */
export const NEEDLE = { word: "quinquereme", total: 9, prompts: 2 };
/** Stands once, on the last page, in a tool result that is folded. */
export const FAR = "zymurgy-on-the-last-page";
export const PROMPTS = 60;
/** Of the first message of the long chat: in most zones another hour, in some another day. */
export const FIRST_TIME = "2026-01-05T23:30:00.000Z";
export const FIRST_PROMPT = "Please find out why the login test is flaky.";
export const SUBAGENT = { task: "Search the fixtures", said: "The fixture keeps one session for all tests." };

const PNG = png(320, 160).toString("base64");

/** Session records with the envelope that they share. */
class Session {
  constructor(id, start) {
    this.id = id;
    this.clock = Date.parse(start);
    this.count = 0;
    this.parent = null;
    this.records = [];
  }

  uuid() {
    return `00000000-0000-4000-8000-${String(++this.count).padStart(12, "0")}`;
  }

  push(type, fields, seconds = 5) {
    const uuid = this.uuid();
    this.records.push({ parentUuid: this.parent, isSidechain: false, userType: "external", cwd: "/home/dev/example", sessionId: this.id, version: "2.1.42", gitBranch: "main", type, ...fields, uuid, timestamp: new Date(this.clock).toISOString() });
    this.clock += seconds * 1000;
    this.parent = uuid;
  }

  user(content, fields = {}) {
    this.push("user", { message: { role: "user", content }, ...fields }, 20);
  }

  assistant(...blocks) {
    const id = `msg_${this.count}`;
    for (const block of blocks) this.push("assistant", { message: { model: "claude-opus-4-6", id, type: "message", role: "assistant", content: [block], stop_reason: null, usage: { input_tokens: 3, output_tokens: 9 } }, requestId: `req_${id}` });
  }

  call(name, input, content, { structured, ...block } = {}) {
    const id = `toolu_${this.count}`;
    this.assistant({ type: "tool_use", id, name, input });
    this.user([{ type: "tool_result", tool_use_id: id, content, ...block }], structured === undefined ? {} : { toolUseResult: structured });
  }

  write(file, tail = "") {
    writeFileSync(file, this.records.map((record) => JSON.stringify(record)).join("\n") + "\n" + tail);
  }
}

const text = (value) => ({ type: "text", text: value });
const thinking = (value) => ({ type: "thinking", thinking: value, signature: "c2lnbmF0dXJl" });

const MARKDOWN = `I looked at **three** things, and _one_ was wrong.

## What I found

| file | before | after |
|:---|---:|---:|
| \`login.rs\` | 12 | 15 |
| \`fixture.rs\` | 4 | 4 |

- [x] the session was shared
- [ ] the clock was not

1. First the fixture.
2. Then the test, see [the notes](https://example.org/notes "Notes") or www.example.net/more。and https://example.org/日本語。

> [!WARNING]
> Do not share a session between tests.

It was ~~the clock~~ the session[^1]. A picture from elsewhere: ![a chart](https://example.com/chart.png)

[^1]: Told by the log.

\`\`\`rust
/// Logs in with a session of its own.
fn login(session: &Session) -> Result<User, Error> {
    let user = session.user().ok_or(Error::NoUser)?;
    Ok(user) // a line that is rather long, so that it has to scroll by itself on a phone and does not make the whole page scroll to the side
}
\`\`\`

\`\`\`python
def login(session):
    return session["user"]
\`\`\`

Inline math stays as written: $a < b$.`;

const filler = (n) => `Step ${n}. ` + "The reader opens the file, checks the digest and goes on; the writer waits until the queue has room again. ".repeat(14);

function longChat(folder) {
  const session = new Session("10000000-0000-4000-8000-000000000001", FIRST_TIME);
  session.records.push({ type: "custom-title", customTitle: "Fix the flaky login test", sessionId: session.id });
  session.user(FIRST_PROMPT);
  session.assistant(thinking(`I should look at the fixture first. Perhaps a ${NEEDLE.word} helps.`), text("I'll look at the test and its fixtures first."));
  session.call("Read", { file_path: "/home/dev/example/tests/login.rs" }, "     1→fn login() {\n     2→    let session = shared();\n     3→}", { structured: { type: "text", file: { filePath: "/home/dev/example/tests/login.rs", content: "fn login() {\n    let session = shared();\n}", numLines: 3, startLine: 1, totalLines: 3 } } });
  session.call("Grep", { pattern: "session", path: "tests" }, `tests/login.rs:2: let session = shared(); // ${NEEDLE.word}`);
  session.call("Bash", { command: "cargo test login", description: "Run the login test" }, `\u001b[1m\u001b[32mRunning\u001b[0m tests\nDownloading 10%\rDownloading 100%\n\u001b[31mtest login ... FAILED\u001b[0m\n\u001b]8;;https://example.org/log\u0007the log\u001b]8;;\u0007\n${"a line of the log\n".repeat(80)}`, { is_error: true });
  session.assistant(text(MARKDOWN));
  session.user([text("Here is a screenshot of the failure."), { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } }]);
  session.call("Edit", { file_path: "/home/dev/example/tests/login.rs", old_string: "    let session = shared();", new_string: "    let session = Session::new();\n    session.clear();" }, "The file has been updated.", { structured: { filePath: "/home/dev/example/tests/login.rs", oldString: "    let session = shared();", newString: "    let session = Session::new();\n    session.clear();", structuredPatch: [{ oldStart: 1, oldLines: 3, newStart: 1, newLines: 4, lines: [" fn login() {", "-    let session = shared();", "+    let session = Session::new();", "+    session.clear();", " }"] }] } });
  session.call("Write", { file_path: "/home/dev/example/NOTES.md", content: "# Notes\n\nUse a session of its own.\n" }, "File created successfully at: /home/dev/example/NOTES.md");
  session.call("TodoWrite", { todos: [{ content: "Fix the fixture", status: "completed", activeForm: "Fixing" }, { content: "Run the tests", status: "in_progress", activeForm: "Running" }] }, "Todos have been modified successfully.");
  session.call("Task", { description: SUBAGENT.task, subagent_type: "Explore", prompt: "Which fixtures keep a session?" }, [text(SUBAGENT.said)], { structured: { status: "completed", agentId: "a000001", content: [text(SUBAGENT.said)], totalDurationMs: 4000, totalTokens: 20, totalToolUseCount: 1 } });
  session.assistant(text("The subagent found it."));
  for (let prompt = 3; prompt <= PROMPTS; prompt++) {
    const needle = prompt === 20 || prompt === 40 ? ` Mind the ${NEEDLE.word}.` : "";
    session.user(`Prompt number ${prompt}: look at part ${prompt} of the code.${needle}`);
    session.assistant(thinking(`Part ${prompt} is next.`), text(filler(prompt)));
    const output = Array.from({ length: 60 }, (_, line) => `${prompt}:${line}: checked part ${prompt} of the code and found nothing to complain about here`);
    if (prompt === 30 || prompt === 50) output.push(NEEDLE.word, `twice in one result: ${NEEDLE.word}`);
    if (prompt === PROMPTS) output.push(FAR);
    session.call("Bash", { command: `./check --part ${prompt}`, description: `Check part ${prompt}` }, output.join("\n"));
    session.assistant(text(`### Part ${prompt}\n\n${filler(prompt)}\n\n${prompt === 45 ? `A ${NEEDLE.word} in an answer.\n\n` : ""}\`\`\`js\nconst part = ${prompt};\n\`\`\`\n\n${filler(prompt)}`));
    if (prompt === 35) session.push("system", { subtype: "compact_boundary", content: "Conversation compacted", compactMetadata: { trigger: "auto", preTokens: 150000 } });
    if (prompt === 36) session.user("[Request interrupted by user]");
  }
  const file = join(folder, `${session.id}.jsonl`);
  session.write(file);
  const side = new Session(session.id, "2026-01-05T23:32:00.000Z");
  side.count = 500000;
  side.user("Which fixtures keep a session?");
  side.call("Grep", { pattern: "Session" }, "tests/fixture.rs:1: Session");
  side.assistant(text(SUBAGENT.said));
  for (const record of side.records) Object.assign(record, { isSidechain: true, agentId: "a000001" });
  mkdirSync(join(folder, session.id, "subagents"), { recursive: true });
  side.write(join(folder, session.id, "subagents", "agent-a000001.jsonl"));
  return file;
}

/** A prompt that was edited once and an answer that was made three times. */
function branches(folder) {
  const mapping = { root: { id: "root", message: null, parent: null, children: [] } };
  let time = 1_767_603_600;
  const add = (id, parent, role, value) => {
    mapping[id] = { id, parent, children: [], message: { id, author: { role, name: null, metadata: {} }, create_time: time++, content: { content_type: "text", parts: [value] }, status: "finished_successfully", weight: 1, recipient: "all", metadata: role === "assistant" ? { model_slug: "gpt-5" } : {} } };
    mapping[parent].children.push(id);
  };
  add("p1", "root", "user", "Name a river.");
  add("a1", "p1", "assistant", "The Danube.");
  add("p2old", "a1", "user", "How long is it in miles?");
  add("a2old", "p2old", "assistant", "About 1,770 miles.");
  add("p2", "a1", "user", "How long is it in kilometres?");
  add("a2x", "p2", "assistant", "First try: about 2,800.");
  add("a2y", "p2", "assistant", "Second try: about 2,900.");
  add("a2", "p2", "assistant", "Third try: 2,850 km.");
  add("p3", "a2", "user", "Thank you.");
  add("a3", "p3", "assistant", "You are welcome.");
  const file = join(folder, "conversations.json");
  writeFileSync(file, JSON.stringify([{ title: "A river", create_time: 1_767_603_600, update_time: time, mapping, current_node: "a3", conversation_id: "10000000-aaaa-4000-8000-000000000002" }]));
  return file;
}

/** Two lines that nobody can read, between good ones. */
function damaged(folder) {
  const session = new Session("10000000-0000-4000-8000-000000000004", "2026-01-06T08:00:00.000Z");
  session.user("What is left after a crash?");
  session.assistant(text("Everything before and after the damage."));
  const file = join(folder, `${session.id}.jsonl`);
  const [first, second] = session.records.map((record) => JSON.stringify(record));
  writeFileSync(file, `${first}\n{"type":"user","message":{"role":"user","content":"cut o\n${second}\nnot json at all\n`);
  return file;
}

/** A chat of which nothing is shown: what the system is told is for nobody. */
function empty(folder) {
  const file = join(folder, "messages.json");
  writeFileSync(file, JSON.stringify([{ role: "system", content: "Be brief." }]));
  return file;
}

/** Prose that is not laid out as most of it: right to left, nested deep, with long numbers. */
function prose(folder) {
  const nested = Array.from({ length: 30 }, (_, depth) => `${"  ".repeat(depth)}- level ${depth}`).join("\n");
  const file = join(folder, "messages.json");
  const messages = [
    { role: "user", content: "מה ההבדל בין README.md ל-CHANGELOG.md?" },
    { role: "assistant", content: "הקובץ README.md מתאר.\n\n- ראשון\n\nAnd in English.\n\n```\nlet a;\n```" },
    { role: "user", content: "And in English?" },
    { role: "assistant", content: `Deep:\n\n${nested}\n\nThen:\n\n---\n\n1986. A great year!` },
  ];
  writeFileSync(file, JSON.stringify(messages));
  return file;
}

/** Writes every sample below the folder. */
export function write(folder) {
  const makers = { long: longChat, branches, damaged, empty, prose };
  return Object.entries(makers).map(([name, make]) => {
    const own = join(folder, name);
    mkdirSync(own, { recursive: true });
    return { name, file: make(own) };
  });
}
