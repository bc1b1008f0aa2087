// Find in the whole chat: this page's text nodes first, then the search data of the other pages, one after another.
// Only counts are kept of other pages; a step beyond this page's last hit opens the next page with hits, the query in its address.
"use strict";
(() => {
  const { load, h, icon, reveal, command, menu, here, main } = /** @type {any} */ (window).readalong;
  /** A hit: from one text position to another. @typedef {{message: HTMLElement, range: StaticRange}} Hit */

  /** Runs of white space are one space, as in the search data. @param {string} text */
  const squeeze = (text) => text.replace(/[ \t\n\f\r]+/g, " ");
  /** Lower case of the same length, so that places stay places. @param {string} text */
  const fold = (text) => {
    const lower = text.toLowerCase();
    if (lower.length === text.length) return lower;
    return Array.from(text, (c) => (c.toLowerCase().length === c.length ? c.toLowerCase() : c)).join("");
  };
  /** @param {string} text @param {string} query */
  const places = (text, query) => {
    const found = [];
    for (let at = text.indexOf(query); at >= 0; at = text.indexOf(query, at + query.length)) found.push(at);
    return found;
  };
  /** Texts of a page's messages. The one place that knows how search data is written. @param {[string, string][]} rows */
  const decode = (rows) => rows.map(([, text]) => text);

  /** Hits in one message of this page. @param {HTMLElement} message @param {string} query @returns {Hit[]} */
  const search = (message, query) => {
    /** @type {{node: Text, start: number}[]} */
    const nodes = [];
    let text = "";
    const walker = document.createTreeWalker(message, NodeFilter.SHOW_ALL, (node) =>
      node instanceof Element && node.matches("time, button") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!(node instanceof Text)) continue;
      const piece = squeeze(node.data);
      nodes.push({ node, start: text.length });
      text += text.endsWith(" ") && piece.startsWith(" ") ? piece.slice(1) : piece;
    }
    // Walks forward only: at = place in the squeezed text, offset = the same place in the node.
    let index = 0, at = 0, offset = 0;
    const locate = (/** @type {number} */ place, /** @type {boolean} */ end) => {
      while (index + 1 < nodes.length && (end ? nodes[index + 1].start < place : nodes[index + 1].start <= place)) {
        index++;
        at = nodes[index].start;
        offset = 0;
        if (text[at - 1] === " ") while (/[ \t\n\f\r]/.test(nodes[index].node.data[offset] || "x")) offset++;
      }
      const source = nodes[index].node.data;
      for (; at < place; at++) {
        if (/[ \t\n\f\r]/.test(source[offset])) while (/[ \t\n\f\r]/.test(source[offset + 1] || "x")) offset++;
        offset++;
      }
      return { node: nodes[index].node, offset };
    };
    return places(fold(text), query).map((place) => {
      const from = locate(place, false);
      const to = locate(place + query.length, true);
      return { message, range: new StaticRange({ startContainer: from.node, startOffset: from.offset, endContainer: to.node, endOffset: to.offset }) };
    });
  };

  const input = h("input", { type: "text", placeholder: "Find in the whole chat", ariaLabel: "Find in the whole chat", autocomplete: "off", spellcheck: false, enterKeyHint: "search" });
  const output = h("output", { ariaLive: "polite" });
  const box = h("search", { className: "find", hidden: true, ariaLabel: "Find" }, input, output,
    h("button", { ariaLabel: "Previous hit", onclick: () => move(-1) }, icon("arrow-up")),
    h("button", { ariaLabel: "Next hit", onclick: () => move(1) }, icon("arrow-down")),
    h("button", { ariaLabel: "Close", onclick: () => close() }, icon("close")));
  document.querySelector(".bar")?.after(box);

  let run = 0; // number of the search; an older one stops when it sees a newer
  let query = "";
  /** @type {Hit[]} */
  let hits = [];
  let current = -1;
  let pages = [here];
  /** Counts of other pages. @type {Map<string, number>} */
  let counts = new Map();
  let done = false;
  let wanted = 0; // a step beyond this page that waits for the counts

  const HIGHLIGHTS_MAX = 5000;
  const paint = () => {
    const highlights = /** @type {any} */ (CSS).highlights;
    const hit = hits[current];
    if (highlights) {
      const Highlight = /** @type {any} */ (window).Highlight;
      highlights.set("find", new Highlight(...hits.slice(0, HIGHLIGHTS_MAX).map(({ range }) => range)));
      const mark = new Highlight(...(hit ? [hit.range] : []));
      mark.priority = 1;
      highlights.set("find-current", mark);
    } else {
      for (const old of document.querySelectorAll(".found")) old.classList.remove("found");
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

  /** Shows a hit of this page. @param {number} index */
  const show = (index) => {
    current = index;
    paint();
    tell();
    const { message, range } = hits[index];
    reveal(range.startContainer);
    const place = document.createRange();
    place.setStart(range.startContainer, range.startOffset);
    place.setEnd(range.endContainer, range.endOffset);
    const element = /** @type {HTMLElement} */ (range.startContainer.parentElement);
    message.scrollIntoView({ block: "nearest" }); // so that it is laid out
    for (let frame = element; frame !== main; frame = /** @type {HTMLElement} */ (frame.parentElement)) {
      if (frame.scrollHeight <= frame.clientHeight && frame.scrollWidth <= frame.clientWidth) continue;
      if (!/auto|scroll/.test(getComputedStyle(frame).overflow)) continue;
      const inner = place.getBoundingClientRect(), outer = frame.getBoundingClientRect();
      if (inner.top < outer.top || inner.bottom > outer.bottom) frame.scrollTop += inner.top - outer.top - outer.height / 3;
      if (inner.left < outer.left || inner.right > outer.right) frame.scrollLeft += inner.left - outer.left - outer.width / 3;
    }
    const { top, bottom } = place.getBoundingClientRect();
    if (top < 120 || bottom > innerHeight - 60) scrollBy(0, top - innerHeight / 3);
  };

  /** Goes to the next or previous page with hits, or round this one. @param {number} by */
  const leave = (by) => {
    const from = pages.indexOf(here);
    for (let step = 1; step < pages.length; step++) {
      const page = pages[(from + by * step + pages.length * step) % pages.length];
      const count = counts.get(page);
      if (count === undefined) return (wanted = by), output.append(" …");
      if (count) return location.assign(`${page}#find=${encodeURIComponent(query)}&hit=${by > 0 ? 0 : -1}`);
    }
    wanted = 0;
    if (hits.length) show(by > 0 ? 0 : hits.length - 1);
  };
  /** @param {number} by */
  const move = (by) => {
    if (squeeze(fold(input.value)) !== query) return start();
    if (!query) return;
    const next = current < 0 && by < 0 ? hits.length - 1 : current + by;
    if (hits[next]) show(next);
    else leave(by);
  };

  /** Searches for what stands in the field. @param {number} [first] the hit to show: -1 is the last, none the first at or below the reader */
  const start = async (first) => {
    const mine = ++run;
    query = squeeze(fold(input.value));
    hits = [];
    counts = new Map();
    current = -1;
    wanted = 0;
    done = !query;
    if (query) for (const message of main.querySelectorAll(":scope > .message")) hits.push(...search(message, query));
    paint();
    tell();
    if (!query) return;
    if (hits.length) {
      const below = hits.findIndex(({ message }) => message.getBoundingClientRect().bottom > 60);
      show(first === undefined ? Math.max(0, below) : first < 0 ? hits.length - 1 : Math.min(first, hits.length - 1));
    }
    const chat = await load("chat").catch(() => null);
    if (mine !== run) return;
    pages = chat?.pages.includes(here) ? chat.pages : [here];
    const from = pages.indexOf(here);
    for (const page of [...pages.slice(from + 1), ...pages.slice(0, from)]) {
      const texts = await load(`search-${page.replace(/\.html$/, "")}`).then(decode, () => []);
      if (mine !== run) return;
      counts.set(page, texts.reduce((/** @type {number} */ total, /** @type {string} */ text) => total + places(fold(text), query).length, 0));
      tell();
      if (wanted) leave(wanted);
    }
    done = true;
    tell();
    if (wanted) leave(wanted);
  };

  const open = () => {
    box.hidden = false;
    input.focus();
    input.select();
  };
  const close = () => {
    box.hidden = true;
    input.value = "";
    start();
    tool.focus();
  };
  let timer = 0;
  input.addEventListener("input", () => {
    clearTimeout(timer);
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
  const tool = h("button", { className: "tool", onclick: open }, icon("search"), "Find ", h("kbd", {}, "/"));
  menu.before(tool);
  command("Find", "/", open, "search");

  const resume = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (!asked.has("find")) return;
    box.hidden = false;
    input.value = asked.get("find");
    start(Number(asked.get("hit")));
  };
  addEventListener("hashchange", resume);
  resume();
})();
