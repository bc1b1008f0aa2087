// The desk as its owner uses it, on the real server: every page in all its faces, and each thing done as a person does it.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { look, signIn } from "./desk.js";
import { OUTPUT } from "./paths.js";
import { RealServer } from "./real-server.js";
import { expect, test as watched, watch } from "./watch.js";

/** @typedef {import("@playwright/test").Page} Page */
/** @type {ReturnType<typeof watched.extend<{server: RealServer, desk: Page, reader: Page}>>} */
const test = watched.extend({
  server: async ({}, use) => {
    const server = await new RealServer().start();
    await use(server);
    await server.end();
  },
  /** The owner's browser, signed in. */
  desk: async ({ page, context, server }, use) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await signIn(page, server);
    await use(page);
  },
  /** Somebody else's browser. */
  reader: async ({ browser }, use) => {
    const context = await browser.newContext();
    const page = await context.newPage();
    watch(page);
    await use(page);
    await context.close();
  },
});

// Every look is five pictures and three runs of axe.
test.describe.configure({ timeout: 240_000 });

const rows = (/** @type {Page} */ page) => page.locator("[data-part=list] > .list > .row");
const row = (/** @type {Page} */ page, /** @type {string} */ name) => rows(page).filter({ hasText: name });
const menu = async (/** @type {Page} */ page, /** @type {string} */ name, /** @type {string} */ item) => {
  await row(page, name).locator("summary").click();
  await row(page, name).locator(".menu-item", { hasText: item }).first().click();
};
const said = (/** @type {Page} */ page) => page.locator("#said");

test("the desk begins with the owner's chats, and leads to the sign-in and back", async ({ page, server }) => {
  await page.goto(`${server.url}/chats`);
  await expect(page).toHaveURL(/\/signin\?next=\/chats$/);
  await signIn(page, server);
  await expect(page).toHaveURL(`${server.url}/chats`);
  await expect(page.locator("main")).toContainText("No chats yet");
  await look(page, "chats-empty");
  await page.locator(".bar .menu summary").click();
  await page.getByRole("button", { name: "Theme: dark" }).click();
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.locator(".bar .menu summary").click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/signin/);
});

test("chats are found by name and by what they say, sorted, and more are shown", async ({ desk, server }) => {
  for (let number = 1; number <= 60; number++) await server.api("POST", "chats", { title: `Chat ${String(number).padStart(2, "0")}` });
  const fox = await server.api("POST", "chats", { title: "‮Animals <b>" });
  await server.api("POST", `chats/${fox.id}/messages`, [{ id: "a b/c", role: "user", text: "The quick brown\nfox jumps" }]);
  await server.api("POST", "shares", { chat: fox.id, updates: "live", visibility: "public" });
  await desk.goto(`${server.url}/chats`);
  await expect(rows(desk)).toHaveCount(50);
  await expect(rows(desk).first()).toContainText("Animals <b>");
  await look(desk, "chats");
  await desk.getByRole("link", { name: "Show more" }).click();
  await expect(rows(desk)).toHaveCount(61);
  await desk.getByRole("searchbox").fill("brown FOX");
  await expect(rows(desk)).toHaveCount(1);
  await expect(rows(desk)).toContainText("The quick brown fox jumps");
  await expect(desk).toHaveURL(/q=brown\+FOX/);
  await look(desk, "chats-found");
  await desk.reload();
  await expect(rows(desk)).toHaveCount(1);
  await rows(desk).getByRole("link", { name: "Animals" }).click();
  await expect(desk.locator(".said")).toContainText("The quick brown");
  await desk.goBack();
  await desk.getByRole("searchbox").fill("no such thing");
  await expect(desk.locator(".nothing")).toContainText("Nothing is found for “no such thing”");
  await desk.getByRole("searchbox").fill("");
  await desk.getByLabel("Sort by").selectOption("title");
  await expect(rows(desk).first()).toContainText("Chat 01");
});

const SECRET = `ghp_${"b4K9".repeat(9)}`;
const transcript = (/** @type {string} */ name, /** @type {string} */ text) => {
  const file = join(OUTPUT, name);
  writeFileSync(file, JSON.stringify({ messages: [{ role: "system", content: "Be brief." }, { role: "user", content: text }, { role: "assistant", content: "Yes." }] }));
  return file;
};

test("a transcript is shown before it is added, and what is none is refused", async ({ desk, server }) => {
  await desk.locator("input[type=file]").setInputFiles(transcript("upload.json", `Is ${SECRET} a token?`));
  const upload = desk.locator("#upload");
  await expect(upload).toContainText("2 messages");
  await expect(upload).toContainText("1 message that is never shown");
  await expect(upload).toContainText("1 secret will be taken out");
  expect((await server.api("GET", "chats")).length).toBe(0);
  await look(desk, "upload");
  await upload.getByRole("button", { name: "Add this chat" }).click();
  await expect(rows(desk)).toHaveCount(1);
  await expect(said(desk)).toContainText("is added");
  const [chat] = await server.api("GET", "chats");
  expect(JSON.stringify(await server.api("GET", `chats/${chat.id}/messages`))).toContain("[redacted: ");

  await desk.locator("input[type=file]").setInputFiles(transcript("kept.json", `Keep ${SECRET} here`));
  await upload.getByLabel("False alarm: keep").check();
  await upload.getByRole("button", { name: "Add this chat" }).click();
  await expect(rows(desk)).toHaveCount(2);
  const [kept] = await server.api("GET", "chats");
  expect(JSON.stringify(await server.api("GET", `chats/${kept.id}/messages`))).toContain(SECRET);

  // Dropped on the page
  const wrong = await desk.evaluateHandle(() => {
    const data = new DataTransfer();
    data.items.add(new File(["nothing that anybody chats"], "photo.png"));
    return data;
  });
  await desk.dispatchEvent("body", "drop", { dataTransfer: wrong });
  await expect(upload.getByRole("alert")).toContainText("Nothing was taken. Choose a transcript");
  await look(desk, "upload-wrong");
  await upload.getByRole("button", { name: "Cancel" }).click();
  await expect(upload).toBeHidden();
  await expect(rows(desk)).toHaveCount(2);
});

test("a share is seen before it is made, and its link opens as said", async ({ desk, reader, server }) => {
  const chat = await server.liveChat(8);
  await desk.goto(`${server.url}/chats`);
  await menu(desk, "A live chat", "Share");
  const dialog = desk.locator("dialog");
  await expect(dialog).toContainText("8 messages, 2 prompts of people");
  await expect(dialog).toContainText("Question 1");
  await look(desk, "share");
  await expect(dialog.getByLabel("Signed-in viewers")).toBeChecked();
  await dialog.getByLabel("Name for readers").fill("For you");
  await dialog.getByRole("button", { name: "Make the link" }).click();
  await expect(dialog.getByRole("textbox", { name: "Link" })).toHaveValue(/\/s\/[0-9a-f]{32}$/);
  await look(desk, "shared");
  const link = await dialog.getByRole("textbox", { name: "Link" }).inputValue();
  await dialog.getByRole("button", { name: "Copy" }).click();
  expect(await desk.evaluate(() => navigator.clipboard.readText())).toBe(link);
  for (const kind of ["svg", "png"]) {
    const picture = await desk.request.get(`${link}/qr.${kind}`);
    expect(picture.ok()).toBe(true);
  }
  await dialog.getByRole("button", { name: "Close" }).click();
  await expect(row(desk, "A live chat")).toContainText("2 shares");

  await reader.goto(link);
  await expect(reader).toHaveURL(/\/signin\?next=/);
  await signIn(reader, server);
  await reader.goto(link);
  await expect(reader.locator("h1")).toContainText("For you");
  await expect(reader.locator(".badge")).toContainText("Private");
  await server.say(chat, 1);
  await reader.reload();
  await expect(reader.locator("main")).not.toContainText("Question 9");
});

test("switches of a share act at once, and reach those who have it open", async ({ desk, reader, server }) => {
  const chat = await server.liveChat(8);
  await reader.goto(chat.link);
  await expect(reader.locator(".live")).toContainText("Live");
  await desk.goto(`${server.url}/shares`);
  await expect(rows(desk)).toContainText("1 reader");
  await look(desk, "shares");
  await desk.getByRole("switch", { name: "A live chat is public" }).click();
  await expect(said(desk)).toContainText("only signed-in viewers");
  await expect(reader.locator(".gone h1")).toHaveText("This chat is private now.");
  await expect(desk.getByRole("switch", { name: "A live chat is public" })).not.toBeChecked();
  await desk.getByRole("switch", { name: "A live chat is public" }).click();
  await expect(rows(desk)).toContainText("Public");
  await reader.goto(chat.link);
  await expect(reader.locator(".badge")).toContainText("Public");
  await desk.getByRole("switch", { name: "A live chat shows images and files" }).click();
  await expect(said(desk)).toContainText("shows images and files now");
  await desk.getByRole("button", { name: "Copy the link of" }).click();
  expect(await desk.evaluate(() => navigator.clipboard.readText())).toBe(chat.link.replace(/\/$/, ""));
  await menu(desk, "A live chat", "QR code");
  await expect(desk.locator("dialog img")).toHaveJSProperty("complete", true);
  await look(desk, "qr");
  await desk.keyboard.press("Escape");
  await menu(desk, "A live chat", "Delete");
  await expect(desk.locator("dialog")).toContainText("1 reader has it open");
  await look(desk, "share-delete");
  await desk.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(desk.locator("main")).toContainText("Nothing is shared yet");
  await expect(reader.locator("body")).toContainText(/leads nowhere|ended|deleted/i);
  await look(desk, "shares-empty");
});

test("shares are found, filtered, brought up to date, and deleted together", async ({ desk, reader, server }) => {
  const chat = await server.liveChat(4);
  /** @type {any[]} */
  const made = [];
  for (const [name, updates, visibility] of [["One", "frozen", "public"], ["Two", "live", "private"], ["Three", "frozen", "private"]])
    made.push(await server.api("POST", "shares", { chat: chat.chat, name, updates, visibility }));
  await server.say(chat, 1);
  await desk.goto(`${server.url}/shares`);
  await expect(rows(desk)).toHaveCount(4);
  await desk.getByLabel("Who can open it").selectOption("private");
  await expect(rows(desk)).toHaveCount(2);
  await desk.getByLabel("Later messages").selectOption("frozen");
  await expect(rows(desk)).toHaveCount(1);
  await desk.getByLabel("Who can open it").selectOption("");
  await expect(rows(desk)).toHaveCount(2);
  await desk.getByRole("searchbox").fill("one");
  await expect(rows(desk)).toHaveCount(1);
  await reader.goto(made[0].url);
  await expect(reader.locator("main")).not.toContainText("Question 5");
  await menu(desk, "One", "Update to the present state");
  await expect(said(desk)).toContainText("as it is now");
  await reader.reload();
  await expect(reader.locator("main")).toContainText("Question 5");
  await desk.goto(`${server.url}/shares?sort=name`);
  await expect(rows(desk).first()).toContainText("A live chat");
  await expect(desk.locator(".no-script"), "what filters by itself needs no button").toBeHidden();
  await desk.getByRole("checkbox", { name: "Mark One" }).check();
  await desk.getByRole("checkbox", { name: "Mark Two" }).check();
  await desk.getByRole("button", { name: "Delete marked" }).click();
  await expect(desk.locator("dialog")).toContainText("Delete 2 links?");
  await desk.locator("dialog").getByRole("button", { name: "Cancel" }).click();
  await expect(rows(desk)).toHaveCount(4);
  await desk.getByRole("button", { name: "Delete marked" }).click();
  await desk.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(rows(desk)).toHaveCount(2);
  await reader.reload();
  await expect(reader.locator("body")).toContainText("This link leads nowhere");
  await desk.getByRole("button", { name: "Delete all" }).click();
  await desk.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(desk.locator("main")).toContainText("Nothing is shared yet");
});

test("what an owner changes is seen in open pages and frozen shares, and taken back", async ({ desk, reader, server }) => {
  const chat = await server.liveChat(4);
  const frozen = await server.api("POST", "shares", { chat: chat.chat, updates: "frozen", visibility: "public" });
  await reader.goto(chat.link);
  await expect(reader.locator(".live")).toContainText("Live");
  await desk.goto(`${server.url}/chats/${chat.chat}`);
  await expect(desk.locator("main")).toContainText("link of one of its 2 shares");
  await look(desk, "edit");
  const message = desk.locator("#p0");
  await message.getByRole("button", { name: "Edit this message" }).click();
  await look(desk, "edit-message");
  await message.getByRole("textbox").fill("Another question");
  await message.getByRole("button", { name: "Save" }).click();
  await expect(message).toContainText("edited");
  await expect(reader.locator("main")).toContainText("Another question");
  expect(await (await reader.request.get(`${frozen.url}/`)).text()).toContain("Another question");
  await said(desk).getByRole("button", { name: "Undo" }).click();
  await expect(message).not.toContainText("edited");
  await expect(reader.locator("main")).toContainText("Question 1");
  await desk.locator("#p1").getByRole("button", { name: "Hide this message" }).click();
  await expect(desk.locator("#p1")).toContainText("hidden");
  await expect(reader.locator("main")).not.toContainText("Answer 2");
  await desk.locator("[data-part=history]").getByRole("button", { name: "Undo: Hid a message" }).click();
  await expect(reader.locator("main")).toContainText("Answer 2");
  await desk.getByRole("button", { name: "Rename" }).click();
  await desk.getByLabel("Name of the chat").fill("A better name");
  await desk.getByRole("button", { name: "Save" }).click();
  await expect(desk.locator("h1")).toHaveText("A better name");
  await expect(reader.locator("h1")).toContainText("A better name");
  await desk.locator("#p2").getByRole("button", { name: "Remove this message" }).click();
  await expect(desk.locator("dialog")).toContainText("cannot be brought back");
  await desk.locator("dialog").getByRole("button", { name: "Remove" }).click();
  await expect(desk.locator("#p2")).toHaveCount(0);
  await expect(reader.locator("main")).not.toContainText("Answer 3");
  expect(await (await reader.request.get(`${frozen.url}/chat.json`)).text()).not.toContain("Answer 3");
  await expect(desk.locator("[data-part=history]")).toContainText("Removed a message");
  await look(desk, "edit-history");
});

test("two browsers change one message: the later one is told, and keeps what was typed", async ({ desk, reader, server }) => {
  const chat = await server.liveChat(4);
  await signIn(reader, server);
  for (const page of [desk, reader]) {
    await page.goto(`${server.url}/chats/${chat.chat}`);
    await page.locator("#p0").getByRole("button", { name: "Edit this message" }).click();
    await expect(page.locator("#p0").getByRole("textbox")).toHaveValue("Question 1");
  }
  await desk.locator("#p0").getByRole("textbox").fill("First");
  await desk.locator("#p0").getByRole("button", { name: "Save" }).click();
  await expect(desk.locator("#p0")).toContainText("First");
  await reader.locator("#p0").getByRole("textbox").fill("Second");
  await reader.locator("#p0").getByRole("button", { name: "Save" }).click();
  await expect(reader.locator("#p0").getByRole("alert")).toContainText("changed since you opened it");
  await expect(reader.locator("#p0").getByRole("textbox")).toHaveValue("Second");
  await look(reader, "edit-conflict");
});

test("a session that ends, and a server that is gone, lose nothing that was typed", async ({ desk, server, context }) => {
  const chat = await server.liveChat(4);
  await desk.goto(`${server.url}/chats`);
  await menu(desk, "A live chat", "Share");
  const dialog = desk.locator("dialog");
  await dialog.getByLabel("Name for readers").fill("Typed with care");
  const cookies = await context.cookies();
  await context.clearCookies();
  await dialog.getByRole("button", { name: "Make the link" }).click();
  await expect(dialog.getByRole("alert")).toContainText("You are signed out");
  await expect(dialog.getByRole("link", { name: "Sign in in another tab" })).toBeVisible();
  await look(desk, "signed-out");
  await context.addCookies(cookies);
  await server.stop();
  await dialog.getByRole("button", { name: "Make the link" }).click();
  await expect(dialog.getByRole("alert")).toContainText("The server does not answer");
  await look(desk, "offline");
  await server.start();
  await expect(dialog.getByLabel("Name for readers")).toHaveValue("Typed with care");
  await dialog.getByRole("button", { name: "Make the link" }).click();
  await expect(dialog.getByRole("textbox", { name: "Link" })).toHaveValue(/\/s\//);
  expect((await server.api("GET", `shares?chat=${chat.chat}`)).length).toBe(2);
});

test("names of any kind break no page, and a name that is too long is refused in place", async ({ desk, server }) => {
  const names = ["‮rtl‬ ⁦x", "a".repeat(900), "<script>alert(1)</script>", "\"' onclick=x &amp;", "שלום עולם", "😀".repeat(100)];
  for (const title of names) {
    const chat = await server.api("POST", "chats", { title });
    await server.api("POST", "shares", { chat: chat.id, updates: "live", visibility: "private", name: title });
  }
  for (const path of ["chats", "shares"]) {
    await desk.goto(`${server.url}/${path}`);
    await expect(rows(desk)).toHaveCount(names.length);
    await look(desk, `names-${path}`);
  }
  const [chat] = await server.api("GET", "chats?filter=rtl");
  await desk.goto(`${server.url}/chats/${chat.id}`);
  await desk.getByRole("button", { name: "Rename" }).click();
  await expect(desk.getByLabel("Name of the chat")).toHaveValue(names[0]);
  await desk.getByLabel("Name of the chat").fill("x".repeat(10_000));
  await desk.getByRole("button", { name: "Save" }).click();
  await expect(desk.getByRole("alert")).toContainText("1 to 1000 bytes");
  await expect(desk.getByLabel("Name of the chat")).toHaveValue("x".repeat(10_000));
});

test("a chat is exported and deleted, and its readers are told", async ({ desk, reader, server }) => {
  const chat = await server.liveChat(4);
  await reader.goto(chat.link);
  await expect(reader.locator(".live")).toContainText("Live");
  await desk.goto(`${server.url}/chats`);
  const download = desk.waitForEvent("download");
  await menu(desk, "A live chat", "Export as Markdown");
  const file = await download;
  expect(file.suggestedFilename()).toBe("A live chat.md");
  expect(readFileSync(await file.path(), "utf8")).toContain("Question 1");
  await menu(desk, "A live chat", "Copy id");
  expect(await desk.evaluate(() => navigator.clipboard.readText())).toBe(chat.chat);
  await menu(desk, "A live chat", "Delete");
  await expect(desk.locator("dialog")).toContainText("Its 1 share goes with it");
  await desk.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(desk.locator("main")).toContainText("No chats yet");
  await expect(reader.locator("body")).toContainText(/leads nowhere|ended|deleted/i);
});

test("the desk is used with the keyboard alone", async ({ desk, server }) => {
  await server.liveChat(4);
  await desk.goto(`${server.url}/chats`);
  const focused = () => desk.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent?.trim());
  for (let tabs = 0; (await focused()) !== "Menu of A live chat"; tabs++) {
    expect(tabs).toBeLessThan(20);
    await desk.keyboard.press("Tab");
  }
  await desk.keyboard.press("Enter");
  await desk.keyboard.press("Tab");
  await desk.keyboard.press("Enter");
  await expect(desk.locator("dialog")).toBeVisible();
  await desk.keyboard.press("Escape");
  await expect(desk.locator("dialog")).toHaveCount(0);
});

test("a viewer is told that the desk is for owners", async ({ reader, server }) => {
  const viewer = await server.api("POST", "users", { name: "vi", role: "viewer" });
  await signIn(reader, server, viewer.id);
  for (const path of ["chats", "shares", `chats/${"0".repeat(32)}`]) {
    const answer = await reader.goto(`${server.url}/${path}`);
    expect(answer?.status()).toBe(403);
    await expect(reader.locator("main")).toContainText("This page is for owners");
  }
});
