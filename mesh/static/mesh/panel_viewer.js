// One file of the work panel's Files: shown with line numbers and colours, as a picture, or as what it
// is; edited, and saved unless somebody else wrote it meanwhile: then both versions are shown.

import { asName, asWords, el, icon, marked, pressed, say, size, visible } from "./dom.js";

const CHUNK = 100; // lines of one block; blocks out of sight are not laid out
const COLOURED = 300_000; // characters up to which a text is highlighted
const LANGUAGES = { svg: "xml", yml: "yaml", md: "markdown", py: "python", js: "javascript", mjs: "javascript", cjs: "javascript", ts: "typescript", tsx: "typescript", jsx: "javascript", rs: "rust", rb: "ruby", sh: "bash", h: "c", hpp: "cpp", cc: "cpp", html: "xml", vue: "xml", htm: "xml", toml: "ini", cfg: "ini", kt: "kotlin", cs: "csharp", pl: "perl" };
// Characters that turn text around or can't be seen: a line with one is shown with its marks, not its colours.
const ODD = /[^\t\n\r -~\u00a1-\u167f\u1681-\u180d\u180f-\u1fff\u2010-\u2027\u2030-\u205e\u2070-\u2fff\u3001-\ufefe\uff00-\ufff8\u{10000}-\u{dffff}]|\u00ad|\u061c|\u115f|\u1160|\u17b4|\u17b5|\u3164|\uffa0/u;

export class Viewer {
  /** `ask(method, route, body)` asks the sandbox; `onChanged(path)` is called after a save,
      `onBack()` when the list is wanted again; `drafts` keeps what was written and not saved. */
  constructor({ ask, downloadUrl, mayChange, onChanged, onBack, drafts }) {
    Object.assign(this, { ask, downloadUrl, mayChange, onChanged, onBack, drafts, file: null, editor: null });
    this.head = el("header", { class: "viewer__bar" });
    this.note = el("div", { class: "viewer__note", role: "status", hidden: "" });
    this.body = el("div", { class: "viewer__body", tabindex: "0" });
    this.root = el("section", { class: "viewer", "aria-label": "File", hidden: "" }, this.head, this.note, this.body);
    this.root.addEventListener("keydown", (event) => this.key(event));
  }

  get path() {
    return this.file?.path ?? null;
  }

  get isEditing() {
    return this.editor !== null;
  }

  /** Show a file, at a line if one is given. */
  async open(path, line = null) {
    this.keepDraft();
    const isOther = path !== this.path;
    const opening = (this.opening = Symbol(path));
    const file = await this.ask("GET", `text?${new URLSearchParams({ path })}`);
    if (this.opening !== opening) return;
    this.show(file, { line, keepsPlace: !isOther && line === null });
    const draft = this.drafts.get(file.path);
    if (draft && this.mayEdit) this.edit(draft);
  }

  show(file, { line = null, keepsPlace = false } = {}) {
    const top = keepsPlace ? this.body.scrollTop : 0;
    const wasAsOld = this.file && keepsPlace && this.file.version === file.version && file.version;
    this.file = file;
    this.root.hidden = false;
    if (wasAsOld) return;
    this.editor = null;
    this.paintBar();
    this.tell(null);
    this.body.replaceChildren(...this.content());
    this.body.scrollTop = top;
    if (line) this.jump(line);
  }

  get mayEdit() {
    return this.mayChange && this.file?.kind === "text" && this.file.isWhole && this.file.mayWrite !== false;
  }

  close() {
    this.keepDraft();
    this.file = null;
    this.editor = null;
    this.root.hidden = true;
    this.body.replaceChildren();
  }

  paintBar() {
    const { file } = this;
    const button = (name, label, act, text = "") => {
      const made = el("button", { class: `button${text ? "" : " button--bare button--icon"}`, type: "button", "aria-label": label, title: label }, icon(name), ...(text ? [el("span", {}, text)] : []));
      made.addEventListener("click", act);
      return made;
    };
    const back = button("chevron-left", "Back to the files", () => this.onBack());
    back.classList.add("viewer__back");
    const facts = [size(file.size ?? 0), file.encoding, file.lineEnds].filter(Boolean).join(" · ");
    const title = el("h3", { class: "viewer__title" }, asName(file.path), el("small", {}, ` ${facts}`));
    if (this.isEditing) {
      const save = button("save", "Save (Ctrl+S)", () => this.save(), "Save");
      save.classList.add("button--primary");
      return this.head.replaceChildren(back, title, button("x", "Discard what I wrote", () => this.discard(), "Discard"), save);
    }
    const download = el("a", { class: "button button--bare button--icon", href: this.downloadUrl(file.path), download: "", "aria-label": "Download", title: "Download" }, icon("download"));
    const isText = file.kind === "text";
    const wrap = button("wrap-text", "Wrap long lines", () => {
      const isOn = this.body.classList.toggle("viewer__body--wraps");
      wrap.setAttribute("aria-pressed", String(isOn));
    });
    wrap.setAttribute("aria-pressed", String(this.body.classList.contains("viewer__body--wraps")));
    return this.head.replaceChildren(back, title, ...(isText ? [wrap] : []), download, ...(this.mayEdit ? [button("pencil", "Edit", () => this.edit(), "Edit")] : []));
  }

  content() {
    const { file } = this;
    if (file.kind === "image") return [el("figure", { class: "viewer__picture" }, el("img", { src: `data:${file.mediaType};base64,${file.data}`, alt: "" }))];
    if (file.kind !== "text") return [el("div", { class: "panel__card" }, icon("file"), el("p", {}, file.isTooLarge ? "This picture is too large to be shown here." : "This file is binary, not a text."), el("p", {}, `${size(file.size)}. Download it to look at it.`))];
    const lines = file.content.split(/\r\n|\r|\n/);
    if (lines.length > 1 && lines.at(-1) === "") lines.pop();
    const blocks = [];
    for (let from = 0; from < lines.length; from += CHUNK) blocks.push(this.block(lines.slice(from, from + CHUNK), from));
    this.colour(lines, blocks, file);
    if (!file.isWhole) blocks.push(el("p", { class: "viewer__cut" }, `Only the beginning is shown of ${size(file.size)}. Download the file to see all of it.`));
    return [el("div", { class: "viewer__text", role: "document", "aria-label": "Content" }, ...blocks)];
  }

  block(lines, from) {
    const block = el("div", { class: "viewer__block" }, ...lines.map((line, index) => el("div", { class: "viewer__line", "data-line": String(from + index + 1) }, ...(ODD.test(line) ? marked(visible(line)) : [line]))));
    block.style.containIntrinsicSize = `auto ${lines.length * 20}px`;
    return block;
  }

  /** Colour the lines, if the language is known; text first, colours when the library is there. */
  async colour(lines, blocks, file) {
    if (file.content.length > COLOURED) return;
    const name = file.path.split("/").at(-1).replace(/"$/, "").toLowerCase();
    const ending = name.includes(".") ? name.split(".").at(-1) : name;
    const language = LANGUAGES[ending] ?? ending;
    const library = await import("./vendor/highlight.js").then((module) => module.default).catch(() => null);
    if (!library?.getLanguage(language) || this.file !== file) return;
    const { value } = library.highlight(lines.join("\n"), { language, ignoreIllegals: true });
    const parsed = new DOMParser().parseFromString(`<pre>${value}</pre>`, "text/html").querySelector("pre");
    const coloured = linesOf(parsed);
    blocks.forEach((block) =>
      block.querySelectorAll(".viewer__line").forEach((node) => {
        const at = Number(node.dataset.line) - 1;
        if (coloured[at] && !ODD.test(lines[at])) node.replaceChildren(...coloured[at]);
      }),
    );
  }

  jump(line) {
    const found = this.body.querySelector(`[data-line="${Number(line)}"]`) ?? [...this.body.querySelectorAll("[data-line]")].at(-1);
    if (!found) return;
    this.body.querySelector(".viewer__line--here")?.classList.remove("viewer__line--here");
    found.classList.add("viewer__line--here");
    found.scrollIntoView({ block: "center" });
    // Blocks above get their real height only now that they came into sight.
    requestAnimationFrame(() => found.scrollIntoView({ block: "center" }));
  }

  // Editing

  edit(draft = null) {
    const base = draft ?? { content: this.file.content.replace(/\r\n?/g, "\n"), version: this.file.version };
    const text = el("textarea", { class: "viewer__editor", spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-label": "Content of the file" });
    text.value = base.content;
    this.editor = { text, version: base.version, before: this.file.content.replace(/\r\n?/g, "\n") };
    text.addEventListener("input", () => this.keepDraft());
    this.body.replaceChildren(text);
    this.paintBar();
    if (draft) this.tell("What you wrote here earlier is not saved yet.");
    if (draft && draft.version !== this.file.version) this.conflict();
    else text.focus({ preventScroll: true });
  }

  get isDirty() {
    return this.isEditing && this.editor.text.value !== this.editor.before;
  }

  keepDraft() {
    if (!this.isEditing) return;
    this.drafts.set(this.path, this.isDirty ? { content: this.editor.text.value, version: this.editor.version } : null);
  }

  discard() {
    this.drafts.set(this.path, null);
    this.editor = null;
    this.reload();
  }

  async reload() {
    const { path } = this;
    this.editor = null;
    const file = await this.ask("GET", `text?${new URLSearchParams({ path })}`);
    this.file = null;
    this.show(file);
  }

  async save() {
    if (!this.isEditing || this.isSaving) return;
    this.isSaving = true;
    const { path, editor } = this;
    const content = editor.text.value;
    try {
      const saved = await this.ask("POST", "save", { path, content, version: editor.version });
      this.drafts.set(path, null);
      const also = saved.changed?.length ? ` ${saved.changed.join(" ")}` : "";
      this.editor = null;
      await this.reload();
      this.tell(`Saved.${also}`);
      this.body.focus({ preventScroll: true });
      this.onChanged(path);
    } catch (refused) {
      if (!refused.code) throw refused;
      this.keepDraft();
      if (refused.code === "changed_meanwhile") await this.conflict();
      else if (refused.code === "no_such_file") this.offerNew();
      else this.tell(`Not saved. ${refused.message} ${refused.hint}`, { isBad: true });
    } finally {
      this.isSaving = false;
    }
  }

  /** It was deleted meanwhile: offer to write it anew. */
  offerNew() {
    const again = el("button", { class: "button", type: "button" }, "Save it as a new file");
    again.addEventListener("click", () => {
      this.editor.version = "";
      this.save();
    });
    this.tell("Not saved: the file was deleted meanwhile.", { isBad: true, more: [again] });
  }

  /** Show both versions, and let the person choose. */
  async conflict() {
    const { editor, path } = this;
    const mine = editor.text.value;
    let theirs;
    try {
      theirs = await this.ask("GET", `text?${new URLSearchParams({ path })}`);
    } catch (refused) {
      if (!refused.code) throw refused;
      return this.offerNew();
    }
    if (this.editor !== editor) return null;
    const { compared } = await import("./changes.js");
    const other = (theirs.content ?? "").replace(/\r\n?/g, "\n");
    const rows = compared(other, mine);
    const side = (title, sign) => el("section", { class: "viewer__side" }, el("h4", {}, title), el("pre", { tabindex: "0" }, ...rows.filter(([each]) => each === " " || each === sign).map(([each, line]) => el("div", { class: each === sign ? "viewer__differs" : "" }, ...marked(visible(line) || " ")))));
    const choice = (text, act, isPrimary = false) => {
      const button = el("button", { class: `button${isPrimary ? " button--primary" : ""}`, type: "button" }, text);
      button.addEventListener("click", act);
      return button;
    };
    const actions = el(
      "div",
      { class: "viewer__choices" },
      choice("Go on editing mine", () => {
        editor.version = theirs.version;
        this.body.replaceChildren(editor.text);
        this.tell("A save now replaces what is on the machine.");
        editor.text.focus();
      }, true),
      choice("Save mine over it", () => {
        editor.version = theirs.version;
        this.body.replaceChildren(editor.text);
        this.save();
      }),
      choice("Take the one on the machine", () => this.discard()),
    );
    this.tell("Not saved: somebody, perhaps the agent, wrote this file after you opened it. Nothing is lost.", { isBad: true });
    this.body.replaceChildren(el("div", { class: "viewer__both" }, actions, el("div", { class: "viewer__sides" }, side("Yours", "+"), side("On the machine now", "-"))));
    actions.firstChild.focus();
    return null;
  }

  /** The file may have changed on the machine. */
  async refresh() {
    if (!this.file) return;
    if (this.isEditing) {
      const now = await this.ask("GET", `text?${new URLSearchParams({ path: this.path })}`).catch(() => null);
      if (now && this.isEditing && now.version !== this.editor.version && this.note.hidden) this.tell("This file has just changed on the machine. A save will show both versions.");
      return;
    }
    const { path } = this;
    try {
      const file = await this.ask("GET", `text?${new URLSearchParams({ path })}`);
      if (this.path === path && !this.isEditing) this.show(file, { keepsPlace: true });
    } catch (refused) {
      if (!refused.code) throw refused;
      if (refused.code === "no_such_file") this.tell("This file was deleted.", { isBad: true });
    }
  }

  tell(words, { isBad = false, more = [] } = {}) {
    this.note.hidden = !words;
    this.note.classList.toggle("viewer__note--bad", isBad);
    this.note.replaceChildren(...(words ? [asWords(words), ...more] : []));
    if (words) say(words);
  }

  key(event) {
    const isSave = (event.ctrlKey || event.metaKey) && !event.altKey && pressed(event).toLowerCase() === "s";
    if (isSave && this.isEditing) {
      event.preventDefault();
      this.save();
    }
    if (pressed(event) === "Escape" && this.isEditing) event.preventDefault(); // it must not close what is being written
  }
}

/** Return the nodes of each line of highlighted text; an element over several lines is in each. */
export function linesOf(root) {
  const lines = [[]];
  const walk = (node, around) => {
    if (node.nodeType !== Node.TEXT_NODE) {
      for (const child of node.childNodes) walk(child, [...around, node.className]);
      return;
    }
    node.data.split("\n").forEach((piece, index) => {
      if (index) lines.push([]);
      if (!piece) return;
      const text = document.createTextNode(piece);
      lines.at(-1).push(around.reduceRight((inner, name) => el("span", { class: name }, inner), text));
    });
  };
  for (const child of root.childNodes) walk(child, []);
  return lines;
}
