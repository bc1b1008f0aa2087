// Measures what opening a sealed bundle, and one HTML file, costs beside the clear bundle: same browser, same host, turn by turn in one run.
//
//   cargo build --release --package readalong
//   READALONG=target/release/readalong node tests/bench/sealed.mjs BUNDLE
//
// The time is from the request until the first page is laid out and its last script has run. The key is in the address, so none is derived from a
// passphrase; what that costs is measured by itself. It measures and prints; it does not judge.

import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";

import { serve } from "../browser/bundles.js";
import { CHROMIUM, CHROMIUM_ARGUMENTS, PROGRAM, REPOSITORY } from "../browser/paths.js";

const { chromium } = createRequire(join(REPOSITORY, "tests/browser/package.json"))("@playwright/test");

const ROUNDS = 15;
const [, , bundle] = process.argv;
const folder = mkdtempSync(join(tmpdir(), "readalong-sealed-"));
cpSync(bundle, join(folder, "clear"), { recursive: true });
const said = execFileSync(PROGRAM, ["publish", bundle, "--to", join(folder, "site"), "--encrypt", "--data", join(folder, "data")], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
const [head, key] = said.trim().split("#");
// The version itself: the page at the link, which only leads on, is the same for clear and encrypted shares.
const version = join(dirname(head), String(readdirSync(dirname(head), { withFileTypes: true }).find((entry) => entry.isDirectory())?.name));
execFileSync(PROGRAM, ["pack", bundle, "--as", "html", "-o", join(folder, "chat.html")]);
const size = (/** @type {string} */ path) => readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).reduce((sum, entry) => sum + statSync(join(entry.parentPath ?? entry.path, entry.name)).size, 0);
console.log(`clear ${(size(join(folder, "clear")) / 1e6).toFixed(1)} MB, sealed ${(size(version) / 1e6).toFixed(1)} MB, one HTML file ${(statSync(join(folder, "chat.html")).size / 1e6).toFixed(1)} MB`);

const host = await serve(folder);
const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS });
/** @param {string} address */
async function open(address) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.goto("about:blank");
  const asked = performance.now();
  await page.goto(address, { waitUntil: "commit" });
  // The last script says so.
  await page.waitForFunction(() => document.querySelector(".rail-toggle[aria-expanded]"), null, { polling: "raf" });
  const time = performance.now() - asked;
  await context.close();
  return time;
}
const kinds = { clear: `${host.url}clear/index.html`, sealed: `${host.url}${relative(folder, version)}/#${key}`, "one HTML file": `${host.url}chat.html` };
/** @type {Record<string, number[]>} */
const times = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
for (let round = -2; round < ROUNDS; round++) {
  for (const [kind, address] of round % 2 ? Object.entries(kinds) : Object.entries(kinds).toReversed()) {
    const time = await open(address);
    if (round >= 0) times[kind].push(time);
  }
}
const median = (/** @type {number[]} */ values) => values.toSorted((a, b) => a - b)[values.length >> 1];
for (const [kind, list] of Object.entries(times)) {
  const ratio = median(list.map((time, round) => time / times.clear[round]));
  console.log(`${kind.padEnd(14)} ${median(list).toFixed(0).padStart(6)} ms   (${Math.min(...list).toFixed(0)} to ${Math.max(...list).toFixed(0)}), ${ratio.toFixed(2)} times the clear one (promised for sealed: 1.5)`);
}
const page = await browser.newPage();
await page.goto(`${host.url}clear/index.html`);
const derivation = await page.evaluate(async () => {
  const begun = performance.now();
  const typed = await crypto.subtle.importKey("raw", new TextEncoder().encode("correct horse battery staple"), "PBKDF2", false, ["deriveBits"]);
  await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: new Uint8Array(16), iterations: 600_000 }, typed, 256);
  return performance.now() - begun;
});
console.log(`key of a passphrase ${derivation.toFixed(0)} ms`);
await browser.close();
await host.close();
rmSync(folder, { recursive: true });
