// The work panel's tab Files: the tree, searches, one open file, and what is done to them.

import { api, asName, asWords, el, icon, pressed, say, visibleText } from "./dom.js";
import { Tree } from "./panel_tree.js";
import { Viewer } from "./panel_viewer.js";

const SOON = 300; // ms in which further changes are waited for, before the sandbox is asked again
const UPLOAD = 20 * 1024 * 1024; // bytes

export function mount(place, panel) {
  const files = new Files(place, panel);
  return { show: (target) => files.show(target), hide: () => files.hide() };
}

class Files {
  constructor(place, panel) {
    Object.assign(this, { panel, isShown: false, isStale: true, folder: null, base: "", last: null });
    this.tree = new Tree({
      load: (path) => this.list(path),
      onOpen: (path) => this.open(path),
      onSelect: () => this.paintActions(),
      onTrouble: (refused) => this.away(refused),
    });
    this.viewer = new Viewer({
      ask: (method, route, body) => this.ask(method, route, body),
      downloadUrl: (path) => `${panel.base}/files/download?${new URLSearchParams({ path })}`,
      mayChange: panel.mayChange,
      onChanged: (path) => this.changed(path),
      onBack: () => this.back(),
      drafts: { get: (path) => panel.kept.get(`draft:${path}`)?.value ?? null, set: (path, draft) => panel.kept.put(`draft:${path}`, draft) },
    });
    this.build(place);
    panel.on("file-changed", ({ path }) => this.changed(path));
    panel.on("branch", () => this.isShown && this.marksSoon());
    panel.on("snapshot", () => this.changed(null));
    panel.on("machine", (machine) => machine?.state === "online" && this.changed(null));
    panel.on("run", () => this.changed(null));
  }

  build(place) {
    this.search = el("input", { class: "input browse__search", type: "search", placeholder: "Find a file", "aria-label": "Find in the files", spellcheck: "false", autocapitalize: "off" });
    this.what = el("select", { class: "browse__what", "aria-label": "What to search" }, el("option", { value: "find" }, "Names"), el("option", { value: "search" }, "Contents"));
    this.results = el("ul", { class: "browse__results", "aria-label": "Found", hidden: "" });
    this.told = el("p", { class: "browse__told", role: "status", hidden: "" });
    this.form = el("form", { class: "browse__ask", hidden: "" });
    this.actions = el("div", { class: "browse__actions", role: "toolbar", "aria-label": "Files" });
    this.choice = el("input", { type: "file", multiple: "", hidden: "", "aria-label": "Files to upload" });
    this.choice.addEventListener("change", () => {
      this.upload([...this.choice.files]);
      this.choice.value = "";
    });
    this.side = el("div", { class: "browse__side" }, el("div", { class: "browse__find" }, this.search, this.what), this.actions, this.form, this.told, this.results, this.tree.root, this.choice);
    this.root = el("div", { class: "browse" }, this.side, this.viewer.root);
    place.append(this.root);
    this.search.addEventListener("input", () => this.lookSoon());
    this.what.addEventListener("change", () => {
      this.search.placeholder = this.what.value === "find" ? "Find a file" : "Find in contents";
      this.lookSoon();
    });
    this.search.addEventListener("keydown", (event) => {
      const key = pressed(event);
      if (key === "Escape" && this.search.value) {
        event.preventDefault();
        this.search.value = "";
        this.look();
      }
      if (key === "Enter") this.results.querySelector("button")?.click();
      if (key === "ArrowDown") (this.results.querySelector("button") ?? this.tree.root).focus();
    });
    this.results.addEventListener("keydown", (event) => this.walk(event));
    this.tree.root.addEventListener("keydown", (event) => {
      if (pressed(event) === "F2") this.askRename();
      if (pressed(event) === "Delete") this.remove();
    });
    this.listenToDrops();
    this.paintActions();
  }

  // Asking the sandbox

  async ask(method, route, body) {
    const answer = await api(method, `${this.panel.base}/files${route ? `/${route}` : ""}`, body);
    if (answer?.kind === "text" || answer?.kind === "image") this.keep(answer);
    return answer;
  }

  async list(path) {
    const answer = await api("GET", `${this.panel.base}/files?${new URLSearchParams({ path })}`);
    this.folder = answer.folder;
    this.base = answer.base;
    this.panel.known("files", null);
    return answer;
  }

  keep(file) {
    const { data, ...rest } = file;
    if (!data) this.panel.kept.put("files:open", rest);
  }

  keepTree() {
    const { folders, opened } = this.tree;
    if (folders.has("")) this.panel.kept.put("files:tree", { folders: [...folders], opened: [...opened], marks: [...this.tree.marks] });
  }

  /** The sandbox can't be asked: show what was last known, with its time. */
  away(refused) {
    if (!this.panel.away(refused)) return this.tell(`${refused.message} ${refused.hint}`, { isBad: true });
    this.isStale = true;
    const kept = this.panel.kept.get("files:tree");
    if (!this.tree.folders.size && kept) {
      this.tree.folders = new Map(kept.value.folders);
      this.tree.opened = new Set(kept.value.opened);
      this.tree.mark(new Map(kept.value.marks));
      this.tree.paint();
      const open = this.panel.kept.get("files:open");
      if (open && !this.viewer.path) this.viewer.show(open.value);
    }
    return this.panel.known("files", kept?.at ?? null, refused);
  }

  async marks() {
    try {
      const { files = [] } = await this.ask("GET", "marks");
      const start = this.base ? `${this.base}/` : "";
      const mine = files.filter(({ path }) => path.startsWith(start));
      this.tree.mark(new Map(mine.map(({ path, status }) => [path.slice(start.length), status])));
    } catch (refused) {
      if (!refused.code) throw refused;
      this.tree.mark(new Map()); // no repository, or git is at work: the files are there all the same
    }
  }

  // Showing

  async show(target) {
    this.isShown = true;
    if (target) {
      this.followTarget(target);
    }
    if (this.isStale) await this.refresh();
  }

  hide() {
    this.isShown = false;
    this.viewer.keepDraft();
  }

  followTarget(target) {
    const { path, line } = typeof target === "string" ? placeOf(target) : target;
    this.open(path, line, { isAsked: true });
  }

  /** Ask for everything that is shown again. */
  async refresh() {
    this.isStale = false;
    const isFirst = !this.tree.folders.size;
    await this.tree.refresh();
    if (this.isStale) return; // it could not be asked
    this.keepTree(); // git's marks may take a while, and the machine may be gone before
    await this.marks();
    this.keepTree();
    if (!isFirst) await this.viewer.refresh();
  }

  /** Something changed on the machine; null: what, is not known. */
  changed(path) {
    this.isStale = true;
    clearTimeout(this.later);
    if (this.isShown) this.later = setTimeout(() => this.isShown && this.refresh().catch((refused) => this.fail(refused)), SOON);
    return path;
  }

  marksSoon() {
    clearTimeout(this.laterMarks);
    this.laterMarks = setTimeout(() => this.isShown && !this.isStale && this.marks(), SOON);
  }

  fail(refused) {
    if (!refused.code) throw refused;
    return this.away(refused);
  }

  async open(path, line = null, { isAsked = false } = {}) {
    const inside = this.folder && path.startsWith(`${this.folder}/`) ? path.slice(this.folder.length + 1) : path;
    try {
      await this.viewer.open(inside.replace(/^\.\//, ""), line);
      this.root.classList.add("browse--reads");
      this.tell(null);
      if (isAsked) await this.tree.reveal(this.viewer.path);
      if (matchMedia("(max-width: 700px)").matches || isAsked) this.viewer.body.focus({ preventScroll: true });
    } catch (refused) {
      if (!refused.code) throw refused;
      if (refused.code === "is_a_directory") return this.tree.toggle(inside, true).then(() => this.tree.reveal(inside));
      if (this.panel.away(refused)) {
        const open = this.panel.kept.get("files:open");
        if (open?.value.path === inside) {
          this.viewer.show(open.value, { line });
          this.root.classList.add("browse--reads");
        }
        return this.away(refused);
      }
      this.tell(`${visibleText(inside)}: ${refused.message}`, { isBad: true });
    }
    return null;
  }

  /** On a narrow panel, the list again. */
  back() {
    this.viewer.close();
    this.root.classList.remove("browse--reads");
    this.tree.root.focus();
  }

  // Searching

  lookSoon() {
    clearTimeout(this.laterLook);
    this.laterLook = setTimeout(() => this.look(), SOON);
  }

  async look() {
    const text = this.search.value.trim();
    const looking = (this.looking = Symbol(text));
    this.results.hidden = !text;
    this.tree.root.hidden = Boolean(text);
    if (!text) {
      this.tell(null);
      return this.tree.draw();
    }
    const query = new URLSearchParams({ text: this.what.value === "find" ? text : this.search.value, ...(this.what.value === "find" && this.tree.showsAll ? { hidden: "true" } : {}) });
    try {
      const answer = await this.ask("GET", `${this.what.value}?${query}`);
      if (this.looking !== looking) return null;
      this.paintResults(answer);
    } catch (refused) {
      if (!refused.code) throw refused;
      if (this.looking === looking) this.tell(`${refused.message} ${refused.hint}`, { isBad: true });
    }
    return null;
  }

  paintResults({ files, matches, truncated }) {
    const rows = files ? files.map((path) => ({ path })) : matches;
    const found = rows.map(({ path, line, text }) => {
      const button = el("button", { type: "button", class: "browse__found" }, el("span", { class: "browse__where" }, asName(path), ...(line ? [`:${line}`] : [])), ...(text === undefined ? [] : [el("code", {}, asName(text.trim().slice(0, 300)))]));
      button.addEventListener("click", () => this.open(path, line ?? null));
      return el("li", {}, button);
    });
    this.results.replaceChildren(...found);
    const more = truncated ? " There are more; say more of it." : "";
    this.tell(rows.length ? `${rows.length} found.${more}` : "Nothing found.");
  }

  walk(event) {
    const buttons = [...this.results.querySelectorAll("button")];
    const now = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: now + 1, ArrowUp: now - 1 }[pressed(event)];
    if (to === undefined) return;
    event.preventDefault();
    (to < 0 ? this.search : (buttons[to] ?? buttons.at(-1))).focus();
  }

  // Changing

  paintActions() {
    const may = this.panel.mayChange;
    const { selected } = this.tree;
    const button = (name, label, act, more = {}) => {
      const made = el("button", { class: "button button--bare button--icon", type: "button", "aria-label": label, title: label, ...more }, icon(name));
      made.addEventListener("click", act);
      return made;
    };
    const all = button("eye", "Show dotfiles and ignored files", () => {
      this.tree.showsAll = !this.tree.showsAll;
      this.tree.paint();
      this.paintActions();
      this.look();
    }, { "aria-pressed": String(this.tree.showsAll) });
    const changing = may
      ? [
          button("file-plus", "New file", () => this.askNew("file")),
          button("folder-plus", "New folder", () => this.askNew("folder")),
          button("upload", "Upload files", () => this.choice.click()),
          ...(selected ? [button("pencil", `Rename ${visibleText(selected.name)}`, () => this.askRename()), button("trash-2", `Delete ${visibleText(selected.name)}`, () => this.remove())] : []),
        ]
      : [];
    const focused = this.actions.contains(document.activeElement) ? [...this.actions.children].indexOf(document.activeElement) : -1;
    this.actions.replaceChildren(...changing, el("span", { class: "browse__gap" }), all, button("rotate-cw", "Look again", () => this.refresh().catch((refused) => this.fail(refused))));
    if (focused >= 0) this.actions.children[Math.min(focused, this.actions.children.length - 1)].focus();
  }

  /** Return the folder in which something new goes: the selected one, or that of the selected file. */
  here() {
    const { selected } = this.tree;
    if (!selected) return "";
    return this.tree.isFolder(selected) ? selected.path : parentOf(selected.path);
  }

  askNew(kind) {
    const here = this.here();
    this.askPath(kind === "file" ? "Name of the new file" : "Name of the new folder", here ? `${here}/` : "", async (path) => {
      if (kind === "file") await this.ask("POST", "save", { path, content: "", version: "" });
      else await this.ask("POST", "mkdir", { path });
      await this.refreshAt(path);
      if (kind === "file") {
        await this.open(path);
        if (this.viewer.mayEdit) this.viewer.edit();
      }
    });
  }

  askRename() {
    const { selected } = this.tree;
    if (!selected || !this.panel.mayChange) return;
    const from = selected.path;
    this.askPath(`New path of ${visibleText(selected.name)}`, from, async (to) => {
      if (to === from) return;
      const isOpen = this.viewer.path === from;
      await this.ask("POST", "rename", { from, to });
      await this.refreshAt(from, to);
      if (isOpen) await this.open(to);
      this.offerUndo(`Renamed to ${visibleText(to)}.`, async () => {
        await this.ask("POST", "rename", { from: to, to: from });
        await this.refreshAt(from, to);
        if (isOpen) await this.open(from);
      });
    });
  }

  /** Ask for a path in a line above the tree. */
  askPath(label, value, act) {
    const input = el("input", { class: "input", "aria-label": label, spellcheck: "false", autocapitalize: "off" });
    input.value = value;
    const cancel = el("button", { class: "button button--bare", type: "button" }, "Cancel");
    const done = () => {
      this.form.hidden = true;
      this.form.replaceChildren();
    };
    cancel.addEventListener("click", () => {
      done();
      this.tree.root.focus();
    });
    this.form.onsubmit = async (event) => {
      event.preventDefault();
      const path = input.value.replace(/^\/+|\/+$/g, "");
      if (!path) return;
      try {
        await act(path);
        done();
      } catch (refused) {
        if (!refused.code) throw refused;
        this.tell(`${refused.message} ${refused.hint}`, { isBad: true });
        input.focus();
      }
    };
    input.addEventListener("keydown", (event) => {
      if (pressed(event) !== "Escape") return;
      event.preventDefault();
      cancel.click();
    });
    this.form.replaceChildren(el("label", {}, el("span", {}, label), input), el("button", { class: "button button--primary", type: "submit" }, "OK"), cancel);
    this.form.hidden = false;
    input.focus();
    const name = value.lastIndexOf("/") + 1;
    const ending = value.lastIndexOf(".");
    input.setSelectionRange(name, ending > name ? ending : value.length);
  }

  async remove() {
    const { selected } = this.tree;
    if (!selected || !this.panel.mayChange) return;
    const { path } = selected;
    try {
      const { undo } = await this.ask("POST", "delete", { path });
      this.tree.selected = null;
      if (this.viewer.path === path || this.viewer.path?.startsWith(`${path}/`)) {
        this.viewer.close();
        this.root.classList.remove("browse--reads");
      }
      await this.refreshAt(path);
      this.paintActions();
      this.offerUndo(`Deleted ${visibleText(path)}.`, async () => {
        await this.ask("POST", "restore", { undo });
        await this.refreshAt(path);
        await this.tree.reveal(path);
      });
    } catch (refused) {
      if (!refused.code) throw refused;
      this.tell(`${refused.message} ${refused.hint}`, { isBad: true });
    }
  }

  async refreshAt(...paths) {
    for (const path of paths) for (const folder of foldersAbove(path)) this.tree.opened.add(folder);
    await this.tree.refresh();
    await this.marks();
    this.keepTree();
  }

  offerUndo(words, act) {
    const undo = el("button", { class: "button", type: "button" }, icon("undo-2"), "Undo");
    undo.addEventListener("click", async () => {
      try {
        await act();
        this.tell("Undone.");
      } catch (refused) {
        if (!refused.code) throw refused;
        this.tell(`${refused.message} ${refused.hint}`, { isBad: true });
      }
    });
    this.tell(words, { more: [undo] });
  }

  // Uploading

  listenToDrops() {
    if (!this.panel.mayChange) return;
    const has = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    const over = (event) => {
      if (!has(event)) return;
      event.preventDefault();
      event.stopPropagation(); // else the page takes the file for the next message
      this.root.classList.add("browse--drop");
    };
    this.root.addEventListener("dragenter", over);
    this.root.addEventListener("dragover", over);
    this.root.addEventListener("dragleave", (event) => this.root.contains(event.relatedTarget) || this.root.classList.remove("browse--drop"));
    this.root.addEventListener("drop", (event) => {
      if (!has(event)) return;
      event.preventDefault();
      event.stopPropagation();
      this.root.classList.remove("browse--drop");
      const row = event.target.closest?.("[data-index]");
      const entry = row && this.tree.rows[Number(row.dataset.index)]?.entry;
      const folder = entry ? (this.tree.isFolder(entry) ? entry.path : parentOf(entry.path)) : this.here();
      this.upload([...event.dataTransfer.files], folder);
    });
  }

  async upload(files, folder = this.here()) {
    const refused = [];
    const there = [];
    let done = 0;
    for (const file of files) {
      this.tell(`Uploading ${visibleText(file.name)}…`);
      const path = folder ? `${folder}/${file.name}` : file.name;
      if (file.size > UPLOAD) refused.push(`${visibleText(file.name)} is larger than 20 MiB.`);
      else
        try {
          await this.send(path, file);
          done += 1;
        } catch (error) {
          if (!error.code) throw error;
          if (error.code === "already_exists") there.push([path, file]);
          else refused.push(`${visibleText(file.name)}: ${error.message}`);
        }
    }
    await this.refreshAt(...files.map((file) => (folder ? `${folder}/${file.name}` : file.name)));
    const words = [...(done ? [`Uploaded ${done} ${done === 1 ? "file" : "files"}.`] : []), ...refused];
    if (!there.length) return this.tell(words.join(" "), { isBad: refused.length > 0 });
    const replace = el("button", { class: "button", type: "button" }, there.length === 1 ? "Replace it" : "Replace them");
    replace.addEventListener("click", () => this.replace(there));
    return this.tell([...words, `Already there: ${there.map(([path]) => visibleText(path)).join(", ")}.`].join(" "), { more: [replace] });
  }

  async replace(there) {
    const undos = [];
    try {
      for (const [path, file] of there) undos.push([path, (await this.send(path, file, true)).undo]);
    } catch (refused) {
      if (!refused.code) throw refused;
      this.tell(`${refused.message} ${refused.hint}`, { isBad: true });
    }
    await this.refreshAt(...there.map(([path]) => path));
    await this.viewer.refresh();
    this.offerUndo("Replaced.", async () => {
      for (const [path, undo] of undos) {
        if (!undo) continue;
        await this.ask("POST", "delete", { path });
        await this.ask("POST", "restore", { undo });
      }
      await this.refresh();
    });
  }

  send(path, file, replace = false) {
    return this.ask("PUT", `upload?${new URLSearchParams({ path, ...(replace ? { replace: "true" } : {}) })}`, new Blob([file]));
  }

  tell(words, { isBad = false, more = [] } = {}) {
    this.told.hidden = !words;
    this.told.classList.toggle("browse__told--bad", isBad);
    this.told.replaceChildren(...(words ? [asWords(words), ...more] : []));
    if (words) say(words);
  }
}

const parentOf = (path) => path.slice(0, Math.max(path.lastIndexOf("/"), 0));

/** Return the folders above a path, the working folder included. */
function foldersAbove(path) {
  const parts = path.split("/").slice(0, -1);
  return ["", ...parts.map((_, index) => parts.slice(0, index + 1).join("/"))];
}

/** Return {path, line} of “path:line” or “path:line:column”; a line of null if there is none. */
export function placeOf(text) {
  const found = /^(.+?):(\d+)(?::\d+)?(?:-\d+)?$/.exec(text);
  return found ? { path: found[1], line: Number(found[2]) } : { path: text, line: null };
}
