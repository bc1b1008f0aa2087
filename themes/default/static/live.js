// The page of a live share: puts what is new in its place and does not move what is being read. The words are those of docs/protocol.md.
"use strict";
(() => {
  const { all, bar, enhance, h, load, main, pages, read, splitDays } = readalong;
  const { body, documentElement: root } = document;
  if (!body.dataset.live) return;
  const isFiles = body.dataset.live === "files"; // on a host that only serves files

  // The page
  let seq = Number(body.dataset.seq);
  /** @returns {any[]} */
  const items = () => all(":scope > [data-item]", main);
  /** @param {string | null} key @returns {any} */
  const find = (key) => key && main.querySelector(`:scope > [data-item="${CSS.escape(key)}"]`);
  const isEnd = () => !all(":scope > .pages [rel=next]", main).length;
  const dayOf = (/** @type {any} */ item) => item.previousElementSibling?.closest(".day");
  /** @param {any} item @param {"previousElementSibling" | "nextElementSibling"} side */
  const beside = (item, side) => {
    do item = item[side]; while (item && !item.dataset.item);
    return item;
  };
  /** What the server rendered, as messages.js has it on the page. @param {string} html */
  const parse = (html) => {
    const { content } = h("template", { innerHTML: html });
    enhance(content);
    return content;
  };

  // What is there becomes what shall be there; folds, focus, selection and scrolled boxes stay.
  const isAlike = (/** @type {any} */ a, /** @type {any} */ b) => a?.nodeName === b.nodeName && a.id === b.id && a.classList?.[0] === b.classList?.[0];
  const drop = (/** @type {any} */ node, next = node.nextSibling) => {
    if (!node.matches?.(".live")) node.remove();
    return next;
  };
  /** @param {any} from @param {any} to */
  const morph = (from, to) => {
    for (const { name } of [...from.attributes]) if (name !== "open" && !to.hasAttribute(name)) from.removeAttribute(name);
    for (const { name, value } of to.attributes) if (name !== "open" && from.getAttribute(name) !== value) from.setAttribute(name, value);
    let old = from.firstChild;
    for (const next of [...to.childNodes]) {
      let match = old;
      while (next.tagName && match && !isAlike(match, next)) match = match.nextSibling;
      if (!isAlike(match, next)) {
        from.insertBefore(next, old);
        continue;
      }
      while (old !== match) old = drop(old);
      old = match.nextSibling;
      if (match.isEqualNode(next) || match.matches?.(".tool, .menu, .find")) continue; // those are the reader's
      if (next.tagName) morph(match, next);
      else match.data = next.data;
    }
    while (old) old = drop(old);
  };
  /** @param {any} item @param {any} next */
  const grow = (item, next) => {
    const [single] = all(".single > details[open]", item);
    morph(item, next);
    // A thought that became one line of several stays open.
    if (single && !single.isConnected) for (const fold of all(`.activity, .activity .${single.classList[0]}`, item).slice(0, 2)) fold.open = true;
  };

  /** A prompt on another page changed, or went. @param {string} id @param {any} [prompt] */
  const elsewhere = (id, prompt) => main.dispatchEvent(new CustomEvent("elsewhere", { detail: { id, prompt } }));
  /** @type {Record<string, (op: any) => void>} */
  const operations = {
    put({ item: key, after, page, html, new: isNew }) {
      const part = parse(html);
      const next = part.querySelector("[data-item]");
      const before = find(after);
      const [first] = items();
      const isHere = isEnd() || pages().includes(page);
      let item = find(key);
      if (item && !isHere) return operations.remove({ item: key });
      if (item) {
        dayOf(item)?.remove();
        if (before && beside(item, "previousElementSibling") !== before) before.after(item);
        grow(item, next);
        next.remove();
        item.before(...part.children);
      } else if (isHere && (before || page === pages()[0] || !first)) {
        item = next;
        const end = first ? dayOf(first) || first : all(":scope > :is(.pages-bottom, .end)", main)[0];
        if (before) before.after(...part.children);
        else main.insertBefore(part, end || null);
        if (isNew) arrived(item);
      } else if (isNew && !isEnd()) arrived();
      if (!item) return next.matches(".prompt") && elsewhere(next.id, next);
      splitDays([item, beside(item, "nextElementSibling")]);
    },
    remove({ item: key }) {
      const item = find(key);
      if (!item) return key.endsWith("-0") && elsewhere(key.slice(0, -2));
      const next = beside(item, "nextElementSibling");
      dayOf(item)?.remove();
      item.remove();
      splitDays([next]);
    },
    header({ html, title }) {
      const old = String(all("h1", bar)[0]?.textContent);
      morph(bar, parse(html).querySelector("header"));
      if (document.title.endsWith(old)) document.title = document.title.slice(0, -old.length) + title;
    },
    end({ html }) {
      over = true;
      body.classList.replace("chat-live", "chat-frozen");
      if (!isEnd()) return;
      for (const footer of all(":scope > .end", main)) footer.remove();
      main.append(parse(html));
    },
    reload: () => refetch(),
  };

  // Where the reader is
  let going = 0; // frames for which it still goes to the end: messages have their heights only when they are seen
  let went = 0; // how far it got; a reader who is above turned back
  const isAtEnd = () => root.scrollHeight - innerHeight - scrollY < 100;
  const isFollowing = () => isEnd() && !document.hidden && (isAtEnd() || (going > 0 && scrollY >= went));
  const go = () => {
    scrollTo({ top: root.scrollHeight, behavior: "instant" });
    went = scrollY;
  };
  const step = () => {
    if (scrollY < went && !isAtEnd()) going = 0;
    if (going <= 0) return;
    going--;
    go();
    requestAnimationFrame(step);
  };
  const toEnd = (soon = false) => { // with the next frame, which lays the page out anyway, or at once
    const isGoing = going > 0;
    going = 5;
    soon || go();
    if (!isGoing) requestAnimationFrame(step);
  };
  /** Changes the page; what is read stays where it is. True where the reader follows the end. @param {() => void} change */
  const keepPlace = (change) => {
    const follows = isFollowing();
    const boxes = follows ? [] : items().map((item) => ({ item, box: item.getBoundingClientRect() })).filter(({ box }) => box.bottom > bar.offsetHeight);
    if (follows) went = scrollY; // a page that became shorter is no reader who turned back
    root.style.overflowAnchor = "none";
    change();
    const mark = boxes.find(({ item }) => item.isConnected);
    if (follows) toEnd(true);
    else if (mark) scrollBy({ top: mark.item.getBoundingClientRect().top - mark.box.top, behavior: "instant" });
    root.style.overflowAnchor = "";
    main.dispatchEvent(new Event("changed"));
    if (follows || isFollowing()) seen();
    else tell();
    return follows;
  };

  // "3 new messages"
  let unread = 0; // the reader has not been there
  let unsaid = 0; // not announced
  let saying = 0;
  /** @type {any} */
  let newest = null; // the first of the unread ones
  const [announce] = all("#announce");
  const words = (/** @type {number} */ count) => `${count} new message${count === 1 ? "" : "s"}`;
  let pill = h("button", { className: "pill", hidden: true, onclick: () => {
    if (newest?.isConnected) newest.scrollIntoView({ behavior: "instant" });
    else toEnd();
    main.focus({ preventScroll: true });
    seen();
  } });
  main.after(pill);
  const tell = () => {
    if (!isEnd() && !pill.href) { // a page may be the last one no more
      const link = h("a", { className: "pill", href: read ? readalong.address("", "") : isFiles ? "../index.html" : "./" });
      pill.replaceWith(link);
      pill = link;
    }
    pill.textContent = words(unread);
    pill.hidden = !unread || over;
  };
  const seen = () => {
    unread = 0;
    newest = null;
    tell();
  };
  const arrived = (/** @type {any} */ item = null) => {
    newest ||= item;
    unread++;
    unsaid++;
    saying ||= setTimeout(() => {
      announce.textContent = words(unread || unsaid);
      saying = unsaid = 0;
    }, 1000);
  };
  addEventListener("scroll", () => unread && isFollowing() && seen(), { passive: true });

  // What the header says of the connection
  let readers = 0;
  let at = "";
  const state = all(".live", bar)[0] || h("span"); // a theme may do without
  const show = () => {
    const said = over ? "Snapshot" : greeted ? "Live" : !navigator.onLine ? "Offline" : heard ? "Reconnecting…" : "Connecting…";
    state.className = `live ${over ? "over" : greeted ? "on" : heard + tries ? "lost" : ""}`;
    const time = h("time", { dateTime: at });
    time.dataset.style = new Date(at).toDateString() === new Date().toDateString() ? "clock" : "date";
    state.replaceChildren(
      h("span", { className: "live-state" }, said),
      h("span", { className: "live-viewers" }, readers && greeted && !over ? `${readers} reading` : ""),
      h("span", { className: "live-at" }, ...(at && !over ? ["last message ", time] : [])));
    enhance(state);
  };

  // Frames
  let fetching = false;
  let again = false;
  /** Frames that wait for the page. @type {any[]} */
  let waiting = [];
  /** @param {any} frame */
  const apply = (frame) => {
    if (fetching) return waiting.push(frame);
    if (frame.seq <= seq) return;
    at = frame.at || at;
    const follows = keepPlace(() => {
      for (const op of frame.ops) for (const name in op) operations[name]?.(op[name]);
    });
    if (!fetching) seq = frame.seq; // a page that is being fetched says itself where it stands
    if (isNewest && follows && main.childElementCount > most && !isUsed()) {
      leaveRoom(); // where that fails, not with the next message again
      refetch();
    }
  };
  /** @param {any} frame */
  const hear = (frame) => {
    heard = Date.now();
    if (frame.hello) {
      greeted = true;
      tries = early = 0;
      ({ epoch: theirs, at = at } = frame.hello);
    }
    readers = frame.viewers ?? frame.hello?.viewers ?? readers;
    if (frame.reset) refetch();
    if (frame.ops) apply(frame);
    show();
  };

  // A page that is open for days does not grow for days: a message shall cost what the one before did. Not all readers' pages at once.
  const isUsed = () => !getSelection()?.isCollapsed || document.querySelector(".find:not([hidden]), .rail:focus-within, .rail-open");
  const isNewest = !isFiles && location.pathname.endsWith("/");
  let most = 0;
  const leaveRoom = () => (most = main.childElementCount + 300 * (1 + Math.random()));
  leaveRoom();
  /** Takes the content of the page as it is now. */
  const refetch = async () => {
    again = fetching;
    if (fetching) return;
    if (isFiles) return location.reload();
    fetching = true;
    try {
      const answer = await fetch(location.pathname + location.search, { cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(FETCH_MS) });
      if ([404, 410].includes(answer.status)) return location.pathname.endsWith("/") ? leave(4404) : location.replace("./");
      if (answer.type === "opaqueredirect" || [401, 403].includes(answer.status)) return leave(4401);
      const page = new DOMParser().parseFromString(answer.ok ? await answer.text() : "", "text/html");
      const fresh = page.getElementById("chat");
      if (!main.isConnected) return; // it was taken away meanwhile
      if (!fresh) throw new Error("no page");
      enhance(page.body);
      over = !page.body.dataset.live;
      keepPlace(() => {
        const known = new Map(items().map((item) => [item.dataset.item, item]));
        const nodes = [...fresh.childNodes].map((/** @type {any} */ next) => {
          const item = known.get(next.dataset?.item);
          if (item) grow(item, next);
          return item || next;
        });
        // What is not moved keeps focus, selection and where it is scrolled to.
        for (const node of [...main.childNodes]) if (!nodes.includes(node)) node.remove();
        let at = main.firstChild;
        for (const node of nodes) {
          if (node === at) at = at.nextSibling;
          else main.insertBefore(node, at);
        }
        const there = items();
        const end = there.findLastIndex((item) => known.has(item.dataset.item)) + 1;
        if (end) for (const item of there.slice(end)) arrived(item);
        leaveRoom();
        main.dispatchEvent(new CustomEvent("fetched", { detail: page }));
        morph(bar, page.querySelector(".bar"));
        splitDays();
        body.className = page.body.className;
      });
      document.title = page.title;
      for (const name in body.dataset) delete body.dataset[name];
      Object.assign(body.dataset, page.body.dataset);
      seq = Number(body.dataset.seq);
      fetching = false;
      if (again) return refetch(); // what was asked for may be too old
      waiting.splice(0).forEach(apply);
      if (greeted && theirs !== body.dataset.epoch && !over) lost(0);
      show();
    } catch {
      waiting = [];
      fetching = false;
      if (link) lost(0); // comes back with the number that this page has
    }
  };
  /** Nothing of the share may be seen any more. @param {number} code */
  const leave = (code) => {
    over = true;
    disconnect();
    const isPrivate = code === 4401;
    const text = isPrivate ? "This chat is private now." : "This chat has been deleted, or its link is not valid any more.";
    const said = h("main", { className: "gone", tabIndex: -1 }, h("h1", {}, text));
    if (isPrivate && body.dataset.signin) said.append(h("a", { href: body.dataset.signin }, "Sign in to read it"));
    document.title = "readalong";
    body.className = "";
    body.replaceChildren(said);
    said.focus();
  };

  // The connection
  const FETCH_MS = 30_000;
  const SILENCE_MS = 75_000; // one that says nothing for so long is dead
  let theirs = "";
  /** @type {WebSocket | EventSource | null} */
  let link = null;
  let greeted = false; // by this connection
  let early = 0; // connections in a row that ended before a hello
  let tries = 0;
  let timer = 0;
  let heard = 0;
  let over = false; // nothing more will come
  const disconnect = () => {
    clearTimeout(timer);
    polls++;
    const old = link;
    link = null;
    greeted = false;
    old?.close();
  };
  const connect = () => {
    disconnect();
    if (over) return;
    if (isFiles) return poll();
    const address = (/** @type {string} */ name) => new URL(`${name}?epoch=${body.dataset.epoch}&after=${seq}`, location.href).href;
    const isSocket = early % 4 < 2;
    const mine = isSocket ? new WebSocket(address("live").replace(/^http/, "ws")) : new EventSource(address("events"));
    const ended = (/** @type {number} */ code) => link === mine && lost(code);
    link = mine;
    mine.onmessage = ({ data }) => link === mine && hear(JSON.parse(data));
    mine.onerror = () => !isSocket && ended(0);
    mine.addEventListener("close", (/** @type {any} */ event) => ended(event.code || JSON.parse(event.data || "{}").code));
  };
  // Among files: data/live.js says which files of frames there are
  const POLL_MS = 2000;
  let applied = -1; // the last file of frames that the page has; not known before the head is
  const ask = async () => {
    if (read || !location.protocol.startsWith("http")) return load("live");
    const answer = await fetch("data/live.js", { cache: "no-cache" });
    // Another version is there now, or nothing any more: the share's link knows.
    if ([404, 410].includes(answer.status)) location.replace("../index.html" + location.hash);
    const text = await answer.text();
    return JSON.parse(text.slice(text.indexOf(",") + 1, text.lastIndexOf(")")));
  };
  let polls = 0; // only the newest goes on
  const poll = async (mine = ++polls) => {
    try {
      const { first, last } = await ask();
      const known = applied < 0 ? (isEnd() ? first - 1 : last) : applied;
      if (known < first - 1) return location.reload(); // what it lacks is only in pages any more
      for (applied = known; applied < last; applied++) for (const frame of await load(`live-${applied + 1}`)) hear(frame);
      heard = Date.now();
      greeted = true;
    } catch {
      greeted = false;
    }
    if (mine !== polls) return;
    show();
    timer = setTimeout(() => poll(), document.hidden ? 15 * POLL_MS : POLL_MS);
  };
  /** @param {number} code */
  const lost = (code) => {
    const isEarly = !greeted;
    disconnect();
    if (isEarly && ++early % 4 === 0) refetch();
    if (code === 4404 || code === 4401) return leave(code);
    if (code === 4410) {
      if (!over) refetch();
      over = true;
    }
    const pause = code === 4408 ? 0 : code === 4429 || code === 4400 ? 60_000 : Math.min(30_000, 1000 * 2 ** tries++);
    timer = setTimeout(connect, pause * (0.5 + Math.random() / 2));
    show();
  };
  /** When the connection may be gone, or can be had again. @param {boolean} isSure */
  const look = (isSure) => {
    if (over || (!isSure && greeted && Date.now() - heard < SILENCE_MS)) return;
    tries = 0;
    connect();
    show();
  };
  addEventListener("online", () => look(true));
  addEventListener("offline", () => !over && lost(0));
  document.addEventListener("visibilitychange", () => !document.hidden && look(false));
  addEventListener("pagehide", disconnect); // a page with a connection is not kept for the way back
  addEventListener("pageshow", ({ persisted }) => persisted && look(true));
  setInterval(() => greeted && Date.now() - heard > SILENCE_MS && lost(0), 15_000);

  addEventListener("DOMContentLoaded", () => {
    const [visit] = /** @type {any} */ (performance.getEntriesByType("navigation"));
    const isVisit = visit?.type === "navigate" && (isFiles || isNewest) && !location.hash;
    if (isEnd() && (read ? readalong.isOpened : isVisit)) toEnd();
    show();
    connect();
  });
})();
