// What an agent shows beside its text: a to-do list, a plan, the changes so far, a notice.
// Loaded with the first of them.

import { asWords, el, icon, marked, readable, visible } from "./dom.js";
import { Markdown } from "./markdown.js";

const MARKS = { completed: ["check", "Done"], in_progress: ["clock", "In progress"], pending: ["square", "To do"] };
const MOST_LINES = 2_000; // of a diff in the document

/** Paint the `data` of a part of `kind` into `node`; hide `node` if there is nothing to show. */
export function paint(node, kind, data) {
  const children = painters[kind](data ?? {}, node);
  node.hidden = !children.length;
  node.replaceChildren(...children);
}

const painters = {
  "data-todos": ({ todos }) => {
    const list = (todos ?? []).filter((todo) => todo.text);
    if (!list.length) return [];
    const done = list.filter((todo) => todo.status === "completed").length;
    return [
      el("p", { class: "todos__head" }, icon("list-todo"), el("b", {}, "To do"), el("span", { class: "todos__count" }, `${done} of ${list.length} done`)),
      el("ul", { class: "todos__list" }, ...list.map(todoRow)),
    ];
  },

  "data-plan": ({ plan }) => {
    if (!plan?.trim()) return [];
    const text = el("div", { class: "plan__text" });
    new Markdown(text, { namesLinks: true }).update(readable(plan), true);
    return [el("p", { class: "plan__head" }, icon("list-todo"), el("b", {}, "Plan")), text];
  },

  "data-diff": ({ diff, cut }, node) => {
    if (!diff) return [];
    const open = node.querySelector("details")?.open ?? false;
    const lines = withoutUsualEnds(diff.split("\n").filter((line) => line && !/^(diff --git|index) /.test(line)));
    const files = new Set(lines.filter((line) => line.startsWith("+++ ")).map((line) => line.slice(4)));
    const count = (sign) => lines.filter((line) => line.startsWith(sign) && !line.startsWith(sign.repeat(3))).length;
    const what = `Changed ${files.size} file${files.size === 1 ? "" : "s"}`;
    const row = el(
      "summary",
      { class: "tool__row" },
      el("span", { class: "tool__icon" }, icon("file-pen")),
      el("span", { class: "tool__what" }, what),
      el("span", { class: "tool__count" }, el("span", { class: "plus" }, `+${count("+")}`), " ", el("span", { class: "minus" }, `−${count("-")}`)),
      chevron(),
    );
    const shown = lines.slice(0, MOST_LINES);
    const rest = cut || shown.length < lines.length ? el("p", { class: "hint" }, "Only the beginning of the diff is shown.") : "";
    const body = el("div", { class: "tool__body" }, el("div", { class: "block" }, el("pre", { class: "diff", tabindex: "0" }, ...shown.map(diffLine))), rest);
    return [el("details", { class: "tool", open }, row, body)];
  },

  "data-notice": ({ text, code }) => {
    if (!text) return [];
    const take = code === "starts_without_changes" ? el("button", { class: "button", type: "button", "data-take-along": "" }, "Take them along") : null;
    return [el("p", { class: "note note--text" }, icon(NOTICES[code] ?? "circle-alert"), el("span", {}, asWords(text)), take)];
  },
};

// Any other notice has a neutral icon.
const NOTICES = {
  session_lost: "triangle-alert",
  branch_renamed: "git-branch",
  repository_started: "git-branch",
  starts_behind: "git-branch",
  starts_without_changes: "git-branch",
  shared_folder: "message-circle",
  warning: "triangle-alert",
  ran_unasked: "triangle-alert",
  refused_unseen: "triangle-alert",
  model_changed: "sparkles",
  compacted: "list-todo",
  mcp_server: "wrench",
  hook: "zap",
  ended_commands: "square",
};

function todoRow({ text, status }) {
  const [picture, word] = MARKS[status] ?? MARKS.pending;
  return el("li", { class: "todo", "data-status": status }, icon(picture), el("span", { class: "unseen" }, `${word}: `), el("span", {}, asWords(text)));
}

const DIFF = [
  [/^(\+\+\+|---|new file|deleted file|rename )/, "diff__file"],
  [/^@@/, "diff__hunk"],
  [/^\+/, "diff__plus"],
  [/^-/, "diff__minus"],
];

/** Leave out the CR of a file whose lines all end with CR LF. Elsewhere it is what has changed, and shown. */
function withoutUsualEnds(lines) {
  const files = [];
  for (const line of lines) {
    if (line.startsWith("--- ") || !files.length) files.push([]);
    files.at(-1).push(line);
  }
  return files.flatMap((file) => {
    const isText = (line, at) => /^[-+ ]/.test(line) && !/^(---|\+\+\+) /.test(line) && !file[at + 1]?.startsWith("\\");
    const texts = file.filter(isText);
    return texts.length && texts.every((line) => line.endsWith("\r")) ? file.map((line) => line.replace(/\r$/, "")) : file;
  });
}

function diffLine(raw) {
  const line = visible(raw);
  const [, name] = DIFF.find(([pattern]) => pattern.test(line)) ?? [null, null];
  return el("span", { class: name ? `diff__line ${name}` : "diff__line" }, ...marked(`${line}\n`));
}

function chevron() {
  const mark = icon("chevron-right");
  mark.classList.add("tool__open");
  return mark;
}
