import base from "/work/main/tests/browser/playwright.config.js";
export default { ...base, testDir: "/work/main/tests/browser", globalSetup: undefined, outputDir: "/tmp/pw-out", reporter: [["line"]] , workers: 2, timeout: 30000, expect: {timeout: 5000}};
