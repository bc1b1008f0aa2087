// What `readalong publish` sends, on a plain static host and in a folder that is opened from the disk: the link, its updates, a page that grows.
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { writePage } from "../tools/hostile.mjs";
import { bundle, files, serve } from "./bundles.js";
import { OUTPUT, PROGRAM } from "./paths.js";
import { expect, test } from "./watch.js";

/** @param {number} from @param {number} to */
const lines = (from, to) => {
  let text = "";
  for (let n = from; n < to; n++) text += `${JSON.stringify({ id: `m${n}`, role: n % 2 ? "assistant" : "user", content: `Message ${n} of this chat. ${"More words. ".repeat(20)}` })}\n`;
  return text;
};

/** A folder with a transcript, a data folder and a site that a plain host serves. */
class Site {
  folder = mkdtempSync(join(OUTPUT, "site-"));
  chat = join(this.folder, "chat.jsonl");
  root = join(this.folder, "site");
  env = { ...process.env, READALONG_DATA: join(this.folder, "data"), READALONG_CONFIG: "/dev/null" };
  /** @type {{url: string, close: () => Promise<unknown>} | undefined} */
  host;

  /** @param {number} count */
  async start(count) {
    mkdirSync(this.root);
    writeFileSync(this.chat, lines(0, count));
    this.host = await serve(this.root);
    return this;
  }

  /** @param {string[]} more @returns {{share: string, link: string, bundle: string}} */
  publish(...more) {
    return JSON.parse(execFileSync(PROGRAM, ["publish", this.chat, "--to", this.root, "--json", ...more], { env: this.env, encoding: "utf8" }));
  }

  /** Keeps it in step until it is stopped; answers with the link once it is there. @param {string[]} more @returns {Promise<{link: string, stop: () => Promise<unknown>}>} */
  live(...more) {
    const child = spawn(PROGRAM, ["publish", this.chat, "--to", this.root, "--json", "--live", ...more], { env: this.env, stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise((done) => child.once("exit", done));
    const stop = () => (child.kill("SIGINT"), ended);
    return new Promise((done, fail) => {
      let said = "";
      child.stdout.on("data", (text) => {
        said += text;
        const [line] = said.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}"));
        if (line) done({ link: JSON.parse(line).link, stop });
      });
      child.once("exit", () => fail(new Error(said)));
    });
  }

  /** The same link on the host. @param {string} link */
  onHost(link) {
    return new URL(link.slice(this.root.length + 1), this.host?.url).href;
  }

  /** @param {string} link */
  onDisk(link) {
    const [path, key] = link.split("#");
    return pathToFileURL(path ?? "").href + (key ? `#${key}` : "");
  }

  async end() {
    await this.host?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** @type {Site} */
let site;
test.beforeEach(async () => {
  site = await new Site().start(6);
});
test.afterEach(() => site.end());

for (const place of /** @type {const} */ (["onHost", "onDisk"])) {
  test(`the link leads to the newest version, and the anchor with it (${place})`, async ({ page }) => {
    const { link } = site.publish();
    await page.goto(site[place](link));
    await expect(page.locator("main")).toContainText("Message 5 of this chat.");
    const anchor = await page.locator("main > [data-item]").last().getAttribute("id");
    appendFileSync(site.chat, lines(6, 8));
    expect(site.publish().link).toBe(link);
    await page.goto(`${site[place](link)}#${anchor}`);
    await expect(page.locator("main")).toContainText("Message 7 of this chat.");
    expect(new URL(page.url()).hash).toBe(`#${anchor}`);
  });

  for (const more of [[], ["--encrypt"]]) {
    test(`a page that grows shows new messages without being loaded again (${[place, ...more].join(" ")})`, async ({ page }) => {
      const { link, stop } = await site.live(...more);
      try {
        await page.goto(site[place](link));
        await expect(page.locator("main")).toContainText("Message 5 of this chat.");
        await page.evaluate(() => (document.documentElement.dataset.mine = "yes"));
        appendFileSync(site.chat, lines(6, 9));
        await expect(page.locator("main")).toContainText("Message 8 of this chat.", { timeout: 15_000 });
        expect(await page.evaluate(() => document.documentElement.dataset.mine)).toBe("yes");
        await expect(page.locator(".live-state")).toHaveText("Live");
      } finally {
        await stop();
      }
      await page.goto("about:blank");
      await page.goto(site[place](link));
      await expect(page.locator("main")).toContainText("Message 8 of this chat.");
    });
  }
}

for (const place of /** @type {const} */ (["onHost", "onDisk"])) {
  for (const more of [[], ["--encrypt"]]) {
    test(`the link of a page that grows leads to the newest messages, from older pages too (${[place, ...more].join(" ")})`, async ({ page }) => {
      writeFileSync(site.chat, lines(0, 400));
      const { link, stop } = await site.live(...more);
      try {
        await page.goto(site[place](link));
        await expect(page.getByText("Message 399 of this chat.")).toBeInViewport();
        await page.locator(".pages-top a[rel=prev]").click();
        await expect(page.locator("main")).not.toContainText("Message 399 of this chat.");
        await expect(page.locator("main > [data-item]").first()).toBeVisible();
        await expect(page.locator(".live-state")).toHaveText("Live");
        appendFileSync(site.chat, lines(400, 402));
        await page.getByRole("link", { name: "2 new messages" }).click({ timeout: 15_000 });
        await expect(page.locator("main")).toContainText("Message 401 of this chat.");
        await page.goBack();
        await expect(page.locator("main")).not.toContainText("Message 399 of this chat.");
        await page.getByRole("link", { name: "Newest messages" }).click();
        await expect(page.locator("main")).toContainText("Message 401 of this chat.");
        await expect(page.locator(".live-state")).toHaveText("Live");
      } finally {
        await stop();
      }
    });
  }
}

test("of an encrypted page that grows only pages are shown as pages, whatever the address says", async ({ page }) => {
  site.chat = writePage(site.folder);
  const { link, stop } = await site.live("--encrypt");
  try {
    for (const path of [...files(bundle("page")).filter((path) => path.startsWith("files/")), "chat.json"]) {
      await page.goto("about:blank");
      await page.goto(site.onHost(link).replace("#", `#p=${encodeURIComponent(path)}&`));
      await expect(page.locator("#problem"), path).toContainText(`There is no page ${path}`);
      expect(await page.evaluate("window.pwned"), path).toBeUndefined();
    }
    await page.goto("about:blank");
    await page.goto(site.onHost(link).replace("#", "#p=index.html&"));
    await expect(page.locator("main")).toContainText("They look fine.");
  } finally {
    await stop();
  }
});

for (const more of [[], ["--encrypt"]]) {
  test(`find looks through the whole of a page that grows (${["onHost", ...more].join(" ")})`, async ({ page }) => {
    writeFileSync(site.chat, lines(0, 400));
    const { link, stop } = await site.live(...more);
    try {
      await page.goto(site.onHost(link));
      await expect(page.getByText("Message 399 of this chat.")).toBeInViewport();
      await page.keyboard.press("/");
      await page.locator(".find input").fill("Message 399 of");
      await expect(page.locator(".find output")).toHaveText("1 of 1");
      await page.locator(".find input").fill("Message 7 of");
      await expect(page.locator(".find output")).toHaveText("1");
      await page.keyboard.press("Enter"); // leads to the page that has it
      await expect(page.locator(".find output")).toHaveText("1 of 1");
      await expect(page.locator(".live-state")).toHaveText("Live");
      // What came since the search data of the last page was sent, and what grew.
      appendFileSync(site.chat, lines(400, 402));
      await expect(page.getByRole("link", { name: "2 new messages" })).toBeVisible({ timeout: 15_000 });
      await page.locator(".find input").fill("Message 401 of");
      await expect(page.locator(".find output")).toHaveText("1");
      await page.keyboard.press("Enter");
      await expect(page.locator(".find output")).toHaveText("1 of 1");
      await page.goBack();
      await expect(page.locator("main")).not.toContainText("Message 399 of this chat.");
      await page.locator(".find input").fill("of this chat.");
      await expect(page.locator(".find output")).toHaveText(/^\d+ of 402$/);
    } finally {
      await stop();
    }
  });
}

test("a page that is open when others are sent anew turns to them as they are now, decrypted", async ({ page }) => {
  writeFileSync(site.chat, lines(0, 400));
  const { link, stop } = await site.live("--encrypt");
  try {
    await page.goto(site.onHost(link));
    await expect(page.getByText("Message 399 of this chat.")).toBeInViewport();
    await page.locator(".pages-top a[rel=prev]").click();
    await expect(page.locator("main")).not.toContainText("Message 399 of this chat.");
    // So much that the last page is finished, and others come after it.
    appendFileSync(site.chat, lines(400, 800));
    await expect(page.getByRole("link", { name: /\d+ new messages/ })).toBeVisible({ timeout: 20_000 });
    await page.locator(".pages-bottom a[rel=next]").click();
    await expect(page.locator("main")).toContainText("Message 401 of this chat.");
  } finally {
    await stop();
  }
});

test("a share that was taken back says so, and a page of a version that is gone leads to the share", async ({ page }) => {
  const { link, share, bundle } = site.publish();
  appendFileSync(site.chat, lines(6, 8));
  site.publish();
  const gone = new URL(`s/${share}/${bundle.slice(0, 16)}/index.html`, site.host?.url).href;
  expect((await page.request.get(gone)).status()).toBe(404);
  // The page for what is missing leads to a share of this host, and to no other host.
  const missing = readFileSync(join(site.root, "404.html"), "utf8");
  await page.route("**/nowhere/**", (route) => route.fulfill({ status: 404, contentType: "text/html", body: missing }));
  await page.route("**/s/00000000000000000000000000000000/", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "the share" }));
  const host = new URL(String(site.host?.url)).origin;
  const path = "s/00000000000000000000000000000000/nowhere/x";
  await page.goto(`${host}/${path}`);
  await expect(page).toHaveURL(`${host}/s/00000000000000000000000000000000/`);
  await page.goto(`${host}//evil.example/${path}`);
  await expect(page.locator("body")).not.toContainText("the share");
  expect(page.url()).toBe(`${host}//evil.example/${path}`);
  execFileSync(PROGRAM, ["unpublish", site.chat, "--to", site.root], { env: site.env, stdio: "ignore" });
  await page.goto(site.onHost(link));
  await expect(page.locator("h1")).toHaveText("This chat was taken back");
});

for (const more of [[], ["--encrypt"]]) {
  test(`the branch of a Git remote, checked out, is a site (${["git", ...more].join(" ")})`, async ({ page }) => {
    const git = (/** @type {string[]} */ ...words) => execFileSync("git", words, { env: { ...site.env, GIT_CONFIG_GLOBAL: "/dev/null" }, stdio: "pipe" });
    const [remote, checkout] = [join(site.folder, "site.git"), join(site.folder, "checkout")];
    git("init", "--bare", "--quiet", remote);
    const publish = () => JSON.parse(execFileSync(PROGRAM, ["publish", site.chat, "--to", `git+file://${remote}#pages`, "--json", ...more], { env: site.env, encoding: "utf8" })).link;
    const link = publish();
    git("clone", "--quiet", "--branch", "pages", remote, checkout);
    const host = await serve(checkout);
    try {
      const address = new URL(link, host.url).href;
      await page.goto(address);
      await expect(page.locator("main")).toContainText("Message 5 of this chat.");
      await expect(page.getByRole("button", { name: "Find" })).toBeVisible(); // its scripts ran
      appendFileSync(site.chat, lines(6, 8));
      expect(publish()).toBe(link);
      git("-C", checkout, "pull", "--quiet", "--ff-only");
      await page.goto("about:blank");
      await page.goto(address);
      await expect(page.locator("main")).toContainText("Message 7 of this chat.");
      execFileSync(PROGRAM, ["unpublish", site.chat, "--to", `git+file://${remote}#pages`], { env: site.env, stdio: "ignore" });
      git("-C", checkout, "pull", "--quiet", "--ff-only");
      await page.goto("about:blank");
      await page.goto(address);
      await expect(page.locator("h1")).toHaveText("This chat was taken back");
    } finally {
      await host.close();
    }
  });
}

test("the list of a site can be searched and ordered", async ({ page }) => {
  site.publish("--listed", "--title", "Zebra crossing");
  writeFileSync(site.chat.replace("chat", "other"), lines(0, 2));
  execFileSync(PROGRAM, ["publish", site.chat.replace("chat", "other"), "--to", site.root, "--listed", "--title", "Apple pie"], { env: site.env, stdio: "ignore" });
  await page.goto(new URL("index.html", site.host?.url).href);
  const titles = page.locator("#shares li:visible a");
  await expect(titles).toHaveText(["Apple pie", "Zebra crossing"]);
  await page.getByLabel("Order").selectOption("title");
  await expect(titles).toHaveText(["Apple pie", "Zebra crossing"]);
  await page.getByLabel("Find").fill("zebra");
  await expect(titles).toHaveText(["Zebra crossing"]);
  await expect(page.getByRole("status")).toHaveText("1 of 2");
  await titles.first().click();
  await expect(page.locator("main")).toContainText("Message 5 of this chat.");
});
