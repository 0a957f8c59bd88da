// The state of the open thread: its messages, its runs, and what has changed in them.
// Stored messages and live events update the same state; nothing here touches the document.

import { Fold, RESTARTED, toolName } from "./fold.js";

const FINISHED = new Set(["completed", "failed", "cancelled", "expired", "steered"]);
const ACTIVE = new Set(["dispatched", "running", "waiting"]);
const RANK = ["queued", "dispatched", "running", "waiting"];
// A page that is opened during a run knows the thread's status before it knows the run.
const AS_STATE = { queued: "queued", running: "running", requires_action: "waiting" };

export class Chat {
  /** `onChange(message, part)`: part is null when more than one part may have changed. */
  constructor({ messages = [], thread = null, queue = [], rules = [], older = null }, { onChange, onStatus, onTitle }) {
    // Nothing is painted yet, so no change is reported until all stored messages are in place.
    Object.assign(this, { onChange: () => {}, onStatus, onTitle, thread, rules, older, messages: [], known: new Map(), runs: new Map() });
    this.gap = null; // messages missing in the middle: {before: message, newer: cursor}
    this.since = Date.now();
    this.expected = null;
    this.line = queue.map(({ messageId }) => messageId); // messages of queued runs, the next one first
    this.queue = []; // those of them that are not part of the conversation yet
    this.gone = new Set(); // runs whose message was withdrawn, or is part of another answer
    this.away = false;
    for (const stored of messages) this.take(stored);
    for (const { runId, messageId, message: why } of queue) this.runs.set(runId, { id: runId, state: "queued", since: Date.now(), prompt: messageId, why });
    this.arrange();
    this.onChange = onChange;
    // The status is a little older than the messages: a question without its answer decides.
    const last = this.messages.at(-1);
    if (!this.current() && last?.role !== "assistant" && !last?.unsent) this.expect(thread?.status);
  }

  /** Use the status in the thread's summary until a run reports its own. */
  expect(status) {
    this.expected = AS_STATE[status] ?? null;
  }

  /** Add a stored message; an unfinished answer continues from where it is. */
  take(stored) {
    const before = this.messages.at(-1);
    const message = this.insert(fromStored(stored));
    if (!message.live) return;
    message.fold = new Fold(message.id, message.parts, message.metadata);
    const since = Date.parse(message.metadata.createdAt) || Date.now();
    this.runs.set(message.id, { id: message.id, state: message.state, since, prompt: before?.id ?? null });
    this.expected = null;
  }

  /** Insert stored messages before the one at `index`; return the new ones. */
  fill(stored, index) {
    const fresh = stored.filter(({ id }) => !this.known.has(id)).map(fromStored);
    for (const message of fresh) this.known.set(message.id, message);
    this.messages.splice(index, 0, ...fresh);
    return fresh;
  }

  /** Return whether a run belongs to messages that are not loaded: their page will contain it. */
  isElsewhere(runId, messageId) {
    if (!this.older && !this.gap) return false;
    return !this.runs.has(runId) && !this.known.has(runId) && !this.known.has(messageId);
  }

  insert(message) {
    this.known.set(message.id, message);
    this.messages.push(message);
    return message;
  }

  /** Apply events of the journal, in order. */
  apply(events) {
    for (const { runId, chunk } of events) this.applyOne(runId, chunk);
    this.arrange();
    this.onStatus();
  }

  applyOne(runId, chunk) {
    if (chunk.type === "data-run-status") return this.move(chunk.data);
    if (this.gone.has(runId)) return null;
    if (chunk.type === "data-queue") return this.reorder(chunk.data.order);
    if (chunk.type === "data-rules") return (this.rules = chunk.data.rules);
    if (chunk.type === "data-steering") return this.steering(chunk.data);
    if (chunk.type === "data-user-message") return this.addPosted(chunk.data.message);
    if (chunk.type === "data-thread-title") return this.onTitle(chunk.data.title);
    if (!runId || this.isElsewhere(runId)) return null;
    // The provider is still being retried, or a server waited for, until another chunk arrives.
    this.runOf(runId).retry = chunk.type === "data-retry" ? { ...chunk.data, at: Date.now() } : null;
    const servers = chunk.type === "data-waiting" ? [chunk.data?.servers ?? []].flat().map(String) : [];
    this.runOf(runId).awaits = servers.length ? { servers, at: Date.now() } : null;
    const message = this.answerOf(runId);
    if (chunk.type === "error") message.error ??= { message: chunk.errorText };
    if (chunk.type === "abort") message.state = "cancelled";
    if (chunk.type === "finish") this.finish(message, chunk);
    const part = message.fold.apply(chunk);
    message.metadata = { ...message.metadata, ...message.fold.metadata };
    if (chunk.type === RESTARTED) Object.assign(message, { attempt: chunk.data.attempt, error: null });
    return this.onChange(message, chunk.type === RESTARTED ? null : part);
  }

  /** A person's message: from here, another tab, or the API. */
  addPosted(message) {
    const known = this.known.get(message.id);
    if (!known) return this.onChange(this.insert(fromStored(message)), null);
    Object.assign(known, { parts: message.parts, metadata: message.metadata ?? {}, sending: null });
    return this.onChange(known, null);
  }

  move({ runId, messageId, state, code, message, hint, neverSent }) {
    if (state === "steered" || code === "withdrawn") return this.vanish(runId, messageId);
    if (this.gone.has(runId) || this.isElsewhere(runId, messageId)) return;
    if (neverSent) return this.unsend(messageId, { runId, code, message, hint });
    const run = this.runOf(runId);
    if (run.state !== state) run.since = Date.now();
    Object.assign(run, { state, prompt: messageId, why: state === "queued" ? message : null });
    this.expected = null;
    if (state !== "queued") this.release(messageId);
    else if (!this.line.includes(messageId)) this.line.push(messageId);
    const prompt = this.known.get(messageId);
    if (prompt) this.onChange(prompt, null);
    const answer = this.known.get(runId) ?? (FINISHED.has(state) ? this.answerOf(runId) : null);
    if (!answer) return;
    answer.live = !FINISHED.has(state);
    answer.state = state;
    if (!answer.live) answer.metadata = { ...answer.metadata, finishedAt: new Date().toISOString() };
    if (code) answer.error = { code, message, hint };
    this.onChange(answer, null);
  }

  finish(message, chunk) {
    message.live = false;
    message.reason = chunk.finishReason ?? null;
    if (message.state === null) message.state = message.error ? "failed" : "completed";
    const run = this.runOf(message.id);
    if (!FINISHED.has(run.state)) run.state = message.state;
    // The whole row changes when its run ends: timers stop, "Stopped" appears.
    this.onChange(message, null);
  }

  runOf(runId) {
    if (!this.runs.has(runId)) this.runs.set(runId, { id: runId, state: "running", since: Date.now(), prompt: null });
    return this.runs.get(runId);
  }

  /** The growing answer of a run: its id is the run's. */
  answerOf(runId) {
    const run = this.runOf(runId);
    const known = this.known.get(runId);
    if (known?.fold) return known;
    // An answer stands behind its question, so that must be part of the conversation by now.
    if (run.prompt) this.release(run.prompt);
    const fold = new Fold(runId);
    const metadata = { createdAt: new Date(run.since).toISOString() };
    const fresh = { id: runId, role: "assistant", parts: fold.parts, metadata, fold, live: !FINISHED.has(run.state), state: null, error: null };
    if (known) return Object.assign(known, fresh);
    return this.place(fresh, run.prompt);
  }

  /** Put an answer after its question, before questions that were queued in the meantime. */
  place(answer, promptId) {
    this.known.set(answer.id, answer);
    const at = this.messages.findIndex((message) => message.id === promptId);
    this.messages.splice(at < 0 ? this.messages.length : at + 1, 0, answer);
    return answer;
  }

  /** Add a message that is being sent; while an agent works, at the end of the queue. */
  addOwn(id, parts, metadata = {}) {
    if (this.current()) this.line.push(id);
    const message = this.insert({ id, role: "user", parts, metadata, sending: "sending" });
    this.arrange();
    this.onChange(message, null);
    return message;
  }

  /** Return the person's message that an answer belongs to, if the page has it. */
  askedBy(answer) {
    const before = this.messages.slice(0, this.messages.indexOf(answer));
    return before.findLast(({ role }) => role === "user");
  }

  /** Whether no model is sent this message again, because one refused to answer it. */
  isLeftOut(message) {
    if (message.role !== "user") return isRefusal(message.error);
    const after = this.messages[this.messages.indexOf(message) + 1];
    return after?.role === "assistant" && isRefusal(after.error);
  }

  /** Whether the model was sent other messages with this one. */
  hasEarlier(message) {
    if (message.metadata?.withoutEarlier) return false;
    return this.older || this.messages.slice(0, this.messages.indexOf(message)).some((other) => !other.unsent && !this.isLeftOut(other));
  }

  // The queue

  /** Keep queued messages out of the conversation until it is their turn. */
  arrange() {
    const waits = this.line.filter((id) => this.known.has(id) && this.known.get(id).sending !== "failed");
    const isBusy = [...this.runs.values()].some(({ state }) => ACTIVE.has(state));
    const held = isBusy || this.away ? waits : waits.slice(1);
    for (const id of waits) if (!held.includes(id)) this.show(id);
    this.queue = held.map((id) => this.known.get(id));
    for (const message of this.queue) {
      if (!this.messages.includes(message)) continue;
      this.messages = this.messages.filter((other) => other !== message);
      this.onChange(message, null);
    }
  }

  /** The message has been sent to the agent: it is part of the conversation now. */
  release(id) {
    this.line = this.line.filter((other) => other !== id);
    this.queue = this.queue.filter((other) => other.id !== id);
    this.show(id);
  }

  show(id) {
    const message = this.known.get(id);
    if (!message || this.messages.includes(message)) return;
    this.messages.push(message);
    this.onChange(message, null);
  }

  reorder(order) {
    this.line = [...order, ...this.line.filter((id) => !order.includes(id))];
  }

  steering({ messageId, state }) {
    const message = this.known.get(messageId);
    if (message) message.steering = state;
  }

  /** The message was withdrawn, or is part of the answer that it was steered into. */
  vanish(runId, messageId) {
    this.gone.add(runId);
    this.runs.delete(runId);
    this.line = this.line.filter((id) => id !== messageId);
    for (const id of [runId, messageId]) if (this.known.has(id)) this.remove(id);
  }

  /** Note whether the machine is offline: then no message is on its way to it. */
  setAway(away) {
    if (this.away === away) return;
    this.away = away;
    this.arrange();
  }

  /** Its run ended while the message waited: it gets no answer, and can still be sent. */
  unsend(id, why) {
    this.gone.add(why.runId);
    this.runs.delete(why.runId);
    this.expected = null;
    const message = this.known.get(id);
    if (message) message.unsent = why;
    this.release(id);
    if (message) this.onChange(message, null);
  }

  runOfPrompt(id) {
    return [...this.runs.values()].find((run) => run.prompt === id) ?? null;
  }

  settle(id, refused = null) {
    const message = this.known.get(id);
    if (!message?.sending) return;
    message.sending = refused ? "failed" : null;
    message.refused = refused;
    if (refused) this.release(id);
    this.onChange(message, null);
    this.onStatus();
  }

  remove(id) {
    const message = this.known.get(id);
    this.known.delete(id);
    this.messages = this.messages.filter((other) => other.id !== id);
    this.onChange(message, null);
  }

  /** The current run: the furthest of those that have not ended, or null. */
  current() {
    const open = [...this.runs.values()].filter((run) => !FINISHED.has(run.state));
    const place = (run) => this.line.indexOf(run.prompt);
    open.sort((a, b) => RANK.indexOf(b.state) - RANK.indexOf(a.state) || place(a) - place(b));
    if (open[0]) return open[0];
    return this.expected ? { id: null, state: this.expected, since: this.since, prompt: null } : null;
  }

  /** The tools' questions that wait for the person's answer, the oldest first. */
  questions() {
    const live = this.messages.filter((message) => message.live);
    const found = live.flatMap((message) => openQuestions(message.parts));
    return found.sort((a, b) => RANKS.indexOf(kindOf(a.part)) - RANKS.indexOf(kindOf(b.part)));
  }
}

function fromStored({ id, role, parts, metadata = {}, createdAt }) {
  const state = metadata.state ?? null;
  const live = role === "assistant" && state !== null && !FINISHED.has(state);
  const facts = { createdAt, ...metadata };
  const unsent = metadata.neverSent ?? null;
  return { id, role, parts, metadata: facts, state, live, error: metadata.error ?? null, reason: metadata.finishReason, sending: null, unsent };
}

/** Return the questions that are not answered, or whose answer the agent does not have yet. */
function openQuestions(parts) {
  const statuses = new Map();
  for (const part of parts) if (part.type === "data-approval") statuses.set(part.data.approvalId, part.data);
  return parts
    .filter((part) => part.approval && ["approval-requested", "approval-responded"].includes(part.state))
    .map((part) => ({ part, status: statuses.get(part.approval.id) ?? null }))
    // Questions that a rule or the level has answered need no person, nor do those that the agent took back.
    .filter(({ status }) => !["applied", "withdrawn"].includes(status?.state) && (status?.by ?? "person") === "person")
    .map(({ part, status }) => ({ part: asAsked(part, status), rule: status?.rule ?? null, because: status?.because ?? "", answer: status?.decision ? status : null }));
}

/** Show the input that an answer would allow; the call may contain less, or something else. */
function asAsked(part, status) {
  if (!status || !("input" in status)) return part;
  return { ...part, type: "dynamic-tool", toolName: status.tool, input: status.input };
}

// Approvals first, then the plan, then questions.
const RANKS = ["permission", "folder", "plan", "question"];
const KINDS = { ExitPlanMode: "plan", AskUserQuestion: "question", WorkingFolder: "folder" };

/** What a part that waits for the person is: a permission, a plan, a question, or how to work in their folder. */
export const kindOf = (part) => KINDS[toolName(part)] ?? "permission";

/** The answer as Markdown, for copying. */
export const textOf = (message) =>
  message.parts.filter((part) => part.type === "text").map((part) => part.text).join("\n\n").trim();

/** The files that the message brought. */
/** Whether a run ended because the model or its provider refused the message; the server has the same codes (REFUSED). */
export const isRefusal = (error) => ["model_refused", "content_filtered", "file_refused"].includes(error?.code);

/** Return how a stored file differs from the one that was attached; empty if it doesn't. */
export const noteOf = (part) => String(part.providerMetadata?.mesh?.note ?? "");

export const filesOf = (message) => message.parts.filter((part) => part.type === "file");
