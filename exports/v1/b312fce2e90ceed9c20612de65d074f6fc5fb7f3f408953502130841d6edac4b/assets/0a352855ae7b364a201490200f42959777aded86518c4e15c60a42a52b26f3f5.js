// Where a text occurs: in search data, which is counted, and in the text nodes of a message, where each hit becomes a range.
// Both see the same text: runs of white space are one space, times are left out since each reader sees others.
"use strict";
(() => {
  /** A hit: from one text position to another. @typedef {{message: HTMLElement, range: StaticRange}} Hit */

  /** Runs of white space are one space, as in the search data. @param {string} text */
  const squeeze = (text) => text.replace(/[ \t\n\f\r]+/g, " ");
  /** Lower case of the same length, so that places stay places. @param {string} text */
  const fold = (text) => {
    const lower = text.toLowerCase();
    if (lower.length === text.length) return lower;
    return Array.from(text, (c) => (c.toLowerCase().length === c.length ? c.toLowerCase() : c)).join("");
  };
  /** A query as it is looked for. @param {string} text */
  const plain = (text) => fold(squeeze(text));
  /** @param {string} text @param {string} query */
  const places = (text, query) => {
    const found = [];
    for (let at = text.indexOf(query); at >= 0; at = text.indexOf(query, at + query.length)) found.push(at);
    return found;
  };
  /** Hits in a page's search data; the one place that knows how that is written. @param {[string, string][]} rows @param {string} query */
  const count = (rows, query) => rows.reduce((total, [, text]) => total + places(fold(text), query).length, 0);

  /** The text of a message as the search data have it, and where its nodes begin there. @param {HTMLElement} message */
  const read = (message) => {
    /** @type {{node: Text, start: number}[]} */
    const nodes = [];
    let text = "";
    const walker = document.createTreeWalker(message, NodeFilter.SHOW_ALL, (node) =>
      node instanceof Element && node.matches("time, button") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!(node instanceof Text)) continue;
      const piece = squeeze(node.data);
      nodes.push({ node, start: text.length });
      text += piece.startsWith(" ") && (!text || text.endsWith(" ")) ? piece.slice(1) : piece;
    }
    return { nodes, text };
  };
  /** @param {HTMLElement} message */
  const textOf = (message) => read(message).text;

  /** Hits in one message of this page. @param {HTMLElement} message @param {string} query @returns {Hit[]} */
  const search = (message, query) => {
    const { nodes, text } = read(message);
    // Walks forward only: at = place in the squeezed text, offset = the same place in the node.
    let index = -1, at = 0, offset = 0;
    const locate = (/** @type {number} */ place, /** @type {boolean} */ end) => {
      while (index + 1 < nodes.length && (end ? nodes[index + 1].start < place : nodes[index + 1].start <= place)) {
        index++;
        at = nodes[index].start;
        offset = 0;
        if (!at || text[at - 1] === " ") while (/[ \t\n\f\r]/.test(nodes[index].node.data[offset] || "x")) offset++;
      }
      const source = nodes[index].node.data;
      for (; at < place; at++) {
        if (/[ \t\n\f\r]/.test(source[offset])) while (/[ \t\n\f\r]/.test(source[offset + 1] || "x")) offset++;
        offset++;
      }
      return { node: nodes[index].node, offset };
    };
    return places(fold(text), query).map((place) => {
      const from = locate(place, false);
      const to = locate(place + query.length, true);
      return { message, range: new StaticRange({ startContainer: from.node, startOffset: from.offset, endContainer: to.node, endOffset: to.offset }) };
    });
  };

  readalong.findText = { plain, count, search, textOf };
})();
