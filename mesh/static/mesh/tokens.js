// The page of a person's tokens: copies a new one.
import { byId, copy } from "./dom.js";

document.querySelector("main").addEventListener("click", ({ target }) => {
  const button = target.closest("[data-copy]");
  if (button) copy(button, byId(button.dataset.copy).value);
});
