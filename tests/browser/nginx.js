// nginx in front of a server, as a child of the test: it has the server below a path of its host.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A port that is free at this moment: nginx takes no port 0. @returns {Promise<number>} */
export const freePort = () => new Promise((found) => {
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const { port } = /** @type {import("node:net").AddressInfo} */ (probe.address());
    probe.close(() => found(port));
  });
});

export class Nginx {
  folder = mkdtempSync(join(tmpdir(), "readalong-nginx-"));
  said = "";

  /** @param {number} port where it listens @param {string} path such as /chats/ @param {string} upstream what stands behind proxy_pass @param {string} [more] lines of its location */
  async start(port, path, upstream, more = "") {
    const file = join(this.folder, "nginx.conf");
    const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${this.folder}/${name};`).join(" ");
    // As docs/deploy.md has it.
    writeFileSync(file, `daemon off; pid ${this.folder}/pid; error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off; ${temp}
  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
  server {
    listen 127.0.0.1:${port};
    location ${path} {
      proxy_pass ${upstream};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_buffering off;
      proxy_read_timeout 120s;
      ${more}
    }
    location / { return 404 "not ours"; }
  }
}
`);
    this.child = spawn("nginx", ["-p", this.folder, "-c", file], { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
    this.ended = new Promise((ended) => this.child?.once("exit", ended).once("error", ended));
    this.child.stderr.on("data", (text) => (this.said += text));
    for (;;) {
      if (this.child.exitCode !== null) throw new Error(`nginx ended: ${this.said}`);
      const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
      if (answer) return this;
      await new Promise((later) => setTimeout(later, 20));
    }
  }

  async end() {
    this.child?.kill("SIGTERM"); // not SIGQUIT: that waits a minute for connections that a browser opened ahead and said nothing on
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
