// The tree of the work panel's Files: folders are asked for when they are opened, and only the rows in
// sight are in the page, so that a folder of any size opens at once.

import { asName, el, icon, pressed, visibleText } from "./dom.js";

const SPARE = 12; // rows drawn above and below those in sight

/** Git's two letters → the letter that is shown, and what it means. */
export function markOf(status) {
  if (!status) return null;
  if (status === "??") return ["U", "new, not in git yet"];
  if (/U|AA|DD/.test(status)) return ["!", "in conflict"];
  if (status.includes("D")) return ["D", "deleted"];
  if (status.includes("A")) return ["A", "added"];
  return ["M", "changed"];
}

export class Tree {
  /** `load(path)` returns the entries of a folder; `onOpen(path)` is called for a chosen file,
      `onSelect(entry)` for each selected one, and `onTrouble(refused)` if a folder can't be read. */
  constructor({ load, onOpen, onSelect, onTrouble }) {
    Object.assign(this, { load, onOpen, onSelect, onTrouble, folders: new Map(), opened: new Set([""]), rows: [], selected: null, showsAll: false, marks: new Map(), marked: new Set() });
    this.space = el("div", { class: "tree__space" });
    this.root = el("div", { class: "tree", role: "tree", tabindex: "0", "aria-label": "Files of the working folder" }, this.space);
    this.root.addEventListener("scroll", () => this.draw());
    this.root.addEventListener("click", (event) => this.click(event));
    this.root.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.root);
  }

  get height() {
    return matchMedia("(pointer: coarse), (max-width: 700px)").matches ? 44 : 28;
  }

  /** Load the open folders again; what was opened and selected stays. */
  async refresh(paths = [...this.opened]) {
    await Promise.all(paths.filter((path) => this.opened.has(path)).map((path) => this.fill(path)));
    this.paint();
  }

  async fill(path) {
    try {
      this.folders.set(path, await this.load(path));
    } catch (refused) {
      if (!refused.code) throw refused;
      if (path === "" || !["no_such_file", "not_a_directory"].includes(refused.code)) return this.onTrouble(refused);
      this.opened.delete(path); // it is gone
      this.folders.delete(path);
    }
    return null;
  }

  /** Show each file's state in git, by its path; a folder is marked if something in it is. */
  mark(marks) {
    this.marks = marks;
    this.marked = new Set();
    for (const path of marks.keys()) for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) this.marked.add(path.slice(0, at));
    this.draw();
  }

  paint() {
    const rows = [];
    const walk = (path, level) => {
      const shown = (this.folders.get(path)?.entries ?? []).filter((entry) => this.showsAll || (!entry.isIgnored && !entry.name.startsWith(".")));
      shown.forEach((entry, index) => {
        rows.push({ entry, level, at: index + 1, of: shown.length });
        if (this.isFolder(entry) && this.opened.has(entry.path)) walk(entry.path, level + 1);
      });
      const left = this.folders.get(path)?.leftOut;
      if (left) rows.push({ entry: { name: `… and ${left} more`, path: "", kind: "none" }, level, at: 0, of: 0 });
    };
    walk("", 1);
    this.rows = rows;
    this.space.style.height = `${rows.length * this.height}px`;
    this.draw();
  }

  isFolder(entry) {
    return entry.kind === "folder" || entry.to === "folder";
  }

  draw() {
    const { height } = this;
    const from = Math.max(0, Math.floor(this.root.scrollTop / height) - SPARE);
    const to = Math.min(this.rows.length, Math.ceil((this.root.scrollTop + this.root.clientHeight) / height) + SPARE);
    // A row that stays as it is keeps its element, or a click that has begun on it would be lost.
    const before = this.drawn ?? new Map();
    this.drawn = new Map(this.rows.slice(from, to).map((row, index) => [this.keyOf(row, from + index, height), [row, from + index]]));
    for (const [key, [row, index]] of this.drawn) this.drawn.set(key, before.get(key) ?? this.row(row, index, height));
    const nodes = [...this.drawn.values()];
    for (const [key, node] of before) if (!this.drawn.has(key)) node.remove();
    nodes.forEach((node, index) => this.space.children[index] !== node && this.space.insertBefore(node, this.space.children[index] ?? null));
    const active = this.rows.findIndex(({ entry }) => entry.path && entry.path === this.selected?.path);
    if (active >= from && active < to) this.root.setAttribute("aria-activedescendant", `tree-${active}`);
    else this.root.removeAttribute("aria-activedescendant");
  }

  keyOf({ entry, level, at, of }, index, height) {
    const { name, path, kind, to, isIgnored } = entry;
    const isFolder = this.isFolder(entry);
    return JSON.stringify([index, height, name, path, kind, to, isIgnored, level, at, of, this.opened.has(path), path === this.selected?.path, this.marks.get(path), isFolder && this.marked.has(path)]);
  }

  row({ entry, level, at, of }, index, height) {
    if (entry.kind === "none") return place(el("div", { class: "tree__row tree__row--note" }, entry.name), index, height, level);
    const isFolder = this.isFolder(entry);
    const isOpen = isFolder && this.opened.has(entry.path);
    const mark = markOf(this.marks.get(entry.path)) ?? (isFolder && this.marked.has(entry.path) ? ["•", "something in it changed"] : null);
    const picture = entry.kind === "link" && !isFolder ? "link" : isFolder ? (isOpen ? "folder-open" : "folder") : "file";
    const row = el(
      "div",
      { class: "tree__row", role: "treeitem", id: `tree-${index}`, "aria-level": String(level), "aria-setsize": String(of), "aria-posinset": String(at), "aria-selected": String(entry.path === this.selected?.path), "data-index": String(index), title: visibleText(entry.name), ...(isFolder ? { "aria-expanded": String(isOpen) } : {}) },
      el("span", { class: "tree__arrow" }, ...(isFolder ? [icon(isOpen ? "chevron-down" : "chevron-right")] : [])),
      icon(picture),
      el("span", { class: "tree__name" }, asName(entry.name)),
      ...(mark ? [el("span", { class: "tree__mark", "data-mark": mark[0], title: mark[1] }, mark[0], el("span", { class: "unseen" }, ` (${mark[1]})`))] : []),
    );
    if (entry.isIgnored) row.classList.add("tree__row--ignored");
    return place(row, index, height, level);
  }

  click({ target }) {
    const row = target.closest("[data-index]");
    if (row) this.choose(Number(row.dataset.index));
  }

  choose(index) {
    const { entry } = this.rows[index] ?? {};
    if (!entry || entry.kind === "none") return;
    this.select(entry);
    if (this.isFolder(entry)) this.toggle(entry.path);
    else if (entry.kind === "file" || entry.to === "file") this.onOpen(entry.path);
  }

  select(entry) {
    this.selected = entry;
    this.onSelect(entry);
    this.draw();
  }

  async toggle(path, isOpen = !this.opened.has(path)) {
    if (isOpen) this.opened.add(path);
    else this.opened.delete(path);
    if (isOpen && !this.folders.has(path)) await this.fill(path);
    this.paint();
  }

  /** Open the folders above a path, and show it. */
  async reveal(path) {
    const parts = path.split("/");
    if (!this.folders.has("")) await this.fill("");
    for (let count = 1; count < parts.length; count += 1) {
      const folder = parts.slice(0, count).join("/");
      this.opened.add(folder);
      if (!this.folders.has(folder)) await this.fill(folder);
    }
    this.paint();
    const index = this.rows.findIndex(({ entry }) => entry.path === path);
    if (index < 0) return;
    this.select(this.rows[index].entry);
    this.bring(index);
  }

  bring(index) {
    const { height } = this;
    const { scrollTop, clientHeight } = this.root;
    if (index * height < scrollTop) this.root.scrollTop = index * height;
    else if ((index + 1) * height > scrollTop + clientHeight) this.root.scrollTop = (index + 1) * height - clientHeight;
    this.draw();
  }

  key(event) {
    const now = this.rows.findIndex(({ entry }) => entry.path && entry.path === this.selected?.path);
    const move = (index) => {
      const to = Math.min(Math.max(index, 0), this.rows.length - 1);
      const row = this.rows[to];
      if (!row || row.entry.kind === "none") return;
      this.select(row.entry);
      this.bring(to);
    };
    const row = this.rows[now];
    const isFolder = row && this.isFolder(row.entry);
    const isOpen = isFolder && this.opened.has(row.entry.path);
    const act = {
      ArrowDown: () => move(now + 1),
      ArrowUp: () => move(now < 0 ? 0 : now - 1),
      Home: () => move(0),
      End: () => move(this.rows.length - 1),
      PageDown: () => move(now + Math.floor(this.root.clientHeight / this.height)),
      PageUp: () => move(now - Math.floor(this.root.clientHeight / this.height)),
      ArrowRight: () => row && isFolder && (isOpen ? move(now + 1) : this.toggle(row.entry.path, true)),
      ArrowLeft: () => {
        if (isOpen) return this.toggle(row.entry.path, false);
        const above = this.rows.slice(0, Math.max(now, 0)).findLastIndex(({ level }) => level < (row?.level ?? 1));
        return above >= 0 && move(above);
      },
      Enter: () => row && this.choose(now),
      " ": () => row && this.choose(now),
    }[pressed(event)];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }
}

function place(row, index, height, level) {
  row.style.transform = `translateY(${index * height}px)`;
  row.style.height = `${height}px`;
  row.style.paddingLeft = `${8 + (level - 1) * 14}px`;
  return row;
}
