// Small helpers: elements, icons, marks of odd characters, morphing, formatted numbers, and calls to
// the API. One module, to save requests on a cold page.

const SVG = "http://www.w3.org/2000/svg";

/** Create an element; a property that starts with "on" is a listener, null and false are skipped. */
export function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Return a symbol of templates/_partials/icons.html, hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Return the nodes of words, with <code> for what is between backticks, and marks. */
export const withCode = (text) => readable(text).split("`").flatMap((piece, index) => (index % 2 ? el("code", {}, ...marked(piece)) : marked(piece)));

// Characters that nobody sees, or that look like others: mesh/lib/marks.py, which says why, has the
// same table and rules for the templates; a test compares them.
export const TABLE = {
  controls: "0-8 B-1F 7F-9F",
  hidden: "AD 34F 115F-1160 1680 17B4-17B5 180E 200B 2028-2029 2060-2065 206A-206F 2800 3164 D800-DFFF FEFF FFA0 FFF0-FFFB 1BCA0-1BCA3 1D173-1D17A E0000-E00FF E01F0-E0FFF",
  joiners: "200C-200D",
  directions: "61C 200E-200F",
  turns: "202A-202E 2066-2069",
  variants: "180B-180D 180F FE00-FE0F E0100-E01EF",
  spaces: "A0 2000-200A 202F 205F 3000",
  pictures: "A9 AE 203C 2049 2122 2139 2194-2199 21A9-21AA 231A-231B 2328 23CF 23E9-23F3 23F8-23FA 24C2 25AA-25AB 25B6 25C0 25FB-25FE 2600-27BF 2934-2935 2B05-2B07 2B1B-2B1C 2B50 2B55 3030 303D 3297 3299 1F000-1FAFF",
  han: "2E80-2FDF 3005-3007 3021-3029 3038-303B 3400-4DBF 4E00-9FFF F900-FAFF 20000-323AF",
  kana: "3001-303F 3041-30FF AC00-D7A3 FF01-FF9F",
  mongolian: "1820-18AA",
  joining: "610-61A 620-65F 66E-6D3 6D5-6DC 6DF-6E8 6EA-6EF 6FA-6FF 710-74A 74D-7B1 7CA-7F5 840-85B 860-8E1 8E3-8FF 1820-18AA FB50-FDFB FE70-FEFC 1E900-1E94B",
  indic: "900-DFF 1000-109F 1A20-1AAF 1B00-1B7F A880-A8DF A980-A9DF 11000-1167F",
  unspaced: "E01-EFF 1000-109F 1780-17DD",
  backwards: "590-8FF FB1D-FDFF FE70-FEFC 10800-10FFF 1E800-1EFFF",
  letters: "30-39 41-5A 61-7A C0-D6 D8-F6 F8-24F 250-2AF 300-36F 370-373 376-377 37B-37D 37F 386 388-3FF 400-52F 531-556 561-587 1E00-1FFF 2160-217F 1D400-1D7FF",
  latin: "41-5A 61-7A C0-D6 D8-F6 F8-24F 1E00-1EFF",
  formulas: "1D400-1D7FF",
  symbols: "3B1-3C9 2160-217F",
};
export const ALIKE = "\u0430a \u0435e \u043eo \u0440p \u0441c \u0443y \u0445x \u0455s \u0456i \u0458j \u04bbh \u0501d \u051bq \u051dw \u04cfl \u0475v \u0433r \u0410A \u0412B \u0415E \u0405S \u0406I \u0408J \u041aK \u041cM \u041dH \u041eO \u0420P \u0421C \u0422T \u0423Y \u0425X \u050cG \u051cW \u03b1a \u03b9i \u03bak \u03bdv \u03bfo \u03c1p \u03c5u \u03c7x \u03f2c \u03f3j \u0391A \u0392B \u0395E \u0396Z \u0397H \u0399I \u039aK \u039cM \u039dN \u039fO \u03a1P \u03a4T \u03a5Y \u03a7X \u037fJ \u0585o \u057du \u0578n \u0570h \u0581g \u0566q \u054fS \u0555O \u0251a \u0261g \u2170i \u2174v \u2179x \u217cl \u217dc \u217ed \u217fm \u2160I \u2164V \u2169X \u216cL \u216dC \u216eD \u216fM";
export const ALIKE_SIGNS = "\u037e; \u0589: \u05c3: \u01c3! \u2010- \u2011- \u2012- \u2212- \u2024. \u2044/ \u2215/ \u2216\\ \u2223| \u2236: \u29f8/ \u29f5\\ \ua789: \uff0f/ \uff0e. \uff5c| \u02d7-";

/** Return what stands between the brackets of a character class. */
const classOf = (...names) => names.flatMap((name) => TABLE[name].split(" ")).map((found) => found.split("-").map((end) => `\\u{${end}}`).join("-")).join("");

const PICTURE = `[${classOf("pictures")}][\ufe0e\ufe0f]?[\u{1f3fb}-\u{1f3ff}]?`;
const FLAGS = ["gbeng", "gbsct", "gbwls"].map((code) => `\u{1f3f4}${[...code].map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt())).join("")}\u{e007f}`);
// Sequences in which a character that is marked elsewhere belongs to what people write.
const PROPER = [
  ...FLAGS,
  `${PICTURE}(?:\u200d${PICTURE})*`,
  "[0-9#*]\ufe0f\u20e3",
  `[${classOf("han")}][\ufe00-\ufe02\u{e0100}-\u{e01ef}]`,
  `[${classOf("mongolian")}](?:[\u180b-\u180d\u180f]|\u180e(?=[${classOf("mongolian")}]))`,
  `[${classOf("joining")}](?:\u200d|\u200c(?=[${classOf("joining")}]))`,
  `[${classOf("indic")}][\u200c\u200d]`,
].join("|");
const WIDE = `(?<=[${classOf("han", "kana")}])\\u3000+|\\u3000+(?=[${classOf("han", "kana")}])`;
const UNSPACED = `[${classOf("unspaced")}]\u200b(?=[${classOf("unspaced")}])`;
const ODD = ["controls", "hidden", "joiners", "turns", "variants"];

const pairs = (text) => text.split(" ").map((pair) => [...pair]);
const IS_ALIKE = new Map([...pairs(ALIKE), ...pairs(ALIKE_SIGNS)]);
const LETTERS_ALIKE = new Set(pairs(ALIKE).map(([sign]) => sign));
const SIGNS_ALIKE = pairs(ALIKE_SIGNS).map(([sign]) => sign).join("");

const READABLE = new RegExp(`${PROPER}|${UNSPACED}|([${classOf(...ODD, "directions")}])`, "gu");
const READABLE_BACKWARDS = new RegExp(`${PROPER}|${UNSPACED}|([${classOf(...ODD)}])`, "gu");
const SEEN_AS_OTHER = `[${[...LETTERS_ALIKE].join("")}${classOf("formulas")}${SIGNS_ALIKE}]`;
// First a mark that is there already: what is marked twice looks as if marked once.
const EXACT = new RegExp(`⟨${SEEN_AS_OTHER} U\\+[0-9A-F]{4,6}⟩|${PROPER}|${WIDE}|([${classOf(...ODD, "directions", "spaces")}])|(${SEEN_AS_OTHER})`, "gu");
const BACKWARDS = new RegExp(`[${classOf("backwards")}]`, "u");
const WORD = new RegExp(`[${classOf("letters")}]+`, "gu");
const LATIN = new RegExp(`[${classOf("latin")}]`, "u");
const SYMBOL = new RegExp(`[${classOf("symbols")}]`, "u");
const DISGUISE = new RegExp(`[${[...LETTERS_ALIKE].join("")}]`, "u");
const PLAIN = /^[\t\n -~]*$/;

// White space that would push what follows out of sight.
const GAP = new RegExp(`[ \t${classOf("spaces")}]{100,}`, "gu");
const EMPTY_LINES = /(?:[ \t]*\n){30,}/g;

const codePoint = (found) => `U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

function shorter(text) {
  const shown = text.replace(GAP, (gap) => ` ⟨${gap.length} spaces⟩ `);
  return shown.replace(EMPTY_LINES, (gap) => `\n⟨${gap.split("\n").length - 2} empty lines⟩\n`);
}

/** Return words with each invisible character, and each that turns text around, as its code point. */
export function readable(value) {
  const text = shorter(String(value));
  if (PLAIN.test(text)) return text;
  return text.replace(BACKWARDS.test(text) ? READABLE_BACKWARDS : READABLE, (found, odd) => (odd ? `⟨${codePoint(odd)}⟩` : found));
}

/** Return `value`, a string or JSON value, as readable() does, with odd spaces marked as well, and
    letters that look like others: for commands, paths, hosts, names, which a machine takes literally. */
export function visible(value) {
  if (typeof value === "string") return exact(shorter(value));
  if (Array.isArray(value)) return value.map(visible);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [visible(key), visible(each)]));
}

/** Return the key of a keydown event that is meant for the page; "" for one that is not.

    A key of an input method's composition is not, whether the event says so or, as Safari's Enter
    that ends one, only has its number. Nor is an Enter that writes a new line: in a text area with
    Shift, and on a touch screen, whose keyboard has no other; there, Ctrl or ⌘ makes it act. */
export function pressed(event) {
  if (event.isComposing || event.keyCode === 229) return "";
  if (event.key !== "Enter" || event.target.nodeName !== "TEXTAREA") return event.key;
  const isTouch = matchMedia("(pointer: coarse)").matches;
  return event.shiftKey || (isTouch && !event.ctrlKey && !event.metaKey) ? "" : "Enter";
}

function exact(text) {
  if (PLAIN.test(text)) return text;
  const letters = disguised(text);
  return text.replace(EXACT, (found, odd, alike, at) => {
    if (odd) return `⟨${codePoint(odd)}⟩`;
    return alike && (!LETTERS_ALIKE.has(alike) || letters.has(at)) ? `⟨${alike} ${codePoint(alike)}⟩` : found;
  });
}

/** Return where letters of another script stand for those of ASCII. */
function disguised(text) {
  const found = new Set();
  if (!DISGUISE.test(text)) return found;
  const words = [...text.matchAll(WORD)];
  const kinds = words.map(([word]) => kindOf(word));
  const gaps = words.map(({ 0: word, index }, at) => at + 1 < words.length && /^[ ,]+$/.test(text.slice(index + word.length, words[at + 1].index)));
  const leads = words.map(() => false); // whether a word of another script follows
  for (let at = words.length - 2; at >= 0; at -= 1) leads[at] = gaps[at] && (kinds[at + 1] === "foreign" || (kinds[at + 1] === "alike" && leads[at + 1]));
  let isBefore = false; // whether the word before is of another script
  words.forEach(({ 0: word, index }, at) => {
    const isSet = at > 0 && gaps[at - 1] && isBefore;
    const isQuoted = leads[at] && /['"(«„“‘]/.test(text[index - 1] ?? "");
    const isProper = kinds[at] === "foreign" || (kinds[at] === "alike" && (isSet || isQuoted));
    if (kinds[at] === "mixed" || (kinds[at] === "alike" && !isProper)) [...word].reduce((place, letter) => (LETTERS_ALIKE.has(letter) && found.add(place), place + letter.length), index);
    isBefore = isProper;
  });
  return found;
}

/** Return "mixed" (Latin letters and such that look alike), "alike" (only the latter), "foreign" (of
    another script), or "plain". */
function kindOf(word) {
  const letters = [...word].filter((letter) => !/[0-9\u0300-\u036f]/.test(letter));
  const alike = letters.filter((letter) => LETTERS_ALIKE.has(letter)).length;
  const isLatin = letters.some((letter) => LATIN.test(letter));
  if (alike && isLatin) return "mixed";
  if (alike && alike === letters.length) return alike === 1 && SYMBOL.test(letters[0]) ? "foreign" : "alike";
  return letters.length && !isLatin ? "foreign" : "plain";
}

const isolated = (text, begin) => (BACKWARDS.test(text) ? `${begin}${text}\u2069` : text);

/** As visible() and readable(), for where no element can keep a text from turning what surrounds it:
    an attribute, a page's title, an announcement. */
export const visibleText = (text) => isolated(visible(String(text)), "\u2066");
export const readableText = (text) => isolated(readable(text), "\u2068");

const MARK = /⟨(?:. )?U\+([0-9A-F]{4,6})⟩/gu;
const MEANINGS = [
  ["turns", "changes the direction of the text that follows"],
  ["directions", "an invisible mark of direction"],
  ["controls", "a control character"],
  ["spaces", "a space of another kind"],
  ["formulas", "a letter made for formulas"],
];

/** Return what a marked character does, for a person, by its code point in hexadecimal. */
export function meaningOf(code) {
  const sign = String.fromCodePoint(Math.min(parseInt(code, 16), 0x10ffff));
  if (IS_ALIKE.has(sign)) return `looks like “${IS_ALIKE.get(sign)}”, and is another character`;
  return MEANINGS.find(([name]) => new RegExp(`[${classOf(name)}]`, "u").test(sign))?.[1] ?? "can’t be seen";
}

/** Return the nodes for what visible() or readable() returned: each mark says what it stands for. */
export function marked(text) {
  const nodes = [];
  let end = 0;
  for (const { 0: mark, 1: code, index } of text.matchAll(MARK)) {
    nodes.push(text.slice(end, index), el("span", { class: "odd", title: meaningOf(code) }, mark));
    end = index + mark.length;
  }
  return [...nodes, text.slice(end)].filter((node) => node !== "");
}

/** Return the code points that are marked in `value`, as often as each is. */
export function marksIn(value) {
  const counts = new Map();
  const count = (text) => [...text.matchAll(MARK)].forEach(([mark, code]) => counts.set(code, [mark, (counts.get(code)?.[1] ?? 0) + 1]));
  const walk = (each) => {
    if (typeof each === "string") count(each);
    else if (each !== null && typeof each === "object") Object.entries(each).flat().forEach(walk);
  };
  walk(visible(value));
  return counts;
}

/** Return a command, path or name as an element in which each mark says what it stands for, and which
    can't turn the text around it. */
export const asName = (text) => el("bdi", { dir: "ltr" }, ...marked(visible(String(text))));

/** As asName(), for words, which may run from right to left. */
export const asWords = (text) => el("bdi", {}, ...marked(readable(text)));

/** Return a link that opens a file of the working folder in the work panel, around `shown`. */
export const fileLink = (target, ...shown) => el("a", { class: "path", href: "#panel", "data-panel": "files", "data-panel-target": target }, ...shown);

export const byId = (id) => document.getElementById(id);

/** Change `from` into `to` in place: unchanged nodes keep focus, selection, and what the reader has
    typed, chosen or opened. Why we use no library: docs/adr/0026. */
export function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) {
    from.replaceWith(to);
    return to;
  }
  if (from.nodeType === Node.TEXT_NODE) {
    if (to.data.startsWith(from.data)) from.appendData(to.data.slice(from.data.length));
    else if (from.data !== to.data) from.data = to.data;
    return from;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) return from;
  morphAttributes(from, to);
  morphChildren(from, to);
  return from;
}

function morphAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    // The reader opened the <details> or dialog, so it stays open.
    if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  if (from.nodeName === "INPUT" && from.type === "radio") from.checked = to.checked;
}

/** Make the children of `from` equal to those of `to`; a child with an id is matched by it. */
export function morphChildren(from, to) {
  let named = null; // filled on first use: most elements have no child with an id
  let here = from.firstChild;
  for (const child of [...to.childNodes]) {
    if (child.id) named ??= new Map([...from.children].map((node) => [node.id, node]));
    const known = child.id ? named.get(child.id) : null;
    named?.delete(child.id); // a second child with the same id is a new one
    if (known && known !== here) move(from, known, here);
    const old = known ?? (here?.id ? null : here);
    if (old) {
      here = old.nextSibling;
      morph(old, child);
    } else {
      from.insertBefore(child, here);
    }
  }
  while (here) {
    const next = here.nextSibling;
    here.remove();
    here = next;
  }
}

function move(parent, node, before) {
  if (parent.moveBefore) return parent.moveBefore(node, before);
  const focused = node.contains(document.activeElement) ? document.activeElement : null;
  parent.insertBefore(node, before);
  focused?.focus({ preventScroll: true });
  return node;
}

/** Format a duration: "12 s", "3 min", "1 h 5 min". */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10 && seconds % 60) return `${minutes} min ${seconds % 60} s`;
  if (minutes < 60) return `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

/** Format a size with its unit: "812 B", "4.2 kB", "5 MB". */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0)} kB`;
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/** An error from the API, with its code, message and hint. */
export class Refused extends Error {
  constructor({ code, message, hint }, status, retryAfter = 0) {
    super(readable(message ?? "")); // it may name what somebody else chose
    Object.assign(this, { code, hint: readable(hint ?? ""), status, retryAfter });
  }
}

const csrf = () => document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";

const SILENCE = 60_000; // milliseconds without progress after which a request is aborted

/** Resolve with the finished request. Rejects if the server can't be reached, or on a stall. */
function exchange(method, path, headers, body) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not report the progress of an upload
    let watch = null;
    const moved = () => {
      clearTimeout(watch);
      watch = setTimeout(() => request.abort(), SILENCE);
    };
    request.open(method, path);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = request.onprogress = request.onreadystatechange = moved;
    request.onload = () => resolve(request);
    request.onerror = request.onabort = () => reject(new Error("unreachable"));
    request.onloadend = () => clearTimeout(watch);
    moved();
    request.send(body);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Call the API and return its JSON; a Blob is sent unchanged. Throws Refused, also if the server
    can't be reached. */
export async function api(method, path, body) {
  const isWhole = body instanceof Blob;
  const type = isWhole ? "application/octet-stream" : "application/json";
  const headers = { "Content-Type": type, Accept: "application/json", "X-CSRFToken": csrf() };
  let response;
  try {
    const sent = body === undefined || isWhole ? body : JSON.stringify(body);
    response = await exchange(method, path, headers, sent);
  } catch {
    throw new Refused({
      code: "unreachable",
      message: "The server could not be reached.",
      hint: "Check that Mesh is running and that this device has a network.",
    });
  }
  const answer = parsed(response.responseText);
  if (response.status >= 200 && response.status < 300) return answer;
  throw new Refused(
    answer?.error ?? {
      code: `http_${response.status}`,
      message: "Something unexpected came back from the server.",
      hint: "Try again in a moment.",
    },
    response.status,
    Number(response.getResponseHeader("Retry-After")) || 0,
  );
}

const PATIENCE = 90_000; // milliseconds for which a 503 with Retry-After is retried

/** Call the API, and retry while it answers 503 with Retry-After: its database is unavailable. Only
    for requests that are safe to repeat. `onWait(refused)` is called before each pause. */
export async function apiWithPatience(method, path, body, onWait = () => {}) {
  for (const until = Date.now() + PATIENCE; ; ) {
    try {
      return await api(method, path, body);
    } catch (refused) {
      if (refused.status !== 503 || !refused.retryAfter || Date.now() > until) throw refused;
      onWait(refused);
      await new Promise((resolve) => setTimeout(resolve, refused.retryAfter * 1000));
    }
  }
}

/** Store a choice (plain letters, no ";") for a year in a cookie, which the server reads too. */
export function remember(name, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${value}; Path=/; Max-Age=${value ? 31536000 : 0}; SameSite=Lax${secure}`;
}

/** Return a stored text; empty if there is none. */
export function read(storage, key) {
  try {
    return storage.getItem(key) ?? "";
  } catch {
    return ""; // storage is blocked: the text is still on the page
  }
}

/** Return a list that was stored as JSON. */
export function readList(key) {
  try {
    return JSON.parse(read(localStorage, key)) ?? [];
  } catch {
    return []; // missing, or not our JSON
  }
}

/** Store a text, or remove it if it is empty. */
export function write(storage, key, text) {
  try {
    if (text) storage.setItem(key, text);
    else storage.removeItem(key);
  } catch {
    // Storage is blocked, as above.
  }
}

/** Offer to load the page anew, and say why. */
export function offerReload(why) {
  const notice = byId("stale");
  if (notice.hidden) say(why);
  notice.hidden = false;
  notice.querySelector("span").textContent = why;
  notice.querySelector("button").onclick = () => location.reload();
}

/** Announce a text to screen readers. */
export function say(text) {
  const live = byId("say");
  if (live && live.textContent !== text) live.textContent = text;
}

/** Copy a text, and confirm it on the button for a moment. */
export async function copy(button, text) {
  const label = button.querySelector("span") ?? button;
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(text);
    label.textContent = "Copied";
  } catch {
    label.textContent = "Not allowed to copy";
  }
  setTimeout(() => (label.textContent = before), 1500);
}
