// The desk as its owner uses it, on the real server: every page in all its faces, and each thing done as a person does it.
import { look, signIn } from "./desk.js";
import { RealServer } from "./real-server.js";
import { expect, test as watched } from "./watch.js";

/** @type {ReturnType<typeof watched.extend<{server: RealServer}>>} */
const test = watched.extend({
  server: async ({}, use) => {
    const server = await new RealServer().start();
    await use(server);
    await server.end();
  },
});

test("the desk begins with the owner's chats, and leads to the sign-in and back", async ({ page, server }) => {
  await page.goto(`${server.url}/chats`);
  await expect(page).toHaveURL(/\/signin\?next=\/chats$/);
  await signIn(page, server);
  await expect(page).toHaveURL(`${server.url}/chats`);
  await expect(page.locator("main")).toContainText("No chats yet");
  await look(page, "chats-empty");
  for (const title of ["First", "Second <b>", "‮Third"]) await server.api("POST", "chats", { title });
  await page.reload();
  await expect(page.locator(".row")).toHaveCount(3);
  await look(page, "chats-few");
  await page.getByRole("button", { name: "Theme: dark" }).or(page.locator(".menu summary")).first().click();
  await page.getByRole("button", { name: "Theme: dark" }).click();
  await page.reload();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.locator(".menu summary").click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/signin/);
});
