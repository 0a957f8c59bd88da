// The work panel beside the conversation: its tabs, width and keys, and what is told while the machine
// can't be asked. A tab's own code is loaded when the tab is first chosen; docs/panel.md says how one is
// mounted. On a narrow page the panel is a sheet over the conversation.

import { asWords, byId, el, icon, pressed, read, visibleText, write } from "./dom.js";
import { SandboxEvents } from "./panel_events.js";
import { addIcons } from "./panel_icons.js";
import { TABS } from "./panel_tabs.js";

const LEAST = 320; // px of the panel, and of the conversation beside it
const STEP = 32; // px of an arrow key on the border
const MOST_KEPT = 200_000; // characters of one thing that is kept for when the machine is away
const CHATS_KEPT = 20;
const NARROW = matchMedia("(max-width: 1000px)");
// Refusals that say that the sandbox can't be asked, not that it refused.
const AWAY = new Set(["no_sandbox_runner", "daemon_unreachable", "handle_gone", "unreachable", "sandbox_down", "link_offline", "no_answer", "stream_cut"]);

export class Panel {
  /** `facts()` returns {thread, machine, isWorking} as the page knows them. */
  constructor({ org, facts }) {
    Object.assign(this, { org, facts, pages: new Map(), current: null, before: {} });
    this.root = byId("panel");
    this.mayChange = !("readsOnly" in this.root.dataset);
    this.events = new SandboxEvents(() => `${this.base}/events`);
    this.kept = { get: (name) => this.getKept(name), put: (name, value) => this.putKept(name, value) };
    this.choice = this.stored();
    this.build();
    NARROW.addEventListener("change", () => this.isOpen && this.fit());
  }

  // For the tabs

  get threadId() {
    return this.facts().thread.id;
  }

  get base() {
    return `/api/${this.org}/decopilot/threads/${this.threadId}/sandbox`;
  }

  thread() {
    return this.facts().thread;
  }

  machine() {
    return this.facts().machine;
  }

  isWorking() {
    return this.facts().isWorking;
  }

  has(id) {
    return TABS.some((tab) => tab.id === id);
  }

  on(name, take) {
    return this.events.on(name, take);
  }

  openFile(path, line = null) {
    return this.show("files", { path, line });
  }

  /** Return whether a refusal says that the sandbox can't be reached. */
  away(refused) {
    return AWAY.has(refused?.code) || [502, 503, 504].includes(refused?.status);
  }

  badge(id, text) {
    const place = byId(`panel-tab-${id}`)?.querySelector(".panel__badge");
    if (place) place.textContent = text;
  }

  /** Say above a tab since when its page is old, and why; null for `at` and no `refused`: it is not. */
  known(id, at, refused = null) {
    const page = this.pages.get(id);
    if (!page) return;
    page.known = at || refused ? { at, refused } : null;
    this.paintKnown();
  }

  getKept(name) {
    try {
      const found = JSON.parse(read(localStorage, `mesh:known:${this.threadId}:${name}`));
      return found && Number.isFinite(found.at) ? found : null;
    } catch {
      return null; // nothing, or not ours
    }
  }

  putKept(name, value) {
    const text = JSON.stringify({ at: Date.now(), value });
    const key = `mesh:known:${this.threadId}:${name}`;
    write(localStorage, key, text.length <= MOST_KEPT ? text : "");
    this.forgetOldChats();
    return text.length <= MOST_KEPT;
  }

  /** Keep what was known of the chats that were looked at last, so that storage doesn't fill up. */
  forgetOldChats() {
    const order = [this.threadId, ...storedList("mesh:known").filter((id) => id !== this.threadId)];
    write(localStorage, "mesh:known", JSON.stringify(order.slice(0, CHATS_KEPT)));
    const old = order.slice(CHATS_KEPT);
    if (!old.length) return;
    for (const key of Object.keys(localStorage))
      if (old.some((id) => key.startsWith(`mesh:known:${id}:`) || key === `mesh:panel:${id}`)) localStorage.removeItem(key);
  }

  // For the page

  get isOpen() {
    return !this.root.hidden;
  }

  async toggle() {
    if (!this.isOpen) return this.show(this.choice.tab);
    if (!this.root.contains(document.activeElement)) return byId(`panel-tab-${this.current}`)?.focus();
    return this.close();
  }

  /** Open the panel as it was left, without taking the focus. */
  restore() {
    return this.show(this.choice.tab, undefined, { takesFocus: false });
  }

  /** Open the panel at a tab; `target` is for the tab. */
  async show(id, target, { takesFocus = true } = {}) {
    const tab = TABS.find((each) => each.id === id) ?? TABS[0];
    await this.styled();
    const isOpening = !this.isOpen;
    if (isOpening) this.open();
    await this.choose(tab.id, target, { isOpening });
    if (takesFocus && isOpening && !this.root.contains(document.activeElement)) byId(`panel-tab-${tab.id}`).focus();
  }

  /** The page's facts may have changed: tell those that did. */
  told() {
    const { thread, machine, isWorking } = this.facts();
    const now = { thread, machine: machine && JSON.stringify([machine.name, machine.state, machine.cause]), isWorking };
    const { before } = this;
    this.before = now;
    if (now.thread !== before.thread) this.events.tell("thread", thread);
    if (now.isWorking !== before.isWorking) this.events.tell("run", { isWorking });
    if (now.machine === before.machine) return;
    this.events.tell("machine", machine);
    if (this.isOpen && machine?.state === "online" && !this.events.isOpen) this.events.open();
    this.paintKnown();
  }

  // The frame

  build() {
    addIcons();
    const border = el("div", { class: "panel__border", role: "separator", "aria-orientation": "vertical", "aria-label": "Width of the panel", tabindex: "0" });
    border.addEventListener("pointerdown", (event) => this.drag(event));
    border.addEventListener("keydown", (event) => this.widen(event));
    const tabs = el("div", { class: "panel__tabs", role: "tablist", "aria-label": "Work" }, ...TABS.map((tab) => this.tabOf(tab)));
    tabs.addEventListener("click", ({ target }) => {
      const chosen = target.closest("[role=tab]")?.dataset.tab;
      if (chosen) this.choose(chosen);
    });
    tabs.addEventListener("keydown", (event) => this.walk(event));
    const close = el("button", { class: "button button--bare button--icon", type: "button", "aria-label": "Close the panel" }, icon("x"));
    close.addEventListener("click", () => this.close());
    this.note = el("div", { class: "panel__known", role: "status", hidden: "" });
    this.root.replaceChildren(border, el("header", { class: "panel__bar" }, tabs, close), this.note);
    this.root.addEventListener("keydown", (event) => {
      // A menu, a dialog or a field of a tab takes its own Escape first.
      if (pressed(event) !== "Escape" || event.defaultPrevented) return;
      event.preventDefault();
      this.close();
    });
  }

  tabOf({ id, title, icon: name }) {
    return el(
      "button",
      { class: "panel__tab", type: "button", role: "tab", id: `panel-tab-${id}`, "aria-selected": "false", "aria-controls": `panel-page-${id}`, tabindex: "-1", "data-tab": id },
      icon(name),
      el("span", {}, title),
      el("span", { class: "panel__badge" }),
    );
  }

  /** Wait for the panel's own stylesheet, which the page doesn't load. */
  styled() {
    this.sheet ??= new Promise((done) => {
      const link = el("link", { rel: "stylesheet", href: this.root.dataset.style });
      link.addEventListener("load", done);
      link.addEventListener("error", done); // ugly is better than nothing
      document.head.append(link);
    });
    return this.sheet;
  }

  open() {
    this.root.hidden = false;
    document.body.classList.add("has-panel");
    byId("panel-open").setAttribute("aria-expanded", "true");
    this.fit();
    this.store({ isOpen: true });
    this.events.open();
  }

  close() {
    const hadFocus = this.root.contains(document.activeElement) || NARROW.matches;
    const page = this.pages.get(this.current);
    page?.part?.hide?.();
    for (const { part } of this.pages.values()) part?.close?.();
    this.events.close();
    this.root.hidden = true;
    document.body.classList.remove("has-panel");
    this.fit();
    this.store({ isOpen: false });
    const opener = byId("panel-open");
    opener.setAttribute("aria-expanded", "false");
    if (hadFocus) opener.focus();
  }

  async choose(id, target, { isOpening = false } = {}) {
    const isSame = this.current === id;
    if (!isSame && !isOpening) this.pages.get(this.current)?.part?.hide?.();
    this.current = id;
    this.store({ tab: id });
    for (const { id: each } of TABS) {
      const tab = byId(`panel-tab-${each}`);
      tab.setAttribute("aria-selected", String(each === id));
      tab.tabIndex = each === id ? 0 : -1;
      if (each === id) tab.scrollIntoView?.({ block: "nearest", inline: "nearest" });
    }
    const page = this.page(id);
    for (const [each, { place }] of this.pages) place.hidden = each !== id;
    this.paintKnown();
    if (isSame && !isOpening && target === undefined) return;
    await (page.mounting ??= this.mount(id, page));
    // Another tab may have been chosen, or the panel closed, while this one was loaded.
    if (this.isOpen && this.current === id) page.part?.show?.(target);
  }

  page(id) {
    const found = this.pages.get(id);
    if (found) return found;
    const place = el("div", { class: "panel__page", role: "tabpanel", id: `panel-page-${id}`, "aria-labelledby": `panel-tab-${id}`, tabindex: "0", "data-page": id });
    this.root.append(place);
    const made = { place, part: null, mounting: null, known: null };
    this.pages.set(id, made);
    return made;
  }

  async mount(id, page) {
    page.place.replaceChildren();
    try {
      const { mount } = await TABS.find((tab) => tab.id === id).load();
      page.part = await mount(page.place, this);
    } catch (refused) {
      page.mounting = null;
      if (!refused.code) throw refused; // the page offers to load itself anew, or it is our mistake
      page.place.replaceChildren(this.trouble(refused, () => this.choose(id, null, { isOpening: true })));
    }
  }

  /** Return a card that says what was refused, with a button to try again. */
  trouble(refused, again) {
    const button = el("button", { class: "button", type: "button" }, icon("rotate-cw"), "Try again");
    button.addEventListener("click", again);
    return el("div", { class: "panel__card" }, el("h3", {}, asWords(refused.message)), ...(refused.hint ? [el("p", {}, asWords(refused.hint))] : []), button);
  }

  paintKnown() {
    const page = this.pages.get(this.current);
    const machine = this.machine();
    const isAway = machine?.state === "offline";
    const { at, refused } = page?.known ?? {};
    const words = page?.known ? oldWords(at, refused, machine) : isAway ? `${offlineWords(machine)} What is shown here may be old.` : "";
    this.note.hidden = !words;
    if (this.note.dataset.words === words) return;
    this.note.dataset.words = words;
    this.note.replaceChildren(...(words ? [icon(isAway ? "wifi-off" : "clock"), el("span", {}, words)] : []));
  }

  walk(event) {
    const at = TABS.findIndex(({ id }) => id === this.current);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[pressed(event)];
    if (to === undefined) return;
    event.preventDefault();
    const { id } = TABS.at(to % TABS.length);
    this.choose(id);
    byId(`panel-tab-${id}`).focus();
  }

  // Its width

  /** Apply the width; as a sheet, keep the conversation behind it out of reach. */
  fit() {
    const isSheet = this.isOpen && NARROW.matches;
    for (const id of ["main", "sidebar"]) byId(id).inert = isSheet;
    if (!this.isOpen || isSheet) return;
    const most = this.most();
    const width = Math.round(Math.min(Math.max(this.choice.width || most * 0.55, LEAST), most));
    document.body.style.setProperty("--panel", `${width}px`);
    const border = this.root.querySelector(".panel__border");
    for (const [name, value] of Object.entries({ min: LEAST, max: Math.round(most), now: width })) border.setAttribute(`aria-value${name}`, value);
  }

  most() {
    return Math.max(LEAST, innerWidth - byId("sidebar").getBoundingClientRect().width - LEAST);
  }

  drag(event) {
    if (event.button) return;
    event.preventDefault();
    const border = event.currentTarget;
    border.setPointerCapture(event.pointerId);
    document.body.classList.add("is-sizing");
    const right = this.root.getBoundingClientRect().right;
    const move = ({ clientX }) => this.size(right - clientX);
    const end = () => {
      document.body.classList.remove("is-sizing");
      border.removeEventListener("pointermove", move);
      this.store({});
    };
    border.addEventListener("pointermove", move);
    border.addEventListener("lostpointercapture", end, { once: true });
  }

  widen(event) {
    const now = this.root.getBoundingClientRect().width;
    const to = { ArrowLeft: now + STEP, ArrowRight: now - STEP, Home: LEAST, End: this.most() }[pressed(event)];
    if (to === undefined) return;
    event.preventDefault();
    this.size(to);
    this.store({});
  }

  size(width) {
    this.choice.width = Math.round(Math.min(Math.max(width, LEAST), this.most()));
    this.fit();
  }

  // What it remembers

  stored() {
    const own = parsed(read(localStorage, `mesh:panel:${this.threadId}`));
    const last = parsed(read(localStorage, "mesh:panel")); // of whichever chat was sized last
    return { tab: own.tab ?? TABS[0].id, width: Number(own.width ?? last.width) || 0, isOpen: false };
  }

  store(facts) {
    Object.assign(this.choice, facts);
    write(localStorage, `mesh:panel:${this.threadId}`, JSON.stringify(this.choice));
    if (this.choice.width) write(localStorage, "mesh:panel", JSON.stringify({ width: this.choice.width }));
  }
}

function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

function storedList(key) {
  const found = parsed(read(localStorage, key));
  return Array.isArray(found) ? found : [];
}

// Cause of a machine's absence → words, as its chip has them.
const CAUSES = {
  disconnected: "reconnecting",
  network: "asleep or no network",
  stopped: "deco_link was stopped",
  server_restarted: "reconnecting",
  too_old: "needs an update",
  unreachable: "can't be reached",
  asleep: "asleep",
  signed_out: "signed out",
};

function offlineWords({ name, cause }) {
  return `${visibleText(name)} is offline${CAUSES[cause] ? ` (${CAUSES[cause]})` : ""}.`;
}

/** Return since when a page is old, in words, and why it is not newer. */
function oldWords(at, refused, machine) {
  const isOffline = machine?.state === "offline";
  const why = isOffline ? offlineWords(machine) : (refused?.message ?? "The sandbox can't be asked now.");
  if (!at) return `Nothing is known yet. ${why}`;
  const when = new Date(at);
  const isToday = when.toDateString() === new Date().toDateString();
  const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return `This was known ${isToday ? `at ${time}` : `on ${when.toLocaleDateString()} at ${time}`}. ${why}`;
}
