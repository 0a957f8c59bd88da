// The message box: draft, growing, send or stop, approval level; and the popover that chooses
// agent, tier and machine (templates/_partials/agents.html). One module, to save requests on a
// cold page. At the end: drafts and unsent messages, which the browser keeps.

import { asName, byId, el, icon, marked, morphChildren, pressed, read, readList, readable, readableText, remember, say, write } from "./dom.js";

export class Composer {
  /** `opened` resolves after `keepAs()` was called; `onSend(text, files)` sends the message;
      `onStop()` ends the run; `onLevel(level)` switches; `takes()` returns which kinds of file the
      agent accepts; they are uploaded to `filesUrl`. */
  constructor({ opened, filesUrl, onSend, onStop, onLevel, takes, levels }) {
    Object.assign(this, { opened, filesUrl, onSend, onStop, takes, levels, draftKey: null, busy: false, files: null });
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
      if (pressed(event) !== "Enter") return;
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
      if (types.includes("text/plain")) return this.pasted(event.clipboardData.getData("text/plain").replace(/\r\n?/g, "\n"));
      if (!files.length) return;
      event.preventDefault();
      this.attach([...files]);
    });
    for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) addEventListener(kind, (event) => this.dragged(event));
    this.level.addEventListener("change", () => {
      remember("mesh_level", this.level.value);
      onLevel(this.level.value);
      this.explainLevel();
    });
  }

  act() {
    const text = this.text.value.trim();
    const trouble = this.files?.trouble();
    if (trouble) say(trouble);
    if (this.isEmpty() || trouble) return;
    this.write("");
    this.paste?.hide();
    this.onSend(text, this.files?.take() ?? []);
  }

  /** Put a message back into the box, and keep the text that is already there. */
  giveBack(text, files = []) {
    this.write([text, this.text.value].filter((value) => value.trim()).join("\n\n"));
    if (files.length) this.withFiles((row) => row.giveBack(files));
    this.text.focus();
  }

  /** Offer to attach a long text as a file; it is pasted in any case. */
  async pasted(text) {
    if (!isLong(text) || this.takes().takes?.includes("text") === false) return;
    const at = this.text.selectionStart;
    const { LongPaste } = await import("./paste.js");
    this.paste ??= new LongPaste(this.text, () => new Promise((resolve) => this.withFiles(resolve)));
    this.paste.offer(text, at);
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
    // A button that is switched off loses the focus: the next key would go nowhere.
    if (stopping && document.activeElement === this.stop) this.text.focus();
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

  /** Say before the person sends what their agent has, or lacks, at the level. */
  explainLevel() {
    const { missing, notes } = this.levels();
    for (const option of this.level.options) {
      option.disabled = Boolean(missing(option.value));
      option.title = missing(option.value);
    }
    const { value } = this.level;
    const words = missing(value) ? `${missing(value)} Choose another level, or another agent.` : notes(value);
    const line = byId("level-note");
    if (line.textContent === words) return;
    line.hidden = !words;
    line.replaceChildren(...(words ? [icon("triangle-alert"), el("span", {}, words)] : []));
  }

  notice(...content) {
    byId("notice").hidden = !content.length;
    byId("notice").replaceChildren(...content);
  }
}

const isLong = (text) => text.split("\n").length > 20 || new Blob([text]).size > 4000;

const growsItself = CSS.supports("field-sizing", "content");

function grow(text) {
  if (growsItself) return;
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

export const offlineNotice = (machine) =>
  el("span", {}, icon("wifi-off"), el("span", {}, el("b", {}, asName(machine.name), " is offline. "), "This chat runs there. Your messages are sent when it is back."));

// The choice of agent, tier and machine

/** Return the list of efforts of an agent; null if it has none. */
const effortOf = (input) => input.closest("fieldset").querySelector(".effort__select");

/** Return the choice as the server reads it: agent and tier, with model and effort. */
function wholeChoice() {
  const input = picked("choice");
  const effort = input && effortOf(input)?.value;
  if (!effort) return input?.value;
  return `${input.value}${input.value.includes("?") ? "&" : "?"}${new URLSearchParams({ effort })}`;
}

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
      if (pressed(event) !== "Enter" || !event.target.matches("[type=radio]")) return;
      event.preventDefault();
      byId("agent-menu").hidePopover();
    });
    if (picked("choice")) this.fit(picked("choice"));
    document.addEventListener("toggle", place, true);
  }

  /** Return the person's choice, {harness, tier, model, effort, isLocal}; null if there is nothing to
      choose. */
  choice() {
    const input = picked("choice");
    if (!input) return null;
    const [named, fine] = input.value.split("?");
    // A harness's name may contain a colon ("acp:gemini"); a tier's never does.
    const at = named.lastIndexOf(":");
    const model = new URLSearchParams(fine).get("model") ?? "";
    return { harness: named.slice(0, at), tier: named.slice(at + 1), model, effort: effortOf(input)?.value ?? "", isLocal: "local" in input.dataset };
  }

  /** Return the kinds of file that the agent accepts, and its title; {takes: null} without an agent. */
  takes() {
    const { takes, title } = picked("choice")?.dataset ?? {};
    return { takes: takes === undefined ? null : takes.split(" ").filter(Boolean), title: readableText(title ?? "The agent") };
  }

  /** Return what the agent lacks, and what to know of it, at an approval level: functions of the level. */
  levels() {
    const of = (kind) => (level) => picked("choice")?.getAttribute(`data-${kind}-${level}`) ?? "";
    return { missing: of("missing"), notes: of("note") };
  }

  /** Return the chosen machine's id; null if there is no choice: the server knows the only one. */
  machine() {
    return picked("machine")?.value ?? null;
  }

  /** Return the query parameters with which the page requests fresh rows. */
  query() {
    const choices = { choice: wholeChoice(), machine: this.machine() };
    return Object.entries(choices).filter(([, value]) => value);
  }

  keep() {
    if (picked("choice")) remember("mesh_choice", wholeChoice());
  }

  change(input) {
    if (input.name === "machine") {
      remember("mesh_machine", input.value);
      return this.onMachine();
    }
    const isEffort = input.matches(".effort__select");
    if (input.name !== "choice" && !isEffort) return null;
    this.fit(picked("choice"));
    remember("mesh_choice", wholeChoice());
    this.paint(picked("choice"));
    return this.onChoice?.(this.choice());
  }

  /** Offer only the efforts that the chosen model has. */
  fit(input) {
    const select = effortOf(input);
    if (!select) return;
    const known = JSON.parse(input.dataset.efforts);
    for (const option of select.options) option.hidden = option.disabled = option.value !== "" && !known.includes(option.value);
    if (select.selectedOptions[0]?.disabled) select.value = "";
    select.closest(".effort").hidden = !known.length;
  }

  paint(input) {
    const { title, label, icon: picture } = input.dataset;
    const pill = byId("agent-pill");
    const select = effortOf(input);
    const words = readable([title, label, select?.value && select.selectedOptions[0].textContent].filter(Boolean).join(" · "));
    pill.classList.toggle("pill--local", "local" in input.dataset);
    pill.classList.remove("pill--off");
    pill.querySelector("use").setAttribute("href", `#i-${picture}`);
    pill.querySelector(".pill__words").replaceChildren(...marked(words));
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
    if (picked("choice")) this.fit(picked("choice"));
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
