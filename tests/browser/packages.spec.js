// A whole bundle in one place: out of one HTML file, and decrypted out of a sealed bundle; from the disk and from a plain static host.
// Both show what the bundle itself shows, so the same is asked of both.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

import { FAR, NEEDLE, PROMPTS } from "../tools/samples.mjs";
import { bundle, files, pages, serve } from "./bundles.js";
import { OUTPUT, PROGRAM } from "./paths.js";
import { picture } from "./pictures.js";
import { expect, test } from "./watch.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PASSPHRASE = "correct horse battery staple";
const OTHER_KEY = "BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/** Where this worker writes what it packs and publishes. */
const folder = () => {
  const folder = join(OUTPUT, "packages", String(process.env.TEST_WORKER_INDEX));
  mkdirSync(folder, { recursive: true });
  return folder;
};
/** @param {string} name @returns {string} */
const html = (name) => {
  const path = join(folder(), `${name}.html`);
  if (!existsSync(path)) execFileSync(PROGRAM, ["pack", bundle(name).path, "--as", "html", "-o", path]);
  return path;
};
/** A published bundle, encrypted: the folder that the link leads to, and what the link has behind its #. @type {Map<string, {folder: string, key: string}>} */
const published = new Map();
/** @param {string} name @param {string} [passphrase] */
const encrypted = (name, passphrase) => {
  const known = published.get(`${name} ${passphrase}`);
  if (known) return known;
  const site = join(folder(), `site-${published.size}`);
  const env = { ...process.env, ...(passphrase ? { READALONG_PASSPHRASE: passphrase } : {}) };
  const said = execFileSync(PROGRAM, ["publish", bundle(name).path, "--to", site, passphrase ? "--passphrase" : "--encrypt", "--data", join(folder(), "data")], { encoding: "utf8", env, stdio: ["ignore", "pipe", "pipe"] });
  const [path, fragment = ""] = said.trim().split("#");
  const version = readdirSync(dirname(path), { withFileTypes: true }).find((entry) => entry.isDirectory());
  const made = { folder: join(dirname(path), String(version?.name)), key: fragment.replace(/^k=/, "") };
  published.set(`${name} ${passphrase}`, made);
  return made;
};
/** @param {string} name @param {string} [passphrase] */
const sealed = (name, passphrase) => encrypted(name, passphrase).folder;
/** A copy of a sealed bundle that may be damaged. @param {string} name */
const copy = (name) => {
  const path = join(folder(), `copy-${Math.random()}`);
  cpSync(sealed(name), path, { recursive: true });
  return path;
};

/** @type {{url: string, close: () => Promise<unknown>}} */
let host;
test.beforeAll(async () => {
  host = await serve(OUTPUT);
});
test.afterAll(() => host.close());
/** @param {string} path */
const onHost = (path) => new URL(path.slice(OUTPUT.length + 1), host.url).href;

/** Each kind, at each place: the address without its fragment, and what its fragments carry. @type {Record<string, (name: string) => {url: string, key: string}>} */
const PLACES = {
  "one HTML file, from the disk": (name) => ({ url: pathToFileURL(html(name)).href, key: "" }),
  "one HTML file, from a host": (name) => ({ url: onHost(html(name)), key: "" }),
  "sealed, from the disk": (name) => ({ url: pathToFileURL(join(sealed(name), "index.html")).href, key: `k=${encrypted(name).key}` }),
  "sealed, from a host": (name) => ({ url: `${onHost(sealed(name))}/`, key: `k=${encrypted(name).key}` }),
};
/** @param {{url: string, key: string}} place @param {string} address */
const at = ({ url, key }, address = "") => `${url}#${[address, key].filter(Boolean).join("&")}`;
/** @param {import("@playwright/test").Page} page */
const opened = (page) => expect(page.locator(".rail-toggle[aria-expanded]"), "the last of the page's scripts ran").toHaveCount(1);
/** Every way out of the place itself. @param {string[]} requests @param {string} url */
const outside = (requests, url) => requests.filter((asked) => !asked.startsWith("blob:") && !asked.startsWith("data:") && !asked.startsWith(url.slice(0, url.lastIndexOf("/") + 1)));

for (const [kind, place] of Object.entries(PLACES)) {
  test.describe(kind, () => {
    test("the first page is that of the bundle", async ({ page, log }) => {
      const here = place("long");
      await page.goto(at(here));
      await opened(page);
      await expect(page).toHaveTitle("Fix the flaky login test");
      const shown = await page.locator("main").textContent();
      await expect(page.getByRole("banner")).toBeVisible();
      await page.goto(pathToFileURL(join(bundle("long").path, "index.html")).href);
      await opened(page);
      expect(shown).toBe(await page.locator("main").textContent());
      const own = log.requests.slice(0, log.requests.findIndex((url) => url.endsWith(`${bundle("long").id}/index.html`)));
      expect(outside(own, here.url)).toEqual([]);
    });

    test("all pages are reached, and back and forward lead where they should", async ({ page }) => {
      const here = place("long");
      await page.goto(at(here));
      await opened(page);
      let read = "";
      let turned = 0;
      for (;; turned++) {
        read += await page.locator("main").textContent();
        const next = page.locator("nav.pages a[rel=next]");
        if (!(await next.count())) break;
        const from = await page.locator("body").getAttribute("data-page");
        await next.click();
        await expect(page.locator(`body[data-page]:not([data-page="${from}"])`), "the address changes before the page does").toHaveCount(1);
        await opened(page);
      }
      expect(turned).toBeGreaterThan(1);
      for (let prompt = 3; prompt <= PROMPTS; prompt++) expect(read).toContain(`Prompt number ${prompt}:`);
      expect(read).toContain(FAR);
      await opened(page);
      const last = await page.locator("main").textContent();
      await page.goBack();
      await expect(page.locator("nav.pages a[rel=next]")).toBeVisible();
      await page.goForward();
      await expect(page.locator("nav.pages a[rel=next]")).toHaveCount(0);
      await opened(page);
      expect(await page.locator("main").textContent()).toBe(last);
      await page.reload();
      await opened(page);
      expect(await page.locator("main").textContent()).toBe(last);
      for (let back = 0; back < turned; back++) await page.goBack();
      await expect(page.locator("nav.pages a[rel=prev]")).toHaveCount(0);
      await opened(page);
      // The scripts of the page run once, however many pages there were before.
      await page.keyboard.press("?");
      await expect(page.locator(".help")).toHaveCount(1);
    });

    test("a permalink leads to its message, on this page and on another", async ({ page }) => {
      const here = place("long");
      await page.goto(at(here));
      await opened(page);
      const link = page.locator("main > article.prompt .permalink").nth(1);
      const address = await link.evaluate((link) => /** @type {HTMLAnchorElement} */ (link).href);
      await page.goto("about:blank");
      await page.goto(address);
      await expect(page.locator("article.prompt:target")).toBeInViewport();
      await expect(page).toHaveURL(address);
      await page.locator(".rail-title a").click();
      await expect(page.getByRole("heading", { name: "Contents" })).toBeVisible();
      await page.locator("main ol a").nth(PROMPTS - 1).click();
      await expect(page.locator("article.prompt:target")).toContainText(`Prompt number ${PROMPTS}:`);
      await expect(page.locator("article.prompt:target")).toBeInViewport();
      const [id] = new URL(page.url()).hash.slice(1).split("&");
      await page.reload();
      await expect(page.locator("article.prompt:target")).toBeInViewport();
      // An address without a page is found, as it is on the pages of a bundle.
      await page.goto("about:blank");
      await page.goto(at(here, id));
      await expect(page.locator("article.prompt:target")).toContainText(`Prompt number ${PROMPTS}:`);
      await opened(page);
      await page.keyboard.press("k");
      await expect(page.locator("article.prompt:target")).toContainText(`Prompt number ${PROMPTS - 1}:`);
    });

    test("find counts the whole chat and walks across pages", async ({ page }) => {
      await page.goto(at(place("long")));
      await opened(page);
      await page.keyboard.press("/");
      await page.keyboard.type(NEEDLE.word);
      await expect(page.locator(".find output")).toHaveText(`1 of ${NEEDLE.total}`);
      for (let hit = 2; hit <= NEEDLE.total; hit++) {
        await page.keyboard.press("F3");
        await expect(page.locator(".find output")).toHaveText(`${hit} of ${NEEDLE.total}`);
      }
    });

    test("folds, pictures and files work", async ({ page }) => {
      const here = place("long");
      await page.goto(at(here));
      await opened(page);
      const activity = page.locator("details.activity", { has: page.locator("details.call") }).first();
      await activity.locator("> summary").click();
      await expect(activity.locator("details.call").first()).toBeVisible();
      const picture = page.locator('main img[src^="blob:"]').first();
      await picture.scrollIntoViewIfNeeded();
      await expect.poll(() => picture.evaluate((image) => /** @type {HTMLImageElement} */ (image).naturalWidth)).toBeGreaterThan(0);
      await page.locator(".info summary").click();
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Markdown" }).click()]);
      expect(readFileSync(await download.path(), "utf8")).toBe(readFileSync(join(bundle("long").path, "chat.md"), "utf8"));
      await page.keyboard.press("Escape");
      await page.locator(".rail-title a").click();
      const file = page.locator("main ul.files a[download]").first();
      const name = await file.getAttribute("download");
      const [artifact] = await Promise.all([page.waitForEvent("download"), file.click()]);
      expect(artifact.suggestedFilename()).toBe(name);
      const bytes = readFileSync(await artifact.path());
      const known = files(bundle("long")).filter((path) => path.startsWith("files/"));
      expect(known.some((path) => readFileSync(join(bundle("long").path, path)).equals(bytes)), String(name)).toBe(true);
    });

    test("only pages are shown as pages, whatever the address says", async ({ page }) => {
      const here = place("page");
      const artifacts = files(bundle("page")).filter((path) => path.startsWith("files/"));
      expect(artifacts.filter((path) => path.endsWith(".html.txt"))).toHaveLength(1);
      for (const path of [...artifacts, "chat.json", "chat.md", `./${artifacts[0]}`]) {
        await page.goto("about:blank");
        await page.goto(at(here, `p=${encodeURIComponent(path)}`));
        await expect(page.locator("#notice, #problem"), path).toContainText(`There is no page ${path}`);
        expect(await page.evaluate("window.pwned"), path).toBeUndefined();
      }
      // Nor later, when the chat is open.
      await page.goto("about:blank");
      await page.goto(at(here));
      await opened(page);
      for (const path of artifacts) await page.evaluate((path) => location.assign(`#p=${encodeURIComponent(path)}`), path);
      await page.waitForTimeout(300);
      await expect(page.locator("main")).toContainText("They look fine.");
      expect(await page.evaluate("window.pwned")).toBeUndefined();
    });

    test("text size, theme and paper are as on any page", async ({ page }) => {
      await page.goto(at(place("long"), "p=2.html"));
      await opened(page);
      await page.locator("details.menu > summary").click();
      await page.getByRole("button", { name: "Theme: dark" }).click();
      await page.locator("nav.pages a[rel=next]").click();
      await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
      await page.emulateMedia({ media: "print" });
      await expect(page.locator("nav.rail")).toBeHidden();
      await expect(page.locator("header.bar h1")).toBeVisible();
    });
  });
}

test("a script of the chat is not run where a page names it", async ({ page }) => {
  const made = bundle("page");
  const holed = join(folder(), "holed");
  cpSync(made.path, holed, { recursive: true });
  const [script] = files(made).filter((path) => path.endsWith(".js.txt"));
  const html = readFileSync(join(holed, "index.html"), "utf8").replace("</head>", `<script src="${script}"></script></head>`);
  writeFileSync(join(holed, "index.html"), html);
  const manifest = JSON.parse(readFileSync(join(holed, "manifest.json"), "utf8"));
  const entry = manifest.files.find((/** @type {any} */ file) => file.path === "index.html");
  const sha256 = createHash("sha256").update(html).digest("hex");
  const words = JSON.stringify(manifest).replace(JSON.stringify(entry), JSON.stringify({ ...entry, sha256, size_bytes: Buffer.byteLength(html) }));
  writeFileSync(join(holed, "manifest.json"), words);
  const packed = join(folder(), "holed.html");
  execFileSync(PROGRAM, ["pack", holed, "--as", "html", "-o", packed]);
  await page.goto(pathToFileURL(packed).href);
  await opened(page);
  expect(await page.evaluate("window.pwned")).toBeUndefined();
});

test("other versions and the threads of one HTML file are read", async ({ page }) => {
  await page.goto(pathToFileURL(html("branches")).href);
  await opened(page);
  const answers = page.locator("nav.alternatives").filter({ hasText: "of 3" });
  await answers.getByRole("link").nth(1).click();
  await expect(page.locator("main")).toContainText("Second try: about 2,900.");
  expect(new URL(page.url()).hash).toContain("p=branch-");
  await page.goBack();
  await expect(page.locator("main")).toContainText("Third try: 2,850 km.");
  expect(pages(bundle("branches")).length).toBeGreaterThan(1);
});

test.describe("without scripts", () => {
  test.use({ javaScriptEnabled: false });

  test("the text of one HTML file is read", async ({ page }) => {
    await page.goto(pathToFileURL(html("long")).href);
    await expect(page.getByText("a script shows them")).toBeVisible();
    await expect(page.locator("pre")).toContainText(FAR);
    await picture(page, "html-without-script");
  });

  test("a sealed bundle says that it needs one", async ({ page }) => {
    await page.goto(pathToFileURL(join(sealed("long"), "index.html")).href);
    await expect(page.getByText("scripts are off")).toBeVisible();
  });
});

/** Opens a sealed bundle of which something is wrong. @param {import("@playwright/test").Page} page @param {string} folder @param {string} hash @param {RegExp} words */
async function refused(page, folder, hash, words) {
  await page.goto(pathToFileURL(join(folder, "index.html")).href + hash);
  await expect(page.getByRole("alert")).toContainText(words);
  await expect(page.locator("header.bar")).toHaveCount(0);
}

test("the link that was printed opens the chat", async ({ page }) => {
  const { folder, key } = encrypted("long");
  await page.goto(`${pathToFileURL(join(dirname(folder), "index.html")).href}#k=${key}`);
  await opened(page);
  await expect(page).toHaveTitle("Fix the flaky login test");
});

test("what does not open says why, in plain words", async ({ page, log }) => {
  await refused(page, sealed("branches"), "", /link has no key/);
  await page.goto("about:blank");
  await refused(page, sealed("branches"), `#k=${encrypted("branches").key.slice(0, -3)}`, /key in this link is not whole/);
  await page.goto("about:blank");
  await refused(page, sealed("branches"), `#k=${OTHER_KEY}`, /does not open this chat/);
  // A damaged index: in its lock, in its pieces, and gone.
  const index = (/** @type {string} */ folder) => join(folder, "index.js");
  for (const [from, to, words] of /** @type {[RegExp | string, string, RegExp][]} */ ([
    ['"sum":"', '"sum":"0', /index\.js is damaged/],
    ['"version":1', '"version":2', /newer readalong/],
    [/","(.)/, '","!', /index\.js is damaged/],
  ])) {
    const folder = copy("branches");
    writeFileSync(index(folder), readFileSync(index(folder), "utf8").replace(from, to));
    await page.goto("about:blank");
    await refused(page, folder, `#k=${encrypted("branches").key}`, words);
  }
  const missing = copy("branches");
  rmSync(index(missing));
  await page.goto("about:blank");
  await refused(page, missing, `#k=${encrypted("branches").key}`, /index\.js is missing/);
  log.errors.length = 0;
});

test("flipped, exchanged and missing files are refused, each in its words", async ({ page, log }) => {
  const pieces = (/** @type {string} */ folder) => readdirSync(join(folder, "files")).map((name) => join(folder, "files", name));
  const flipped = copy("branches");
  for (const piece of pieces(flipped)) {
    const text = readFileSync(piece, "utf8");
    const middle = text.length >> 1;
    writeFileSync(piece, text.slice(0, middle) + (text[middle] === "A" ? "B" : "A") + text.slice(middle + 1));
  }
  await refused(page, flipped, `#k=${encrypted("branches").key}`, /is damaged/);
  const exchanged = copy("branches");
  const texts = pieces(exchanged).map((piece) => readFileSync(piece));
  pieces(exchanged).forEach((piece, at, all) => writeFileSync(piece, texts[(at + 1) % all.length]));
  await refused(page, exchanged, `#k=${encrypted("branches").key}`, /exchanged for another/);
  const missing = copy("branches");
  for (const piece of pieces(missing)) rmSync(piece);
  await refused(page, missing, `#k=${encrypted("branches").key}`, /is missing/);
  log.errors.length = 0;
});

test("a passphrase opens it, a wrong one is said to be wrong, and reloading needs none", async ({ page }) => {
  const url = pathToFileURL(join(sealed("long", PASSPHRASE), "index.html")).href;
  await page.goto(url);
  const field = page.getByLabel("Passphrase");
  await expect(field).toBeFocused();
  await page.keyboard.type("wrong");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("does not open the chat");
  await field.fill(PASSPHRASE);
  await page.getByRole("button", { name: "Open" }).click();
  await opened(page);
  expect(page.url(), "no key in the address").not.toContain("k=");
  await page.locator("nav.pages a[rel=next]").click();
  await expect(page.locator("nav.pages a[rel=prev]")).toBeVisible();
  await page.reload();
  await expect(page.locator("nav.pages a[rel=prev]")).toBeVisible();
  await opened(page);
  await page.goBack();
  await expect(page.locator("nav.pages a[rel=prev]")).toHaveCount(0);
  await opened(page);
  // Another tab has to know it again.
  const other = await page.context().newPage();
  await other.goto(url);
  await expect(other.getByLabel("Passphrase")).toBeVisible();
});

test("an address that is no safe one says that there is no way to decrypt", async ({ page, log }) => {
  // Chromium takes a name for loopback where it is told to; the page is not from a safe address then.
  await page.addInitScript(() => Object.defineProperty(Crypto.prototype, "subtle", { value: undefined }));
  await page.goto(`${onHost(sealed("branches"))}/#k=${encrypted("branches").key}`);
  await expect(page.getByRole("alert")).toContainText("only from https addresses");
  expect(log.errors).toEqual([]);
});

for (const look of ["light", "dark", "phone"]) {
  test(`the page that opens it, ${look}: no serious barrier, and pictures to look at`, async ({ page }) => {
    await page.addInitScript({ content: axe });
    if (look === "phone") await page.setViewportSize({ width: 390, height: 844 });
    await page.emulateMedia({ colorScheme: look === "dark" ? "dark" : "light", reducedMotion: "reduce" });
    await page.goto(pathToFileURL(join(sealed("long", PASSPHRASE), "index.html")).href);
    await page.getByLabel("Passphrase").fill("wrong");
    await picture(page, `unlock-${look}`);
    await page.keyboard.press("Enter");
    await expect(page.getByRole("alert")).toContainText("does not open");
    await picture(page, `unlock-wrong-${look}`);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth)).toBe(true);
    const found = await page.evaluate(async () => {
      const { violations } = await /** @type {any} */ (window).axe.run(document, { resultTypes: ["violations"], preload: false });
      return violations.filter((/** @type {any} */ { impact }) => ["serious", "critical"].includes(impact)).map((/** @type {any} */ { id, nodes }) => `${id}: ${nodes[0].failureSummary}`);
    });
    expect(found).toEqual([]);
    await page.getByLabel("Passphrase").fill(PASSPHRASE);
    await page.keyboard.press("Enter");
    await opened(page);
    await picture(page, `unlocked-${look}`);
  });
}
