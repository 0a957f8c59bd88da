// Paints the conversation: once per frame, without moving the reader. The document contains only the
// part of a long thread that is being read.

import { filesOf, isRefusal, textOf } from "./chat.js";
import { asWords, byId, copy, duration, el, icon, marked, readable, visibleText, withCode } from "./dom.js";
import { chevron, fileNode, isTool, makePart, nodeId, parentOf, summarise } from "./parts.js";

const FIRST = 80; // rows of a thread that are painted at first; older ones when scrolled to
const MORE = 120;
const MOST = 600; // rows kept while the page follows the end
const NEAR = 48; // pixels that still count as the end
const loadDetails = () => import("./details.js");

export class Transcript {
  /** `fetchPage(query)` fetches another page of the messages. */
  constructor(chat, { onRetry, onEdit, onAgain, onRephrase, onSend, fetchPage }) {
    Object.assign(this, { chat, onRetry, onEdit, onAgain, onRephrase, onSend, fetchPage });
    this.scroller = byId("transcript");
    this.column = byId("messages");
    this.newer = byId("newer");
    this.views = new Map();
    this.dirty = new Map(); // message → set of parts, or null for all
    this.earlier = el("button", { class: "button button--bare earlier", type: "button", hidden: true }, "Older messages");
    this.statusLine = el("div", { class: "status", hidden: true });
    this.column.append(this.earlier, this.statusLine);
    this.first = 0; // messages before this one are not in the document
    this.gapButton = null; // stands where messages in the middle are missing
    this.follows = true;
    this.lastTop = 0;
    this.listen();
  }

  listen() {
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.newer.addEventListener("click", () => this.toEnd());
    this.earlier.addEventListener("click", () => this.showEarlier());
    this.nearTop = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && this.showEarlier(), {
      root: this.scroller,
      rootMargin: "800px 0px 0px",
    });
    this.nearTop.observe(this.earlier);
    // The column's height also changes without a paint: a picture loads, a row or the keyboard opens.
    const sizes = new ResizeObserver(() => this.follows && this.jump());
    sizes.observe(this.column);
    sizes.observe(this.scroller);
    this.column.addEventListener("click", (event) => this.clicked(event));
  }

  clicked({ target }) {
    const button = target.closest(".code__copy");
    if (button) copy(button, button.closest("figure").querySelector("code").textContent);
    // A person who opens a row is reading: don't scroll to the end.
    if (target.closest("summary")) this.follows = false;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    // A lower window or a new card also moves the end: only scrolling up means leaving it.
    if (scrollHeight - scrollTop - clientHeight < NEAR) this.follows = true;
    else if (scrollTop < this.lastTop) this.follows = false;
    this.lastTop = scrollTop;
    if (this.follows) this.newer.hidden = true;
  }

  jump() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    // The reader may go up before the browser tells of this jump: that is a move, too.
    this.lastTop = this.scroller.scrollTop;
  }

  toEnd() {
    if (this.chat.gap) this.history.leaveGap();
    this.follows = true;
    this.newer.hidden = true;
    this.jump();
  }

  /** Paint the stored messages from the end; scroll to the message that the address names. */
  start() {
    const { messages } = this.chat;
    let rows = 0;
    this.first = messages.length;
    while (this.first > 0 && rows < FIRST) {
      this.first -= 1;
      rows += messages[this.first].parts.length;
    }
    for (const message of messages.slice(this.first)) this.dirty.set(message, null);
    this.paint();
    this.toEnd();
    this.goToNamed();
    addEventListener("hashchange", () => this.goToNamed());
  }

  async goToNamed() {
    if (location.hash.startsWith("#message-")) (await this.loadHistory()).goTo(location.hash.slice("#message-".length));
  }

  /** Load the module that fetches older pages, which only long conversations need. */
  async loadHistory() {
    const { History } = await import("./history.js");
    return (this.history ??= new History(this));
  }

  /** Note a change; it is painted with all others in the next frame. */
  change(message, part) {
    if (part === null) this.dirty.set(message, null);
    else if (this.dirty.get(message) !== null) {
      if (!this.dirty.has(message)) this.dirty.set(message, new Set());
      this.dirty.get(message).add(part);
    }
    this.schedule();
  }

  schedule() {
    this.frame ??= requestAnimationFrame(() => this.paint());
  }

  paint() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    const had = this.dirty.size > 0;
    for (const [message, parts] of this.dirty) this.paintMessage(message, parts);
    this.dirty.clear();
    if (this.follows) this.trim();
    this.showsEarlier();
    if (!had) return;
    if (this.follows) this.jump();
    else this.newer.hidden = false;
  }

  paintMessage(message, parts) {
    const at = this.chat.messages.indexOf(message);
    let view = this.views.get(message.id);
    if (at < 0) {
      view?.node.remove();
      this.views.delete(message.id);
    } else if (at >= this.first) {
      if (!view) {
        view = new VIEWS[message.role](message, this);
        this.views.set(message.id, view);
        this.put(view, at);
      }
      view.paint(parts);
    }
  }

  put(view, at) {
    const after = this.chat.messages.slice(at + 1).find((message) => this.views.has(message.id));
    const next = after ? this.views.get(after.id).node : this.statusLine;
    this.column.insertBefore(view.node, this.gapButton && after === this.chat.gap.before && this.gapButton.isConnected ? this.gapButton : next);
  }

  showsEarlier() {
    const view = this.views.get(this.chat.messages[this.first]?.id);
    const hidden = this.first === 0 && !(view?.from > 0) && !this.chat.older;
    if (this.earlier.hidden !== hidden) this.earlier.hidden = hidden;
  }

  /** Add older rows at the top without moving the text that is being read. */
  showEarlier() {
    const view = this.views.get(this.chat.messages[this.first]?.id);
    if (this.first === 0 && !(view?.from > 0)) {
      if (this.chat.older) this.loadHistory().then((history) => history.older());
      return;
    }
    const before = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.scroller.style.overflowAnchor = "none";
    if (view?.from > 0) view.showEarlier(MORE);
    else
      for (let rows = 0; this.first > 0 && rows < MORE; ) {
        this.first -= 1;
        const message = this.chat.messages[this.first];
        rows += message.parts.length;
        this.paintMessage(message, null);
      }
    this.showsEarlier();
    this.scroller.scrollTop = this.scroller.scrollHeight - before;
    requestAnimationFrame(() => {
      this.scroller.style.overflowAnchor = "";
      this.watchTop();
    });
  }

  /** Observe the button again, or one that is still near would not be reported again. */
  watchTop() {
    this.nearTop.unobserve(this.earlier);
    this.nearTop.observe(this.earlier);
  }

  /** Paint all messages from this one on, and stop following the end. */
  showFrom(index) {
    this.follows = false;
    while (this.first > index) this.paintMessage(this.chat.messages[(this.first -= 1)], null);
    const view = this.views.get(this.chat.messages[index].id);
    if (view?.from > 0) view.showEarlier(view.from);
    this.showsEarlier();
  }

  /** While the page follows the end, remove rows far above it from the document. */
  trim() {
    if (this.chat.gap) return;
    let rows = [...this.views.values()].reduce((sum, view) => sum + view.rows, 0);
    while (rows > MOST) {
      const message = this.chat.messages[this.first];
      const view = this.views.get(message?.id);
      if (!view) return;
      if (rows - view.rows >= FIRST) {
        rows -= view.rows;
        view.node.remove();
        this.views.delete(message.id);
        this.first += 1;
      } else {
        view.dropEarlier(rows - FIRST);
        return;
      }
    }
  }
}

/** A person's message, and whether it has been sent. */
class OwnMessage {
  constructor(message, transcript) {
    Object.assign(this, { message, transcript, rows: 1, from: 0 });
    this.bubble = el("div", { class: "bubble" });
    this.files = el("div", { class: "message__files" });
    this.foot = el("div", { class: "message__foot" });
    this.node = el("article", { id: nodeId(message), class: "message message--mine", "aria-label": "You" }, this.files, this.bubble, this.foot);
  }

  paint() {
    const { message } = this;
    const text = textOf(message);
    const files = filesOf(message);
    const known = JSON.stringify([text, files.map(({ url }) => url)]);
    if (this.known !== known) {
      this.known = known;
      this.bubble.replaceChildren(text);
      this.bubble.hidden = !text;
      this.files.replaceChildren(...files.map(fileNode));
      this.files.hidden = !files.length;
    }
    this.node.classList.toggle("message--sending", message.sending === "sending");
    this.node.classList.toggle("message--unsent", Boolean(message.unsent));
    const isLeftOut = this.transcript.chat.isLeftOut(message);
    this.node.classList.toggle("message--left-out", isLeftOut);
    const foot = isLeftOut ? [el("p", { class: "note" }, icon("ban"), "Not sent to the model again")] : [];
    if (message.sending === "failed") foot.push(...this.failed());
    else if (message.unsent) foot.push(...this.unsent());
    else if (message.sending && message.delayed) foot.push(el("p", { class: "card__hint", role: "status" }, `${message.delayed.message} Sending again…`));
    this.foot.replaceChildren(...foot);
  }

  /** Its run ended while it waited: no agent has it. */
  unsent() {
    const { message, transcript } = this;
    const { message: words = "You pressed Stop before it was sent.", hint = "", isSending, refused } = message.unsent;
    const button = (act, ...content) => el("button", { class: "button button--bare", type: "button", disabled: isSending, onclick: () => act(message) }, ...content);
    const why = el("p", {}, el("b", {}, "Not sent. "), [words, hint].filter(Boolean).join(" "));
    return [
      el("div", { class: "unsent", role: "group", "aria-label": "Not sent" }, why, el("span", { class: "unsent__acts" }, button(transcript.onEdit, icon("pencil"), "Edit"), button(transcript.onSend, icon("arrow-up"), "Send"))),
      refused ? el("p", { class: "card__refused", role: "alert" }, `${refused.message} ${refused.hint}`) : "",
    ];
  }

  failed() {
    const { message, transcript } = this;
    const { message: words = "It could not be sent.", hint = "" } = message.refused ?? {};
    return [
      el(
        "div",
        { class: "card card--bad", role: "alert" },
        el("p", {}, el("b", {}, "Not sent. "), words, hint ? el("span", { class: "card__hint" }, ` ${hint}`) : ""),
        el(
          "div",
          { class: "card__actions" },
          el("button", { class: "button button--bare", type: "button", onclick: () => transcript.onEdit(message) }, "Edit"),
          el("button", { class: "button", type: "button", onclick: () => transcript.onRetry(message) }, icon("rotate-cw"), "Try again"),
        ),
      ),
    ];
  }
}

/** Words of Mesh itself: why an agent began the answer that follows. */
class Note {
  constructor(message) {
    Object.assign(this, { message, rows: 1, from: 0 });
    this.words = el("span", {});
    this.node = el("article", { id: nodeId(message), class: "message message--note", "aria-label": "Note" }, el("p", { class: "note note--text" }, icon("bot"), this.words));
  }

  paint() {
    this.words.replaceChildren(asWords(textOf(this.message)));
  }
}

/** An answer: its parts, and how its run ended. */
class Answer {
  constructor(message, transcript) {
    Object.assign(this, { message, transcript, painters: new Map(), attempt: message.attempt });
    this.from = Math.max(0, message.parts.length - FIRST);
    this.painted = this.from; // parts before this index have been painted
    this.body = el("div", { class: "message__parts" });
    this.foot = el("div", { class: "message__foot" });
    this.node = el("article", { id: nodeId(message), class: "message message--answer", "aria-label": "Agent" }, this.body, this.foot);
  }

  get rows() {
    return this.painters.size;
  }

  paint(changed) {
    const { parts, live } = this.message;
    if (this.attempt !== this.message.attempt) this.begin();
    for (; this.painted < parts.length; this.painted += 1) this.add(parts[this.painted], null);
    for (const part of changed ?? this.painters.keys()) this.painters.get(part)?.update(part, this.message);
    if (changed === null) {
      this.node.classList.toggle("message--live", live);
      this.node.classList.toggle("message--left-out", isRefusal(this.message.error));
      this.foot.replaceChildren(...this.ending());
    }
    // Only answers that had ended when the page was opened: nothing folds while it is being read.
    this.folds ??= !live;
    if (this.folds && changed === null) this.foldSteps();
  }

  /** Remove the output of a lost attempt; the next one writes it again. */
  begin() {
    this.attempt = this.message.attempt;
    this.painters.clear();
    this.body.replaceChildren();
    this.from = this.painted = 0;
  }

  /** Fold three or more consecutive calls into one row. */
  foldSteps() {
    const { parts } = this.message;
    let run = [];
    const close = () => {
      if (run.filter(isTool).length >= 3) this.wrap(run);
      run = [];
    };
    for (const part of parts.slice(this.from)) {
      const painter = this.painters.get(part);
      if (!painter || painter.node.hidden) continue;
      if ((isTool(part) || part.type === "reasoning") && painter.node.parentNode === this.body) run.push(part);
      else close();
    }
    // The last steps stay open if no text follows them.
  }

  wrap(run) {
    const nodes = run.map((part) => this.painters.get(part).node);
    const row = el("summary", { class: "tool__row" }, icon("list-todo"), el("span", { class: "tool__what" }, summarise(run)), chevron());
    const steps = el("details", { class: "part tool steps" }, row, el("div", { class: "steps__rows" }));
    nodes[0].before(steps);
    steps.lastChild.append(...nodes);
  }

  add(part, before) {
    const painter = makePart(part, loadDetails);
    if (!painter) return;
    painter.update(part, this.message);
    this.painters.set(part, painter);
    const parent = this.helperOf(part);
    if (parent) parent.nest(painter.node, this.message.live);
    else this.body.insertBefore(painter.node, before);
  }

  /** Return the row of the call whose subagent made this call, if it is painted. */
  helperOf(part) {
    const id = parentOf(part);
    const call = id && this.message.parts.find((other) => other.toolCallId === id);
    return call ? this.painters.get(call) : null;
  }

  showEarlier(count) {
    const { parts } = this.message;
    const first = this.body.firstChild;
    const from = Math.max(0, this.from - count);
    for (let at = from; at < this.from; at += 1) this.add(parts[at], first);
    this.from = from;
    if (this.folds) this.foldSteps();
  }

  dropEarlier(count) {
    const { parts } = this.message;
    for (const end = Math.min(this.painted, this.from + count); this.from < end; this.from += 1) {
      this.painters.get(parts[this.from])?.node.remove();
      this.painters.delete(parts[this.from]);
    }
    for (const steps of this.body.querySelectorAll(".steps")) if (!steps.querySelector(".steps__rows > *")) steps.remove();
  }

  ending() {
    const { message } = this;
    if (message.live) return [];
    const found = [];
    if (message.error && message.state !== "cancelled") found.push(errorCard(message, this.transcript));
    if (message.state === "cancelled") found.push(el("p", { class: "note" }, icon("square"), "Stopped by you"));
    if (message.state === "completed" && !message.parts.some(isShown)) found.push(el("p", { class: "note" }, "The agent finished without an answer."));
    if (message.reason === "length") found.push(el("p", { class: "note" }, icon("triangle-alert"), "The answer was cut because it became too long. Ask the agent to continue."));
    if (textOf(message)) found.push(this.tools());
    return found;
  }

  tools() {
    const { metadata } = this.message;
    const took = Date.parse(metadata.finishedAt) - Date.parse(metadata.createdAt);
    const when = metadata.finishedAt ? new Date(metadata.finishedAt) : null;
    const words = [took >= 1000 ? duration(took) : "", metadata.costUsd ? `$${metadata.costUsd.toFixed(metadata.costUsd < 1 ? 3 : 2)}` : ""];
    const button = el("button", { class: "button button--bare message__copy", type: "button" }, icon("copy"), el("span", {}, "Copy"));
    button.addEventListener("click", () => copy(button, textOf(this.message)));
    const title = when ? `Finished ${when.toLocaleString()}` : null;
    return el("div", { class: "message__tools" }, button, el("span", { class: "message__facts", title }, words.filter(Boolean).join(" · ")));
  }
}

const VIEWS = { user: OwnMessage, system: Note, assistant: Answer };

const isShown = (part) => (part.type === "text" ? part.text.trim() : part.type !== "step-start" && !part.type.startsWith("data-"));

const isUnasked = (answer, { messages }) => messages[messages.indexOf(answer) - 1]?.role === "system";

function errorCard(message, transcript) {
  const { code, message: words, hint } = message.error;
  const details = [code && `code: ${code}`, `run: ${message.id}`, message.metadata.finishedAt && `at: ${message.metadata.finishedAt}`, words]
    .filter(Boolean)
    .join("\n");
  const copies = el("button", { class: "button button--bare", type: "button" }, icon("copy"), el("span", {}, "Copy"));
  copies.addEventListener("click", () => copy(copies, details));
  const actions = waysOn(message, transcript);
  return el(
    "div",
    { class: "card card--bad", role: "group", "aria-label": "The run failed" },
    el("p", { class: "card__title" }, icon("circle-alert"), el("b", {}, el("bdi", {}, ...withCode(words || "The run failed.")))),
    el("p", { class: "card__hint" }, ...withCode(hint ?? ""), hint ? " " : "", "Everything above is kept."),
    actions.length ? el("div", { class: "card__actions" }, ...actions) : null,
    el("details", { class: "card__details" }, el("summary", {}, "Show details"), el("pre", { tabindex: "0" }, ...marked(readable(details))), copies),
  );
}

/** Return what a person can do after a failure. */
function waysOn(message, transcript) {
  const { code, message: words } = message.error;
  const asked = transcript.chat.askedBy(message);
  const ways = [];
  // What the agent began by itself was no message that could be sent again.
  if (asked && !isUnasked(message, transcript.chat)) {
    if (isRefusal(message.error)) ways.push(...afterRefusal(asked, transcript));
    else ways.push(action("Try again", () => transcript.onAgain(asked), "rotate-cw"));
  }
  const command = code === "not_signed_in" && /`([^`]+)`/.exec(words)?.[1];
  if (command) {
    const takes = el("button", { class: "button button--bare", type: "button", title: visibleText(command) }, icon("copy"), el("span", {}, "Copy the command"));
    takes.addEventListener("click", () => copy(takes, command));
    ways.push(takes);
  }
  return ways;
}

/** Return the ways on after a refusal: the same words alone would be refused again. */
function afterRefusal(asked, transcript) {
  const actions = [action("Edit and send again", () => transcript.onRephrase(asked), "pencil")];
  const files = filesOf(asked);
  if (files.length && textOf(asked)) actions.push(action(files.length > 1 ? "Send again without the files" : "Send again without the file", () => transcript.onAgain(asked, { files: [] })));
  if (transcript.chat.hasEarlier(asked)) actions.push(action("Send again without the earlier messages", () => transcript.onAgain(asked, { metadata: { withoutEarlier: true } })));
  return actions;
}

const action = (words, onclick, name) => el("button", { class: "button", type: "button", onclick }, name ? icon(name) : null, words);
