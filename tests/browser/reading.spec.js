// A chat can be read: with and without scripts, from the disk, on a phone, on paper, with the keyboard, by a screen reader.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { FAR, FIRST_PROMPT, FIRST_TIME, NEEDLE, PROMPTS, SUBAGENT } from "../tools/samples.mjs";
import { bundle, fileUrl, lastPage, pages, serve } from "./bundles.js";
import { picture } from "./pictures.js";
import { expect, test } from "./watch.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const long = () => bundle("long");
/** One page of each kind. @type {Record<string, () => string>} */
const KINDS = {
  index: () => fileUrl(long(), "index.html"),
  "later page": () => fileUrl(long(), "2.html"),
  "last page": () => fileUrl(long(), lastPage(long())),
  contents: () => fileUrl(long(), "contents.html"),
  "chat with branches": () => fileUrl(bundle("branches"), "index.html"),
  branch: () => fileUrl(bundle("branches"), pages(bundle("branches")).find((name) => name.startsWith("branch-")) ?? "no branch"),
  "empty chat": () => fileUrl(bundle("empty"), "index.html"),
  "damaged chat": () => fileUrl(bundle("damaged"), "index.html"),
};

test.describe("without scripts", () => {
  test.use({ javaScriptEnabled: false });

  test("the whole chat is read page by page", async ({ page }) => {
    await page.goto(fileUrl(long(), "index.html"));
    let prompts = 0;
    let read = "";
    for (let at = 0; ; at++) {
      prompts += await page.locator("main article.prompt").count();
      read += await page.locator("main").textContent();
      const next = page.locator("nav.pages a[rel=next]");
      if (!(await next.count())) break;
      expect(at, "the chain of pages ends").toBeLessThan(50);
      const from = page.url();
      await next.click();
      await expect(page).not.toHaveURL(from);
    }
    // The interruption is a record of the user, too, but no prompt.
    expect(prompts).toBe(PROMPTS);
    for (let prompt = 3; prompt <= PROMPTS; prompt++) expect(read).toContain(`Prompt number ${prompt}:`);
    expect(read.split(NEEDLE.word).length - 1).toBe(NEEDLE.total);
    expect(read).toContain(FAR);
    await page.locator("nav.pages a[rel=prev]").click();
    await expect(page.locator("main article.prompt").first()).toBeVisible();
  });

  test("folds show one line and open", async ({ page }) => {
    await page.goto(fileUrl(long(), "index.html"));
    const activity = page.locator("details.activity", { has: page.locator("details.call") }).first();
    const call = activity.locator("details.call").first();
    await expect(call).toBeHidden();
    await activity.locator("> summary").click();
    await expect(call).toBeVisible();
    await call.locator("> summary").click();
    await expect(call.locator("pre, table, .diff").first()).toBeVisible();
  });

  test("a failed command is seen without opening anything", async ({ page }) => {
    await page.goto(fileUrl(long(), "index.html"));
    await expect(page.locator("details.activity.failed > summary").first()).toContainText(/failed/);
  });

  test("contents name every prompt and lead to it", async ({ page }) => {
    await page.goto(fileUrl(long(), "index.html"));
    await page.locator('a[href="contents.html"]:visible').first().click();
    const links = page.locator("main ol a");
    await expect(links).toHaveCount(PROMPTS);
    const addresses = await links.evaluateAll((links) => links.map((link) => /** @type {HTMLAnchorElement} */ (link).href));
    // Several, since what is out of view is not laid out and its height is a guess.
    for (let prompt = 10; prompt <= PROMPTS; prompt += 10) {
      await page.goto(addresses[prompt - 1]);
      await expect(page.locator("article.prompt:target")).toContainText(`Prompt number ${prompt}:`);
      await expect(page.locator("article.prompt:target"), `prompt ${prompt}`).toBeInViewport();
    }
  });

  test("other versions are reached and lead back", async ({ page }) => {
    await page.goto(fileUrl(bundle("branches"), "index.html"));
    await expect(page.locator("main")).toContainText("Third try: 2,850 km.");
    await expect(page.locator("main")).not.toContainText("Second try");
    const answers = page.locator("nav.alternatives").filter({ hasText: "of 3" });
    await answers.getByRole("link").nth(1).click();
    await expect(page.locator("main")).toContainText("Second try: about 2,900.");
    await page.locator(".aside-of a, nav.alternatives a").first().click();
    await page.goto(fileUrl(bundle("branches"), "index.html"));
    await page.locator("nav.alternatives").filter({ hasText: "of 2" }).getByRole("link").first().click();
    await expect(page.locator("main")).toContainText("in miles?");
    await expect(page.locator("main")).toContainText("About 1,770 miles.");
    await page.locator(".aside-of a").click();
    await expect(page.locator("main")).toContainText("Third try: 2,850 km.");
  });

  test("a subagent's work is read under its call", async ({ page }) => {
    await page.goto(fileUrl(long(), "index.html"));
    const thread = page.locator("details.thread").first();
    await page.locator("details.activity", { has: thread }).locator("> summary").click();
    await page.locator("details.call", { has: thread }).locator("> summary").click();
    await thread.locator("> summary").click();
    await expect(thread.getByText(SUBAGENT.said).first()).toBeVisible();
  });

  test("nothing is folded on paper", async ({ page }) => {
    await page.goto(fileUrl(long(), "index.html"));
    await page.emulateMedia({ media: "print" });
    await expect(page.getByText("login ... FAILED").first()).toBeVisible();
    await expect(page.getByText("I should look at the fixture first.").first()).toBeVisible();
  });
});

test("a page says what it is, and names no other host", async ({ page, log }) => {
  await page.goto(fileUrl(long(), "index.html"));
  await expect(page).toHaveTitle("Fix the flaky login test");
  await expect(page.locator("header.bar h1")).toHaveText("Fix the flaky login test");
  await expect(page.getByRole("banner")).toBeVisible();
  await expect(page.getByRole("main")).toBeVisible();
  await expect(page.locator('meta[name="robots"]')).toHaveAttribute("content", /noindex/);
  await expect(page.locator('meta[name="referrer"]')).toHaveAttribute("content", "no-referrer");
  expect(log.requests.filter((url) => !url.startsWith("file:") && !url.startsWith("data:"))).toEqual([]);
  await expect(page.getByText("example.com").first(), "a remote picture names its host").toBeVisible();
});

test("Markdown is set as it was meant", async ({ page }) => {
  await page.goto(fileUrl(long(), "index.html"));
  const text = page.locator("article.message", { has: page.getByRole("heading", { name: "What I found" }) });
  await expect(text.locator("table td")).toHaveCount(6);
  await expect(text.locator('input[type="checkbox"]')).toHaveCount(2);
  await expect(text.locator("del")).toHaveText("the clock");
  await expect(text.locator("pre").first()).toContainText("fn login(session: &Session)");
  await expect(text.getByRole("link", { name: "www.example.net/more" })).toHaveAttribute("href", /www\.example\.net\/more$/);
  await expect(text.getByRole("link", { name: "the notes" })).toHaveAttribute("href", "https://example.org/notes");
  await expect(text.locator('[class*="alert"], [class*="warning"], blockquote').first()).toContainText("Do not share a session");
  await expect(text.locator("sup a").first()).toBeVisible();
});

test("code, edits and terminals are shown as such", async ({ page }) => {
  await page.goto(fileUrl(long(), "index.html"));
  await unfold(page);
  const code = page.locator(".code", { hasText: "fn login(session: &Session)" }).first();
  await expect(code).toContainText(/rust/i);
  expect(await code.locator("span").count(), "code is coloured").toBeGreaterThan(5);
  const edit = page.locator("details.call", { hasText: "session.clear();" }).first();
  await expect(edit.locator("> summary")).toContainText("+2");
  await expect(edit.locator("> summary")).toContainText("−1");
  await expect(edit.locator("ins, .added, .add, .diff-add").first()).toBeVisible();
  const output = page.locator(".output", { hasText: "FAILED" }).first();
  await expect(output).toContainText("Downloading 100%");
  await expect(output).not.toContainText("Downloading 10%\n");
  await expect(output).not.toContainText("[31m");
  await expect(output.locator('a[href="https://example.org/log"]').first()).toHaveText("the log");
});

test("pictures of the chat are shown inline", async ({ page }) => {
  await page.goto(fileUrl(long(), "index.html"));
  const image = page.locator("figure.image img").first();
  await image.scrollIntoViewIfNeeded();
  await expect.poll(() => image.evaluate((image) => /** @type {HTMLImageElement} */ (image).naturalWidth)).toBe(320);
  await expect(image).toHaveAttribute("width", "320");
});

test("compaction and interruption are noticed", async ({ page }) => {
  let read = "";
  for (const name of pages(long())) {
    await page.goto(fileUrl(long(), name));
    read += (await page.locator("[data-part=notice]").allTextContents()).join("\n");
  }
  expect(read).toMatch(/compact|summar/i);
  expect(read).toMatch(/interrupt/i);
});

test("each message has a link that leads to it from anywhere", async ({ page }) => {
  const last = lastPage(long());
  await page.goto(fileUrl(long(), last));
  const message = page.locator("main > article.prompt").last();
  const id = await message.getAttribute("id");
  await expect(message.locator("a.permalink")).toHaveAttribute("href", `#${id}`);
  await page.goto(fileUrl(long(), `${last}#${id}`));
  await expect(page.locator(`#${id}`)).toBeInViewport();
  // An address from before the chat was split otherwise: the page with the message is found.
  await page.goto(fileUrl(long(), `index.html#${id}`));
  await expect(page.locator(`#${id}`)).toBeInViewport();
  expect(page.url()).toContain(`${last}#${id}`);
});

test("an address that names something folded opens it", async ({ page }) => {
  await page.goto(fileUrl(long(), "index.html"));
  const call = page.locator("details.activity li[id]").first();
  const id = await call.getAttribute("id");
  await page.goto("about:blank");
  await page.goto(fileUrl(long(), `index.html#${id}`));
  await expect(call).toBeVisible();
  await expect(call).toBeInViewport();
});

test("the rail holds the prompts of all pages and follows the reader", async ({ page }) => {
  await page.goto(fileUrl(long(), "2.html"));
  const links = page.locator("nav.rail ol a");
  await expect(links).toHaveCount(PROMPTS);
  await expect(links.first()).toContainText(FIRST_PROMPT.slice(0, 20));
  const third = page.locator("main > article.prompt").nth(2);
  await third.evaluate((node) => node.scrollIntoView());
  const id = await third.getAttribute("id");
  await expect(page.locator(`nav.rail a[href="#${id}"]`)).toHaveAttribute("aria-current", "location");
  await links.last().click();
  await expect(page).toHaveURL(new RegExp(`${lastPage(long())}#`));
  await expect(page.locator("article:target")).toContainText(`Prompt number ${PROMPTS}:`);
});

test("find counts over the whole chat and walks through every hit", async ({ page }) => {
  await page.goto(fileUrl(long(), "index.html"));
  await page.keyboard.press("/");
  await page.locator(".find input").fill(NEEDLE.word.toUpperCase());
  const output = page.locator(".find output");
  await expect(output).toHaveText(`1 of ${NEEDLE.total}`);
  const visited = new Set();
  for (let hit = 2; hit <= NEEDLE.total; hit++) {
    await page.locator(".find").getByRole("button", { name: "Next hit" }).click();
    await expect(output).toHaveText(`${hit} of ${NEEDLE.total}`);
    visited.add(new URL(page.url()).pathname);
    await expect.poll(() => shownHit(page)).toBe(NEEDLE.word);
  }
  expect(visited.size).toBeGreaterThan(2);
  await page.locator(".find").getByRole("button", { name: "Next hit" }).click();
  await expect(output).toHaveText(`1 of ${NEEDLE.total}`);
  await page.locator(".find").getByRole("button", { name: "Previous hit" }).click();
  await expect(output).toHaveText(`${NEEDLE.total} of ${NEEDLE.total}`);
});

test("Enter goes on from hit to hit, across pages too", async ({ page }) => {
  await page.goto(fileUrl(long(), "index.html"));
  await page.keyboard.press("/");
  await page.locator(".find input").fill(NEEDLE.word);
  const from = page.url().split("#")[0];
  await expect(page.locator(".find output")).toHaveText(/^1 of \d+$/);
  for (let hit = 2; hit <= NEEDLE.total; hit++) {
    await page.keyboard.press("Enter");
    await expect(page.locator(".find output")).toHaveText(`${hit} of ${NEEDLE.total}`);
    await expect(page.locator(".find input")).toBeFocused();
  }
  expect(page.url().split("#")[0]).not.toBe(from);
});

test("a message that is not there any more is said to be gone", async ({ page }) => {
  await page.goto(`${fileUrl(long(), "index.html")}#m000000000000`);
  await expect(page.locator(".toast")).toHaveText("This message is not here any more");
});

test("Escape closes what is open and goes back to its button", async ({ page }) => {
  await page.goto(fileUrl(long(), "index.html"));
  const menu = page.locator("details.menu > summary");
  await menu.click();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Escape");
  await expect(menu).toBeFocused();
  await expect(page.locator("details.menu")).not.toHaveAttribute("open");
});

test("find opens what is folded around a hit on another page", async ({ page }) => {
  await page.goto(fileUrl(long(), "index.html"));
  await page.keyboard.press("/");
  await page.locator(".find input").fill(FAR);
  await expect(page.locator(".find output")).toHaveText("1");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(new RegExp(`${lastPage(long())}#`));
  await expect(page.getByText(FAR)).toBeVisible();
  await expect(page.getByText(FAR)).toBeInViewport();
  await expect.poll(() => shownHit(page)).toBe(FAR);
});

test("what finds is loaded when somebody looks for something, and what was typed meanwhile is found", async ({ page, log }) => {
  const host = await serve(long().path);
  await page.goto(host.url);
  const scripts = String(await page.locator(".find").getAttribute("data-scripts")).split(" ");
  expect(scripts).toHaveLength(2);
  const asked = () => log.requests.filter((url) => scripts.some((script) => url.endsWith(script)));
  expect(asked()).toEqual([]);
  await page.route(/assets\/.*\.js$/, (route) => route.abort());
  await page.keyboard.press("/");
  await page.keyboard.type(FAR);
  await expect(page.locator(".find output")).toHaveText("Not reachable");
  await page.unroute(/assets\/.*\.js$/);
  await page.locator(".bar > .tool", { hasText: "Find" }).click();
  await expect(page.locator(".find output")).toHaveText("1");
  await expect(page.locator(".find input")).toBeFocused();
  await host.close();
});

test("find says so when there is nothing", async ({ page }) => {
  await page.goto(fileUrl(long(), "index.html"));
  await page.keyboard.press("/");
  await page.locator(".find input").fill("there is no such text in it");
  await expect(page.locator(".find output")).toHaveText(/none|0/i);
  await page.keyboard.press("Escape");
  await expect(page.locator(".find")).toBeHidden();
});

test("code is copied without its label", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(fileUrl(long(), "index.html"));
  const code = page.locator(".code", { hasText: 'return session["user"]' }).first();
  await code.hover();
  await code.getByRole("button", { name: /copy/i }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe('def login(session):\n    return session["user"]');
});

test("the theme can be chosen and is kept", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto(fileUrl(long(), "index.html"));
  const colour = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await colour();
  await page.locator("details.menu > summary").click();
  await page.getByRole("button", { name: "Theme: dark" }).click();
  await expect.poll(colour).not.toBe(light);
  const dark = await colour();
  await page.goto(fileUrl(long(), "2.html"));
  expect(await colour()).toBe(dark);
  await page.locator("details.menu > summary").click();
  await page.getByRole("button", { name: "Theme: auto" }).click();
  await expect.poll(colour).toBe(light);
  await page.emulateMedia({ colorScheme: "dark" });
  await expect.poll(colour).toBe(dark);
});

test.describe("elsewhere", () => {
  test.use({ timezoneId: "Pacific/Auckland" });

  test("times are those of the reader's zone, UTC in the source", async ({ page }) => {
    await page.goto(fileUrl(long(), "index.html"));
    const time = page.locator("main > article.prompt").first().locator("time").first();
    await expect(time).toHaveAttribute("datetime", /^2026-01-05T23:30:00/);
    const there = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "Pacific/Auckland" }).format(new Date(FIRST_TIME));
    await expect(time).toHaveText(there);
    await expect(page.locator("p.day").first()).toContainText("6 Jan 2026");
  });
});

test("the keyboard alone is enough", async ({ page }) => {
  await page.goto(fileUrl(long(), "index.html"));
  await page.keyboard.press("Tab");
  await expect(page.locator("a.skip")).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
  const reasoning = page.locator("main details > summary").first();
  for (let presses = 0; presses < 20 && !(await reasoning.evaluate((node) => node === document.activeElement)); presses++) await page.keyboard.press("Tab");
  await expect(reasoning).toBeFocused();
  expect(await reasoning.evaluate((node) => { const { outlineStyle, boxShadow } = getComputedStyle(node); return outlineStyle !== "none" || boxShadow !== "none"; }), "focus is seen").toBe(true);
  await page.keyboard.press("Enter");
  await expect(reasoning.locator("xpath=..")).toHaveAttribute("open", "");
  await page.keyboard.press("j");
  await expect(page).toHaveURL(/#/);
  await page.keyboard.press("?");
  await expect(page.getByRole("heading", { name: "Keys" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("heading", { name: "Keys" })).toBeHidden();
});

test("a key that comes before the first frame knows where the reader is", async ({ page }) => {
  await page.goto(fileUrl(long(), "index.html"));
  const [before, address] = await page.locator("main > article.prompt .permalink").evaluateAll((links) => links.slice(1, 3).map((link) => /** @type {HTMLAnchorElement} */ (link).href));
  await page.addInitScript(() => {
    window.requestAnimationFrame = () => 1;
    addEventListener("load", () => setTimeout(() => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "k", bubbles: true }))));
  });
  await page.goto("about:blank");
  await page.goto(address);
  await expect(page).toHaveURL(before);
});

test("paper has no controls", async ({ page }, info) => {
  await page.goto(fileUrl(long(), "index.html"));
  await page.keyboard.press("/");
  await page.emulateMedia({ media: "print" });
  for (const control of ["nav.rail", "details.menu", ".find", ".copy", "nav.pages", ".skip"]) {
    for (const node of await page.locator(control).all()) await expect(node, control).toBeHidden();
  }
  await expect(page.locator("header.bar h1")).toBeVisible();
  const pdf = await page.pdf({ path: info.outputPath("page.pdf"), preferCSSPageSize: true });
  expect(pdf.length).toBeGreaterThan(10_000);
});

test("paper has open what the reader opened, and says which part of the chat it is", async ({ page }) => {
  await page.goto(fileUrl(long(), "2.html"));
  await expect(page.locator("main")).toHaveAttribute("data-sheet", /^Part 2 of \d+$/);
  const fold = page.locator("main > * details.activity").first();
  const inside = fold.locator("> :not(summary)").first();
  await page.emulateMedia({ media: "print" });
  await expect(inside).toBeHidden();
  await fold.evaluate((fold) => (/** @type {HTMLDetailsElement} */ (fold).open = true));
  await expect(inside).toBeVisible();
});

test("the field of Find has room on a phone, whatever the size of text and number of hits", async ({ page }) => {
  for (const [width, size] of [[390, 130], [390, 160], [320, 100], [320, 160]]) {
    await page.setViewportSize({ width, height: 844 });
    await page.goto(fileUrl(long(), "index.html"));
    await page.keyboard.press("/");
    await page.locator(".find input").fill("the");
    await expect(page.locator(".find output")).toHaveText(/\d/);
    await page.evaluate((size) => {
      document.documentElement.style.setProperty("--text-scale", String(size / 100));
      /** @type {any} */ (document.querySelector(".find output")).textContent = "9842 of 45000";
    }, size);
    const box = async (/** @type {string} */ selector) => /** @type {{x: number, width: number, height: number}} */ (await page.locator(selector).boundingBox());
    expect((await box(".find input")).width, `${width} px at ${size} %`).toBeGreaterThan(120);
    const last = await box(".find button >> nth=-1");
    expect(Math.min(last.width, last.height)).toBeGreaterThanOrEqual(44);
    expect(last.x + last.width).toBeLessThan(width);
  }
});

test("prose in a table is read on a phone", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(fileUrl(long(), "index.html"));
  await page.evaluate(() => {
    const row = `<td>Token bucket</td><td>100 B</td><td>yes</td><td>a fairly long note that wraps into lines of several words</td>`;
    const [text] = document.querySelectorAll("main .text");
    text.innerHTML = `<div class="table-scroll"><table><tr><th>Algorithm</th><th>Memory</th><th>Burst</th><th>Notes</th></tr><tr>${row}</tr></table></div>`;
  });
  const note = page.locator("main td", { hasText: "a fairly long note" });
  expect((await note.boundingBox())?.width).toBeGreaterThan(180);
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(beyond, "the table scrolls, not the page").toBeLessThanOrEqual(0);
});

test("the full print has all of it, and leaves the page as it was", async ({ page }) => {
  await page.addInitScript(() => {
    window.print = () => {
      /** @type {any} */ (window).printed = [...document.querySelectorAll("main details")].map((fold) => /** @type {HTMLDetailsElement} */ (fold).open);
      dispatchEvent(new Event("afterprint"));
    };
  });
  await page.goto(fileUrl(long(), "index.html"));
  const before = await page.locator("main details[open]").count();
  await page.locator("details.menu > summary").click();
  await page.getByRole("button", { name: /print.*unfolded/i }).click();
  const printed = await page.waitForFunction(() => /** @type {any} */ (window).printed);
  const open = /** @type {boolean[]} */ (await printed.jsonValue());
  expect(open.length).toBeGreaterThan(10);
  expect(open).not.toContain(false);
  await expect(page.locator("main details[open]")).toHaveCount(before);
});

test("text from right to left is read from right to left", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(fileUrl(bundle("prose"), "index.html"));
  // How far the first letter stands from the left edge of its block and from the right one.
  const gaps = (/** @type {string} */ selector) => page.locator(selector).first().evaluate((element) => {
    const letter = document.createRange();
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    letter.setStart(walker.nextNode() ?? element, 0);
    letter.setEnd(letter.startContainer, 1);
    const [a, b] = [letter.getBoundingClientRect(), element.getBoundingClientRect()];
    return [a.left - b.left, b.right - a.right].map(Math.round);
  });
  expect((await gaps(".prompt .text p"))[1], "a prompt").toBe(0);
  expect((await gaps(".answer .text p"))[1], "an answer").toBe(0);
  expect((await gaps(".answer .text li"))[1], "a list").toBe(0);
  await expect(page.locator(".answer .text ul").first(), "marks on the right").not.toHaveCSS("padding-right", "0px");
  expect((await gaps(".answer .text p:last-of-type"))[0], "English within").toBe(0);
  expect((await gaps(".answer .text pre code"))[0], "code").toBe(0);
});

test("deep lists and long numbers are not cut off on a phone", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(fileUrl(bundle("prose"), "index.html"));
  const deepest = page.getByText("level 29");
  await deepest.evaluate((element) => element.scrollIntoView({ block: "center", inline: "end" }));
  await deepest.click({ trial: true });
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390);
  await expect(page.locator("ol").last()).toHaveCSS("list-style-position", "inside");
});

test("at the top of the page the rail marks the first prompt", async ({ page }) => {
  await page.setViewportSize({ width: 1280, height: 4500 });
  await page.goto(fileUrl(long(), "index.html"));
  const prompt = (/** @type {number} */ at) => page.locator("article.prompt").nth(at);
  const marks = async (/** @type {number} */ at) => expect(page.locator("#rail [aria-current]")).toHaveAttribute("href", `#${await prompt(at).getAttribute("id")}`);
  expect((await prompt(1).boundingBox())?.y, "two are in sight").toBeLessThan(1500);
  await marks(0);
  await prompt(2).evaluate((element) => element.scrollIntoView());
  await marks(2);
});

test("a line between paragraphs is as wide as they are", async ({ page }) => {
  await page.goto(fileUrl(bundle("prose"), "index.html"));
  const edges = (/** @type {string} */ selector) => page.locator(selector).last().evaluate((element) => {
    const { left, right } = element.getBoundingClientRect();
    return [left, right].map(Math.round);
  });
  expect(await edges(".answer .text hr")).toEqual(await edges(".answer .text > p"));
});

for (const [kind, url] of Object.entries(KINDS)) {
  for (const width of [390, 320]) {
    test(`${kind} at ${width} px does not scroll sideways`, async ({ page }) => {
      await page.setViewportSize({ width, height: 800 });
      await page.goto(url());
      await unfold(page);
      const { scroll, client, wide } = await page.evaluate(() => {
        const client = document.documentElement.clientWidth;
        const wide = [...document.querySelectorAll("main > *, header.bar, footer")].filter((node) => node.getBoundingClientRect().right > client + 0.5).map((node) => node.outerHTML.slice(0, 80));
        return { scroll: document.documentElement.scrollWidth, client, wide };
      });
      expect(wide).toEqual([]);
      expect(scroll).toBeLessThanOrEqual(client);
    });
  }

  for (const look of ["light", "dark", "phone"]) {
    test(`${kind}, ${look}: no serious barrier, and a picture to look at`, async ({ page }) => {
      await page.addInitScript({ content: axe });
      if (look === "phone") await page.setViewportSize({ width: 390, height: 844 });
      await page.emulateMedia({ colorScheme: look === "dark" ? "dark" : "light", reducedMotion: "reduce" });
      await page.goto(url());
      await picture(page, `${kind.replaceAll(" ", "-")}-${look}`);
      const found = await page.evaluate(async () => {
        // Parts out of view are skipped by the browser and by axe; they count as well.
        for (const message of document.querySelectorAll(".message")) /** @type {HTMLElement} */ (message).style.contentVisibility = "visible";
        const { violations } = await /** @type {any} */ (window).axe.run(document, { resultTypes: ["violations"], preload: false });
        return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`);
      });
      expect(found).toEqual([]);
    });
  }
}

test("unfolded, a page has no serious barrier", async ({ page }) => {
  await page.addInitScript({ content: axe });
  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.goto(fileUrl(long(), "index.html"));
    await unfold(page);
    // What is out of view is not painted otherwise.
    await page.evaluate(() => {
      for (const message of document.querySelectorAll(".message")) /** @type {HTMLElement} */ (message).style.contentVisibility = "visible";
    });
    await picture(page, `unfolded-${colorScheme}`, { fullPage: true, clip: { x: 0, y: 0, width: 1280, height: 4000 } });
    const found = await page.evaluate(async () => {
      for (const message of document.querySelectorAll(".message")) /** @type {HTMLElement} */ (message).style.contentVisibility = "visible";
      const { violations } = await /** @type {any} */ (window).axe.run(document, { resultTypes: ["violations"], preload: false });
      return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`);
    });
    expect(found).toEqual([]);
  }
});

test("an empty chat and damaged records are said, not blank", async ({ page }) => {
  await page.goto(fileUrl(bundle("empty"), "index.html"));
  await expect(page.locator("main")).toContainText(/no messages/i);
  await page.goto(fileUrl(bundle("damaged"), "index.html"));
  await expect(page.locator("main")).toContainText("Everything before and after the damage.");
  await expect(page.locator("main")).toContainText("2 records could not be read");
});

/** Opens every fold of the page. @param {import("@playwright/test").Page} page */
async function unfold(page) {
  await page.evaluate(() => {
    for (const fold of document.querySelectorAll("details")) if (!fold.closest("header")) fold.open = true;
  });
}

/** The text of the current hit as far as it is in view; nothing where it is folded away or elsewhere. @param {import("@playwright/test").Page} page */
function shownHit(page) {
  return page.evaluate(() => {
    const [range] = /** @type {any} */ (CSS).highlights?.get("find-current") ?? [];
    if (!range) return undefined;
    const place = document.createRange();
    place.setStart(range.startContainer, range.startOffset);
    place.setEnd(range.endContainer, range.endOffset);
    const { top, bottom, width } = place.getBoundingClientRect();
    return width > 0 && top >= 0 && bottom <= innerHeight ? place.toString().toLowerCase() : `out of view: ${top} ${bottom} ${width}`;
  });
}
