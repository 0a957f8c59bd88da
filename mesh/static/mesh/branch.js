// The branch of a new chat: the popover beside the agent's name. Loaded only if the page has it.

import { asName, byId, pressed } from "./dom.js";

const menu = byId("branch-menu");
const typed = byId("branch-typed");

/** Return the branch for the first message to pin; "": Mesh creates one for the chat. */
export function branch() {
  return typed.value.trim() || menu.querySelector("[name=branch]:checked")?.value || "";
}

const paint = () => byId("branch-words").replaceChildren(asName(branch() || "New branch"));

paint(); // a person may choose before this script is loaded
menu.addEventListener("change", ({ target }) => {
  if (target.name === "branch") typed.value = "";
  paint();
});
menu.addEventListener("click", ({ target }) => {
  if (target.closest(".tier") && !target.matches("input")) requestAnimationFrame(() => menu.hidePopover());
});
menu.addEventListener("submit", (event) => event.preventDefault());
menu.addEventListener("keydown", (event) => {
  if (pressed(event) !== "Enter") return;
  event.preventDefault();
  paint();
  menu.hidePopover();
});
