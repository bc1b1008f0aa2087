// A server behind nginx below a path of its host: every link, redirect, cookie, socket and picture of a link.
import { Nginx, freePort } from "./nginx.js";
import { RealServer } from "./real-server.js";
import { expect, test } from "./watch.js";

for (const { name, rest, more } of [
  { name: "leaves the path away", rest: "/", more: "proxy_set_header X-Forwarded-Prefix /chats;" },
  { name: "keeps the path", rest: "", more: "" },
]) {
  test(`a server below a path, by a proxy that ${name}`, async ({ page, context }) => {
    const port = await freePort();
    const base = `http://127.0.0.1:${port}/chats`;
    const server = await new RealServer().start(["--base-url", base]);
    const nginx = await new Nginx().start(port, "/chats/", `${server.url}${rest}`, more);
    try {
      const chat = await server.liveChat(8);
      const viewer = await server.api("POST", "users", { name: "grace", role: "viewer", password: "kites and strings" });
      expect(viewer.role).toBe("viewer");
      await server.api("PATCH", `shares/${chat.id}`, { visibility: "private" });
      const share = await server.api("GET", `shares/${chat.id}`);
      expect(share.url).toBe(`${base}/s/${chat.id}`);

      // To the sign-in, and back.
      await page.goto(`${share.url}/`);
      await expect(page).toHaveURL(`${base}/signin?next=/s/${chat.id}/`);
      await page.getByLabel("Name").fill("grace");
      await page.getByLabel("Password").fill("kites and strings");
      await page.getByRole("button", { name: "Sign in" }).click();
      await expect(page).toHaveURL(`${base}/s/${chat.id}/`);
      const [cookie] = await context.cookies();
      expect(cookie).toMatchObject({ name: expect.stringMatching(/^readalong-[0-9a-f]{8}$/), path: "/chats/", httpOnly: true, sameSite: "Lax" });

      // The socket stands: what is said comes.
      await expect(page.locator(".live")).toContainText("Live");
      await server.say(chat, 1);
      await expect(page.getByText("Question 9").last()).toBeVisible();
      const other = await context.newPage();
      await other.goto(`${base}/s/${chat.id}/contents.html`);
      await expect(other.getByText("Question 9").first()).toBeVisible();
      const picture = await page.request.get(`${base}/s/${chat.id}/qr.svg`);
      expect(picture.status()).toBe(200);

      // What leads to a sign-in from an open page leads below the path too.
      await page.evaluate(() => fetch(`${location.href.split("/s/")[0]}/signout`, { method: "POST" }));
      await page.reload();
      await expect(page).toHaveURL(`${base}/signin?next=/s/${chat.id}/`);
      await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
      await page.goto(`${base}/s/nothing/`);
      await expect(page.getByRole("heading", { name: "This link leads nowhere" })).toBeVisible();
    } finally {
      await nginx.end();
      await server.end();
    }
  });
}
