// The message box: draft, growing, send or stop, approval level; and the popover that chooses
// agent, tier and machine (templates/_partials/agents.html). One module, to save requests on a
// cold page. At the end: what the browser keeps of a message until the server has it.

import { byId, el, icon, morphChildren, read, readList, remember, say, write } from "./dom.js";

export class Composer {
  /** `opened`: when it is done, `keepAs` was called; `onSend(text, files)` takes the message over;
      `onStop()` ends the run; `onLevel(level)` switches; `takes()` says which files go with a
      message, and `filesUrl` is where they are kept. */
  constructor({ opened, filesUrl, onSend, onStop, onLevel, takes }) {
    Object.assign(this, { opened, filesUrl, onSend, onStop, takes, draftKey: null, busy: false, files: null });
    this.form = byId("composer");
    this.text = byId("text");
    this.button = byId("send");
    this.stop = byId("stop");
    this.level = byId("level");
    this.listen(onLevel);
    this.changed(); // a person may write before this script is there
    // Who is writing elsewhere by now, as in the search, stays there.
    if (matchMedia("(pointer: fine)").matches && document.activeElement === document.body) this.text.focus({ preventScroll: true });
  }

  /** Keep what is written under this key from now on; what was kept there stands before it. */
  keepAs(key) {
    this.draftKey = key;
    const kept = read(localStorage, key);
    const isThere = !kept || this.text.value === kept; // a browser may have put it back itself
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

// Who answers

const picked = (name) => byId("agents").querySelector(`[name=${name}]:checked`);

export class Agents {
  /** `onMachine()`: another machine was picked, so what can run there is to be asked anew;
      `onChoice(choice)`: another agent or tier. */
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

  /** What the person picked: {harness, tier, isLocal}, or null when there is nothing to pick. */
  choice() {
    const input = picked("choice");
    if (!input) return null;
    // The harness may have a colon in its name ("acp:gemini"), a tier never has.
    const at = input.value.lastIndexOf(":");
    return { harness: input.value.slice(0, at), tier: input.value.slice(at + 1), isLocal: "local" in input.dataset };
  }

  /** Which sorts of files go with a message now: {takes: null} when there is nobody to ask. */
  takes() {
    const { takes, title } = picked("choice")?.dataset ?? {};
    return { takes: takes === undefined ? null : takes.split(" ").filter(Boolean), title: title ?? "The agent" };
  }

  /** The machine's id where there are several, else null: the server knows the only one. */
  machine() {
    return picked("machine")?.value ?? null;
  }

  /** What an open page tells the server when it asks for fresh rows. */
  query() {
    const given = { choice: picked("choice")?.value, machine: this.machine() };
    return Object.entries(given).filter(([, value]) => value);
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

  /** A click on a row chooses and closes; the arrow keys "click" the button itself, and don't.
      A machine is picked for what is on it, so the rows stay to be seen. */
  closeSoon(target) {
    if (target.closest("fieldset").disabled || target.matches("input") || target.closest(".tier--machine")) return;
    requestAnimationFrame(() => byId("agent-menu")?.hidePopover());
  }

  /** Show fresh rows. Focus stays where it is, and the row under the hand does not move. */
  refresh(fresh) {
    const menu = byId("agent-menu");
    const isOpen = menu?.matches(":popover-open");
    const held = isOpen ? (menu.querySelector(".tier:hover") ?? menu.querySelector(".tier:focus-within")) : null;
    const before = held?.getBoundingClientRect().top;
    const style = menu?.style.cssText;
    morphChildren(byId("agents"), fresh);
    if (!isOpen) return;
    byId("agent-menu").style.cssText = style; // where it stands is this page's own doing
    if (held?.isConnected) byId("agent-menu").scrollTop += held.getBoundingClientRect().top - before;
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

// What is typed, and what is sent and no server is known to have, is kept for one tab: no other
// one shows it, or sends it. What a closed tab has left goes to the next page of the same chat.

const LEFT_FOR = 5_000; // ms: a tab that reloads is away for a moment
const SILENT_FOR = 24 * 3600 * 1000; // ms: a tab that crashed says no goodbye

/** Return this tab's id, the same after a reload. A copy of a tab, which the browser makes with
    everything the tab remembers, gets one of its own. */
export async function openTab() {
  let id = read(sessionStorage, "mesh:tab");
  if (!id || !(await hold(id))) {
    id = newName();
    write(sessionStorage, "mesh:tab", id);
    await hold(id);
  }
  return id;
}

/** Return a name that no tab has. */
export const newName = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Move to this tab what closed tabs have left of a chat; `base(kind)` begins the keys of each
    kind. All that was sent is taken, and one draft, if this tab has none. */
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

/** Return the key of a tab. Those that older versions wrote name no tab. */
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

// Whether a tab is there: it holds a lock of the browser's. Pages that came by plain http have
// no locks; there each tab notes when it was last there, and that it leaves.

const lockOf = (tab) => `mesh:tab:${tab}`;

/** Hold the tab's lock as long as the page lives; return whether it could be had. */
async function hold(tab) {
  if (!navigator.locks) return note(tab);
  // The page before in this tab may still have it, for a moment.
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
  if (Date.now() - at < (left ? LEFT_FOR : SILENT_FOR)) return null;
  act();
  return write(localStorage, lockOf(tab), null);
}

/** What was sent and no server is known to have: it outlives the page, as a draft does. */
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

  /** The new chat has become a thread: what waits is for that. */
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
