// Who answers, how hard it thinks, and on which machine: the popover over the composer.
// The server renders its rows (templates/_partials/agents.html); here they are picked and kept.

import { byId, morphChildren, remember, say } from "./dom.js";

const picked = (name) => byId("agents").querySelector(`[name=${name}]:checked`);

export class Agents {
  /** `onMachine()`: another machine was picked, so what can run there is to be asked anew;
      `onChoice(choice)`: another agent or tier. */
  constructor({ onMachine, onChoice }) {
    Object.assign(this, { onMachine, onChoice });
    const agents = byId("agents");
    agents.addEventListener("change", ({ target }) => this.change(target));
    agents.addEventListener("click", ({ target }) => target.closest(".tier") && this.closeSoon(target));
    agents.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.target.matches("[type=radio]")) return;
      event.preventDefault();
      byId("agent-menu").hidePopover();
    });
    document.addEventListener("toggle", place, true);
  }

  /** What the person picked: {harness, tier, isLocal}, or null when there is nothing to pick. */
  choice() {
    const input = picked("choice");
    if (!input) return null;
    // The harness may have a colon in its name ("acp:gemini"), a tier never has.
    const at = input.value.lastIndexOf(":");
    return { harness: input.value.slice(0, at), tier: input.value.slice(at + 1), isLocal: "local" in input.dataset };
  }

  /** The machine's id where there are several, else null: the server knows the only one. */
  machine() {
    return picked("machine")?.value ?? null;
  }

  /** What an open page tells the server when it asks for fresh rows. */
  query() {
    const given = { choice: picked("choice")?.value, machine: this.machine() };
    return Object.entries(given).filter(([, value]) => value);
  }

  keep() {
    if (picked("choice")) remember("mesh_choice", picked("choice").value);
  }

  change(input) {
    if (input.name === "machine") {
      remember("mesh_machine", input.value);
      return this.onMachine();
    }
    if (input.name !== "choice") return null;
    remember("mesh_choice", input.value);
    this.paint(input);
    return this.onChoice?.(this.choice());
  }

  paint(input) {
    const { title, label, icon: picture } = input.dataset;
    const pill = byId("agent-pill");
    const words = `${title} · ${label}`;
    pill.classList.toggle("pill--local", "local" in input.dataset);
    pill.classList.remove("pill--off");
    pill.querySelector("use").setAttribute("href", `#i-${picture}`);
    pill.querySelector(".pill__words").textContent = words;
    const where = input.closest("fieldset").querySelector(".agent__where")?.textContent.replace("· ", "") ?? "";
    pill.title = [words, where].filter(Boolean).join(" ");
    pill.setAttribute("aria-label", `Agent: ${pill.title}`);
    say(`${pill.title} answers from now on.`);
  }

  /** A click on a row chooses and closes; the arrow keys "click" the button itself, and don't.
      A machine is picked for what is on it, so the rows stay to be seen. */
  closeSoon(target) {
    if (target.closest("fieldset").disabled || target.matches("input") || target.closest(".tier--machine")) return;
    requestAnimationFrame(() => byId("agent-menu")?.hidePopover());
  }

  /** Show fresh rows. Focus stays where it is, and the row under the hand does not move. */
  refresh(fresh) {
    const menu = byId("agent-menu");
    const isOpen = menu?.matches(":popover-open");
    const held = isOpen ? (menu.querySelector(".tier:hover") ?? menu.querySelector(".tier:focus-within")) : null;
    const before = held?.getBoundingClientRect().top;
    const style = menu?.style.cssText;
    morphChildren(byId("agents"), fresh);
    if (!isOpen) return;
    byId("agent-menu").style.cssText = style; // where it stands is this page's own doing
    if (held?.isConnected) byId("agent-menu").scrollTop += held.getBoundingClientRect().top - before;
  }
}

/** Put a popover above the button that opened it; on a phone the stylesheet makes it a sheet. */
function place(event) {
  const menu = event.target;
  if (!menu.matches?.("[popover][data-above]") || event.newState !== "open") return;
  const button = document.querySelector(`[popovertarget="${menu.id}"]`);
  menu.style.cssText = "";
  const isSheet = matchMedia("(max-width: 700px)").matches;
  if (!isSheet && button) {
    const box = button.getBoundingClientRect();
    const left = menu.dataset.above === "end" ? box.right - menu.offsetWidth : box.left;
    menu.style.positionArea = "none"; // without script the stylesheet anchors it
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - menu.offsetWidth - 8))}px`;
    menu.style.bottom = `${innerHeight - box.top + 8}px`;
    menu.style.maxHeight = `${box.top - 16}px`;
  }
  menu.querySelector("[name=choice]:checked:enabled, input:checked:enabled")?.focus();
}
