// What the header of a shared page says and has: the badge, what there is to know of the share, copies to keep.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { look, signIn } from "./desk.js";
import { OUTPUT, PROGRAM } from "./paths.js";
import { picture } from "./pictures.js";
import { RealServer } from "./real-server.js";
import { expect, test as watched } from "./watch.js";

/** @typedef {import("@playwright/test").Page} Page */
/** @type {ReturnType<typeof watched.extend<{server: RealServer}>>} */
const test = watched.extend({
  server: async ({}, use) => {
    const server = await new RealServer().start();
    await use(server);
    await server.end();
  },
});

// Every look is five pictures and three runs of axe.
test.describe.configure({ timeout: 240_000 });

/** A share of a chat of ten messages. @param {RealServer} server @param {any} options */
async function share(server, options) {
  const chat = await server.api("POST", "chats", { title: "Kites over the bay" });
  await server.say({ chat: chat.id, count: 0 }, 10);
  const made = await server.api("POST", "shares", { chat: chat.id, updates: "frozen", visibility: "public", ...options });
  return { id: made.id, link: `${server.url}/s/${made.id}/` };
}
const menu = (/** @type {Page} */ page) => page.locator("details.menu");
const info = (/** @type {Page} */ page) => page.locator("details.info");
/** @param {Page} page @param {string} name */
async function take(page, name) {
  await menu(page).locator("summary").click();
  const download = page.waitForEvent("download");
  await menu(page).locator(".menu-item", { hasText: name }).click();
  const file = await download;
  await expect(menu(page)).not.toHaveAttribute("open");
  return { name: file.suggestedFilename(), path: await file.path() };
}
const program = (/** @type {string[]} */ ...words) => execFileSync(PROGRAM, words, { encoding: "utf8" });

test("a private frozen share says what it is, and is taken along as a zip that verifies", async ({ page, server }) => {
  const { id, link } = await share(server, { visibility: "private", artifacts: false });
  const answer = await page.request.get(`${link}bundle.zip`, { maxRedirects: 0 });
  expect(answer.status(), "the zip is for who may read the share").toBe(401);
  await signIn(page, server);
  await page.goto(link);
  await expect(page.locator(".bar-title")).toHaveText("Kites over the bay");
  await expect(page.locator(".badge")).toHaveText("Private");
  await expect(page.locator(".badge svg")).toBeVisible();
  await look(page, "header-private");
  await info(page).locator("summary").click();
  for (const words of ["Shared by", "Only signed-in viewers", "Frozen: later messages are not in it", "Artifacts", "Not included", "Bundle"]) await expect(info(page)).toContainText(words);
  const { bundle } = await server.api("GET", `shares/${id}`);
  await expect(info(page).locator("code")).toHaveText(bundle);
  await look(page, "header-info");
  await page.keyboard.press("Escape");

  const zip = await take(page, "Bundle as zip");
  expect(zip.name).toBe("chat.zip");
  expect(program("verify", zip.path)).toContain(bundle);
  expect(readFileSync((await take(page, "Markdown")).path, "utf8")).toContain("Question 1");
  expect(JSON.parse(readFileSync((await take(page, "JSON")).path, "utf8")).title).toBe("Kites over the bay");
  await menu(page).locator("summary").click();
  await expect(menu(page).locator(".menu-item", { hasText: "zip" })).toHaveCount(1);
  await look(page, "header-menu");
});

test("a page without a server has no way to a zip", async ({ page, server }) => {
  const { id, link } = await share(server, {});
  await page.goto(link);
  const zip = await take(page, "Bundle as zip");
  const folder = mkdtempSync(join(OUTPUT, "header-"));
  program("unpack", zip.path, "-o", folder);
  const { bundle } = await server.api("GET", `shares/${id}`);
  await page.goto(pathToFileURL(join(folder, bundle, "index.html")).href);
  await expect(page.locator(".badge")).toHaveText("Public");
  const asked = page.waitForEvent("requestfailed");
  await menu(page).locator("summary").click();
  await asked;
  await expect(menu(page).locator(".menu-item", { hasText: "Markdown" })).toBeVisible();
  await expect(menu(page).locator(".menu-item", { hasText: "zip" })).toHaveCount(0);
  await info(page).locator("summary").click();
  await expect(info(page)).not.toContainText("Bundle");
});

test("a live share has copies and no bundle", async ({ page, server }) => {
  const { link } = await share(server, { updates: "live" });
  await page.goto(link);
  await expect(page.locator(".live")).toContainText("Live");
  await expect(page.locator(".badge")).toHaveText("Public");
  await info(page).locator("summary").click();
  await expect(info(page)).toContainText("New messages appear as they come");
  expect(readFileSync((await take(page, "Markdown")).path, "utf8")).toContain("Question 1");
  await expect(menu(page).locator(".menu-item", { hasText: "zip" })).toHaveCount(0);
});

test("with the keyboard alone, what there is to know and the copies are reached", async ({ page, server }) => {
  const { link } = await share(server, {});
  await page.goto(link);
  const tabTo = async (/** @type {import("@playwright/test").Locator} */ place) => {
    for (let tabs = 0; !(await place.evaluate((node) => node === document.activeElement)); tabs++) {
      expect(tabs).toBeLessThan(40);
      await page.keyboard.press("Tab");
    }
  };
  await tabTo(info(page).locator("summary"));
  await page.keyboard.press("Enter");
  await expect(info(page).locator("dl")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(info(page).locator("dl")).toBeHidden();
  await tabTo(menu(page).locator("summary"));
  await page.keyboard.press("Enter");
  await expect(menu(page).locator(".menu-item", { hasText: "zip" })).toBeVisible();
  await tabTo(menu(page).locator(".menu-item", { hasText: "zip" }));
  const download = page.waitForEvent("download");
  await page.keyboard.press("Enter");
  await download;
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  test("what there is to know is a touch away", async ({ page, server }) => {
    const { link } = await share(server, {});
    await page.goto(link);
    await menu(page).locator("summary").tap();
    await menu(page).locator(".menu-item", { hasText: "About this chat" }).tap();
    await expect(info(page).locator("dl")).toBeVisible();
    await expect(info(page)).toContainText("Shared by");
    await expect(info(page).locator("code")).toBeVisible();
    await picture(page, "header-phone-info");
    await page.locator("main").tap({ position: { x: 20, y: 700 } });
    await expect(info(page).locator("dl")).toBeHidden();
  });
});

test("a link to a message of a private share still leads there after the sign-in", async ({ page, server }) => {
  await server.api("POST", "users", { name: "vera", role: "viewer", password: "password of vera" });
  const { link } = await share(server, { visibility: "private" });
  await signIn(page, server);
  await page.goto(link);
  const to = await page.locator("article.prompt .permalink").nth(2).evaluate((link) => /** @type {HTMLAnchorElement} */ (link).href);
  await page.context().clearCookies();
  await page.goto("about:blank");
  await page.goto(to);
  for (const password of ["another", "password of vera"]) {
    await page.getByLabel("Name").fill("vera");
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
  }
  await expect(page).toHaveURL(to);
  await expect(page.locator("article.prompt:target")).toBeInViewport();
});
