// Bundles in Debian's Chromium, most pages straight from the disk. No retries and no waiting for time: a test that fails has failed.
import { defineConfig } from "@playwright/test";

import { CHROMIUM, CHROMIUM_ARGUMENTS, OUTPUT } from "./paths.js";

export default defineConfig({
  testDir: ".",
  testMatch: "*.spec.js",
  outputDir: `${OUTPUT}/failures`,
  globalSetup: "./setup.js",
  workers: 2,
  fullyParallel: true,
  retries: 0,
  forbidOnly: true,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [["list"], ["json", { outputFile: `${OUTPUT}/browser.json` }]],
  use: {
    browserName: "chromium",
    locale: "en-GB",
    timezoneId: "UTC",
    viewport: { width: 1280, height: 800 },
    screenshot: "only-on-failure",
    launchOptions: { executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS },
  },
});
