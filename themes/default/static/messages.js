// What a reader can do with a message: copy its code and its address, see its time in the own time zone.
"use strict";
(() => {
  const { all, h, icon, main } = readalong;

  const announce = (/** @type {string} */ text) => (all("#announce")[0].textContent = text);
  /** Says something for a moment. @param {string} text */
  const say = (text) => {
    const toast = h("p", { className: "toast" }, text);
    document.body.append(toast);
    setTimeout(() => toast.remove(), 1600);
    announce(text);
  };
  readalong.say = say;
  /** @param {string} text */
  const copy = (text) =>
    (navigator.clipboard?.writeText(text) || Promise.reject()).catch(() => {
      const area = h("textarea", { value: text, className: "sr-only" });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    });
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    const button = target.closest(".copy");
    if (button) {
      const texts = all("pre", button.parentElement).map((/** @type {Element} */ pre) => String(pre.textContent).replace(/\n$/, ""));
      const shown = (/** @type {string} */ name) => button.replaceChildren(icon(name));
      copy(texts.join("\n")).then(() => {
        shown("check");
        announce("Copied");
      });
      setTimeout(() => shown("copy"), 1600);
    }
    const link = /** @type {HTMLAnchorElement | null} */ (target.closest(".permalink"));
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) copy(link.href).then(() => say("Link copied"));
  });

  // Times in the reader's zone, copy buttons, lines between days: also for messages that come later, live
  /** A time as pages write it, in the reader's zone; Intl is slow to start. @param {any} time @param {string} [style] */
  const written = ({ dateTime, dataset }, style = dataset.style) => {
    const at = new Date(dateTime);
    const [, month, day, year] = at.toDateString().split(" ");
    const date = `${Number(day)} ${month} ${year}`;
    const clock = at.toTimeString().slice(0, 5);
    return style === "date" ? date : style === "full" ? `${date}, ${clock}` : clock;
  };
  const enhance = (/** @type {Element} */ scope) => {
    for (const time of all("time[datetime]", scope)) if (!isNaN(Date.parse(time.dateTime))) time.textContent = written(time);
    for (const box of all(":is(.code, .output):not(:has(> .copy))", scope)) box.append(h("button", { className: "copy", ariaLabel: "Copy" }, icon("copy")));
  };
  /** @param {any} message */
  const dayOf = (message) => {
    const time = message.matches(".message") && message.querySelector(":scope > .permalink > time");
    return time ? written(time, "date") : "";
  };
  /** Draws a line where a message is of another day than what stands before it. @param {any[]} messages */
  const splitDays = (messages = all(":scope > .message", main)) => {
    for (const message of messages) {
      const day = message && dayOf(message);
      if (!day) continue;
      const line = message.previousElementSibling?.closest(".day");
      let last = "";
      for (let node = message.previousElementSibling; node && !last; node = node.previousElementSibling) last = dayOf(node);
      if (day === last) line?.remove();
      else if (last && !line) {
        const time = message.querySelector(":scope > .permalink > time").cloneNode(true);
        time.dataset.style = "date";
        time.textContent = day;
        message.before(h("p", { className: "day" }, time));
      }
    }
  };
  enhance(document.body);
  splitDays();
  Object.assign(readalong, { enhance, splitDays });
})();
