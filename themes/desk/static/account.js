// What forms and controls of accounts, tokens, admins and the showcase send: a form its fields, a switch or choice its value, a button nothing.
"use strict";
(() => {
  const { all, api, ask, h, on, refresh, root, say, t } = /** @type {any} */ (window).desk;
  /** What stands in a form. Whoever pastes a link means the share that it leads to. @param {any} form */
  const fields = (form) => Object.fromEntries([...new FormData(form)].filter(([name]) => name).map(([name, value]) =>
    [name, form.elements[name].matches("[data-link]") ? String(value).replace(/^.*\/s\/([^/]+).*$/, "$1").trim() : value]));

  /** Asks beside the control, before what cannot be undone. @param {any} control */
  const question = (control) => {
    const no = () => {
      box.remove();
      control.hidden = false;
      control.focus();
    };
    const yes = h("button", { type: "button", className: "danger" }, control.textContent);
    Object.assign(yes.dataset, control.dataset, { ask: "" });
    const box = h("div", { className: "sure" }, h("span", {}, `${control.dataset.ask} ${control.dataset.more}`), yes, h("button", { type: "button", onclick: no }, t("script.leave")));
    box.setAttribute("role", "group");
    control.hidden = true;
    control.after(box);
    yes.focus();
  };

  on("send", async (/** @type {any} */ control) => {
    const { method, path, name, ask, then } = control.dataset;
    if (ask) return question(control);
    const isForm = control.matches("form");
    const value = control.type === "checkbox" ? control.checked : control.value;
    try {
      await api(method, path, isForm ? fields(control) : name ? { [name]: value } : undefined);
    } catch (/** @type {any} */ problem) {
      if (name) await refresh().catch(() => {}); // the switch shows what is
      throw problem;
    }
    if (then) return location.assign(root + then);
    if (isForm && method === "POST") control.reset();
    await refresh();
    say(t("script.done"));
  });

  on("make-token", async (/** @type {any} */ form) => {
    const { name, expires_at } = fields(form);
    const { token } = await api("POST", "tokens", { name, expires_at: expires_at || null });
    form.reset();
    await refresh();
    const field = h("input", { readOnly: true, value: token, ariaLabel: t("script.token"), onfocus: () => field.select() });
    const copy = async () => {
      field.select();
      await navigator.clipboard.writeText(token).catch(() => document.execCommand("copy"));
      say(t("script.token_copied"));
    };
    const button = h("button", { type: "button", className: "primary", onclick: copy }, t("script.copy_token"));
    all("#token")[0].replaceChildren(h("h2", {}, t("script.token")), h("p", {}, t("script.token_once")), h("p", { className: "made" }, field, button));
  });

  on("order", async (/** @type {any} */ control) => {
    const row = control.closest("[data-entry]");
    /** @type {string[]} */
    const ids = all("[data-entry]").map((/** @type {any} */ { dataset }) => dataset.entry);
    const at = ids.indexOf(row.dataset.entry);
    ids.splice(at + Number(control.value), 0, ...ids.splice(at, 1));
    await api("POST", "showcase/reorder", { orders: ids.map((id, sort_order) => ({ id, sort_order })) });
    await refresh();
    all(`[data-entry="${row.dataset.entry}"] [data-do=order]:not(:disabled)`)[0]?.focus();
  });
  on("picture", async (/** @type {any} */ input) => {
    const form = new FormData();
    form.append("file", input.files[0]);
    await ask("POST", `api/v1/showcase/${input.closest("[data-entry]").dataset.entry}/thumbnail`, form);
    await refresh();
    say(t("script.done"));
  });
})();
