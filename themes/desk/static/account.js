// What controls of accounts, admins and the showcase send: a form its fields, others their value.
"use strict";
(() => {
  const { all, api, ask, h, on, refresh, root, say, t } = desk;
  /** What stands in a form; a link means its share. @param {any} form */
  const fields = (form) => Object.fromEntries([...new FormData(form)].filter(([name]) => name).map(([name, value]) =>
    [name, form.elements[name].matches("[data-link]") ? String(value).replace(/^.*\/s\/([^/]+).*$/, "$1").trim() : value]));

  /** Asks beside the control. @param {any} control */
  const question = (control) => {
    const no = () => {
      box.remove();
      control.hidden = false;
      control.focus();
    };
    const yes = h("button", { type: "button", className: "danger" }, control.textContent);
    Object.assign(yes.dataset, control.dataset, { ask: "" });
    const box = h("div", { className: "sure", role: "group", onkeydown: (/** @type {KeyboardEvent} */ { key }) => key === "Escape" && no() },
      h("span", {}, `${control.dataset.ask} ${control.dataset.more}`), yes, h("button", { type: "button", onclick: no }, t("leave")));
    control.hidden = true;
    control.after(box);
    yes.focus();
  };

  on("send", async (control) => {
    const { method, path, name, ask, then } = control.dataset;
    if (ask) return question(control);
    const isForm = control.matches("form");
    const value = control.type === "checkbox" ? control.checked : control.value;
    await api(method, path, isForm ? fields(control) : name ? { [name]: value } : undefined);
    if (then) return location.assign(root + then);
    if (isForm && method === "POST") control.reset();
    await refresh();
    say(t("done"));
  });

  on("make-token", async (form) => {
    const { name, expires_at } = fields(form);
    const { token } = await api("POST", "tokens", { name, expires_at: expires_at || null });
    form.reset();
    await refresh();
    const field = h("input", { readOnly: true, value: token, ariaLabel: t("token"), onfocus: () => field.select() });
    const button = h("button", { type: "button", className: "primary", value: token, does: "copy" }, t("copy"));
    all("#token")[0].replaceChildren(h("h2", {}, t("token")), h("p", {}, t("token_once")), h("p", { className: "made" }, field, button));
  });

  on("order", async (control) => {
    const row = control.closest("[data-entry]");
    const ids = all("[data-entry]").map(({ dataset }) => dataset.entry);
    const at = ids.indexOf(row.dataset.entry);
    ids.splice(at + Number(control.value), 0, ...ids.splice(at, 1));
    await api("POST", "showcase/reorder", { orders: ids.map((id, sort_order) => ({ id, sort_order })) });
    await refresh();
  });
  on("picture", async (input) => {
    const form = new FormData();
    form.append("file", input.files[0]);
    await ask("POST", `api/v1/showcase/${input.closest("[data-entry]").dataset.entry}/thumbnail`, form);
    await refresh();
    say(t("done"));
  });
})();
