// Queued messages above the composer: they can be edited, moved, withdrawn, or sent now.
// Loaded with the first queued message.

import { filesOf, textOf } from "./chat.js";
import { api, asName, asWords, byId, el, icon, pressed, say } from "./dom.js";

const UNDO_FOR = 10_000;

/** `url(runId)` is where a waiting message is changed; `onUndo(message, before)` sends it again. */
export class Queue {
  constructor({ url, onUndo, onLost }) {
    Object.assign(this, { url, onUndo, onLost });
    this.slot = byId("queue");
    this.editing = null; // {id, box}: the message that is being edited
    this.taken = null; // {message, before, timer}: the message that was just withdrawn
    this.refused = new Map(); // the error of each message
    this.slot.addEventListener("keydown", (event) => this.walk(event));
  }

  /** Show `items` ({message, runId}); `steer` says whether one may be sent now. */
  paint(items, { steer, harness }) {
    this.items = items;
    if (this.editing && !items.some(({ message }) => message.id === this.editing.id)) this.lose();
    const facts = items.map(({ message, runId }) => [message.id, runId, textOf(message), message.steering, this.refused.get(message.id)]);
    const key = JSON.stringify([facts, steer, harness, this.editing?.id, Boolean(this.taken)]);
    if (key === this.key) return;
    this.key = key;
    this.options = { steer, harness };
    const focus = this.focused();
    this.slot.replaceChildren(...(items.length || this.taken ? [this.card(items)] : []));
    if (this.editing) this.editing.box.focus();
    else if (focus) this.focus(focus);
  }

  again() {
    this.key = null;
    this.paint(this.items, this.options);
  }

  card(items) {
    const count = items.length === 1 ? "1 message waits" : `${items.length} messages wait`;
    const when = this.options.steer ? "They are sent one by one when the answer is done, or right away with “Send now”." : "They are sent one by one when the answer is done.";
    return el(
      "section",
      { class: "queue", "aria-label": "Waiting messages" },
      items.length ? el("p", { class: "queue__head" }, icon("clock"), el("b", {}, count), el("span", { class: "card__hint" }, when)) : null,
      el("ol", { class: "queue__list" }, ...items.map((item, at) => this.row(item, at))),
      this.taken ? this.undoRow() : null,
    );
  }

  row({ message, runId }, at) {
    const refused = this.refused.get(message.id);
    const isEdited = this.editing?.id === message.id;
    const row = el(
      "li",
      { class: "queue__item", tabindex: "-1", "data-id": message.id },
      isEdited ? this.editor(message, runId) : contentOf(message),
      isEdited ? null : this.tools(message, runId, at),
      refused ? el("p", { class: "card__refused", role: "alert" }, refused) : null,
      !refused && message.steering === "refused" ? el("p", { class: "card__hint" }, "The agent could not read it during its work. It is sent when the answer is done.") : null,
    );
    return row;
  }

  tools(message, runId, at) {
    const isOnItsWay = ["asked", "taken"].includes(message.steering);
    if (isOnItsWay) return el("p", { class: "queue__state", role: "status" }, el("span", { class: "pulse", "aria-hidden": "true" }), "Handing it to the agent…");
    if (!runId) return el("p", { class: "queue__state" }, "Sending…");
    const name = short(wordsOf(message));
    const button = (what, picture, label, act, props = {}) =>
      el("button", { class: "button button--bare button--icon", type: "button", "data-act": what, "aria-label": `${label}: ${name}`, title: label, onclick: act, ...props }, icon(picture));
    return el(
      "div",
      { class: "queue__tools" },
      this.options.steer
        ? el("button", { class: "button button--bare queue__now", type: "button", "data-act": "steer", title: "The agent reads it in the middle of its work", onclick: () => this.steer(message, runId) }, icon("arrow-up"), "Send now")
        : null,
      button("edit", "pencil", "Edit", () => this.edit(message)),
      button("up", "chevron-up", "Move up", () => this.move(at, -1), { disabled: at === 0 }),
      button("down", "chevron-down", "Move down", () => this.move(at, 1), { disabled: at === this.items.length - 1 }),
      button("take", "x", "Take back", () => this.take(message, runId, at)),
    );
  }

  // Editing in place

  edit(message) {
    const box = el("textarea", { class: "queue__box", dir: "auto", rows: "1", "aria-label": "Edit the message", maxlength: "1000000" });
    box.value = textOf(message);
    this.editing = { id: message.id, box };
    this.again();
    box.setSelectionRange(box.value.length, box.value.length);
  }

  editor(message, runId) {
    const { box } = this.editing;
    const save = () => this.save(message, runId);
    box.onkeydown = (event) => {
      const key = pressed(event);
      if (key === "Escape") this.leave();
      else if (key === "Enter") save();
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    return el(
      "div",
      { class: "queue__editor" },
      box,
      el(
        "div",
        { class: "card__actions" },
        el("button", { class: "button button--bare", type: "button", onclick: () => this.leave() }, "Cancel"),
        el("button", { class: "button", type: "button", onclick: save }, "Save"),
      ),
    );
  }

  leave() {
    const { id } = this.editing;
    this.editing = null;
    this.again();
    this.focus({ id });
  }

  /** It was sent while it was being edited: keep the edited text. */
  lose() {
    const text = this.editing.box.value;
    this.editing = null;
    this.onLost(text);
    say("The message was sent before your change was saved. Your text is in the message box.");
  }

  async save(message, runId) {
    const text = this.editing.box.value.trim();
    const others = message.parts.filter(({ type }) => type !== "text");
    if (!text && !others.length) return;
    const parts = [...(text ? [{ type: "text", text }] : []), ...others];
    await this.ask(message, "PATCH", this.url(runId), { parts }, (answer) => {
      message.parts = answer.parts;
      this.editing = null;
    });
    this.focus({ id: message.id });
  }

  // Moving, steering, withdrawing

  async move(at, by) {
    const { message, runId } = this.items[at] ?? {};
    const other = this.items[at + by];
    if (!runId || !other?.runId) return;
    const before = by < 0 ? other.runId : (this.items[at + 2]?.runId ?? null);
    await this.ask(message, "PATCH", this.url(runId), { before });
    say(`Moved ${by < 0 ? "up" : "down"}.`);
  }

  steer(message, runId) {
    return this.ask(message, "POST", `${this.url(runId)}/steer`);
  }

  async take(message, runId, at) {
    const before = this.items[at + 1]?.runId ?? null;
    await this.ask(message, "DELETE", this.url(runId), undefined, () => {
      clearTimeout(this.taken?.timer);
      this.taken = { message, before, timer: setTimeout(() => this.forget(), UNDO_FOR) };
    });
    this.slot.querySelector(".queue__undo button")?.focus();
  }

  undoRow() {
    const undo = () => {
      const { message, before } = this.taken;
      this.forget();
      this.onUndo(message, before);
    };
    return el("p", { class: "queue__undo", role: "status" }, "Taken back: ", asWords(short(wordsOf(this.taken.message))), el("button", { class: "button button--bare", type: "button", onclick: undo }, "Undo"));
  }

  forget() {
    clearTimeout(this.taken?.timer);
    this.taken = null;
    this.again();
  }

  async ask(message, method, path, body, then = () => {}) {
    this.refused.delete(message.id);
    try {
      then(await api(method, path, body));
    } catch (refused) {
      this.refused.set(message.id, `${refused.message} ${refused.hint}`);
    }
    this.again();
  }

  // The keyboard

  walk(event) {
    const row = event.target.closest(".queue__item");
    if (!row || this.editing) return;
    const at = this.items.findIndex(({ message }) => message.id === row.dataset.id);
    const by = { ArrowUp: -1, ArrowDown: 1 }[pressed(event)];
    if (by && event.altKey) this.move(at, by);
    else if (by) this.focus({ id: this.items[at + by]?.message.id });
    else return;
    event.preventDefault();
  }

  focused() {
    const row = this.slot.contains(document.activeElement) ? document.activeElement.closest(".queue__item") : null;
    return row && { id: row.dataset.id, act: document.activeElement.dataset.act };
  }

  focus({ id, act }) {
    const row = [...this.slot.querySelectorAll(".queue__item")].find((each) => each.dataset.id === id);
    const button = act && row?.querySelector(`[data-act="${act}"]:enabled`);
    (button ?? row ?? (id ? byId("text") : null))?.focus();
  }
}

function contentOf(message) {
  const text = textOf(message);
  const files = filesOf(message).map(({ filename }) => el("span", { class: "chip" }, icon("paperclip"), asName(filename ?? "file")));
  return el("div", { class: "queue__said" }, text ? el("p", { class: "queue__text" }, text) : null, files.length ? el("p", { class: "queue__files" }, ...files) : null);
}

const wordsOf = (message) => textOf(message) || filesOf(message).map(({ filename }) => filename).join(", ");

const short = (text) => (text.length > 60 ? `${text.slice(0, 57)}…` : text);
