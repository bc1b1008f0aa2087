// Writes the transcripts and exports each once; tests find the bundles through bundles.js.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { write as writeHostile, writePage } from "../tools/hostile.mjs";
import { write as writeSamples } from "../tools/samples.mjs";
import { OUTPUT, PROGRAM } from "./paths.js";

export default function setup() {
  const transcripts = join(OUTPUT, "transcripts");
  const exports = join(OUTPUT, "exports");
  for (const folder of [transcripts, exports, join(OUTPUT, "packages")]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(transcripts, { recursive: true });
  /** @type {Record<string, {path: string, id: string, visible?: {at: string, text: string}[]}>} */
  const bundles = {};
  for (const { name, file } of writeSamples(transcripts)) bundles[name] = exportOne(file, join(exports, name));
  for (const { format, file, visible } of writeHostile(join(transcripts, "hostile"))) bundles[`hostile-${format}`] = { ...exportOne(file, join(exports, `hostile-${format}`)), visible };
  bundles.page = exportOne(writePage(join(transcripts, "page")), join(exports, "page"));
  writeFileSync(join(OUTPUT, "bundles.json"), JSON.stringify(bundles, null, 1));
}

/** @param {string} file @param {string} folder @returns {{path: string, id: string}} */
function exportOne(file, folder) {
  const said = execFileSync(PROGRAM, ["export", file, "-o", folder, "--json"], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const answer = JSON.parse(said);
  const [bundle] = Array.isArray(answer) ? answer : (answer.bundles ?? [answer]);
  return { path: bundle.path, id: bundle.id };
}
