// Lists of the desk: search, filters, further pages in place, and what is taken away.
"use strict";
(() => {
  const { all, api, ask, fetched, further, h, local, on, problem, refresh, root, ROWS, say, sure, t, told } = desk;

  // What a form asks for is shown, and is in the address
  on("look", async (form) => {
    const query = new URLSearchParams(/** @type {any} */ ([...new FormData(form)].filter(([, value]) => value)));
    const address = `${location.pathname}?${query}`.replace(/\?$/, "");
    history.replaceState(null, "", address);
    await refresh(address);
    if (document.activeElement?.matches("[type=search]")) all("#found")[0].textContent = t("found", { n: all(ROWS).length });
  });
  let timer = 0;
  for (const form of all("[data-do=look]")) form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => form.requestSubmit(), 200);
  });
  on("more", async (link) => {
    const [first] = await further(document, link);
    show();
    first?.querySelector("a")?.focus();
  });

  /** @param {any} control @returns {any} */
  const row = (control) => control.closest(".row").dataset;

  on("delete-chat", async (control) => {
    const { chat, title, shares } = row(control);
    const n = Number(shares);
    if (!(await sure(t("delete_chat", { name: title }), t("delete"), n ? t("delete_chat_shares", { n }) : t("delete_chat_help")))) return;
    await api("DELETE", `chats/${chat}`);
    await refresh();
    say(t("deleted", { name: title }));
  });

  /** @param {any} control @param {any} change @param {string} words */
  const change = async (control, change, words) => {
    const { id, title } = row(control);
    await api("PATCH", `shares/${id}`, change);
    await refresh();
    say(t(words, { name: title }));
  };
  on("public", (control) => change(control, { visibility: control.checked ? "public" : "private" }, control.checked ? "is_public" : "is_private"));
  on("artifacts", (control) => change(control, { artifacts: control.checked }, control.checked ? "with_artifacts" : "without_artifacts"));
  on("freeze-anew", (control) => change(control, { refresh: true }, "frozen_anew"));

  const COUNT_MS = 10_000;
  const count = async () => {
    if (document.hidden) return;
    for (const next of all(".share", await fetched(location.pathname + location.search))) {
      const mine = document.getElementById(next.id);
      if (!mine) continue;
      mine.dataset.readers = next.dataset.readers;
      all(".number", mine)[0].textContent = all(".number", next)[0].textContent;
    }
  };
  if (all(".share").length) setInterval(() => count().catch(() => {}), COUNT_MS);

  const AT_ONCE = 1000;
  /** All shares of one's own, as they are. */
  const mine = async () => {
    const shares = [];
    for (let page; page?.length !== 0; shares.push(...page)) page = await api("GET", `shares?limit=${AT_ONCE}&offset=${shares.length}`);
    return shares;
  };
  /** Deletes shares, as far as they are there. @param {any[]} shares @param {string} [question] */
  const remove = async (shares, question = t("delete_shares", { n: shares.length })) => {
    const n = shares.reduce((sum, { readers }) => sum + Number(readers), 0);
    if (!(await sure(question, t("delete"), n ? t("delete_shares_readers", { n }) : t("delete_shares_help")))) return;
    const there = new Set((shares.length > 1 ? await mine() : shares).map(({ id }) => id));
    const ids = shares.map(({ id }) => id).filter((id) => there.has(id));
    for (let at = 0; at < ids.length; at += AT_ONCE) await api("DELETE", "shares", { ids: ids.slice(at, at + AT_ONCE) });
    await refresh();
    say(t("links_dead"));
  };
  on("delete-share", (control) => remove([row(control)], t("delete_share", { name: row(control).title })));
  on("delete-marked", () => remove(all(".mark:checked").map(row)));
  on("delete-all", async () => {
    const shares = await mine();
    // Somebody else may have signed in meanwhile
    return shares.some(({ id }) => document.getElementById(id)) ? remove(shares) : refresh();
  });

  const marks = new Set();
  const show = () => {
    for (const mark of all(".mark")) mark.checked = marks.has(row(mark).id);
    for (const button of all(".marked button:not([type])")) button.disabled = !all(".mark:checked").length;
  };
  on("mark", (mark) => {
    marks[mark.checked ? "add" : "delete"](row(mark).id);
    show();
  });
  on("shown", show);

  // A transcript that is dropped or chosen
  const [place] = all("#upload");
  let turn = 0;
  /** @param {any} file @param {string} [pick] */
  const inspect = async (file, pick) => {
    const mine = ++turn;
    const { name } = file;
    place.hidden = false;
    place.replaceChildren(h("p", { role: "status" }, t("reading", { name })));
    const query = new URLSearchParams({ name, ...(pick && { pick }) });
    // Its bytes as they are now: it may grow meanwhile.
    const bytes = await new Response(file.stream()).blob().catch(() => null);
    const what = await (bytes ? ask("POST", `api/v1/inspect?${query}`, bytes) : Promise.reject(problem(1))).catch((/** @type {any} */ problem) => ({ problem }));
    if (mine === turn) offer(what, bytes && Object.assign(bytes, { name }), query);
  };
  const leave = () => {
    turn++;
    place.hidden = true;
  };
  const actions = (/** @type {any[]} */ ...first) => h("p", { className: "actions" }, ...first, h("button", { type: "button", onclick: leave }, t("cancel")));
  /** Shows what a file is. @param {any} what @param {any} file @param {any} query */
  const offer = (what, file, query) => {
    const again = (/** @type {any} */ words, /** @type {any} */ pick) => h("button", { onclick: () => inspect(file, pick) }, words);
    if (what.problem) return place.replaceChildren(h("p", { className: "problem", role: "alert" }, ...told(what.problem), h("br"), what.problem.status === 400 ? t("not_taken") : ""),
      actions(file ? again(t("again"), query.get("pick")) : ""));
    if (what.chats.length) return place.replaceChildren(h("h2", {}, t("several", { n: what.chats.length })), h("ul", { className: "list" }, ...what.chats.map((/** @type {any} */ { messages, pick, title, updated_at: dateTime }) =>
      local(h("li", { className: "row" }, again(title, pick), h("span", { className: "fact" }, t("messages", { n: messages })), dateTime ? h("time", { dateTime }) : "")))), actions());
    const secrets = new Map();
    for (const found of what.redactions) secrets.set(found.id, { ...found, n: (secrets.get(found.id)?.n || 0) + 1 });
    const mine = turn;
    const take = async () => {
      const kept = new FormData(form).getAll("kept").join();
      const chat = await ask("POST", `api/v1/import?${query}${kept && `&kept=${encodeURIComponent(kept)}`}`, file);
      if (mine === turn) leave();
      await refresh(location.pathname);
      say([t("taken", { name: chat.title }), " ", h("a", { href: `${root}chats/${chat.id}/share` }, t("share"))]);
    };
    const form = h("form", { run: take }, h("h2", {}, what.title), h("ul", {},
      h("li", {}, `${t("messages", { n: what.messages })}, ${what.format}`),
      ...(what.hidden ? [h("li", {}, t("never_shown", { n: what.hidden }))] : []),
      ...(what.artifacts.length ? [h("li", {}, t("files", { n: what.artifacts.length }))] : []),
      ...what.warnings.slice(0, 5).map((/** @type {string} */ warning) => h("li", {}, warning))),
      h("h3", {}, t(secrets.size ? "secrets" : "no_secrets", { n: secrets.size })),
      h("ul", { className: "secrets" }, ...[...secrets.values()].map(({ id, kind, hint, n, sure: how }) =>
        h("li", {}, h("label", {}, h("input", { type: "checkbox", name: "kept", value: id }), ` ${t("keep")} `), h("span", {}, `${kind} ${hint}`), h("span", { className: "fact" }, ` · ${how} · ${t("places", { n })}`)))),
      h("div", { className: "problem", role: "alert" }),
      actions(h("button", { className: "primary" }, t("take"))));
    place.replaceChildren(form);
    form.querySelector(".primary").focus();
  };
  if (place) {
    on("file", (input) => {
      inspect(input.files[0]);
      input.value = "";
    });
    for (const type of ["dragover", "drop", "dragleave"]) addEventListener(type, (/** @type {any} */ event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.toggle("is-over", type === "dragover");
      const [file, other] = event.dataTransfer.files;
      if (type !== "drop" || !file) return;
      inspect(file);
      if (other) say(t("one_file"));
    });
  }
})();
