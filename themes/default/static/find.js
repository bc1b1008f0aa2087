// Find in the whole chat, loaded when somebody looks for something: this page's text nodes first, then the search data of the other pages, one after another.
// Only counts are kept of other pages; a step beyond this page's last hit opens the next page with hits, the query in its address.
"use strict";
(() => {
  const { address, all, command, findText, h, load, main, pages: shown, reveal } = readalong;
  const { plain, count, search, textOf } = findText;
  /** @typedef {{message: HTMLElement, range: StaticRange}} Hit */
  const [box] = all(".find");
  const [input] = all("input", box);
  const [output] = all("output", box);

  let run = 0; // number of the search; an older one stops when it sees a newer
  let query = "";
  /** @type {Hit[]} */
  let hits = [];
  let current = -1;
  let [here] = shown(); // the first of those that are shown stands for all of them
  let pages = [here];
  /** Counts of other pages. @type {Map<string, number>} */
  let counts = new Map();
  let done = false;
  let wanted = 0; // a step beyond this page that waits for the counts
  /** The hit that is to be shown once it is there: what came last may still be loading. @type {number | undefined} */
  let asked;
  let timer = 0; // of the search that typing begins

  const HIGHLIGHTS_MAX = 5000;
  const paint = () => {
    const highlights = /** @type {any} */ (CSS).highlights;
    const hit = hits[current];
    if (highlights) {
      const { Highlight } = /** @type {any} */ (window);
      highlights.set("find", new Highlight(...hits.slice(0, HIGHLIGHTS_MAX).map(({ range }) => range)));
      const mark = new Highlight(...(hit ? [hit.range] : []));
      mark.priority = 1;
      highlights.set("find-current", mark);
    } else {
      for (const old of all(".found")) old.classList.remove("found");
      hit?.message.classList.add("found");
    }
  };
  const tell = () => {
    const sum = (/** @type {string[]} */ list) => list.reduce((total, page) => total + (counts.get(page) || 0), 0);
    const before = pages.slice(0, pages.indexOf(here));
    const total = hits.length + sum(pages);
    const place = current >= 0 && before.every((page) => counts.has(page)) ? `${sum(before) + current + 1} of ` : "";
    output.textContent = !query ? "" : done && !total ? "None" : `${place}${total}${done ? "" : "+ …"}`;
    box.classList.toggle("find-none", Boolean(query) && done && !total);
  };

  /** Scrolls a piece of text into view, also within the frames around it. What comes into view above it may turn out larger than it was
   *  taken for: so it is looked at again. @param {AbstractRange} range @param {number} [again] */
  const scrollToRange = (range, again = 3) => {
    if (again) setTimeout(() => scrollToRange(range, again - 1), 80);
    const place = document.createRange();
    place.setStart(range.startContainer, range.startOffset);
    place.setEnd(range.endContainer, range.endOffset);
    for (let frame = range.startContainer.parentElement; frame && frame !== main; frame = frame.parentElement) {
      if (frame.scrollHeight <= frame.clientHeight && frame.scrollWidth <= frame.clientWidth) continue;
      if (!/auto|scroll/.test(getComputedStyle(frame).overflow)) continue;
      const inner = place.getBoundingClientRect();
      const outer = frame.getBoundingClientRect();
      if (inner.top < outer.top || inner.bottom > outer.bottom) frame.scrollTop += inner.top - outer.top - outer.height / 3;
      if (inner.left < outer.left || inner.right > outer.right) frame.scrollLeft += inner.left - outer.left - outer.width / 3;
    }
    const { top, bottom } = place.getBoundingClientRect();
    if (top < 120 || bottom > innerHeight - 60) scrollBy(0, top - innerHeight / 3);
  };

  /** Shows a hit of this page. @param {number} index */
  const show = (index) => {
    current = index;
    paint();
    tell();
    const { message, range } = hits[index];
    reveal(range.startContainer);
    message.scrollIntoView({ block: "nearest" }); // so that it is laid out
    scrollToRange(range);
  };

  /** @param {number} [first] the hit to show: -1 is the last, none the first at or below the reader */
  const meet = (first) => {
    asked = hits.length ? undefined : first;
    if (!hits.length) return;
    const below = hits.findIndex(({ message }) => message.getBoundingClientRect().bottom > 60);
    show(first === undefined ? Math.max(0, below) : first < 0 ? hits.length - 1 : Math.min(first, hits.length - 1));
  };

  /** Goes to the next or previous page with hits, or round this one. @param {number} by */
  const leave = (by) => {
    const from = pages.indexOf(here);
    for (let step = 1; step < pages.length; step++) {
      const page = /** @type {string} */ (pages.at((from + by * step) % pages.length));
      const count = counts.get(page);
      if (count === undefined) return (wanted = by), output.append(" …");
      if (count) return location.assign(address(page, `find=${encodeURIComponent(query)}&hit=${by > 0 ? 0 : -1}`));
    }
    wanted = 0;
    if (hits.length) show(by > 0 ? 0 : hits.length - 1);
  };
  /** @param {number} by */
  const move = (by) => {
    if (plain(input.value) !== query) {
      clearTimeout(timer);
      start();
      if (!hits.length) wanted = by;
      return;
    }
    if (!query) return;
    const next = current < 0 && by < 0 ? hits.length - 1 : current + by;
    if (hits[next]) show(next);
    else leave(by);
  };

  const look = () => {
    hits = query ? [...main.querySelectorAll(":scope > .message")].flatMap((message) => search(message, query)) : [];
    paint();
    tell();
  };
  /** Messages came or changed, live: the hit that is shown stays so. */
  const again = () => {
    const shown = hits[current]?.range;
    look();
    current = hits.findIndex(({ range }) => range.startContainer === shown?.startContainer && range.startOffset === shown.startOffset);
    paint();
    tell();
    if (asked !== undefined) meet(asked);
  };
  let later = 0;
  main.addEventListener("changed", () => {
    clearTimeout(later);
    if (query) later = setTimeout(again, 300);
  });

  /** Files of frames, by number: they never change. @type {Map<number, Promise<any[]>>} */
  const frames = new Map();
  /** Among files, what came since search data were sent is in frames: the newest of each item, as `put` has it. @returns {Promise<any[]>} */
  const recent = async () => {
    if (document.body.dataset.live !== "files") return [];
    const { first, last } = await load("live");
    const puts = new Map();
    for (let n = first; n <= last; n++) {
      if (!frames.has(n)) frames.set(n, load(`live-${n}`).catch(() => (frames.delete(n), [])));
    }
    for (let n = first; n <= last; n++) {
      for (const { ops = [] } of (await frames.get(n)) || []) for (const { put } of ops) if (put) puts.set(put.item, put);
    }
    return [...puts.values()];
  };
  /** Search data with what came since. @param {[string, string][]} rows @param {any[]} puts @returns {[string, string][]} */
  const join = (rows, puts) => {
    const fresh = puts.map(({ item, html }) => {
      const message = h("template", { innerHTML: html }).content.querySelector("[data-item]");
      return /** @type {[string, string]} */ ([item.split("-")[0], textOf(message)]);
    });
    // One that has grown says more than it did.
    return [...rows.filter(([anchor, text]) => !fresh.some(([same, longer]) => same === anchor && longer.startsWith(text))), ...fresh];
  };

  /** Searches for what stands in the field. @param {number} [first] as above */
  const start = async (first) => {
    const mine = ++run;
    query = plain(input.value);
    hits = [];
    counts = new Map();
    current = -1;
    wanted = 0;
    done = !query;
    look();
    meet(first);
    if (!query) return;
    if (document.readyState !== "complete") await new Promise((ready) => addEventListener("load", ready, { once: true }));
    const chat = await load("chat").catch(() => null);
    if (mine !== run) return;
    [here] = shown();
    pages = chat?.pages.includes(here) ? chat.pages : [here];
    const from = pages.indexOf(here);
    // What grows and has no later messages has all of those pages.
    if (document.body.dataset.live && !all(".pages [rel=next]", main).length) pages = pages.slice(0, from + 1);
    const puts = await recent().catch(() => []);
    for (const page of [...pages.slice(from + 1), ...pages.slice(0, from)]) {
      const rows = await load(`search-${page.replace(/\.html$/, "")}`).catch(() => []);
      if (mine !== run) return;
      counts.set(page, count(join(rows, puts.filter((put) => put.page === page)), query));
      tell();
      if (wanted) leave(wanted);
    }
    done = true;
    tell();
    if (wanted) leave(wanted);
  };

  const close = () => {
    box.hidden = true;
    input.value = "";
    start();
    all(".bar > [data-do=find]")[0]?.focus();
  };
  command("find-previous", () => move(-1));
  command("find-next", () => move(1));
  command("find-close", close);
  input.addEventListener("input", () => {
    clearTimeout(timer);
    run++;
    output.textContent = ""; // the count of what no longer stands in the field
    timer = setTimeout(start, 150);
  });
  document.addEventListener("keydown", (event) => {
    if (box.hidden) return;
    const back = event.shiftKey ? -1 : 1;
    if (event.key === "Escape") close();
    else if (event.key === "F3" || (event.key === "Enter" && event.target === input)) move(back);
    else return;
    event.preventDefault();
  });
  const resume = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (!asked.has("find")) return;
    box.hidden = false;
    input.value = asked.get("find");
    input.focus({ preventScroll: true }); // Enter goes on
    start(Number(asked.get("hit")));
  };
  addEventListener("hashchange", resume);
  resume();
  if (input.value && !query) start(); // what was typed while this was loading
})();
