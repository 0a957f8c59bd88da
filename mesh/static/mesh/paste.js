// Offers to attach a long pasted text as a file. Loaded with the first long paste.

import { byId, el, icon, say, size } from "./dom.js";

/** `files()` resolves with the composer's row of files. */
export class LongPaste {
  constructor(text, files) {
    Object.assign(this, { text, files, pasted: null });
    this.slot = byId("paste");
    // The offer ends when the text is sent, or no longer stands in the box as it was pasted.
    text.addEventListener("input", () => this.pasted && !this.isBusy && this.place() < 0 && this.hide());
  }

  /** Offer it for `whole`, which stands from `at` on in the box; without its end if that didn't fit. */
  offer(whole, at) {
    const shown = this.text.value.slice(at, this.text.selectionEnd);
    if (!shown || !whole.startsWith(shown)) return;
    Object.assign(this, { pasted: { whole, shown, at }, isBusy: false });
    const lines = whole.split("\n").length;
    const what = lines > 1 ? `${lines} lines` : "one line";
    const act = this.button("Attach as a file", () => this.attach(act), icon("paperclip"));
    this.say(`You pasted ${what} (${size(new Blob([whole]).size)}).`, act);
  }

  /** Upload the text, and take it out of the box once the server has it. */
  async attach(button) {
    const { pasted } = this;
    Object.assign(button, { disabled: true });
    this.isBusy = true;
    const row = await this.files();
    const item = await row.attach(new File([pasted.whole], nameIn(row), { type: "text/plain" }));
    this.isBusy = false;
    if (this.pasted !== pasted) {
      if (item) row.remove(item); // the offer was closed meanwhile
      return;
    }
    if (item?.state !== "ready") {
      if (item) row.remove(item);
      this.say(`The text stays in the message. ${item?.refused?.message ?? "A message takes no more files."}`);
      return;
    }
    const at = this.place();
    this.pasted = null;
    if (at >= 0) this.replace(at, at + pasted.shown.length, "");
    this.say(`The pasted text is attached as ${item.name}.`, this.button("Put it back", () => this.undo(row, item, pasted.shown, at)));
    this.text.focus();
  }

  undo(row, item, shown, at) {
    this.hide();
    const to = Math.min(Math.max(at, 0), this.text.value.length);
    this.replace(to, to, shown);
    if (row.items.includes(item)) row.remove(item);
    this.text.focus();
  }

  /** Return where the pasted text stands; -1: it was changed. */
  place() {
    const { shown, at } = this.pasted;
    return this.text.value.startsWith(shown, at) ? at : this.text.value.indexOf(shown);
  }

  /** Edit the box as a person does: their own undo goes past it. */
  replace(from, to, text) {
    this.text.focus();
    this.text.setSelectionRange(from, to);
    if (!document.execCommand(text ? "insertText" : "delete", false, text)) this.text.setRangeText(text, from, to, "end");
    this.text.dispatchEvent(new Event("input", { bubbles: true }));
  }

  say(words, act = null) {
    const close = el("button", { class: "button button--bare button--icon", type: "button", "aria-label": "Close", title: "Close", onclick: () => this.close() }, icon("x"));
    this.slot.replaceChildren(el("span", { class: "paste__words" }, words), ...(act ? [act] : []), close);
    this.slot.hidden = false;
    say(act ? `${words} ${act.textContent} is offered above the message.` : words);
  }

  button(words, act, picture = "") {
    return el("button", { class: "button", type: "button", onclick: act }, picture, words);
  }

  close() {
    this.hide();
    this.text.focus();
  }

  hide() {
    this.pasted = null;
    this.slot.hidden = true;
    this.slot.replaceChildren();
  }
}

function nameIn({ items }) {
  const names = new Set(items.map(({ name }) => name));
  for (let n = 1; ; n += 1) {
    const name = n === 1 ? "pasted-text.txt" : `pasted-text-${n}.txt`;
    if (!names.has(name)) return name;
  }
}
