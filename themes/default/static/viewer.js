// What a reader can do on any page: menu, keys, text size, theme, folds, paper. Pages read fully without it. Other scripts build on it.
// A classic script, so that it runs from file:// too. Data comes as script files that call readalong.data().
"use strict";
(() => {
  const root = document.documentElement;
  const main = document.getElementById("chat");
  /** @type {(selector: string, scope?: any) => any[]} */
  const all = (selector, scope = document) => [...scope.querySelectorAll(selector)];
  const [bar] = all(".bar");
  /** The pages that are shown here, the one that this is last: a live page changes. */
  const pages = () => (document.body.dataset.pages || document.body.dataset.page || "index.html").split(" ");
  /** Makes an element. @param {string} tag @param {Record<string, any>} [props] @param {any[]} children @returns {any} */
  const h = (tag, props = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };
  /** Where pages, data and scripts are: beside this page, or where a book that is shown in one place says.
   *  @type {{address: (page: string, anchor: string) => string, run: (src: string) => Promise<any>, read?: (name: string) => Promise<any>, isOpened?: boolean}} */
  const { address, run, read, isOpened } = globalThis.readalong || {
    address: (/** @type {string} */ page, /** @type {string} */ anchor) => (pages().includes(page) ? "" : page) + (anchor && `#${anchor}`),
    run: (/** @type {string} */ src) => new Promise((done, fail) => {
      const script = h("script", { src, onload: done, onerror: () => fail(new Error(`no script: ${src}`)) });
      document.head.append(script);
      script.remove();
    }),
  };
  /** The anchor in the address, without what is for others. */
  const anchor = () => location.hash.slice(1).split("&")[0];

  /** @type {Map<string, {promise: Promise<any>, resolve: (value: any) => void}>} */
  const loading = new Map();
  /** Called by data scripts. @param {string} name @param {any} value */
  const data = (name, value) => loading.get(name)?.resolve(value);
  /** Loads data/<name>.js; nothing is kept. @param {string} name @returns {Promise<any>} */
  const load = (name) => {
    if (read) return read(name);
    const known = loading.get(name);
    if (known) return known.promise;
    let resolve = (/** @type {any} */ _) => {};
    const promise = new Promise((done, fail) => {
      resolve = done;
      run(`data/${name}.js`).then(() => fail(new Error(`no data: ${name}`)), fail); // nothing where data() was called
    }).finally(() => loading.delete(name));
    loading.set(name, { promise, resolve });
    return promise;
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

  // Commands: what buttons name as data-do, some with a key
  /** @type {Record<string, (value?: string) => void>} */
  const commands = {};
  /** @type {Record<string, () => void>} */
  const keys = {};
  /** @param {string} name @param {(value?: any) => void} run @param {string} [key] */
  const command = (name, run, key) => {
    commands[name] = run;
    if (key) keys[key] = run;
  };
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    for (const open of all(".bar details[open]")) open.open = open.contains(target) && !target.closest(".menu-item");
    const button = /** @type {HTMLButtonElement | null} */ (target.closest("[data-do]"));
    if (button) commands[button.dataset.do || ""]?.(button.value);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const open of all(".bar details[open]")) {
      open.open = false;
      all("summary", open)[0].focus();
    }
    if (["Home", "End"].includes(event.key) || event.metaKey) main?.classList.add("whole"); // ⌘↑ and ⌘↓ too: they would not get there by guessed heights
    const target = /** @type {Element} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, textarea, select") || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });

  // Text size and theme
  const settings = { theme: "auto", size: 100 };
  try {
    Object.assign(settings, JSON.parse(localStorage.getItem("readalong") || "{}"));
  } catch {} // for this page only
  /** @param {Partial<typeof settings>} changes */
  const set = (changes) => {
    Object.assign(settings, changes);
    settings.size = Math.min(200, Math.max(70, Number(settings.size) || 100));
    root.dataset.theme = settings.theme;
    root.style.setProperty("--text-scale", String(settings.size / 100));
    for (const said of all(".text-size")) said.textContent = `Text ${settings.size} %`;
    for (const button of all("[data-do=theme]")) button.ariaPressed = String(button.value === settings.theme);
    try {
      localStorage.setItem("readalong", JSON.stringify(settings));
    } catch {}
  };
  set({});
  command("theme", (theme) => set({ theme }));
  command("size", (by) => set({ size: settings.size + Number(by) }));

  // Folds and paper
  const fold = (/** @type {boolean} */ open, list = all("details", main).filter((one) => one.open !== open)) => {
    for (const one of list) one.open = open;
    return list;
  };
  const [info] = all(".info");
  command("about", () => (info.open = true));
  command("unfold", () => fold(true));
  command("fold", () => fold(false));
  command("print", () => print());
  command("print-all", () => {
    const opened = fold(true);
    addEventListener("afterprint", () => fold(false, opened), { once: true });
    print();
  });
  command("keys", () => all("#keys")[0].showPopover?.(), "?");

  // A frozen share: which bundle it is, and the bundle as a file, where a server says so
  const tell = () => load("bundle").then((id) => {
    if (all(".bundle", info).length) return;
    all("dl", info)[0].append(h("dt", { className: "bundle" }, "Bundle"), h("dd", {}, h("code", {}, id)));
    all(".menu [href='chat.json']")[0]?.after(h("a", { className: "menu-item", href: "bundle.zip", download: "" }, icon("file"), "Bundle as zip"));
  }).catch(() => {});
  if (all(".chat-frozen .badge").length) for (const box of all(".menu, .info")) box.addEventListener("toggle", tell, { once: true });

  // Find: its scripts come when somebody looks for something
  const [box] = all(".find");
  if (box) {
    const [input] = all("input", box);
    /** @type {Promise<void> | undefined} */
    let finding;
    const find = () => finding ||= (async () => {
      for (const src of box.dataset.scripts.split(" ")) await run(src);
    })().catch(() => {
      finding = undefined;
      all("output", box)[0].textContent = "Not reachable";
    });
    command("find", () => {
      box.hidden = false;
      input.focus();
      input.select();
      find();
    }, "/");
    const arrive = () => location.hash.includes("find=") && find();
    addEventListener("hashchange", arrive);
    arrive();
  }

  globalThis.readalong = { address, all, anchor, bar, command, data, h, icon, isOpened, load, main, pages, read, reveal };
  root.classList.add("js");
})();
