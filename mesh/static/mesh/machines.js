// The page of the person's machines: changes are fetched as HTML from the server.

import { byId, copy, morphChildren } from "./dom.js";
import { Socket } from "./socket.js";

const list = byId("machine-list");
let pending = null;

/** Fetch once for all changes that come within a moment. */
function refreshSoon() {
  pending ??= setTimeout(refresh, 200);
}

async function refresh() {
  pending = null;
  const response = await fetch("/accounts/machines/list").catch(() => null);
  if (response?.redirected) return location.reload(); // signed out in the meantime
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
      refreshSoon(); // catch up on changes while the socket was closed
    } else if (!away) {
      away = true;
      // A very short interruption needs no message.
      patience = setTimeout(() => paintAway("Reconnecting… This page may be out of date."), 800);
    }
  },
});

list.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-copy]");
  if (button) copy(button, byId(button.dataset.copy).textContent);
});
list.addEventListener("submit", ({ target }) => {
  // The response takes up to three seconds: show that it is pending, and send it only once.
  const button = target.querySelector("button");
  setTimeout(() => (button.disabled = true));
  if (target.action.endsWith("/check")) button.lastChild.data = "Checking…";
});
