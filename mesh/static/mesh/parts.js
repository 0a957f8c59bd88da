// One element for each part of an answer: text, thinking, tool calls, files, notices.
// Stored parts and parts that are still growing are painted by the same code.

import { noteOf } from "./chat.js";
import { asName, asWords, byId, duration, el, icon, marked, readable, visible, visibleText } from "./dom.js";
import { isTool, picturesOf, toolName } from "./fold.js";
import { Markdown } from "./markdown.js";

// Parts that have no element: a question is shown on its card, and why an agent began by itself above
// its answer; steps and sources are not shown. What an agent lets a person choose is for programs that
// read the stream.
const NOT_SHOWN = ["data-agent-options", "data-approval", "data-unasked", "source-document", "source-url", "step-start"];

/** The id of a message's element, and the fragment of a link to the message. */
export const nodeId = ({ id }) => `message-${id}`;

/**
 * Return {node, update(part, run)} for a part, or null for one that shows nothing.
 * `loadDetails()` imports details.js when a row is first opened.
 */
export function makePart(part, loadDetails) {
  if (part.type === "text") return new TextPart();
  if (part.type === "reasoning") return new ReasoningPart();
  if (isTool(part)) return new ToolPart(loadDetails);
  if (part.type === "file") return new FilePart();
  if (part.type === "data-run-restarted") return new RestartedPart();
  if (part.type === "data-carried-out") return new CarriedOutPart();
  if (part.type === "data-steer") return new SteerPart();
  if (part.type === "data-retry") return new RetryPart();
  if (Object.hasOwn(BESIDE, part.type)) return new BesidePart(part.type);
  if (!NOT_SHOWN.includes(part.type)) console.debug(`nothing shows a part of the kind ${part.type}`);
  return null;
}

/** Return the id of the call whose subagent made this call, or null. */
export const parentOf = (part) => part.callProviderMetadata?.mesh?.parentToolCallId ?? null;

const tookOf = (metadata) => metadata?.mesh?.tookMs;

export { isTool, toolName };

class TextPart {
  constructor() {
    this.node = el("div", { class: "part part--text" });
    this.markdown = new Markdown(this.node);
  }

  update(part, run) {
    this.markdown.update(part.text, part.state === "done" || !run.live);
    this.node.hidden = !part.text.trim();
  }
}

/** Says that the answer was restarted, and why. */
class RestartedPart {
  constructor() {
    const words = "The process that wrote this answer was lost, so the answer was started again.";
    this.node = el("p", { class: "note" }, icon("rotate-cw"), words);
  }

  update() {}
}

/** A link to the chat that carries out the plan. */
class CarriedOutPart {
  constructor() {
    this.link = el("a", {}, "a new chat");
    this.node = el("p", { class: "note" }, icon("list-todo"), el("span", {}, "The plan is carried out in ", this.link, "."));
  }

  update(part) {
    const id = String(part.data?.threadId ?? "");
    this.link.href = /^[-0-9a-f]+$/.test(id) ? id : ""; // relative to this chat's address
  }
}

/** A message that the person sent during the answer. */
class SteerPart {
  constructor() {
    this.bubble = el("div", { class: "bubble" });
    this.node = el("div", { class: "part steer", role: "note", "aria-label": "You, during the answer" }, this.bubble, el("p", { class: "steer__foot" }, icon("arrow-up"), "Read by the agent during its work"));
  }

  update(part) {
    const parts = part.data?.message?.parts ?? [];
    const files = parts.filter(({ type }) => type === "file").map(fileNode);
    this.bubble.replaceChildren(parts.filter(({ type }) => type === "text").map(({ text }) => text).join("\n\n"), ...files);
  }
}

const SAID = { 401: "the key was refused", 403: "not allowed", 408: "timed out", 429: "too many requests", 500: "an error of its own", 502: "not reachable", 503: "overloaded", 504: "timed out", 529: "overloaded" };

/** What the model's provider said before it was asked again. */
export function providerSaid({ status, reason }) {
  const words = SAID[status] ?? readable(String(reason ?? "").slice(0, 200));
  if (status) return `the provider said ${[status, words].filter(Boolean).join(", ")}`;
  return words ? `the provider said: ${words}` : "the provider did not answer";
}

/** Says after the answer that the provider was asked again; meanwhile the status line does. */
class RetryPart {
  constructor() {
    this.words = el("span", {});
    this.node = el("p", { class: "note note--text", hidden: true }, icon("rotate-cw"), this.words);
  }

  update({ data }, run) {
    const times = Number(data?.attempt) > 1 ? `${data.attempt} times` : "once";
    this.words.replaceChildren(...marked(`Tried again ${times}: ${providerSaid(data ?? {})}.`));
    this.node.hidden = run.live;
  }
}

class ReasoningPart {
  constructor() {
    this.started = performance.now();
    this.what = el("span", { class: "tool__what" });
    this.line = el("span", { class: "tool__where tool__where--words" });
    this.body = el("div", { class: "reasoning__text" });
    this.node = el(
      "details",
      { class: "part tool reasoning" },
      el("summary", { class: "tool__row" }, icon("brain"), this.what, this.line, chevron()),
      this.body,
    );
    this.node.addEventListener("toggle", () => this.node.open && this.fill());
  }

  update(part, run) {
    const open = run.live && part.state === "streaming";
    if (!open) this.took ??= tookOf(part.providerMetadata) ?? performance.now() - this.started;
    // Some models return their reasoning encrypted: there is nothing to read then.
    this.text = part.text.includes("REDACTED") ? "" : part.text.trim();
    const lines = this.text.split("\n").filter(Boolean);
    this.what.textContent = open ? "Thinking…" : this.took > 1500 ? `Thought for ${duration(this.took)}` : "Thought";
    this.line.textContent = readable(((open ? lines.at(-1) : lines[0]) ?? "").replace(/[*_#`]/g, "").slice(0, 100));
    this.node.hidden = !open && !this.text;
    if (this.node.open) this.fill();
  }

  fill() {
    this.body.textContent = this.text;
  }
}

// Data parts shown beside the text of an answer; painted by progress.js.
const BESIDE = { "data-todos": "todos", "data-plan": "plan", "data-diff": "diff", "data-notice": "notice" };

class BesidePart {
  constructor(kind) {
    this.kind = kind;
    this.node = el("div", { class: `part part--${BESIDE[kind]}`, hidden: true });
  }

  async update(part) {
    const { paint } = await import("./progress.js");
    if (this.data === part.data) return;
    this.data = part.data;
    paint(this.node, this.kind, part.data);
  }
}

class FilePart {
  constructor() {
    this.node = el("p", { class: "part" });
  }

  update(part) {
    this.node.replaceChildren(fileNode(part));
  }
}

/** Return the element for a file: a picture, or its name. Only files stored on the server are links. */
export function fileNode(part) {
  const url = String(part.url ?? "");
  const isKept = /^\/api\/[-\w]+\/decopilot\/files\/[-0-9a-f]+$/.test(url);
  const isPicture = part.mediaType?.startsWith("image/") && (isKept || url.startsWith("data:image/"));
  const given = String(part.filename ?? part.mediaType ?? "file");
  const name = visibleText(given);
  const shown = isPicture ? el("img", { class: "picture", src: url, alt: name, loading: "lazy" }) : el("span", { class: "chip" }, icon("file-text"), asName(given));
  if (!isKept) return shown;
  const link = el("a", { class: isPicture ? "picture__link" : "chip__link", href: url, target: "_blank", rel: "noopener", title: `Open ${name}` }, shown);
  const note = noteOf(part);
  return note ? el("figure", { class: "noted" }, link, el("figcaption", { class: "hint" }, asWords(note))) : link;
}

const STATES = {
  "input-streaming": ["preparing", "Preparing…"],
  "input-available": ["running", "Running"],
  "approval-requested": ["waiting", "Waiting for you"],
  "approval-responded": ["running", "Running"],
  "output-available": ["ok", "Done"],
  "output-error": ["failed", "Failed"],
  "output-denied": ["denied", "Denied by you"],
};

/** Return the state of a tool's row and its label; `live` says whether its run is active. */
export function toolState(part, live) {
  const [state, word] = STATES[part.state] ?? ["running", "Running"];
  if (part.preliminary && part.state === "output-available") return live ? ["running", "Running"] : ["stopped", "Stopped"];
  if (state === "ok" && (part.output?.isError || part.output?.exitCode > 0)) return ["failed", "Failed"];
  const ended = state === "failed" ? part.resultProviderMetadata?.mesh?.ended : null; // no result was reported: agents/harness/unfinished_calls.py
  if (ended) return ["stopped", { not_run: "Not run", withdrawn: "Withdrawn by the agent" }[ended] ?? "Interrupted"];
  if (isWithdrawn(part) && part.state === "input-available") return ["stopped", "Withdrawn by the agent"]; // unless more is told of it
  if (part.approval?.approved === false && state === "running") return ["denied", "Denied by you"];
  if (!live && ["preparing", "running", "waiting"].includes(state)) return ["stopped", "Stopped"];
  return [state, word];
}

class ToolPart {
  constructor(loadDetails) {
    this.loadDetails = loadDetails;
    this.picture = el("span", { class: "tool__icon" });
    this.what = el("span", { class: "tool__what" });
    this.where = el("code", { class: "tool__where" });
    this.count = el("span", { class: "tool__count" });
    this.time = el("span", { class: "tool__time" });
    this.word = el("span", { class: "tool__state" });
    this.unasked = el("span", { class: "tool__unasked", hidden: true }, icon("triangle-alert"), el("span", {}, "Ran without asking"));
    this.withdrawn = el("span", { class: "tool__withdrawn", hidden: true, title: "The agent took its question back before it had an answer" }, "Question withdrawn");
    this.pictures = el("span", { class: "tool__pictures", hidden: true });
    this.body = el("div", { class: "tool__body" });
    this.nested = el("div", { class: "steps__rows" });
    this.node = el(
      "details",
      { class: "part tool" },
      el("summary", { class: "tool__row" }, this.picture, this.what, this.where, this.count, this.time, this.withdrawn, this.unasked, this.word, chevron(), this.pictures),
      this.nested,
      this.body,
    );
    this.node.addEventListener("toggle", () => this.node.open && this.fill());
  }

  /** Add a step of the subagent that this call started; the row is open while it works. */
  nest(node, isLive) {
    if (isLive && !this.nested.firstChild) this.node.open = true;
    this.nested.append(node);
    this.count.textContent = `${this.nested.children.length} step${this.nested.children.length > 1 ? "s" : ""}`;
  }

  update(part, run) {
    const [state, word] = toolState(part, run.live);
    const { icon: picture, what, where } = describe(part, state);
    this.part = part;
    if (this.node.dataset.state !== state) {
      this.node.dataset.state = state;
      this.clock(state, tookOf(part.resultProviderMetadata));
      this.word.replaceChildren(...stateMark(state, part, word));
    }
    if (this.shown !== picture) this.picture.replaceChildren(icon((this.shown = picture)));
    if (this.said !== `${what}\n${where}`) {
      this.said = `${what}\n${where}`;
      this.what.replaceChildren(asName(what));
      this.where.replaceChildren(...marked(where));
    }
    this.unasked.hidden = !isUnasked(part);
    this.withdrawn.hidden = !isWithdrawn(part) || word === "Withdrawn by the agent";
    if (picturesOf(part).length && this.pictured !== part.output) this.showPictures((this.pictured = part.output));
    this.where.hidden = !where;
    this.where.title = where.length > 60 ? where : "";
    if (!this.nested.firstChild && this.counted !== part.input) this.countChanges((this.counted = part.input));
    if (this.node.open) this.fill();
  }

  async showPictures() {
    const { thumbnails } = await import("./pictures.js");
    this.pictures.replaceChildren(...thumbnails(this.part));
    this.pictures.hidden = false;
  }

  async countChanges(input) {
    if (!mayChange(input)) return;
    const { changesOf, countsOf } = await import("./changes.js");
    const { files } = changesOf(input);
    if (this.nested.firstChild || this.counted !== input || !files.length) return;
    const { added, removed } = countsOf(files);
    this.count.replaceChildren(el("span", { class: "plus" }, `+${added}`), " ", el("span", { class: "minus" }, `−${removed}`));
  }

  /** Show a running timer, or once the call has ended the duration: `reported`, else as timed here. */
  clock(state, reported) {
    if (state === "running") {
      this.started ??= performance.now();
      this.time.dataset.since = this.started;
    } else {
      delete this.time.dataset.since;
      const took = reported ?? (this.started ? performance.now() - this.started : 0);
      this.time.textContent = took >= 950 ? duration(took) : "";
    }
  }

  async fill() {
    const { detailsOf } = await this.loadDetails();
    const { part } = this;
    const key = JSON.stringify([part.state, part.errorText, part.input, part.output]).length + part.state;
    if (this.filled === key) return;
    this.filled = key;
    this.body.replaceChildren(...detailsOf(part, this.where.textContent));
  }
}

const isUnasked = (part) => part.callProviderMetadata?.mesh?.unasked === true;

/** Whether the agent took back its question about the call, so that no answer counts. */
const isWithdrawn = (part) => part.callProviderMetadata?.mesh?.withdrawn === true;

function stateMark(state, part, word) {
  if (state === "ok") return [icon("check"), part.approval && !isWithdrawn(part) ? el("span", {}, "Allowed") : el("span", { class: "unseen" }, "Done")];
  if (state === "running") return [el("span", { class: "unseen" }, word)];
  const picture = { failed: "circle-x", denied: "ban", stopped: "square", waiting: "hand" }[state];
  return [...(picture ? [icon(picture)] : []), el("span", {}, word)];
}

/** Return the chevron of a row that can be opened. */
export const chevron = () => {
  const mark = icon("chevron-right");
  mark.classList.add("tool__open");
  return mark;
};

// Icon; verb for done, running and waiting; object; and the input that holds the path or target.
const TOOLS = {
  bash: ["terminal", ["Ran", "Running", "Run"], "a command", "command"],
  read: ["file-text", ["Read", "Reading", "Read"], "a file", "file_path"],
  write: ["file-plus", ["Wrote", "Writing", "Write"], "a file", "file_path"],
  edit: ["file-pen", ["Edited", "Editing", "Edit"], "a file", "file_path"],
  notebookedit: ["file-pen", ["Edited", "Editing", "Edit"], "a notebook", "notebook_path"],
  grep: ["search", ["Searched for", "Searching for", "Search for"], "text in files", "pattern"],
  glob: ["search", ["Looked for", "Looking for", "Look for"], "files", "pattern"],
  ls: ["search", ["Listed", "Listing", "List"], "a folder", "path"],
  webfetch: ["globe", ["Fetched", "Fetching", "Fetch"], "a page", "url"],
  websearch: ["globe", ["Searched the web for", "Searching the web for", "Search the web for"], "something", "query"],
  task: ["bot", ["Asked a helper", "Asking a helper", "Ask a helper"], "", "description"],
  todowrite: ["list-todo", ["Updated the list", "Updating the list", "Update the list"], "", ""],
  taskcreate: ["list-todo", ["Added to the list", "Adding to the list", "Add to the list"], "", "subject"],
  tasklist: ["list-todo", ["Looked at the list", "Looking at the list", "Look at the list"], "", ""],
  askuserquestion: ["message-circle", ["Asked you", "Asking you", "Ask you"], "", ""],
  workingfolder: ["git-branch", ["Asked how to work here", "Asking how to work here", "Choose how to work here"], "", ""],
  exitplanmode: ["list-todo", ["Proposed a plan", "Proposing a plan", "Propose a plan"], "", ""],
};
Object.assign(TOOLS, { shell: TOOLS.bash, web_fetch: TOOLS.webfetch, todo_write: TOOLS.todowrite, multiedit: TOOLS.edit, apply_patch: TOOLS.edit, agent: TOOLS.task, taskupdate: TOOLS.todowrite });
const TENSE = { running: 1, preparing: 1, waiting: 2, denied: 2, stopped: 2 };

/** Return the index of the verb's form. What failed was not done, except a command, which ran. */
const tenseOf = (state, part, picture) => TENSE[state] ?? (state === "failed" && part.state !== "output-available" && picture !== "terminal" ? 2 : 0);

/** Describe a tool call for its `state`: icon, what it does, to which object, and where. */
export function describe(part, state) {
  const name = visible(toolName(part));
  const title = part.title ? visible(String(part.title)) : null;
  const input = part.input && typeof part.input === "object" ? part.input : {};
  const known = Object.hasOwn(TOOLS, name.toLowerCase()) ? TOOLS[name.toLowerCase()] : null;
  if (known) {
    const [picture, tenses, object, key] = known;
    const where = oneLine(input[key] ?? input.path ?? input.filePath ?? patched(input));
    return { icon: picture, what: title ?? tenses[tenseOf(state, part, picture)], object: title ? "" : object, where };
  }
  const [, server, tool] = /^mcp__(.+?)__(.+)$/.exec(name) ?? [null, "", name];
  const words = tool.replace(/([a-z\d])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " ").trim();
  const first = Object.values(input).find((value) => typeof value === "string" && value.length <= 200) ?? "";
  const what = words.charAt(0).toUpperCase() + words.slice(1) + (server ? ` (${server})` : "");
  return { icon: "wrench", what: title ?? what, object: "", where: oneLine(first) };
}

/** Summarise several ended calls in one line: "Read 4 files · ran 2 commands · 1 failed". What was
    denied, stopped, or failed to happen is not counted as done. */
export function summarise(parts) {
  const counts = new Map();
  const others = { failed: 0, denied: 0, stopped: 0 };
  const calls = parts.filter(isTool);
  for (const part of calls) {
    const [state] = toolState(part, false);
    if (state in others) others[state] += 1;
    const { icon: kind } = describe(part, "ok");
    const isDone = state === "ok" || (state === "failed" && (part.state === "output-available" || kind === "terminal"));
    if (isDone) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const words = [...counts].map(([kind, count]) => `${SUMS[kind]?.[0] ?? "used"} ${count} ${SUMS[kind]?.[1] ?? "tool"}${count > 1 ? "s" : ""}`);
  const unasked = calls.filter(isUnasked).length;
  words.push(...Object.entries(others).filter(([, count]) => count).map(([state, count]) => `${count} ${state === "stopped" ? "not finished" : state}`));
  if (unasked) words.push(`${unasked} without asking`);
  const line = words.join(" · ");
  return line.charAt(0).toUpperCase() + line.slice(1);
}

const SUMS = {
  terminal: ["ran", "command"],
  "file-text": ["read", "file"],
  "file-plus": ["wrote", "file"],
  "file-pen": ["made", "edit"],
  search: ["searched", "time"],
  globe: ["fetched", "page"],
  bot: ["asked", "helper"],
};

/** Name the files of a patch in the form that Codex and others use; empty without one. */
function patched(input) {
  const text = Object.values(input).find((value) => typeof value === "string" && value.startsWith("*** Begin Patch")) ?? "";
  return [...text.matchAll(/^\*\*\* (?:Add|Update|Delete) File: (.+)$/gm)].map(([, path]) => path).join(", ");
}

function oneLine(value) {
  // Other white space is marked: it may look like the end of what is named.
  const line = String(value).replace(/[ \t\n]+/g, " ").trim();
  return visible(line.length > 300 ? `${line.slice(0, 300)}…` : line);
}

// Keys of the inputs that changes.js, loaded with the first of them, may read as a change.
const OF_CHANGES = ["command", "edits", "changes", "content", "contents", "file_text", "diff", "patch", "patchText", "input", "old_string", "new_string", "oldString", "newString", "oldText", "newText", "old_str", "new_str", "new_source"];

function mayChange(input) {
  if (!input || typeof input !== "object" || !OF_CHANGES.some((key) => Object.hasOwn(input, key))) return false;
  const { command } = input;
  return command === undefined || String(command).includes("*** Begin Patch");
}

// One interval updates all running timers.
setInterval(() => {
  for (const node of byId("messages")?.querySelectorAll("[data-since]") ?? []) {
    const took = performance.now() - Number(node.dataset.since);
    node.textContent = took >= 950 ? duration(took) : "";
  }
}, 1000);
