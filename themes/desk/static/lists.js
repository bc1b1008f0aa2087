// Lists of the desk: search and filters as one types, further pages in place, and a chat or share taken away.
"use strict";
(() => {
  const { all, api, ask, attempt, fetched, h, on, refresh, root, say, sure, t } = /** @type {any} */ (window).desk;

  /** Shows what a form asks for; the address says the same. @param {any} form */
  const look = async (form) => {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "").map(([name, value]) => [name, String(value)]));
    const address = `${location.pathname}${query.size ? `?${query}` : ""}`;
    history.replaceState(null, "", address);
    await refresh(address);
    const count = all("[data-part=list] .list > .row").length;
    if (document.activeElement?.matches("input[type=search]")) all("#found")[0].textContent = t("script.found", { n: count });
  };
  let timer = 0;
  for (const form of all("form[data-filter]")) {
    form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      attempt(form, () => look(form));
    });
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => attempt(form, () => look(form)), 200);
    });
  }
  on("more", async (/** @type {any} */ link, /** @type {Event} */ event) => {
    event.preventDefault();
    const next = await fetched(link.pathname + link.search);
    const rows = [...next.querySelectorAll("[data-part=list] > .list > .row")];
    all("[data-part=list] > .list")[0].append(...rows);
    const more = next.querySelector("[data-do=more]");
    if (more) link.replaceWith(more);
    else link.parentElement.remove();
    rows[0]?.querySelector("a")?.focus();
  });

  const row = (/** @type {any} */ control) => control.closest(".row").dataset;

  on("delete-chat", async (/** @type {any} */ control) => {
    const { chat, title, shares } = row(control);
    const n = Number(shares);
    if (!(await sure(t("script.delete_chat", { name: title }), t("script.delete"), n ? t("script.delete_chat_shares", { n }) : t("script.delete_chat_help")))) return;
    await api("DELETE", `chats/${chat}`);
    await refresh();
    say(t("script.deleted", { name: title }));
  });

  /** @param {any} control @param {any} change */
  const change = async (control, change) => {
    const { share } = row(control);
    try {
      await api("PATCH", `shares/${share}`, change);
    } finally {
      await refresh().catch(() => {}); // the switch shows what is, also where it could not be changed
    }
    all(`[data-share="${share}"] [data-do=${control.dataset.do}]`)[0]?.focus();
  };
  on("public", async (/** @type {any} */ control) => {
    const { title, readers } = row(control);
    const isPublic = control.checked;
    await change(control, { visibility: isPublic ? "public" : "private" });
    say(t(isPublic ? "script.is_public" : "script.is_private", { name: title, readers }));
  });
  on("artifacts", async (/** @type {any} */ control) => {
    const { title } = row(control);
    const artifacts = control.checked;
    await change(control, { artifacts });
    say(t(artifacts ? "script.with_artifacts" : "script.without_artifacts", { name: title }));
  });
  on("freeze-anew", async (/** @type {any} */ control) => {
    const { title } = row(control);
    await change(control, { refresh: true });
    say(t("script.frozen_anew", { name: title }));
  });

  // Who reads, counted anew
  const COUNT_MS = 10_000;
  const count = async () => {
    const now = document.hidden ? null : await fetched(location.pathname + location.search).catch(() => null);
    for (const next of now?.querySelectorAll("[data-share]") || []) {
      const [mine] = all(`[data-share="${next.dataset.share}"]`);
      if (!mine) continue;
      mine.dataset.readers = next.dataset.readers;
      mine.querySelector(".number").textContent = next.querySelector(".number").textContent;
    }
  };
  if (all("[data-share]").length) setInterval(count, COUNT_MS);

  /** @param {string} question @param {number} readers @param {any} body */
  const remove = async (question, readers, body) => {
    const help = readers ? t("script.delete_shares_readers", { n: readers }) : t("script.delete_shares_help");
    if (!(await sure(question, t("script.delete"), help))) return;
    await api("DELETE", "shares", body);
    await refresh();
    say(t("script.links_dead"));
  };
  on("delete-share", (/** @type {any} */ control) => {
    const { share, title, readers } = row(control);
    return remove(t("script.delete_share", { name: title }), Number(readers), { ids: [share] });
  });
  const marked = () => all(".mark:checked").map(row);
  on("mark", () => {
    all(".marked button")[0].disabled = !marked().length;
  });
  on("delete-marked", () => {
    const shares = marked();
    const readers = shares.reduce((/** @type {number} */ sum, /** @type {any} */ { readers }) => sum + Number(readers), 0);
    return remove(t("script.delete_shares", { n: shares.length }), readers, { ids: shares.map((/** @type {any} */ { share }) => share) });
  });
  on("delete-all", (/** @type {any} */ { value }) => remove(t("script.delete_shares", { n: Number(value) }), 0, { all: true }));

  // A transcript that is dropped or chosen: what it is, before it is taken
  const [place] = all("#upload");
  /** @type {File | undefined} */
  let file;
  const inspect = async (/** @type {string} */ pick) => {
    if (!file) return;
    place.hidden = false;
    place.replaceChildren(h("p", { role: "status" }, t("script.reading", { name: file.name })));
    const query = new URLSearchParams({ name: file.name, ...(pick && { pick }) });
    try {
      offer(await ask("POST", `api/v1/inspect?${query}`, file), pick);
    } catch (/** @type {any} */ problem) {
      place.replaceChildren(h("p", { className: "problem", role: "alert" }, problem.message, " ", t(problem.status === 400 ? "script.not_taken" : "script.not_read")),
        h("p", { className: "actions" }, h("button", { type: "button", onclick: () => inspect(pick) }, t("script.again")), cancel()));
    }
  };
  const cancel = () => h("button", { type: "button", onclick: () => {
    file = undefined;
    place.hidden = true;
  } }, t("script.cancel"));
  /** @param {any} what @param {string} pick */
  const offer = (what, pick) => {
    if (what.chats.length) {
      place.replaceChildren(h("h2", {}, t("script.several", { n: what.chats.length })), h("ul", { className: "list" }, ...what.chats.map((/** @type {any} */ chat) =>
        h("li", { className: "row" }, h("button", { type: "button", onclick: () => inspect(chat.pick) }, chat.title), h("span", { className: "fact" }, t("script.messages", { n: chat.messages }))))), h("p", { className: "actions" }, cancel()));
      return;
    }
    const secrets = new Map();
    for (const found of what.redactions) secrets.set(found.id, { ...found, n: (secrets.get(found.id)?.n || 0) + 1 });
    const form = h("form", {}, h("h2", {}, what.title), h("ul", {},
      h("li", {}, `${t("script.messages", { n: what.messages })}, ${what.format}`),
      ...(what.hidden ? [h("li", {}, t("script.never_shown", { n: what.hidden }))] : []),
      ...(what.artifacts.length ? [h("li", {}, t("script.files", { n: what.artifacts.length }))] : []),
      ...what.warnings.slice(0, 5).map((/** @type {string} */ warning) => h("li", {}, warning))),
      h("h3", {}, t(secrets.size ? "script.secrets" : "script.no_secrets", { n: secrets.size })),
      h("ul", { className: "secrets" }, ...[...secrets.values()].map(({ id, kind, hint, n, sure: how }) =>
        h("li", {}, h("label", {}, h("input", { type: "checkbox", name: "kept", value: id }), ` ${t("script.keep")} `), h("span", {}, `${kind} ${hint}`), h("span", { className: "fact" }, ` · ${how} · ${t("script.places", { n })}`)))),
      h("div", { className: "problem", role: "alert" }),
      h("p", { className: "actions" }, h("button", { className: "primary" }, t("script.take")), cancel()));
    form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      attempt(form, async () => {
        const kept = new FormData(form).getAll("kept").join();
        const query = new URLSearchParams({ name: file?.name || "", ...(pick && { pick }), ...(kept && { kept }) });
        const chat = await ask("POST", `api/v1/import?${query}`, file);
        place.hidden = true;
        await refresh(location.pathname);
        say([t("script.taken", { name: chat.title }), " ", h("a", { href: `${root}chats/${chat.id}/share` }, t("script.share"))]);
      });
    });
    place.replaceChildren(form);
    form.querySelector(".primary").focus();
  };
  if (place) {
    on("file", (/** @type {any} */ input) => {
      [file] = input.files;
      input.value = "";
      return inspect("");
    });
    for (const type of ["dragover", "drop", "dragleave"]) addEventListener(type, (/** @type {any} */ event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.toggle("is-over", type === "dragover");
      if (type !== "drop") return;
      [file] = event.dataTransfer.files;
      inspect("");
    });
  }
})();
