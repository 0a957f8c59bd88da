// Where a message is written: draft, growing, send or stop, level.
// And what is kept of it until the server has it.

import { byId, el, icon, remember } from "./dom.js";

export class Composer {
  /** `onSend(text)` takes the text over; `onStop()` ends the run; `onLevel(level)` switches. */
  constructor({ draftKey, onSend, onStop, onLevel }) {
    Object.assign(this, { draftKey, onSend, onStop, busy: false });
    this.form = byId("composer");
    this.text = byId("text");
    this.button = byId("send");
    this.stop = byId("stop");
    this.level = byId("level");
    this.listen(onLevel);
    this.write(this.draft());
    if (matchMedia("(pointer: fine)").matches) this.text.focus({ preventScroll: true });
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
    this.level.addEventListener("change", () => {
      remember("mesh_level", this.level.value);
      onLevel(this.level.value);
    });
  }

  act() {
    const text = this.text.value.trim();
    if (!text) return;
    this.write("");
    this.onSend(text);
  }

  /** Put text into the box, as when a message comes back; what stands there is kept. */
  giveBack(text) {
    this.write([text, this.text.value].filter((value) => value.trim()).join("\n\n"));
    this.text.focus();
  }

  write(text) {
    this.text.value = text;
    this.changed();
  }

  changed() {
    const text = this.text.value;
    grow(this.text);
    this.paintButtons();
    try {
      if (text) localStorage.setItem(this.draftKey, text);
      else localStorage.removeItem(this.draftKey);
    } catch {
      // A browser that keeps nothing: the text is still in the box.
    }
  }

  draft() {
    try {
      return localStorage.getItem(this.draftKey) ?? "";
    } catch {
      return "";
    }
  }

  /** The new chat has become a thread: what is typed from now on is its draft. */
  moveDraft(key) {
    const text = this.text.value;
    this.write("");
    this.draftKey = key;
    this.write(text);
  }

  setBusy(busy, stopping = false) {
    Object.assign(this, { busy });
    this.stop.disabled = stopping;
    this.stop.title = stopping ? "Stopping…" : "Stop the agent";
    this.paintButtons();
  }

  /** While an agent works one can stop it, and what is written can be sent behind it. */
  paintButtons() {
    const isEmpty = !this.text.value.trim();
    // The button that goes must not take the focus with it.
    if (this.busy && isEmpty && document.activeElement === this.button) this.text.focus();
    if (!this.busy && document.activeElement === this.stop) this.text.focus();
    this.stop.hidden = !this.busy;
    this.button.hidden = this.busy && isEmpty;
    this.button.disabled = isEmpty;
  }

  /** Say that the level counts from the next message on: what works was begun at another one. */
  levelHint(isLater) {
    byId("level-later").hidden = !isLater;
  }

  notice(...content) {
    byId("notice").hidden = !content.length;
    byId("notice").replaceChildren(...content);
  }
}

/** What was sent and no server is known to have: it outlives the page, as a draft does. */
export class Outbox {
  constructor(key) {
    this.key = key;
  }

  /** Return [{id, text}], the oldest first. */
  all() {
    try {
      return JSON.parse(localStorage.getItem(this.key)) ?? [];
    } catch {
      return []; // a browser that keeps nothing: the message is still on the page
    }
  }

  put(id, text) {
    this.keep([...this.all().filter((message) => message.id !== id), { id, text }]);
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
    try {
      if (messages.length) localStorage.setItem(this.key, JSON.stringify(messages));
      else localStorage.removeItem(this.key);
    } catch {
      // As above.
    }
  }
}

const growsItself = CSS.supports("field-sizing", "content");

function grow(text) {
  if (growsItself) return;
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

export const offlineNotice = (machine) =>
  el("span", {}, icon("wifi-off"), el("span", {}, el("b", {}, `${machine.name} is offline. `), "This chat runs there: what you send goes out when it is back."));
