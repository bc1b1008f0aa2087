// The desk as its owner uses it, on the real server: every page in all its faces, and each thing done as a person does it.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { look, signIn } from "./desk.js";
import { OUTPUT } from "./paths.js";
import { picture } from "./pictures.js";
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

test("of several chats in a file each is shown with its day", async ({ desk }) => {
  const conversation = (/** @type {string} */ id, /** @type {number} */ at) => ({
    title: "Tax question", conversation_id: id, create_time: at, update_time: at,
    mapping: { a: { id: "a", parent: null, children: [], message: { id: "a", author: { role: "user" }, create_time: at, content: { content_type: "text", parts: ["How much?"] } } } },
  });
  const file = join(OUTPUT, "conversations.json");
  writeFileSync(file, JSON.stringify([conversation("one", 1_760_000_000), conversation("two", 1_770_000_000)]));
  await desk.locator("input[type=file]").setInputFiles(file);
  await expect(desk.locator("#upload time")).toHaveText(["9 Oct 2025", "2 Feb 2026"]);
  await look(desk, "upload-several");
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
  await expect(rows(desk).first().getByRole("checkbox"), "nothing that deletes has the focus").toBeFocused();
  await desk.setViewportSize({ width: 390, height: 844 });
  for (const target of [".mark-of", ".row-name a", "select"]) expect((await desk.locator(target).first().boundingBox())?.height, target).toBeGreaterThanOrEqual(44);
  const [mark, more] = await Promise.all([".mark-of", ".row-menu"].map((part) => desk.locator(`.row.share ${part}`).first().boundingBox()));
  expect(Math.abs(Number(mark?.y) - Number(more?.y)), "mark, name and menu stand in one line").toBeLessThan(10);
  await desk.setViewportSize({ width: 1280, height: 720 });
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

/** Has requests whose address or body is like this wait until it is told that they may go. @param {Page} page @param {RegExp} pattern */
const held = async (page, pattern) => {
  /** @type {() => void} */
  let go = () => {};
  const gone = new Promise((/** @type {(value?: any) => void} */ done) => (go = done));
  let isFirst = true;
  await page.route(pattern, async (route) => {
    const waits = isFirst;
    isFirst = false;
    if (waits) await gone;
    await route.continue();
  });
  return go;
};
const dropped = (/** @type {Page} */ page, /** @type {string} */ name, /** @type {string} */ text) => page.evaluate(([name, text]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}, [name, text]);
const chatOf = (/** @type {string} */ text) => JSON.stringify({ messages: [{ role: "user", content: text }, { role: "assistant", content: "Yes." }] });

test("of several files that are dropped the first is shown, and said to be the first", async ({ desk }) => {
  await desk.evaluate(([first, second]) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([first], "first.json"));
    dataTransfer.items.add(new File([second], "second.json"));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }, [chatOf("The first file"), chatOf("The second file")]);
  await expect(said(desk)).toContainText("One file at a time");
  await expect(desk.locator("#upload h2")).toContainText("first");
});

test("a menu closes where the focus leaves it", async ({ desk, server }) => {
  await server.liveChat(4);
  await desk.goto(`${server.url}/chats`);
  const menu = desk.locator("[data-part=list] details[data-menu]");
  await menu.locator("summary").focus();
  await desk.keyboard.press("Enter");
  await expect(menu).toHaveAttribute("open");
  await desk.keyboard.press("Tab");
  await expect(menu.locator(".menu-item").first()).toBeFocused();
  await desk.keyboard.press("Shift+Tab");
  await desk.keyboard.press("Shift+Tab");
  await expect(menu).not.toHaveAttribute("open");
});

test("while a transcript is being added nothing says that it can be cancelled", async ({ desk }) => {
  await dropped(desk, "one.json", chatOf("The only file"));
  const upload = desk.locator("#upload");
  const cancel = upload.getByRole("button", { name: "Cancel" });
  await expect(cancel).toBeVisible();
  const go = await held(desk, /\/api\/v1\/import/);
  await upload.getByRole("button", { name: "Add this chat" }).click();
  await expect(cancel).toBeHidden();
  go();
  await expect(said(desk)).toContainText("is added");
  // Where it could not be, it can be left
  await dropped(desk, "two.json", chatOf("Another file"));
  await desk.route(/\/api\/v1\/import/, (route) => route.abort());
  await upload.getByRole("button", { name: "Add this chat" }).click();
  await expect(upload.getByRole("alert")).toContainText("The server does not answer");
  await cancel.click();
  await expect(upload).toBeHidden();
});

test("a file that grows while it is looked at is added as it was shown, and a folder is said to be none", async ({ desk, server }, info) => {
  const path = info.outputPath("grows.json");
  writeFileSync(path, chatOf("As it was shown"));
  await desk.locator("input[type=file]").setInputFiles(path);
  const upload = desk.locator("#upload");
  await expect(upload).toContainText("2 messages");
  writeFileSync(path, `${chatOf("As it was shown")}\n${chatOf("More")}`);
  await upload.getByRole("button", { name: "Add this chat" }).click();
  await expect(said(desk)).toContainText("is added");
  await expect(rows(desk)).toHaveCount(1);
  // As the browser's own drop hands it over
  const devtools = await desk.context().newCDPSession(desk);
  const data = { items: [], files: [dirname(path)], dragOperationsMask: 1 };
  for (const type of /** @type {const} */ (["dragEnter", "dragOver", "drop"])) await devtools.send("Input.dispatchDragEvent", { type, x: 300, y: 300, data });
  await expect(upload.getByRole("alert")).toContainText("it is a folder");
  await expect(upload.getByRole("button")).toHaveText(["Cancel"]);
});

test("of two files that are looked at, the later one is shown and added, once", async ({ desk, server }) => {
  const go = await held(desk, /\/api\/v1\/inspect/);
  await dropped(desk, "first.json", chatOf("The first file"));
  await dropped(desk, "second.json", chatOf("The second file"));
  const upload = desk.locator("#upload");
  await expect(upload.locator("h2")).toContainText("second");
  const answered = desk.waitForResponse(/inspect\?name=first/);
  go();
  await answered;
  await expect(upload.locator("h2")).toContainText("second");
  await upload.getByRole("button", { name: "Add this chat" }).dblclick();
  await expect(said(desk)).toContainText("second");
  await expect(rows(desk)).toHaveCount(1);
  expect((await server.api("GET", "chats")).map((/** @type {any} */ { title }) => title)).toEqual([expect.stringContaining("second")]);
});

test("a switch that could not do what it says shows again what is, and does what it was told last", async ({ desk, server, context }) => {
  const chat = await server.liveChat(4);
  await desk.goto(`${server.url}/shares`);
  const cookies = await context.cookies();
  const isPublic = desk.getByRole("switch", { name: "A live chat is public" });
  await context.clearCookies();
  await isPublic.click();
  await expect(said(desk)).toContainText("You are signed out");
  await expect(isPublic).toBeChecked();
  await context.addCookies(cookies);
  const go = await held(desk, new RegExp(`/api/v1/shares/${chat.id}`));
  await isPublic.click();
  await isPublic.click();
  go();
  await expect(said(desk)).toContainText("anyone with the link");
  await expect(isPublic).toBeChecked();
  expect((await server.api("GET", `shares/${chat.id}`)).visibility).toBe("public");
});

test("the preview says what the box beside it says, however slow its answers are", async ({ desk, server }) => {
  const chat = await server.liveChat(4);
  await desk.goto(`${server.url}/chats/${chat.chat}/share`);
  const asked = [];
  desk.on("request", (request) => request.url().includes("artifacts=") && asked.push(request.url().split("=").at(-1)));
  const go = await held(desk, /artifacts=true/);
  const box = desk.getByLabel("With images and files");
  await box.check();
  await box.uncheck();
  go();
  await expect.poll(() => asked).toEqual(["true", "false"]);
});

test("Undo takes back what was just done, or is not offered", async ({ desk, server }) => {
  const chat = await server.liveChat(4);
  await desk.goto(`${server.url}/chats/${chat.chat}`);
  const open = async (/** @type {string} */ id) => {
    await desk.locator(id).getByRole("button", { name: "Edit this message" }).click();
    return desk.locator(id).getByRole("textbox");
  };
  await (await open("#p0")).fill("Edited first");
  await desk.locator("#p0").getByRole("button", { name: "Save" }).click();
  await expect(said(desk).getByRole("button", { name: "Undo" })).toBeVisible();
  await open("#p1");
  await desk.locator("#p1").getByRole("button", { name: "Save" }).click();
  await expect(desk.locator("#p1").getByRole("textbox")).toHaveCount(0);
  await expect(desk.locator("#p1").getByRole("button", { name: "Edit this message" })).toBeFocused();
  await expect(desk.locator("#p1")).not.toContainText("edited");

  // Somebody else's change comes between
  await desk.route(/\/messages\?id=m-3$/, async (route) => {
    const answer = await route.fetch();
    await server.api("PATCH", `chats/${chat.chat}/messages/m-4`, { hidden: true });
    await route.fulfill({ response: answer });
  });
  await desk.locator("#p2").getByRole("button", { name: "Hide this message" }).click();
  await expect(desk.locator("#p3")).toContainText("hidden");
  await said(desk).getByRole("button", { name: "Undo" }).click();
  await expect(desk.locator("#p2")).not.toContainText("hidden");
  await expect(desk.locator("#p3")).toContainText("hidden");
  await expect(desk.locator("#p0")).toContainText("Edited first");
});

test("what is typed stays while something else is done on the page", async ({ desk, server }) => {
  const chat = await server.liveChat(4);
  await desk.goto(`${server.url}/chats/${chat.chat}`);
  await desk.locator("#p1").getByRole("button", { name: "Edit this message" }).click();
  const field = desk.locator("#p1").getByRole("textbox");
  await field.fill("Half of a sentence");
  await desk.getByRole("button", { name: "Rename" }).click();
  await desk.getByLabel("Name of the chat").fill("Half a name");
  await desk.locator("#p2").getByRole("button", { name: "Hide this message" }).click();
  await expect(desk.locator("#p2")).toContainText("hidden");
  await expect(desk.locator("#p2").getByRole("button", { name: "Show this message" })).toBeFocused();
  await expect(field).toHaveValue("Half of a sentence");
  await expect(desk.getByLabel("Name of the chat")).toHaveValue("Half a name");
  await desk.getByRole("button", { name: "Undo: Hid a message" }).click();
  await expect(desk.locator("#p2")).not.toContainText("hidden");
  await expect(field).toHaveValue("Half of a sentence");
  await desk.locator("#p1").getByRole("button", { name: "Save" }).click();
  await expect(desk.locator("#p1")).toContainText("Half of a sentence");
  await expect(desk.locator("#p1")).toContainText("edited");
  await expect(desk.getByLabel("Name of the chat")).toHaveValue("Half a name");
});

test("marked shares are deleted though one is gone, and all are those that were named", async ({ desk, reader, server }) => {
  const chat = await server.liveChat(4);
  const made = [];
  for (const name of ["One", "Two", "Three"]) made.push(await server.api("POST", "shares", { chat: chat.chat, name, updates: "live", visibility: "public" }));
  await desk.goto(`${server.url}/shares`);
  await desk.getByRole("checkbox", { name: "Mark One" }).check();
  await desk.getByRole("checkbox", { name: "Mark Two" }).check();
  await server.api("DELETE", `shares/${made[0].id}`);
  await desk.getByRole("button", { name: "Delete marked" }).click();
  await desk.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(rows(desk)).toHaveCount(2);
  expect((await server.api("GET", "shares")).length).toBe(2);

  await reader.goto(made[2].url);
  await expect(reader.locator(".live")).toContainText("Live");
  await desk.getByRole("button", { name: "Delete all" }).click();
  await expect(desk.locator("dialog")).toContainText("Delete 2 links?");
  await expect(desk.locator("dialog")).toContainText("1 reader has it open");
  await server.api("POST", "shares", { chat: chat.chat, name: "Later", updates: "live", visibility: "public" });
  await desk.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(rows(desk)).toHaveCount(1);
  await expect(rows(desk)).toContainText("Later");
});

test("all is deleted of whom the page is, not of who signed in elsewhere meanwhile", async ({ desk, server, context }) => {
  await server.liveChat(4);
  const eve = await server.api("POST", "users", { name: "eve", role: "owner", password: "password of eve" });
  await desk.goto(`${server.url}/shares`);
  await expect(rows(desk)).toHaveCount(1);
  const other = await context.newPage();
  await signIn(other, server, eve.id);
  await other.close();
  await desk.getByRole("button", { name: "Delete all" }).click();
  await expect(rows(desk)).toHaveCount(0);
  await expect(desk.locator("dialog")).toHaveCount(0);
  expect((await server.api("GET", "shares")).length).toBe(1);
});

test("a list stays as long as it was, and marked, whatever is done in it", async ({ desk, server }) => {
  const chat = await server.liveChat(4);
  for (let number = 1; number <= 60; number++) await server.api("POST", "shares", { chat: chat.chat, name: `Share ${String(number).padStart(2, "0")}`, updates: "live", visibility: "private" });
  await desk.goto(`${server.url}/shares?sort=name`);
  await desk.getByRole("link", { name: "Show more" }).dblclick();
  await expect(rows(desk)).toHaveCount(61);
  await expect(desk).toHaveURL(/sort=name$/);
  await desk.getByRole("checkbox", { name: "Mark Share 03" }).check();
  await desk.getByRole("switch", { name: "Share 60 is public" }).click();
  await expect(said(desk)).toContainText("anyone with the link");
  await expect(rows(desk)).toHaveCount(61);
  await expect(desk.getByRole("switch", { name: "Share 60 is public" })).toBeFocused();
  await expect(desk.getByRole("checkbox", { name: "Mark Share 03" })).toBeChecked();
  await desk.getByRole("searchbox").fill("Share 0");
  await expect(rows(desk)).toHaveCount(9);
  await expect(desk.getByRole("checkbox", { name: "Mark Share 03" })).toBeChecked();
  await expect(desk.getByRole("button", { name: "Delete marked" })).toBeEnabled();
  await menu(desk, "Share 05", "Delete");
  await desk.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(rows(desk)).toHaveCount(8);
  await expect(row(desk, "Share 06").locator("summary")).toBeFocused();
  await desk.getByRole("link", { name: "Chats" }).first().click();
  await desk.goBack();
  await expect(desk.getByRole("checkbox", { name: "Mark Share 03" })).not.toBeChecked();
});

test("a share that has ended is listed as such", async ({ desk, server }) => {
  const chat = await server.liveChat(4);
  const [soon, later] = [400, 864e5].map((wait) => new Date(Date.now() + wait).toISOString());
  const ended = await server.api("POST", "shares", { chat: chat.chat, name: "Ended", updates: "live", visibility: "public", expires_at: soon });
  await server.api("POST", "shares", { chat: chat.chat, name: "Goes on", updates: "live", visibility: "public", expires_at: later });
  await expect.poll(async () => (await desk.request.get(ended.url)).status()).toBe(404);
  await desk.goto(`${server.url}/shares`);
  const tail = (/** @type {string} */ name) => row(desk, name).locator(".ends").evaluate((ends) => getComputedStyle(ends, "::after").content);
  expect(await tail("Ended")).toContain("has ended");
  expect(await tail("Goes on")).toBe("none");
  await look(desk, "shares-ended");
});

test("a search that is answered late shows what was typed last", async ({ desk, server }) => {
  await server.api("POST", "chats", { title: "An old one" });
  await server.liveChat(4);
  await desk.goto(`${server.url}/chats`);
  const go = await held(desk, /\/chats\?q=A&/);
  const asked = desk.waitForRequest(/\/chats\?q=A&/);
  await desk.getByRole("searchbox").fill("A");
  await asked;
  const answered = desk.waitForResponse(/\/chats\?q=A&/);
  await desk.getByRole("searchbox").fill("A live");
  setTimeout(go, 500);
  await answered;
  await expect(rows(desk)).toHaveCount(1);
  await expect(desk).toHaveURL(/q=A\+live/);
});

test("links are copied on addresses without https, and it is said in the dialog", async ({ desk, server }) => {
  const chat = await server.liveChat(4);
  await desk.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await desk.goto(`${server.url}/shares`);
  const copied = () => desk.evaluate(() => /** @type {any} */ (window).copied);
  await desk.evaluate(() => document.addEventListener("copy", () => (/** @type {any} */ (window).copied = String(/** @type {any} */ (document.activeElement).value ?? getSelection()))));
  await desk.getByRole("button", { name: "Copy the link of" }).click();
  await expect(said(desk)).toContainText("Copied");
  expect(await copied()).toBe(chat.link.replace(/\/$/, ""));
  await desk.goto(`${server.url}/chats`);
  await menu(desk, "A live chat", "Share");
  const dialog = desk.locator("dialog");
  await dialog.getByRole("button", { name: "Make the link" }).click();
  await dialog.getByRole("button", { name: "Copy" }).click();
  await expect(dialog.getByRole("status")).toContainText("Copied");
  await picture(desk, "desk-copied");
  await desk.keyboard.press("Escape");
  await expect(row(desk, "A live chat").locator("summary")).toBeFocused();
});

test("what is gone meanwhile is said to be gone, and goes from the list", async ({ desk, server }) => {
  const chat = await server.liveChat(4);
  await desk.goto(`${server.url}/chats/${chat.chat}`);
  await server.api("DELETE", `chats/${chat.chat}/messages/m-2`);
  await desk.locator("#p1").getByRole("button", { name: "Edit this message" }).click();
  await expect(said(desk)).toContainText("It is not there any more");
  await expect(desk.locator("#p1")).toHaveCount(0);
  await desk.getByRole("link", { name: "Share", exact: true }).dblclick();
  await expect(desk.locator("dialog")).toHaveCount(1);
  await expect(desk).toHaveURL(`${server.url}/chats/${chat.chat}`);
  await desk.goto(`${server.url}/chats`);
  await server.api("DELETE", `chats/${chat.chat}`);
  await menu(desk, "A live chat", "Share");
  await expect(said(desk)).toContainText("It is not there any more");
  await expect(rows(desk)).toHaveCount(0);
});

test("whatever a transcript calls its messages, a change of one is a change of that one", async ({ desk, server }) => {
  const { id } = await server.api("POST", "chats", { title: "Odd ids" });
  const ids = ["../../../users/2", "..", ".", "a/b?c#d&e=%2e", "%2e%2e"];
  await server.api("POST", `chats/${id}/messages`, ids.map((name) => ({ id: name, role: "user", text: `This is ${name}` })));
  await desk.goto(`${server.url}/chats/${id}`);
  /** @type {string[]} */
  const asked = [];
  desk.on("request", (request) => request.method() !== "GET" && asked.push(new URL(request.url()).pathname));
  for (const [place, name] of ids.entries()) {
    await desk.locator(`#p${place}`).getByRole("button", { name: "Hide this message" }).click();
    await expect(desk.locator(`#p${place}`)).toContainText("hidden");
    await desk.locator(`#p${place}`).getByRole("button", { name: "Remove this message" }).click();
    await desk.locator("dialog").getByRole("button", { name: "Remove" }).click();
    await expect(desk.locator(`#p${place}`), name).toHaveCount(0);
  }
  expect(new Set(asked)).toEqual(new Set([`/api/v1/chats/${id}/messages`]));
});

test("without script nothing is offered that needs it, and nothing that was typed is sent", async ({ browser, server }) => {
  await server.liveChat(4);
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await server.api("POST", "users", { name: "eve", role: "owner", password: "password of eve" });
  await page.goto(`${server.url}/signin`);
  await page.getByLabel("Name").fill("eve");
  await page.getByLabel("Password").fill("password of eve");
  await page.getByRole("button", { name: "Sign in" }).click();
  expect(await (await page.goto(`${server.url}/account`))?.text()).toMatch(/<noscript>.*Without script these pages can be read/);
  await expect(page.locator("form.narrow button")).toBeHidden();
  await page.getByLabel("Password until now").fill("password of eve");
  await page.getByLabel("New password").fill("another password");
  await page.getByLabel("New password").press("Enter");
  await page.locator("form.narrow button").dispatchEvent("click");
  await picture(page, "desk-no-script");
  await expect(page).toHaveURL(`${server.url}/account`);
  await context.close();
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
