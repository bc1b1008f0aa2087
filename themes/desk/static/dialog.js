// Dialogs of the desk: a page over another, and questions.
"use strict";
(() => {
  const { all, fetched, h, icon, on, say, t } = desk;

  /** Shows something over the page. @param {any[]} content @param {string} [className] @returns {any} */
  const show = (content, className = "") => {
    const box = h("dialog", { className: `dialog ${className}` },
      h("form", { method: "dialog", className: "dialog-close" }, h("button", { className: "tool", ariaLabel: t("close") }, icon("close"))), ...content, h("div", { className: "says", role: "status" }));
    box.addEventListener("close", () => box.remove());
    const heading = box.querySelector("h1, h2");
    if (heading) box.setAttribute("aria-labelledby", (heading.id ||= "dialog-title"));
    document.body.append(box);
    box.showModal();
    return box;
  };

  /** Asks whether. @param {string} question @param {string} action @param {string} [more] @returns {Promise<boolean>} */
  const sure = (question, action, more) => new Promise((answer) => {
    const box = show([h("h2", {}, question), ...(more ? [h("p", {}, more)] : []),
      h("form", { method: "dialog", className: "actions" },
        h("button", { value: "yes", className: "danger" }, action), h("button", { autofocus: true }, t("cancel")))], "small");
    box.addEventListener("close", () => answer(box.returnValue === "yes"));
  });

  on("dialog", async (link) => {
    const page = await fetched(link.pathname + link.search);
    show([...page.querySelector("main").children], "wide");
  });
  on("close", (control) => {
    const box = control.closest("dialog");
    if (box) box.close();
    else location.assign(control.href);
  });

  on("copy", async ({ value }) => {
    try {
      await navigator.clipboard.writeText(value);
    } catch { // not allowed, or a plain http address
      const active = /** @type {any} */ (document.activeElement);
      const field = h("textarea", { value });
      (all("dialog[open]").at(-1) || document.body).append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
      active.focus();
    }
    say(t("copied"));
  });

  /** The picture of a link, and files of it. @param {string} url @returns {any} */
  const code = (url, path = new URL(url).pathname) => h("figure", { className: "qr" },
    h("img", { src: `${path}/qr.svg`, alt: t("qr"), width: 200, height: 200 }),
    h("figcaption", {}, h("a", { href: `${path}/qr.png`, download: "qr.png" }, "PNG"), " ", h("a", { href: `${path}/qr.svg`, download: "qr.svg" }, "SVG")));
  on("qr", ({ value }) => {
    show([h("h2", {}, t("qr")), code(value), h("p", {}, h("a", { href: `${value}/` }, value))], "small");
  });

  Object.assign(desk, { code, show, sure });
})();
