// The branch of a new chat: the popover beside the agent's name. Loaded only if the page has it.

import { byId } from "./dom.js";

const menu = byId("branch-menu");
const typed = byId("branch-typed");

/** Return the branch for the first message to pin; "": Mesh creates one for the chat. */
export function branch() {
  return typed.value.trim() || menu.querySelector("[name=branch]:checked")?.value || "";
}

menu.addEventListener("change", ({ target }) => {
  if (target.name === "branch") typed.value = "";
  byId("branch-words").textContent = branch() || "New branch";
});
menu.addEventListener("click", ({ target }) => {
  if (target.closest(".tier") && !target.matches("input")) requestAnimationFrame(() => menu.hidePopover());
});
menu.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  byId("branch-words").textContent = branch() || "New branch";
  menu.hidePopover();
});
