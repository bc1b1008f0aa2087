// Signing in with a real provider of OpenID Connect, and what is refused: what was not begun here, is too late, or proves nothing.
import { freePort } from "./nginx.js";
import { OidcProvider, signInAt } from "./provider.js";
import { RealServer } from "./real-server.js";
import { expect, test as watched } from "./watch.js";

/** @type {ReturnType<typeof watched.extend<{provider: OidcProvider, server: RealServer}>>} */
const test = watched.extend({
  provider: async ({}, use) => {
    const provider = new OidcProvider();
    await use(provider);
    await provider.end();
  },
  server: async ({ provider }, use) => {
    const server = new RealServer();
    server.port = await freePort();
    await provider.start(`http://127.0.0.1:${server.port}/signin/oidc/callback`);
    await server.start([], {
      READALONG_SIGNIN_OIDC_ISSUER: provider.issuer,
      READALONG_SIGNIN_OIDC_CLIENT_ID: provider.clientId,
      READALONG_SIGNIN_OIDC_CLIENT_SECRET: provider.clientSecret,
      READALONG_SIGNIN_OIDC_NAME: "Kites & Co.",
    });
    await use(server);
    await server.end();
  },
});
const button = { name: "Sign in with Kites & Co." };
/** @param {import("@playwright/test").Page} page @param {RealServer} server */
const whoAmI = async (page, server) => {
  const answer = await page.request.get(`${server.url}/api/v1/users/me`);
  return answer.ok() ? (await answer.json()).name : null;
};
/** Goes to the provider and signs in, and is held back at the door: the address that leads back. @param {import("@playwright/test").Page} page @param {RealServer} server */
async function heldBack(page, server) {
  await page.goto(`${server.url}/signin`);
  await page.getByRole("link", button).click();
  await page.getByPlaceholder("Enter any login").fill("ada");
  await page.getByPlaceholder("and password").fill("whatever");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).waitFor();
  // The last form by hand, so that nothing follows the provider's answer.
  const form = page.locator("form").first();
  const action = new URL((await form.getAttribute("action")) ?? "", page.url());
  const prompt = await form.locator("[name=prompt]").inputValue();
  let answer = await page.request.post(action.href, { form: { prompt }, maxRedirects: 0 });
  for (;;) {
    const to = new URL(answer.headers().location, answer.url());
    if (to.pathname === "/signin/oidc/callback") return to;
    answer = await page.request.get(to.href, { maxRedirects: 0 });
  }
}

test("to the provider and back to where one wanted to go", async ({ page, server }) => {
  const chat = await server.liveChat(4);
  await server.api("PATCH", `shares/${chat.id}`, { visibility: "private" });
  await page.goto(chat.link);
  await expect(page).toHaveURL(/\/signin\?next=/);
  await page.getByRole("link", button).click();
  expect(new URL(page.url()).searchParams.get("code_challenge_method") ?? "S256").toBe("S256");
  await signInAt(page, "ada");
  await expect(page).toHaveURL(chat.link);
  await expect(page.locator(".live")).toContainText("Live");
  expect(await whoAmI(page, server)).toBe("ada");
  const users = await server.api("GET", "users");
  expect(users.find((/** @type {any} */ user) => user.name === "ada")).toMatchObject({ role: "viewer", has_password: false });
  // The same person again is the same account.
  await page.context().clearCookies({ domain: "127.0.0.1" });
  await page.goto(`${server.url}/signin`);
  await page.getByRole("link", button).click();
  await signInAt(page, "ada");
  await expect.poll(() => whoAmI(page, server)).toBe("ada");
  expect((await server.api("GET", "users")).length).toBe(users.length);
});

test("a name that is somebody's here is nobody's way into their account", async ({ page, server }) => {
  await server.api("POST", "users", { name: "ada", role: "admin", password: "correct horse" });
  await page.goto(`${server.url}/signin`);
  await page.getByRole("link", button).click();
  await signInAt(page, "ada");
  await expect.poll(() => whoAmI(page, server)).toBe("ada (2)");
});

test("what this browser has not begun signs nobody in", async ({ page, server, browser }) => {
  const back = await heldBack(page, server);
  // Somebody else's browser, led there by whoever began it.
  const other = await browser.newContext();
  const victim = await other.newPage();
  await victim.goto(back.href);
  await expect(victim.getByRole("alert")).toContainText("not begun in this browser");
  expect(await whoAmI(victim, server)).toBeNull();
  await other.close();
  // Another state, in the right browser; then all is used up.
  const wrong = new URL(back);
  wrong.searchParams.set("state", "another");
  await page.goto(wrong.href);
  await expect(page.getByRole("alert")).toContainText("not begun in this browser");
  await page.goto(back.href);
  await expect(page.getByRole("alert")).toContainText("not begun in this browser");
  expect(await whoAmI(page, server)).toBeNull();
});

test("an answer of another issuer, a wrong code and a code that is used up sign nobody in", async ({ page, server }) => {
  let back = await heldBack(page, server);
  back.searchParams.set("iss", "https://evil.example");
  await page.goto(back.href);
  await expect(page.getByRole("alert")).toContainText("signed nobody in");
  await page.context().clearCookies();
  back = await heldBack(page, server);
  back.searchParams.set("code", "wrong");
  await page.goto(back.href);
  await expect(page.getByRole("alert")).toContainText("signed nobody in");
  await page.context().clearCookies();
  back = await heldBack(page, server);
  await page.goto(back.href);
  await expect.poll(() => whoAmI(page, server)).toBe("ada");
  await page.goto(back.href);
  await expect(page.getByRole("alert")).toContainText("not begun in this browser");
});

test("a code that has expired signs nobody in", async ({ page, provider, server }) => {
  provider.codeLasts = 1;
  const back = await heldBack(page, server);
  await page.waitForTimeout(2500);
  await page.goto(back.href);
  await expect(page.getByRole("alert")).toContainText("signed nobody in");
  expect(await whoAmI(page, server)).toBeNull();
});

test("an ID token that was made for another sign-in signs nobody in", async ({ page, provider, server }) => {
  provider.lies = { nonce: "of another sign-in" };
  const back = await heldBack(page, server);
  await page.goto(back.href);
  await expect(page.getByRole("alert")).toContainText("signed nobody in");
  expect(server.said).toContain("nonce");
  expect(await whoAmI(page, server)).toBeNull();
});

test("a provider that is away is said to be away", async ({ page, provider, server }) => {
  await provider.end();
  await page.goto(`${server.url}/signin`);
  await page.getByRole("link", button).click();
  await expect(page.getByRole("alert")).toContainText("cannot be reached");
  await page.getByLabel("Name").fill("eve");
});
