// The button of a notice that copies the person's uncommitted changes to where the agent works.
// Loaded when it is first pressed.

import { api, el, icon, say } from "./dom.js";

/** Have the changes taken along; `url` is where. The outcome appears behind the notice. */
export async function takeAlong(button, url) {
  const outcome = button.parentElement.querySelector(".note__outcome") ?? el("span", { class: "note__outcome", role: "status" });
  button.after(outcome);
  button.disabled = true;
  outcome.replaceChildren("Copying…");
  try {
    const { taken } = await api("POST", url, {});
    button.hidden = true;
    outcome.replaceChildren(icon("check"), `Taken along: ${taken.length} file${taken.length === 1 ? "" : "s"}.`);
    say("Your changes were taken along.");
  } catch ({ message, hint }) {
    button.disabled = false;
    outcome.replaceChildren(`${message} ${hint ?? ""}`.trim());
    outcome.setAttribute("role", "alert");
  }
}
