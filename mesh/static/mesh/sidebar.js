// The left column: kept fresh by what the server renders, searched, a sheet on the phone.
// With it the keys of the page and the theme.

import { byId, morphChildren, remember } from "./dom.js";

// What of the page a change of threads or machines may alter: templates/_partials/live.html.
const FRESH = ["threads", "machines", "thread-machine", "connect-hint", "connect-state", "welcome", "agents"];

export class Sidebar {
  /** `thread()` is the open one or null; `onRefreshed` and `onSignedOut` are told. */
  constructor({ org, agent, thread, agents, onRefreshed, onSignedOut, focusComposer }) {
    Object.assign(this, { org, agent, thread, agents, onRefreshed, onSignedOut, focusComposer });
    this.asked = this.shown = 0; // numbers of the newest refresh that was begun, and of the one shown
    this.gone = new Set(); // chats that were deleted a moment ago, and may be taken back
    this.search = byId("search");
    this.opener = document.querySelector('[data-open="sidebar"]');
    if (/Mac|iP/.test(navigator.platform)) byId("search-key").textContent = "⌘K";
    this.listen();
  }

  listen() {
    this.search.addEventListener("input", () => this.filter());
    this.search.addEventListener("keydown", (event) => this.walk(event));
    this.opener.addEventListener("click", () => this.open(true));
    for (const node of document.querySelectorAll('[data-close="sidebar"]')) {
      node.addEventListener("click", () => this.open(false));
    }
    addEventListener("keydown", (event) => this.key(event));
    byId("user-menu").addEventListener("change", ({ target }) => target.name === "theme" && paint(target.value));
  }

  /** Fetch once for whatever changes within a moment. */
  refreshSoon() {
    this.pending ??= setTimeout(() => this.refresh(), 200);
  }

  async refresh() {
    clearTimeout(this.pending);
    this.pending = null;
    const asked = this.query();
    // Answers may arrive out of order: an older one never replaces a newer one.
    const number = (this.asked += 1);
    const response = await fetch(`/${this.org}/live?${asked}`).catch(() => null);
    if (response?.redirected) return this.onSignedOut();
    const html = response?.ok ? await response.text().catch(() => null) : null;
    if (html === null || number < this.shown) return null;
    this.shown = number;
    const keepFocus = focusKeeper();
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const id of FRESH) {
      const found = fresh.getElementById(id);
      // A name that is being written is not taken from under the hand.
      if (id === "threads" && document.querySelector(".row__rename")) continue;
      if (found && id !== "agents") morphChildren(byId(id), found);
    }
    // What was picked while the answer was on its way is not taken back by it.
    if (this.query() === asked) this.agents.refresh(fresh.getElementById("agents"));
    else this.refreshSoon();
    this.filter();
    keepFocus();
    return this.onRefreshed();
  }

  /** What of this page the server has to know: the thread, and what is picked just now. */
  query() {
    const open = this.thread();
    const who = open ? ["thread", open.id] : ["agent", this.agent];
    return new URLSearchParams([who, ...this.agents.query()]).toString();
  }

  filter() {
    const wanted = this.search.value.trim().toLowerCase().split(/\s+/);
    let shown = 0;
    for (const group of document.querySelectorAll(".group")) {
      const rows = [...group.querySelectorAll(".row")];
      for (const row of rows) {
        row.hidden = this.gone.has(row.id.slice("row-".length)) || !wanted.every((word) => row.dataset.title.includes(word));
      }
      const left = rows.filter((row) => !row.hidden).length;
      group.hidden = left === 0;
      shown += left;
    }
    byId("no-match").hidden = shown > 0 || !this.search.value.trim();
  }

  walk(event) {
    const first = document.querySelector(".row:not([hidden]) .row__link");
    if (event.key === "Enter" && this.search.value.trim()) first?.click();
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    first?.focus();
  }

  get isSheet() {
    return getComputedStyle(this.opener).display !== "none";
  }

  open(open) {
    document.body.classList.toggle("is-listing", open);
    this.opener.setAttribute("aria-expanded", String(open));
    if (open) byId("sidebar").querySelector(".sidebar__close").focus();
    else if (this.isSheet && byId("sidebar").contains(document.activeElement)) this.opener.focus();
  }

  key(event) {
    const mod = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (mod && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (this.isSheet) this.open(true);
      this.search.focus();
      this.search.select();
    } else if (mod && event.key.toLowerCase() === "l") {
      event.preventDefault();
      this.open(false);
      this.focusComposer();
    } else if (event.key === "Escape") {
      this.escape();
    }
  }

  escape() {
    if (document.activeElement === this.search) {
      this.search.value = "";
      this.filter();
      if (!this.isSheet) this.focusComposer();
    }
    this.open(false);
  }
}

/** Return what gives the focus back to a row that went to another group. */
function focusKeeper() {
  const focused = document.activeElement;
  const row = focused?.closest(".row")?.id;
  return () => {
    if (row && !focused.isConnected) byId(row)?.querySelector("a").focus({ preventScroll: true });
  };
}

function paint(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  remember("mesh_theme", theme);
}
