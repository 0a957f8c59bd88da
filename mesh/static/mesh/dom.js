// Small helpers: elements, icons, morphing, formatted numbers, and calls to the API.

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

/** Return a text's nodes, with <code> for what is between backticks. */
export const withCode = (text) => text.split("`").map((piece, index) => (index % 2 ? el("code", {}, piece) : piece));

// Characters that are invisible or reverse the text around them: control characters except tab and
// line feed, direction marks, joiners, fillers, variation selectors except the emoji's, tags.
const UNSEEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\u{e0000}-\u{e0fff}]/gu;

/** Return `value`, a string or JSON value, with each invisible character replaced by its code point. */
export function visible(value) {
  if (typeof value === "string") return value.replace(UNSEEN, (found) => `⟨U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
  if (Array.isArray(value)) return value.map(visible);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [visible(key), visible(each)]));
}

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
    super(message);
    Object.assign(this, { code, hint: hint ?? "", status, retryAfter });
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
