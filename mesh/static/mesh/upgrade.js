// A page that stays open while the server is upgraded: it says so, and offers to load itself anew.
// What the person has begun to write is kept across that.

import { byId, say } from "./dom.js";

/** Offer to reload the page, and say why. */
export function offerReload(why) {
  const notice = byId("stale");
  if (notice.hidden) say(why);
  notice.hidden = false;
  notice.querySelector("span").textContent = why;
}

/** Compare the server's version with that of the page. */
export function compare(mine, theirs) {
  if (mine && theirs && mine !== theirs) offerReload("Mesh has been upgraded. What you have written stays.");
}

byId("stale").querySelector("button").addEventListener("click", () => location.reload());

// A script that is loaded late may be gone with its version. Each browser has its own words.
addEventListener("unhandledrejection", ({ reason }) => {
  const isMissing = reason instanceof TypeError && /\bmodule\b/i.test(reason.message);
  if (isMissing) offerReload("A part of this page could not be loaded. What you have written stays.");
});
