// The work panel's tab Terminal: shells in the sandbox's folder. A shell belongs to the sandbox, not to
// the page: this takes up its output where the page left off, by the number of the last byte.
// What a terminal writes is hostile: it gets no clipboard, no title, and a link only by a click.

import { api, el, icon, pressed, readableText, say } from "./dom.js";

const ACK_EVERY = 32 * 1024; // bytes drawn; the sandbox sends at most 256 KiB beyond
const PIECE = 64 * 1024; // bytes of input in one message
const MOST_WAITING = 1000; // keys that were typed while the connection is away
const SOONEST = 500; // ms until a lost connection is tried again; then longer
const LATEST = 8000;
const FINAL = new Set([4400, 4401, 4403, 4404]); // closed on purpose
const KEYS = [
  ["Esc", "\x1b"],
  ["Tab", "\t"],
  ["Ctrl", null],
  ["^C", "\x03"],
  ["↑", "\x1b[A", "Up"],
  ["↓", "\x1b[B", "Down"],
  ["←", "\x1b[D", "Left"],
  ["→", "\x1b[C", "Right"],
  ["|", "|", "Pipe"],
  ["~", "~", "Tilde"],
  ["/", "/", "Slash"],
];

let library = null; // the emulator, loaded with the first terminal

const load = () =>
  (library ??= Promise.all([import("./vendor/xterm.js"), import("./vendor/xterm-fit.js"), import("./vendor/xterm-web-links.js")]).then(([{ Terminal }, { FitAddon }, { WebLinksAddon }]) => ({ Terminal, FitAddon, WebLinksAddon })));

export function mount(place, panel) {
  const tab = new Terminals(place, panel);
  return { show: () => tab.show(), hide: () => tab.hide() };
}

class Terminals {
  constructor(place, panel) {
    Object.assign(this, { panel, shells: [], current: null, isShown: false });
    this.tabs = el("div", { class: "shells__tabs", role: "tablist", "aria-label": "Terminals" });
    this.more = el("button", { class: "button button--bare button--icon", type: "button", "aria-label": "Open another terminal" }, icon("plus"));
    this.more.addEventListener("click", () => this.open());
    this.note = el("div", { class: "shells__note", role: "status", hidden: "" });
    this.stage = el("div", { class: "shells__stage" });
    this.keys = el("div", { class: "shells__keys", role: "toolbar", "aria-label": "Keys of the terminal" }, ...KEYS.map((key) => this.key(key)));
    this.root = el("section", { class: "shells", "aria-label": "Terminal" }, el("header", { class: "shells__bar" }, this.tabs, this.more), this.note, this.stage, this.keys);
    place.append(this.root);
    this.tabs.addEventListener("keydown", (event) => this.walk(event));
    new ResizeObserver(() => this.current?.fit()).observe(this.stage);
    panel.on("machine", (machine) => machine?.state === "online" && this.isShown && this.show());
  }

  async show() {
    this.isShown = true;
    if (!this.panel.mayChange) return this.empty("As a viewer you can read here, but not have a terminal.", null);
    try {
      const { terminals } = await api("GET", `${this.panel.base}/terminals`);
      this.panel.known("terminal", null);
      await this.take(terminals);
    } catch (refused) {
      // A sandbox that does not run has no terminals, and is started with the first.
      if (refused.code === "daemon_unreachable") return this.take([]);
      if (this.panel.away(refused) && this.shells.length) return this.panel.known("terminal", Date.now(), refused);
      if (!this.shells.length) this.stage.replaceChildren(this.panel.trouble(refused, () => this.show()));
    }
  }

  hide() {
    this.isShown = false;
    for (const shell of this.shells) shell.leave();
  }

  /** Show those of the sandbox that run, and those that ended under the eyes of this page. */
  async take(listed) {
    const { threadId } = this.panel;
    for (const told of listed) if (!told.endedAt && !this.find(told.id)) this.add(new Shell(this, told));
    const known = new Set(listed.map(({ id }) => id));
    for (const shell of [...this.shells]) if (!known.has(shell.id) && !shell.isOver) this.drop(shell);
    if (!this.shells.length) return this.empty("A terminal is a shell in this chat's folder. It keeps running while you are away.", "Open a terminal");
    const wanted = this.find(sessionStorage.getItem(`mesh:terminal:${threadId}`)) ?? this.shells[0];
    return this.choose(this.current ?? wanted);
  }

  empty(words, action) {
    const button = action && el("button", { class: "button button--primary", type: "button" }, icon("terminal"), action);
    button?.addEventListener("click", () => this.open());
    this.more.hidden = this.keys.hidden = true;
    this.stage.replaceChildren(el("div", { class: "panel__card" }, el("p", {}, words), ...(button ? [button] : [])));
  }

  find(id) {
    return this.shells.find((shell) => shell.id === id);
  }

  add(shell) {
    this.shells.push(shell);
    this.tabs.append(shell.tab);
  }

  async open() {
    this.more.disabled = true;
    try {
      const told = await api("POST", `${this.panel.base}/terminals`, this.current?.size() ?? {});
      const shell = new Shell(this, told);
      this.add(shell);
      await this.choose(shell);
      shell.term.focus();
    } catch (refused) {
      if (this.shells.length) this.say(`${refused.message} ${refused.hint ?? ""}`);
      else this.stage.replaceChildren(this.panel.trouble(refused, () => this.open()));
    } finally {
      this.more.disabled = false;
    }
  }

  async choose(shell) {
    if (this.current !== shell) this.current?.leave();
    this.current = shell;
    sessionStorage.setItem(`mesh:terminal:${this.panel.threadId}`, shell.id);
    this.more.hidden = this.keys.hidden = false;
    for (const each of this.shells) each.select(each === shell);
    this.say("");
    await shell.enter(this.stage);
    if (this.current === shell && this.isShown) shell.connect();
  }

  /** End a terminal; ask first if a program runs in it. */
  async close(shell, force = false) {
    if (!shell.isOver)
      try {
        await api("DELETE", `${this.panel.base}/terminals/${shell.id}${force ? "?force=1" : ""}`);
      } catch (refused) {
        if (refused.code === "job_running") return this.ask(`${refused.message} Closing the terminal ends it.`, "End it", () => this.close(shell, true));
        if (refused.code !== "unknown_terminal") return this.say(`${refused.message} ${refused.hint ?? ""}`);
      }
    this.drop(shell);
    if (this.shells.length) await this.choose(this.shells.at(-1));
    else this.take([]);
  }

  drop(shell) {
    this.shells = this.shells.filter((each) => each !== shell);
    if (this.current === shell) this.current = null;
    shell.end();
    this.say("");
  }

  say(words, ...more) {
    this.note.hidden = !words;
    this.note.replaceChildren(...(words ? [el("span", {}, words), ...more] : []));
    this.current?.fit();
  }

  /** Ask something above the terminal; `yes` is called if the person agrees. */
  ask(words, answer, yes) {
    const button = (text, kind, then) => {
      const made = el("button", { class: `button ${kind}`, type: "button" }, text);
      made.addEventListener("click", () => {
        this.say("");
        then();
        this.current?.term?.focus();
      });
      return made;
    };
    const no = button("Cancel", "", () => {});
    this.say(words, no, button(answer, "button--danger", yes));
    no.focus();
  }

  key([label, sequence, name]) {
    const button = el("button", { class: "shells__key", type: "button", "aria-label": name ?? label }, label);
    if (sequence === null) {
      this.ctrl = button;
      button.setAttribute("aria-pressed", "false");
    }
    button.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the terminal
    button.addEventListener("click", () => {
      if (sequence === null) this.hold(button.getAttribute("aria-pressed") !== "true");
      else this.current?.key(sequence);
    });
    return button;
  }

  /** Hold Ctrl for the next key, or let it go. */
  hold(isHeld) {
    this.ctrl.setAttribute("aria-pressed", String(isHeld));
  }

  get isCtrlHeld() {
    return this.ctrl.getAttribute("aria-pressed") === "true";
  }

  walk(event) {
    const at = this.shells.indexOf(this.current);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[pressed(event)];
    if (to === undefined || !this.shells.length) return;
    event.preventDefault();
    const shell = this.shells.at(to % this.shells.length);
    this.choose(shell);
    shell.tab.querySelector("[role=tab]").focus();
  }
}

class Shell {
  constructor(owner, { id, shell }) {
    Object.assign(this, { owner, id, at: 0, drawn: 0, acked: 0, isOver: false, socket: null, wait: SOONEST, isReady: false, waiting: [] });
    this.name = shell;
    this.place = el("div", { class: "shells__place" });
    const choose = el("button", { class: "shells__tab", type: "button", role: "tab", "aria-selected": "false", tabindex: "-1" }, shell);
    const close = el("button", { class: "button button--bare button--icon shells__close", type: "button", "aria-label": `Close the terminal ${shell}` }, icon("x"));
    choose.addEventListener("click", () => owner.choose(this));
    close.addEventListener("click", () => owner.close(this));
    this.tab = el("div", { class: "shells__one", role: "presentation" }, choose, close);
  }

  select(isChosen) {
    const tab = this.tab.querySelector("[role=tab]");
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
  }

  async enter(stage) {
    const { Terminal, FitAddon, WebLinksAddon } = await load();
    stage.replaceChildren(this.place);
    if (!this.term) {
      this.term = new Terminal({
        allowProposedApi: true,
        cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
        documentOverride: withStyles(),
        fontFamily: getComputedStyle(document.body).getPropertyValue("--mono"),
        fontSize: 13,
        linkHandler: { activate: (_, url) => this.offer(url) },
        minimumContrastRatio: 4.5,
        scrollback: 5000,
        theme: themeOf(stage),
      });
      this.fitter = new FitAddon();
      this.term.loadAddon(this.fitter);
      this.term.loadAddon(new WebLinksAddon((_, url) => isWeb(url) && window.open(url, "_blank", "noopener,noreferrer")));
      openIn(this.term, this.place);
      this.term.onData((data) => this.type(data));
      this.term.onResize(() => this.resized());
      this.term.attachCustomKeyEventHandler((event) => this.takes(event));
      this.place.addEventListener("paste", (event) => this.paste(event), { capture: true });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (this.term.options.theme = themeOf(stage)));
    }
    this.fit();
  }

  fit() {
    if (this.term && this.place.isConnected && this.place.clientWidth > 40 && this.place.clientHeight > 20) this.fitter.fit();
  }

  size() {
    return this.term ? { rows: this.term.rows, columns: this.term.cols } : {};
  }

  resized() {
    this.send(JSON.stringify({ type: "size", ...this.size() }));
  }

  /** Return whether the terminal takes a key; those of the page go to the page. */
  takes(event) {
    const isOfPanel = (event.ctrlKey || event.metaKey) && !event.altKey && event.code === "KeyJ";
    if (event.type === "keydown" && event.ctrlKey && event.shiftKey && event.code === "KeyC" && this.term.hasSelection()) {
      event.preventDefault();
      navigator.clipboard?.writeText(this.term.getSelection());
      return false;
    }
    return !isOfPanel && !(event.ctrlKey && event.shiftKey && event.code === "KeyV");
  }

  // The connection

  connect() {
    if (this.socket || this.isOver) return;
    const { panel } = this.owner;
    const address = new URL(`/ws/terminals/${panel.org}/${panel.threadId}/${this.id}?after=${this.at}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.addEventListener("message", ({ data }) => socket === this.socket && (typeof data === "string" ? this.hear(JSON.parse(data)) : this.draw(data)));
    socket.addEventListener("close", ({ code }) => socket === this.socket && this.lost(code));
  }

  leave() {
    clearTimeout(this.timer);
    const { socket } = this;
    this.socket = null;
    this.isReady = false;
    socket?.close();
  }

  lost(code) {
    this.socket = null;
    this.isReady = false;
    if (this.isOver || FINAL.has(code)) return;
    this.owner.say("Reconnecting… The terminal keeps running.");
    this.timer = setTimeout(() => this.owner.isShown && this.owner.current === this && this.connect(), this.wait);
    this.wait = Math.min(this.wait * 2, LATEST);
  }

  hear(said) {
    if (said.type === "ready") {
      this.wait = SOONEST;
      this.replayed = said.end;
      if (said.at < this.at) this.term.reset(); // another terminal by the same name
      this.at = this.drawn = this.acked = said.at;
      this.resized();
      this.isReady = true;
      for (const bytes of this.waiting.splice(0)) this.input(bytes);
      this.owner.say("");
    } else if (said.type === "gap") {
      this.term.reset();
      this.term.write(`\x1b[2m… ${said.to - said.from} bytes of output were left out …\x1b[0m\r\n`);
      this.at = this.drawn = this.acked = said.to;
    } else if (said.type === "end") {
      this.isOver = true;
      this.tab.classList.add("is-over");
      const words = `The shell has ended${said.exitCode ? ` with exit code ${said.exitCode}` : ""}.`;
      this.owner.say(words);
      say(words);
    } else if (said.type === "refused") {
      const { code, message, hint } = said.error;
      if (code === "unknown_terminal") this.isOver = true;
      this.owner.say(`${readableText(message)} ${readableText(hint ?? "")}`);
    }
  }

  draw(data) {
    const bytes = new Uint8Array(data, 8);
    this.at = Number(new DataView(data).getBigUint64(0)) + bytes.length;
    const end = this.at;
    this.term.write(bytes, () => {
      this.drawn = end;
      if (this.drawn - this.acked < ACK_EVERY) return;
      this.acked = this.drawn;
      this.send(JSON.stringify({ type: "ack", at: this.drawn }));
    });
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message);
  }

  // Input

  input(bytes) {
    for (let at = 0; at < bytes.length; at += PIECE) this.send(bytes.subarray(at, at + PIECE));
  }

  key(sequence) {
    const isArrow = sequence.startsWith("\x1b[") && this.term.modes.applicationCursorKeysMode;
    this.type(isArrow ? sequence.replace("[", "O") : sequence);
    this.term.focus();
  }

  type(text) {
    if (this.isOver || (this.isReady && this.drawn < this.replayed)) return; // an answer to what was asked long ago
    if (this.owner.isCtrlHeld && text.length === 1) {
      text = String.fromCharCode(text.toUpperCase().charCodeAt(0) & 31);
      this.owner.hold(false);
    }
    const bytes = new TextEncoder().encode(text);
    if (this.isReady) this.input(bytes);
    else this.waiting = [...this.waiting, bytes].slice(-MOST_WAITING);
  }

  /** Ask before many lines go to a program that would run each of them at once. */
  paste(event) {
    const text = (event.clipboardData?.getData("text/plain") ?? "").replaceAll("\x1b", "");
    event.preventDefault();
    event.stopPropagation();
    const lines = text.trimEnd().split(/\r\n|\r|\n/).length;
    if (lines === 1 && !/[\r\n]/.test(text)) return this.term.paste(text);
    if (this.term.modes.bracketedPasteMode) return this.term.paste(text);
    this.owner.ask(`Paste ${lines} line${lines === 1 ? "" : "s"}? The program runs each of them at once.`, "Paste", () => this.term.paste(text));
  }

  /** Show where a link leads whose text may say something else. */
  offer(url) {
    if (!isWeb(url)) return;
    this.owner.say("This link leads to ", el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, readableText(url)));
  }

  end() {
    this.isOver = true;
    this.leave();
    this.tab.remove();
    this.place.remove();
    this.term?.dispose();
  }
}

function isWeb(url) {
  try {
    return ["http:", "https:"].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}

/** Return the document as the emulator may use it: our policy forbids its style elements and
    attributes, so the first become sheets, and the others are set by CSSOM. */
function withStyles() {
  const { setAttribute } = Element.prototype;
  const styled = function (name, value) {
    if (name === "style") this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
  const createElement = (name) => {
    if (name === "style") return sheetElement();
    const made = document.createElement(name);
    made.setAttribute = styled;
    return made;
  };
  return new Proxy(document, {
    get(target, name) {
      if (name === "createElement") return createElement;
      const value = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Open the emulator. Version 6.0 takes the page's own document for one of its style elements, which it
    makes now, and for the pieces of its rows, even if it is given another one. */
function openIn(term, place) {
  const { createElement } = document;
  document.createElement = (name) => (name === "style" ? sheetElement() : createElement.call(document, name));
  try {
    term.open(place);
  } finally {
    delete document.createElement;
  }
  const rows = term._core?._renderService?._renderer?.value?._rowFactory;
  if (rows) rows._document = term.options.documentOverride; // else colours beyond the 16 are left out
}

function sheetElement() {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const holder = el("span", { hidden: "" });
  Object.defineProperty(holder, "textContent", { set: (text) => sheet.replaceSync(text), get: () => "" });
  holder.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
    Element.prototype.remove.call(holder);
  };
  return holder;
}

function themeOf(place) {
  const { color, backgroundColor } = getComputedStyle(place);
  const [foreground, background] = [hexOf(color), hexOf(backgroundColor)];
  return { foreground, background, cursor: foreground, cursorAccent: background, selectionBackground: `${foreground}40` };
}

/** Return a colour of a stylesheet, in whatever form, as #rrggbb. */
function hexOf(colour) {
  const canvas = el("canvas", { width: "1", height: "1" }).getContext("2d");
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return `#${[...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}
