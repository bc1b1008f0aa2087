// A whole bundle in one document: out of one HTML file, or decrypted. Its pages are put into this document, one after the other, and stay what
// they are: print, phones, screen readers and the theme's own scripts find a usual page. Files come from a source; nothing is fetched.
// The address is `#<anchor>&p=<page>&k=<key>`, each part optional.
"use strict";

/** A piece of bundle that cannot be shown, in words for the reader. */
class BookError extends Error {}

/** @param {string} text */
const fromBase64 = (text) => {
  const native = /** @type {any} */ (Uint8Array).fromBase64;
  return native ? /** @type {Uint8Array} */ (native(text)) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
};
/** @param {Uint8Array} bytes @returns {Promise<Uint8Array>} */
const inflate = async (bytes) =>
  new Uint8Array(await new Response(new Blob([/** @type {any} */ (bytes)]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).arrayBuffer());
/** @param {Uint8Array} bytes */
const textOf = (bytes) => new TextDecoder().decode(bytes);

/** Shows a bundle.
 *  `read`: the bytes of a file, by its path. `types`: the media type of every file. `key`: what addresses carry as `k`, if anything.
 *  `failed`: says what went wrong. `late`: data of a chat that grows, by name; it opens at its newest messages.
 *  @param {{read: (path: string) => Promise<Uint8Array>, types: Map<string, string>, key?: string, failed: (error: unknown) => void, late?: (name: string) => Promise<Uint8Array>}} source */
const openBook = async ({ read, types, key, failed, late }) => {
  const FIRST = "index.html";
  const root = document.documentElement;
  let here = ""; // the page that is shown
  let shown = " "; // the address that it was shown for
  let listening = new AbortController(); // of what the page's scripts listen to

  // Pages lie at the root; nothing else becomes a document, whatever the address says: a file of the chat could be one, with scripts of its own.
  const isPage = (/** @type {string} */ path) => /^[\w-]+\.html$/.test(path);
  const pageOf = (/** @type {string} */ hash) => new URLSearchParams(hash.slice(1)).get("p");
  const anchorOf = (/** @type {string} */ hash) => hash.slice(1).split("&").filter((part) => !/^[pk]=/.test(part)).join("&");
  /** @param {string} page @param {string} anchor */
  const address = (page, anchor) =>
    `#${[anchor, page === (late ? "" : FIRST) ? "" : `p=${encodeURIComponent(page)}`, key ? `k=${key}` : ""].filter(Boolean).join("&")}`;

  // Files. What a browser could run is run only where the page names it as a style or a script.
  const INERT = /^(image\/(?!svg)|audio\/|video\/|text\/plain|application\/(pdf|json)$)/;
  /** @type {Map<string, Promise<string>>} */
  const urls = new Map();
  /** @param {string} path @param {string} [type] @returns {Promise<string>} */
  const urlOf = (path, type = types.get(path) ?? "") => {
    const made = urls.get(path) ?? read(path).then((bytes) =>
      URL.createObjectURL(new Blob([/** @type {any} */ (bytes)], { type: INERT.test(type) || /^text\/(css|javascript)$/.test(type) ? type : "application/octet-stream" })));
    urls.set(path, made);
    made.catch(() => urls.delete(path));
    return made;
  };
  /** The file of the bundle that an attribute names, and the anchor in it. @param {Element} node @param {string} name */
  const named = (node, name) => {
    const [path, anchor = ""] = (node.getAttribute(name) ?? "").split("#");
    return types.has(path) ? { path, anchor } : path === "" && node.hasAttribute(name) ? { path: "", anchor } : null;
  };
  /** Files that links lead to. @type {WeakMap<Element, string>} */
  const files = new WeakMap();

  /** Makes what a page names lead to where it is now. @param {Document} page @param {string} path */
  const rewrite = (page, path) => {
    for (const link of page.querySelectorAll("a[href]")) {
      // The share's link, which leads to the newest messages: here without what is not in its address.
      const isShare = late && link.getAttribute("href") === "../index.html";
      if (isShare) link.setAttribute("href", address("", ""));
      const to = isShare ? null : named(link, "href");
      if (!to) continue;
      if (!to.path || isPage(to.path)) link.setAttribute("href", address(to.path || path, to.anchor));
      else {
        files.set(link, to.path);
        if (!link.hasAttribute("download")) link.setAttribute("target", "_blank"); // a book that is left has to be opened anew
        else if (!link.getAttribute("download")) link.setAttribute("download", to.path.slice(to.path.lastIndexOf("/") + 1)); // its address has no name
      }
    }
    for (const media of page.querySelectorAll("[src]:not(script)")) {
      const from = named(media, "src");
      if (!from?.path) continue;
      media.removeAttribute("src");
      urlOf(from.path).then((url) => media.setAttribute("src", url), failed);
    }
  };
  /** A link to a file gets its address when somebody is about to use it. @param {Event} event */
  const prepare = (event) => {
    const link = /** @type {HTMLAnchorElement | null} */ (/** @type {Element} */ (event.target).closest?.("a"));
    const path = link && files.get(link);
    if (!link || !path) return;
    const isClick = event.type === "click";
    if (isClick) event.preventDefault();
    urlOf(path).then((url) => {
      files.delete(link);
      link.href = url;
      if (isClick) link.click();
    }, failed);
  };
  for (const type of ["pointerdown", "focusin", "click"]) document.addEventListener(type, prepare);

  // The page's scripts run again for every page: what they listen to ends with it.
  for (const target of [window, document]) {
    const add = target.addEventListener;
    target.addEventListener = (/** @type {string} */ type, /** @type {any} */ listener, /** @type {any} */ options) =>
      add.call(target, type, listener, { ...(typeof options === "object" ? options : { capture: Boolean(options) }), signal: listening.signal });
  }
  /** Runs scripts, one after the other in this order; they are made ready side by side. @param {string[]} paths */
  const run = async (...paths) => {
    const sources = await Promise.all(paths.map((path) => urlOf(path, "text/javascript")));
    await Promise.all(sources.map((src, at) => new Promise((done, fail) => {
      const onerror = () => fail(new BookError(`The script ${paths[at]} does not run.`));
      const script = Object.assign(document.createElement("script"), { src, async: false, onload: done, onerror });
      document.head.append(script);
      script.remove();
    })));
  };
  /** @type {Map<string, Promise<CSSStyleSheet>>} */
  const styles = new Map();
  /** @param {string} path */
  const styleOf = (path) => {
    const made = styles.get(path) ?? read(path).then((bytes) => new CSSStyleSheet().replace(textOf(bytes)));
    styles.set(path, made);
    made.catch(() => styles.delete(path));
    return made;
  };

  /** What pages' scripts ask for, instead of loading script files. @param {string} name */
  const data = async (name) => {
    const path = `data/${name}.js`;
    const text = textOf(await (late && !types.has(path) ? late(name) : read(path)));
    return JSON.parse(text.slice(text.indexOf(",") + 1, text.lastIndexOf(")")));
  };

  /** Goes to a place of the page that is there; back to where the reader was, where that is known. @param {string} anchor @param {number} [y] */
  const arrive = (anchor, y) => {
    const { state } = history;
    const full = location.href;
    if (anchor && document.getElementById(anchor)) {
      // The browser itself goes there, as on any page, and then the address gets its other parts again.
      location.replace(`#${anchor}`);
      history.replaceState(state, "", full);
    }
    if (y !== undefined) scrollTo({ top: y, behavior: "instant" });
  };
  /** The document has loaded: places that are gone to before get no entry in the browser's history. */
  const ready = document.readyState === "complete" || new Promise((done) => EventTarget.prototype.addEventListener.call(window, "load", done, { once: true }));
  let asked = 0; // number of what was asked for last; an older page that comes late is not shown
  let turning = Promise.resolve();
  /** One page after the other: scripts of two must not mix. @param {string} path @param {string} hash */
  const turnTo = (path, hash) => {
    const mine = ++asked;
    const turned = turning.then(() => mine === asked ? turn(path, hash, mine) : undefined);
    turning = turned.catch(() => {});
    return turned;
  };
  /** @param {string} path @param {string} hash @param {number} mine */
  const turn = async (path, hash, mine) => {
    if (!isPage(path)) throw new BookError(`There is no page ${path} in this chat.`);
    const { y } = history.state ?? {};
    const isOpened = !here && !anchorOf(hash) && y === undefined; // by who comes to read, and not to a place
    const page = new DOMParser().parseFromString(textOf(await read(path)), "text/html");
    const paths = (/** @type {string} */ selector, /** @type {string} */ name) =>
      [...page.querySelectorAll(selector)].map((node) => named(node, name)?.path ?? "").filter((path) => /^(assets|data)\//.test(path)); // never the chat's own
    const scripts = paths("script[src]", "src");
    const sheets = paths("link[rel=stylesheet]", "href");
    for (const script of scripts) urlOf(script, "text/javascript"); // all at once: what comes from afar takes its time
    const dress = Promise.all(sheets.map(styleOf));
    rewrite(page, path);
    const [dressed] = await Promise.all([dress, ready]);
    if (mine !== asked) return;
    document.adoptedStyleSheets = dressed;
    window.dispatchEvent(new Event("pagehide"));
    listening.abort();
    listening = new AbortController();
    /** @type {any} */ (CSS).highlights?.clear();
    for (const { name, value } of page.documentElement.attributes) if (name === "class" || !root.hasAttribute(name)) root.setAttribute(name, value);
    if (!page.documentElement.className) root.removeAttribute("class");
    document.title = page.title;
    document.body.replaceWith(page.body);
    if (here) {
      document.querySelector("main")?.focus({ preventScroll: true });
      scrollTo({ top: 0, behavior: "instant" });
    }
    here = path;
    shown = hash;
    arrive(anchorOf(hash), y);
    /** @type {any} */ (window).readalong = { address, read: data, run, isOpened };
    await run(...scripts);
    if (mine !== asked) return;
    arrive(anchorOf(location.hash), y); // scripts add lines; and the way to the old page, where it was not found, forgets the place once more
    for (const type of ["DOMContentLoaded", "load"]) window.dispatchEvent(new Event(type));
  };

  /** The page that is meant by an address that says none. */
  const begin = async () => late ? data("live").then(({ page }) => page, () => FIRST) : FIRST;

  const look = async () => {
    const { hash } = location;
    if (hash === shown) return;
    const asked = pageOf(hash);
    // An address that says no page means this one where it has the anchor, as scripts and people write it.
    const isHere = !asked && here && document.getElementById(anchorOf(hash));
    const page = isHere ? here : asked ?? (await begin());
    if (location.hash !== hash) return;
    if (page !== here) return turnTo(page, hash);
    const full = address(page, anchorOf(hash));
    if (full !== hash) history.replaceState(history.state, "", full);
    shown = full;
    arrive(anchorOf(hash), history.state?.y);
  };
  const go = () => look().catch(failed);
  history.scrollRestoration = "manual";
  EventTarget.prototype.addEventListener.call(window, "hashchange", go);
  EventTarget.prototype.addEventListener.call(document, "scrollend", () => {
    if (location.hash === shown) history.replaceState({ ...history.state, y: scrollY }, ""); // else it is that of a page that is being left
  });
  await look();
};
