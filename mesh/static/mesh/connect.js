// The dialog that connects a desktop. Loaded when it is first opened; its content comes from the
// server (templates/_partials/connect_state.html), and the sidebar keeps it up to date.

import { byId, copy, say, visibleText } from "./dom.js";

const SHOWN = 1400; // milliseconds that a found desktop is shown before the dialog closes

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

  /** Called when the sidebar was repainted: closes the dialog if the desktop has come online. */
  refreshed() {
    if (!this.dialog.open) return;
    const found = online().find((node) => !this.known.has(node.id));
    if (!found) return;
    say(`${visibleText(found.dataset.online)} is online.`);
    clearTimeout(this.closing);
    // If no agent is installed, the dialog stays open and says what to do.
    if (!("lacksAgents" in found.dataset)) this.closing = setTimeout(() => this.dialog.close(), SHOWN);
  }

  click({ target }) {
    const button = target.closest("[data-copy]");
    if (button) copy(button, byId(button.dataset.copy).textContent);
    // A click whose target is the dialog element itself is a click on its backdrop.
    if (target === this.dialog || target.closest("[data-dialog-close]")) this.dialog.close();
  }
}

const online = () => [...document.querySelectorAll("#connect-state [data-online]")];
