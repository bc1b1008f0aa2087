// A live share as its readers see it: two viewers and one writer on the real server, and everything that an owner, a network or a restart does to them.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { write as writeHostile } from "../tools/hostile.mjs";
import { picture } from "./pictures.js";
import { RealServer } from "./real-server.js";
import { expect, test as watched, watch } from "./watch.js";

/** @typedef {import("@playwright/test").Page} Page */
/** @typedef {{chat: string, id: string, link: string, count: number}} Chat */
/** @type {ReturnType<typeof watched.extend<{server: RealServer, chat: Chat, other: Page}>>} */
const test = watched.extend({
  server: async ({}, use) => {
    const server = await new RealServer().start();
    await use(server);
    await server.end();
  },
  chat: async ({ server }, use) => use(await server.liveChat(24)),
  /** The second viewer, who reads further up. */
  other: async ({ browser }, use) => {
    const context = await browser.newContext();
    await use(await context.newPage());
    await context.close();
  },
});

/** @param {Page[]} pages @param {Chat} chat @param {string} [name] */
async function open(pages, chat, name = "") {
  for (const page of pages) {
    await page.goto(chat.link + name);
    await expect(page.locator(".live")).toContainText("Live");
  }
}
const items = (/** @type {Page} */ page) => page.locator("main > [data-item]");
/** What a reader sees, item after item, without what only the reader changes. @param {Page} page */
const seen = (page) => items(page).evaluateAll((items) => items.map((item) => {
  const copy = /** @type {HTMLElement} */ (item.cloneNode(true));
  for (const fold of copy.querySelectorAll("details")) fold.open = false;
  for (const own of copy.querySelectorAll(".copy")) own.remove();
  return copy.outerHTML;
}));
/** An open page shows what one that is loaded now shows. @param {Page} page @param {import("@playwright/test").Browser} browser */
async function sameAsFresh(page, browser) {
  const context = await browser.newContext();
  const fresh = await context.newPage();
  await fresh.goto(page.url());
  await expect(fresh.locator(".live")).toContainText("Live");
  const wanted = await seen(fresh);
  const shown = await seen(page);
  expect(shown.slice(-wanted.length)).toEqual(wanted);
  await expect(page).toHaveTitle(await fresh.title());
  await context.close();
}

test("two viewers see what one writer says, each in the own place", async ({ page, other, server, chat, browser }) => {
  await open([page, other], chat);
  await expect(page.locator(".live")).toContainText("2 reading");
  await other.evaluate(() => scrollTo(0, 0));
  await server.say(chat, 3);
  await expect(items(page).last()).toContainText("Answer 27.");
  await expect(items(page).last()).toBeInViewport();
  await expect(other.locator(".pill")).toHaveText("3 new messages");
  expect(await other.evaluate(() => scrollY)).toBe(0);
  await other.locator(".pill").click();
  await expect(other.getByText("Question 25").last()).toBeInViewport();
  await other.close();
  await expect(page.locator(".live")).toContainText("1 reading");
  await sameAsFresh(page, browser);
});

test("a message that grows is one message", async ({ page, server, chat, browser }) => {
  await open([page], chat);
  let text = "";
  for (let piece = 0; piece < 60; piece++) await server.tell(chat, { id: "growing", text: (text += `Word ${piece}. `), at: "2026-11-20T12:00:00Z" });
  await expect(items(page).last()).toContainText("Word 59.");
  await expect(page.getByText("Word 0.")).toHaveCount(1);
  await sameAsFresh(page, browser);
});

test("the owner edits, hides, shows, erases and renames under the readers", async ({ page, other, server, chat, browser }) => {
  await open([page, other], chat);
  const message = (/** @type {string} */ id) => `chats/${chat.chat}/messages/${id}`;
  const each = async (/** @type {(page: Page) => Promise<void>} */ check) => {
    for (const one of [page, other]) await check(one);
  };
  await server.api("PATCH", message("m-22"), { text: "The owner's words." });
  await each((one) => expect(one.locator("main")).toContainText("The owner's words."));
  await each((one) => expect(one.locator("main")).not.toContainText("Answer 22."));
  await server.api("PATCH", message("m-23"), { hidden: true });
  await each((one) => expect(one.locator("main")).not.toContainText("Answer 23."));
  await server.api("PATCH", message("m-23"), { hidden: false });
  await each((one) => expect(one.locator("main")).toContainText("Answer 23."));
  await server.api("DELETE", message("m-24"));
  await each((one) => expect(one.locator("main")).not.toContainText("Answer 24."));
  await server.api("PATCH", `chats/${chat.chat}`, { title: "Another name" });
  await each((one) => expect(one.locator("h1")).toHaveText("Another name"));
  await each((one) => expect(one).toHaveTitle("Another name"));
  await each((one) => expect(one.locator(".bar > .menu")).toHaveCount(1));
  await sameAsFresh(page, browser);
});

test("private: who is not signed in loses the page and is asked to sign in", async ({ page, other, server, chat }) => {
  const link = /https?:\/\/\S*\/signin\S*/.exec(server.said)?.[0];
  if (!link) throw new Error(`no sign-in link in: ${server.said}`);
  await other.goto(link);
  await expect(other).toHaveURL(/\/chats$/);
  await open([page, other], chat);
  await server.api("PATCH", `shares/${chat.id}`, { visibility: "private" });
  await expect(page.locator(".gone h1")).toHaveText("This chat is private now.");
  expect(await page.evaluate(() => document.title + document.body.outerHTML)).not.toMatch(/Question|Answer|live chat/i);
  await page.getByRole("link").click();
  await expect(page).toHaveURL(/\/signin\?next=/);
  await expect(other.locator(".badge")).toHaveText("Private");
  await server.say(chat, 1);
  await expect(items(other).last()).toContainText("Question 25");
  await page.goto(chat.link);
  await expect(page.locator("body")).not.toContainText(/Answer/);
});

test("deleted: all readers lose the page, and the link is dead", async ({ page, other, server, chat }) => {
  await open([page], chat);
  await open([other], chat, "index.html");
  await server.api("DELETE", `shares/${chat.id}`);
  for (const one of [page, other]) await expect(one.locator(".gone h1")).toHaveText("This chat has been deleted, or its link is not valid any more.");
  expect((await page.goto(chat.link))?.status()).toBe(404);
});

test("a deleted chat takes its shares with it", async ({ page, server, chat }) => {
  await open([page], chat);
  await server.api("DELETE", `chats/${chat.chat}`);
  await expect(page.locator(".gone h1")).toContainText("has been deleted");
});

test("frozen: the page stays, says so, and later messages do not come", async ({ page, other, server, chat }) => {
  await open([page, other], chat);
  const before = await items(page).count();
  await server.api("PATCH", `shares/${chat.id}`, { updates: "frozen" });
  for (const one of [page, other]) {
    await expect(one.locator(".live")).toHaveText("Snapshot");
    await expect(one.locator("footer.end")).toContainText("later messages are not in it");
    await expect(one.locator(".info dl")).toContainText("Frozen");
  }
  await server.say(chat, 4);
  await page.goto(chat.link);
  await expect(page.locator("main")).toContainText("Answer 24.");
  await expect(page.locator("main")).not.toContainText("Question 25");
  expect(await items(other).count()).toBe(before);
});

for (const signal of /** @type {NodeJS.Signals[]} */ (["SIGTERM", "SIGKILL"])) {
  test(`the server ends with ${signal} and starts again: nothing is lost or doubled`, async ({ page, other, server, chat, browser }) => {
    await open([page, other], chat);
    await other.evaluate(() => scrollTo(0, 0));
    await server.say(chat, 2);
    await expect(items(page).last()).toContainText("Answer 26.");
    await server.stop(signal);
    await expect(page.locator(".live")).toContainText("Reconnecting…");
    await server.start();
    await server.say(chat, 2);
    for (const one of [page, other]) {
      await expect(one.locator(".live")).toContainText("Live", { timeout: 20_000 });
      await expect(items(one).last()).toContainText("Answer 28.");
    }
    await expect(other.locator(".pill")).toHaveText("4 new messages");
    expect(await other.evaluate(() => scrollY)).toBe(0);
    await sameAsFresh(page, browser);
    await sameAsFresh(other, browser);
  });
}

test("the network is cut and comes back", async ({ page, context, server, chat, browser }) => {
  await open([page], chat);
  await context.setOffline(true);
  await expect(page.locator(".live")).toContainText("Offline");
  await server.say(chat, 5);
  await context.setOffline(false);
  await expect(items(page).last()).toContainText("Question 29");
  await expect(page.locator(".live")).toContainText("Live");
  await sameAsFresh(page, browser);
});

test("older pages are a link away, permalinks lead there, and both say what is new", async ({ page, server, chat, browser }) => {
  await server.say(chat, 400);
  await page.goto(chat.link);
  await expect(items(page).last()).toContainText("Answer 424.");
  await page.locator("a[rel=prev]").click();
  await expect(page).not.toHaveURL(chat.link);
  await page.goto(`${chat.link}index.html`);
  await expect(page.locator(".live")).toContainText("Live");
  const anchor = await items(page).first().getAttribute("id");
  await server.say(chat, 2);
  await expect(page.locator("a.pill")).toHaveText("2 new messages");
  await server.api("PATCH", `chats/${chat.chat}/messages/m-2`, { text: "Edited on the first page." });
  await expect(page.locator("main")).toContainText("Edited on the first page.");
  await page.locator("a.pill").click();
  await expect(page).toHaveURL(chat.link);
  await expect(items(page).last()).toContainText("Answer 426.");
  await sameAsFresh(page, browser);
  await page.goto(`${chat.link}#${anchor}`);
  await expect(page).toHaveURL(`${chat.link}index.html#${anchor}`);
  await expect(page.locator(":target")).toBeInViewport();
});

test("a page that is open for long does not grow with the chat, and its rail has all prompts", async ({ page, other, server, chat, browser }) => {
  await open([page, other], chat);
  await other.evaluate(() => scrollTo(0, 0));
  for (let round = 0; round < 10; round++) {
    await server.say(chat, 100);
    await expect(items(page).last()).toContainText(`Answer ${chat.count}.`);
  }
  await expect.poll(() => items(page).count()).toBeLessThan(chat.count - 100);
  expect(await items(page).first().textContent()).not.toContain("Question 1");
  await sameAsFresh(page, browser);
  const prompts = Math.ceil(chat.count / 4);
  await expect(page.locator("#rail li")).toHaveCount(prompts);
  await expect(page.locator("#rail [aria-current]")).toHaveText(`Question ${4 * prompts - 3}`);
  await server.say(chat, 1);
  await expect(page.locator("#rail li").last()).toHaveText(`Question ${chat.count}`);
  await expect(page.getByText(`Question ${chat.count}`).last()).toBeInViewport();
  // What is found on it is counted once, whichever of the pages that it shows it is on.
  const first = /Answer \d+\./.exec((await items(page).filter({ hasText: "Answer" }).first().textContent()) ?? "")?.[0] ?? "";
  await page.keyboard.press("/");
  await page.keyboard.type(first);
  await expect(page.locator(".find output")).toHaveText("1 of 1");
  await page.keyboard.press("Escape");
  // What the owner takes back is in no rail, wherever it stands.
  await expect(page.locator("#rail li").first()).toHaveText("Question 1");
  await server.api("DELETE", `chats/${chat.chat}/messages/m-5`);
  await expect(page.locator("#rail li").nth(1)).toHaveText("Question 9");
  await server.tell(chat, { id: "m-9", role: "user", text: "Question nine" });
  await expect(page.locator("#rail li").nth(1)).toHaveText("Question nine");
  // Who reads above keeps what is there.
  expect(await items(other).first().textContent()).toContain("Question 1");
  expect(await items(other).count()).toBe(chat.count - 1);
  // What left the page is where its prompt leads.
  await page.locator("#rail li a").first().click();
  await expect(page).toHaveURL(/index\.html#m[0-9a-f]+$/);
  await expect(page.getByText("Question 1", { exact: true }).last()).toBeInViewport();
});

test("a chat that begins while its page is open", async ({ page, server }) => {
  const chat = await server.liveChat(0).catch(async () => {
    throw new Error("a live share of an empty chat");
  });
  await page.goto(chat.link);
  await expect(page.getByText("no messages")).toBeVisible();
  await server.say(chat, 2);
  await expect(items(page)).toHaveCount(2);
  await expect(page.getByText("no messages")).toBeHidden();
});

test("a chat whose only message goes while its page is open says that it has none", async ({ page, server }) => {
  const chat = await server.liveChat(1);
  await open([page], chat);
  const path = `chats/${chat.chat}/messages`;
  for (const { message } of await server.api("GET", path)) await server.api("PATCH", `${path}/${message.id}`, { hidden: true });
  await expect(page.getByText("no messages")).toBeVisible();
  for (const { message } of await server.api("GET", path)) await server.api("PATCH", `${path}/${message.id}`, { hidden: false });
  await expect(page.getByText("no messages")).toBeHidden();
});

for (const policy of ["with", "without"]) {
  test(`hostile chats that come while the page is open, ${policy} the policy: nothing runs, nothing loads`, async ({ browser, server }, info) => {
    const context = await browser.newContext({ bypassCSP: policy === "without" });
    for (const { format, file } of writeHostile(info.outputPath("transcripts"))) {
      const chat = await server.liveChat(0);
      await server.api("PATCH", `shares/${chat.id}`, { artifacts: true });
      const page = await context.newPage();
      const log = watch(page);
      await open([page], chat);
      const answer = await fetch(`${server.url}/api/v1/chats/${chat.chat}/import`, { method: "POST", headers: { authorization: `Bearer ${server.token}`, "content-type": "application/octet-stream" }, body: readFileSync(file) });
      expect(answer.status, await answer.text()).toBe(200);
      await expect.poll(() => items(page).count(), { message: format }).toBeGreaterThan(5);
      await page.evaluate(async () => {
        for (const fold of document.querySelectorAll("details")) fold.open = true;
        for (const image of document.images) image.loading = "eager";
        await Promise.allSettled([...document.images].map((image) => image.decode()));
        for (const kind of ["mouseover", "mouseenter", "focus", "pointerdown", "toggle"]) for (const node of document.querySelectorAll("main *")) node.dispatchEvent(new Event(kind));
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      });
      expect(await page.evaluate("window.pwned"), format).toBeUndefined();
      expect(log.requests.filter((url) => !url.startsWith(server.url) && !url.startsWith("data:image/")), format).toEqual([]);
      expect({ ...log, requests: [] }, format).toEqual({ dialogs: [], console: [], errors: [], requests: [], popups: [], downloads: [] });
      await page.close();
    }
    await context.close();
  });
}

for (const look of ["light", "dark", "phone"]) {
  test(`${look}: no serious barrier, and pictures to look at`, async ({ page, server, chat }) => {
    await page.addInitScript({ content: readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8") });
    if (look === "phone") await page.setViewportSize({ width: 390, height: 844 });
    await page.emulateMedia({ colorScheme: look === "dark" ? "dark" : "light", reducedMotion: "reduce" });
    const barriers = () => page.evaluate(async () => {
      for (const message of document.querySelectorAll(".message")) /** @type {HTMLElement} */ (message).style.contentVisibility = "visible";
      const { violations } = await /** @type {any} */ (window).axe.run(document, { resultTypes: ["violations"], preload: false });
      return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`);
    });
    await open([page], chat);
    await picture(page, `live-newest-${look}`);
    await page.evaluate(() => scrollTo(0, 0));
    await server.say(chat, 3);
    await expect(page.locator(".pill")).toHaveText("3 new messages");
    await picture(page, `live-pill-${look}`);
    expect(await barriers()).toEqual([]);
    await server.api("PATCH", `shares/${chat.id}`, { visibility: "private" });
    await expect(page.locator(".gone h1")).toBeVisible();
    await picture(page, `live-private-${look}`);
    expect(await barriers()).toEqual([]);
  });
}

test.describe("without script", () => {
  test.use({ javaScriptEnabled: false });
  test("a live page reads, from the newest back to the first", async ({ page, server, chat }) => {
    await server.say(chat, 400);
    await page.goto(chat.link);
    let read = "";
    for (let at = 0; ; at++) {
      expect(at, "the chain of pages ends").toBeLessThan(20);
      read += await page.locator("main").textContent();
      const earlier = page.locator("nav.pages a[rel=prev]");
      if (!(await earlier.count())) break;
      const from = page.url();
      await earlier.click();
      await expect(page).not.toHaveURL(from);
    }
    for (const number of [1, 2, 100, 200, 300, 424]) expect(read).toMatch(new RegExp(`(Question|Answer) ${number}\\b`));
    await expect(page.locator(".live")).toBeHidden();
  });
});
