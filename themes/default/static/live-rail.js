// The rail of a live page has the prompts that the page has.
"use strict";
(() => {
  const { all, complete, lineOf, linkTo, main, pages } = readalong;
  const rail = document.getElementById("rail");
  if (!rail) return;

  /** @returns {any[]} */
  const there = () => all(":scope > .prompt", main);
  /** The line of each prompt, once it was looked for: that costs more the longer the rail is, and most frames change none.
   *  @type {Map<any, any>} */
  const lines = new Map(there().map((prompt) => [prompt, null]));
  const lineFor = (/** @type {any} */ prompt) => {
    const line = lines.get(prompt);
    return line?.isConnected ? line : linkTo(prompt)?.parentElement; // the rail may have got the lines of the whole chat
  };
  const textOf = (/** @type {any} */ prompt) => String(prompt.querySelector("h2")?.ariaLabel).replace(/^Prompt \d+:? ?/, "");
  /** @param {any} link @param {any} prompt */
  const name = (link, prompt) => {
    const text = textOf(prompt);
    if (link.title !== text) link.title = link.firstChild.textContent = text;
  };
  /** Prompts came, changed or went. */
  const mend = () => {
    for (const prompt of lines.keys()) {
      if (prompt.isConnected) continue;
      lineFor(prompt)?.remove();
      lines.delete(prompt);
    }
    /** @type {any} */
    let last;
    const prompts = there();
    for (const prompt of prompts) {
      let line = lineFor(prompt);
      if (!line) {
        const next = prompts.map(lineFor).find(Boolean);
        line = lineOf(pages()[0], prompt.id, textOf(prompt));
        if (last) last.after(line);
        else if (next) next.before(line);
        else all("ol", rail).at(-1)?.append(line);
      }
      name(all("a", line)[0], prompt);
      lines.set(prompt, (last = line));
    }
  };
  // The page was fetched anew: some prompts may be on an earlier one now, others be gone.
  main.addEventListener("fetched", (/** @type {any} */ { detail }) => {
    lines.clear();
    rail.replaceChildren(...detail.getElementById("rail").childNodes);
    complete().catch(() => {});
  });
  main.addEventListener("elsewhere", (/** @type {any} */ { detail: { id, prompt } }) => {
    const link = linkTo({ id });
    if (link && prompt) name(link, prompt);
    else link?.parentElement.remove();
  });
  main.addEventListener("changed", mend); // before rail.js looks, with the next frame, where the reader is
})();
