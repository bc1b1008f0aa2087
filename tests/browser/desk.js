// A browser of somebody who is signed in at a real server, and what every page of the desk has to be: pictures of it are kept to look at.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { expect } from "@playwright/test";

import { picture } from "./pictures.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FACES = /** @type {const} */ ([["light", 1280], ["dark", 1280], ["light", 390], ["light", 320], ["dark", 3840]]);
/** Widths that show nothing to axe that the others do not. */
const EXTREMES = [320, 3840];

/** Signs a browser in. @param {import("@playwright/test").Page} page @param {import("./real-server.js").RealServer} server @param {number} [user] */
export async function signIn(page, server, user) {
  const { id } = user ? { id: user } : await server.api("GET", "users/me");
  const { url } = await server.api("POST", `users/${id}/signin_link`);
  await page.goto(url);
}

/** Looks at a page as it is: no serious finding of axe, nothing to scroll to the side, pictures in all faces. @param {import("@playwright/test").Page} page @param {string} name */
export async function look(page, name) {
  const size = page.viewportSize();
  for (const [scheme, width] of FACES) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: width < 700 ? 844 : width > 2000 ? 2160 : 800 });
    await picture(page, `desk-${name}-${scheme}-${width}`);
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    const nav = await page.evaluate(() => [...document.querySelectorAll(".desk-nav")].map(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth));
    expect(Math.max(0, ...nav), `${name} at ${width} px hides where the navigation leads`).toBe(0);
    expect(beyond, `${name} at ${width} px is wider than the window`).toBeLessThanOrEqual(0);
    if (EXTREMES.includes(width)) continue;
    await page.evaluate(axe);
    const found = await page.evaluate(async () => {
      const { violations } = await /** @type {any} */ (window).axe.run(document, { resultTypes: ["violations"], preload: false });
      return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`);
    });
    expect(found, `${name}, ${scheme}, ${width} px`).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: null });
  if (size) await page.setViewportSize(size);
}
