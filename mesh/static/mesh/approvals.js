// The card above the composer when a tool asks "may I?". Loaded when the first one does.

import { api, byId, el, icon, say } from "./dom.js";
import { inputView } from "./details.js";
import { describe } from "./parts.js";

const STATION = {
  sending: "Sending your answer…",
  answered: "Your answer is on its way to the machine…",
  delivered: "The machine has your answer; the agent goes on in a moment…",
};

/** Show the questions of the open thread; `url(approvalId)` is where an answer goes. */
export class Approvals {
  constructor(url) {
    this.url = url;
    this.slot = byId("approvals");
    this.sent = new Map(); // answers of this tab: decision, or what refused it
  }

  paint(questions, machine) {
    const sent = ({ part }) => this.sent.get(part.approval.id);
    const shown = questions.find((question) => !question.answer && !sent(question)?.decision) ?? questions[0];
    const key = shown && JSON.stringify([shown.part.approval.id, questions.length, shown.answer?.state, machine, sent(shown)]);
    if (key === this.key) return;
    this.key = key;
    // Its buttons are about to go: the next question, or the message box, takes the focus.
    const hadFocus = this.slot.contains(document.activeElement);
    this.slot.replaceChildren(...(shown ? [this.card(shown, questions, machine)] : []));
    this.slot.querySelectorAll("pre").forEach(guard);
    if (hadFocus) (this.slot.querySelector(".card") ?? byId("text")).focus();
    if (!shown || shown.answer || sent(shown)) return;
    const { what, where } = describe(shown.part, "waiting");
    say(`Approval needed: ${what} ${where}`);
  }

  card(question, questions, machine) {
    const { part, answer } = question;
    const sent = this.sent.get(part.approval.id);
    const station = answer ? answer.state : sent?.decision ? "sending" : null;
    const { icon: picture, what, object } = describe(part, "waiting");
    const place = questions.indexOf(question) + 1;
    const many = questions.length > 1 ? el("span", { class: "card__count" }, `${place} of ${questions.length}`) : null;
    const { cwd, description } = part.input ?? {};
    const where = [machine ? `on ${machine.name}` : "", cwd ? `in ${cwd}` : ""].filter(Boolean).join(", ");
    const away = machine?.state === "offline" ? `${machine.name} is offline. Your answer is kept, and goes out when it is back.` : null;
    return el(
      "section",
      { class: "card card--needs approval", tabindex: "-1", "aria-label": "Approval needed" },
      el("p", { class: "card__title" }, icon("hand"), el("b", {}, "May the agent do this?"), el("span", { class: "card__hint" }, where), many),
      el("p", { class: "approval__what" }, icon(picture), `${what} ${object}`, description ? el("span", { class: "card__hint" }, description) : null),
      inputView(part.input),
      away ? el("p", { class: "card__hint" }, icon("wifi-off"), ` ${away}`) : null,
      sent?.refused ? el("p", { class: "card__refused", role: "alert" }, `${sent.refused.message} ${sent.refused.hint}`) : null,
      station ? this.station(station, answer?.decision ?? sent.decision) : this.buttons(part),
    );
  }

  station(station, decision) {
    const picture = decision === "allow" ? "check" : "ban";
    return el("p", { class: "approval__station", role: "status" }, icon(picture), el("b", {}, decision === "allow" ? "Allowed. " : "Denied. "), STATION[station] ?? "");
  }

  buttons(part) {
    const answer = (decision) => () => this.answer(part.approval.id, decision);
    return el(
      "div",
      { class: "card__actions" },
      el("button", { class: "button", type: "button", onclick: answer("deny") }, "Deny"),
      el("button", { class: "button button--primary approval__allow", type: "button", onclick: answer("allow") }, "Allow"),
    );
  }

  async answer(id, decision) {
    this.sent.set(id, { decision });
    this.onChange();
    try {
      await api("POST", this.url(id), { decision });
    } catch (refused) {
      this.sent.set(id, { refused: { message: refused.message, hint: refused.hint } });
    }
    this.onChange();
  }
}

/** What doesn't fit must be opened before it can be allowed. */
function guard(pre) {
  if (pre.scrollHeight <= pre.clientHeight + 4 && !pre.parentElement.querySelector(".block__more")) return;
  const card = pre.closest(".approval");
  const allow = card.querySelector(".approval__allow");
  if (!allow) return;
  allow.disabled = true;
  allow.title = "Look at all of it first";
  const rest = pre.parentElement.querySelector(".block__more");
  const more = el("button", { class: "button approval__more", type: "button" }, icon("chevron-down"), "Show all of it");
  more.addEventListener("click", () => {
    rest?.click();
    pre.classList.add("is-open");
    more.remove();
    allow.disabled = Boolean(card.querySelector(".approval__more"));
    allow.title = "";
    card.focus();
  });
  rest?.setAttribute("hidden", "");
  pre.after(more);
}
