// Nothing in a chat runs or loads, wherever foreign text stands, and all of it can still be read. Two walls stand before it, escaping and the
// content security policy: the first is tried with the second taken away, the second on a page with a hole in the first.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";

import { test as bare } from "@playwright/test";

import { bundle, files, fileUrl, pages, serve } from "./bundles.js";
import { expect, test, watch } from "./watch.js";

const FORMATS = ["claude-code", "codex", "chatgpt", "openai-chat", "anthropic"];
/** Names under which a static host or a browser would run what is in a file. */
const ACTIVE = [".html", ".htm", ".xhtml", ".xht", ".shtml", ".svg", ".svgz", ".xml", ".xsl", ".xslt", ".js", ".mjs", ".css", ".mht", ".mhtml", ".swf", ".hta", ".wasm", ".webmanifest"];

for (const format of FORMATS) {
  for (const way of ["file", "http"]) {
    for (const policy of ["with", "without"]) {
      test(`${format} over ${way} ${policy} the policy: nothing runs, nothing loads`, async ({ browser }) => {
        const made = bundle(`hostile-${format}`);
        const server = way === "http" ? await serve(made.path) : undefined;
        const root = server?.url ?? pathToFileURL(made.path).href + "/";
        const context = await browser.newContext({ bypassCSP: policy === "without" });
        const page = await context.newPage();
        const log = watch(page);
        for (const name of pages(made)) {
          await page.goto(root + name);
          await stir(page);
          expect(await page.evaluate("window.pwned"), name).toBeUndefined();
        }
        await page.goto(`${root}index.html`);
        await page.keyboard.press("/");
        await page.locator(".find input").fill(`at-${format}`);
        await expect(page.locator(".find output")).toHaveText(/^(\d+ of )?\d+$/);
        for (let step = 0; step < 30; step++) await page.keyboard.press("Enter");
        await stir(page);
        expect(await page.evaluate("window.pwned")).toBeUndefined();
        const foreign = log.requests.filter((url) => !url.startsWith(root) && !url.startsWith("data:image/"));
        expect(foreign, "only files of the bundle are asked for").toEqual([]);
        expect({ ...log, requests: [], console: log.console }).toEqual({ dialogs: [], console: [], errors: [], requests: [], popups: [], downloads: [] });
        await context.close();
        await server?.close();
      });
    }
  }

  test(`${format} without scripts: every text can be read, no markup of the chat stands in the page`, async ({ browser }) => {
    const made = bundle(`hostile-${format}`);
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    let read = "";
    for (const name of pages(made)) {
      await page.goto(fileUrl(made, name));
      read += plain(await page.evaluate("document.title + ' ' + document.body.textContent"));
      expect(await page.evaluate(audit), name).toEqual([]);
    }
    const missing = made.visible.filter(({ at, text }) => {
      const wanted = text ? [`${at} ${text}`, `${at} ${JSON.stringify(text).slice(1, -1)}`, `${at} ${JSON.stringify(JSON.stringify(text).slice(1, -1)).slice(1, -1)}`] : [at];
      return !wanted.some((wanted) => read.includes(plain(wanted)));
    });
    expect(missing.map(({ at, text }) => `${at} ${text}`)).toEqual([]);
    await context.close();
  });

  test(`${format}: artifacts are inert, whoever serves them`, async ({ browser }) => {
    const made = bundle(`hostile-${format}`);
    const names = files(made);
    const artifacts = names.filter((name) => name.startsWith("files/"));
    expect(artifacts.filter((name) => ACTIVE.includes(extname(name)))).toEqual([]);
    expect(names.filter((name) => name.includes("..") || /[^\w./-]/.test(name)), "no name of the chat becomes a path").toEqual([]);
    const server = await serve(made.path);
    const context = await browser.newContext();
    for (const root of [server.url, pathToFileURL(made.path).href + "/"]) {
      for (const name of [...artifacts, "chat.json", "chat.md", "manifest.json"]) {
        const page = await context.newPage();
        const log = watch(page);
        await page.goto(root + name).catch((error) => expect(String(error)).toContain("Download is starting"));
        expect(await page.evaluate("window.pwned"), name).toBeUndefined();
        expect(log.requests.filter((url) => !url.startsWith(root)), name).toEqual([]);
        await page.close();
      }
    }
    await context.close();
    await server.close();
  });
}

test("what a chat product keeps hidden stays out of the bundle", async () => {
  const made = bundle("hostile-chatgpt");
  for (const name of files(made)) {
    const bytes = readFileSync(join(made.path, name), "latin1");
    for (const secret of ["PROFILE-MUST-STAY-OUT", "INSTRUCTIONS-MUST-STAY-OUT", "MAIL-MUST-STAY-OUT"]) expect(bytes.includes(secret), `${secret} in ${name}`).toBe(false);
  }
});

for (const way of ["file", "http"]) {
  // Not the watched test: this page is made to be refused things.
  bare(`over ${way} the policy alone stops what escaping would have missed`, async ({ page }, info) => {
    const folder = info.outputPath("holed");
    cpSync(bundle("branches").path, folder, { recursive: true });
    const hole = '<div id="hole"><script>pwned=1</script><img src=x onerror="pwned=2"><svg onload="pwned=3"></svg><img src="https://evil.invalid/x.png"><link rel="stylesheet" href="https://evil.invalid/x.css"><style>body{background:url(https://evil.invalid/y)}</style><iframe src="https://evil.invalid/f"></iframe><iframe srcdoc="<script>parent.pwned=4</script>"></iframe><object data="https://evil.invalid/o"></object><form action="https://evil.invalid/s"><button id="send">x</button></form><a id="run" href="javascript:pwned=5">x</a><base href="https://evil.invalid/"></div>';
    const index = join(folder, "index.html");
    const html = readFileSync(index, "utf8");
    const holed = html.replace(/(<main[^>]*>)/, (main) => main + hole);
    expect(holed).not.toBe(html);
    writeFileSync(index, holed);
    const server = way === "http" ? await serve(folder) : undefined;
    const root = server?.url ?? pathToFileURL(folder).href + "/";
    const loaded = [];
    page.on("requestfinished", (request) => loaded.push(request.url()));
    await page.goto(`${root}index.html`);
    for (const id of ["send", "run"]) await page.evaluate((id) => document.getElementById(id)?.click(), id);
    await stir(page);
    expect(page.url()).toBe(`${root}index.html`);
    expect(await page.evaluate("window.pwned")).toBeUndefined();
    expect(loaded.filter((url) => url.includes("evil.invalid"))).toEqual([]);
    await server?.close();
  });
}

/** Opens every fold, waits for every picture, lets handlers run. @param {import("@playwright/test").Page} page */
async function stir(page) {
  await page.waitForLoadState("load");
  await page.evaluate(async () => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
    for (const image of document.images) image.loading = "eager";
    await Promise.allSettled([...document.images].map((image) => image.decode()));
    for (const kind of ["mouseover", "mouseenter", "focus", "pointerdown", "toggle"]) for (const node of document.querySelectorAll("main *")) node.dispatchEvent(new Event(kind));
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
  });
}

/** Text as it is compared: white space and marks that cannot be seen do not count. @param {string} text */
function plain(text) {
  return text.replace(/[\s\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/gu, " ");
}

/** What should not be in a page whatever is in the chat. Runs in the page. */
function audit() {
  const found = [];
  const seen = new Set();
  for (const node of document.querySelectorAll("*")) {
    const name = node.localName;
    // The page's own word that it has no icon, so that no browser asks the host for one.
    if (node.matches('head > link[rel="icon"][href="data:,"]')) continue;
    if (["iframe", "frame", "object", "embed", "applet", "form", "base", "style", "portal", "foreignobject", "animate", "set", "annotation-xml", "noscript", "plaintext", "xmp", "math"].includes(name.toLowerCase())) found.push(`element ${name}`);
    if (name === "script" && !/^assets\//.test(node.getAttribute("src") ?? "")) found.push(`script ${node.outerHTML.slice(0, 80)}`);
    if (name === "link" && !/^assets\//.test(node.getAttribute("href") ?? "")) found.push(`link ${node.outerHTML.slice(0, 80)}`);
    if (name === "meta" && /refresh/i.test(node.getAttribute("http-equiv") ?? "")) found.push("meta refresh");
    if (node.id && seen.has(node.id)) found.push(`id twice: ${node.id}`);
    seen.add(node.id);
    for (const attribute of node.attributes) {
      const { name: key, value } = attribute;
      if (/^on/i.test(key)) found.push(`handler ${key} on ${name}`);
      if (["style", "srcdoc", "formaction", "action", "ping", "background", "poster", "srcset", "name"].includes(key) && name !== "meta") found.push(`attribute ${key} on ${name}`);
      if (key === "src" && !/^(files|assets)\/[\w.-]+$|^data:image\//.test(value)) found.push(`src ${value.slice(0, 60)}`);
      if (/^(xlink:)?href$/.test(key)) {
        const url = new URL(value, location.href);
        const inside = url.protocol === location.protocol && url.href.startsWith(new URL(".", location.href).href);
        if (!inside && !["http:", "https:", "mailto:"].includes(url.protocol)) found.push(`href ${value.slice(0, 60)}`);
        if (!inside && name === "a" && !/noopener/.test(node.getAttribute("rel") ?? "")) found.push(`no rel: ${value.slice(0, 60)}`);
      }
    }
  }
  if (!(document.getElementById("chat") instanceof HTMLElement) || document.getElementById("chat")?.localName !== "main") found.push("id chat was taken");
  return found;
}
