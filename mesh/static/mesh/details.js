// The input and output of a tool call. Loaded when a row is first opened, or a question is
// asked.

import { changesOf, countsOf } from "./changes.js";
import { api, asName, copy, el, fileLink, marked, say, size, visible } from "./dom.js";
import { picturesOf } from "./fold.js";
import { pictures } from "./pictures.js";
import { paintRows, rowsOf } from "./terminal.js";

const LONG_LINES = 18;
const LONG_TEXT = 6_000;
const MOST_ROWS = 400; // lines of one file's changes that are drawn at first

/** Return the details of a call for its opened row, without what the row already shows. */
export function detailsOf(part, summary) {
  const { cwd } = part.input ?? {};
  const output = outputText(part);
  const whole = part.outputCut && (!picturesOf(part).length || output.length > LONG_TEXT) ? part.outputCut : null;
  const isSoFar = part.state !== "output-available" || part.preliminary;
  const result = part.errorText ? section("Error", part.errorText, null, rowsOf) : output ? section(isSoFar ? "Output so far" : "Output", output, whole, rowsOf) : "";
  return [cwd ? el("p", { class: "hint" }, "in ", asName(cwd)) : "", opensFile(part.input), isWhole(part.input, summary) ? "" : inputView(part.input), result, ...pictures(part)];
}

/** Return a link to the file that a call reads, at its first line; nothing if it names none, or if its
    changes are shown, which have a link of their own. */
function opensFile(input) {
  const path = [input?.file_path, input?.filePath, input?.notebook_path, input?.absolute_path].find((value) => typeof value === "string" && value);
  if (!path || path.length > 1000 || changesOf(input).files.length) return "";
  const line = Number.isInteger(input.offset) && input.offset > 0 ? `:${input.offset}` : "";
  return el("p", { class: "hint" }, fileLink(`${path}${line}`, "Open ", asName(path)));
}

/** Return the path with the line at which the first hunk begins, if it says so. */
function placeIn(path, hunks) {
  const line = /^@@ -\d+(?:,\d+)? \+(\d+)/.exec(hunks[0]?.head ?? "")?.[1];
  return line ? `${path}:${line}` : path;
}

/** Return whether the row's `summary` shows the whole input. */
function isWhole(input, summary) {
  const values = Object.values(input ?? {});
  return values.length === 1 && values[0] === summary;
}

/** Show the whole input of a call: a command, a change, or its fields; then the remaining fields. */
export function inputView(raw) {
  const input = visible(raw);
  if (input === undefined || input === null || (typeof input === "object" && !Object.keys(input).length)) return "";
  const [views, keys] = mainOf(input);
  if (typeof input !== "object") return views.length ? el("div", {}, ...views) : section("Input", String(input));
  if (Array.isArray(input)) return views.length ? el("div", {}, ...views) : section("Input", JSON.stringify(input, null, 2));
  const rest = Object.entries(input).filter(([key, value]) => !keys.includes(key) && !isBeside(key, value));
  return el("div", {}, ...views, ...restOf(rest, views.length > 0));
}

// The caller of inputView() shows these fields itself.
const isBeside = (key, value) => ["cwd", "description"].includes(key) && typeof value === "string";

/** Return sections for the fields that no other view shows: texts of several lines as they are. */
function restOf(rest, isMore) {
  const isText = ([, value]) => typeof value === "string" && value.includes("\n");
  const others = rest.filter((field) => !isText(field));
  const title = isMore || others.length < rest.length ? "Other input" : "Input";
  return [
    ...rest.filter(isText).map(([key, value]) => section(key, value)),
    others.length ? section(title, JSON.stringify(Object.fromEntries(others), null, 2)) : null,
  ].filter(Boolean);
}

/** Return the elements for the main part of an input, and the keys that they show in full. */
function mainOf(input) {
  const { files, keys, command: besides } = changesOf(input);
  if (files.length) return [[...(besides === null ? [] : [section("Command", besides)]), ...files.map(fileView)], keys];
  const { command, prompt } = input;
  if (typeof command === "string") return [[section("Command", command)], ["command"]];
  if (typeof prompt === "string") return [[section("Prompt", prompt)], ["prompt"]];
  return [[], []];
}

const SIGNS = { "+": ["diff__plus", "+ "], "-": ["diff__minus", "− "], " ": ["diff__same", "  "], "": ["diff__note", ""] };

/** Show a file's changes; of many lines the first, with a button for the rest. */
function fileView({ path, from, hunks }) {
  const rows = hunks.flatMap(({ head, lines }) => [...(head ? [["head", head]] : []), ...lines]);
  const code = el("code", {}, ...rows.slice(0, MOST_ROWS).map(diffRow));
  const pre = el("pre", { class: "diff", tabindex: "0" }, code);
  const { added, removed } = countsOf([{ hunks }]);
  const counts = el("span", { class: "tool__count" }, el("span", { class: "plus" }, `+${added}`), " ", el("span", { class: "minus" }, `−${removed}`));
  const title = el("div", { class: "block__head" }, el("span", {}, ...(from ? [asName(from), " → "] : []), path && !path.includes("⟨") ? fileLink(placeIn(path, hunks), asName(path)) : asName(path || "Change")), counts);
  const block = el("div", { class: "block" }, title, pre);
  if (rows.length > MOST_ROWS) {
    const more = el("button", { class: "button button--bare block__more", type: "button" }, `Show all (${rows.length.toLocaleString("en")} lines)`);
    more.addEventListener("click", () => {
      code.append(...rows.slice(MOST_ROWS).map(diffRow));
      more.remove();
      say("The whole change is shown.");
    });
    block.append(more);
  }
  return block;
}

function diffRow([sign, text]) {
  if (sign === "head") return el("span", { class: "diff__line diff__hunk" }, ...marked(`${text}\n`));
  const [name, mark] = SIGNS[sign];
  return el("span", { class: `diff__line ${name}` }, ...marked(`${mark}${text}\n`));
}

/** Return the output of a call as text, for every output format of the tools. */
export function outputText({ output }) {
  if (output === null || output === undefined) return "";
  if (typeof output === "string") return output;
  if (Array.isArray(output)) return output.map((item) => outputText({ output: item })).filter(Boolean).join("\n");
  for (const key of ["text", "output", "content", "result"]) {
    if (typeof output[key] === "string") return withExit(output[key], output);
    if (Array.isArray(output[key])) return outputText({ output: output[key] });
  }
  if ("stdout" in output || "stderr" in output) return withExit([output.stdout, output.stderr].filter(Boolean).join("\n"), output);
  return JSON.stringify(output, null, 2);
}

const withExit = (text, output) => (output.exitCode > 0 ? `${text.replace(/\n$/, "")}\n(exit code ${output.exitCode})` : text);

function heading(title, text) {
  const button = text && el("button", { class: "block__copy copies", type: "button" }, "Copy");
  return el("div", { class: "block__head" }, el("span", {}, asName(title)), button || "");
}

/** Return a titled block of text; `drawn` returns its rows, see terminal.js. A long text is cut, with a button for the
    rest. The page has only the start of a very long output: `whole` gives its length and where the
    rest is. */
export function section(title, text, whole = null, drawn = (value) => value.split("\n").map((line) => [[line, null]])) {
  const code = el("code");
  const pre = el("pre", { tabindex: "0" }, code);
  const block = el("div", { class: "block" }, heading(title, text), pre);
  const rows = drawn(text);
  const short = cut(rows);
  code.append(...painted(short));
  const all = async () => (whole ? (text = await fetchWhole(whole.url)) : text);
  const isCut = short !== rows;
  if (whole || isCut) block.append(moreButton(whole ? size(whole.size) : `${rows.length.toLocaleString("en")} lines, ${size(text.length)}`, all, code, drawn));
  block.querySelector(".copies")?.addEventListener("click", ({ currentTarget }) => all().then((found) => copy(currentTarget, found), ({ message }) => say(`Not copied. ${message}`)));
  return block;
}

const painted = (rows) => (rows.some((row) => row.some(([, style]) => style === null)) ? marked(rows.map((row) => row.map(([text]) => text).join("")).join("\n")) : paintRows(rows));

function moreButton(facts, all, code, drawn) {
  const more = el("button", { class: "button button--bare block__more", type: "button" }, `Show all (${facts})`);
  more.addEventListener("click", async () => {
    more.disabled = true;
    try {
      code.replaceChildren(...painted(drawn(await all())));
      more.remove();
      say("The whole text is shown.");
    } catch ({ message }) {
      more.disabled = false;
      more.textContent = `${message} Try again`;
      say(message);
    }
  });
  return more;
}

const KEPT = /^\/api\/[-\w]+\/decopilot\/threads\/[-0-9a-f]+\/messages\/[-0-9a-f]+\/part\?/;

async function fetchWhole(url) {
  if (!KEPT.test(url)) throw new Error("The rest is not kept here.");
  return outputText((await api("GET", url)).part);
}

/** Return the first rows of a long text; `rows` itself if it is short. */
function cut(rows) {
  const found = [];
  let left = LONG_TEXT;
  for (const row of rows.slice(0, LONG_LINES)) {
    const part = row.map(([text, style]) => [text.slice(0, Math.max(0, left)), style, (left -= text.length)]);
    found.push(part.map(([text, style]) => [text, style]));
    if ((left -= 1) < 0) break;
  }
  return found.length === rows.length && left >= 0 ? rows : found;
}
