// Writes transcripts in which every field that foreign text can reach tries to run script or to load something.
//
// Each place carries a marker ("at-claude-code-prompt") and payloads behind it. A test then asks three things of the bundle: nothing ran,
// nothing was asked for, and what must be readable is there as text. `write(folder)` returns what was written and what to look for.

import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { png, zip } from "./bytes.mjs";

/** Payloads that a Markdown parser, a template and a script file must all leave as text. None holds a character that Markdown eats. */
export const INERT = [
  "<script>pwned=1</script>",
  "<img src=x onerror=pwned=2>",
  "</script><script>pwned=3</script>",
  "</style></title></textarea><svg onload=pwned=4>",
  "--><img src=x onerror=pwned=5>",
  '"><svg onload="pwned=6">',
  "'><body onload='pwned=7'>",
  "{{7*7}} {% include 'x' %} {# x #}",
  "<iframe srcdoc='<script>parent.pwned=8</script>'></iframe>",
  "<a href=javascript:pwned=9>",
  "<base href=//evil.invalid><meta http-equiv=refresh content=0;url=//evil.invalid>",
  "<form action=//evil.invalid><input name=chat id=chat>",
  "';pwned=10;//",
  '";pwned=11;//',
  "`;pwned=12;//${pwned=13}",
  "<link rel=stylesheet href=//evil.invalid/x.css>",
  "<math><mtext></p><style></math><img src=x onerror=pwned=14>",
  "<details open ontoggle=pwned=15>",
];

/** Line separators that end a line in a script file, and marks that turn the direction of text. Checked for harm, not for looks. */
const INVISIBLE = "\u2028pwned=16\u2029pwned=17\u0085\u202epwned=18\u2066\u200f\ufeff\u0000";

/** Links that must not become links, in the ways that filters were passed before. */
export const LINKS = [
  "javascript:pwned=20",
  "JaVaScRiPt:pwned=21",
  "java\nscript:pwned=22",
  "java\tscript:pwned=23",
  "\u0001javascript:pwned=24",
  " javascript:pwned=25",
  "javascript&colon;pwned=26",
  "&#106;avascript:pwned=27",
  "&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74:pwned=28",
  "javascript://%0apwned=29",
  "data:text/html,<script>pwned=30</script>",
  "data:text/html;base64,PHNjcmlwdD5wd25lZD0zMTwvc2NyaXB0Pg==",
  "data:image/svg+xml,<svg onload=pwned=32>",
  "vbscript:pwned=33",
  "blob:https://evil.invalid/x",
  "file:///etc/passwd",
  "//evil.invalid/x",
  "\\\\evil.invalid\\x",
  "view-source:javascript:pwned=34",
  "feed:javascript:pwned=35",
  "jar:javascript:pwned=36",
];

/** Markdown that makes markup of its own; only the harm is checked. */
function markdown(at) {
  const links = LINKS.map((link, n) => `[l${n}](<${link.replace(/[\n<>]/g, "")}>) [m${n}](${link.replace(/[\s<>()]/g, "")}) ![i${n}](${link.replace(/[\s<>()]/g, "")}) <${link.replace(/[\s<>]/g, "")}>`);
  return [
    `${at}-markdown`,
    ...links,
    "[reference]: javascript:pwned=40 'x'",
    "[reference] [![nested](x \"onerror=pwned=41\")](javascript:pwned=42)",
    "![alt \" onerror=pwned=43](https://evil.invalid/pixel.png \"t\\\" onerror=pwned=44\")",
    "[title](https://example.org \"\\\" onmouseover=pwned=45 x=\\\"\")",
    "https://example.org/\"onmouseover=pwned=46 www.example.org/'onclick=pwned=47",
    "```\"><script>pwned=48</script>\n</code></pre><script>pwned=49</script>\n```",
    "```js onload=pwned=50 class=\"x\" style=x\nlet x = \"</script><script>pwned=51</script>\";\n```",
    "```html\n<script>pwned=52</script><img src=x onerror=pwned=53>\n```",
    "```mermaid\ngraph TD; A[<img src=x onerror=pwned=54>]-->B; click A \"javascript:pwned=55\"\n```",
    "```diff\n+<script>pwned=56</script>\n-<img src=x onerror=pwned=57>\n```",
    "~~~svg\n<svg onload=pwned=58>\n~~~",
    "| <script>pwned=59</script> | x |\n|---|---|\n| <img src=x onerror=pwned=60> | [x](javascript:pwned=61) |",
    "[^<script>pwned=62</script>]\n\n[^<script>pwned=62</script>]: <img src=x onerror=pwned=63>",
    "[^chat]\n\n[^chat]: an id that the page uses itself",
    "> [!NOTE\"><svg onload=pwned=64>]\n> x",
    "$$\\href{javascript:pwned=65}{x} \\htmlData{onclick=pwned=66}{x}$$ $<img src=x onerror=pwned=67>$",
    "# <script>pwned=68</script> {#chat .bar onclick=pwned=69}",
    "<script>\npwned=70\n</script>",
    "<div onclick=pwned=71>\n\n**bold**\n\n</div>",
    "<!-- --!><img src=x onerror=pwned=72> -->",
    "<![CDATA[<img src=x onerror=pwned=73>]]>",
    "<?php <img src=x onerror=pwned=74> ?>",
    "&lt;script&gt;pwned=75&lt;/script&gt; &#60;img src=x onerror=pwned=76&#62;",
    "<style>@import '//evil.invalid/x.css'; *{background:url(//evil.invalid/y)}</style>",
    "<video src=//evil.invalid/v poster=//evil.invalid/p onerror=pwned=77></video><object data=//evil.invalid/o></object><embed src=//evil.invalid/e>",
  ].join("\n\n");
}

/** What a terminal would do with it. */
function terminal(at) {
  const links = LINKS.map((link, n) => `\u001b]8;;${link.replace(/[\u0000-\u001f]/g, "")}\u0007o${n}\u001b]8;;\u0007`).join(" ");
  return [
    `${at}-terminal`,
    links,
    "\u001b]8;id=\"><svg onload=pwned=80>;https://example.org/\"onmouseover=pwned=81\u001b\\link\u001b]8;;\u001b\\",
    "\u001b[31\"><script>pwned=82</script>m\u001b[38;2;1;2;3mred\u001b[0m",
    "\u001b]0;<script>pwned=83</script>\u0007\u001bP<img src=x onerror=pwned=84>\u001b\\",
    "hidden\r<script>pwned=85</script>\u0008\u0008\u007f",
    "\u001b[1m<img src=x onerror=pwned=86>",
  ].join("\n");
}

const SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="parent.pwned=top.pwned=90" width="20" height="20"><script>parent.pwned=top.pwned=91</script><image href="//evil.invalid/i.png" width="9" height="9"/><a xlink:href="javascript:pwned=92"><rect width="20" height="20" fill="green"/></a><foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><img src="x" onerror="parent.pwned=93"/></body></foreignObject></svg>';
const HTML = "<!doctype html><title>x</title><script>try{parent.pwned=94;opener.pwned=95}catch{} window.pwned=96; new Image().src='//evil.invalid/h'</script><img src=x onerror=pwned=97>";
const XML = '<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="#x"?><html xmlns="http://www.w3.org/1999/xhtml"><script>window.pwned=98</script></html>';
const PNG = png(8, 8);
const base64 = (text) => Buffer.from(text).toString("base64");

/** Collects the places of one transcript. */
class Places {
  constructor(format) {
    this.format = format;
    /** Text that must be readable on some page of the bundle. @type {{at: string, text: string}[]} */
    this.visible = [];
  }

  at(place) {
    return `at-${this.format}-${place}`;
  }

  /** Every payload behind a marker, on lines of their own; must be readable. */
  text(place) {
    const at = this.at(place);
    INERT.forEach((payload, n) => this.visible.push({ at: `${at}-${n}`, text: payload }));
    return INERT.map((payload, n) => `${at}-${n} ${payload}`).join("\n\n") + `\n\n${at}-invisible ${INVISIBLE}`;
  }

  /** A name: one line, payloads side by side; only the marker must be readable, since names are cut and made safe. */
  name(place) {
    const at = this.at(place);
    this.visible.push({ at, text: "" });
    return `${at}"><img src=x onerror=pwned=100><script>pwned=101</script>'onmouseover='pwned=102`;
  }

  /** The same where nobody needs to see it. */
  unseen(place) {
    return `${this.at(place)}"><img src=x onerror=pwned=103><script>pwned=104</script>{{7*7}}</script></title>${INVISIBLE}`;
  }

  markdown(place) {
    const at = this.at(place);
    this.visible.push({ at: `${at}-markdown`, text: "" });
    return markdown(at);
  }

  terminal(place) {
    const at = this.at(place);
    this.visible.push({ at: `${at}-terminal`, text: "" });
    return terminal(at);
  }
}

const lines = (records) => records.map((record) => JSON.stringify(record)).join("\n") + "\n";

function claudeCode(folder) {
  const places = new Places("claude-code");
  const session = "5e550000-0000-4000-8000-000000000001";
  let clock = 0;
  let parent = null;
  const record = (type, fields) => {
    const uuid = `5e550000-0000-4000-8000-${String(1000 + clock).padStart(12, "0")}`;
    const made = { parentUuid: parent, isSidechain: false, userType: "external", cwd: places.unseen("cwd"), sessionId: session, version: places.unseen("version"), gitBranch: places.unseen("branch"), slug: places.unseen("slug"), type, ...fields, uuid, timestamp: new Date(Date.UTC(2026, 0, 5, 9, 0, clock++)).toISOString() };
    parent = uuid;
    return made;
  };
  const user = (content, rest = {}) => record("user", { message: { role: "user", content }, ...rest });
  const assistant = (block, rest = {}) => record("assistant", { message: { id: `msg_${clock}`, type: "message", role: "assistant", model: places.name("model"), content: [block], stop_reason: null, usage: { input_tokens: 1, output_tokens: 2 } }, requestId: places.unseen("request"), ...rest });
  const call = (name, input, result, extra = {}, structured = undefined) => {
    const id = `toolu_${clock}"><svg onload=pwned=110>`;
    return [assistant({ type: "tool_use", id, name, input }), user([{ type: "tool_result", tool_use_id: id, content: result, ...extra }], structured === undefined ? {} : { toolUseResult: structured })];
  };
  const path = places.name("path");
  const records = [
    { type: "summary", summary: places.unseen("summary"), leafUuid: "none" },
    { type: "custom-title", customTitle: places.name("title"), sessionId: session },
    { type: "file-history-snapshot", messageId: places.unseen("snapshot"), snapshot: { [places.unseen("key")]: places.unseen("value") } },
    user(places.text("prompt")),
    assistant({ type: "thinking", thinking: places.text("reasoning"), signature: places.unseen("signature") }),
    assistant({ type: "text", text: places.text("answer") }),
    user(places.markdown("prompt")),
    assistant({ type: "thinking", thinking: places.markdown("reasoning"), signature: "x" }),
    assistant({ type: "text", text: places.markdown("answer") }),
    user([{ type: "text", text: places.text("prompt-block") }, { type: "image", source: { type: "base64", media_type: 'image/svg+xml"><svg onload=pwned=111>', data: base64(SVG) } }, { type: "image", source: { type: "base64", media_type: "image/svg+xml", data: base64(SVG) } }, { type: "image", source: { type: "base64", media_type: "text/html", data: base64(HTML) } }, { type: "image", source: { type: "url", url: "https://evil.invalid/i.png\"onerror=pwned=112" } }, { type: "document", title: places.unseen("document"), source: { type: "base64", media_type: "text/html", data: base64(HTML) } }, { type: "document", source: { type: "base64", media_type: "application/xhtml+xml", data: base64(XML) } }]),
    ...call("Bash", { command: places.text("bash-command"), description: places.name("bash-description") }, places.text("bash-output"), {}, { stdout: places.unseen("stdout"), stderr: places.unseen("stderr"), interrupted: false }),
    ...call("Bash", { command: places.terminal("bash-command") }, places.terminal("bash-output"), { is_error: true }, `Error: ${places.unseen("error")}`),
    ...call("Read", { file_path: path }, `     1→${places.text("read").replaceAll("\n", "\n     2→")}`, {}, { type: "text", file: { filePath: path, content: places.unseen("read-copy"), numLines: 1, startLine: 1, totalLines: 1 } }),
    ...call("Edit", { file_path: `${path}.html`, old_string: places.text("edit-old"), new_string: places.text("edit-new") }, "The file has been updated.", {}, { filePath: path, oldString: "x", newString: "y", originalFile: places.unseen("original"), structuredPatch: [{ oldStart: 1, oldLines: 1, newStart: 1, newLines: 1, lines: [`-${places.unseen("patch-old")}`, `+${places.unseen("patch-new")}`, "malformed"] }, { oldStart: "<b>", lines: null }] }),
    ...call("Edit", { file_path: `${path}.js`, old_string: places.text("edit-js-old"), new_string: places.text("edit-js-new") }, "The file has been updated."),
    ...call("MultiEdit", { file_path: path, edits: [{ old_string: places.text("multi-old"), new_string: places.text("multi-new") }] }, "ok"),
    ...call("Write", { file_path: `${path}.svg`, content: places.text("write") }, `File created successfully at: ${path}`),
    ...call("Grep", { pattern: places.name("grep"), path, glob: places.unseen("glob") }, places.text("grep-output")),
    ...call("WebFetch", { url: "javascript:pwned=113", prompt: places.text("fetch-prompt") }, places.markdown("fetch")),
    ...call("WebFetch", { url: "https://evil.invalid/\"onclick=pwned=114", prompt: "x" }, places.terminal("fetch")),
    ...call("WebSearch", { query: places.name("search") }, `Links: [{"title":"${places.at("hit")}","url":"javascript:pwned=115"}]`),
    ...call("TodoWrite", { todos: [{ content: places.name("todo"), status: places.unseen("status"), activeForm: places.unseen("form") }] }, "ok"),
    ...call("Task", { description: places.name("task"), subagent_type: places.unseen("agent-type"), prompt: places.text("task-prompt") }, [{ type: "text", text: places.text("task-result") }], {}, { status: "completed", agentId: "bad0001", content: [{ type: "text", text: places.unseen("task-copy") }] }),
    ...call("mcp__evil__<img src=x onerror=pwned=116>", { [places.unseen("input-key")]: places.text("input-value"), nested: { deep: [places.unseen("deep"), null, 1e400] } }, [{ type: "text", text: places.text("mcp-output") }, { type: "image", source: { type: "base64", media_type: "image/png", data: PNG.toString("base64") } }, { type: "image", source: { type: "base64", media_type: "image/svg+xml", data: base64(SVG) } }, { type: places.unseen("part-kind"), payload: places.unseen("part") }]),
    ...call(places.name("tool"), places.text("input-string"), places.text("tool-output")),
    assistant({ type: places.unseen("block-kind"), value: places.unseen("block") }),
    assistant({ type: "tool_use", id: "toolu_open", name: "Bash", input: { command: places.text("unanswered") } }),
    user([{ type: "tool_result", tool_use_id: "toolu_nobody", content: places.text("orphan") }]),
    user(`<command-name>/${places.unseen("command")}</command-name><command-message>x</command-message><command-args>${places.unseen("command-args")}</command-args>`),
    user(`<local-command-stdout>${places.unseen("local")}</local-command-stdout>`),
    user(`<bash-input>${places.unseen("bash-input")}</bash-input>`),
    user(`<system-reminder>${places.unseen("reminder")}</system-reminder>`),
    user(places.unseen("meta"), { isMeta: true }),
    user(`This session is being continued from a previous conversation. ${places.unseen("compact")}`, { isCompactSummary: true }),
    user("[Request interrupted by user for tool use]"),
    record("system", { subtype: "compact_boundary", content: places.unseen("boundary"), compactMetadata: { trigger: places.unseen("trigger"), preTokens: "<b>" } }),
    record("system", { subtype: "local_command", content: `<local-command-stdout>${places.unseen("local-command")}</local-command-stdout>` }),
    record("system", { subtype: "api_error", error: { message: places.unseen("api-error") }, content: places.unseen("api-content") }),
    record("system", { subtype: places.unseen("subtype"), content: places.unseen("system"), level: places.unseen("level") }),
    record("attachment", { attachment: { type: "file", filename: places.unseen("attachment"), content: { type: "text", file: { filePath: places.unseen("attached-path"), content: HTML } } } }),
    record("attachment", { attachment: { type: places.unseen("attachment-kind"), content: places.unseen("attachment-content") } }),
    { type: "queue-operation", operation: "enqueue", content: places.unseen("queued"), timestamp: "<script>pwned=117</script>", sessionId: session },
    { type: places.unseen("record-kind"), [places.unseen("record-key")]: places.unseen("record-value"), uuid: places.unseen("uuid"), timestamp: places.unseen("timestamp") },
    { type: "ai-title", aiTitle: places.unseen("ai-title"), sessionId: session },
    { type: "pr-link", prUrl: "javascript:pwned=118", prNumber: places.unseen("pr"), sessionId: session },
    record("progress", { data: { type: "agent_progress", agentId: "bad0001", message: { type: "user", message: { role: "user", content: places.unseen("progress") } } }, toolUseID: "x", parentToolUseID: "x" }),
    assistant({ type: "text", text: places.text("api-error") }, { isApiErrorMessage: true, error: places.unseen("error-kind") }),
    user([{ type: "text", text: places.text("last") }], { uuid: 'id"><svg onload=pwned=119>' }),
  ];
  const side = [
    { ...user(places.text("side-prompt")), isSidechain: true, agentId: "bad0001" },
    { ...assistant({ type: "text", text: places.text("side-answer") }), isSidechain: true, agentId: "bad0001" },
    { ...assistant({ type: "text", text: places.markdown("side") }), isSidechain: true, agentId: "bad0001" },
  ];
  const file = join(folder, `${session}.jsonl`);
  // A record cut in the middle, with payloads in what is left.
  writeFileSync(file, lines(records) + `{"type":"user","message":{"role":"user","content":"${places.at("cut")} <script>pwned=120</script>\n`);
  mkdirSync(join(folder, session, "subagents"), { recursive: true });
  writeFileSync(join(folder, session, "subagents", "agent-bad0001.jsonl"), lines(side));
  writeFileSync(join(folder, session, "subagents", "agent-bad0001.meta.json"), JSON.stringify({ agentType: places.unseen("meta-type") }));
  return { file, places };
}

function codex(folder) {
  const places = new Places("codex");
  let clock = 0;
  const line = (type, payload) => ({ timestamp: new Date(Date.UTC(2026, 0, 5, 9, 0, clock++)).toISOString(), type, payload });
  const item = (payload) => line("response_item", payload);
  const event = (payload) => line("event_msg", payload);
  const said = (role, text) => item({ type: "message", role, content: [{ type: role === "assistant" ? "output_text" : "input_text", text }] });
  // What a person says comes twice; what comes once was put in by the program.
  const asked = (message, images = []) => [item({ type: "message", role: "user", content: [{ type: "input_text", text: message }, ...images.map((image_url) => ({ type: "input_image", image_url }))] }), event({ type: "user_message", message, images })];
  const call = (name, argumentsText, output) => {
    const id = `call_${clock}`;
    return [item({ type: "function_call", name, arguments: argumentsText, call_id: id }), item({ type: "function_call_output", call_id: id, output })];
  };
  const records = [
    line("session_meta", { id: "bad\"><svg onload=pwned=130>", timestamp: "2026-01-05T09:00:00Z", cwd: places.unseen("cwd"), originator: places.unseen("originator"), cli_version: places.unseen("version"), model_provider: places.unseen("provider"), base_instructions: { text: places.unseen("instructions") }, git: { branch: places.unseen("branch"), repository_url: "javascript:pwned=131" } }),
    line("turn_context", { cwd: places.unseen("turn-cwd"), model: places.name("model"), summary: places.unseen("turn-summary") }),
    said("developer", places.unseen("developer")),
    ...asked(places.text("prompt")),
    event({ type: "user_message", message: places.unseen("user-message"), images: ["https://evil.invalid/i.png"], local_images: [places.unseen("local-image")] }),
    item({ type: "reasoning", summary: [{ type: "summary_text", text: places.text("reasoning") }], content: null, encrypted_content: places.unseen("encrypted") }),
    said("assistant", places.text("answer")),
    ...asked(places.markdown("prompt")),
    said("assistant", places.markdown("answer")),
    ...asked(places.text("with-image"), [`data:image/svg+xml;base64,${base64(SVG)}`, `data:text/html;base64,${base64(HTML)}`, 'https://evil.invalid/i.png"onerror=pwned=132']),
    item({ type: "message", role: "user", content: [{ type: "input_text", text: places.unseen("injected") }, { type: "input_image", image_url: `data:image/svg+xml;base64,${base64(SVG)}` }, { type: places.unseen("content-kind"), text: places.unseen("content") }] }),
    ...call("shell", JSON.stringify({ command: ["bash", "-lc", places.text("shell-command")], workdir: places.unseen("workdir"), justification: places.unseen("why") }), JSON.stringify({ output: places.text("shell-output"), metadata: { exit_code: 1, duration_seconds: 0.1 } })),
    ...call("exec_command", JSON.stringify({ cmd: places.terminal("exec") }), places.terminal("exec-output")),
    ...call("shell", `{broken ${places.text("broken-arguments")}`, [{ type: "input_text", text: places.text("list-output") }]),
    ...call(places.name("tool"), JSON.stringify({ [places.unseen("key")]: places.text("tool-value") }), { content: places.unseen("object-output"), success: false }),
    ...call("update_plan", JSON.stringify({ plan: [{ step: places.name("step"), status: places.unseen("status") }], explanation: places.unseen("explanation") }), "Plan updated"),
    item({ type: "custom_tool_call", name: "apply_patch", call_id: "p1", status: "completed", input: `*** Begin Patch\n*** Update File: ${places.name("patch-path").replaceAll("/", "")}\n@@ ${places.unseen("hunk").replace(/[\u0085\u2028\u2029]/g, "")}\n-<script>pwned=133</script>\n+<img src=x onerror=pwned=134>\n*** End Patch` }),
    item({ type: "custom_tool_call_output", call_id: "p1", output: places.text("patch-output") }),
    item({ type: "web_search_call", status: "completed", action: { type: "search", query: places.name("query") } }),
    item({ type: "web_search_call", status: "completed", action: { type: "open_page", url: "javascript:pwned=135" } }),
    item({ type: "local_shell_call", call_id: "l1", status: "completed", action: { type: "exec", command: [places.name("local-shell")] } }),
    item({ type: "ghost_snapshot", ghost_commit: places.unseen("ghost") }),
    item({ type: places.unseen("item-kind"), value: places.unseen("item") }),
    event({ type: "turn_aborted", reason: places.unseen("aborted") }),
    event({ type: "error", message: places.unseen("error") }),
    event({ type: places.unseen("event-kind"), value: places.unseen("event") }),
    event({ type: "thread_rolled_back", num_turns: "<script>pwned=136</script>" }),
    line("compacted", { message: places.unseen("compacted") }),
    line(places.unseen("line-kind"), { [places.unseen("line-key")]: places.unseen("line") }),
    ...asked(places.text("last")),
  ];
  const file = join(folder, "rollout-2026-01-05T09-00-00-bad.jsonl");
  writeFileSync(file, lines(records));
  return { file, places };
}

function chatgpt(folder) {
  const places = new Places("chatgpt");
  const mapping = { root: { id: "root", message: null, parent: null, children: [] } };
  let last = "root";
  let time = 1_767_603_600;
  const node = (role, content, metadata = {}, rest = {}, parent = last) => {
    const id = `n${Object.keys(mapping).length}`;
    mapping[id] = { id, parent, children: [], message: { id, author: { role, name: role === "tool" ? places.unseen("author") : null, metadata: {} }, create_time: time++, content, status: "finished_successfully", weight: 1, recipient: "all", metadata: { model_slug: places.name("model"), ...metadata }, ...rest } };
    mapping[parent].children.push(id);
    last = id;
    return id;
  };
  const text = (value) => ({ content_type: "text", parts: [value] });
  node("system", text(places.unseen("system")));
  node("user", { content_type: "user_editable_context", user_profile: "PROFILE-MUST-STAY-OUT", user_instructions: "INSTRUCTIONS-MUST-STAY-OUT" }, { is_visually_hidden_from_conversation: true });
  const fork = node("user", text(places.text("prompt")));
  node("assistant", text(places.text("answer")));
  node("user", text(places.markdown("prompt")));
  node("assistant", text(places.markdown("answer")));
  node("assistant", { content_type: "thoughts", thoughts: [{ summary: places.unseen("thought-title"), content: places.text("thought") }] });
  node("assistant", { content_type: "reasoning_recap", content: places.unseen("recap") });
  node("assistant", { content_type: "code", language: 'python"><svg onload=pwned=140>', text: places.text("code") }, {}, { recipient: places.name("recipient") });
  node("tool", { content_type: "execution_output", text: places.text("execution") }, { aggregate_result: { code: places.unseen("aggregate") } });
  node("tool", { content_type: "tether_quote", url: "javascript:pwned=141", domain: places.unseen("domain"), title: places.name("quote-title"), text: places.text("quote") });
  node("tool", { content_type: "tether_browsing_display", result: places.unseen("browsing"), summary: places.unseen("browsing-summary") });
  node("assistant", text(`${places.at("cited")} \ue200cite\ue202turn0search0\ue201 text`), { content_references: [{ matched_text: "\ue200cite\ue202turn0search0\ue201", start_idx: 0, end_idx: 10, type: "grouped_webpages", items: [{ title: places.unseen("source-title"), url: "javascript:pwned=142", attribution: places.unseen("attribution"), snippet: places.unseen("snippet") }, { title: places.unseen("source-title-2"), url: 'https://example.org/"onmouseover=pwned=143', attribution: "x" }], alt: places.unseen("alt") }], citations: [{ metadata: { title: places.unseen("citation"), url: "data:text/html,<script>pwned=144</script>" } }] });
  node("user", { content_type: "multimodal_text", parts: [{ content_type: "image_asset_pointer", asset_pointer: "file-service://file-SVGSVGSVG", width: 20, height: 20, metadata: {} }, { content_type: "image_asset_pointer", asset_pointer: 'sediment://"><svg onload=pwned=145>', width: '"><b>', height: 1 }, { content_type: "audio_transcription", text: places.unseen("audio") }, { content_type: places.unseen("part-kind"), value: places.unseen("part") }, places.text("beside-image")] }, { attachments: [{ id: "file-HTMLHTML", name: `${places.name("attachment")}.html`, size: HTML.length, mimeType: "text/html" }, { id: "file-SVGSVGSVG", name: "../../x.svg", size: SVG.length, mimeType: "image/svg+xml" }, { id: "file-XMLXML", name: "page.xhtml", mimeType: "application/xhtml+xml" }, { id: "file-none", name: places.unseen("gone"), mimeType: '"><b>' }] });
  node("assistant", { content_type: "code", language: "json", text: JSON.stringify({ name: places.name("canvas"), type: "code/html", content: places.text("canvas-content") }) }, {}, { recipient: "canmore.create_textdoc" });
  node("tool", text(places.unseen("canvas-done")), { canvas: { textdoc_id: "t1", title: places.unseen("canvas-title"), textdoc_type: "document" } });
  node("tool", { content_type: "system_error", name: places.unseen("error-name"), text: places.text("error") });
  node("assistant", { content_type: "multimodal_text", parts: [{ content_type: "image_asset_pointer", asset_pointer: "file-service://file-PNGPNG", metadata: { dalle: { prompt: places.unseen("dalle") } } }] });
  node("assistant", { content_type: places.unseen("content-kind"), [places.unseen("content-key")]: places.unseen("content") });
  node("assistant", text(`[download](sandbox:/mnt/data/${places.unseen("sandbox").replace(/[\s()<>]/g, "")})`));
  node("user", text(places.text("last")));
  const active = last;
  node("assistant", text(places.text("other-branch")), {}, {}, fork);
  const conversation = { title: places.name("title"), create_time: 1_767_603_600, update_time: 1_767_603_700, mapping, moderation_results: [], current_node: active, conversation_id: 'bad"><svg onload=pwned=146>', gizmo_id: places.unseen("gizmo") };
  const file = join(folder, "export.zip");
  writeFileSync(file, zip({
    "conversations.json": JSON.stringify([conversation]),
    "file-SVGSVGSVG-x.svg": SVG,
    [`file-HTMLHTML-x.html`]: HTML,
    "file-XMLXML-page.xhtml": XML,
    "file-PNGPNG-x.png": PNG,
    "user.json": JSON.stringify({ email: "MAIL-MUST-STAY-OUT" }),
    "chat.html": HTML,
    "../outside.html": HTML,
  }));
  return { file, places };
}

function openaiChat(folder) {
  const places = new Places("openai-chat");
  const messages = [
    { role: "system", content: places.unseen("system") },
    { role: "user", name: places.unseen("name"), content: places.text("prompt") },
    { role: "assistant", content: places.text("answer"), reasoning_content: places.text("reasoning"), refusal: null },
    { role: "user", content: places.markdown("prompt") },
    { role: "assistant", content: places.markdown("answer"), annotations: [{ type: "url_citation", url_citation: { url: "javascript:pwned=150", title: places.unseen("citation"), start_index: 0, end_index: 5 } }] },
    { role: "assistant", content: null, tool_calls: [{ id: 'c1"><b>', type: "function", function: { name: places.name("tool"), arguments: JSON.stringify({ path: places.text("argument") }) } }, { id: "c2", type: "function", function: { name: "bash", arguments: `{broken ${places.text("broken")}` } }] },
    { role: "tool", tool_call_id: 'c1"><b>', name: places.unseen("tool-name"), content: places.text("tool-output") },
    { role: "tool", tool_call_id: "c2", content: [{ type: "text", text: places.terminal("tool-output") }] },
    { role: "user", content: [{ type: "text", text: places.text("with-image") }, { type: "image_url", image_url: { url: `data:image/svg+xml;base64,${base64(SVG)}` } }, { type: "image_url", image_url: { url: `data:image/svg+xml,${encodeURIComponent(SVG)}` } }, { type: "image_url", image_url: { url: "https://evil.invalid/i.png?\"onerror=pwned=151" } }, { type: "image_url", image_url: { url: "javascript:pwned=152" } }, { type: "file", file: { filename: `${places.name("file")}.html`, file_data: `data:text/html;base64,${base64(HTML)}` } }, { type: "file", file: { filename: "../../../x.js", file_data: `data:text/javascript;base64,${base64("pwned=153")}` } }, { type: "input_audio", input_audio: { data: base64("x"), format: '"><b>' } }, { type: places.unseen("part-kind"), value: places.unseen("part") }] },
    { role: "assistant", content: null, function_call: { name: places.unseen("function"), arguments: places.unseen("function-arguments") } },
    { role: "function", name: places.unseen("function-name"), content: places.text("function-output") },
    { role: places.unseen("role"), content: places.unseen("unknown-role") },
    { role: "assistant", content: null, refusal: places.text("refusal") },
    { role: "user", content: places.text("last") },
  ];
  const file = join(folder, "openai.json");
  writeFileSync(file, JSON.stringify({ title: places.name("title"), model: places.unseen("model"), messages }));
  return { file, places };
}

function anthropic(folder) {
  const places = new Places("anthropic");
  const messages = [
    { role: "user", content: places.text("prompt") },
    { role: "assistant", content: [{ type: "thinking", thinking: places.text("reasoning"), signature: "x" }, { type: "redacted_thinking", data: places.unseen("redacted") }, { type: "text", text: places.text("answer"), citations: [{ type: "web_search_result_location", url: "javascript:pwned=160", title: places.unseen("citation"), cited_text: places.unseen("cited") }, { type: "char_location", document_title: places.unseen("document-title"), cited_text: "x" }] }] },
    { role: "user", content: [{ type: "text", text: places.markdown("prompt") }, { type: "image", source: { type: "base64", media_type: "image/svg+xml", data: base64(SVG) } }, { type: "image", source: { type: "url", url: "https://evil.invalid/i.png" } }, { type: "document", title: `${places.name("document")}.html`, context: places.unseen("context"), source: { type: "base64", media_type: "text/html", data: base64(HTML) } }, { type: "document", title: "x", source: { type: "text", media_type: "text/plain", data: places.unseen("document-text") } }, { type: "search_result", source: "javascript:pwned=161", title: places.unseen("search-title"), content: [{ type: "text", text: places.unseen("search-text") }] }] },
    { role: "assistant", content: [{ type: "text", text: places.markdown("answer") }, { type: "tool_use", id: "t1", name: places.name("tool"), input: { [places.unseen("key")]: places.text("value") } }, { type: "server_tool_use", id: "s1", name: "web_search", input: { query: places.name("query") } }, { type: "web_search_tool_result", tool_use_id: "s1", content: [{ type: "web_search_result", url: "javascript:pwned=162", title: places.unseen("result-title"), page_age: places.unseen("age"), encrypted_content: "x" }, { type: "web_search_result", url: 'https://example.org/"onclick=pwned=163', title: "x" }] }, { type: places.unseen("block-kind"), value: places.unseen("block") }] },
    { role: "user", content: [{ type: "tool_result", tool_use_id: "t1", is_error: true, content: [{ type: "text", text: places.terminal("output") }, { type: "text", text: places.text("output") }, { type: "image", source: { type: "base64", media_type: "image/svg+xml", data: base64(SVG) } }] }] },
    { role: "user", content: places.text("last") },
  ];
  const file = join(folder, "anthropic.json");
  writeFileSync(file, JSON.stringify({ model: places.unseen("model"), system: places.unseen("system"), messages }));
  return { file, places };
}

/** Writes every hostile transcript below the folder. */
export function write(folder) {
  const makers = { "claude-code": claudeCode, codex, chatgpt, "openai-chat": openaiChat, anthropic };
  return Object.entries(makers).map(([format, make]) => {
    const own = join(folder, format);
    mkdirSync(own, { recursive: true });
    const { file, places } = make(own);
    return { format, file, visible: places.visible };
  });
}

/** A chat with a page among its files, and a script that this page names as a bundle calls it: what is run where the page becomes a document. @param {string} folder */
export function writePage(folder) {
  mkdirSync(folder, { recursive: true });
  const script = "window.pwned = 170;";
  const page = `<!doctype html><title>pwned</title><script src="files/${createHash("sha256").update(script).digest("hex")}.js.txt"></script>`;
  const part = (name, type, text) => ({ type: "file", file: { filename: name, file_data: `data:${type};base64,${base64(text)}` } });
  const messages = [
    { role: "user", content: [{ type: "text", text: "Look at these." }, part("a.html", "text/html", page), part("a.js", "text/javascript", script)] },
    { role: "assistant", content: "They look fine." },
  ];
  const file = join(folder, "page.jsonl");
  writeFileSync(file, messages.map((message) => `${JSON.stringify(message)}\n`).join(""));
  return file;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2] ?? ".";
  for (const { format, file, visible } of write(folder)) console.log(`${format}: ${file} (${visible.length} texts to find)`);
}
