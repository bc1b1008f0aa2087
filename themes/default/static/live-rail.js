// The rail of a live page has the prompts that the page has.
"use strict";
(() => {
  const { all, here, lineOf, linkTo, main } = readalong;
  const rail = document.getElementById("rail");
  if (!rail) return;

  /** @returns {any[]} */
  const there = () => all(":scope > .prompt", main);
  let mending = 0;
  let known = there();
  /** Prompts came, changed or went. */
  const mend = () => {
    mending = 0;
    for (const gone of known) if (!gone.isConnected) linkTo(gone)?.parentElement.remove();
    const prompts = (known = there());
    prompts.forEach((prompt, at) => {
      const text = String(prompt.querySelector("h2")?.ariaLabel).replace(/^Prompt \d+:? ?/, "");
      const link = linkTo(prompt);
      if (!link) {
        const line = lineOf(here, prompt.id, text);
        const last = prompts[at - 1] && linkTo(prompts[at - 1])?.parentElement;
        const next = prompts[at + 1] && linkTo(prompts[at + 1])?.parentElement;
        if (last) last.after(line);
        else if (next) next.before(line);
        else all("ol", rail).at(-1)?.append(line);
      } else if (link.title !== text) {
        link.title = text;
        link.firstChild.textContent = text;
      }
    });
  };
  main.addEventListener("changed", () => (mending ||= setTimeout(mend, 100)));
})();
