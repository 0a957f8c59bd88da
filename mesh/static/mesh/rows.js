// Actions on a chat in the list: rename, and delete with undo. Loaded when a menu is first
// opened.

import { api, asWords, byId, el, pressed, readableText, say } from "./dom.js";

const PATIENCE = 6000; // milliseconds in which a deletion can be undone

export class Rows {
  /** `base` is the API's URL; `gone` holds the ids that the list hides. */
  constructor({ base, gone, onChanged, onDeleted }) {
    Object.assign(this, { base, gone, onChanged, onDeleted, last: null });
    this.menu = byId("row-menu");
    this.menu.addEventListener("click", ({ target }) => this.act(target.closest("[data-act]")?.dataset.act));
    addEventListener("pagehide", () => this.last?.finish());
  }

  /** Open the menu next to a row's button. */
  open(button) {
    this.id = button.dataset.row;
    const box = button.getBoundingClientRect();
    this.menu.showPopover();
    this.menu.style.positionArea = "none";
    this.menu.style.left = `${Math.max(8, Math.min(box.left, innerWidth - this.menu.offsetWidth - 8))}px`;
    this.menu.style.top = `${Math.min(box.bottom + 4, innerHeight - this.menu.offsetHeight - 8)}px`;
    this.menu.querySelector("button").focus();
  }

  act(name) {
    if (!name) return;
    this.menu.hidePopover();
    const row = byId(`row-${this.id}`);
    if (name === "rename") this.rename(row, this.id);
    else this.remove(row, this.id);
  }

  rename(row, id) {
    const link = row.querySelector(".row__link");
    const before = row.dataset.name;
    const show = (title) => row.querySelector(".row__title").replaceChildren(asWords(title));
    const input = el("input", { class: "input row__rename", dir: "auto", "aria-label": "New name", maxlength: "200" });
    input.value = before;
    link.hidden = true;
    row.prepend(input);
    input.focus();
    input.select();
    let isDone = false; // removing the input blurs it, which calls done() again
    const done = async (title) => {
      if (isDone) return;
      isDone = true;
      input.remove();
      link.hidden = false;
      link.focus();
      if (!title || title === before) return;
      show((row.dataset.name = title));
      try {
        await api("PATCH", `${this.base}/threads/${id}`, { title });
      } catch (refused) {
        show((row.dataset.name = before));
        say(`Not renamed. ${refused.message}`);
      }
      this.onChanged();
    };
    input.addEventListener("keydown", (event) => {
      const key = pressed(event);
      if (key === "Enter") done(input.value.trim());
      if (key !== "Escape") return;
      event.stopPropagation();
      done(null);
    });
    input.addEventListener("blur", () => done(input.value.trim()));
  }

  /** Hide the row immediately, and delete the chat unless that is undone in time. */
  remove(row, id) {
    this.last?.finish();
    const title = row.dataset.name;
    this.gone.add(id);
    this.onChanged();
    const toast = byId("toast");
    const undo = el("button", { class: "button", type: "button" }, "Undo");
    const finish = () => {
      this.forget(timer);
      fetch(`${this.base}/threads/${id}`, { method: "DELETE", keepalive: true, headers: headers() })
        .then((answer) => (answer.ok || answer.status === 404 ? this.onDeleted(id) : Promise.reject(answer)))
        .catch(() => {
          this.gone.delete(id);
          this.onChanged();
          say(`“${readableText(title)}” could not be deleted.`);
        });
    };
    const timer = setTimeout(finish, PATIENCE);
    this.last = { finish };
    undo.addEventListener("click", () => {
      this.forget(timer);
      this.gone.delete(id);
      this.onChanged();
      byId(`row-${id}`)?.querySelector("a").focus();
    });
    toast.replaceChildren(el("span", {}, "“", asWords(title), "” was deleted."), undo);
    toast.hidden = false;
    undo.focus();
  }

  forget(timer) {
    clearTimeout(timer);
    this.last = null;
    byId("toast").hidden = true;
  }
}

const headers = () => ({ "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value });
