// The rail of prompts: follows the reader, gets the prompts of the other pages, opens over the page where it is narrow.
// And the ways to a message: next and previous prompt, addresses of what is folded or elsewhere.
"use strict";
(() => {
  const { address, all, anchor, command, h, load, main, pages, reveal } = readalong;
  const root = document.documentElement;
  const rail = document.getElementById("rail");

  // Where the reader is
  /** @type {HTMLElement[]} */
  let prompts = [];
  let current = -1;
  const linkTo = (/** @type {HTMLElement} */ prompt) => rail?.querySelector(`a:is([href$="#${prompt.id}"], [href*="#${prompt.id}&"])`);
  const lineOf = (/** @type {string} */ page, /** @type {string} */ id, /** @type {string} */ text) =>
    h("li", {}, h("a", { href: address(page, id), title: text }, h("bdi", {}, text)));
  const topOf = (/** @type {any} */ prompt) => prompt?.getBoundingClientRect().top;
  const follow = () => {
    // At the top it is the first, at the end the last.
    const rest = root.scrollHeight - innerHeight - scrollY;
    const height = Math.max(Math.min(innerHeight - 2 * rest, 2 * scrollY), Math.min(innerHeight / 3, topOf(prompts[0]) + 2 * scrollY + 1));
    current = prompts.findLastIndex((prompt) => topOf(prompt) < height);
    const link = prompts[current] && linkTo(prompts[current]);
    if (!rail || !link || link.ariaCurrent) return;
    rail.querySelector("[aria-current]")?.removeAttribute("aria-current");
    link.ariaCurrent = "location";
    // Not scrollIntoView: that may move the page too.
    const [line, frame] = [link, rail].map((node) => node.getBoundingClientRect());
    rail.scrollTop += Math.min(0, line.top - frame.top) + Math.max(0, line.bottom - frame.bottom);
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
  addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", soon);
  main.addEventListener("changed", changed);
  changed();

  const step = (/** @type {1 | -1} */ by) => {
    follow(); // before the next frame
    const at = prompts.findIndex((prompt) => prompt.matches(":target") && topOf(prompt) > 0 && topOf(prompt) < innerHeight);
    if (at >= 0) current = at; // where one went and it is in sight
    const within = by < 0 && topOf(prompts[current]) < 0;
    const to = prompts[within ? current : current + by];
    if (to) location.replace(address(pages().at(-1), to.id)); // a book has more in its addresses
    else all(`a[rel=${by > 0 ? "next" : "prev"}]`)[0]?.click();
  };
  command("next", () => step(1), "j");
  command("previous", () => step(-1), "k");

  // Over the page, where it has no column
  const isOpen = () => root.classList.contains("rail-open");
  const focus = () => (all("#rail [aria-current]")[0] || all("#rail li a")[0])?.focus();
  const show = (/** @type {boolean} */ open) => {
    root.classList.toggle("rail-open", open);
    for (const toggle of all(".rail-toggle")) toggle.ariaExpanded = String(open);
    if (open) focus();
  };
  command("prompts", () => {
    if (!rail) location.assign(address("contents.html", ""));
    else if (rail.offsetParent && !isOpen()) focus();
    else show(!isOpen());
  }, "t");
  if (rail) show(false);
  document.addEventListener("click", (/** @type {any} */ { target }) => {
    if (isOpen() && (target.closest(".rail a") || !target.closest(".rail, [data-do=prompts]"))) show(false);
  });
  document.addEventListener("keydown", ({ key }) => key === "Escape" && isOpen() && show(false));

  // The whole chat: a list of fixed height for every 500 prompts, filled when near
  const PER_LIST = 500;
  const complete = async () => {
    const chat = await load("chat");
    const at = chat.pages.indexOf(pages().at(-1)) + 1;
    if (at && chat.pages[1]) main.dataset.sheet = `Part ${at} of ${chat.pages.length}`; // on paper
    const [own] = all("#rail ol:not(.lot)");
    if (!rail || !own || !at) return;
    const lists = Array.from({ length: chat.contents }, (_, at) => {
      const list = h("ol", { className: "lot", start: at * PER_LIST + 1 });
      list.style.minHeight = `calc(${Math.min(PER_LIST, chat.prompts - at * PER_LIST)} * var(--rail-line))`;
      return list;
    });
    const fill = async (/** @type {any} */ list) => {
      const rows = await load(`contents-${lists.indexOf(list) + 1}`);
      list.append(...rows.map((/** @type {[string, string, string]} */ row) => lineOf(...row)));
      list.firstElementChild.value = list.start; // counters end at content-visibility
    };
    const near = lists.filter(({ start }) => start < own.start + own.children.length && start + PER_LIST > own.start);
    await Promise.all(near.map(fill));
    own.replaceWith(...lists);
    main.dispatchEvent(new Event("changed")); // a live page may be ahead
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
  addEventListener("load", () => (window.requestIdleCallback || setTimeout)(() => complete().catch(() => {}), { timeout: 2000 }));

  // Where an address leads
  const arrive = async () => {
    const id = anchor();
    const target = document.getElementById(id);
    if (target && reveal(target)) target.scrollIntoView();
    if (target || !/^m[0-9a-f]+$/.test(id)) return;
    const anchors = await load("anchors");
    const page = Object.keys(anchors).find((name) => ` ${anchors[name]} `.includes(` ${id} `));
    if (!page) readalong.say("This message is not here any more");
    else if (!pages().includes(page) && main.isConnected) location.replace(address(page, id)); // a book may be there by now
  };
  const follows = () => arrive().catch(() => {});
  addEventListener("hashchange", follows);
  follows();
  Object.assign(readalong, { complete, lineOf, linkTo });
})();
