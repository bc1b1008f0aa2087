// The bundles that the set-up made, their pages and addresses, and a server for those who read over HTTP.
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { pathToFileURL } from "node:url";

import { OUTPUT } from "./paths.js";

/** A bundle on disk. @typedef {{path: string, id: string, visible: {at: string, text: string}[]}} Bundle */

/** @param {string} name @returns {Bundle} */
export function bundle(name) {
  const bundles = JSON.parse(readFileSync(join(OUTPUT, "bundles.json"), "utf8"));
  if (!bundles[name]) throw new Error(`no bundle ${name}`);
  return bundles[name];
}

/** The pages of a bundle, the first page first. @param {Bundle} bundle */
export function pages(bundle) {
  const names = readdirSync(bundle.path).filter((name) => name.endsWith(".html"));
  return names.sort((a, b) => order(a) - order(b) || (a < b ? -1 : 1));
}

/** @param {string} name */
function order(name) {
  return name === "index.html" ? 1 : Number.parseInt(name) || 1e6;
}

/** The last page of the main thread. @param {Bundle} bundle */
export function lastPage(bundle) {
  return pages(bundle).filter((name) => name === "index.html" || /^\d+\.html$/.test(name)).at(-1) ?? "index.html";
}

/** Every file of a bundle, relative. @param {Bundle} bundle */
export function files(bundle) {
  return readdirSync(bundle.path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(bundle.path.length + 1));
}

/** @param {Bundle} bundle @param {string} page */
export function fileUrl(bundle, page) {
  const [path, hash] = page.split("#");
  return pathToFileURL(join(bundle.path, path)).href + (hash ? `#${hash}` : "");
}

const TYPES = { ".html": "text/html; charset=utf-8", ".htm": "text/html", ".xhtml": "application/xhtml+xml", ".xml": "text/xml", ".svg": "image/svg+xml", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".json": "application/json", ".md": "text/markdown; charset=utf-8", ".txt": "text/plain; charset=utf-8", ".png": "image/png", ".pdf": "application/pdf" };

/** Serves a folder as a plain static host does: type by extension, no headers of ours. @param {string} folder */
export async function serve(folder) {
  const server = createServer((request, response) => {
    const asked = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname));
    const path = asked.endsWith("/") ? `${asked}index.html` : asked;
    try {
      const body = readFileSync(join(folder, path));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", () => listening(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}/`, close: () => new Promise((closed) => { server.closeAllConnections(); server.close(closed); }) };
}
