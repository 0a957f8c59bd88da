// The card above the composer when the agent waits for the person: permissions, one or several,
// a plan, or a question; or when Mesh asks how the agent may work in a folder. Loaded when the first one does.

import { kindOf } from "./chat.js";
import { apiWithPatience, asName, asWords, byId, el, icon, marksIn, meaningOf, pressed, say, visible, visibleText } from "./dom.js";
import { inputView } from "./details.js";
import { toolName } from "./fold.js";
import { describe } from "./parts.js";

const STATION = {
  sending: "Sending your answer…",
  answered: "Your answer is on its way to the machine…",
  delivered: "The machine has your answer; the agent continues in a moment…",
};
const TITLES = { permission: "May the agent do this?", plan: "A plan for you to read", question: "The agent asks you", folder: "Before the agent starts" };

/**
 * Show what waits in the open thread; `url(approvalId)` is where an answer goes, `url()` where
 * several do.
 */
export class Approvals {
  constructor(url) {
    this.url = url;
    this.slot = byId("approvals");
    this.sent = new Map(); // answers of this tab: the decision, or the error
    this.seen = new Set(); // permissions that have been shown in full
    this.at = null; // the one that is shown
    this.why = false; // whether a reason is being written
  }

  paint(questions, { machine, hearsReasons }) {
    Object.assign(this, { questions, machine, hearsReasons });
    const open = questions.filter((question) => this.isOpen(question));
    const shown = open.find(({ part }) => part.approval.id === this.at) ?? open[0] ?? questions[0];
    const key = shown && JSON.stringify([questions.map(({ part }) => part.approval.id), shown.part.approval.id, shown.rule, shown.because, open.length, shown.answer?.state, machine, this.sent.get(shown.part.approval.id), this.why, this.seen.size]);
    if (key === this.key) return;
    this.key = key;
    if (this.at !== shown?.part.approval.id) this.why = false;
    this.at = shown?.part.approval.id ?? null;
    // Its buttons are about to disappear: the next question, or the message box, takes the focus.
    const hadFocus = this.slot.contains(document.activeElement);
    this.slot.replaceChildren(...(shown ? [this.card(shown, open)] : []));
    this.guardAll(shown);
    if (hadFocus) (this.slot.querySelector(this.why ? "textarea" : ".card") ?? byId("text")).focus();
    if (!shown || !this.isOpen(shown) || this.announced === this.at) return;
    this.announced = this.at;
    const { what, where } = describe(shown.part, "waiting");
    say(kindOf(shown.part) === "permission" ? `Approval needed: ${what} ${where}` : TITLES[kindOf(shown.part)]);
  }

  isOpen({ part, answer }) {
    return !answer && !this.sent.get(part.approval.id)?.decision;
  }

  again() {
    this.key = null;
    this.paint(this.questions, this);
  }

  card(question, open) {
    const { part, answer } = question;
    const kind = kindOf(part);
    const sent = this.sent.get(part.approval.id);
    const station = answer ? answer.state : sent?.decision ? "sending" : null;
    const away = this.machine?.state === "offline" ? [asName(this.machine.name), " is offline. Your answer is kept, and sent when it is back."] : null;
    return el(
      "section",
      { class: `card card--needs approval approval--${kind}`, tabindex: "-1", "aria-label": kind === "permission" ? "Approval needed" : TITLES[kind] },
      this.title(question, open),
      kind === "permission" ? this.permission(question) : this.other(question, kind),
      away ? el("p", { class: "card__hint" }, icon("wifi-off"), " ", ...away) : null,
      sent?.refused ? el("p", { class: "card__refused", role: "alert" }, `${sent.refused.message} ${sent.refused.hint}`) : null,
      station ? this.station(station, answer?.decision ?? sent.decision, kind) : kind === "permission" ? this.buttons(question, open) : null,
    );
  }

  title(question, open) {
    const { cwd } = question.part.input ?? {};
    const where = [...(this.machine ? ["on ", asName(this.machine.name)] : []), this.machine && cwd ? ", " : "", ...(cwd ? ["in ", asName(cwd)] : [])];
    const picture = { permission: "hand", plan: "list-todo", question: "message-circle", folder: "git-branch" }[kindOf(question.part)];
    return el("p", { class: "card__title" }, icon(picture), el("b", {}, TITLES[kindOf(question.part)]), el("span", { class: "card__hint" }, ...where), this.pager(question, open));
  }

  pager(question, open) {
    const at = open.indexOf(question);
    if (open.length < 2 || at < 0) return null;
    const to = (by) => () => {
      this.at = open[(at + by + open.length) % open.length].part.approval.id;
      this.again();
    };
    const button = (label, picture, by) => el("button", { class: "button button--bare button--icon", type: "button", "aria-label": label, title: label, onclick: to(by) }, icon(picture));
    return el("span", { class: "card__pager" }, button("Previous request", "chevron-left", -1), el("span", { class: "card__count" }, `${at + 1} of ${open.length}`), button("Next request", "chevron-right", 1));
  }

  permission({ part, rule: words, because }) {
    const rule = words && visible(words);
    const { icon: picture, what, object } = describe(part, "waiting");
    const { description } = part.input ?? {};
    return el(
      "div",
      { class: "approval__body" },
      el("p", { class: "approval__what" }, icon(picture), el("span", {}, asName(what), ` ${object}`), description ? el("span", { class: "card__hint" }, asWords(description)) : null),
      because ? el("p", { class: "approval__because card__hint" }, icon("info"), el("span", {}, asWords(because))) : null,
      inputView(part.input),
      rule ? el("p", { class: "approval__rule card__hint" }, icon("shield-check"), el("span", {}, el("b", {}, "Always"), " allows, in this chat, ", asName(rule), ".")) : null,
    );
  }

  /** A plan or questions: their module is loaded with the first of them. */
  other(question, kind) {
    const body = el("div", { class: "approval__body" });
    const { id } = question.part.approval;
    import("./asks.js").then(({ PlanCard, QuestionCard }) => {
      const Card = kind === "plan" ? PlanCard : QuestionCard;
      this.bodies ??= new Map();
      if (!this.bodies.has(id)) this.bodies.set(id, new Card(question.part.input ?? {}, (answer) => this.answer(id, answer), () => this.carryOut(id), kind === "folder"));
      body.replaceChildren(this.bodies.get(id).node);
      this.bodies.get(id).enable(this.isOpen(question));
    });
    return body;
  }

  station(station, decision, kind) {
    const picture = decision === "allow" ? "check" : "ban";
    const word = kind === "permission" ? (decision === "allow" ? "Allowed. " : "Denied. ") : "Answered. ";
    return el("p", { class: "approval__station", role: "status" }, icon(picture), el("b", {}, word), STATION[station] ?? "");
  }

  buttons({ part, rule }, open) {
    const { id } = part.approval;
    if (this.why) return this.reason(id);
    const permissions = open.filter((each) => kindOf(each.part) === "permission");
    const isAllSeen = permissions.every((each) => this.seen.has(each.part.approval.id));
    const button = (words, act, props = {}) => el("button", { class: "button", type: "button", onclick: act, ...props }, words);
    return el(
      "div",
      { class: "card__actions" },
      button("Deny with a reason…", () => this.askWhy(), { class: "button button--bare" }),
      el("span", { class: "card__gap" }),
      button("Deny", () => this.answer(id, { decision: "deny" })),
      permissions.length > 1
        ? button(`Allow all ${permissions.length}`, () => this.allowAll(permissions), { disabled: !isAllSeen, title: isAllSeen ? null : "Look at each request first", class: "button approval__all" })
        : null,
      rule ? button("Always", () => this.answer(id, { decision: "allow", remember: true }), { class: "button approval__yes", title: `Allow ${visibleText(rule)}, from now on in this chat` }) : null,
      button("Allow", () => this.answer(id, { decision: "allow" }), { class: "button button--primary approval__yes" }),
    );
  }

  askWhy() {
    this.why = true;
    this.again();
    this.slot.querySelector("textarea")?.focus();
  }

  reason(id) {
    const box = el("textarea", { class: "queue__box", dir: "auto", rows: "2", maxlength: "2000", "aria-label": "Why not?", placeholder: "What should it do instead?" });
    const back = () => {
      this.why = false;
      this.again();
    };
    const deny = () => this.answer(id, { decision: "deny", reason: box.value.trim() });
    box.addEventListener("keydown", (event) => {
      const key = pressed(event);
      if (key === "Escape") back();
      else if (key === "Enter") deny();
      else return;
      event.preventDefault();
    });
    return el(
      "div",
      { class: "approval__why" },
      box,
      this.hearsReasons ? null : el("p", { class: "card__hint" }, "This agent is only told that you denied it. Your reason is kept in the chat."),
      el("div", { class: "card__actions" }, el("button", { class: "button button--bare", type: "button", onclick: back }, "Back"), el("button", { class: "button button--primary", type: "button", onclick: deny }, "Deny")),
    );
  }

  /** What doesn't fit, and what can't be seen, must be opened before it can be allowed. */
  guardAll(shown) {
    if (!shown || kindOf(shown.part) !== "permission" || !this.isOpen(shown)) return;
    const { id } = shown.part.approval;
    const seen = () => {
      if (this.seen.has(id)) return;
      this.seen.add(id);
      this.again();
    };
    const marks = marksIn([shown.part.input, shown.rule ?? "", toolName(shown.part), shown.part.title ?? ""]);
    const body = this.slot.querySelector(".approval__body");
    if (marks.size && this.seen.has(id)) body.append(marksList(marks));
    if (marks.size && !this.seen.has(id)) body.append(guardMarks(marks, this.slot, seen));
    const closed = this.seen.has(id) ? [] : [...this.slot.querySelectorAll("pre")].filter((pre) => guard(pre, this.slot, seen));
    if (this.seen.has(id) || (!closed.length && !marks.size)) {
      for (const pre of this.slot.querySelectorAll("pre")) open(pre);
      seen();
    }
  }

  async allowAll(permissions) {
    const ids = permissions.map(({ part }) => part.approval.id);
    await this.send(ids, this.url(), { approvalIds: ids, decision: "allow" });
  }

  answer(id, answer) {
    return this.send([id], this.url(id), answer);
  }

  /** Carry out the plan in a new chat, and open that chat. */
  async carryOut(id) {
    const started = await this.send([id], `${this.url(id)}/carry-out`, undefined, "allow");
    if (started) location.assign(started.taskId); // beside this chat's own address
  }

  async send(ids, path, body, decision = body.decision) {
    for (const id of ids) this.sent.set(id, { decision });
    this.why = false;
    this.onChange();
    try {
      return await apiWithPatience("POST", path, body);
    } catch (refused) {
      for (const id of ids) this.sent.set(id, { refused: { message: refused.message, hint: refused.hint } });
      if (refused.code === "question_withdrawn") say(refused.message); // its card closes, too
      return null;
    } finally {
      this.onChange();
    }
  }
}

/** Disable the buttons that allow while `pre` hides something; return whether it does. */
function guard(pre, slot, onSeen) {
  const rest = pre.parentElement.querySelector(".block__more");
  if (pre.scrollHeight <= pre.clientHeight + 4 && !rest) return false;
  forbid(slot, "Show all of it first");
  const more = el("button", { class: "button approval__more", type: "button" }, icon("chevron-down"), "Show all of it");
  more.addEventListener("click", () => {
    open(pre);
    more.remove();
    if (!slot.querySelector(".approval__more")) onSeen();
    slot.querySelector(".card")?.focus();
  });
  rest?.setAttribute("hidden", "");
  pre.after(more);
  return true;
}

/** As guard(), for characters that can't be seen, or look like others. */
function guardMarks(marks, slot, onSeen) {
  forbid(slot, "Look at what is marked first");
  const count = [...marks.values()].reduce((sum, [, times]) => sum + times, 0);
  const words = count === 1 ? "1 character here can’t be seen, or looks like another." : `${count} characters here can’t be seen, or look like others.`;
  const more = el("button", { class: "button approval__more", type: "button" }, "Show what is marked");
  const note = el("div", { class: "approval__odd", role: "note" }, el("p", {}, icon("triangle-alert"), words), more);
  more.addEventListener("click", () => {
    note.replaceWith(marksList(marks));
    if (!slot.querySelector(".approval__more")) onSeen();
    slot.querySelector(".card")?.focus();
  });
  return note;
}

const marksList = (marks) =>
  el(
    "ul",
    { class: "approval__odd", "aria-label": "Marked characters" },
    ...[...marks].map(([code, [mark, times]]) => el("li", {}, el("span", { class: "odd" }, mark), ` ${meaningOf(code)}${times > 1 ? ` (${times} times)` : ""}`)),
  );

const forbid = (slot, why) => slot.querySelectorAll(".approval__yes").forEach((button) => Object.assign(button, { disabled: true, title: why }));

function open(pre) {
  pre.parentElement.querySelector(".block__more")?.click();
  pre.classList.add("is-open");
}
