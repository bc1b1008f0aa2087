// What all pages of the desk rest on: texts, elements, requests, menus, and parts that are fetched anew.
// A page says what a control does by data-do; a module says how by desk.on().
"use strict";
(() => {
  const page = document.documentElement;
  const root = String(document.body.dataset.root);
  /** @type {(selector: string, scope?: any) => any[]} */
  const all = (selector, scope = document) => [...scope.querySelectorAll(selector)];
  /** @type {Record<string, string>} */
  const texts = JSON.parse(all("#texts")[0].textContent);
  /** A text of scripts by its name, filled in. @param {string} name @param {any} [values] */
  const t = (name, values = {}) =>
    (texts[`script.${name}`] ?? texts[`script.${name}.${values.n === 1 ? "one" : "other"}`]).replace(/\{(\w+)\}/g, (_, key) => values[key]);
  /** Makes an element; it does `run`, or what `does` names. @param {string} tag @param {Record<string, any>} [props] @param {any[]} children @returns {any} */
  const h = (tag, props = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    if (props.run || props.does) node.dataset.do = props.does || "run";
    node.append(...children);
    return node;
  };
  /** @param {string} name */
  const icon = (name) => all("#icons")[0].content.querySelector(`[data-icon="${name}"] svg`).cloneNode(true);

  /** A problem in words for people. @param {number} status @param {string} [words] */
  const problem = (status, words) => Object.assign(new Error(words || texts[`problem.${{ 0: "offline", 1: "unread", 401: "session", 404: "gone" }[status] || "failed"}`]), { status });
  /** Asks the server. What goes wrong is thrown. @param {string} method @param {string} path @param {any} [body] @returns {Promise<any>} */
  const ask = async (method, path, body) => {
    const isFile = body instanceof Blob || body instanceof FormData;
    const headers = body && !isFile ? { "content-type": "application/json" } : undefined;
    const answer = await fetch(root + path, { method, headers, body: isFile ? body : JSON.stringify(body) }).catch(() => {
      throw problem(0);
    });
    const status = answer.redirected && answer.url.includes("/signin") ? 401 : answer.status;
    const isJson = answer.headers.get("content-type")?.startsWith("application/json");
    const said = isJson ? await answer.json() : await answer.text();
    if (status < 400) return said;
    throw problem(status, status !== 401 && said.message);
  };
  /** @param {string} method @param {string} path below api/v1 @param {any} [body] */
  const api = (method, path, body) => ask(method, `api/v1/${path}`, body);

  // What happened
  const SAID_MS = 8000;
  /** What a problem says, with the next step. @param {any} problem @returns {any[]} */
  const told = (problem) => {
    const link = h("a", { href: `${root}signin`, target: "_blank", rel: "noopener" }, texts["problem.sign_in"]);
    return problem.status === 401 ? [problem.message, " ", link] : [problem.message];
  };
  /** Says what happened, with a way back. @param {any[] | string} words @param {any} [undo] */
  const say = (words, undo) => {
    const line = h("div", {}, h("span", {}, ...[words].flat()));
    if (undo) line.append(h("button", { value: undo.value, does: "undo" }, t("undo")));
    all(".says").at(-1).replaceChildren(line); // that of the dialog in front, where there is one
    const gone = () => (line.matches(":hover, :focus-within") ? setTimeout(gone, SAID_MS) : line.remove());
    setTimeout(gone, SAID_MS);
  };
  /** Does what may fail; the control waits, and its form says what went wrong. @param {any} control @param {() => Promise<any>} run */
  const attempt = async (control, run) => {
    const place = control.closest("form, dialog")?.querySelector(".problem");
    place?.replaceChildren();
    control.ariaBusy = "true";
    const problem = await run().then(() => null, (error) => error);
    control.ariaBusy = null;
    if (problem) {
      control.again = false;
      if (!place) say(told(problem));
      place?.replaceChildren(...told(problem));
      place?.scrollIntoView({ block: "nearest" });
    }
    // A switch that could not be set goes back.
    for (const [node, shown, is] of [[control, "checked", "defaultChecked"], ...[...control.options || []].map((option) => [option, "selected", "defaultSelected"])])
      node[problem ? shown : is] = node[problem ? is : shown];
    if (problem?.status === 404 && !place) await refresh();
  };

  // What controls do
  /** @type {Map<string, (control: any) => any>} */
  const actions = new Map();
  /** @type {Desk["on"]} */
  const on = (name, run) => actions.set(name, run);
  /** @param {any} event */
  const act = async (event) => {
    const control = event.target.closest("[data-do]");
    const type = control?.matches("form") ? "submit" : control?.matches("select, input:not([type=button])") ? "change" : "click";
    const run = control && event.type === type && (control.run || actions.get(control.dataset.do));
    if (!run || (control.href && (event.ctrlKey || event.metaKey || event.shiftKey))) return;
    if (type !== "change") event.preventDefault();
    control.again = type === "change" || control.role === "search"; // what is switched while something is done is done after it
    if (control.ariaBusy) return;
    do {
      control.again = false;
      await attempt(control, async () => run(control));
    } while (control.again);
  };

  /** Times as the reader's clock has them; Intl is slow on phones. @param {any} scope */
  const local = (scope) => {
    for (const time of all("time", scope)) {
      const at = new Date(time.dateTime);
      time.toggleAttribute("data-past", at < new Date());
      const date = t("date", { day: at.getDate(), month: t("months").split(" ")[at.getMonth()], year: at.getFullYear() });
      time.textContent = time.dataset.style === "full" ? t("full", { date, clock: at.toTimeString().slice(0, 5) }) : date;
    }
    return scope;
  };
  /** Fetches a page of the desk. @param {string} address @returns {Promise<Document>} */
  const fetched = async (address) => local(new DOMParser().parseFromString(await ask("GET", address.replace(root, "")), "text/html"));
  const ROWS = "[data-part=list] > .list > .row";
  /** Adds to a list what its link leads to. @param {any} page @param {any} link */
  const further = async (page, link) => {
    const next = await fetched(link.pathname + link.search);
    const rows = all(ROWS, next);
    if (!link.isConnected) return [];
    all(ROWS, page).at(-1).after(...rows);
    link.parentElement.replaceWith(...all(".pages", next));
    return rows;
  };
  /** @param {any} form */
  const isTyped = (form) => !form.ariaBusy && [...form.elements].some(({ ariaBusy, defaultValue, value }) => !ariaBusy && (defaultValue ?? value) !== value);
  let turns = 0;
  /** Shows the parts of this page, or of another, as they are now. What is typed stays, and the focus. @param {string} [address] */
  const refresh = async (address) => {
    const turn = ++turns;
    const now = await fetched(address || location.pathname + location.search).catch((problem) => {
      if (address) throw problem; // else it is what was done that counts
    });
    for (let link; !address && all(ROWS, now).length < all(ROWS).length && (link = all("[data-do=more]", now)[0]);) await further(now, link);
    if (now) document.title = now.title;
    for (const part of all("[data-part]")) {
      const [next] = all(`[data-part="${part.dataset.part}"]`, now || part);
      const open = all("form", part).filter(isTyped).map((form) => form.closest("[id], [data-part]"));
      if (!next || part.turn > turn || open.includes(part)) continue; // a later answer came before
      const { activeElement } = document;
      const item = part.contains(activeElement) && activeElement?.closest("[id], [data-part]");
      const at = all("[id]", part).indexOf(item);
      for (const kept of open) now?.getElementById(kept.id)?.replaceWith(kept);
      next.turn = turn;
      part.replaceWith(next);
      if (item) focus(activeElement, [document.getElementById(item.id), all("[id]", next)[at], next]);
    }
    actions.get("shown")?.(now);
  };
  /** Focuses what was focused, or its like. @param {any} was @param {any[]} places */
  const focus = (was, places) => {
    const name = was.closest("[data-do]")?.dataset.do;
    const like = places.filter(Boolean).flatMap((place) => {
      const same = all(name ? `[data-do="${name}"]` : was.localName, place);
      return [...same.filter(({ value }) => value === was.value), ...same, ...all("[data-do]:not(.danger)", place)];
    });
    for (const control of [was, ...like, ...all("main")]) {
      if (document.activeElement?.matches("body, dialog")) control.focus({ preventScroll: true });
    }
  };

  // Menus
  const OPEN = "details[data-menu][open]";
  const close = (/** @type {any} */ menu) => {
    menu.open = false;
    menu.querySelector("summary").focus(); // a dialog that opens now gives the focus back to it
  };
  for (const type of ["click", "focusin"]) document.addEventListener(type, (/** @type {any} */ { target }) => {
    for (const open of all(OPEN)) {
      if (!open.contains(target)) open.open = false;
      else if (type === "click" && target.closest(".menu-item")) close(open);
    }
  });
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") all(OPEN).forEach(close);
  });

  // The theme is that of the viewer's pages
  const settings = { theme: "auto", size: 100 };
  try {
    Object.assign(settings, JSON.parse(localStorage.getItem("readalong") || "{}"));
  } catch {} // no storage: for this page only
  const dress = () => {
    page.dataset.theme = settings.theme;
    page.style.setProperty("--text-scale", String(settings.size / 100));
    for (const button of all("[data-do=theme]")) button.ariaPressed = String(button.value === settings.theme);
  };
  on("theme", ({ value }) => {
    settings.theme = value;
    dress();
    try {
      localStorage.setItem("readalong", JSON.stringify(settings));
    } catch {}
  });
  dress();
  local(document);
  for (const type of ["click", "submit", "change"]) document.addEventListener(type, act); // after menus have closed
  page.classList.add("js");
  window.desk = { all, api, ask, fetched, further, h, icon, local, on, problem, refresh, root, ROWS, say, t, told };
})();
