// The left column: kept fresh by what the server renders, searched, a sheet on the phone.
// With it the keys of the page and the theme.

import { asWords, byId, morphChildren, pressed, readableText, remember, say } from "./dom.js";

// The parts of the page that a change of threads or machines may alter: templates/_partials/live.html.
const FRESH = ["threads", "machines", "thread-machine", "connect-hint", "connect-state", "welcome", "agents"];

export class Sidebar {
  /** `thread()` returns the open thread or null; `onRefreshed()` and `onSignedOut()` are called. */
  constructor({ org, agent, thread, agents, onRefreshed, onSignedOut, focusComposer }) {
    Object.assign(this, { org, agent, thread, agents, onRefreshed, onSignedOut, focusComposer });
    this.asked = this.shown = 0; // numbers of the newest refresh that was started, and of the one shown
    this.gone = new Set(); // chats that were just deleted, which can still be undone
    this.search = byId("search");
    this.searched = this.search.defaultValue.trim(); // the search that the rows on the page match
    this.older = byId("older-threads");
    this.upto = this.link?.dataset.older ?? null; // the cursor where the list ends and the older rows start
    this.opener = document.querySelector('[data-open="sidebar"]');
    if (/Mac|iP/.test(navigator.platform)) byId("search-key").textContent = "⌘K";
    this.listen();
    if (this.words !== this.searched) this.searchSoon(); // typed before this script was loaded
  }

  listen() {
    this.search.addEventListener("input", () => this.searchSoon());
    byId("search-form").addEventListener("submit", (event) => event.preventDefault());
    this.older.addEventListener("click", (event) => {
      if (!event.target.closest("[data-older]") || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.more();
    });
    const load = (seen) => seen.at(-1).isIntersecting && this.mayLoad() && this.more();
    this.nearEnd = new IntersectionObserver(load, { root: byId("chats"), rootMargin: "0px 0px 200px" });
    this.watchEnd();
    this.search.addEventListener("keydown", (event) => this.walk(event));
    this.opener.addEventListener("click", () => this.open(true));
    for (const node of document.querySelectorAll('[data-close="sidebar"]')) {
      node.addEventListener("click", () => this.open(false));
    }
    addEventListener("keydown", (event) => this.key(event));
    byId("user-menu").addEventListener("change", ({ target }) => target.name === "theme" && paint(target.value));
  }

  /** Fetch once for all changes within a moment. */
  refreshSoon() {
    this.pending ??= setTimeout(() => this.refresh(), 200);
  }

  async refresh() {
    clearTimeout(this.pending);
    this.pending = null;
    const { words } = this;
    const picked = this.picked();
    // Answers may arrive out of order: an older one never replaces a newer one.
    const number = (this.asked += 1);
    const response = await fetch(`/${this.org}/live?${this.query()}`).catch(() => null);
    if (response?.redirected) return this.onSignedOut();
    const html = response?.ok ? await response.text().catch(() => null) : null;
    if (number < this.shown) return null;
    byId("search-away").hidden = html !== null || !this.words;
    if (html === null) return null;
    this.shown = number;
    const keepFocus = focusKeeper();
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const id of FRESH) {
      const found = fresh.getElementById(id);
      // Don't replace a row while it is being renamed.
      if (id === "threads" && document.querySelector(".row__rename")) continue;
      if (id === "threads") this.showRows(fresh, words);
      if (found && id !== "agents") morphChildren(byId(id), found);
    }
    // A late response must not undo a choice made in the meantime.
    if (this.picked() === picked) this.agents.refresh(fresh.getElementById("agents"));
    if (this.picked() !== picked || this.words !== words) this.refreshSoon();
    this.filter();
    keepFocus();
    return this.onRefreshed();
  }

  /** Return the open thread and the current choice, as text to compare. */
  picked() {
    const open = this.thread();
    const who = open ? ["thread", open.id] : ["agent", this.agent];
    return new URLSearchParams([who, ...this.agents.query()]).toString();
  }

  /** Return the parameters that the server needs to render this page's list. */
  query() {
    const search = this.words ? [["search", this.words]] : [];
    const upto = this.upto && this.words === this.searched ? [["upto", this.upto]] : [];
    return `${this.picked()}&${new URLSearchParams([...search, ...upto])}`;
  }

  get words() {
    return this.search.value.trim();
  }

  /** Search what is on the page now, and all chats as soon as the server answers. */
  searchSoon() {
    this.filter();
    this.refreshSoon();
  }

  filter() {
    const terms = this.words === this.searched ? [] : this.words.toLowerCase().split(/\s+/);
    for (const row of document.querySelectorAll("#chats .row")) {
      row.hidden = this.gone.has(row.id.slice("row-".length)) || !terms.every((word) => row.dataset.title.includes(word));
    }
    // Notes about another search don't apply to this one.
    for (const note of document.querySelectorAll("#threads .sidebar__empty")) note.hidden = this.words !== this.searched;
    for (const group of document.querySelectorAll(".group")) group.hidden = !group.querySelector(".row:not([hidden])");
  }

  // Older chats

  get link() {
    return this.older.querySelector("[data-older]");
  }

  /** Keep the older rows below the fresh list, unless it ends elsewhere or is of another search. */
  showRows(fresh, words) {
    const older = fresh.getElementById("older-threads");
    if (!older) return; // the server is older than this page
    const upto = older.querySelector("[data-older]")?.dataset.older ?? null;
    if (upto !== this.upto || words !== this.searched) {
      Object.assign(this, { upto, searched: words });
      this.older.replaceChildren(...older.childNodes);
      this.watchEnd();
    }
    for (const row of this.older.querySelectorAll(".row")) if (fresh.getElementById("threads").querySelector(`#${row.id}`)) row.remove();
  }

  /** Put the next older chats below the list. */
  async more() {
    const { link } = this;
    if (!link || link.ariaBusy) return;
    link.ariaBusy = "true";
    link.textContent = "Loading older chats…";
    const response = await fetch(`/${this.org}/older${link.getAttribute("href")}`).catch(() => null);
    if (response?.redirected) return this.onSignedOut();
    const html = response?.ok ? await response.text().catch(() => null) : null;
    if (!link.isConnected) return; // something else was searched for meanwhile
    link.ariaBusy = null;
    if (html === null) {
      link.textContent = "Older chats could not be loaded. Try again";
      return say(link.textContent);
    }
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const rows = [...fresh.querySelectorAll(".row")].filter((row) => !byId(row.id));
    this.older.querySelector("ul").append(...rows);
    const open = this.thread()?.id;
    for (const row of rows) if (row.id === `row-${open}`) row.querySelector("a").setAttribute("aria-current", "page");
    const hadFocus = document.activeElement === link;
    link.replaceWith(...fresh.querySelectorAll("[data-older]"));
    if (hadFocus) rows[0]?.querySelector("a").focus({ preventScroll: true });
    this.filter();
    this.watchEnd();
  }

  /** Return whether the next older chats are loaded without a click. */
  mayLoad() {
    // A focused link waits for Enter: otherwise the key could reach the row that replaces it.
    if (document.activeElement === this.link) return false;
    // The list is short while the server searches: its end in view is not the reader's doing.
    return this.words === this.searched;
  }

  watchEnd() {
    this.nearEnd.disconnect();
    if (this.link) this.nearEnd.observe(this.link);
  }

  /** The server does not render older rows again: update the name from the notification. */
  rename({ id, title, unread }) {
    const row = this.older.querySelector(`#row-${id}`);
    if (!row) return;
    Object.assign(row.dataset, { name: title, title: title.toLowerCase() });
    row.querySelector(".row__title").replaceChildren(asWords(title));
    row.querySelector(".row__more").ariaLabel = `Rename or delete ${readableText(title)}`;
    if (!unread) row.querySelector(".mark--unread")?.remove();
  }

  walk(event) {
    const first = document.querySelector(".row:not([hidden]) .row__link");
    const key = pressed(event);
    if (key === "Enter" && this.words) first?.click();
    if (key !== "ArrowDown") return;
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
    const key = pressed(event);
    if (mod && key.toLowerCase() === "k") {
      event.preventDefault();
      if (this.isSheet) this.open(true);
      this.search.focus();
      this.search.select();
    } else if (mod && key.toLowerCase() === "l") {
      event.preventDefault();
      this.open(false);
      this.focusComposer();
    } else if (key === "Escape") {
      this.escape();
    }
  }

  escape() {
    if (document.activeElement === this.search) {
      this.search.value = "";
      this.searchSoon();
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
