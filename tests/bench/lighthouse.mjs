// Measures with Lighthouse what an owner and a viewer see first: a frozen and a live share, Chats, Shared chats. Prints the middle of some rounds.
//
//   npm install --prefix DIR lighthouse && node tests/bench/lighthouse.mjs DIR/node_modules/.bin/lighthouse [ROUNDS]
//
// Needs what tests/run installs for the browser tests, and the program built. It measures and prints; it does not judge.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { CHROMIUM, CHROMIUM_ARGUMENTS, OUTPUT } from "../browser/paths.js";
import { RealServer } from "../browser/real-server.js";

const CATEGORIES = ["performance", "accessibility", "best-practices"];
const CHATS = 60;
const GOOD = 0.9;
const [, , lighthouse, rounds = "3"] = process.argv;
if (!lighthouse) throw new Error("where is the program `lighthouse`?");
const folder = join(OUTPUT, "lighthouse");
mkdirSync(folder, { recursive: true });

/** Scores of a page, and what of it is not good. @param {string} name @param {string} url @param {Record<string, string>} headers @param {string[]} more */
function measure(name, url, headers, more) {
  const reports = Array.from({ length: Number(rounds) }, (_, round) => run(join(folder, `${name}-${round + 1}.json`), url, headers, more));
  const { categories, audits } = reports.sort((a, b) => a.categories.performance.score - b.categories.performance.score)[reports.length >> 1];
  const scores = CATEGORIES.map((category) => Math.round(100 * categories[category].score));
  console.log(name.padEnd(24), ...scores.map((score, at) => `${CATEGORIES[at]} ${score}`.padEnd(20)));
  for (const { id, score, title, displayValue } of Object.values(audits)) {
    if (score !== null && score < GOOD) console.log(`  ${id}: ${title} ${displayValue ?? ""}`);
  }
}

/** @param {string} report @param {string} url @param {Record<string, string>} headers @param {string[]} more */
function run(report, url, headers, more) {
  execFileSync(lighthouse, [url, "--quiet", "--output=json", `--output-path=${report}`, `--only-categories=${CATEGORIES.join(",")}`, `--extra-headers=${JSON.stringify(headers)}`, `--chrome-flags=--headless=new ${CHROMIUM_ARGUMENTS.join(" ")}`, ...more], { env: { ...process.env, CHROME_PATH: CHROMIUM }, stdio: ["ignore", "inherit", "inherit"] });
  return JSON.parse(readFileSync(report, "utf8"));
}

const server = await new RealServer().start();
try {
  const chat = await server.liveChat(60);
  for (let number = 0; number < CHATS; number++) {
    const { id } = await server.api("POST", "chats", { title: `Chat about subject ${number}` });
    await server.say({ chat: id, count: 0 }, 4);
    await server.api("POST", "shares", { chat: id, updates: number % 2 ? "live" : "frozen", visibility: number % 3 ? "public" : "private" });
  }
  const frozen = await server.api("POST", "shares", { chat: chat.chat, updates: "frozen", visibility: "public" });
  const { id } = await server.api("GET", "users/me");
  const { url } = await server.api("POST", `users/${id}/signin_link`);
  const answer = await fetch(url, { redirect: "manual" });
  const cookie = answer.headers.getSetCookie().map((text) => text.split(";")[0]).join("; ");
  for (const [device, more] of /** @type {const} */ ([["phone", []], ["desktop", ["--preset=desktop"]]])) {
    measure(`frozen share, ${device}`, `${server.url}/s/${frozen.id}/`, {}, [...more]);
    measure(`live share, ${device}`, chat.link, {}, [...more]);
    measure(`Chats, ${device}`, `${server.url}/chats`, { cookie }, [...more]);
    measure(`Shared chats, ${device}`, `${server.url}/shares`, { cookie }, [...more]);
  }
} finally {
  await server.end();
}
