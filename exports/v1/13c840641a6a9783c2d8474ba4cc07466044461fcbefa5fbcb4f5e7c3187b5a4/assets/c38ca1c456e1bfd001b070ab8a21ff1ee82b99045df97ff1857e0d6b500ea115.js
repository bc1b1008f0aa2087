// The rail of prompts: follows the reader, gets the prompts of the other pages, opens over the page where it is narrow.
// And the ways to a message: next and previous prompt, addresses that name something folded or something on another page.
"use strict";
(() => {
  const { address, all, anchor, bar, command, h, here, icon, load, main, reveal } = /** @type {any} */ (window).readalong;
  const root = document.documentElement;
  const rail = document.getElementById("rail");

  // Where the reader is
  /** @type {HTMLElement[]} */
  let prompts = [];
  let current = -1;
  const linkTo = (/** @type {HTMLElement} */ prompt) => rail?.querySelector(`a:is([href$="#${prompt.id}"], [href*="#${prompt.id}&"])`);
  const follow = () => {
    let low = 0;
    for (let high = prompts.length; low < high;) {
      const middle = (low + high) >> 1;
      if (prompts[middle].getBoundingClientRect().top < innerHeight / 3) low = middle + 1;
      else high = middle;
    }
    current = low - 1;
    const link = prompts[current] && linkTo(prompts[current]);
    if (!rail || !link || link.ariaCurrent) return;
    rail.querySelector("[aria-current]")?.removeAttribute("aria-current");
    link.ariaCurrent = "location";
    const box = link.getBoundingClientRect();
    const frame = rail.getBoundingClientRect();
    if (box.top < frame.top + 40 || box.bottom > frame.bottom - 40) rail.scrollTop += box.top - frame.top - frame.height / 3;
  };
  let waiting = 0;
  const soon = () => {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      follow();
    });
  };
  const changed = () => {
    prompts = all(":scope > .prompt", main);
    soon();
  };
  let mending = 0;
  let known = all(":scope > .prompt", main); // the rail has them
  /** Prompts came, changed or went, live: the rail has the same. */
  const mend = () => {
    mending = 0;
    const before = known;
    changed();
    for (const gone of before) if (!gone.isConnected) linkTo(gone)?.parentElement?.remove();
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
      const words = link?.querySelector("bdi");
      if (words && words.textContent !== text) words.textContent = text;
    });
    known = prompts;
  };
  main.addEventListener("changed", () => {
    if (rail) mending ||= setTimeout(mend, 100);
  });
  addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", soon);
  new MutationObserver(changed).observe(main, { childList: true });
  changed();

  const step = (/** @type {1 | -1} */ by) => {
    const within = by < 0 && prompts[current]?.getBoundingClientRect().top < 0;
    const to = prompts[within ? current : current + by];
    if (to) location.replace(address(here, to.id));
    else all(`a[rel=${by > 0 ? "next" : "prev"}]`)[0]?.click();
  };
  command("Next prompt", "j", () => step(1));
  command("Previous prompt", "k", () => step(-1));

  // Over the page, where it has no column of its own
  const focus = () => (all("#rail [aria-current]")[0] || all("#rail li a")[0])?.focus();
  const isOpen = () => root.classList.contains("rail-open");
  const show = (/** @type {boolean} */ open) => {
    root.classList.toggle("rail-open", open);
    toggle.ariaExpanded = String(open);
    if (open) focus();
  };
  const flip = () => (rail ? show(!isOpen()) : location.assign(address("contents.html", "")));
  const toggle = h("button", { className: "tool rail-toggle", ariaLabel: "Prompts", ariaExpanded: "false", onclick: flip }, icon("list"));
  if (rail) bar.prepend(toggle);
  command("Prompts", "t", () => (rail?.offsetParent && !isOpen() ? focus() : flip()), "list", "phone-only");
  document.addEventListener("click", ({ target }) => {
    const within = /** @type {Element} */ (target).closest(".rail, .rail-toggle, .menu-item");
    if (isOpen() && (!within || /** @type {Element} */ (target).closest(".rail a"))) show(false);
  });
  document.addEventListener("keydown", ({ key }) => key === "Escape" && isOpen() && show(false));

  // The whole chat: a list of fixed height for every 500 prompts, filled when it comes near
  const PER_LIST = 500;
  const complete = async () => {
    const chat = await load("chat");
    const own = rail?.querySelector("ol");
    if (!rail || !own || !chat.pages.includes(here)) return;
    const lists = Array.from({ length: chat.contents }, (_, at) => {
      const list = h("ol", { className: "lot", start: at * PER_LIST + 1 });
      list.style.minHeight = `calc(${Math.min(PER_LIST, chat.prompts - at * PER_LIST)} * var(--rail-line))`;
      return list;
    });
    const fill = async (/** @type {any} */ list) => {
      const rows = await load(`contents-${lists.indexOf(list) + 1}`);
      list.append(...rows.map((/** @type {string[]} */ [page, id, text]) =>
        h("li", {}, h("a", { href: address(page, id), title: text }, h("bdi", {}, text)))));
      list.firstElementChild.value = list.start; // counters end where content-visibility begins
    };
    const first = Math.floor((own.start - 1) / PER_LIST);
    const last = Math.floor((own.start - 1 + Math.max(0, own.children.length - 1)) / PER_LIST);
    const near = lists.slice(first, last + 1);
    await Promise.all(near.map(fill));
    own.replaceWith(...lists);
    if (document.body.dataset.live) mend();
    follow();
    const seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        fill(target).catch(() => {});
      }
    }, { root: rail, rootMargin: "800px" });
    for (const list of lists) if (!near.includes(list)) seen.observe(list);
  };
  addEventListener("load", () => (window.requestIdleCallback || setTimeout)(() => complete().catch(() => {})));

  // Where an address leads
  const arrive = async () => {
    const id = anchor();
    const target = document.getElementById(id);
    if (target && reveal(target)) target.scrollIntoView();
    if (target || !/^m[0-9a-f]+$/.test(id)) return;
    const pages = /** @type {[string, string][]} */ (Object.entries(await load("anchors")));
    const page = pages.find(([, anchors]) => ` ${anchors} `.includes(` ${id} `))?.[0];
    if (page && page !== here) location.replace(address(page, id));
  };
  const follows = () => arrive().catch(() => {});
  addEventListener("hashchange", follows);
  follows();
})();
