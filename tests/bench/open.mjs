// Measures how soon Chromium shows a page of a short and of a very long bundle from the disk, side by side in one run.
//
//   cargo bench --bench export && node tests/bench/open.mjs
//   node tests/bench/open.mjs SHORT_BUNDLE LONG_BUNDLE
//
// Needs what tests/run installs for the browser tests. It measures and prints; it does not judge.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { CHROMIUM, CHROMIUM_ARGUMENTS, REPOSITORY } from "../browser/paths.js";

const { chromium } = createRequire(join(REPOSITORY, "tests/browser/package.json"))("@playwright/test");

const ROUNDS = 9;
const bundles = [2, 3].map((at, n) => process.argv[at] ?? exported([1_000, 100_000][n]));

/** The bundle that the other benchmark left. @param {number} messages */
function exported(messages) {
  const folder = join(process.env.CARGO_TARGET_DIR ?? join(REPOSITORY, "target"), "tmp", "bench-export", `bundles-${messages}`);
  const name = existsSync(folder) && readdirSync(folder).find((name) => existsSync(join(folder, name, "manifest.json")));
  if (!name) throw new Error(`no bundle in ${folder}: run cargo bench --bench export first`);
  return join(folder, name);
}

const url = (/** @type {string} */ bundle, /** @type {string} */ page) => pathToFileURL(join(bundle, page.split("#")[0])).href + (page.includes("#") ? page.slice(page.indexOf("#")) : "");
const median = (/** @type {number[]} */ values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** Pages of the main thread, in order. @param {string} bundle */
function pages(bundle) {
  const numbers = readdirSync(bundle).map((name) => /^(\d+)\.html$/.exec(name)?.[1]).filter(Boolean).map(Number);
  return ["index.html", ...numbers.sort((a, b) => a - b).map((number) => `${number}.html`)];
}

/** Two frames after load: what was painted can be read and used. */
const usable = () => {
  addEventListener("load", () => requestAnimationFrame(() => requestAnimationFrame(() => ((/** @type {any} */ (window)).usableAt = performance.now()))));
};

/** When `condition` first holds in a frame, in ms after the navigation began. @param {import("@playwright/test").Page} page @param {string} condition */
const when = (page, condition) => page.evaluate(`new Promise((done) => { const look = () => (${condition}) ? requestAnimationFrame(() => done(performance.now())) : requestAnimationFrame(look); look(); })`);

const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS });

/** Opens a page in a context of its own. @param {string} address @param {(page: import("@playwright/test").Page, asked: number) => Promise<number>} measure */
async function open(address, measure) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.addInitScript(usable);
  const asked = performance.now();
  await page.goto(address, { waitUntil: "commit" });
  const time = await measure(page, asked);
  await context.close();
  return time;
}

/** Medians of rounds that take turns. @param {Record<string, () => Promise<number>>} measures */
async function alternate(measures) {
  const names = Object.keys(measures);
  const times = Object.fromEntries(names.map((name) => [name, /** @type {number[]} */ ([])]));
  for (const name of names) await measures[name]();
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of round % 2 ? names.toReversed() : names) times[name].push(await measures[name]());
  }
  for (const name of names) console.log(`${name.padEnd(44)} ${median(times[name]).toFixed(0).padStart(6)} ms   (${Math.min(...times[name]).toFixed(0)} to ${Math.max(...times[name]).toFixed(0)})`);
  return Object.fromEntries(names.map((name) => [name, median(times[name])]));
}

/** What page one asks for until nothing more comes. @param {string} bundle */
async function weigh(bundle) {
  const page = await browser.newPage();
  const asked = new Set();
  page.on("request", (request) => request.url().startsWith("file:") && asked.add(request.url()));
  await page.goto(url(bundle, "index.html"), { waitUntil: "networkidle" });
  await page.close();
  const sizes = [...asked].map((address) => ({ name: address.split("/").at(-1), size: statSync(fileURLToPath(address)).size }));
  return { total: sizes.reduce((sum, { size }) => sum + size, 0), files: sizes.length, largest: sizes.sort((a, b) => b.size - a.size).slice(0, 6).map(({ name, size }) => `${name} ${(size / 1e3).toFixed(0)} KB`) };
}

/** A page far into the bundle, the id of its last prompt, and words that stand there. @param {string} bundle */
async function farPlace(bundle) {
  const all = pages(bundle);
  const name = all[Math.floor(all.length * 0.9)];
  const page = await browser.newPage();
  await page.goto(url(bundle, name));
  const prompt = page.locator("main > article.prompt").last();
  const id = await prompt.getAttribute("id");
  const words = (await prompt.locator(".text p").first().textContent())?.slice(0, 48) ?? "";
  await page.close();
  return { name, id, words };
}

const [short, long] = bundles;
for (const bundle of bundles) console.log(`${bundle}: ${pages(bundle).length} pages`);
const isUsable = "window.usableAt";
const first = await alternate({
  "page one, short": () => open(url(short, "index.html"), (page) => when(page, isUsable)),
  "page one, long": () => open(url(long, "index.html"), (page) => when(page, isUsable)),
});
console.log(`page one of the long bundle: ${(first["page one, long"] / first["page one, short"]).toFixed(2)} times the short one's (promised: 1.2, and 450 ms)`);
for (const bundle of bundles) {
  const { total, files, largest } = await weigh(bundle);
  console.log(`page one loads ${(total / 1e3).toFixed(0)} KB in ${files} files (promised: 500): ${largest.join(", ")}`);
}

const far = await farPlace(long);
const inView = `(() => { const box = document.getElementById(${JSON.stringify(far.id)})?.getBoundingClientRect(); return ${isUsable} && box && box.top < innerHeight && box.bottom > 0; })()`;
const hitShown = `(() => { const [hit] = CSS.highlights?.get("find-current") ?? []; if (!hit || !(${isUsable})) return false; const range = document.createRange(); range.setStart(hit.startContainer, hit.startOffset); range.setEnd(hit.endContainer, hit.endOffset); const { top, bottom, width } = range.getBoundingClientRect(); return width > 0 && top >= 0 && bottom <= innerHeight; })()`;
await alternate({
  [`permalink to ${far.name}`]: () => open(url(long, `${far.name}#${far.id}`), (page) => when(page, inView)),
  [`permalink on the wrong page`]: () => open(url(long, `index.html#${far.id}`), async (page, asked) => {
    // Two pages are opened, so the clock is this program's.
    await page.waitForURL(`**/${far.name}#*`, { waitUntil: "commit" });
    await when(page, inView);
    return performance.now() - asked;
  }),
  [`find hit on ${far.name}`]: () => open(url(long, `${far.name}#find=${encodeURIComponent(far.words)}&hit=0`), (page) => when(page, hitShown)),
});

const page = await browser.newPage();
await page.goto(url(long, "index.html"));
await page.keyboard.press("/");
const asked = performance.now();
await page.locator(".find input").fill(far.words);
await page.waitForFunction(() => /^(\d+ of )?\d+$/.test(document.querySelector(".find output")?.textContent ?? ""), null, { timeout: 120_000 });
console.log(`${"find through the whole long bundle".padEnd(44)} ${(performance.now() - asked).toFixed(0).padStart(6)} ms   (${readFileSync(join(long, "data/chat.js")).length} bytes of chat.js)`);
await browser.close();
