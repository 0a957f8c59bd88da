// Files for the next message: chosen, pasted or dropped, uploaded immediately, and shown above
// the text until they are sent. Loaded with the first file.

import { noteOf } from "./chat.js";
import { api, asName, asWords, byId, el, icon, readList, readableText, say, size, visibleText, write } from "./dom.js";

const MOST = 10; // files per message; the server has the same limit
const LONGEST = 2000; // pixels of a picture's longer side, as the server stores it
const HEAVY = 3_700_000; // bytes; the server's limit is a little higher
const SHRINKS = new Set(["image/png", "image/jpeg", "image/webp"]); // not GIF: it would lose its animation

export class Attachments {
  /** `onChange()` is called when the results of `parts()` or `trouble()` may have changed. */
  constructor({ url, key, onChange }) {
    Object.assign(this, { url, key, onChange, items: [], takes: null, title: "" });
    this.list = byId("files");
    this.giveBack(readList(key));
  }

  /** Upload files; each appears in the row immediately. */
  add(files) {
    for (const file of files) {
      if (this.items.length >= MOST) return this.complain(`A message takes up to ${MOST} files.`);
      const item = { name: file.name || "picture.png", state: "uploading", file, node: null };
      this.items.push(item);
      this.upload(item);
    }
    return this.changed();
  }

  /** Upload one file; resolve with its item when that has ended, with null if there is no room. */
  async attach(file) {
    if (this.items.length >= MOST) return null;
    const item = { name: file.name, state: "uploading", file, node: null };
    this.items.push(item);
    await this.upload(item);
    return item;
  }

  async upload(item) {
    Object.assign(item, { state: "uploading", refused: null });
    this.changed();
    try {
      const { body, note } = await shrunk(item.file);
      const kept = await api("POST", `${this.url}?name=${encodeURIComponent(item.name)}`, body);
      const part = note && !noteOf(kept.part) ? { ...kept.part, providerMetadata: { mesh: { note } } } : kept.part;
      Object.assign(item, { state: "ready", name: part.filename, part, size: kept.size, file: null });
      if (noteOf(part)) say(`${visibleText(item.name)}: ${readableText(noteOf(part))}.`);
    } catch (refused) {
      Object.assign(item, { state: "failed", refused });
      say(`${visibleText(item.name)} was not attached. ${refused.message}`);
    }
    this.changed();
  }

  remove(item) {
    const at = this.items.indexOf(item);
    this.items = this.items.filter((other) => other !== item);
    // If this fails, the server removes the unsent file after a day.
    if (item.part && !item.isSent) api("DELETE", item.part.url).catch(() => {});
    this.changed();
    say(`${visibleText(item.name)} removed.`);
    (this.list.querySelectorAll("button[data-remove]")[Math.min(at, this.items.length - 1)] ?? byId("text")).focus();
  }

  /** Return the parts for sending, and empty the row. */
  take() {
    const parts = this.parts();
    this.items = [];
    this.changed();
    return parts;
  }

  /** Restore the files of a message that was not sent. */
  giveBack(parts) {
    for (const part of parts) this.items.push({ name: part.filename, state: "ready", part, isSent: true });
    if (parts.length) this.changed();
  }

  parts() {
    return this.items.filter(({ part }) => part).map(({ part }) => part);
  }

  /** Set the kinds of file that the agent `title` accepts; null while no agent is picked. */
  judge(takes, title) {
    if (String(takes) === String(this.takes) && title === this.title) return;
    Object.assign(this, { takes, title });
    this.changed();
  }

  /** Return why the message can't be sent with these files; empty if it can. */
  trouble() {
    if (this.items.some(({ state }) => state === "uploading")) return "Uploading the files…";
    if (this.items.some(({ state }) => state === "failed")) return "Remove the files that could not be attached, or try them again.";
    const refused = this.takes && this.items.filter(({ part }) => !this.takes.includes(sortOf(part)));
    if (!refused?.length) return "";
    const what = refused.every(({ part }) => sortOf(part) === "image") ? "pictures" : "such files";
    return `${this.title} can't take ${what}. Choose another agent, or remove them.`;
  }

  changed() {
    store(this.key, this.parts());
    const why = this.trouble();
    const isTold = why && !this.items.some(({ state }) => state === "uploading");
    this.list.hidden = !this.items.length && !this.complaint;
    const rows = this.items.map((item) => (item.shown === item.state ? item.node : this.row(item)));
    const note = isTold ? why : this.complaint;
    this.list.replaceChildren(
      ...(rows.length ? [el("ul", { class: "files__row", "aria-label": "Attached files" }, ...rows)] : []),
      ...(note ? [el("p", { class: "files__why", role: "alert" }, icon("triangle-alert"), note)] : []),
    );
    this.complaint = "";
    this.onChange();
  }

  complain(words) {
    this.complaint = words;
    this.changed();
  }

  row(item) {
    const { state, part, refused } = item;
    const name = visibleText(item.name);
    const isPicture = part && sortOf(part) === "image";
    item.shown = state;
    item.node = el(
      "li",
      { class: `file file--${state}`, title: name },
      isPicture ? el("img", { class: "file__picture", src: part.url, alt: "" }) : icon(state === "failed" ? "circle-alert" : "file-text"),
      el("span", { class: isPicture || refused?.message.includes(item.name) ? "unseen" : "file__name" }, asName(item.name)),
      state === "uploading" ? el("span", { class: "file__facts" }, el("span", { class: "pulse", "aria-hidden": "true" }), "Uploading…") : null,
      state === "ready" && !isPicture && item.size ? el("span", { class: "file__facts" }, size(item.size)) : null,
      part && noteOf(part) ? el("span", { class: "file__facts file__note" }, asWords(noteOf(part))) : null,
      refused ? el("span", { class: "file__facts", role: "alert" }, asWords(refused.message), ` ${refused.hint}`) : null,
      refused && item.file ? el("button", { class: "button button--bare button--icon", type: "button", "aria-label": `Try ${name} again`, title: "Try again", onclick: () => this.upload(item) }, icon("rotate-cw")) : null,
      el("button", { class: "button button--bare button--icon file__remove", type: "button", "data-remove": true, "aria-label": `Remove ${name}`, title: "Remove", onclick: () => this.remove(item) }, icon("x")),
    );
    return item.node;
  }

  /** Move the draft's files to the thread that the new chat has become. */
  moveDraft(key) {
    store(this.key, []);
    this.key = key;
    store(key, this.parts());
  }
}

const sortOf = (part) => (part.mediaType.startsWith("image/") ? "image" : "text");

const store = (key, parts) => write(localStorage, key, parts.length ? JSON.stringify(parts) : null);

/** Return the body to upload: a photo scaled down, with a note that says so, or the file as it is. */
async function shrunk(file) {
  const asItIs = { body: file, note: "" };
  if (!SHRINKS.has(file.type)) return asItIs;
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return asItIs; // the server reports what is wrong with it
  const scale = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
  if (scale === 1 && file.size <= HEAVY) return asItIs;
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const as = (type) => new Promise((done) => canvas.toBlob(done, type, 0.9));
  const same = await as(file.type);
  const body = same && same.size <= HEAVY ? same : await as("image/jpeg");
  if (!body) return asItIs;
  const note = scale < 1 ? `Scaled down from ${picture.width} × ${picture.height} to ${canvas.width} × ${canvas.height} pixels` : "";
  return { body, note };
}
