// A chat in its owner's hands: shared, renamed, edited, hidden, removed, and taken back.
"use strict";
(() => {
  const { all, api, code, h, on, problem, refresh, root, say, sure, t } = desk;

  // The share form and what will be seen
  on("share-artifacts", ({ form, checked }) => refresh(`${form.dataset.here}?artifacts=${checked}`));
  on("keep", async (control) => {
    const { form } = control;
    const { kept } = await api("GET", `chats/${form.dataset.chat}/preview`);
    await api("PATCH", `chats/${form.dataset.chat}`, { kept: [...kept, control.value] });
    await refresh(`${form.dataset.here}?artifacts=${form.elements.artifacts.checked}`);
  });
  on("share", async (form) => {
    const { visibility, updates, artifacts, name, expires } = form.elements;
    const days = Number(expires.value);
    const share = await api("POST", "shares", {
      chat: form.dataset.chat, visibility: visibility.value, updates: updates.value, artifacts: artifacts.checked,
      name: name.value.trim() || undefined,
      ...(days && { expires_at: new Date(Date.now() + days * 86_400_000).toISOString() }),
    });
    const link = h("input", { readOnly: true, value: share.url, ariaLabel: t("link") });
    const box = form.closest("dialog");
    if (box) box.onclose = () => refresh();
    const done = h("section", { className: "shared" }, h("h2", { id: "dialog-title" }, t("shared")),
      h("p", { className: "link" }, link, h("button", { className: "primary", value: share.url, does: "copy" }, t("copy"))),
      code(share.url),
      h("p", { className: "actions" }, h("a", { className: "button", href: `${share.url}/`, target: "_blank", rel: "noopener" }, t("open")), h("a", { href: `${root}shares` }, t("all_shares"))));
    form.replaceWith(done);
    link.select();
  });

  const chat = () => all("[data-part=head]")[0].dataset.chat;
  const CHANGES = "[data-part=history] .row";
  /** Changes something, with a way back where the history has a new change of this kind. @param {string} words @param {string} kind @param {string} path @param {any} body */
  const change = async (words, kind, path, body) => {
    const seen = all(CHANGES).map(({ id }) => id);
    await api("PATCH", `chats/${chat()}${path}`, body);
    await refresh();
    const made = all(CHANGES).find(({ id, dataset }) => dataset.kind === kind && !seen.includes(id));
    say(t(words), made?.querySelector("[data-do=undo]"));
  };
  on("undo", async ({ value }) => {
    await api("POST", `chats/${chat()}/history/${value}/undo`);
    await refresh();
    say(t("undone"));
  });

  /** Has fields in place of an item. @param {any} control @param {any} item @param {any[]} fields @param {() => any} save */
  const edit = (control, item, fields, save) => {
    const was = [...item.childNodes];
    const said = fields.map(({ value }) => value);
    const isSame = () => fields.every(({ value }, at) => value === said[at]);
    const back = () => {
      item.replaceChildren(...was);
      control.focus();
    };
    const form = h("form", { className: "edit", run: () => (isSame() ? back() : save()), onkeydown: (/** @type {KeyboardEvent} */ { key, ctrlKey, metaKey }) => {
      if (key === "Enter" && (ctrlKey || metaKey)) form.requestSubmit();
      if (key === "Escape" && isSame()) back();
    } }, ...fields, h("div", { className: "problem", role: "alert" }),
    h("p", { className: "actions" }, h("button", { className: "primary" }, t("save")), h("button", { type: "button", onclick: back }, t("cancel"))));
    item.replaceChildren(form);
    fields[0].focus();
  };
  on("rename", async (control) => {
    const { title } = await api("GET", `chats/${chat()}`);
    const input = h("input", { value: title, ariaLabel: t("name"), required: true });
    edit(control, control.closest(".head"), [input], () => change("renamed", `renamed ${input.value.trim()}`, "", { title: input.value }));
    input.select();
  });

  /** A message or artifact that a control belongs to. @param {any} control */
  const item = (control) => control.closest("[data-path]");
  on("edit-message", async (control) => {
    const { path, of, place } = item(control).dataset;
    const [found] = await api("GET", `chats/${chat()}/messages?from=${place}&limit=1`);
    if (!found) throw problem(404);
    const { seq, message } = found;
    const fields = message.parts.map((/** @type {any} */ { text }) => text && h("textarea", { value: text.markdown, ariaLabel: t("text"), rows: Math.min(20, 2 + text.markdown.length / 60) }));
    const parts = () => message.parts.map((/** @type {any} */ part, /** @type {number} */ at) => (fields[at] ? { text: { markdown: fields[at].value } } : part));
    edit(control, item(control), fields.filter(Boolean), () => change("edited", `edited ${of}`, path, { parts: parts(), seq }));
  });
  on("hide", (control) => {
    const { path, of, kind } = item(control).dataset;
    const hidden = control.value === "true";
    return change(hidden ? "hidden" : "is_shown", `${kind}${hidden ? "hidden" : "shown"} ${of}`, path, { hidden });
  });
  on("remove", async (control) => {
    const { path, kind, title } = item(control).dataset;
    if (!(await sure(t(kind ? "remove_artifact" : "remove_message", { name: title }), t("remove"), t("remove_help")))) return;
    await api("DELETE", `chats/${chat()}${path}`);
    await refresh();
    say(t("removed"));
  });
})();
