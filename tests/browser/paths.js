// Where things lie: the program, the browser, what tests write.
import { accessSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
export const REPOSITORY = dirname(dirname(here));
export const OUTPUT = join(REPOSITORY, "tests", "output");
export const PROGRAM = process.env.READALONG ?? join(process.env.CARGO_TARGET_DIR ?? join(REPOSITORY, "target"), "debug", "readalong");
/** The shell is the same browser without a window's own pages, and twice as quick. */
export const CHROMIUM = process.env.CHROMIUM ?? ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(exists);
/** A name that leads to this machine, and that a browser trusts no more than any other without https. */
export const NAMED = "chats.lan";
/** A browser that looks nothing up by itself; as root it starts only without its sandbox. */
export const CHROMIUM_ARGUMENTS = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", `--host-resolver-rules=MAP ${NAMED} 127.0.0.1`, ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])];

/** @param {string} path */
function exists(path) {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}
