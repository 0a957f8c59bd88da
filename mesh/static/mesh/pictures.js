// Pictures that tools return: small below the call's row, larger in its details; a click opens one.
// Loaded with the first of them.

import { api, el, icon, say } from "./dom.js";
import { picturesOf } from "./fold.js";

const MOST = 4; // below a row
const KINDS = ["image/png", "image/jpeg", "image/gif", "image/webp"]; // none that can run a script
const KEPT = /^\/api\/[-\w]+\/decopilot\/threads\/[-0-9a-f]+\/messages\/[-0-9a-f]+\/part\?/;

/** Return the elements below a row. The page has stored pictures only after a click. */
export function thumbnails(part) {
  const found = picturesOf(part);
  if (found.some(({ data }) => !data)) return [fetchButton(part, found.length)];
  const shown = found.slice(0, MOST).map((each) => pictureNode(each, found.indexOf(each)));
  return found.length > MOST ? [...shown, el("span", { class: "hint" }, `and ${found.length - MOST} more`)] : shown;
}

/** Return the elements in a row's details. */
export const pictures = (part) => picturesOf(part).filter(({ data }) => data).map(pictureNode);

function pictureNode({ mediaType, data }, index) {
  if (!KINDS.includes(mediaType) || !/^[A-Za-z0-9+/=\s]+$/.test(data)) return el("span", { class: "chip" }, icon("file-text"), "A picture that can’t be shown");
  const name = `Picture ${index + 1} of the tool`;
  const button = el("button", { class: "picture__open", type: "button", "aria-label": `Open ${name.toLowerCase()}` }, el("img", { class: "picture", src: `data:${mediaType};base64,${data}`, alt: name, loading: "lazy" }));
  button.addEventListener("click", (event) => {
    event.preventDefault(); // or the row around it would open
    openPicture(mediaType, data);
  });
  return button;
}

function openPicture(mediaType, data) {
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: mediaType }));
  window.open(url, "_blank", "noopener");
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function fetchButton(part, count) {
  const words = count > 1 ? `Show ${count} pictures` : "Show the picture";
  const button = el("button", { class: "button button--bare", type: "button" }, icon("monitor"), words);
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      if (!KEPT.test(part.outputCut?.url ?? "")) throw new Error("The pictures are not kept here.");
      const whole = (await api("GET", part.outputCut.url)).part;
      button.replaceWith(...thumbnails(whole));
    } catch ({ message }) {
      button.disabled = false;
      say(message);
      button.lastChild.data = `${message} Try again`;
    }
  });
  return button;
}
