// What a reader can do on any page: menu, keys, text size, theme, folds, paper. Pages read fully without it. Other scripts build on it.
// A classic script, so that it runs from file:// too. Data comes as script files that call readalong.data().
"use strict";
(() => {
  const root = document.documentElement;
  const main = document.getElementById("chat");
  /** @type {(selector: string, scope?: any) => any[]} */
  const all = (selector, scope = document) => [...scope.querySelectorAll(selector)];
  const [bar] = all(".bar");
  const here = document.body.dataset.page || "index.html";
  /** Where pages and data are: beside this page, or where a book that is shown in one place says.
   *  @type {{address: (page: string, anchor: string) => string, read?: (name: string) => Promise<any>}} */
  const { address, read } = /** @type {any} */ (window).readalong || {
    address: (/** @type {string} */ page, /** @type {string} */ anchor) => (page === here ? "" : page) + (anchor && `#${anchor}`),
  };
  /** The anchor in the address; what follows it is for others. */
  const anchor = () => location.hash.slice(1).split("&")[0];

  /** @type {Map<string, {promise: Promise<any>, resolve: (value: any) => void}>} */
  const loading = new Map();
  /** Called by data scripts. @param {string} name @param {any} value */
  const data = (name, value) => loading.get(name)?.resolve(value);
  /** Loads data/<name>.js; nothing is kept. @param {string} name @returns {Promise<any>} */
  const load = (name) => {
    const known = loading.get(name);
    if (known) return known.promise;
    if (read) return read(name);
    const script = h("script", { src: `data/${name}.js` });
    let resolve = (/** @type {any} */ _) => {};
    const promise = new Promise((done, fail) => {
      resolve = done;
      script.onload = script.onerror = () => fail(new Error(`no data: ${name}`)); // does nothing where data() was called
    }).finally(() => {
      loading.delete(name);
      script.remove();
    });
    loading.set(name, { promise, resolve });
    document.head.append(script);
    return promise;
  };

  /** Makes an element. @param {string} tag @param {Record<string, any>} [props] @param {any[]} children @returns {any} */
  const h = (tag, props = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };
  /** An icon of the theme. @param {string} name */
  const icon = (name) => all("#icons")[0]?.content.querySelector(`[data-icon="${name}"] svg`)?.cloneNode(true) || "";
  /** Opens what is folded around a node, and the node; true if anything was. @param {any} node */
  const reveal = (node) => {
    let opened = false;
    let fold = node.querySelector?.(":scope > details:only-child") || node.parentElement;
    for (fold = fold?.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      opened ||= !fold.open;
      fold.open = true;
    }
    return opened;
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

  // Text size and theme
  const settings = { theme: "auto", size: 100 };
  try {
    Object.assign(settings, JSON.parse(localStorage.getItem("readalong") || "{}"));
  } catch {} // no storage: for this page only
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
  const end = h("hr");
  const card = h("div", { className: "card" },
    h("div", { className: "menu-row" }, sizeShown,
      h("button", { ariaLabel: "A−, smaller text", onclick: () => set({ size: settings.size - 10 }) }, "A−"),
      h("button", { ariaLabel: "A+, larger text", onclick: () => set({ size: settings.size + 10 }) }, "A+")),
    h("div", { className: "menu-row" }, h("span", {}, "Theme"), ...themes),
    end);
  const menu = h("details", { className: "menu" }, h("summary", { ariaLabel: "Menu" }, icon("more")), card);
  bar.append(menu);
  set({});

  /** @type {Map<string, {label: string, run: () => void}>} */
  const keys = new Map();
  /** Adds a key, a line of the menu, or both.
   *  @param {string} label @param {string} key @param {() => void} run @param {string} [iconName] @param {string} [className] */
  const command = (label, key, run, iconName, className = "") => {
    if (key) keys.set(key, { label, run });
    if (!iconName) return;
    const onclick = () => {
      menu.open = false;
      run();
    };
    const line = h("button", { className: `menu-item ${className}`, onclick }, icon(iconName), label, ...(key ? [h("kbd", {}, key)] : []));
    if (className === "phone-only") end.after(line);
    else card.append(line);
  };
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    for (const open of all(".bar details[open]")) open.open = open.contains(target) || (open !== menu && Boolean(target.closest(".menu-item")));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const open of all(".bar details[open]")) open.open = false;
    const target = /** @type {Element} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, textarea, select")) return;
    const found = keys.get(event.key);
    if (found) event.preventDefault();
    found?.run();
  });

  // Folds and paper
  const fold = (/** @type {boolean} */ open, list = all("details", main).filter((one) => one.open !== open)) => {
    for (const one of list) one.open = open;
    return list;
  };
  // Copies to keep, and what is known of the bundle by a server that has it
  for (const [label, name] of [["Markdown", "chat.md"], ["JSON", "chat.json"]])
    command(label, "", () => all(`.info a[href$="${name}"]`)[0].click(), "file");
  /** @type {Promise<any> | undefined} */
  let told;
  const tell = () => {
    told ||= load("bundle").then((/** @type {string} */ id) => {
      all(".info dl")[0].append(h("dt", {}, "Bundle"), h("dd", {}, h("code", {}, id)));
      command("Zip", "", () => location.assign("bundle.zip"), "file");
    }).catch(() => {});
  };
  if (all(".chat-frozen .badge").length) for (const box of [menu, ...all(".info")]) box.addEventListener("toggle", tell, { once: true });

  command("About this chat", "", () => all(".info summary")[0].click(), "info", "phone-only");
  command("Unfold everything", "", () => fold(true), "unfold");
  command("Fold everything", "", () => fold(false), "fold");
  command("Print as it is", "", () => print(), "print");
  command("Print all, unfolded", "", () => {
    const opened = fold(true);
    addEventListener("afterprint", () => fold(false, opened), { once: true });
    print();
  }, "print");
  command("Keys", "?", () => {
    const lines = [...keys].flatMap(([key, { label }]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, label)]);
    const help = h("div", { className: "help card", popover: "auto" }, h("h2", {}, "Keys"), h("dl", {}, ...lines));
    help.ontoggle = (/** @type {any} */ event) => event.newState === "closed" && help.remove();
    document.body.append(help);
    help.showPopover?.();
  }, "keys", "menu-keys");

  root.classList.add("js");
  /** @type {any} */ (window).readalong = { .../** @type {any} */ (window).readalong, address, all, anchor, bar, command, data, h, here, icon, load, main, menu, reveal, scrollToRange };
})();
