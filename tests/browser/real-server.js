// `readalong serve` as a child of the test, and the hands of an owner on it.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { PROGRAM } from "./paths.js";

/** A message as the API takes it. @typedef {{id: string, role?: string, text?: string, at?: string, parts?: any[]}} Said */

export class RealServer {
  data = mkdtempSync(join(tmpdir(), "readalong-live-"));
  port = 0;
  url = "";
  token = "";
  listens = "127.0.0.1";
  /** @type {string[]} */
  more = [];
  /** @type {Record<string, string>} */
  env = {};
  said = "";

  /** Starts it, after the first time at the same address. @param {string[]} [more] arguments @param {Record<string, string>} [env] */
  async start(more = this.more, env = this.env) {
    Object.assign(this, { more, env });
    this.child = spawn(PROGRAM, ["serve", "--data", this.data, "--addr", `${this.listens}:${this.port}`, ...more], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, HOME: this.data, ...env } });
    this.ended = new Promise((ended) => this.child?.once("exit", ended));
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on("data", (text) => (this.said += text));
    for (;;) {
      if (this.child.exitCode !== null) throw new Error(`the server ended: ${this.said}`);
      try {
        const { url, token, pid } = JSON.parse(readFileSync(join(this.data, "server.json"), "utf8"));
        if (pid === this.child.pid) {
          Object.assign(this, { url, token, port: Number(new URL(url).port) });
          await fetch(`${url}/health`);
          return this;
        }
      } catch {}
      await new Promise((later) => setTimeout(later, 20));
    }
  }

  /** @param {NodeJS.Signals} [signal] */
  async stop(signal = "SIGTERM") {
    this.child?.kill(signal);
    await this.ended;
  }

  async end() {
    await this.stop();
    rmSync(this.data, { recursive: true, force: true });
  }

  /** @param {string} method @param {string} path @param {any} [body] @returns {Promise<any>} */
  async api(method, path, body) {
    const answer = await fetch(`${this.url}/api/v1/${path}`, { method, headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json" }, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text && JSON.parse(text);
  }

  /** A chat with prompts and answers in turn, and a live share of it. @param {number} count */
  async liveChat(count) {
    const chat = await this.api("POST", "chats", { title: "A live chat" });
    const made = { chat: chat.id, count: 0, id: "", link: "" };
    await this.say(made, count);
    const share = await this.api("POST", "shares", { chat: chat.id, updates: "live", visibility: "public" });
    return Object.assign(made, { id: share.id, link: `${this.url}/s/${share.id}/` });
  }

  /** Adds messages, prompts and answers in turn. @param {{chat: string, count: number}} chat @param {number} count */
  async say(chat, count) {
    const messages = Array.from({ length: count }, () => {
      const number = ++chat.count;
      const isPrompt = number % 4 === 1;
      return { id: `m-${number}`, role: isPrompt ? "user" : "assistant", text: isPrompt ? `Question ${number}` : `Answer ${number}. ${"And so on, word after word. ".repeat(25)}`, at: new Date(Date.parse("2026-11-20T10:00:00Z") + number * 60_000).toISOString() };
    });
    await this.api("POST", `chats/${chat.chat}/messages`, messages);
  }

  /** @param {{chat: string}} chat @param {Said} message */
  tell(chat, message) {
    return this.api("POST", `chats/${chat.chat}/messages`, { role: "assistant", ...message });
  }
}
