// Measures how soon a line of a followed transcript is in the page of a viewer, in Chromium, for a short and for a very long chat by turns.
//
//   cargo build --release && node tests/bench/live-dom.mjs
//   READALONG=path/to/readalong node tests/bench/live-dom.mjs LINES
//
// Needs what tests/run installs for the browser tests. It measures and prints; it does not judge.

import { spawn } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync, closeSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { CHROMIUM, CHROMIUM_ARGUMENTS, REPOSITORY } from "../browser/paths.js";

const { chromium } = createRequire(join(REPOSITORY, "tests/browser/package.json"))("@playwright/test");

const PROGRAM = process.env.READALONG ?? join(process.env.CARGO_TARGET_DIR ?? join(REPOSITORY, "target"), "release", "readalong");
const SIZES = [100, 100_000];
const LINES = Number(process.argv[2] ?? 1000);
/** Between a line of one chat and one of the other, in ms: twice that is longer than what is joined into one frame. */
const EVERY_MS = 60;
const READ_TIMEOUT_MS = 300_000;
const P99_MS_MAX = 100;
const MESSAGE_BYTES = 500;
const WORDS = " the reader sees each message once and in order while the chat grows and the page stays where it was";

/** Milliseconds since 1970, finer than `Date.now()`, the same clock in this program and in a page. */
const now = () => performance.timeOrigin + performance.now();
const filled = (/** @type {string} */ text) => (text + WORDS.repeat(6)).slice(0, MESSAGE_BYTES);
const mark = (/** @type {number} */ number) => `zqmark${String(number).padStart(8, "0")}`;

/** A transcript of a coding agent, one message a line. */
class Transcript {
  lines = 0;
  /** @param {string} path @param {number} messages */
  constructor(path, messages) {
    this.path = path;
    const file = openSync(path, "w");
    for (let from = 0; from < messages; from += 1_000) {
      const count = Math.min(1_000, messages - from);
      writeSync(file, Array.from({ length: count }, (_, at) => this.line(filled(`message ${from + at}`))).join(""));
    }
    closeSync(file);
  }
  /** @param {string} text */
  line(text) {
    const number = this.lines++;
    const id = (/** @type {number} */ number) => `00000000-0000-4000-8000-${number.toString(16).padStart(12, "0")}`;
    const prompt = number % 10 === 0;
    const message = prompt ? { role: "user", content: text } : { id: `msg_${number}`, type: "message", role: "assistant", model: "example-1", content: [{ type: "text", text }], stop_reason: null, usage: { input_tokens: 3, output_tokens: 120 } };
    const timestamp = new Date(Date.UTC(2026, 0, 1) + number * 1_000).toISOString();
    return `${JSON.stringify({ parentUuid: number ? id(number - 1) : null, isSidechain: false, userType: "external", cwd: "/home/dev/projects/example", sessionId: this.path, version: "2.1.42", gitBranch: "main", type: prompt ? "user" : "assistant", message, uuid: id(number), timestamp })}\n`;
  }
  /** @param {string} text */
  append(text) {
    const line = this.line(text);
    const sent = now();
    appendFileSync(this.path, line);
    return sent;
  }
}

/** Notes when each mark is first in the page, and when the frame after that was drawn. */
const watch = () => {
  const seen = /** @type {Record<string, { dom: number, drawn: number }>} */ ((/** @type {any} */ (window)).seen = {});
  const now = () => performance.timeOrigin + performance.now();
  new MutationObserver((records) => {
    for (const record of records) {
      for (const node of record.addedNodes) {
        for (const [mark] of (node.textContent ?? "").matchAll(/zqmark\d{8}/g)) {
          if (mark in seen) continue;
          const entry = (seen[mark] = { dom: now(), drawn: NaN });
          requestAnimationFrame(() => requestAnimationFrame(() => (entry.drawn = now())));
        }
      }
    }
  }).observe(document, { childList: true, subtree: true });
};

const percentile = (/** @type {number[]} */ values, /** @type {number} */ share) => values.toSorted((a, b) => a - b)[Math.round((values.length - 1) * share)];

/** @template T @param {string} what @param {() => Promise<T | undefined>} look @returns {Promise<T>} */
async function until(what, look, timeout = 30_000) {
  for (const deadline = Date.now() + timeout; ; await sleep(50)) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
  }
}

const folder = mkdtempSync(join(tmpdir(), "readalong-live-dom-"));
const followed = join(folder, "followed");
mkdirSync(followed);
const transcripts = SIZES.map((size) => new Transcript(join(followed, `chat-${size}.jsonl`), size));
const data = join(folder, "data");
const server = spawn(PROGRAM, ["serve", "--addr", "127.0.0.1:0", "--data", data, followed], { stdio: ["ignore", "ignore", "inherit"] });
const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS });
try {
  const { url, token } = await until("server.json", async () => {
    try {
      return JSON.parse(readFileSync(join(data, "server.json"), "utf8"));
    } catch {
      return undefined;
    }
  });
  /** @param {string} method @param {string} path @param {unknown} [body] */
  const ask = async (method, path, body) => {
    const answer = await fetch(new URL(path, url), { method, headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const viewers = [];
  for (const size of SIZES) {
    const chat = await until(`the chat of ${size} messages`, async () => (await ask("GET", "/api/v1/chats")).find((/** @type {any} */ chat) => chat.source?.endsWith(`chat-${size}.jsonl`) && chat.messages >= size), READ_TIMEOUT_MS);
    const share = await ask("POST", "/api/v1/shares", { chat: chat.id, updates: "live", visibility: "public" });
    // A context each: none of the pages is in the background.
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
    const connected = page.waitForEvent("websocket").then((socket) => socket.waitForEvent("framereceived"));
    await page.addInitScript(watch);
    await page.goto(new URL(`/s/${share.id}/`, url).href);
    await connected;
    const skew = await clockSkew(page);
    viewers.push({ page, sent: /** @type {number[]} */ ([]), skew });
  }
  await sleep(1_000);
  for (let number = 0; number < LINES; number++) {
    for (const [at, viewer] of viewers.entries()) {
      viewer.sent.push(transcripts[at].append(filled(mark(number))));
      await sleep(EVERY_MS);
    }
  }
  await sleep(1_000);
  const p99 = [];
  for (const [at, { page, sent, skew }] of viewers.entries()) {
    const seen = /** @type {Record<string, { dom: number, drawn: number }>} */ (await page.evaluate("window.seen"));
    const missing = sent.filter((_, number) => !(mark(number) in seen)).length;
    const times = (/** @type {"dom" | "drawn"} */ what) => sent.flatMap((sent, number) => (mark(number) in seen ? [seen[mark(number)][what] - skew - sent] : []));
    const [dom, drawn] = [times("dom"), times("drawn")];
    p99.push(percentile(dom, 0.99));
    console.log(`${String(SIZES[at]).padStart(7)} messages, ${sent.length} lines: in the page after ${percentile(dom, 0.5).toFixed(1)} ms (median), ${percentile(dom, 0.99).toFixed(1)} ms (p99; promised: ${P99_MS_MAX}), drawn after ${percentile(drawn, 0.5).toFixed(1)} and ${percentile(drawn, 0.99).toFixed(1)} ms; ${missing} missing`);
  }
  console.log(`p99 of the long chat: ${(p99[1] / p99[0]).toFixed(2)} times the short one's (promised: 1.1)`);
} finally {
  await browser.close();
  server.kill();
  await new Promise((ended) => (server.exitCode === null ? server.once("exit", ended) : ended(null)));
  rmSync(folder, { recursive: true, force: true });
}

/** How much the page's clock is ahead of ours, in ms: the round trip that took least tells best. @param {import("@playwright/test").Page} page */
async function clockSkew(page) {
  let best = { took: Infinity, skew: 0 };
  for (let round = 0; round < 30; round++) {
    const before = now();
    const there = await page.evaluate("performance.timeOrigin + performance.now()");
    const took = now() - before;
    if (took < best.took) best = { took, skew: Number(there) - (before + took / 2) };
  }
  return best.skew;
}
