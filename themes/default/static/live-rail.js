// The rail of a live page has the prompts that the page has.
"use strict";
(() => {
  const { address, all, h, here, linkTo, main } = readalong;
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
      let link = linkTo(prompt);
      if (!link) {
        link = h("a", { href: address(here, prompt.id), title: text }, h("bdi"));
        const line = h("li", {}, link);
        const last = prompts[at - 1] && linkTo(prompts[at - 1])?.parentElement;
        const next = prompts[at + 1] && linkTo(prompts[at + 1])?.parentElement;
        if (last) last.after(line);
        else if (next) next.before(line);
        else all("ol", rail).at(-1)?.append(line);
      }
      const [words] = all("bdi", link);
      if (words.textContent !== text) words.textContent = text;
    });
  };
  main.addEventListener("changed", () => (mending ||= setTimeout(mend, 100)));
})();
