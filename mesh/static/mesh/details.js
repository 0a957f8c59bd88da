// The input and output of a tool call. Loaded when a row is first opened, or a question is
// asked.

import { api, copy, el, say, size, visible } from "./dom.js";
import { edits } from "./parts.js";

const LONG_LINES = 18;
const LONG_TEXT = 6_000;

/** Return the details of a call for its opened row, without what the row already shows. */
export function detailsOf(part, summary) {
  const { cwd } = part.input ?? {};
  const output = outputText(part);
  const result = part.errorText ? section("Error", part.errorText) : output ? section("Output", output, part.outputCut) : "";
  return [cwd ? el("p", { class: "hint" }, `in ${cwd}`) : "", isWhole(part.input, summary) ? "" : inputView(part.input), result];
}

/** Return whether the row's `summary` shows the whole input. */
function isWhole(input, summary) {
  const values = Object.values(input ?? {});
  return values.length === 1 && values[0] === summary;
}

/** Show the whole input of a call: a command, a change, or JSON; then the remaining fields. */
export function inputView(raw) {
  const input = visible(raw);
  if (input === undefined || input === null || (typeof input === "object" && !Object.keys(input).length)) return "";
  const [view, keys] = mainOf(input);
  if (!view) return section("Input", typeof input === "string" ? input : JSON.stringify(input, null, 2));
  const rest = Object.fromEntries(Object.entries(input).filter(([key, value]) => !keys.includes(key) && !isBeside(key, value)));
  return Object.keys(rest).length ? el("div", {}, view, section("Other input", JSON.stringify(rest, null, 2))) : view;
}

// The caller of inputView() shows these fields itself.
const isBeside = (key, value) => ["cwd", "description"].includes(key) && typeof value === "string";

const EDIT_FIELDS = ["old_string", "new_string", "replace_all"];

/** Return the element for the main part of an input, and the keys that it shows in full. */
function mainOf(input) {
  const { file_path: path, command, diff, prompt, content, edits: several } = input;
  const name = typeof path === "string" ? path : "Change";
  const ofPath = typeof path === "string" ? ["file_path"] : [];
  const found = edits(input);
  if (found.length) {
    const isPlain = Array.isArray(several) && several.every((edit) => Object.keys(edit ?? {}).every((key) => EDIT_FIELDS.includes(key)));
    const ofEdits = Array.isArray(several) ? (isPlain ? ["edits"] : []) : ["old_string", "new_string"];
    return [changeView(name, found), [...ofPath, ...ofEdits]];
  }
  if (typeof command === "string") return [section("Command", command), ["command"]];
  if (typeof diff === "string" && diff) return [section(name, diff), [...ofPath, "diff"]];
  if (typeof prompt === "string") return [section("Prompt", prompt), ["prompt"]];
  if (typeof content === "string" && ofPath.length) return [section(name, content), ["file_path", "content"]];
  return [null, []];
}

function changeView(name, found) {
  const rows = found.flatMap(([old, fresh]) => [
    ...old.map((line) => el("span", { class: "diff__minus" }, `− ${line}\n`)),
    ...fresh.map((line) => el("span", { class: "diff__plus" }, `+ ${line}\n`)),
  ]);
  return el("div", { class: "block" }, heading(name, ""), el("pre", { class: "diff", tabindex: "0" }, ...rows));
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
  return el("div", { class: "block__head" }, el("span", {}, title), button || "");
}

/** Return a titled block of plain text. A long text is cut, with a button for the rest. The page
    has only the start of a very long output: `whole` gives its length and where the rest is. */
export function section(title, text, whole = null) {
  const code = el("code");
  const pre = el("pre", { tabindex: "0" }, code);
  const block = el("div", { class: "block" }, heading(title, text), pre);
  const short = cut(text);
  code.textContent = short;
  const all = async () => (whole ? (text = await fetchWhole(whole.url)) : text);
  if (whole || short.length < text.length) block.append(moreButton(whole ? size(whole.size) : `${text.split("\n").length.toLocaleString("en")} lines, ${size(text.length)}`, all, code));
  block.querySelector(".copies")?.addEventListener("click", ({ currentTarget }) => all().then((found) => copy(currentTarget, found), ({ message }) => say(`Not copied. ${message}`)));
  return block;
}

function moreButton(facts, all, code) {
  const more = el("button", { class: "button button--bare block__more", type: "button" }, `Show all (${facts})`);
  more.addEventListener("click", async () => {
    more.disabled = true;
    try {
      code.textContent = await all();
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

function cut(text) {
  const limited = text.slice(0, LONG_TEXT);
  const found = limited.split("\n");
  return found.length > LONG_LINES ? found.slice(0, LONG_LINES).join("\n") : limited;
}
