// The dialog that connects a desktop. Loaded when it is first asked for; what it shows comes
// from the server (templates/_partials/connect_state.html) and is kept fresh by the sidebar.

import { byId, copy, say } from "./dom.js";

const SHOWN = 1400; // milliseconds that a found desktop is seen before the dialog closes

export class Connect {
  constructor() {
    this.dialog = byId("connect");
    this.known = new Set();
    this.dialog.addEventListener("click", (event) => this.click(event));
    this.dialog.addEventListener("close", () => clearTimeout(this.closing));
  }

  open() {
    this.known = new Set(online().map((node) => node.id));
    if (!this.dialog.open) this.dialog.showModal();
    byId("connect-uv").parentElement.querySelector("button").focus();
  }

  /** The sidebar has painted what is new: a desktop that came online is what we waited for. */
  refreshed() {
    if (!this.dialog.open) return;
    const found = online().find((node) => !this.known.has(node.id));
    if (!found) return;
    say(`${found.dataset.online} is online.`);
    clearTimeout(this.closing);
    // Without any agent the person has something left to do there, and reads it here.
    if (!("lacksAgents" in found.dataset)) this.closing = setTimeout(() => this.dialog.close(), SHOWN);
  }

  click({ target }) {
    const button = target.closest("[data-copy]");
    if (button) copy(button, byId(button.dataset.copy).textContent);
    // A click on the dialog itself, and on nothing in it, is one beside it.
    if (target === this.dialog || target.closest("[data-dialog-close]")) this.dialog.close();
  }
}

const online = () => [...document.querySelectorAll("#connect-state [data-online]")];
