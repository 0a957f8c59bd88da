// The page of the person's machines: what changes is fetched as the server renders it.

import { byId, copy, morphChildren } from "./dom.js";
import { Socket } from "./socket.js";

const list = byId("machine-list");
let pending = null;

/** Fetch once for whatever changes within a moment. */
function refreshSoon() {
  pending ??= setTimeout(refresh, 200);
}

async function refresh() {
  pending = null;
  const response = await fetch("/accounts/machines/list").catch(() => null);
  if (response?.redirected) return location.reload(); // signed out meanwhile
  if (!response?.ok) return null;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  return morphChildren(list, fresh.getElementById("machine-list"));
}

function paintAway(text) {
  byId("away").hidden = !text;
  byId("away").textContent = text;
}

let away = false;
let patience = null;

new Socket("/ws", {
  onMessage: (message) => message.type === "links" && refreshSoon(),
  onState: (state) => {
    if (state === "signed-out") location.reload();
    if (state === "open") {
      clearTimeout(patience);
      away = false;
      paintAway("");
      refreshSoon(); // what changed while nobody could tell
    } else if (!away) {
      away = true;
      // A blink of the connection is not worth a word.
      patience = setTimeout(() => paintAway("Reconnecting… This page may be out of date."), 800);
    }
  },
});

list.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-copy]");
  if (button) copy(button, byId(button.dataset.copy).textContent);
});
list.addEventListener("submit", ({ target }) => {
  // An answer takes up to three seconds: say that it is being waited for, and ask once.
  const button = target.querySelector("button");
  setTimeout(() => (button.disabled = true));
  if (target.action.endsWith("/check")) button.lastChild.data = "Checking…";
});
