// A real provider of OpenID Connect on loopback: oidc-provider with its own pages, on which anybody signs in under the name that they enter.
import { createServer } from "node:http";

import Provider from "oidc-provider";

import { freePort } from "./nginx.js";

export class OidcProvider {
  issuer = "";
  clientId = "readalong";
  clientSecret = "a secret of these tests";
  /** What the next ID tokens lie about. @type {{nonce?: string, iss?: string, aud?: string}} */
  lies = {};
  /** Seconds that a code lasts. */
  codeLasts = 60;

  /** @param {string} back where people are sent back to */
  async start(back) {
    const port = await freePort();
    this.issuer = `http://127.0.0.1:${port}`;
    const provider = new Provider(this.issuer, {
      clients: [{ client_id: this.clientId, client_secret: this.clientSecret, redirect_uris: [back], grant_types: ["authorization_code"], response_types: ["code"] }],
      pkce: { required: () => true },
      claims: { profile: ["preferred_username"] },
      conformIdTokenClaims: false,
      ttl: { AuthorizationCode: () => this.codeLasts, IdToken: 600, Interaction: 600, Session: 600, Grant: 600, AccessToken: 600 },
      cookies: { keys: ["only for tests"] },
      findAccount: async (_, id) => ({ accountId: id, claims: async () => ({ sub: `subject-${id}`, preferred_username: id }) }),
    });
    provider.on("server_error", (_, error) => console.error(error));
    // What a provider that lies would sign is what it means to sign, changed at the last moment.
    const { IdToken } = provider;
    const issue = IdToken.prototype.issue;
    IdToken.prototype.issue = async function (/** @type {any[]} */ ...more) {
      const { nonce } = lying.lies;
      if (nonce) this.set("nonce", nonce);
      return issue.apply(this, more);
    };
    const lying = this;
    this.server = createServer(provider.callback());
    await new Promise((listening) => this.server?.listen(port, "127.0.0.1", () => listening(undefined)));
    return this;
  }

  async end() {
    this.server?.closeAllConnections();
    await new Promise((closed) => this.server?.close(closed));
  }
}

/** Signs in on the provider's pages. @param {import("@playwright/test").Page} page @param {string} name */
export async function signInAt(page, name) {
  await page.getByPlaceholder("Enter any login").fill(name);
  await page.getByPlaceholder("and password").fill("whatever");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}
