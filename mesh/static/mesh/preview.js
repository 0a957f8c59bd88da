// The preview beside the conversation: a frame on an origin of its own, and what is going on there.
// The frame's pages look again by themselves while the project starts; nothing of theirs is read here.

import { api, byId, el, icon, say } from "./dom.js";

// Phase of the sandbox → what the bar says; null: nothing.
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
// Phase → [what its card says, the step that is tried again].
const TROUBLES = {
  "clone-failed": ["The repository could not be cloned.", "clone"],
  "install-failed": ["The packages could not be installed.", "install"],
  "start-failed": ["The dev server did not start.", "start"],
  crashed: ["The dev server has stopped.", "start"],
};
const LOG_LINES = 400;
const PEEK = 5;

/** What the sandbox says of a phase, in the words of this page. */
function kindOf({ phase, inSeconds }) {
  return phase === "crashed" && inSeconds ? "restarting" : phase;
}

export class Preview {
  /** `base()` is the address of the open thread's sandbox. */
  constructor(base) {
    this.base = base;
    this.root = byId("preview");
    this.lines = [];
    this.root.addEventListener("click", (event) => this.onClick(event));
    this.root.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  get isOpen() {
    return !this.root.hidden;
  }

  toggle() {
    return this.isOpen ? this.close() : this.open();
  }

  async open() {
    this.root.hidden = false;
    document.body.classList.add("has-preview");
    byId("preview-open")?.setAttribute("aria-expanded", "true");
    this.root.querySelector("[data-preview=close]").focus();
    this.follow();
    await this.load();
  }

  close() {
    this.root.hidden = true;
    document.body.classList.remove("has-preview");
    this.events?.close();
    this.events = null;
    byId("preview-stage").replaceChildren(); // an app that nobody sees should not go on
    const opener = byId("preview-open");
    opener?.setAttribute("aria-expanded", "false");
    opener?.focus();
  }

  /** Show the app anew, through a fresh ticket. */
  async load() {
    this.card(null);
    try {
      const { url, origin } = await api("POST", `${this.base()}/preview`, {});
      const frame = el("iframe", {
        class: "preview__frame",
        title: "The project's own page",
        src: url,
        sandbox: "allow-scripts allow-same-origin allow-forms allow-popups allow-modals allow-downloads",
        referrerpolicy: "no-referrer",
      });
      byId("preview-stage").replaceChildren(frame);
      const tab = this.root.querySelector("[data-preview=window]");
      tab.href = origin;
      this.isRefused = false;
    } catch (refused) {
      this.isRefused = true; // no phase of the sandbox takes that back
      this.card({ title: refused.message, text: refused.hint, again: () => this.load() });
    }
  }

  follow() {
    this.events?.close();
    this.events = new EventSource(`${this.base()}/events`);
    const on = (name, take) => this.events.addEventListener(name, ({ data }) => take(JSON.parse(data)));
    on("phase", (phase) => this.onPhase(phase));
    on("lifecycle", ({ state }) => this.onPhase(state && { ...state, kind: kindOf(state) }));
    on("log", ({ data }) => this.onLog(data));
    on("reload", () => this.load());
    on("gone", () => this.phase("The sandbox is gone"));
  }

  onPhase(given) {
    const phase = typeof given === "string" ? { kind: given } : (given ?? {});
    if (phase.kind === "failed") {
      this.phase("Not available");
      this.events?.close(); // it would ask again and again; "Try again" does
      this.card({ title: phase.message, again: () => this.open() });
      return;
    }
    const trouble = TROUBLES[phase.kind];
    this.root.dataset.phase = phase.kind ?? "";
    if (trouble) {
      const [title, step] = trouble;
      this.phase(title);
      this.card({ title, text: phase.reason, again: () => this.again(step) });
    } else {
      this.phase(WORDS[phase.kind] ?? "");
      if (!this.isRefused) this.card(null);
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
    log.querySelector("summary").textContent = `Log · ${this.lines.at(-1).slice(0, 120)}`;
    log.querySelector("pre").textContent = this.lines.join("\n");
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

  /** Show what is wrong and what can be done, with the log's last lines; null: nothing is. */
  card(trouble) {
    const place = byId("preview-card");
    place.hidden = !trouble;
    if (!trouble) return place.replaceChildren();
    const again = el("button", { class: "button", type: "button" }, icon("rotate-cw"), "Try again");
    again.addEventListener("click", trouble.again);
    const peek = this.lines.slice(-PEEK).join("\n");
    return place.replaceChildren(
      el("h3", {}, trouble.title),
      ...(trouble.text ? [el("p", {}, trouble.text)] : []),
      ...(peek ? [el("pre", { class: "preview__peek" }, peek)] : []),
      again,
    );
  }

  onClick(event) {
    const asked = event.target.closest("[data-preview]")?.dataset.preview;
    if (asked === "close") this.close();
    if (asked === "reload") this.load();
    if (asked === "window") {
      event.preventDefault();
      this.openTab();
    }
  }

  /** A tab needs a ticket of its own; where the cookie is partitioned, it has none yet. */
  async openTab() {
    const tab = window.open("", "_blank");
    try {
      const { url } = await api("POST", `${this.base()}/preview`, {});
      if (tab) {
        tab.opener = null; // the app must not lead this page elsewhere
        tab.location = url;
      }
    } catch {
      tab?.close();
    }
  }
}
