// The bundle of this very file: each of its files is a script element that does not run.
"use strict";
(() => {
  /** @type {Map<string, HTMLScriptElement>} */
  const files = new Map([.../** @type {NodeListOf<HTMLScriptElement>} */ (document.querySelectorAll("script[data-file]"))].map((node) => [String(node.dataset.file), node]));
  /** @param {string} path */
  const read = async (path) => {
    const node = files.get(path);
    if (!node) throw new BookError(`The file ${path} is not in here: what was saved is not whole.`);
    const bytes = fromBase64(node.text);
    return "deflated" in node.dataset ? inflate(bytes) : bytes;
  };
  /** @param {unknown} error */
  const failed = (error) => {
    const [notice] = document.querySelectorAll("#notice");
    const text = error instanceof BookError ? error.message : "This file cannot be shown: it is damaged, or the browser is too old.";
    if (notice) notice.textContent = text;
    else document.body.prepend(Object.assign(document.createElement("p"), { role: "alert", textContent: text }));
    console.error(error);
  };
  const open = async () => {
    const manifest = JSON.parse(textOf(await read("manifest.json")));
    const types = new Map(manifest.files.map((/** @type {any} */ file) => [file.path, file.media_type]));
    await openBook({ read, types, failed });
  };
  open().catch(failed);
})();
