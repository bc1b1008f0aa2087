// What a reader can do on a page: menu, text size, theme, folds, copies, local times, links to messages, rail of prompts, keys.
// Pages read fully without it. A classic script, so that it runs from file:// too; data comes as script files that call readalong.data().
"use strict";
(() => {
  const root = document.documentElement;
  const body = document.body;
  const here = body.dataset.page || "index.html";
  const main = /** @type {HTMLElement} */ (document.getElementById("chat"));
  const rail = document.getElementById("rail");
  const bar = /** @type {HTMLElement} */ (document.querySelector(".bar"));
  /** @type {(selector: string, scope?: ParentNode) => HTMLElement[]} */
  const all = (selector, scope = document) => [...scope.querySelectorAll(selector)].map((node) => /** @type {any} */ (node));

  /** @type {Map<string, {promise: Promise<any>, resolve: (value: any) => void}>} */
  const loading = new Map();
  /** Called by data scripts. @param {string} name @param {any} value */
  const data = (name, value) => loading.get(name)?.resolve(value);
  /** Loads data/<name>.js; nothing is kept. @param {string} name @returns {Promise<any>} */
  const load = (name) => {
    const known = loading.get(name);
    if (known) return known.promise;
    const script = h("script", { src: `data/${name}.js` });
    let resolve = (/** @type {any} */ _) => {};
    const promise = new Promise((done, fail) => {
      resolve = done;
      script.onload = script.onerror = () => fail(new Error(`no data ${name}`)); // too late where data() was called
    }).finally(() => {
      loading.delete(name);
      script.remove();
    });
    loading.set(name, { promise, resolve });
    document.head.append(script);
    return promise;
  };

  /** Makes an element. @param {string} tag @param {Record<string, any>} [props] @param {(Node | string)[]} children @returns {any} */
  const h = (tag, props = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };
  const icons = /** @type {HTMLTemplateElement} */ (document.getElementById("icons")).content;
  /** An icon of the theme. @param {string} name @returns {Node | string} */
  const icon = (name) => icons.querySelector(`[data-icon="${name}"] svg`)?.cloneNode(true) || "";

  /** Says something to all readers for a moment. @param {string} text */
  const say = (text) => {
    const toast = h("p", { className: "toast" }, text);
    body.append(toast);
    setTimeout(() => toast.remove(), 1600);
    /** @type {HTMLElement} */ (document.getElementById("announce")).textContent = text;
  };
  /** @param {string} text @returns {Promise<unknown>} */
  const copy = (text) =>
    (navigator.clipboard?.writeText(text) || Promise.reject()).catch(() => {
      const area = h("textarea", { value: text, className: "sr-only" });
      body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    });
  /** Opens what is folded around a node. @param {Node} node */
  const reveal = (node) => {
    let opened = false;
    const own = node instanceof Element && (node.matches("details") ? node : node.querySelector(":scope > details:only-child"));
    let fold = own || node.parentElement?.closest("details");
    for (; fold; fold = fold.parentElement?.closest("details")) {
      opened ||= !(/** @type {HTMLDetailsElement} */ (fold).open);
      /** @type {HTMLDetailsElement} */ (fold).open = true;
    }
    return opened;
  };

  // Text size and theme
  const settings = { theme: "auto", size: 100 };
  try {
    Object.assign(settings, JSON.parse(localStorage.getItem("readalong") || "{}"));
  } catch {} // no storage, then for this page only
  const sizeShown = h("span");
  const themes = ["auto", "light", "dark"].map((theme) =>
    h("button", { ariaLabel: `Theme: ${theme}`, title: theme, onclick: () => set({ theme }) }, icon(theme)));
  /** @param {Partial<typeof settings>} changes */
  const set = (changes) => {
    Object.assign(settings, changes);
    settings.size = Math.min(200, Math.max(70, Number(settings.size) || 100));
    root.dataset.theme = settings.theme;
    root.style.setProperty("--text-scale", String(settings.size / 100));
    sizeShown.textContent = `Text ${settings.size} %`;
    for (const button of themes) button.ariaPressed = String(button.title === settings.theme);
    try {
      localStorage.setItem("readalong", JSON.stringify(settings));
    } catch {}
  };

  // Menu and keys
  const card = h("div", { className: "card" },
    h("div", { className: "menu-row" }, sizeShown,
      h("button", { ariaLabel: "Smaller text", onclick: () => set({ size: settings.size - 10 }) }, "A−"),
      h("button", { ariaLabel: "Larger text", onclick: () => set({ size: settings.size + 10 }) }, "A+")),
    h("div", { className: "menu-row" }, h("span", {}, "Theme"), ...themes),
    h("hr"));
  const menu = h("details", { className: "menu" }, h("summary", { ariaLabel: "Menu" }, icon("more")), card);
  bar.append(menu);
  set({});

  /** @type {Map<string, {label: string, run: () => void}>} */
  const keys = new Map();
  /** Adds a line to the menu, a key, or both. @param {string} label @param {string} key @param {() => void} run @param {string} [iconName] @param {string} [className] */
  const command = (label, key, run, iconName, className = "") => {
    if (key) keys.set(key, { label, run });
    if (!iconName) return;
    const line = h("button", { className: `menu-item ${className}` }, icon(iconName), label, ...(key ? [h("kbd", {}, key)] : []));
    line.onclick = () => {
      menu.open = false;
      run();
    };
    card.append(line);
  };
  const closeCards = (/** @type {Element | null} */ but = null) => {
    for (const fold of all(".bar details[open]")) if (!fold.contains(but)) /** @type {any} */ (fold).open = false;
    if (!but || !rail?.contains(but)) showRail(false);
  };
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (!target.closest(".rail-toggle, .menu-item")) closeCards(target);
    if (target.closest(".rail a")) showRail(false);
    const button = target.closest(".copy");
    if (button) {
      const texts = all("pre", /** @type {Element} */ (button.parentElement)).map((pre) => String(pre.textContent).replace(/\n$/, ""));
      copy(texts.join("\n")).then(() => {
        button.replaceChildren(icon("check"));
        button.classList.add("done");
        setTimeout(() => button.replaceChildren(icon("copy")) || button.classList.remove("done"), 1600);
      });
    }
    const link = /** @type {HTMLAnchorElement | null} */ (target.closest(".permalink"));
    if (link && !event.ctrlKey && !event.metaKey) copy(link.href).then(() => say("Link copied"));
  });
  document.addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (event.key === "Escape") closeCards();
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || target.closest("input, textarea, select")) return;
    const entry = keys.get(event.key);
    if (entry) event.preventDefault();
    entry?.run();
  });

  // Folds and paper
  const folds = (/** @type {boolean} */ open) => all("details", main).filter((fold) => /** @type {any} */ (fold).open !== open);
  const fold = (/** @type {HTMLElement[]} */ list, /** @type {boolean} */ open) => list.forEach((one) => (/** @type {any} */ (one).open = open));
  command("Prompts", "t", () => {
    if (!rail) location.href = "index.html";
    else if (rail.offsetParent && !root.classList.contains("rail-open")) (rail.querySelector("[aria-current]") || rail.querySelector("a"))?.focus();
    else showRail(!root.classList.contains("rail-open"));
  }, "list", "phone-only");
  command("About this chat", "", () => all(".info summary")[0]?.click(), "info", "phone-only");
  command("Unfold everything", "", () => fold(folds(true), true), "unfold");
  command("Fold everything", "", () => fold(folds(false), false), "fold");
  command("Print as it is", "", () => print(), "print");
  command("Print everything unfolded", "", () => {
    const closed = folds(true);
    fold(closed, true);
    addEventListener("afterprint", () => fold(closed, false), { once: true });
    print();
  }, "print");
  command("Keys", "?", () => {
    const lines = [...keys].flatMap(([key, { label }]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, label)]);
    const help = h("div", { className: "help card", popover: "auto" }, h("h2", {}, "Keys"), h("dl", {}, ...lines));
    help.ontoggle = (/** @type {any} */ event) => event.newState === "closed" && help.remove();
    body.append(help);
    help.showPopover?.();
  }, "keys", "menu-keys");

  // Times in the reader's zone, lines between days, copy buttons: for the page and for messages that come later
  const styles = /** @type {Record<string, Intl.DateTimeFormat>} */ ({});
  for (const [style, options] of Object.entries({
    clock: { hour: "2-digit", minute: "2-digit" }, date: { dateStyle: "medium" }, full: { dateStyle: "medium", timeStyle: "short" },
  })) styles[style] = new Intl.DateTimeFormat("en-GB", /** @type {Intl.DateTimeFormatOptions} */ (options));
  const show = (/** @type {HTMLElement} */ time, style = time.dataset.style || "clock") => {
    const date = new Date(/** @type {any} */ (time).dateTime);
    if (!isNaN(+date)) time.textContent = (styles[style] || styles.clock).format(date);
  };
  const enhance = (/** @type {Element} */ scope) => {
    for (const time of all("time[datetime]", scope)) show(time);
    for (const box of all(".code, .output", scope)) if (!box.querySelector(":scope > .copy")) box.append(h("button", { className: "copy", ariaLabel: "Copy" }, icon("copy")));
  };
  const days = () => {
    let last = "";
    for (const time of all(".message > .permalink > time", main)) {
      const message = /** @type {HTMLElement} */ (time.closest(".message"));
      if (message.parentElement !== main) continue;
      const line = message.previousElementSibling?.matches(".day") ? message.previousElementSibling : null;
      const day = styles.date.format(new Date(/** @type {any} */ (time).dateTime));
      if (day === last) line?.remove();
      else if (last && !line) message.before(h("p", { className: "day" }, h("time", { dateTime: /** @type {any} */ (time).dateTime, title: time.title }, day)));
      last = day;
    }
  };
  enhance(body);
  days();

  // The rail follows the reader and gets the prompts of the other pages
  /** @type {HTMLElement[]} */
  let prompts = [];
  let current = -1;
  const findPrompts = () => (prompts = all(":scope > .prompt", main));
  const follow = () => {
    let low = 0;
    for (let high = prompts.length; low < high;) {
      const middle = (low + high) >> 1;
      if (prompts[middle].getBoundingClientRect().top < innerHeight / 3) low = middle + 1;
      else high = middle;
    }
    current = low - 1;
    const link = rail?.querySelector(`a[href="#${prompts[current]?.id}"]`);
    if (!rail || !link || link.ariaCurrent) return;
    rail.querySelector("[aria-current]")?.removeAttribute("aria-current");
    link.ariaCurrent = "location";
    const box = link.getBoundingClientRect();
    const frame = rail.getBoundingClientRect();
    if (box.top < frame.top + 40 || box.bottom > frame.bottom - 40) rail.scrollTop += box.top - frame.top - frame.height / 3;
  };
  let waiting = 0;
  const soon = () => (waiting ||= requestAnimationFrame(() => { waiting = 0; follow(); }));
  addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", soon);
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const node of addedNodes) if (node instanceof HTMLElement && node.matches(".message")) enhance(node);
    findPrompts();
    soon();
  }).observe(main, { childList: true });
  findPrompts();
  follow();

  const step = (/** @type {1 | -1} */ by) => {
    const top = prompts[current]?.getBoundingClientRect().top;
    const to = prompts[by < 0 && top < 0 ? current : current + by];
    if (to) location.replace(`#${to.id}`);
    else all(`a[rel=${by > 0 ? "next" : "prev"}]`)[0]?.click();
  };
  command("Next prompt", "j", () => step(1));
  command("Previous prompt", "k", () => step(-1));

  const toggle = h("button", { className: "rail-toggle tool", ariaLabel: "Prompts", ariaExpanded: "false", onclick: () => keys.get("t")?.run() }, icon("list"));
  const showRail = (/** @type {boolean} */ open) => {
    if (open === root.classList.contains("rail-open")) return;
    root.classList.toggle("rail-open", open);
    toggle.ariaExpanded = String(open);
    if (open) (rail?.querySelector("[aria-current]") || rail?.querySelector("a"))?.focus();
  };
  if (rail) bar.prepend(toggle);

  const PER_CHUNK = 500;
  const complete = async () => {
    const chat = await load("chat");
    const own = rail?.querySelector("ol");
    if (!rail || !own || !chat.pages.includes(here)) return;
    const lists = Array.from({ length: chat.contents }, (_, at) => {
      const list = h("ol", { start: at * PER_CHUNK + 1 });
      list.style.minHeight = `calc(${Math.min(PER_CHUNK, chat.prompts - at * PER_CHUNK)} * var(--rail-line))`;
      return list;
    });
    const fill = async (/** @type {any} */ list) => {
      const rows = await load(`contents-${lists.indexOf(list) + 1}`);
      list.append(...rows.map((/** @type {string[]} */ [page, anchor, text]) =>
        h("li", {}, h("a", { href: `${page === here ? "" : page}#${anchor}`, title: text }, h("bdi", {}, text)))));
    };
    const first = Math.floor((own.start - 1) / PER_CHUNK);
    const last = Math.floor((own.start + own.children.length - 2) / PER_CHUNK);
    const near = lists.filter((_, at) => at >= first && at <= Math.max(first, last));
    await Promise.all(near.map(fill));
    own.replaceWith(...lists);
    follow();
    const seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        fill(target);
      }
    }, { root: rail, rootMargin: "800px" });
    for (const list of lists) if (!near.includes(list)) seen.observe(list);
  };
  addEventListener("load", () => (window.requestIdleCallback || setTimeout)(() => complete().catch(() => {})));

  // An address that names something folded, or something that is on another page by now
  const arrive = async () => {
    const id = location.hash.slice(1);
    if (!id || id.includes("=")) return;
    const target = document.getElementById(id);
    if (target && reveal(target)) target.scrollIntoView();
    if (target || !/^m[0-9a-f]/.test(id)) return;
    const pages = /** @type {[string, string][]} */ (Object.entries(await load("anchors")));
    const page = pages.find(([, anchors]) => ` ${anchors} `.includes(` ${id} `))?.[0];
    if (page && page !== here) location.replace(`${page}#${id}`);
  };
  addEventListener("hashchange", () => arrive().catch(() => {}));
  arrive().catch(() => {});

  root.classList.add("js");
  /** @type {any} */ (window).readalong = { data, load, h, icon, reveal, command, menu, here, main };
})();
