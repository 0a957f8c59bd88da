// Folds chunks into the message that a reader sees, the AI SDK's UI message.
// Does the same as threads/core/fold.py; tests/threads/fold_cases.json tests both.

/** Starts a new attempt: the output of the lost one is not part of the answer. */
export const RESTARTED = "data-run-restarted";
const TEXT = /^(text|reasoning)-(start|delta|end)$/;

/** A message under construction; apply() takes the next chunk and returns the part it changed. */
export class Fold {
  /** Starts empty, or continues from the parts and metadata of an unfinished answer. */
  constructor(messageId = "", parts = [], metadata = {}) {
    Object.assign(this, { messageId, parts, metadata });
    this.texts = new Map(); // open text and reasoning parts, by kind and id
    this.inputs = new Map(); // text of a tool's input while it streams, by call
    this.tools = new Map(); // part of each call
    this.data = new Map(); // data parts that have an id
    this.unclosed = new Map(); // stored parts that were still streaming, by type: their ids are not stored
    for (const part of parts) {
      if (part.toolCallId) this.tools.set(part.toolCallId, part);
      else if (part.type.startsWith("data-") && part.id != null) this.data.set(`${part.type} ${part.id}`, part);
      else if (part.state === "streaming") this.unclosed.set(part.type, part);
    }
  }

  apply(chunk) {
    const kind = String(chunk.type);
    if (kind === RESTARTED) this.restart();
    if (kind.startsWith("data-")) return this.applyData(kind, chunk);
    const text = TEXT.exec(kind);
    if (text) return this.applyText(text[1], text[2], chunk);
    if (kind.startsWith("tool-")) return this.applyTool(kind, chunk);
    if (kind === "start-step") return this.add({ type: "step-start" });
    if (kind === "file" || kind.startsWith("source-")) return this.add({ ...chunk });
    if (kind === "finish-step") this.texts.clear();
    else if (["start", "finish", "message-metadata"].includes(kind)) this.applyMessage(kind, chunk);
    return null;
  }

  restart() {
    this.parts.length = 0;
    this.metadata = {};
    for (const known of [this.texts, this.inputs, this.tools, this.data, this.unclosed]) known.clear();
  }

  add(part) {
    this.parts.push(part);
    return part;
  }

  applyMessage(kind, chunk) {
    if (kind === "start" && chunk.messageId) this.messageId = chunk.messageId;
    if (isObject(chunk.messageMetadata)) this.metadata = merge(this.metadata, chunk.messageMetadata);
  }

  applyText(kind, step, chunk) {
    const key = `${kind} ${chunk.id}`;
    let part = this.texts.get(key) ?? (step === "start" ? null : this.takeUnclosed(kind, key));
    // A delta without its start is kept too: no text may be lost.
    if (step === "start" || !part) {
      if (step === "end") return null;
      // A second start of the same id forgets every open text, as finish-step does.
      if (part) this.texts.clear();
      part = this.add({ type: kind, text: "", state: "streaming" });
      this.texts.set(key, part);
    }
    if (step === "delta") part.text += chunk.delta ?? "";
    if (chunk.providerMetadata != null) part.providerMetadata = chunk.providerMetadata;
    if (step === "end") {
      part.state = "done";
      this.texts.delete(key);
    }
    return part;
  }

  takeUnclosed(kind, key) {
    const part = this.unclosed.get(kind);
    this.unclosed.delete(kind);
    if (part) this.texts.set(key, part);
    return part;
  }

  applyTool(kind, chunk) {
    const id = String(chunk.toolCallId);
    let part = this.tools.get(id);
    if (!part) {
      if (!kind.startsWith("tool-input-") || kind === "tool-input-delta") return null;
      part = this.add(newTool(id, chunk));
      this.tools.set(id, part);
    }
    for (const name of ["title", "providerExecuted"]) if (chunk[name] != null) part[name] = chunk[name];
    // The AI SDK keeps the metadata of a call and of its result apart.
    const isCall = kind === "tool-input-start" || kind === "tool-input-available";
    if (chunk.providerMetadata != null) part[isCall ? "callProviderMetadata" : "resultProviderMetadata"] = chunk.providerMetadata;
    if (kind === "tool-input-start") {
      part.state = "input-streaming";
      this.inputs.set(id, "");
    } else if (kind === "tool-input-delta") {
      // The page may have missed earlier deltas: then it waits for the whole input.
      if (!this.inputs.has(id) && part.input !== undefined) return part;
      const text = (this.inputs.get(id) ?? "") + (chunk.inputTextDelta ?? "");
      this.inputs.set(id, text);
      const value = parsePartial(text);
      if (value != null) part.input = value;
    } else {
      this.inputs.delete(id);
      toolSteps[kind]?.(part, chunk);
    }
    return part;
  }

  applyData(kind, chunk) {
    if (chunk.transient) return null;
    const answered = kind === "data-approval" ? this.applyApproval(chunk.data ?? {}) : null;
    const key = chunk.id == null ? null : `${kind} ${chunk.id}`;
    const known = key && this.data.get(key);
    if (known) {
      known.data = chunk.data;
      return answered ?? known;
    }
    const part = { type: kind };
    for (const name of ["id", "data"]) if (name in chunk) part[name] = chunk[name];
    if (key) this.data.set(key, part);
    this.add(part);
    return answered ?? part;
  }

  applyApproval(data) {
    const part = this.tools.get(String(data.toolCallId));
    if (!part || !data.decision) return part ?? null;
    if (part.state === "approval-requested") {
      part.state = "approval-responded";
      part.approval = { ...part.approval, approved: data.decision === "allow" };
      if (data.reason) part.approval.reason = data.reason;
    }
    return part;
  }
}

function newTool(id, chunk) {
  const name = String(chunk.toolName);
  if (chunk.dynamic) return { type: "dynamic-tool", toolName: name, toolCallId: id, state: "" };
  return { type: `tool-${name}`, toolCallId: id, state: "" };
}

const toolSteps = {
  "tool-input-available": (part, chunk) =>
    Object.assign(part, { state: "input-available", input: chunk.input ?? null }),
  "tool-input-error": (part, chunk) =>
    Object.assign(part, {
      state: "output-error",
      input: chunk.input ?? null,
      errorText: chunk.errorText ?? "",
    }),
  "tool-approval-request": (part, chunk) =>
    Object.assign(part, { state: "approval-requested", approval: { id: chunk.approvalId ?? null } }),
  "tool-output-available": (part, chunk) => {
    Object.assign(part, { state: "output-available", output: chunk.output ?? null });
    delete part.preliminary;
    if (chunk.preliminary) part.preliminary = true;
  },
  "tool-output-error": (part, chunk) => {
    // The preliminary output is dropped: the error replaces it.
    delete part.output;
    delete part.preliminary;
    Object.assign(part, { state: "output-error", errorText: chunk.errorText ?? "" });
  },
  "tool-output-denied": (part) => Object.assign(part, { state: "output-denied" }),
};

export const isTool = (part) => part.type === "dynamic-tool" || part.type.startsWith("tool-");
export const toolName = (part) => part.toolName ?? part.type.slice("tool-".length);

/** Return the pictures in a call's output. */
export const picturesOf = ({ output }) => (Array.isArray(output?.pictures) ? output.pictures.filter((each) => typeof each?.data === "string") : []);

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** Return `old` merged with `fresh`: objects key by key, any other value replaced. */
export function merge(old, fresh) {
  const merged = { ...old };
  for (const [key, value] of Object.entries(fresh)) {
    merged[key] = isObject(merged[key]) && isObject(value) ? merge(merged[key], value) : value;
  }
  return merged;
}

/** Parse `text`, which may be cut anywhere, as JSON; null if there is no value yet. */
export function parsePartial(text) {
  try {
    return JSON.parse(text);
  } catch {
    // Not complete yet.
  }
  try {
    const value = new PartialJson(text).value();
    return value === undefined ? null : value;
  } catch {
    return null;
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const CUT_NUMBER = /^-?\d*\.?\d*(?:[eE][+-]?\d*)?$/;
const CUT_ESCAPE = /(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?$/;

/** Parses JSON that may end anywhere: keeps a cut string, drops a key without a value. */
class PartialJson {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  skip() {
    while (" \t\n\r".includes(this.text[this.at] ?? "x")) this.at += 1;
    return this.at < this.text.length;
  }

  value() {
    if (!this.skip()) return undefined;
    const sign = this.text[this.at];
    if (sign === "{") return this.object();
    if (sign === "[") return this.array();
    if (sign === '"') return this.string().value;
    return this.literal();
  }

  object() {
    const found = {};
    for (this.at += 1; this.skip(); ) {
      const sign = this.text[this.at];
      if (sign === "," || sign === "}") {
        this.at += 1;
        if (sign === "}") return found;
        continue;
      }
      if (sign !== '"') throw new SyntaxError("a key is missing");
      const key = this.string();
      if (!key.whole || !this.skip()) break;
      if (this.text[this.at] !== ":") throw new SyntaxError("a colon is missing");
      this.at += 1;
      const value = this.value();
      if (value !== undefined) {
        // Not found[key] = …: "__proto__" is a key like any other.
        Object.defineProperty(found, key.value, {
          value,
          enumerable: true,
          configurable: true,
          writable: true,
        });
      }
    }
    return found;
  }

  array() {
    const found = [];
    for (this.at += 1; this.skip(); ) {
      const sign = this.text[this.at];
      if (sign === "," || sign === "]") {
        this.at += 1;
        if (sign === "]") return found;
        continue;
      }
      const value = this.value();
      if (value !== undefined) found.push(value);
    }
    return found;
  }

  string() {
    const start = this.at;
    let end = start + 1;
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === "\\" ? 2 : 1;
    const whole = end < this.text.length;
    this.at = whole ? end + 1 : this.text.length;
    const body = this.text.slice(start + 1, whole ? end : undefined);
    return { value: unescape(whole ? body : body.replace(CUT_ESCAPE, "$1")), whole };
  }

  literal() {
    const rest = this.text.slice(this.at);
    for (const [word, value] of [["true", true], ["false", false], ["null", null]]) {
      if (rest.startsWith(word) || word.startsWith(rest)) {
        this.at += Math.min(word.length, rest.length);
        return value;
      }
    }
    NUMBER.lastIndex = this.at;
    const number = NUMBER.exec(this.text);
    if (CUT_NUMBER.test(rest)) {
      this.at = this.text.length;
      return number ? Number(number[0]) : undefined;
    }
    if (!number) throw new SyntaxError("no value");
    this.at = NUMBER.lastIndex;
    return Number(number[0]);
  }
}

// Raw line breaks inside a string are not JSON, but models write them.
const RAW = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const unescape = (body) =>
  JSON.parse(`"${body.replace(/[\0-\x1f]/g, (c) => RAW[c] ?? `\\u00${c.charCodeAt(0).toString(16).padStart(2, "0")}`)}"`);
