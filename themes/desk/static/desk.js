// What all pages of the desk rest on: texts, elements, requests to the API, what is said of them, menus, and parts of a page that are fetched anew.
// A page says what a control does by data-do; a module says how by desk.on(). Pages read without script, and do nothing then.
"use strict";
(() => {
  const page = document.documentElement;
  const root = String(document.body.dataset.root);
  /** @type {(selector: string, scope?: any) => any[]} */
  const all = (selector, scope = document) => [...scope.querySelectorAll(selector)];
  /** @type {Record<string, string>} */
  const texts = JSON.parse(all("#texts")[0].textContent);
  /** A text by its name, filled in. @param {string} name @param {Record<string, any>} [values] */
  const t = (name, values = {}) =>
    (texts[name] ?? texts[`${name}.${values.n === 1 ? "one" : "other"}`]).replace(/\{(\w+)\}/g, (_, key) => values[key]);
  /** Makes an element. @param {string} tag @param {Record<string, any>} [props] @param {any[]} children @returns {any} */
  const h = (tag, props = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };
  /** @param {string} name */
  const icon = (name) => all("#icons")[0].content.querySelector(`[data-icon="${name}"] svg`).cloneNode(true);

  /** Asks the server. What goes wrong is thrown, in words for people. @param {string} method @param {string} path @param {any} [body] @returns {Promise<any>} */
  const ask = async (method, path, body) => {
    const isFile = body instanceof Blob || body instanceof FormData;
    const headers = body && !isFile ? { "content-type": "application/json" } : undefined;
    const answer = await fetch(root + path, { method, headers, body: isFile ? body : JSON.stringify(body) }).catch(() => {
      throw Object.assign(new Error(t("problem.offline")), { status: 0 });
    });
    // A page that leads to the sign-in is where a session has ended.
    const status = answer.redirected && answer.url.includes("/signin") ? 401 : answer.status;
    const isJson = answer.headers.get("content-type")?.startsWith("application/json");
    const said = isJson ? await answer.json() : await answer.text();
    if (status < 400) return said;
    throw Object.assign(new Error(status === 401 ? t("problem.session") : said.message || t("problem.failed")), { status });
  };
  /** @param {string} method @param {string} path below api/v1 @param {any} [body] */
  const api = (method, path, body) => ask(method, `api/v1/${path}`, body);

  // What happened
  const SAID_MS = 8000;
  const [said] = all("#said");
  /** What a problem says, with the next step. @param {any} problem @returns {any[]} */
  const told = (problem) => {
    const link = h("a", { href: `${root}signin`, target: "_blank", rel: "noopener" }, t("problem.sign_in"));
    return problem.status === 401 ? [problem.message, " ", link] : [problem.message];
  };
  /** Says what happened, with a way back where there is one. @param {any[] | string} words @param {() => any} [undo] */
  const say = (words, undo) => {
    const line = h("div", {}, h("span", {}, ...[words].flat()));
    if (undo) {
      line.append(h("button", { type: "button", onclick: () => {
        line.remove();
        attempt(said, undo);
      } }, t("script.undo")));
    }
    said.replaceChildren(line);
    const gone = () => (line.matches(":hover, :focus-within") ? setTimeout(gone, SAID_MS) : line.remove());
    setTimeout(gone, SAID_MS);
  };
  /** Does what may fail: the control waits meanwhile; a problem is said in the form it belongs to, else below. @param {any} control @param {() => any} run */
  const attempt = async (control, run) => {
    const form = control.closest("form, dialog");
    const place = form?.querySelector(".problem");
    place?.replaceChildren();
    control.ariaBusy = "true";
    try {
      return await run();
    } catch (/** @type {any} */ problem) {
      if (!place) say(told(problem));
      place?.replaceChildren(...told(problem));
      place?.scrollIntoView({ block: "nearest" });
    } finally {
      control.ariaBusy = null;
    }
  };

  // What controls do
  /** @type {Map<string, (control: any, event: Event) => any>} */
  const actions = new Map();
  /** @param {string} name @param {(control: any, event: Event) => any} run */
  const on = (name, run) => actions.set(name, run);
  /** @param {Event} event */
  const act = (event) => {
    const control = /** @type {any} */ (event.target).closest("[data-do]");
    const type = control?.matches("form") ? "submit" : control?.matches("select, input:not([type=button])") ? "change" : "click";
    const run = control && event.type === type && actions.get(control.dataset.do);
    if (!run) return;
    if (type === "submit") event.preventDefault();
    if (control.ariaBusy !== "true") attempt(control, () => run(control, event));
  };
  for (const type of ["click", "submit", "change"]) document.addEventListener(type, act);

  /** Times as the reader's clock has them; Intl would take a phone longer than all else here. @param {any} scope */
  const local = (scope) => {
    for (const time of all("time", scope)) {
      const at = new Date(time.dateTime);
      const date = t("script.date", { day: at.getDate(), month: t("script.months").split(" ")[at.getMonth()], year: at.getFullYear() });
      time.textContent = time.dataset.style === "full" ? t("script.full", { date, clock: at.toTimeString().slice(0, 5) }) : date;
    }
    return scope;
  };
  /** Fetches a page of the desk. @param {string} address @returns {Promise<Document>} */
  const fetched = async (address) => local(new DOMParser().parseFromString(await ask("GET", address.replace(root, "")), "text/html"));
  /** Shows the parts of this page as they are now; what is typed elsewhere stays. @param {string} [address] */
  const refresh = async (address = location.pathname + location.search) => {
    const now = await fetched(address);
    for (const part of all("[data-part]")) {
      const next = now.querySelector(`[data-part="${part.dataset.part}"]`);
      if (next) part.replaceWith(next);
    }
    return now;
  };

  // Menus
  document.addEventListener("click", ({ target }) => {
    for (const open of all("details[data-menu][open]")) open.open = open.contains(target) && !(/** @type {Element} */ (target).closest(".menu-item"));
  });
  document.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    for (const open of all("details[data-menu][open]")) {
      open.open = false;
      open.querySelector("summary").focus();
    }
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
  page.classList.add("js");
  /** @type {any} */ (window).desk = { all, api, ask, attempt, fetched, h, icon, on, refresh, root, say, t };
})();
