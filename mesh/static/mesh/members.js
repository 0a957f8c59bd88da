// The members' page: copies the link of a new invitation.
import { byId, copy } from "./dom.js";

byId("page").addEventListener("click", ({ target }) => {
  const button = target.closest("[data-copy]");
  if (button) copy(button, byId(button.dataset.copy).value);
});
