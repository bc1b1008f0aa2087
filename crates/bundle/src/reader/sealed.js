// Opens a sealed bundle (docs/encryption.md): takes the key from the address or asks for the passphrase, decrypts the index, and shows the
// book out of pieces that it decrypts as they are needed. Pieces come as script files, since a page from file:// can load nothing else.
"use strict";
(() => {
  const SCHEME = "readalong sealed 1";
  const { subtle } = crypto;
  const utf8 = new TextEncoder();
  const $ = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
  const say = (/** @type {string} */ state, problem = "") => {
    if (!$("state")) return tell(problem);
    $("state").textContent = state;
    if (!state) $("unlock").closest(".late")?.classList.remove("late");
    $("problem").textContent = problem;
  };
  /** What goes wrong when the book is open. @param {string} problem */
  const tell = (problem) => {
    if (!problem) return;
    const notice = Object.assign(document.createElement("p"), { role: "alert", textContent: problem, className: "toast" });
    document.body.append(notice);
    setTimeout(() => notice.remove(), 8000);
  };
  const fromHex = (/** @type {string} */ text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const toHex = (/** @type {ArrayBuffer} */ bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  // What script files say, by the element that loads them
  /** @type {WeakMap<any, {tag: string, base64: string}[]>} */
  const said = new WeakMap();
  /** @type {any} */
  let lock = null;
  const globals = /** @type {any} */ (window);
  globals.sealed = (/** @type {string} */ tag, /** @type {string} */ base64) => said.get(document.currentScript)?.push({ tag, base64 });
  globals.sealedLock = (/** @type {any} */ value) => (lock = value);
  /** The pieces of a script file. @param {string} path @returns {Promise<{tag: string, base64: string}[]>} */
  const load = (path) => new Promise((done, fail) => {
    const script = document.createElement("script");
    said.set(script, []);
    script.onload = () => done(said.get(script) ?? []);
    script.onerror = () => fail(new BookError(`The file ${path} is missing, or does not come through. The chat may just be published anew: try to load this page again.`));
    script.src = path;
    document.head.append(script);
    script.remove();
  });

  // Keys
  /** What all keys of the share are derived from. @type {CryptoKey} */
  let shareKey;
  /** @param {string} what @param {Uint8Array} [salt] */
  const hkdf = (what, salt = new Uint8Array()) => ({ name: "HKDF", hash: "SHA-256", salt: /** @type {any} */ (salt), info: utf8.encode(`${SCHEME} ${what}`) });
  /** Takes the share key; false where it is that of another share. @param {Uint8Array} bytes */
  const take = async (bytes) => {
    shareKey = await subtle.importKey("raw", /** @type {any} */ (bytes), "HKDF", false, ["deriveKey", "deriveBits"]);
    return toHex(await subtle.deriveBits(hkdf("check"), shareKey, 128)) === lock.check;
  };
  /** The share key that a passphrase opens; null where it is another one. @param {string} passphrase */
  const unwrap = async (passphrase) => {
    const { salt, rounds, key } = lock.passphrase;
    const typed = await subtle.importKey("raw", utf8.encode(passphrase), "PBKDF2", false, ["deriveKey"]);
    const wrapping = await subtle.deriveKey({ name: "PBKDF2", hash: "SHA-256", salt: fromHex(salt), iterations: rounds }, typed, { name: "AES-GCM", length: 256 }, false, ["decrypt"]);
    const opened = subtle.decrypt({ name: "AES-GCM", iv: new Uint8Array(12), additionalData: utf8.encode(`${SCHEME} passphrase`) }, wrapping, fromHex(key));
    return opened.then((bytes) => new Uint8Array(bytes), () => null);
  };
  /** @param {string} purpose @param {{tag: string, base64: string}} piece @param {string} path where it came from */
  const decrypt = async (purpose, { tag, base64 }, path) => {
    const what = `piece ${purpose}`;
    const damaged = () => new BookError(`The file ${path} is damaged. Load this page again; where that does not help, ask who shared the chat to publish it again.`);
    const key = await subtle.deriveKey(hkdf(what, fromHex(tag)), shareKey, { name: "AES-GCM", length: 256 }, false, ["decrypt"]);
    let plain;
    try {
      const sealed = /** @type {any} */ (fromBase64(base64));
      plain = new Uint8Array(await subtle.decrypt({ name: "AES-GCM", iv: new Uint8Array(12), additionalData: utf8.encode(`${SCHEME} ${what}`) }, key, sealed));
    } catch {
      throw damaged();
    }
    const body = plain.subarray(5, 5 + new DataView(plain.buffer).getUint32(1));
    return { plain, content: plain[0] ? await inflate(body) : body };
  };
  /** Decrypts a piece that no index names, if it is the one of this purpose and name. @param {string} purpose @param {string} name @param {{tag: string, base64: string}} piece */
  const unseal = async (purpose, name, piece) => {
    const { tag } = piece;
    const { plain, content } = await decrypt(purpose, piece, name);
    const names = await subtle.deriveKey(hkdf("names"), shareKey, { name: "HMAC", hash: "SHA-256", length: 256 }, false, ["verify"]);
    const digest = new Uint8Array(await subtle.digest("SHA-256", /** @type {any} */ (plain)));
    const said = new Uint8Array([...utf8.encode(`${purpose}\0${name}\0`), ...digest]);
    if (!(await subtle.verify("HMAC", names, fromHex(tag), said))) throw new BookError(`What came for ${name} was exchanged for something else.`);
    return content;
  };

  // A share that grows: its index names other pieces each time, and what is new comes in pieces that no index names.
  const PIECE = /^sealed\("([0-9a-f]{64})","([A-Za-z0-9+/=]*)"\);$/gm;
  /** The pieces of a file as it is now: on a host it is asked for each time, elsewhere loaded as everything else. @param {string} path @returns {Promise<{tag: string, base64: string}[]>} */
  const fresh = async (path) => {
    if (!location.protocol.startsWith("http")) return load(path);
    const answer = await fetch(path, { cache: "no-cache" });
    // Another version is there now, or nothing any more: the share's link knows.
    if ([404, 410].includes(answer.status)) location.replace(`../index.html${location.hash}`);
    return [...(await answer.text()).matchAll(PIECE)].map(([, tag = "", base64 = ""]) => ({ tag, base64 }));
  };
  /** @param {string} name */
  const late = async (name) => {
    const path = `data/${name}.js`;
    const [piece] = await fresh(path);
    if (!piece) throw new BookError(`The file ${path} is damaged. Load this page again.`);
    return unseal("live", name, piece);
  };

  /** Files of the bundle: tags of their pieces. @type {Map<string, string[]>} */
  const files = new Map();
  /** Their media types. @type {Map<string, string>} */
  const types = new Map();
  const isGrowing = () => !files.has("manifest.json");
  /** @param {{tag: string, base64: string}[]} pieces */
  const takeIndex = async (pieces) => {
    const entries = [];
    for (const piece of pieces) entries.push((await decrypt("index", piece, "index.js")).content);
    const { files: list } = JSON.parse(textOf(new Uint8Array(await new Blob(/** @type {any} */ (entries)).arrayBuffer())));
    for (const [path, type, tags] of list) {
      files.set(path, tags);
      types.set(path, type);
    }
  };
  let isFresh = true; // the index, at the beginning
  const refresh = async () => {
    if (!isFresh) await takeIndex(await fresh("index.js"));
    isFresh = false;
  };
  /** @param {string} path @returns {Promise<Uint8Array>} */
  const read = async (path) => {
    // Frames that a page lacks are there only for the page as it is now.
    if (isGrowing() && path.endsWith(".html")) await refresh();
    try {
      return await readPieces(path);
    } catch (error) {
      if (!isGrowing()) throw error;
      // What was sent anew is there in other pieces, and the old ones went.
      await refresh();
      return readPieces(path);
    }
  };
  /** @param {string} path */
  const readPieces = async (path) => {
    const tags = files.get(path);
    if (!tags) throw new BookError(`There is no ${path} in this chat.`);
    const parts = await Promise.all(tags.map(async (wanted) => {
      const name = `files/${wanted}.js`;
      const [piece] = await load(name);
      if (!piece) throw new BookError(`The file ${name} is damaged. Load this page again.`);
      if (piece.tag !== wanted) throw new BookError(`The file ${name} was exchanged for another: this chat has been tampered with. Tell who shared it.`);
      return (await decrypt("file", piece, name)).content;
    }));
    return parts.length === 1 ? parts[0] : new Uint8Array(await new Blob(/** @type {any} */ (parts)).arrayBuffer());
  };

  const show = async (/** @type {string | undefined} */ key) => {
    say("Opening…");
    await takeIndex(await indexed);
    await openBook({ read, types, key, failed, late: isGrowing() ? late : undefined });
  };
  /** @param {unknown} error */
  const failed = (error) => {
    say("", error instanceof BookError ? error.message : "This chat cannot be shown: its files are damaged, or the browser is too old.");
    console.error(error);
  };

  // What a passphrase opened stays open in this tab, for reloading and going back: with the entry of its history, which no other page sees.
  const remember = (/** @type {Uint8Array} */ bytes) => {
    const keep = () => history.state?.key || history.replaceState({ ...history.state, key: bytes }, "");
    keep();
    EventTarget.prototype.addEventListener.call(window, "hashchange", keep);
  };
  const ask = () => {
    const form = $("unlock");
    form.hidden = false;
    say("");
    $("passphrase").focus();
    form.onsubmit = async (/** @type {Event} */ event) => {
      event.preventDefault();
      const [button] = form.querySelectorAll("button");
      button.disabled = true;
      say("Opening…");
      try {
        const bytes = await unwrap($("passphrase").value);
        if (bytes && (await take(bytes))) {
          remember(bytes);
          await show(undefined);
        } else {
          say("", "This passphrase does not open the chat. Try it again: capitals and spaces count.");
          $("passphrase").select();
        }
      } catch (error) {
        failed(error);
      }
      button.disabled = false;
    };
  };
  const linked = () => new URLSearchParams(location.hash.slice(1)).get("k");

  const open = async () => {
    const key = linked();
    if (key) EventTarget.prototype.addEventListener.call(window, "hashchange", () => (linked() ?? key) !== key && location.reload());
    await indexed;
    if (!lock) throw new BookError("The file index.js is damaged. Load this page again; where that does not help, ask who shared the chat to publish it again.");
    if (lock.version > 1) throw new BookError("This chat was published by a newer readalong than this page is from. Load it again without what the browser has kept (Ctrl+Shift+R).");
    const { version, check, passphrase, sum } = lock;
    const parts = [version, check, ...(passphrase ? [passphrase.salt, passphrase.rounds, passphrase.key] : [])];
    const digest = toHex(await subtle.digest("SHA-256", utf8.encode(parts.join(" "))));
    if (digest.slice(0, 16) !== sum) throw new BookError("The file index.js is damaged. Load this page again; where that does not help, ask who shared the chat to publish it again.");
    const bytes = key ? fromKey(key) : history.state?.key;
    if (key && !bytes) throw new BookError("The key in this link is not whole. Copy the link again, with all that follows the #.");
    if (bytes && (await take(bytes))) return show(key ?? undefined);
    if (key) throw new BookError("The key in this link does not open this chat. Copy the link again, with all that follows the #.");
    if (!passphrase) throw new BookError("This link has no key. A link to an encrypted chat ends with # and its key: copy it again, whole.");
    ask();
  };
  /** @param {string} text */
  const fromKey = (text) => {
    try {
      const bytes = fromBase64(`${text.replaceAll("-", "+").replaceAll("_", "/")}=`);
      return bytes.length === 32 ? bytes : null;
    } catch {
      return null;
    }
  };

  const indexed = load("index.js");
  if (subtle) open().catch(failed);
  else say("", "This browser opens encrypted chats only from https addresses, from your own machine, or from a file. Ask who shared the chat for an https link, or save its folder and open index.html from there.");
})();
