// The script of a live page against a server that says what it is told to: every frame, every close code, every accident.
import { activity, LiveServer, message } from "./live-server.js";
import { picture } from "./pictures.js";
import { expect, test as watched } from "./watch.js";

/** @type {ReturnType<typeof watched.extend<{live: LiveServer}>>} */
const test = watched.extend({
  live: async ({}, use) => {
    const live = await new LiveServer().start();
    await use(live);
    await live.stop().catch(() => {});
  },
});
const long = (/** @type {string} */ text) => `${text} ${"and so on, word after word, ".repeat(30)}`;
/** A page that is longer than the window. @param {LiveServer} live @param {number} [count] */
function fill(live, count = 24) {
  live.pages = [[]];
  for (let number = 1; number <= count; number++) live.pages[0].push(message(number, number % 6 === 1 ? `Question ${number}` : long(`Answer ${number}.`), { prompt: number % 6 === 1 }));
}
/** @typedef {import("@playwright/test").Page} Page */
/** @param {Page} page @param {LiveServer} live @param {string} [name] */
async function open(page, live, name = "") {
  await page.goto(live.url + name);
  await expect(page.locator(".live")).toContainText("Live");
}
/** Where an item is, and that it stays there. @param {Page} page @param {string} key */
const top = (page, key) => page.locator(`[data-item="${key}"]`).evaluate((item) => Math.round(item.getBoundingClientRect().top));
const fromEnd = (/** @type {Page} */ page) => page.evaluate(() => Math.round(document.documentElement.scrollHeight - innerHeight - scrollY));
const key = (/** @type {number} */ number) => message(number, "").key;
/** Texts of the items, in order. @param {Page} page */
const keys = (page) => page.locator("main > [data-item]").evaluateAll((items) => items.map((item) => /** @type {HTMLElement} */ (item).dataset.item));

test("it opens at the newest messages and follows them while the reader is at the end", async ({ page, live }) => {
  fill(live);
  await open(page, live);
  await expect.poll(() => fromEnd(page)).toBeLessThan(3);
  for (let number = 25; number < 30; number++) live.put(message(number, long(`Answer ${number}.`)));
  await expect(page.locator(`[data-item="${key(29)}"]`)).toBeInViewport();
  await expect.poll(() => fromEnd(page)).toBeLessThan(3);
  await expect(page.locator(".pill")).toBeHidden();
  expect(await keys(page)).toEqual(live.pages[0].map(({ key }) => key));
  await expect(page.locator("#announce")).toHaveText("5 new messages");
});

test("what is being read does not move, and a pill counts what came", async ({ page, live }) => {
  fill(live);
  await open(page, live);
  await page.locator(`[data-item="${key(7)}"]`).evaluate((item) => item.scrollIntoView());
  await page.waitForFunction(() => scrollY > 0);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const before = await top(page, key(8));
  for (let number = 25; number < 28; number++) live.put(message(number, long(`Answer ${number}.`)));
  await expect(page.locator(".pill")).toHaveText("3 new messages");
  expect(await top(page, key(8))).toBe(before);
  // Above: an answer grows by a screen, one goes, one is shortened.
  live.put(message(2, long(long(long("Answer 2, edited.")))));
  live.remove(key(3));
  live.put(message(4, "Short."));
  await expect(page.locator(`[data-item="${key(4)}"]`)).toContainText("Short.");
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  expect(Math.abs(await top(page, key(8)) - before)).toBeLessThanOrEqual(1);
  await expect(page.locator("#announce")).toHaveText("3 new messages");
  await page.locator(".pill").click();
  await expect(page.locator(`[data-item="${key(25)}"]`)).toBeInViewport();
  await expect(page.locator(".pill")).toBeHidden();
});

test("the pill goes when the reader goes to the end", async ({ page, live }) => {
  fill(live);
  await open(page, live);
  await page.evaluate(() => scrollTo(0, 0));
  live.put(message(25, "Answer 25."));
  await expect(page.locator(".pill")).toHaveText("1 new message");
  await page.keyboard.press("End");
  await expect(page.locator(".pill")).toBeHidden();
});

test("the End key gets to the end, also past messages that were never seen", async ({ page, live }) => {
  live.pages = [[]];
  for (let number = 1; number <= 60; number++) live.pages[0].push(message(number, long(long(long(`Answer ${number}.`)))));
  await page.goto(`${live.url}#elsewhere`); // does not open at the end
  await expect(page.locator(".live")).toContainText("Live");
  expect(await fromEnd(page)).toBeGreaterThan(1000);
  await page.keyboard.press("End");
  await expect.poll(() => fromEnd(page)).toBeLessThan(3);
});

test("the end is followed when a page became shorter than it was", async ({ page, live }) => {
  fill(live);
  await open(page, live);
  for (let press = 0; press < 2; press++) await page.locator("[data-do=size]").first().evaluate((/** @type {HTMLElement} */ button) => button.click());
  await page.keyboard.press("End");
  await expect.poll(() => fromEnd(page)).toBeLessThan(3);
  live.put(message(25, long(long(long("Answer 25.")))));
  await expect(page.locator(`[data-item="${key(25)}"]`)).toBeInViewport();
  await expect.poll(() => fromEnd(page)).toBeLessThan(3);
});

test("what was made private while the page was fetched anew stays away", async ({ page, live }) => {
  fill(live);
  await open(page, live);
  let release = () => {};
  const held = new Promise((go) => (release = () => go(undefined)));
  await page.route(live.url, async (route) => {
    const answer = await route.fetch();
    await held;
    await route.fulfill({ response: answer });
  });
  const asked = page.waitForRequest(live.url);
  live.tell({ reset: { epoch: live.epoch, seq: live.seq } });
  await asked;
  live.close(4401);
  await expect(page.getByText("This chat is private now.")).toBeVisible();
  const answered = page.waitForResponse(live.url);
  release();
  await (await answered).finished();
  await page.evaluate(() => new Promise((done) => setTimeout(done)));
  await expect(page).toHaveTitle("readalong");
  await expect(page.locator("body")).toHaveClass("");
});

test("the Home key gets to the top, also past messages that were never seen", async ({ page, live }) => {
  fill(live, 28);
  await open(page, live);
  await expect.poll(() => fromEnd(page)).toBeLessThan(3);
  await page.keyboard.press("Home");
  await expect.poll(() => page.evaluate(() => scrollY)).toBe(0);
});

test("at the end of a page each prompt is reached, and the last one is marked", async ({ page, live }) => {
  fill(live);
  for (let number = 25; number < 29; number++) live.pages[0].push(message(number, `Question ${number}`, { prompt: true }));
  await open(page, live);
  const marked = page.locator("#rail [aria-current]");
  await expect(marked).toHaveText("Question 28");
  await page.keyboard.press("Home");
  await expect(marked).toHaveText("Question 1");
  await expect.poll(() => page.evaluate(() => scrollY)).toBe(0);
  for (const number of [7, 13, 19, 25, 26, 27, 28]) {
    await page.keyboard.press("j");
    await expect(page).toHaveURL(new RegExp(`#${key(number).slice(0, -2)}$`));
  }
});

test("folds, focus, selection and scrolled output stay while a run of calls grows", async ({ page, live }) => {
  fill(live, 2);
  live.pages[0].push(activity(3, ["cargo test", "cargo build"]));
  await open(page, live);
  await page.locator("details.activity > summary").click();
  await page.locator("details.call > summary").first().click();
  const output = page.locator("details.call pre").first();
  await output.evaluate((pre) => {
    const style = new CSSStyleSheet();
    style.replaceSync("pre { max-height: 5rem; overflow-y: auto; }");
    document.adoptedStyleSheets = [style];
    pre.scrollTop = 200;
    getSelection()?.selectAllChildren(pre);
  });
  await page.locator("details.call > summary").nth(1).focus();
  live.put(activity(3, ["cargo test", "cargo build", "cargo run"]));
  await expect(page.locator("details.call")).toHaveCount(3);
  await expect(page.locator(".activity-summary")).toHaveText("3 calls");
  expect(await page.locator("details").evaluateAll((folds) => folds.filter((fold) => fold.closest("main")).map((fold) => /** @type {HTMLDetailsElement} */ (fold).open))).toEqual([true, true, false, false]);
  expect(await output.evaluate((pre) => pre.scrollTop)).toBe(200);
  expect(await page.evaluate(() => String(getSelection()))).toContain("Output of cargo test");
  await expect(page.locator("details.call > summary").nth(1)).toBeFocused();
  await expect(page.locator("details.call .copy"), "each output can be copied, once").toHaveCount(3);
});

test("a thought that is being read stays open when calls join it", async ({ page, live }) => {
  fill(live, 2);
  const thought = '<details class="reasoning" data-part="reasoning"><summary>Thought</summary><div class="text"><p>Deep.</p></div></details>';
  const alone = activity(3, []);
  live.pages[0].push({ ...alone, html: alone.html.replace(/<details.*<\/details>/s, `<div class="single">${thought}</div>`) });
  await open(page, live);
  await page.getByText("Thought").click();
  live.put({ ...alone, html: alone.html.replace(/<ol class="calls">.*<\/ol>/s, `<ol class="calls"><li>${thought}</li><li><details class="call"><summary>Ran</summary></details></li></ol>`) });
  await expect(page.getByText("Ran")).toBeVisible();
  await expect(page.getByText("Deep.")).toBeVisible();
});

test("days are split in the reader's zone as messages come, change and go", async ({ browser, live }) => {
  const at = (/** @type {string} */ time) => ({ at: Date.parse(time) });
  live.pages = [[message(1, "One", at("2026-11-20T10:00:00Z"))]];
  const context = await browser.newContext({ timezoneId: "Asia/Tokyo", locale: "en-GB" });
  const page = await context.newPage();
  await open(page, live);
  const days = () => page.locator("main > .day").allTextContents();
  live.put(message(2, "Two", at("2026-11-20T14:59:00Z")));
  live.put(message(3, "Three", at("2026-11-20T15:01:00Z")));
  const four = message(4, "Four", at("2026-11-21T01:00:00Z"));
  live.put({ ...four, html: `<p class="day"><time datetime="2026-11-21T01:00:00Z" data-style="date">21 Nov 2026</time></p>${four.html}` });
  await expect(page.locator("main > .message")).toHaveCount(4);
  expect(await days()).toEqual(["21 Nov 2026"]);
  expect(await page.locator("main > .day + .message").getAttribute("data-item")).toBe(key(3));
  await expect(page.locator(`[data-item="${key(3)}"] time`)).toHaveText("00:01");
  live.remove(key(3));
  await expect(page.locator("main > .message")).toHaveCount(3);
  expect(await page.locator("main > .day + .message").getAttribute("data-item")).toBe(key(4));
  await context.close();
});

test("the rail and find take what comes, changes and goes", async ({ page, live }) => {
  fill(live, 8);
  await open(page, live);
  const rail = page.locator("#rail li");
  await expect(rail).toHaveText(["Question 1", "Question 7"]);
  live.put(message(9, "Question 9", { prompt: true }));
  live.put(message(7, "Question 7, edited", { prompt: true }));
  await expect(rail).toHaveText(["Question 1", "Question 7, edited", "Question 9"]);
  live.remove(key(1));
  await expect(rail).toHaveText(["Question 7, edited", "Question 9"]);
  await page.keyboard.press("/");
  await page.keyboard.type("needle");
  await expect(page.locator(".find output")).toHaveText("None");
  live.put(message(10, "A needle, and a needle."));
  await expect(page.locator(".find output")).toHaveText("2");
  live.remove(key(10));
  await expect(page.locator(".find output")).toHaveText("None");
});

test("items go to where the server says", async ({ page, live }) => {
  fill(live, 4);
  await open(page, live);
  const put = (/** @type {number} */ number, /** @type {number | null} */ after) => live.push({ put: { item: key(number), after: after && key(after), page: "index.html", html: message(number, `Item ${number}`).html, new: true } });
  put(9, 2);
  put(8, null);
  put(4, 8);
  await expect(page.locator("main > [data-item]")).toHaveCount(6);
  expect(await keys(page)).toEqual([8, 4, 1, 2, 9, 3].map(key));
  for (const number of [8, 4, 1, 2, 9, 3]) live.push({ remove: { item: key(number) } });
  put(5, 3);
  await expect.poll(() => keys(page)).toEqual([key(5)]);
});

test("an empty chat begins", async ({ page, live }) => {
  live.end = '<footer class="end">\n<p class="end-empty">This chat has no messages.</p>\n</footer>';
  await open(page, live);
  await expect(page.getByText("no messages")).toBeVisible();
  live.put(message(1, "Hello", { prompt: true }));
  await expect(page.locator("main > [data-item]")).toHaveCount(1);
  await expect(page.getByText("no messages")).toBeHidden();
  live.push({ remove: { item: key(1) } });
  await expect(page.getByText("no messages")).toBeVisible();
  await expect(page.locator(".end")).toHaveCount(1);
});

test("an older page changes where its items do, and says what came elsewhere", async ({ page, live }) => {
  fill(live, 3);
  live.pages.push([message(4, "On page two")]);
  await open(page, live, "index.html");
  live.put(message(2, "Edited."), 1);
  live.put(message(5, "New."));
  live.put(message(6, "New."));
  await expect(page.locator("a.pill")).toHaveText("2 new messages");
  expect(await keys(page)).toEqual([1, 2, 3].map(key));
  await expect(page.locator(`[data-item="${key(2)}"]`)).toContainText("Edited.");
  live.push({ put: { item: key(3), after: key(2), page: "2.html", html: message(3, "Moved.").html } });
  await expect(page.locator("main > [data-item]")).toHaveCount(2);
  await page.locator("a.pill").click();
  await expect(page).toHaveURL(live.url);
  expect(await keys(page)).toEqual([4, 5, 6].map(key));
});

test("the header says what is new, and keeps the menu and what is open", async ({ page, live }) => {
  fill(live, 2);
  await open(page, live);
  await page.locator(".info > summary").click();
  live.title = "Another name";
  live.visibility = "private";
  live.push({ header: { html: live.header(), title: live.title } });
  await expect(page).toHaveTitle("Another name");
  await expect(page.locator("h1")).toHaveText("Another name");
  await expect(page.locator(".info dd")).toHaveText("private");
  await expect(page.locator(".info dd")).toBeVisible();
  await expect(page.locator(".bar")).toHaveClass(/visibility-private/);
  await expect(page.locator(".bar")).not.toHaveClass(/visibility-public/);
  for (const part of [".menu", ".rail-toggle", ".live", ".tool:has(kbd)"]) await expect(page.locator(`.bar > ${part}`)).toHaveCount(1);
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  await page.keyboard.type("Question");
  await expect(page.locator(".find output")).toHaveText(/ of /);
  live.title = "A third name";
  live.push({ header: { html: live.header(), title: live.title } });
  await expect(page.locator("h1")).toHaveText("A third name");
  await expect(page.locator(".find")).toBeVisible();
  await expect(page.locator(".find input")).toBeFocused();
  await expect(page.locator(".find output")).toHaveText(/ of /);
});

test("readers and the time of the last message are said", async ({ page, live }) => {
  fill(live, 2);
  live.seq = 1;
  await open(page, live);
  await expect(page.locator(".live")).toContainText("1 reading");
  live.tell({ viewers: 3 });
  await expect(page.locator(".live")).toContainText("3 reading");
  live.tell({ viewers: 3, mood: "unknown members are ignored" });
  live.push({ dance: {} }, { remove: { item: "unknown" } });
  live.put(message(3, "Three"));
  await expect(page.locator("main > [data-item]")).toHaveCount(3);
  await expect(page.locator(".live time")).toHaveAttribute("datetime", "2026-11-20T14:03:00.000Z");
});

test("a server that stops and starts is noticed, and nothing is lost or doubled", async ({ page, live }) => {
  fill(live, 2);
  await open(page, live);
  live.put(message(3, "Three"));
  await expect(page.locator("main > [data-item]")).toHaveCount(3);
  live.close(1012);
  await live.stop();
  await expect(page.locator(".live")).toHaveText(/^Reconnecting…/);
  live.put(message(4, "Four"));
  live.put(message(5, "Five"));
  await live.start(live.port);
  await expect(page.locator(".live")).toContainText("Live");
  await expect(page.locator("main > [data-item]")).toHaveCount(5);
  expect(live.asked.filter((url) => url.startsWith("ws")).at(-1)).toBe("ws /s/x/live?epoch=8c1f52a09be3d471&after=101");
  expect(await keys(page)).toEqual(live.pages[0].map(({ key }) => key));
});

test("a server that forgot what was gets the page fetched anew; place, folds and focus stay", async ({ page, live }) => {
  fill(live);
  live.pages[0].splice(9, 1, activity(10, ["cargo test"]));
  await open(page, live);
  await page.locator(`[data-item="${key(10)}"]`).evaluate((item) => item.scrollIntoView());
  await page.locator("details.activity > summary").click();
  const before = await top(page, key(10));
  live.pages[0].splice(0, 3);
  live.pages[0].push(message(30, "Thirty"));
  live.epoch = "0000000000000001";
  live.seq = 5;
  live.kept = [];
  live.close(4408);
  await expect(page.locator("main > [data-item]")).toHaveCount(22);
  await expect(page.locator(".pill")).toHaveText("1 new message");
  await expect(page.locator("details.activity")).toHaveAttribute("open");
  await expect(page.locator("details.activity > summary")).toBeFocused();
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  expect(Math.abs(await top(page, key(10)) - before)).toBeLessThanOrEqual(1);
  live.put(message(31, "Thirty-one"));
  await expect(page.locator("main > [data-item]")).toHaveCount(23);
  await expect(page.locator("body")).toHaveAttribute("data-epoch", "0000000000000001");
});

test("a page that is the last one no more leads to the new one", async ({ page, live }) => {
  fill(live);
  await open(page, live, "index.html");
  live.pages.push([message(30, "On page two")]);
  live.epoch = "0000000000000001";
  live.kept = [];
  live.close(4408);
  await expect(page.locator("main > .pages [rel=next]")).toHaveCount(1);
  live.put(message(31, "New."));
  await expect(page.locator("a.pill")).toHaveText("1 new message");
  await page.locator(".pill").click();
  await expect(page).toHaveURL(live.url);
  expect(await keys(page)).toEqual([30, 31].map(key));
});

test("pages that were bound anew are fetched, and what comes meanwhile is applied after", async ({ page, live }) => {
  fill(live, 3);
  await open(page, live);
  live.pages[0].splice(1, 1, message(9, "Another branch"));
  live.push({ reload: {} });
  live.put(message(10, "After it"));
  await expect(page.locator("main > [data-item]")).toHaveCount(4);
  expect(await keys(page)).toEqual([1, 9, 3, 10].map(key));
});

test("where sockets are broken, events come", async ({ page, live }) => {
  fill(live, 2);
  live.breaksSockets = true;
  await open(page, live);
  expect(live.asked.filter((url) => url.startsWith("ws"))).toHaveLength(2);
  live.put(message(3, "Three"));
  await expect(page.locator("main > [data-item]")).toHaveCount(3);
  live.close(4404);
  await expect(page.getByText("This chat has been deleted")).toBeVisible();
});

for (const [code, text] of /** @type {[number, string][]} */ ([[4404, "This chat has been deleted, or its link is not valid any more."], [4401, "This chat is private now."]])) {
  test(`after ${code} nothing of the chat is on the page`, async ({ page, live }) => {
    fill(live, 8);
    await open(page, live);
    await page.keyboard.press("/");
    await page.keyboard.type("Question");
    await expect(page.locator(".find output")).toHaveText("2 of 2");
    live.put(message(9, "Nine"));
    live.close(code);
    await expect(page.locator(".gone h1")).toHaveText(text);
    const left = await page.evaluate(() => document.title + document.body.outerHTML);
    expect(left).not.toMatch(/Question|Answer|live chat/i);
    if (code === 4401) await expect(page.getByRole("link")).toHaveAttribute("href", "/signin?next=%2Fs%2Fx%2F");
    await expect(page.getByRole("main")).toBeFocused();
    expect(live.viewers.size).toBe(0);
    await picture(page, `live-${code}`);
  });
}

for (const [status, text] of /** @type {[number, string][]} */ ([[404, "deleted"], [401, "private now"]])) {
  test(`a page that cannot connect and gets ${status} says so`, async ({ page, live }) => {
    fill(live, 2);
    await page.clock.install();
    await open(page, live);
    live.status = status;
    live.breaksSockets = true;
    live.refuses = 1001;
    live.close(1001);
    for (let step = 0; step < 20 && (await page.locator(".gone").count()) === 0; step++) {
      await page.clock.runFor(10_000);
      await page.evaluate(() => fetch("/static/base.css").then((answer) => answer.text()));
    }
    await expect(page.locator(".gone h1")).toContainText(text);
  });
}

test("frozen while it is open: the page stays and says so", async ({ page, live }) => {
  fill(live, 3);
  await open(page, live);
  live.push({ header: { html: live.header(), title: live.title } }, { end: { reason: "frozen", html: '<footer class="end"><p class="end-as-of">Snapshot of today; later messages are not in it.</p></footer>' } });
  live.close(4410);
  await expect(page.locator(".live")).toHaveText("Snapshot");
  await expect(page.locator("footer.end")).toContainText("later messages are not in it");
  await expect(page.locator("main > [data-item]")).toHaveCount(3);
  await expect(page.locator("body")).toHaveClass(/chat-frozen/);
});

test("frozen while it was away: the page is fetched once more", async ({ page, live }) => {
  fill(live, 3);
  await open(page, live);
  live.pages[0].push(message(4, "Four"));
  live.isLive = false;
  live.end = '<footer class="end"><p class="end-as-of">Snapshot of today.</p></footer>';
  live.refuses = 4410;
  live.close(1001);
  await expect(page.locator("footer.end")).toContainText("Snapshot");
  await expect(page.locator(".live")).toHaveText("Snapshot");
  await expect(page.locator("main > [data-item]")).toHaveCount(4);
});

test("the dot is not that of a live page before anything was heard", async ({ page, live }) => {
  await page.addInitScript(() => {
    window.WebSocket = /** @type {any} */ (class extends EventTarget { close() {} });
  });
  await page.goto(live.url);
  const state = page.locator(".live");
  await expect(state).toHaveText("Connecting…");
  const [dot, good] = await state.evaluate((state) => [getComputedStyle(state, "::before").backgroundColor, (state.classList.add("on"), getComputedStyle(state, "::before").backgroundColor)]);
  expect(dot).not.toBe(good);
});

test("a cut network is said, and made up for at once when it is back", async ({ page, context, live }) => {
  fill(live, 2);
  await open(page, live);
  await context.setOffline(true);
  await expect(page.locator(".live")).toHaveText(/^Offline/);
  live.put(message(3, "Three"));
  await context.setOffline(false);
  await expect(page.locator(".live")).toContainText("Live");
  await expect(page.locator("main > [data-item]")).toHaveCount(3);
});

test("a connection that says nothing any more is given up", async ({ page, live }) => {
  fill(live, 2);
  await page.clock.install();
  await open(page, live);
  const [dead] = live.viewers;
  live.viewers.delete(dead);
  live.put(message(3, "Three"));
  await page.clock.runFor(100_000);
  await expect(page.locator("main > [data-item]")).toHaveCount(3);
});

test("the way back to a live page leads to what is there now", async ({ page, live }) => {
  fill(live, 2);
  await open(page, live);
  await page.goto(`${live.url}index.html?other`);
  await page.goto("about:blank");
  live.put(message(3, "Three"));
  await page.goBack();
  await page.goBack();
  await expect(page.locator("main > [data-item]")).toHaveCount(3);
  await expect(page.locator(".live")).toContainText("Live");
});

for (const look of ["light", "dark", "phone"]) {
  test(`${look}: a picture to look at`, async ({ page, live }) => {
    if (look === "phone") await page.setViewportSize({ width: 390, height: 844 });
    await page.emulateMedia({ colorScheme: look === "dark" ? "dark" : "light" });
    fill(live);
    await open(page, live);
    await page.evaluate(() => scrollTo(0, 600));
    live.put(message(25, "Answer 25."));
    live.put(message(26, "Answer 26."));
    await expect(page.locator(".pill")).toHaveText("2 new messages");
    await picture(page, `live-${look}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(wide).toBeLessThanOrEqual(0);
  });
}
