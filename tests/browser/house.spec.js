// Accounts, tokens, the admin's page and the showcase, as people use them, on the real server; each page in all its faces.
import { crc32, deflateSync } from "node:zlib";

import { look, signIn } from "./desk.js";
import { NAMED } from "./paths.js";
import { RealServer } from "./real-server.js";
import { expect, test as watched } from "./watch.js";

/** @type {ReturnType<typeof watched.extend<{server: RealServer}>>} */
const test = watched.extend({
  server: async ({}, use) => {
    const server = await new RealServer().start();
    await use(server);
    await server.end();
  },
});

/** A picture of 64 by 40 points, blue to white. */
const PICTURE = (() => {
  /** @param {string} type @param {Buffer} data */
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(data.length, 0);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  const head = Buffer.from([0, 0, 0, 64, 0, 0, 0, 40, 8, 2, 0, 0, 0]);
  const rows = Array.from({ length: 40 }, (_, y) => Buffer.from([0, ...Array.from({ length: 64 }, (_, x) => [x * 4, 90 + y * 4, 230]).flat()]));
  return Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), chunk("IHDR", head), chunk("IDAT", deflateSync(Buffer.concat(rows))), chunk("IEND", Buffer.alloc(0))]);
})();

/** A user who signs in with a password; their number. @param {RealServer} server @param {string} name @param {string} role */
const user = async (server, name, role) => (await server.api("POST", "users", { name, role, password: `password of ${name}` })).id;
/** @param {import("@playwright/test").Page} page @param {{url: string}} server @param {string} name */
async function enter(page, server, name, password = `password of ${name}`) {
  await page.goto(`${server.url}/signin`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname !== "/signin");
}

test("a token is made, shown once, used and revoked", async ({ page, server }) => {
  await signIn(page, server);
  await page.goto(`${server.url}/tokens`);
  await expect(page.locator("main")).toContainText("No tokens yet");
  await look(page, "tokens-empty");
  await page.getByLabel("What it is for").fill("laptop <b>");
  await page.getByRole("button", { name: "Make a token" }).click();
  const token = await page.getByLabel("Your new token").inputValue();
  expect(token).toMatch(/^readalong_/);
  await look(page, "tokens-shown");
  await expect(page.locator(".row")).toContainText("laptop <b>");
  await expect(page.locator(".row")).toContainText("never used");
  await page.reload();
  expect(await page.content()).not.toContain(token);
  const me = () => fetch(`${server.url}/api/v1/users/me`, { headers: { authorization: `Bearer ${token}` } });
  expect((await me()).status).toBe(200);
  // The answer waits for nothing that only says when a token was used: the page shows it soon after.
  await expect(async () => {
    await page.reload();
    await expect(page.locator(".row")).not.toContainText("never used", { timeout: 500 });
  }).toPass();
  await page.getByLabel("What it is for").fill("laptop <b>");
  await page.getByRole("button", { name: "Make a token" }).click();
  await expect(page.getByRole("alert")).not.toBeEmpty();
  expect(await page.getByLabel("What it is for").inputValue(), "what was typed is still there").toBe("laptop <b>");
  await look(page, "tokens");
  await page.getByRole("button", { name: "Revoke laptop" }).click();
  await page.locator(".sure").getByRole("button", { name: "Cancel" }).click();
  await expect(page.locator(".row")).toHaveCount(1);
  await page.getByRole("button", { name: "Revoke laptop" }).click();
  await expect(page.locator(".sure")).toContainText("Revoke “laptop <b>”?");
  await page.locator(".sure").getByRole("button", { name: "Revoke" }).click();
  await expect(page.locator(".row")).toHaveCount(0);
  expect((await me()).status).toBe(401);
});

test("a password is changed, and sessions end one by one and all at once", async ({ page, server, browser }) => {
  await user(server, "eve", "viewer");
  await enter(page, server, "eve");
  const others = [await browser.newContext(), await browser.newContext()];
  const pages = await Promise.all(others.map((context) => context.newPage()));
  for (const other of pages) await enter(other, server, "eve");
  await page.goto(`${server.url}/account`);
  await expect(page.locator("main")).toContainText("Viewer: opens private shares");
  await expect(page.locator(".row")).toHaveCount(3);
  await expect(page.locator(".row").first()).toContainText("Chrome, ");
  await look(page, "account");
  await page.locator(".row").getByRole("button", { name: "Sign out" }).first().click();
  await expect(page.locator(".row")).toHaveCount(2);
  await page.getByRole("button", { name: "Sign out everywhere else" }).click();
  await expect(page.locator(".row")).toHaveCount(1);
  for (const other of pages) {
    await other.goto(`${server.url}/account`);
    await expect(other).toHaveURL(/\/signin\?next=\/account/);
  }
  await page.getByLabel("Password until now").fill("wrong password");
  await page.getByLabel("New password").fill("another password");
  await page.getByRole("button", { name: "Set password" }).click();
  await expect(page.getByRole("alert")).toContainText("is wrong");
  await page.getByLabel("Password until now").fill("password of eve");
  await page.getByRole("button", { name: "Set password" }).click();
  await expect(page).toHaveURL(`${server.url}/signin`);
  await enter(page, server, "eve", "another password");
  for (const context of others) await context.close();
});

test("over plain http one signs in and out on any address, and another site cannot", async ({ page, server }) => {
  await user(server, "ada", "owner");
  const named = { url: server.url.replace("127.0.0.1", NAMED) };
  await page.goto(named.url);
  expect(await page.evaluate(() => isSecureContext)).toBe(false);
  await enter(page, named, "ada");
  await page.locator("header summary").click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(`${named.url}/signin`);
  await enter(page, named, "ada");
  await page.goto(`${named.url}/signout`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(`${named.url}/signin`);
  await page.route("http://evil.example/", (route) => route.fulfill({ contentType: "text/html", body: `<form method="post" action="${named.url}/signin"><button>Win</button></form>` }));
  await page.goto("http://evil.example/");
  await page.getByRole("button", { name: "Win" }).click();
  await expect(page.getByRole("heading")).toHaveText("Not from here");
});

test("an admin revokes anybody's share and switches public sharing off", async ({ page, server, browser }) => {
  const chat = await server.liveChat(4);
  const other = await server.liveChat(4);
  await signIn(page, server);
  await page.goto(`${server.url}/admin`);
  await expect(page.locator(".row")).toHaveCount(2);
  await look(page, "admin");
  const reading = await browser.newContext();
  const reader = await reading.newPage();
  await reader.goto(chat.link);
  await expect(reader.locator(".live")).toContainText("Live");
  await page.getByLabel("Public sharing").click();
  await expect(page.locator("#said")).toContainText("Done");
  await expect(reader.locator("body")).toContainText("Sign in to read it");
  await reader.reload();
  await expect(reader).toHaveURL(/\/signin/);
  await expect(page.getByLabel("Public sharing")).not.toBeChecked();
  await page.getByLabel("Public sharing").click();
  await expect(page.getByLabel("Public sharing")).toBeChecked();
  await reader.goto(other.link);
  await expect(reader.locator(".live")).toContainText("Live");
  for (const row of [0, 0]) {
    await page.getByRole("button", { name: /^Revoke / }).nth(row).click();
    await page.locator(".sure").getByRole("button", { name: "Revoke" }).click();
    await expect(page.locator(".sure")).toHaveCount(0);
  }
  await expect(page.locator("main")).toContainText("Nothing is shared yet");
  await expect(reader.locator("body")).toContainText(/deleted|nowhere|gone/i);
  await reading.close();
});

test("an admin's switches show what is when they could not be switched", async ({ page, server, context }) => {
  await signIn(page, server);
  await page.goto(`${server.url}/admin`);
  await context.clearCookies();
  await page.getByLabel("Public sharing").click();
  await expect(page.locator("#said")).toContainText("You are signed out");
  await expect(page.getByLabel("Public sharing")).toBeChecked();
  await page.getByLabel("Showcase of featured shares").selectOption("public");
  await expect(page.getByLabel("Showcase of featured shares")).toHaveValue("disabled");
});

test("a question beside a button stands in its place, and Escape leaves it", async ({ page, server }) => {
  await signIn(page, server);
  await server.api("POST", "tokens", { name: "laptop" });
  await page.goto(`${server.url}/tokens`);
  const revoke = page.getByRole("button", { name: "Revoke laptop" });
  await revoke.click();
  await expect(revoke).toBeHidden();
  await expect(page.locator(".row bdi").first()).toHaveText("laptop");
  await look(page, "tokens-ask");
  await page.keyboard.press("Escape");
  await expect(page.locator(".sure")).toHaveCount(0);
  await expect(revoke).toBeFocused();
});

test("pages of admins are for admins, and no page is shown in a frame", async ({ page, server }) => {
  await user(server, "ada", "owner");
  for (const path of ["/admin", "/showcase/manage"]) {
    await page.goto(`${server.url}${path}`);
    await expect(page).toHaveURL(/\/signin\?next=/);
  }
  await enter(page, server, "ada");
  for (const path of ["/admin", "/showcase/manage"]) expect((await page.goto(`${server.url}${path}`))?.status()).toBe(403);
  await page.goto(`${server.url}/account`);
  await expect(page.getByRole("navigation").getByRole("link", { name: "Admin" })).toHaveCount(0);
  for (const path of ["/account", "/tokens", "/chats", "/signin", "/admin", "/setup", "/signout"]) {
    const policy = (await page.request.get(server.url + path)).headers()["content-security-policy"];
    expect(policy, path).toContain("frame-ancestors 'none'");
  }
});

test("a share is featured, seen by everybody, put in order, and taken away", async ({ page, server, browser }) => {
  const first = await server.liveChat(4);
  const second = await server.liveChat(4);
  await signIn(page, server);
  expect((await page.goto(`${server.url}/showcase`))?.status()).toBe(404);
  await page.goto(`${server.url}/showcase/manage`);
  await expect(page.locator("main")).toContainText("nobody sees it yet");
  await look(page, "featured-empty");
  for (const [share, title] of /** @type {const} */ ([[first.link, "How kites fly"], [second.id, "Strings <i>and</i> knots"]])) {
    if (!(await page.getByLabel("Link or id").isVisible())) await page.getByText("Feature a share", { exact: true }).click();
    await page.getByLabel("Link or id").fill(share);
    await page.getByLabel("Title").first().fill(title);
    await page.getByLabel("Description").first().fill("What somebody learns here, in a sentence or two.");
    await page.getByLabel("Category").first().fill("Toys");
    await page.getByRole("button", { name: "Feature it" }).click();
    await expect(page.locator(".list")).toContainText(title);
  }
  const row = page.locator("[data-entry]").first();
  await row.getByText("Edit", { exact: true }).click();
  await row.getByLabel("Picture").setInputFiles({ name: "kite.png", mimeType: "image/png", buffer: PICTURE });
  await expect(row.locator("img")).toHaveCount(1);
  await look(page, "featured");
  await row.getByText("Edit", { exact: true }).click();
  await row.getByLabel("Description").fill("Half of a sentence");
  await page.getByRole("button", { name: "Move Strings <i>and</i> knots up" }).click();
  await expect(page.getByRole("button", { name: "Move Strings <i>and</i> knots down" })).toBeFocused();
  await expect(page.locator("[data-entry]").last().getByLabel("Description"), "what was typed moves with its entry").toHaveValue("Half of a sentence");
  await expect(page.locator("[data-entry]").first()).toContainText("Strings");
  await page.goto(`${server.url}/admin`);
  await page.getByLabel("Showcase of featured shares").selectOption("public");
  await expect(page.locator("#said")).toContainText("Done");
  await page.goto(`${server.url}/showcase`);
  await look(page, "showcase-admin");

  const anybody = await browser.newContext();
  const reader = await anybody.newPage();
  await reader.goto(`${server.url}/showcase`);
  await expect(reader.locator(".featured h2")).toHaveText(["Strings <i>and</i> knots", "How kites fly"]);
  await expect(reader.locator(".featured img")).toHaveJSProperty("naturalWidth", 64);
  await look(reader, "showcase");
  await reader.getByRole("link", { name: "How kites fly" }).click();
  await expect(reader).toHaveURL(first.link);
  await server.api("PATCH", `shares/${first.id}`, { visibility: "private" });
  await reader.goto(`${server.url}/showcase`);
  await expect(reader.locator(".featured")).toHaveCount(1);

  await page.goto(`${server.url}/showcase/manage`);
  await expect(page.locator("[data-entry]"), "a share that is private now stays featured").toHaveCount(2);
  const last = page.locator("[data-entry]").last();
  await last.getByText("Edit", { exact: true }).click();
  await last.getByRole("button", { name: "Remove", exact: true }).click();
  await page.locator(".sure").getByRole("button", { name: "Remove" }).click();
  await expect(page.locator("[data-entry]")).toHaveCount(1);
  await anybody.close();
});

test("the sign-in page and the page of a server that is being set up", async ({ page }) => {
  const server = new RealServer();
  server.listens = "0.0.0.0";
  await server.start();
  try {
    await page.goto(server.url);
    await expect(page.getByRole("heading")).toHaveText("This server is being set up");
    await look(page, "setup-waiting");
    const link = /http:\S+\/setup\?token=\S+/.exec(server.said)?.[0] ?? "";
    await page.goto(link);
    await page.getByLabel("Name").fill("ada");
    await page.getByLabel("Password").fill("correct horse");
    await look(page, "setup");
    await page.getByRole("button", { name: "Make the account" }).click();
    await expect(page).toHaveURL(`${server.url}/chats`);
    await page.context().clearCookies();
    await page.goto(`${server.url}/signin`);
    await look(page, "signin");
  } finally {
    await server.end();
  }
});
