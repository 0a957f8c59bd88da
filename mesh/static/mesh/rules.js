// Lists what is always allowed in the open thread, and revokes it. Loaded with the first rule.

import { api, asName, byId, el, icon, say, visibleText } from "./dom.js";

/** `url(ruleId)` returns the URL that deletes a rule. */
export class Rules {
  constructor(url) {
    this.url = url;
    this.button = byId("rules-button");
    this.menu = byId("rules-menu");
  }

  paint(rules) {
    this.button.hidden = !rules.length;
    const words = rules.length === 1 ? "1 rule" : `${rules.length} rules`;
    this.button.querySelector("span").textContent = words;
    this.button.title = this.button.ariaLabel = `${words}: what agents may do in this chat without asking`;
    if (!rules.length && this.menu.matches(":popover-open")) this.menu.hidePopover();
    this.menu.replaceChildren(
      el("p", { class: "menu__title" }, "Always allowed in this chat"),
      el("ul", { class: "rules__list" }, ...rules.map((rule) => this.row(rule))),
    );
  }

  row({ id, words }) {
    const remove = el("button", { class: "button button--bare button--icon", type: "button", "aria-label": `Ask again about ${visibleText(words)}`, title: "Ask again" }, icon("x"));
    const row = el("li", { class: "rules__row" }, el("span", {}, asName(words)), remove);
    remove.addEventListener("click", async () => {
      remove.disabled = true;
      try {
        await api("DELETE", this.url(id));
        say("The agent will ask you again from now on.");
      } catch (refused) {
        remove.disabled = false;
        row.append(el("p", { class: "card__refused", role: "alert" }, `${refused.message} ${refused.hint}`));
      }
    });
    return row;
  }
}
