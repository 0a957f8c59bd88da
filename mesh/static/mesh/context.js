// The ring in the composer: how much of the model's context the conversation takes up.
// Loaded with the first answer that says it.

import { el } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const ROUND = 2 * Math.PI * 6;

/** Paint `usage` into `node`; hide it if the numbers are missing. */
export function paint(node, usage) {
  const { contextUsed: used, contextWindow: window } = usage ?? {};
  node.hidden = !(used > 0 && window > 0);
  if (node.hidden) return;
  const share = Math.min(1, used / window);
  const percent = Math.max(1, Math.round(share * 100));
  const words = `${percent} % of ${window.toLocaleString("en")} tokens`;
  if (node.title === words) return;
  node.title = words;
  node.dataset.full = share >= 0.85 ? "yes" : "no";
  node.replaceChildren(picture(share), el("span", { class: "unseen" }, `The conversation takes up ${words} of the model's context.`));
}

function picture(share) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.append(circle("ring__track", ROUND), circle("ring__part", share * ROUND));
  return svg;
}

function circle(name, length) {
  const node = document.createElementNS(SVG, "circle");
  const facts = { class: name, cx: 8, cy: 8, r: 6, "stroke-dasharray": `${length.toFixed(2)} ${ROUND.toFixed(2)}`, transform: "rotate(-90 8 8)" };
  for (const [key, value] of Object.entries(facts)) node.setAttribute(key, value);
  return node;
}
