// What an editing tool changes, read from its input in any of the forms that agents use: old and new
// text, a list of edits, a whole file, a notebook cell, a unified diff, an `apply_patch` body, a list
// of file changes. Pure: nothing here touches the document.

const PATHS = ["file_path", "filePath", "notebook_path", "absolute_path", "path", "fileName", "filename", "file"];
const OLD = ["old_string", "oldString", "oldText", "old_text", "old_str"];
const NEW = ["new_string", "newString", "newText", "new_text", "new_str", "new_source"];
const WHOLE = ["content", "contents", "file_text", "fileText"];
const BODIES = ["diff", "patch", "patchText", "patch_text", "unified_diff", "unifiedDiff", "input"];
const EVERY = ["replace_all", "replaceAll"];
const NOWHERE = "/dev/null";
const MOST_CELLS = 250_000; // of the table that compares two texts line by line
const PATCH = /\*\*\* Begin Patch[^\S\n]*\n[\s\S]*?^\*\*\* End Patch[^\S\n]*$/m;

/**
 * Return {files, keys, command}: the changes as files of hunks, the keys of the input that these
 * show in full, and what a shell command does besides its patch. `files` is empty if the input
 * changes no file. A file is {path, from, hunks}; a hunk is {head, lines}; a line is [sign, text],
 * where the sign is "+", "-", " ", or "" for a remark.
 */
export function changesOf(input) {
  if (Array.isArray(input)) return { files: input.flatMap((each) => (isObject(each) ? changesOf(each).files : [])), keys: [], command: null };
  if (typeof input === "string") return { files: patchFiles(input), keys: [], command: null };
  if (!isObject(input)) return none();
  for (const read of [ofCommand, ofList, ofBody, ofTexts, ofWhole]) {
    const found = read(input);
    if (found?.files.length) return { command: null, ...found };
  }
  return none();
}

const none = () => ({ files: [], keys: [], command: null });

/** Return the numbers of added and removed lines. */
export function countsOf(files) {
  const signs = files.flatMap(({ hunks }) => hunks.flatMap(({ lines }) => lines.map(([sign]) => sign)));
  return { added: signs.filter((sign) => sign === "+").length, removed: signs.filter((sign) => sign === "-").length };
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const keyOf = (input, names) => names.find((name) => typeof input[name] === "string");

/** A shell command that applies a patch; what stands around the patch is shown as the command. */
function ofCommand(input) {
  const { command } = input;
  const text = Array.isArray(command) && command.every((word) => typeof word === "string") ? command.join(" ") : command;
  const found = typeof text === "string" && PATCH.exec(text);
  if (!found) return null;
  const before = text.slice(0, found.index);
  const after = text.slice(found.index + found[0].length);
  return { files: patchFiles(found[0]), keys: ["command"], command: `${before}⟨the changes below⟩${after}` };
}

/** A list of edits, or of changed files; or an object of changed files by path. */
function ofList(input) {
  for (const key of ["edits", "changes", "content", "files"]) {
    const list = isObject(input[key]) && key === "changes" ? Object.entries(input[key]).map(([path, change]) => ({ path, ...(isObject(change) ? change : {}) })) : input[key];
    if (!Array.isArray(list) || !list.length || !list.every(isObject)) continue;
    const path = keyOf(input, PATHS);
    const each = list.map((item) => ofItem(item, path ? input[path] : ""));
    if (each.some((file) => file === null)) continue;
    const files = merged(each.flat());
    return { files, keys: [key, ...named(input, path, files)] };
  }
  return null;
}

const ITEM_FIELDS = new Set([...PATHS, ...OLD, ...NEW, ...WHOLE, ...BODIES, ...EVERY, "type", "kind", "move_path", "movePath"]);

/** Return the files of one item of a list, or null if it says more than the changes can show. */
function ofItem(item, path) {
  if (!Object.keys(item).every((key) => ITEM_FIELDS.has(key))) return null;
  const own = keyOf(item, PATHS);
  const name = own ? item[own] : path;
  const kind = isObject(item.kind) ? item.kind : { type: item.kind ?? item.type, move_path: item.move_path ?? item.movePath };
  const moved = kind.move_path ?? item.move_path;
  const body = keyOf(item, BODIES) ?? keyOf(item, WHOLE);
  if (body && ["add", "delete"].includes(kind.type) && !/^(@@|---|diff )/m.test(item[body])) {
    return [file(name, [hunk(lines(item[body]).map((line) => [kind.type === "add" ? "+" : "-", line]), kind.type === "add" ? "New file" : "The file is deleted")])];
  }
  const { files } = changesOf({ ...item, path: name });
  if (!files.length) return kind.type === "delete" || moved ? [file(moved ?? name, [hunk([], moved ? "Moved" : "The file is deleted")], moved ? name : null)] : null;
  return files.map((each) => ({ ...each, path: moved ?? (each.path || name), from: moved ? name : each.from }));
}

/** A unified diff or a patch in a field. */
function ofBody(input) {
  const key = BODIES.find((name) => typeof input[name] === "string" && input[name].trim() && (name === "diff" || isPatch(input[name])));
  if (!key) return null;
  const path = keyOf(input, PATHS);
  const files = patchFiles(input[key], path ? input[path] : "");
  return { files, keys: [key, ...named(input, path, files)] };
}

const isPatch = (text) => PATCH.test(text) || /^@@ .*@@/m.test(text) || (/^--- /m.test(text) && /^\+\+\+ /m.test(text));

/** Old and new text, or the new source of a notebook's cell. */
function ofTexts(input) {
  const old = keyOf(input, OLD);
  const fresh = keyOf(input, NEW);
  if (!old && !fresh) return null;
  const path = keyOf(input, PATHS);
  const every = EVERY.find((key) => input[key] === true);
  const cell = fresh === "new_source";
  const isGone = cell && input.edit_mode === "delete";
  const what = [cell && typeof input.cell_id === "string" ? `Cell ${input.cell_id}` : "", isGone ? "is deleted" : cell && input.edit_mode === "insert" ? "is inserted" : "", every ? "Every occurrence" : ""].filter(Boolean).join(" ");
  const pairs = old || !cell ? compared(input[old] ?? "", input[fresh] ?? "") : lines(input[fresh]).map((line) => ["+", line]);
  const cells = cell ? ["cell_id", "edit_mode"].filter((key) => typeof input[key] === "string" && key in input) : [];
  const isKnownMode = !cell || [undefined, "replace", "insert", "delete"].includes(input.edit_mode);
  const keys = [old, fresh, ...(isKnownMode ? cells : cells.filter((key) => key !== "edit_mode")), ...beside(input, path), ...EVERY.filter((key) => typeof input[key] === "boolean")];
  return { files: [file(path ? input[path] : "", [hunk(pairs, what)])], keys: keys.filter(Boolean) };
}

/** A file that is written whole. */
function ofWhole(input) {
  const path = keyOf(input, PATHS);
  const key = keyOf(input, WHOLE);
  if (!path || !key) return null;
  return { files: [file(input[path], [hunk(lines(input[key]).map((line) => ["+", line]))])], keys: [key, ...beside(input, path)] };
}

/** Return the key of the path, if each name in it (Codex joins several) is that of a shown file. */
function named(input, path, files) {
  const shown = new Set(files.flatMap((each) => [each.path, each.from]));
  return path && (shown.has(input[path]) || input[path].split(", ").every((each) => shown.has(each))) ? [path] : [];
}

const beside = (input, path) => (path && typeof input[path] === "string" ? [path] : []);
const file = (path, hunks, from = null) => ({ path, from, hunks });
const hunk = (found, head = "") => ({ head, lines: found });
const lines = (text) => (text ? text.replace(/\n$/, "").split("\n") : []);

/** Join the hunks of one file that stand one after the other. */
function merged(files) {
  const found = [];
  for (const each of files) {
    const last = found.at(-1);
    if (last && last.path === each.path && last.from === each.from) last.hunks.push(...each.hunks);
    else found.push(each);
  }
  return found;
}

/** Return the lines of both texts: equal ones once, then what was removed and what was added. */
export function compared(old, fresh) {
  const [a, b] = [lines(old), lines(fresh)];
  let [start, end] = [0, 0];
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const same = (line) => [" ", line];
  const middle = between(a.slice(start, a.length - end), b.slice(start, b.length - end));
  const all = [...a.slice(0, start).map(same), ...middle, ...a.slice(a.length - end).map(same)];
  if (old !== fresh && !middle.length) all.push(["", "Only the line break at the end differs."]);
  return all;
}

/** The longest common subsequence, if the table for it is small; else all of both. */
function between(a, b) {
  const all = [...a.map((line) => ["-", line]), ...b.map((line) => ["+", line])];
  if (!a.length || !b.length || a.length * b.length > MOST_CELLS) return all;
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1 : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) found.push([" ", a[(j += 1, i++)]]);
    else if (i < a.length && (j === b.length || table[(i + 1) * width + j] >= table[i * width + j + 1])) found.push(["-", a[i++]]);
    else found.push(["+", b[j++]]);
  }
  return found;
}

/** Return the files of a unified diff or an `apply_patch` body. No line of it is left out, except
    the names that are shown as a file's name, and git's checksums. */
export function patchFiles(text, path = "") {
  const reader = new PatchReader(path);
  for (const line of lines(text)) reader.take(line);
  return reader.files.filter(({ hunks, from }) => from || hunks.some(({ lines: found, head }) => found.length || head));
}

const HUNK = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/;
const STARS = /^\*\*\* (Add File|Update File|Delete File|Move to): (.+)$/;

class PatchReader {
  constructor(path) {
    Object.assign(this, { path, files: [], left: null, isPatch: false });
  }

  begin(path, from = null, head = "") {
    this.files.push(file(path, head ? [hunk([], head)] : [], from));
    this.left = null;
    return this.files.at(-1);
  }

  get file() {
    return this.files.at(-1) ?? this.begin(this.path);
  }

  push(sign, text) {
    if (!this.file.hunks.length) this.file.hunks.push(hunk([]));
    this.file.hunks.at(-1).lines.push([sign, text]);
  }

  take(line) {
    const isInside = this.left && (this.left[0] > 0 || this.left[1] > 0);
    if (!isInside && this.takeHead(line)) return;
    const sign = line[0] ?? " ";
    if (!"+- ".includes(sign)) return this.push("", line);
    if (this.left && sign !== "+") this.left[0] -= 1;
    if (this.left && sign !== "-") this.left[1] -= 1;
    this.push(sign, line.slice(1));
  }

  /** Take a line outside of a hunk's counted lines; return whether it was a name or a head. */
  takeHead(line) {
    const stars = STARS.exec(line);
    if (stars) return this.takeStars(stars[1], stars[2]);
    if (/^\*\*\* (Begin Patch|End Patch|End of File)\s*$/.test(line)) return true;
    const sizes = HUNK.exec(line);
    if (sizes) this.left = [Number(sizes[1] ?? 1), Number(sizes[2] ?? 1)];
    if (sizes || line.startsWith("@@")) return this.file.hunks.push(hunk([], line));
    const git = /^diff --git a\/(.+) b\/(.+)$/.exec(line);
    if (git) return this.begin(git[2], git[1] === git[2] ? null : git[1]);
    if (/^index [0-9a-f]+\.\.[0-9a-f]+( \d+)?$/.test(line)) return true;
    if (line.startsWith("--- ")) return this.takeOld(name(line));
    if (line.startsWith("+++ ") && this.old !== undefined) return this.takeNew(name(line));
    return false;
  }

  takeStars(verb, path) {
    if (verb === "Move to") return Object.assign(this.file, { from: this.file.path, path });
    return this.begin(path, null, { "Add File": "New file", "Delete File": "The file is deleted" }[verb]);
  }

  takeOld(path) {
    this.old = path;
    return true;
  }

  takeNew(path) {
    const { old } = this;
    this.old = undefined;
    const [to, from] = path === NOWHERE ? [old, null] : [path, old === NOWHERE || old === path ? null : old];
    const last = this.files.at(-1);
    const isOpen = last && last.path === to && last.from === from && !last.hunks.some(({ head }) => head.startsWith("@@"));
    const open = isOpen ? last : this.begin(to, from);
    if (path === NOWHERE) open.hunks.push(hunk([], "The file is deleted"));
    else if (old === NOWHERE) open.hunks.push(hunk([], "New file"));
    return true;
  }
}

const name = (line) => line.slice(4).replace(/\t.*$/, "").replace(/^[ab]\//, "");
