// The two cards that ask for more than a yes or no: a plan to agree to, and questions.

import { asName, asWords, el, icon, pressed, readable, readableText, visible } from "./dom.js";
import { Markdown } from "./markdown.js";

/** A plan: carried out in a new chat or in this one, or revised with the person's comments. */
export class PlanCard {
  constructor({ plan = "" }, onAnswer, onCarryOut) {
    const text = el("div", { class: "approval__plan", tabindex: "0" });
    new Markdown(text, { namesLinks: true }).update(readable(plan) || "(The plan is empty.)", true);
    this.box = el("textarea", { class: "queue__box", dir: "auto", rows: "1", maxlength: "2000", "aria-label": "What should be different?", placeholder: "What should be different?" });
    const iterate = () => onAnswer({ decision: "deny", reason: this.box.value.trim() });
    this.actions = el(
      "div",
      { class: "card__actions" },
      el("button", { class: "button button--bare", type: "button", onclick: iterate }, "Keep iterating"),
      el("span", { class: "card__gap" }),
      el("button", { class: "button", type: "button", onclick: () => onAnswer({ decision: "allow" }) }, "Continue here"),
      el("button", { class: "button button--primary", type: "button", onclick: onCarryOut }, "Let’s go"),
    );
    this.hint = el("p", { class: "card__hint" }, el("b", {}, "Let’s go"), " starts a new chat that carries out the plan without asking.");
    this.node = el("div", { class: "approval__body" }, text, this.box, this.hint, this.actions);
  }

  enable(isOpen) {
    this.box.hidden = this.hint.hidden = this.actions.hidden = !isOpen;
  }
}

/** Questions, one after the other, each with choices and a free text. `isOurs`: Mesh asks, and one choice is to cancel. */
export class QuestionCard {
  constructor({ questions = [], server = "" }, onAnswer, _, isOurs) {
    this.isOurs = isOurs;
    this.server = visible(String(server)); // the MCP server that asks, if it is not the agent
    this.questions = Array.isArray(questions) ? questions.filter((each) => each && typeof each === "object") : [];
    Object.assign(this, { onAnswer, at: 0, answers: {}, isOpen: true });
    this.node = el("div", { class: "approval__body" });
    this.node.addEventListener("keydown", (event) => this.onKey(event));
    this.paint();
  }

  enable(isOpen) {
    if (this.isOpen === isOpen) return;
    this.isOpen = isOpen;
    if (isOpen && this.at >= this.questions.length) this.at = 0; // the answer was refused
    this.paint();
  }

  paint() {
    const asked = this.questions[this.at];
    const isLast = this.at >= this.questions.length - 1;
    if (!asked && this.questions.length) return this.node.replaceChildren(); // all are answered
    if (!asked) {
      this.node.replaceChildren(el("p", {}, "The agent asked a question without any text."), this.buttons(true));
      return;
    }
    const many = this.questions.length > 1 ? el("span", { class: "card__count" }, `Question ${this.at + 1} of ${this.questions.length}`) : null;
    const options = Array.isArray(asked.options) ? asked.options : [];
    const kind = asked.multiSelect ? "checkbox" : "radio";
    const hint = (this.isOurs && asked.other) || (asked.secret !== true ? "Something else…" : options.length ? "Something else, hidden…" : "Hidden while you type…");
    const how = asked.secret === true ? ["input", { class: "input", type: "password", autocomplete: "off", spellcheck: "false" }] : ["textarea", { class: "queue__box", dir: "auto", rows: "1" }];
    this.own = el(how[0], { ...how[1], maxlength: "4000", placeholder: hint, "aria-label": hint.replace("…", ""), hidden: asked.other === false || (this.isOurs && !asked.other) });
    this.own.addEventListener("input", () => this.own.value && kind === "radio" && this.inputs.forEach((each) => (each.checked = false)));
    const rows = options.map((option, index) => this.row(option, index, kind));
    this.inputs = rows.map((row) => row.querySelector("input"));
    const shown = [
      this.server ? el("p", { class: "card__hint" }, "The MCP server ", asName(this.server), " asks:") : null,
      el("p", { class: "ask__question" }, asked.header ? el("b", {}, asWords(asked.header), ": ") : null, asWords(asked.question ?? ""), many),
      el("div", { class: "ask__options", role: kind === "radio" ? "radiogroup" : "group", "aria-label": readableText(asked.question ?? "Choices") }, ...rows),
      this.own,
      asked.secret === true ? el("p", { class: "card__hint" }, icon("lock"), " The agent gets it. In this chat only “(answered)” is kept.") : null,
      this.isOpen ? this.buttons(isLast) : el("span"),
    ];
    this.node.replaceChildren(...shown.filter(Boolean));
    for (const input of [...this.inputs, this.own]) input.disabled = !this.isOpen;
  }

  row({ label = "", description = "" }, index, kind) {
    const input = el("input", { type: kind, name: "ask", value: String(label) });
    input.addEventListener("change", () => kind === "radio" && (this.own.value = ""));
    const key = index < 9 ? el("kbd", { class: "ask__key" }, String(index + 1)) : null;
    return el("label", { class: "ask__option" }, input, el("span", { class: "ask__words" }, el("b", {}, asWords(label)), description ? el("span", { class: "card__hint" }, asWords(description)) : null), key);
  }

  buttons(isLast) {
    const skip = this.isOurs ? null : el("button", { class: "button button--bare", type: "button", onclick: () => this.next(false) }, "Skip");
    const next = el("button", { class: "button button--primary", type: "button", onclick: () => this.next(true) }, isLast ? "Submit" : "Next");
    return el("div", { class: "card__actions" }, skip, next);
  }

  onKey(event) {
    const key = pressed(event);
    if (event.target === this.own) {
      if (key !== "Enter") return;
      event.preventDefault();
      this.next(true);
      return;
    }
    const input = this.inputs?.[Number(key) - 1];
    if (!input || event.ctrlKey || event.metaKey || event.altKey) return;
    input.click();
    input.focus();
    event.preventDefault();
  }

  next(isAnswered) {
    const asked = this.questions[this.at];
    if (asked && isAnswered) {
      const own = this.own.value.trim();
      const chosen = this.inputs.filter((input) => input.checked).map((input) => input.value);
      const all = own ? [...chosen, own] : chosen;
      if (!all.length) return (this.own.hidden ? this.inputs[0] : this.own)?.focus();
      this.answers[String(asked.question ?? "")] = asked.multiSelect ? all : all.at(-1);
    }
    this.at += 1;
    if (this.at < this.questions.length) {
      this.paint();
      return (this.inputs[0] ?? this.own).focus();
    }
    const isSkipped = !Object.keys(this.answers).length;
    return this.onAnswer(isSkipped ? { decision: "deny", reason: "The person skipped the question." } : { decision: "allow", answers: this.answers });
  }
}
