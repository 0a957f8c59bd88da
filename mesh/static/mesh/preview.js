// The work panel's tab Preview: a frame on an origin of its own, and the sandbox's status.
// The frame's pages reload on their own while the project starts; this script reads nothing in them.

import { api, asWords, byId, el, icon, say } from "./dom.js";
import { paintRows, rowsOf, textOfRows } from "./terminal.js";

// Phase of the sandbox → the text in the bar; null: none.
const WORDS = {
  claiming: "Reserving sandbox…",
  cloning: "Cloning your repo…",
  "checking-out": "Checking out the branch…",
  installing: "Installing packages…",
  starting: "Starting your preview…",
  restarting: "Stopped; starting it again…",
  running: null,
  ready: null,
};
// Phase → [title of its card, the step to retry].
const TROUBLES = {
  "clone-failed": ["The repository could not be cloned.", "clone"],
  "install-failed": ["The packages could not be installed.", "install"],
  "start-failed": ["The dev server did not start.", "start"],
  crashed: ["The dev server has stopped.", "start"],
  unseen: ["Nothing answers yet.", "start"],
};
const OPEN = "Everybody on your network can open this dev server: it listens on all addresses, not only on this machine's own.";
const LOG_LINES = 400;
const PEEK = 5;

/** Return this page's name for a phase that the sandbox reported. */
function kindOf({ phase, inSeconds }) {
  return phase === "crashed" && inSeconds ? "restarting" : phase;
}

/** Return the nodes for lines of the log, with colours where the programs wrote sequences for them. */
const painted = (lines) => paintRows(rowsOf(lines.join("\n")));

/** Mount the tab. The app runs while the panel is open, also behind another tab. */
export function mount(place, panel) {
  const preview = new Preview(place, panel);
  return { show: () => preview.show(), close: () => preview.close() };
}

function bar() {
  const button = (asked, name, label, tag = "button", more = { type: "button" }) =>
    el(tag, { class: "button button--bare button--icon", "data-preview": asked, "aria-label": label, ...more }, icon(name));
  return el(
    "header",
    { class: "preview__bar" },
    el("p", { class: "preview__phase", id: "preview-phase", role: "status" }),
    el("select", { class: "preview__port", id: "preview-port", "aria-label": "Port that the preview shows", hidden: "" }),
    button("reload", "rotate-cw", "Reload the preview"),
    button("window", "globe", "Open the preview in a new tab", "a", { target: "_blank", rel: "noreferrer" }),
  );
}

class Preview {
  constructor(place, panel) {
    Object.assign(this, { panel, lines: [], isShown: false });
    this.root = el(
      "section",
      { class: "preview", id: "preview", "aria-label": "Preview" },
      bar(),
      el("p", { class: "preview__note", id: "preview-note", role: "status", hidden: "" }),
      el("div", { class: "preview__stage", id: "preview-stage" }),
      el("div", { class: "preview__card", id: "preview-card", hidden: "" }),
      el("details", { class: "preview__log", id: "preview-log", hidden: "" }, el("summary", {}, "Log"), el("pre", { tabindex: "0" })),
    );
    place.append(this.root);
    this.root.addEventListener("click", (event) => this.onClick(event));
    byId("preview-port").addEventListener("change", ({ target }) => this.choosePort(Number(target.value)));
    const on = (name, take) => panel.on(name, (data) => this.isShown && take(data));
    on("phase", (phase) => this.onPhase(phase));
    on("lifecycle", ({ state }) => this.onPhase(state && { ...state, kind: kindOf(state) }));
    on("reload", () => this.load());
    on("gone", () => this.phase("The sandbox is gone"));
    panel.on("snapshot", () => (this.lines = []));
    panel.on("log", ({ data }) => this.onLog(data));
  }

  base() {
    return this.panel.base;
  }

  async show() {
    if (this.isShown) return;
    this.isShown = true;
    const { last } = this.panel.events;
    if (last.has("phase")) this.onPhase(last.get("phase"));
    const state = last.get("lifecycle")?.state;
    if (state) this.onPhase({ ...state, kind: kindOf(state) });
    if (!this.isFailed) await this.load();
  }

  close() {
    this.isShown = false;
    this.isFailed = false;
    this.path = undefined;
    byId("preview-stage").replaceChildren(); // a hidden app should not keep running
  }

  /** Load the app again with a new ticket. */
  async load() {
    this.card(null);
    try {
      const { url, origin } = await api("POST", `${this.base()}/preview`, {});
      const frame = el("iframe", {
        class: "preview__frame",
        title: "The project's own page",
        src: this.at(url),
        sandbox: "allow-scripts allow-same-origin allow-forms allow-popups allow-modals allow-downloads",
        referrerpolicy: "no-referrer",
      });
      byId("preview-stage").replaceChildren(frame);
      const tab = this.root.querySelector("[data-preview=window]");
      tab.href = origin;
      this.isRefused = false;
    } catch (refused) {
      this.isRefused = true; // a later phase of the sandbox doesn't clear this
      this.card({ title: refused.message, text: refused.hint, again: () => this.load() });
    }
  }

  /** Return the entry's address for the page that the dev server announced, with its token if any. */
  at(url) {
    return this.path ? `${url}&path=${encodeURIComponent(this.path)}` : url;
  }

  /** Ask the sandbox again, after it could not be reached. */
  follow() {
    this.isFailed = false;
    this.panel.events.open();
    return this.load();
  }

  onPhase(reported) {
    const phase = typeof reported === "string" ? { kind: reported } : (reported ?? {});
    if (phase.kind === "failed") {
      this.isFailed = true;
      this.phase("Not available");
      this.card({ title: phase.message, again: () => this.follow() });
      return;
    }
    this.isFailed = false;
    const trouble = TROUBLES[phase.kind];
    this.root.dataset.phase = phase.kind ?? "";
    if (phase.kind === "running") this.showPorts(phase);
    byId("preview-note").hidden = !phase.isOpen;
    byId("preview-note").textContent = phase.isOpen ? OPEN : "";
    if (phase.kind === "running" && phase.path !== this.path) {
      this.path = phase.path;
      this.load();
    }
    if (trouble) {
      const [title, step] = trouble;
      const { reason: text, hint, lastLines } = phase;
      this.phase(title);
      const fix = step === "start" ? this.fixOf(phase) : null;
      if (fix?.contains(document.activeElement)) return; // somebody writes there
      this.card({ title, text, hint, lines: lastLines, fix, again: () => this.again(step) });
    } else {
      this.phase(WORDS[phase.kind] ?? "");
      if (!this.isRefused) this.card(null);
    }
  }

  /** Offer the ports on which the project listens, if there are several. */
  showPorts({ port, ports = [] }) {
    const menu = byId("preview-port");
    menu.hidden = ports.length < 2;
    menu.replaceChildren(...ports.map((each) => el("option", { value: String(each) }, `Port ${each}`)));
    menu.value = String(port);
    this.port = port;
  }

  async choosePort(port) {
    try {
      await api("POST", `${this.base()}/port`, { port });
    } catch (refused) {
      byId("preview-port").value = String(this.port);
      this.phase(refused.message);
    }
  }

  phase(text) {
    const place = byId("preview-phase");
    if (place.textContent === text) return;
    place.textContent = text;
    if (text) say(text);
  }

  onLog(text) {
    this.lines.push(...String(text).split("\n").filter(Boolean));
    this.lines.splice(0, this.lines.length - LOG_LINES);
    const log = byId("preview-log");
    log.hidden = false;
    const newest = textOfRows(rowsOf(this.lines.at(-1)));
    log.querySelector("summary").replaceChildren("Log · ", asWords(newest.slice(0, 120)));
    log.querySelector("pre").replaceChildren(...painted(this.lines));
  }

  async again(step) {
    this.card(null);
    try {
      await api("POST", `${this.base()}/setup/${step}`, {});
      await this.load();
    } catch (refused) {
      this.card({ title: refused.message, text: refused.hint, again: () => this.again(step) });
    }
  }

  /** Return the form that writes the port or the command into mesh.toml; one for each failure. */
  fixOf({ kind, at }) {
    if (this.fix?.dataset.of === `${kind} ${at}`) return this.fix;
    const port = el("input", { class: "input", type: "number", min: "1", max: "65535", name: "port", placeholder: "3000" });
    const dev = el("input", { class: "input", name: "dev", maxlength: "2000", placeholder: "npm run dev", spellcheck: "false" });
    const problem = el("p", { class: "preview__problem", role: "alert" });
    const send = el("button", { class: "button", type: "submit", disabled: "" }, "Write into mesh.toml and start");
    const form = el(
      "form",
      { class: "preview__fix" },
      el("label", {}, "Port", port),
      el("label", {}, "Command", dev),
      send,
      problem,
    );
    form.dataset.of = `${kind} ${at}`;
    const refused = ({ message, hint }) => problem.replaceChildren(asWords([message, hint].filter(Boolean).join(" ")));
    let known;
    const read = async () => {
      known = await api("GET", `${this.base()}/settings`);
      port.value ||= known.port ?? "";
      dev.value ||= known.dev ?? "";
      send.disabled = false;
    };
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.replaceChildren();
      const body = { revision: known.revision };
      if (port.value) body.port = Number(port.value);
      if (dev.value.trim()) body.dev = dev.value.trim();
      try {
        await api("POST", `${this.base()}/settings`, body);
        document.activeElement?.blur();
        this.card(null);
        await this.load();
      } catch (why) {
        refused(why);
        read().catch(refused); // a file that has changed is seen before it is written
      }
    });
    read().catch(refused);
    this.fix = form;
    return form;
  }

  /** Show the problem and a retry button, with the last lines of the log; null hides the card. */
  card(trouble) {
    const place = byId("preview-card");
    place.hidden = !trouble;
    if (!trouble) return place.replaceChildren();
    const again = el("button", { class: "button", type: "button" }, icon("rotate-cw"), "Try again");
    again.addEventListener("click", trouble.again);
    const peek = (trouble.lines ?? this.lines).slice(-PEEK);
    return place.replaceChildren(
      el("h3", {}, asWords(trouble.title)),
      ...[trouble.text, trouble.hint].filter(Boolean).map((words) => el("p", {}, asWords(words))),
      ...(peek.length ? [el("pre", { class: "preview__peek" }, ...painted(peek))] : []),
      again,
      ...(trouble.fix ? [trouble.fix] : []),
    );
  }

  onClick(event) {
    const asked = event.target.closest("[data-preview]")?.dataset.preview;
    if (asked === "reload") this.load();
    if (asked === "window") {
      event.preventDefault();
      this.openTab();
    }
  }

  /** Open the app in a tab with a ticket of its own: a partitioned cookie is not sent there. */
  async openTab() {
    const tab = window.open("", "_blank");
    try {
      const { url } = await api("POST", `${this.base()}/preview`, {});
      if (tab) {
        tab.opener = null; // the app must not be able to navigate this page
        tab.location = this.at(url);
      }
    } catch {
      tab?.close();
    }
  }
}
