// Pictures of pages, kept as test output to look at.
import { OUTPUT } from "./paths.js";

/** Takes a picture. Headless Chromium drops a frame now and then and says that it cannot; the next one it has.
 *  @param {import("@playwright/test").Page} page @param {string} name @param {import("@playwright/test").PageScreenshotOptions} [options] */
export const picture = async (page, name, options = {}) => {
  const take = () => page.screenshot({ path: `${OUTPUT}/pictures/${name}.png`, ...options });
  await take().catch((error) => {
    if (!String(error).includes("Unable to capture screenshot")) throw error;
    return take();
  });
};
