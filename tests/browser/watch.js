// A page under watch: whatever runs, is asked for, or is refused is written down.
import { test as base } from "@playwright/test";

export { expect } from "@playwright/test";

/** What happened on a page. @typedef {{dialogs: string[], console: string[], errors: string[], requests: string[], popups: string[], downloads: string[]}} Log */

/** Writes down what happens on the page from now on. @param {import("@playwright/test").Page} page @returns {Log} */
export function watch(page) {
  /** @type {Log} */
  const log = { dialogs: [], console: [], errors: [], requests: [], popups: [], downloads: [] };
  page.on("dialog", (dialog) => {
    log.dialogs.push(dialog.message());
    dialog.dismiss();
  });
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && log.console.push(`${message.text()} (${message.location().url})`));
  page.on("pageerror", (error) => log.errors.push(String(error)));
  page.on("popup", (popup) => log.popups.push(popup.url()));
  page.on("download", (download) => log.downloads.push(download.suggestedFilename()));
  page.context().on("request", (request) => log.requests.push(request.url()));
  return log;
}

/** The test of every file here: `log` is the log of its page, and a page of ours must never complain. */
export const test = base.extend({
  log: [async ({ page }, use) => {
    const log = watch(page);
    await use(log);
    base.expect(log.errors, "scripts of the theme fail nowhere").toEqual([]);
    base.expect(log.dialogs, "no page opens a dialog").toEqual([]);
    base.expect(log.console.filter((text) => /Content.Security.Policy|violates/i.test(text)), "nothing has to be refused").toEqual([]);
  }, { auto: true }],
});
