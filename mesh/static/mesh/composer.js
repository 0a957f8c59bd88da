// The message box: draft, growing, send or stop, approval level; and the popover that chooses
// agent, tier and machine (templates/_partials/agents.html). One module, to save requests on a
// cold page. At the end: drafts and unsent messages, which the browser keeps.

import { byId, el, icon, morphChildren, read, readList, remember, say, write } from "./dom.js";

export class Composer {
  /** `opened` resolves after `keepAs()` was called; `onSend(text, files)` sends the message;
      `onStop()` ends the run; `onLevel(level)` switches; `takes()` returns which kinds of file the
      agent accepts; they are uploaded to `filesUrl`. */
  constructor({ opened, filesUrl, onSend, onStop, onLevel, takes }) {
    Object.assign(this, { opened, filesUrl, onSend, onStop, takes, draftKey: null, busy: false, files: null });
    this.form = byId("composer");
    this.text = byId("text");
    this.button = byId("send");
    this.stop = byId("stop");
    this.level = byId("level");
    this.listen(onLevel);
    this.changed(); // a person may type before this script is loaded
    // If the person already types elsewhere, such as in the search, the focus stays there.
    if (matchMedia("(pointer: fine)").matches && document.activeElement === document.body) this.text.focus({ preventScroll: true });
  }

  /** Store the draft under `key` from now on; a draft that is stored there is put before it. */
  keepAs(key) {
    this.draftKey = key;
    const kept = read(localStorage, key);
    const isThere = !kept || this.text.value === kept; // the browser may have restored it
    if (isThere) this.changed();
    else this.write([kept, this.text.value].filter((value) => value.trim()).join("\n\n"));
    if (read(localStorage, `${key}:files`)) this.withFiles(() => {});
  }

  listen(onLevel) {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.act();
    });
    this.text.addEventListener("input", () => this.changed());
    this.text.addEventListener("keydown", (event) => {
      // While an input method composes, Enter belongs to it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.act();
    });
    this.form.addEventListener("click", ({ target }) => {
      if (target === this.form || target.classList.contains("composer__row")) this.text.focus();
    });
    this.stop.addEventListener("click", () => this.onStop());
    byId("attach").addEventListener("click", () => byId("attach-input").click());
    byId("attach-input").addEventListener("change", ({ target }) => {
      this.attach([...target.files]);
      target.value = "";
    });
    this.text.addEventListener("paste", (event) => {
      const { files, types } = event.clipboardData;
      // A copied table also comes as a picture: then the text is meant.
      if (!files.length || types.includes("text/plain")) return;
      event.preventDefault();
      this.attach([...files]);
    });
    for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) addEventListener(kind, (event) => this.dragged(event));
    this.level.addEventListener("change", () => {
      remember("mesh_level", this.level.value);
      onLevel(this.level.value);
    });
  }

  act() {
    const text = this.text.value.trim();
    const trouble = this.files?.trouble();
    if (trouble) say(trouble);
    if (this.isEmpty() || trouble) return;
    this.write("");
    this.onSend(text, this.files?.take() ?? []);
  }

  /** Put a message back into the box, and keep the text that is already there. */
  giveBack(text, files = []) {
    this.write([text, this.text.value].filter((value) => value.trim()).join("\n\n"));
    if (files.length) this.withFiles((row) => row.giveBack(files));
    this.text.focus();
  }

  attach(files) {
    if (files.length) this.withFiles((row) => row.add(files));
  }

  /** Call `act` with the row of files, whose module is loaded with the first file. */
  async withFiles(act) {
    const { Attachments } = await import("./attach.js");
    await this.opened;
    this.files ??= new Attachments({ url: this.filesUrl, key: `${this.draftKey}:files`, onChange: () => this.paintButtons() });
    this.judge();
    act(this.files);
  }

  /** Check the files again: another agent may accept other types. */
  judge() {
    const { takes, title } = this.takes();
    this.files?.judge(takes, title);
    const none = takes?.length === 0;
    byId("attach").disabled = none;
    byId("attach").title = none ? `${title} takes no files` : "Attach pictures or text files";
    byId("drop").lastChild.textContent = none ? `${title} takes no files. Choose another agent first.` : takes?.includes("image") === false ? "Drop text files here" : "Drop pictures or text files here";
  }

  dragged(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // or the browser would open the file in the place of the page
    byId("drop").hidden = event.type === "drop" || (event.type === "dragleave" && !event.relatedTarget);
    if (event.type === "drop" && !byId("attach").disabled) this.attach([...event.dataTransfer.files]);
  }

  isEmpty() {
    return !this.text.value.trim() && !this.files?.items.length;
  }

  write(text) {
    this.text.value = text;
    this.changed();
  }

  changed() {
    const text = this.text.value;
    grow(this.text);
    this.paintButtons();
    if (this.draftKey) write(localStorage, this.draftKey, text);
  }

  /** The new chat has become a thread: from now on the draft belongs to it. */
  moveDraft(key) {
    const text = this.text.value;
    this.write("");
    this.draftKey = key;
    this.write(text);
    this.files?.moveDraft(`${key}:files`);
  }

  setBusy(busy, stopping = false) {
    Object.assign(this, { busy });
    this.stop.disabled = stopping;
    this.stop.title = stopping ? "Stopping…" : "Stop the agent";
    this.paintButtons();
  }

  /** While an agent works, it can be stopped, and a written message can be queued. */
  paintButtons() {
    const isEmpty = this.isEmpty();
    // A button that disappears must not take the focus with it.
    if (this.busy && isEmpty && document.activeElement === this.button) this.text.focus();
    if (!this.busy && document.activeElement === this.stop) this.text.focus();
    this.stop.hidden = !this.busy;
    this.button.hidden = this.busy && isEmpty;
    this.button.disabled = isEmpty || Boolean(this.files?.trouble());
  }

  /** Show that the level applies from the next message on: the current run has another one. */
  levelHint(isLater) {
    byId("level-later").hidden = !isLater;
  }

  notice(...content) {
    byId("notice").hidden = !content.length;
    byId("notice").replaceChildren(...content);
  }
}

const growsItself = CSS.supports("field-sizing", "content");

function grow(text) {
  if (growsItself) return;
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

export const offlineNotice = (machine) =>
  el("span", {}, icon("wifi-off"), el("span", {}, el("b", {}, `${machine.name} is offline. `), "This chat runs there. Your messages are sent when it is back."));

// The choice of agent, tier and machine

const picked = (name) => byId("agents").querySelector(`[name=${name}]:checked`);

export class Agents {
  /** `onMachine()` is called when another machine is picked, which may have other agents;
      `onChoice(choice)` when another agent or tier is. */
  constructor({ onMachine, onChoice }) {
    Object.assign(this, { onMachine, onChoice });
    const agents = byId("agents");
    agents.addEventListener("change", ({ target }) => this.change(target));
    agents.addEventListener("click", ({ target }) => target.closest(".tier") && this.closeSoon(target));
    agents.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.target.matches("[type=radio]")) return;
      event.preventDefault();
      byId("agent-menu").hidePopover();
    });
    document.addEventListener("toggle", place, true);
  }

  /** Return the person's choice, {harness, tier, isLocal}; null if there is nothing to choose. */
  choice() {
    const input = picked("choice");
    if (!input) return null;
    // A harness's name may contain a colon ("acp:gemini"); a tier's never does.
    const at = input.value.lastIndexOf(":");
    return { harness: input.value.slice(0, at), tier: input.value.slice(at + 1), isLocal: "local" in input.dataset };
  }

  /** Return the kinds of file that the agent accepts, and its title; {takes: null} without an agent. */
  takes() {
    const { takes, title } = picked("choice")?.dataset ?? {};
    return { takes: takes === undefined ? null : takes.split(" ").filter(Boolean), title: title ?? "The agent" };
  }

  /** Return the chosen machine's id; null if there is no choice: the server knows the only one. */
  machine() {
    return picked("machine")?.value ?? null;
  }

  /** Return the query parameters with which the page requests fresh rows. */
  query() {
    const choices = { choice: picked("choice")?.value, machine: this.machine() };
    return Object.entries(choices).filter(([, value]) => value);
  }

  keep() {
    if (picked("choice")) remember("mesh_choice", picked("choice").value);
  }

  change(input) {
    if (input.name === "machine") {
      remember("mesh_machine", input.value);
      return this.onMachine();
    }
    if (input.name !== "choice") return null;
    remember("mesh_choice", input.value);
    this.paint(input);
    return this.onChoice?.(this.choice());
  }

  paint(input) {
    const { title, label, icon: picture } = input.dataset;
    const pill = byId("agent-pill");
    const words = `${title} · ${label}`;
    pill.classList.toggle("pill--local", "local" in input.dataset);
    pill.classList.remove("pill--off");
    pill.querySelector("use").setAttribute("href", `#i-${picture}`);
    pill.querySelector(".pill__words").textContent = words;
    const where = input.closest("fieldset").querySelector(".agent__where")?.textContent.replace("· ", "") ?? "";
    pill.title = [words, where].filter(Boolean).join(" ");
    pill.setAttribute("aria-label", `Agent: ${pill.title}`);
    say(`${pill.title} answers from now on.`);
  }

  /** A click on a row chooses it and closes the menu. The arrow keys "click" the radio button, which
      doesn't close it; nor does a click on a machine, whose agents are shown next. */
  closeSoon(target) {
    if (target.closest("fieldset").disabled || target.matches("input") || target.closest(".tier--machine")) return;
    requestAnimationFrame(() => byId("agent-menu")?.hidePopover());
  }

  /** Show fresh rows. The focus stays where it is, and the row under the pointer does not move. */
  refresh(fresh) {
    const menu = byId("agent-menu");
    const isOpen = menu?.matches(":popover-open");
    const anchor = isOpen ? (menu.querySelector(".tier:hover") ?? menu.querySelector(".tier:focus-within")) : null;
    const before = anchor?.getBoundingClientRect().top;
    const style = menu?.style.cssText;
    morphChildren(byId("agents"), fresh);
    if (!isOpen) return;
    byId("agent-menu").style.cssText = style; // this page's script has placed it
    if (anchor?.isConnected) byId("agent-menu").scrollTop += anchor.getBoundingClientRect().top - before;
  }
}

/** Put a popover above the button that opened it; on a phone the stylesheet makes it a sheet. */
function place(event) {
  const menu = event.target;
  if (!menu.matches?.("[popover][data-above]") || event.newState !== "open") return;
  const button = document.querySelector(`[popovertarget="${menu.id}"]`);
  menu.style.cssText = "";
  const isSheet = matchMedia("(max-width: 700px)").matches;
  if (!isSheet && button) {
    const box = button.getBoundingClientRect();
    const left = menu.dataset.above === "end" ? box.right - menu.offsetWidth : box.left;
    menu.style.positionArea = "none"; // without script the stylesheet anchors it
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - menu.offsetWidth - 8))}px`;
    menu.style.bottom = `${innerHeight - box.top + 8}px`;
    menu.style.maxHeight = `${box.top - 16}px`;
  }
  const row = menu.querySelector("[name=choice]:checked:enabled") ?? menu.querySelector("input:checked:enabled");
  row?.focus();
}

// Drafts and unsent messages belong to one tab: no other tab shows or sends them. Those of a closed
// tab go to the next page of the same chat.

const RELOAD_TIME = 5_000; // ms that a tab may take to reload
const CRASHED_AFTER = 24 * 3600 * 1000; // ms: a tab that crashes does not record that it leaves

/** Return this tab's id, which survives a reload. A duplicated tab, which starts with a copy of the
    session storage, gets an id of its own. */
export async function openTab() {
  let id = read(sessionStorage, "mesh:tab");
  if (!id || !(await hold(id))) {
    id = newTabId();
    write(sessionStorage, "mesh:tab", id);
    await hold(id);
  }
  return id;
}

/** Return an id that no tab has. */
export const newTabId = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Move to this tab what closed tabs left of a chat: all unsent messages, and one draft if this tab
    has none. `base(kind)` returns the prefix of each kind's keys. */
export async function inherit(tab, base) {
  for (const other of tabsOf(base)) {
    if (other === tab) continue;
    await ifClosed(other, () => {
      const sent = new Outbox(keyOf(base("outbox"), other));
      const mine = new Outbox(keyOf(base("outbox"), tab));
      mine.keep([...sent.all(), ...mine.all()]);
      sent.keep([]);
      const [from, to] = [other, tab].map((id) => keyOf(base("draft"), id));
      if (["", ":files"].some((end) => read(localStorage, to + end))) return;
      for (const end of ["", ":files"]) {
        write(localStorage, to + end, read(localStorage, from + end));
        write(localStorage, from + end, null);
      }
    });
  }
}

/** Return the key of a tab. The keys of older versions contain no tab. */
export const keyOf = (base, tab) => (tab ? `${base}@${tab}` : base);

function tabsOf(base) {
  const tabs = new Set();
  try {
    for (const key of Object.keys(localStorage)) {
      for (const start of [base("draft"), base("outbox")]) {
        if (!key.startsWith(start)) continue;
        const found = /^(?:@([0-9a-f]+))?(?::files)?$/.exec(key.slice(start.length));
        if (found) tabs.add(found[1] ?? "");
      }
    }
  } catch {
    // As above.
  }
  return tabs;
}

// An open tab holds a lock of the browser's. Pages loaded over plain http have no locks: there, each
// tab records when it was last used, and when it is left.

const lockOf = (tab) => `mesh:tab:${tab}`;

/** Hold the tab's lock until the page closes; return whether it was free. */
async function hold(tab) {
  if (!navigator.locks) return note(tab);
  // This tab's previous page may hold it for a moment longer.
  const signal = AbortSignal.timeout(500);
  return new Promise((resolve) => {
    const held = () => {
      resolve(true);
      return new Promise(() => {});
    };
    navigator.locks.request(lockOf(tab), { signal }, held).catch(() => resolve(false));
  });
}

function note(tab) {
  const say = (left) => write(localStorage, lockOf(tab), JSON.stringify({ at: Date.now(), left }));
  say(false);
  addEventListener("input", () => say(false));
  addEventListener("pageshow", () => say(false));
  addEventListener("pagehide", () => say(true));
  return true;
}

async function ifClosed(tab, act) {
  if (navigator.locks) return navigator.locks.request(lockOf(tab), { ifAvailable: true }, (lock) => lock && act());
  const { at = 0, left = true } = JSON.parse(read(localStorage, lockOf(tab)) || "{}");
  if (Date.now() - at < (left ? RELOAD_TIME : CRASHED_AFTER)) return null;
  act();
  return write(localStorage, lockOf(tab), null);
}

/** Messages that the server has not confirmed: they outlive the page, as a draft does. */
export class Outbox {
  constructor(key = null) {
    this.key = key;
  }

  /** Return [{id, text, files}], the oldest first. */
  all() {
    return readList(this.key);
  }

  put(id, text, files) {
    this.keep([...this.all().filter((message) => message.id !== id), { id, text, files }]);
  }

  drop(id) {
    this.keep(this.all().filter((message) => message.id !== id));
  }

  /** The new chat has become a thread: its unsent messages belong to that. */
  move(key) {
    const waiting = this.all();
    this.keep([]);
    this.key = key;
    this.keep(waiting);
  }

  keep(messages) {
    write(localStorage, this.key, messages.length ? JSON.stringify(messages) : null);
  }
}
