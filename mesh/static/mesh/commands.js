// The menu of the agent's own commands, which opens above the message box when a message begins with
// "/". Loaded with the first such message. What is none of them is words, so the menu closes.

import { el, pressed, say } from "./dom.js";

export class Commands {
  /** `load()` returns the commands of the chosen agent, [{name, description, hint}]. */
  constructor({ text, load }) {
    Object.assign(this, { text, load, commands: null, found: [], active: 0, isDismissed: false });
    this.list = el("ul", { class: "commands", id: "commands", role: "listbox", "aria-label": "Commands of the agent", hidden: true });
    text.closest("form").append(this.list);
    // Before the composer's own listeners: Enter chooses here instead of sending.
    text.form.addEventListener("keydown", (event) => event.target === text && this.key(event), true);
    text.addEventListener("input", () => this.changed());
    text.addEventListener("blur", () => this.close());
    this.list.addEventListener("pointerdown", (event) => event.preventDefault()); // the box keeps the focus
    this.list.addEventListener("click", ({ target }) => {
      const row = target.closest("[role=option]");
      if (row) this.choose(this.found[[...this.list.children].indexOf(row)]);
    });
    this.changed();
  }

  /** The agent offers others now, or another agent was chosen. */
  forget() {
    this.commands = null;
  }

  async changed() {
    const { value } = this.text;
    if (!value.startsWith("/")) {
      this.isDismissed = false;
      this.commands = null; // asked again with the next one
      return this.close();
    }
    this.commands ??= this.load().catch(() => []);
    const commands = await this.commands;
    if (value === this.text.value) this.show(this.isDismissed ? [] : matching(commands, this.typed()));
    return null;
  }

  /** Return what stands before the caret. */
  typed() {
    return this.text.value.slice(1, this.text.selectionStart);
  }

  show(found) {
    this.found = found;
    if (!found.length) return this.close();
    this.list.replaceChildren(...found.map(row));
    if (this.list.hidden) say(`${found.length} ${found.length === 1 ? "command" : "commands"} of the agent. Choose with the arrow keys.`);
    this.list.hidden = false;
    this.text.setAttribute("role", "combobox");
    this.text.setAttribute("aria-autocomplete", "list");
    this.text.setAttribute("aria-controls", this.list.id);
    this.text.setAttribute("aria-expanded", "true");
    return this.select(0);
  }

  close() {
    if (this.list.hidden) return;
    this.list.hidden = true;
    for (const name of ["role", "aria-autocomplete", "aria-controls", "aria-expanded", "aria-activedescendant"]) this.text.removeAttribute(name);
  }

  select(index) {
    this.active = (index + this.found.length) % this.found.length;
    [...this.list.children].forEach((node, at) => node.setAttribute("aria-selected", String(at === this.active)));
    const node = this.list.children[this.active];
    this.text.setAttribute("aria-activedescendant", node.id);
    node.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const key = pressed(event);
    if (this.list.hidden || !key || event.ctrlKey || event.altKey || event.metaKey) return;
    const chosen = this.found[this.active];
    if (key === "ArrowDown" || key === "ArrowUp") this.select(this.active + (key === "ArrowDown" ? 1 : -1));
    else if (key === "Escape") this.dismiss();
    // Typed in full, it is sent.
    else if (key === "Enter" && chosen.name === this.typed().trim()) return void this.close();
    else if (key === "Enter" || (key === "Tab" && !event.shiftKey)) this.choose(chosen);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  dismiss() {
    this.isDismissed = true;
    this.close();
  }

  /** Write the command into the box; what stood behind the caret becomes its argument. */
  choose({ name }) {
    const rest = this.text.value.slice(this.text.selectionStart).trimStart();
    this.text.value = `/${name} ${rest}`;
    this.text.setSelectionRange(name.length + 2, name.length + 2);
    this.text.dispatchEvent(new Event("input", { bubbles: true }));
    this.close();
    this.text.focus();
  }
}

/** Return the commands that `typed` may become: those that begin with it first. */
function matching(commands, typed) {
  if (typed.includes("\n")) return [];
  const words = typed.toLowerCase();
  const begin = commands.filter(({ name }) => name.toLowerCase().startsWith(words));
  const inside = /\s/.test(words) ? [] : commands.filter(({ name }) => name.toLowerCase().includes(words, 1));
  return [...begin, ...inside.filter((each) => !begin.includes(each))];
}

function row({ name, description, hint }, index) {
  return el(
    "li",
    { class: "slash", role: "option", id: `command-${index}`, "aria-selected": "false" },
    el("span", { class: "slash__name" }, `/${name}`, hint ? el("span", { class: "slash__hint" }, ` ${hint}`) : null),
    description ? el("span", { class: "slash__description" }, description) : null,
  );
}
