// A chat in its owner's hands: shared, renamed, edited, hidden, removed, and taken back.
"use strict";
(() => {
  const { all, api, code, h, on, refresh, root, say, sure, t } = /** @type {any} */ (window).desk;

  // The share form: what will be seen changes with it, and the link stands where the form stood
  on("share-artifacts", (/** @type {any} */ { form, checked }) => refresh(`${form.dataset.here}?artifacts=${checked}`));
  on("keep", async (/** @type {any} */ control) => {
    const form = control.closest("form");
    const { kept } = await api("GET", `chats/${form.dataset.chat}/preview`);
    await api("PATCH", `chats/${form.dataset.chat}`, { kept: [...kept, control.value] });
    await refresh(`${form.dataset.here}?artifacts=${form.elements.artifacts.checked}`);
  });
  on("share", async (/** @type {any} */ form) => {
    const { visibility, updates, artifacts, name, expires } = form.elements;
    const days = Number(expires.value);
    const share = await api("POST", "shares", {
      chat: form.dataset.chat, visibility: visibility.value, updates: updates.value, artifacts: artifacts.checked,
      ...(name.value.trim() && { name: name.value.trim() }),
      ...(days && { expires_at: new Date(Date.now() + days * 86_400_000).toISOString() }),
    });
    const link = h("input", { readOnly: true, value: share.url, ariaLabel: t("script.link") });
    const box = form.closest("dialog");
    if (box) box.dataset.changed = "yes";
    const done = h("section", { className: "shared" }, h("h2", { id: "dialog-title" }, t("script.shared")),
      h("p", { className: "link" }, link, h("button", { type: "button", className: "primary", value: share.url }, t("script.copy"))),
      code(share.url),
      h("p", { className: "actions" }, h("a", { className: "button", href: `${share.url}/`, target: "_blank", rel: "noopener" }, t("script.open")), h("a", { href: `${root}shares` }, t("script.all_shares"))));
    done.querySelector("button").dataset.do = "copy";
    form.replaceWith(done);
    link.select();
  });

  const chat = () => all("[data-part=head]")[0].dataset.chat;
  /** Shows the page as it is now, and says what was done with a way back. @param {string} words @param {boolean} [isForGood] */
  const done = async (words, isForGood) => {
    const [newest] = isForGood ? [] : await api("GET", `chats/${chat()}/history?limit=1`);
    await refresh();
    say(words, newest?.can_undo && (() => undo(newest.seq)));
  };
  /** @param {string | number} seq */
  const undo = async (seq) => {
    await api("POST", `chats/${chat()}/history/${seq}/undo`);
    await done(t("script.undone"));
  };
  on("undo", (/** @type {any} */ { value }) => undo(value));

  on("rename", async (/** @type {any} */ control) => {
    const { title } = await api("GET", `chats/${chat()}`);
    const head = control.closest(".head");
    const was = [...head.childNodes];
    const input = h("input", { value: title, ariaLabel: t("script.name"), required: true });
    const form = h("form", { className: "rename" }, input, h("button", { className: "primary" }, t("script.save")), h("button", { type: "button", onclick: () => head.replaceChildren(...was) }, t("script.cancel")), h("div", { className: "problem", role: "alert" }));
    form.dataset.do = "save-name";
    head.replaceChildren(form);
    input.select();
  });
  on("save-name", async (/** @type {any} */ form) => {
    await api("PATCH", `chats/${chat()}`, { title: form.elements[0].value });
    await done(t("script.renamed"));
  });

  const of = (/** @type {any} */ control) => control.closest("[data-message]").dataset;
  on("edit-message", async (/** @type {any} */ control) => {
    const item = control.closest("[data-message]");
    const [{ seq, message }] = await api("GET", `chats/${chat()}/messages?from=${item.dataset.place}&limit=1`);
    const fields = message.parts.flatMap((/** @type {any} */ part, /** @type {number} */ at) => part.text
      ? [h("textarea", { value: part.text.markdown, ariaLabel: t("script.text"), name: String(at), rows: Math.min(20, 2 + part.text.markdown.length / 60) })] : []);
    const was = [...item.childNodes];
    const form = h("form", { className: "edit" }, ...fields, h("div", { className: "problem", role: "alert" }),
      h("p", { className: "actions" }, h("button", { className: "primary" }, t("script.save")), h("button", { type: "button", onclick: () => item.replaceChildren(...was) }, t("script.cancel"))));
    form.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
      if (event.key === "Escape" && fields.every((/** @type {any} */ { value, name }) => value === message.parts[name].text.markdown)) item.replaceChildren(...was);
    });
    form.dataset.do = "save-message";
    form.dataset.seq = seq;
    parts.set(form, message.parts);
    item.replaceChildren(form);
    fields[0].focus();
  });
  /** What messages that are being edited said. @type {WeakMap<any, any[]>} */
  const parts = new WeakMap();
  on("save-message", async (/** @type {any} */ form) => {
    const said = parts.get(form)?.map((part, at) => (part.text ? { text: { markdown: form.elements[String(at)].value } } : part));
    await api("PATCH", `chats/${chat()}/messages/${of(form).message}`, { parts: said, seq: Number(form.dataset.seq) });
    await done(t("script.edited"));
  });
  on("hide-message", async (/** @type {any} */ control) => {
    const hidden = control.value === "true";
    await api("PATCH", `chats/${chat()}/messages/${of(control).message}`, { hidden });
    await done(t(hidden ? "script.hidden" : "script.is_shown"));
  });
  on("remove-message", async (/** @type {any} */ control) => {
    if (!(await sure(t("script.remove_message"), t("script.remove"), t("script.remove_help")))) return;
    await api("DELETE", `chats/${chat()}/messages/${of(control).message}`);
    await done(t("script.removed"), true);
  });
  const artifact = (/** @type {any} */ control) => control.closest("[data-artifact]").dataset;
  on("hide-artifact", async (/** @type {any} */ control) => {
    const hidden = control.value === "true";
    await api("PATCH", `chats/${chat()}/artifacts/${artifact(control).artifact}`, { hidden });
    await done(t(hidden ? "script.hidden" : "script.is_shown"));
  });
  on("remove-artifact", async (/** @type {any} */ control) => {
    const { title, artifact: sha256 } = artifact(control);
    if (!(await sure(t("script.remove_artifact", { name: title }), t("script.remove"), t("script.remove_help")))) return;
    await api("DELETE", `chats/${chat()}/artifacts/${sha256}`);
    await done(t("script.removed"), true);
  });
})();
