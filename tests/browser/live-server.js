// A live share without readalong: a page of made-up items, its WebSocket and its event stream, and a hand on all of them. For tests of what the
// page's script does with frames that a real server sends rarely or never.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

import { REPOSITORY } from "./paths.js";

const STATIC = join(REPOSITORY, "themes/default/static");
const names = (/** @type {string} */ kind) => readdirSync(STATIC).filter((name) => name.endsWith(kind));
const first = (/** @type {string[]} */ list, /** @type {string[]} */ front) => [...front, ...list.filter((name) => !front.includes(name))];
const isFind = (/** @type {string} */ name) => name.startsWith("find");
const SCRIPTS = first(names(".js").filter((name) => !isFind(name)).sort(), ["viewer.js", "messages.js", "rail.js"]);
const FIND_SCRIPTS = names(".js").filter(isFind).sort().map((name) => `/static/${name}`);
/** The theme's own, without its icons. */
const CONTROLS = readFileSync(join(REPOSITORY, "themes/default/templates/controls.html"), "utf8")
  .replace(/\{\{ find_scripts.*?\}\}/, FIND_SCRIPTS.join(" ")).replace(/\{%.*?%\}|\{\{.*?\}\}/g, "");
const STYLES = first(names(".css").sort(), ["variables.css", "base.css", "chat.css"]);
const CSP = "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'";
const TIME = Date.parse("2026-11-20T14:00:00Z");

/** An item as it stands on a page. @typedef {{key: string, html: string}} Item */

/** A prompt or an answer. @param {number} number @param {string} text @param {{prompt?: boolean, at?: number, fold?: string}} [more] @returns {Item} */
export function message(number, text, { prompt = false, at = TIME + number * 60_000, fold = "" } = {}) {
  const anchor = `m${number.toString(16).padStart(12, "0")}`;
  const key = `${anchor}-0`;
  const time = new Date(at);
  const link = `<a class="permalink" href="#${anchor}"><time datetime="${time.toISOString()}" data-style="clock">${time.toISOString().slice(11, 16)}</time></a>`;
  const heading = prompt ? `<h2 class="sr-only" aria-label="Prompt ${number}: ${text}"></h2>` : "";
  return { key, html: `<article class="message ${prompt ? "prompt" : "answer"}" id="${anchor}" data-item="${key}">\n${heading}<div class="text" data-part="text"><p>${text}</p></div>${fold}\n${link}\n</article>` };
}

/** A run of calls. @param {number} number @param {string[]} calls @returns {Item} */
export function activity(number, calls) {
  const anchor = `m${number.toString(16).padStart(12, "0")}`;
  const key = `${anchor}-0`;
  const lines = calls.map((call) => `<li><details class="call call-done"><summary><span class="verb">${call}</span></summary><div class="output"><pre tabindex="0">Output of ${call}\n${"line\n".repeat(60)}</pre></div></details></li>`);
  return { key, html: `<article class="message activity" id="${anchor}" data-item="${key}">\n<details class="activity"><summary><span class="activity-summary">${calls.length} calls</span></summary>\n<ol class="calls">\n${lines.join("\n")}\n</ol></details></article>` };
}

export class LiveServer {
  epoch = "8c1f52a09be3d471";
  seq = 100;
  title = "A live chat";
  visibility = "public";
  /** Items of the pages, the newest page last. @type {Item[][]} */
  pages = [[]];
  status = 200;
  isLive = true;
  end = "";
  breaksSockets = false;
  refuses = 0;
  /** What viewers asked for. @type {string[]} */
  asked = [];
  /** Open connections: what writes to them and ends them. @type {Set<{say: (text: string, seq?: number) => void, close: (code: number) => void, cut: () => void}>} */
  viewers = new Set();
  /** All sockets, also of viewers that are said to be dead. @type {Set<import("node:stream").Duplex>} */
  sockets = new Set();
  /** Frames that one who comes with a lower number gets. @type {{seq: number, text: string}[]} */
  kept = [];
  resets = false;

  async start(port = 0) {
    this.server = createServer((request, response) => this.#answer(request, response));
    this.server.on("upgrade", (request, socket) => this.#upgrade(request, socket));
    await new Promise((listening) => this.server?.listen(port, "127.0.0.1", () => listening(undefined)));
    this.port = /** @type {import("node:net").AddressInfo} */ (this.server.address()).port;
    this.url = `http://127.0.0.1:${this.port}/s/x/`;
    return this;
  }

  /** Ends all connections without a word. */
  async stop() {
    for (const viewer of this.viewers) viewer.cut();
    for (const socket of this.sockets) socket.destroy();
    this.server?.closeAllConnections();
    await new Promise((closed) => this.server?.close(closed));
  }

  header() {
    return `<header class="bar visibility-${this.visibility}"><button class="tool rail-toggle" data-do="prompts" aria-label="Prompts"></button><a class="bar-contents" href="contents.html" aria-label="Contents"></a><h1 class="bar-title"><a href="index.html"><bdi>${this.title}</bdi></a></h1><span class="live"></span><span class="badge badge-${this.visibility}"><span>${this.visibility}</span></span><details class="info"><summary aria-label="About this chat"></summary><dl class="card"><dt>Who can open it</dt><dd>${this.visibility}</dd></dl></details>${CONTROLS}<template id="icons"></template></header>`;
  }

  /** @param {number} number from 1 */
  html(number) {
    const last = this.pages.length;
    const name = number === 1 ? "index.html" : `${number}.html`;
    const items = this.pages[number - 1];
    const prompts = items.filter(({ html }) => html.includes("<h2")).map(({ key, html }) => `<li><a href="#${key.slice(0, -2)}"><bdi>${/: ([^"]*)"/.exec(html)?.[1]}</bdi></a></li>`);
    const assets = STYLES.map((file) => `<link rel="stylesheet" href="/static/${file}">`).join("") + SCRIPTS.map((file) => `<script defer src="/static/${file}"></script>`).join("");
    const live = this.isLive ? ` data-live="live" data-epoch="${this.epoch}" data-seq="${this.seq}" data-signin="/signin?next=%2Fs%2Fx%2F"` : "";
    const nav = (/** @type {string} */ rel, /** @type {string} */ side, /** @type {number} */ to) => `<nav class="pages pages-${side}"><a rel="${rel}" href="${to === 1 ? "index" : to}.html">${rel}</a></nav>`;
    return `<!doctype html><html lang="en" data-theme="auto"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${CSP}"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><title>${number === last ? "" : `Page ${number} · `}${this.title}</title>${assets}</head>
<body class="chat chat-${this.isLive ? "live" : "frozen"}" data-page="${name}"${live}>
${this.header()}
<div class="columns"><nav class="rail" id="rail" aria-label="Prompts"><ol>${prompts.join("")}</ol></nav>
<main id="chat" class="messages" tabindex="-1">
${number > 1 ? nav("prev", "top", number - 1) : ""}
${items.map(({ html }) => html).join("\n")}
${number < last ? nav("next", "bottom", number + 1) : this.end}
</main></div><div class="sr-only" role="status" id="announce"></div></body></html>`;
  }

  /** @param {any} frame @param {number} [seq] */
  tell(frame, seq) {
    const text = JSON.stringify(frame);
    if (seq) this.kept.push({ seq, text });
    for (const viewer of this.viewers) viewer.say(text, seq);
  }

  /** Does operations and tells them. @param {any[]} ops */
  push(...ops) {
    this.tell({ seq: ++this.seq, at: new Date(TIME + this.seq * 60_000).toISOString(), ops }, this.seq);
  }

  /** Puts an item on a page, at its end where it is not there. @param {Item} item @param {number} [number] */
  put(item, number = this.pages.length) {
    const page = this.pages[number - 1];
    const at = page.findIndex(({ key }) => key === item.key);
    if (at < 0) page.push(item);
    else page[at] = item;
    const all = this.pages.flat();
    const after = all[all.indexOf(item) - 1]?.key ?? null;
    this.push({ put: { item: item.key, after, page: number === 1 ? "index.html" : `${number}.html`, html: item.html, new: at < 0 } });
  }

  /** @param {string} key */
  remove(key) {
    this.pages = this.pages.map((page) => page.filter((item) => item.key !== key));
    this.push({ remove: { item: key } });
  }

  /** @param {number} code */
  close(code) {
    for (const viewer of [...this.viewers]) viewer.close(code);
  }

  /** @param {URL} url @param {string | undefined} last @param {{say: (text: string, seq?: number) => void, close: (code: number) => void, cut: () => void}} viewer */
  #join(url, last, viewer) {
    const epoch = last?.split("-")[0] ?? url.searchParams.get("epoch");
    const after = Number(last?.split("-")[1] ?? url.searchParams.get("after"));
    if (this.refuses) return viewer.close(this.refuses);
    this.viewers.add(viewer);
    viewer.say(JSON.stringify({ hello: { protocol: 1, epoch: this.epoch, seq: this.seq, viewers: this.viewers.size, at: new Date(TIME + this.seq * 60_000).toISOString() } }));
    if (epoch !== this.epoch || after > this.seq || this.resets) viewer.say(JSON.stringify({ reset: { epoch: this.epoch, seq: this.seq } }));
    else for (const { seq, text } of this.kept) if (seq > after) viewer.say(text, seq);
  }

  /** @param {import("node:http").IncomingMessage} request @param {import("node:http").ServerResponse} response */
  #answer(request, response) {
    const url = new URL(request.url ?? "/", "http://x");
    this.asked.push(`${url.pathname}${url.search}`);
    const { pathname } = url;
    if (pathname.startsWith("/static/")) {
      const name = pathname.slice(8);
      return response.writeHead(200, { "content-type": name.endsWith(".css") ? "text/css" : "text/javascript" }).end(readFileSync(join(STATIC, name)));
    }
    if (pathname === "/s/x/events") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const viewer = {
        say: (/** @type {string} */ text, /** @type {number | undefined} */ seq) => response.write(`${seq ? `id: ${this.epoch}-${seq}\n` : ""}data: ${text}\n\n`),
        close: (/** @type {number} */ code) => response.end(`event: close\ndata: {"code":${code}}\n\n`),
        cut: () => response.destroy(),
      };
      response.on("close", () => this.viewers.delete(viewer));
      return this.#join(url, /** @type {string} */ (request.headers["last-event-id"]), viewer);
    }
    const page = /^\/s\/x\/(?:(index|\d+)\.html)?$/.exec(pathname);
    const number = page ? (page[1] === "index" ? 1 : Number(page[1] ?? this.pages.length)) : 0;
    if (this.status !== 200 || !this.pages[number - 1]) return response.writeHead(this.status === 200 ? 404 : this.status).end();
    response.writeHead(200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" }).end(this.html(number));
  }

  /** @param {import("node:http").IncomingMessage} request @param {import("node:stream").Duplex} socket */
  #upgrade(request, socket) {
    const url = new URL(request.url ?? "/", "http://x");
    this.asked.push(`ws ${url.pathname}${url.search}`);
    socket.on("error", () => {});
    if (this.breaksSockets) return void socket.destroy();
    const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    const send = (/** @type {number} */ opcode, /** @type {Buffer} */ body) => {
      const head = body.length < 126 ? Buffer.from([0x80 | opcode, body.length]) : body.length < 65_536 ? Buffer.from([0x80 | opcode, 126, body.length >> 8, body.length & 255]) : Buffer.from([0x80 | opcode, 127, 0, 0, 0, 0, body.length >>> 24, (body.length >> 16) & 255, (body.length >> 8) & 255, body.length & 255]);
      socket.write(Buffer.concat([head, body]));
    };
    const viewer = {
      say: (/** @type {string} */ text) => send(1, Buffer.from(text)),
      close: (/** @type {number} */ code) => {
        send(8, Buffer.from([code >> 8, code & 255]));
        socket.end();
      },
      cut: () => socket.destroy(),
    };
    socket.on("data", () => {});
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket) && this.viewers.delete(viewer));
    this.#join(url, undefined, viewer);
  }
}
