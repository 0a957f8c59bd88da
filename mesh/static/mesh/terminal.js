// What a program wrote for a terminal, as a terminal would show it: colours, lines that were written
// over, and no sequence that only steers the cursor. Nothing here makes HTML from a text: it becomes
// text nodes. A library would not do: those we know write HTML with style attributes, which our
// content security policy forbids, and none follows carriage returns and the cursor.

import { el, marked, readable as seen } from "./dom.js";

const MOST_RUNS = 20_000; // differently styled pieces; what follows is shown without styles
const MOST_COLUMNS = 10_000; // where a sequence may put the cursor
const PLAIN = Object.freeze({});

// CSI sequences; OSC and other strings, on one line, with their ends; short sequences; one that is cut.
const SEQUENCE = /\x1b\[([<-?]?)([\d;:]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\|$)|\x1b[ -/]+[0-~]|\x1b[0-OQ-WYZ\\`-~]|\x1b(?:\[[\d;:<-?]*[ -/]*)?$/y;
const ORDINARY = /[^\x1b\r\n\b]+/y;

/** Return the rows of `text`, each a list of [text, style]. */
export function rowsOf(text) {
  if (!/[\x1b\r\b]/.test(text)) return text.split("\n").map((line) => (line ? [[line, PLAIN]] : []));
  const screen = new Screen();
  for (let at = 0; at < text.length; ) {
    ORDINARY.lastIndex = SEQUENCE.lastIndex = at;
    const found = text[at] === "\x1b" ? SEQUENCE.exec(text) : ORDINARY.exec(text);
    if (!found) screen.control(text[at]);
    else if (text[at] !== "\x1b") screen.write(found[0]);
    else if (found[3]) screen.steer(found[1], found[2], found[3]);
    at += found ? found[0].length : 1;
  }
  return screen.rows;
}

/** Return the text of rows without their styles. */
export const textOfRows = (rows) => rows.map((row) => row.map(([text]) => text).join("")).join("\n");

class Screen {
  constructor() {
    Object.assign(this, { rows: [[]], row: 0, column: 0, style: PLAIN, runs: 0 });
  }

  write(text) {
    const row = this.rows[this.row];
    const length = lengthOf(row);
    if (this.column > length) row.push([" ".repeat(this.column - length), PLAIN]);
    if (this.column >= length) append(row, text, this.style);
    else this.overwrite(text);
    this.column += sizeOf(text);
    if ((this.runs += 1) > MOST_RUNS) this.style = PLAIN;
  }

  overwrite(text) {
    const cells = this.rows[this.row].flatMap(([part, style]) => [...part].map((sign) => [sign, style]));
    [...text].forEach((sign, index) => (cells[this.column + index] = [sign, this.style]));
    this.rows[this.row] = joined(cells);
  }

  control(sign) {
    if (sign === "\r") this.column = 0;
    else if (sign === "\b") this.column = Math.max(0, this.column - 1);
    else if (sign === "\n") this.down(1);
    else this.write(sign); // an escape that begins nothing: shown by its code point
  }

  down(count) {
    this.column = 0;
    for (; count > 0; count -= 1) if ((this.row += 1) === this.rows.length) this.rows.push([]);
  }

  steer(mark, numbers, name) {
    if (mark) return;
    const given = numbers.split(/[;:]/).map(Number);
    const count = Math.min(given[0] || 1, MOST_COLUMNS);
    if (name === "m") this.style = this.runs > MOST_RUNS ? PLAIN : styled(this.style, numbers);
    else if (name === "K") this.erase(given[0]);
    else if (name === "G") this.column = count - 1;
    else if (name === "C") this.column = Math.min(this.column + count, MOST_COLUMNS);
    else if (name === "D") this.column = Math.max(0, this.column - count);
    else if ("AF".includes(name)) this.row = Math.max(0, this.row - count);
    else if ("BE".includes(name)) this.row = Math.min(this.rows.length - 1, this.row + count);
    else if (name === "J" && !given[0]) this.eraseBelow();
    else if ("Hf".includes(name) && this.column) this.down(this.rows.length - this.row); // the old page stays
    if ("EF".includes(name)) this.column = 0;
  }

  erase(how) {
    const cells = this.rows[this.row].flatMap(([part, style]) => [...part].map((sign) => [sign, style]));
    if (!how) cells.length = Math.min(cells.length, this.column);
    else if (how === 2) cells.length = 0;
    else cells.fill([" ", PLAIN], 0, this.column + 1);
    this.rows[this.row] = joined(cells);
  }

  eraseBelow() {
    this.erase(0);
    this.rows.length = this.row + 1;
  }
}

const sizeOf = (text) => (/[\ud800-\udfff]/.test(text) ? [...text].length : text.length);
const lengthOf = (row) => row.reduce((sum, [text]) => sum + sizeOf(text), 0);

function append(row, text, style) {
  const last = row.at(-1);
  if (last && last[1] === style) last[0] += text;
  else row.push([text, style]);
}

function joined(cells) {
  const row = [];
  for (const [sign, style] of cells) append(row, sign, style);
  return row;
}

const FLAGS = { 1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const ENDS = { 22: ["bold", "faint"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"], 39: ["fore"], 49: ["back"] };

/** Return `style` changed by the numbers of an SGR sequence. Concealed text (8) is shown. */
function styled(style, numbers) {
  let next = { ...style };
  const given = numbers.replace(/:(?=:)/g, ":0").split(/[;:]/).map(Number);
  for (let at = 0; at < given.length; at += 1) {
    const code = given[at];
    if (code === 0) next = {};
    else if (FLAGS[code]) next[FLAGS[code]] = true;
    else if (ENDS[code]) for (const name of ENDS[code]) delete next[name];
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(given.slice(at + 1), numbers.includes("::"));
      if (colour !== null) next[code === 38 ? "fore" : "back"] = colour;
      at += used;
    } else if (code >= 30 && code <= 37) next.fore = code - 30;
    else if (code >= 40 && code <= 47) next.back = code - 40;
    else if (code >= 90 && code <= 97) next.fore = code - 82;
    else if (code >= 100 && code <= 107) next.back = code - 92;
  }
  return Object.keys(next).length ? next : PLAIN;
}

/** Return the colour of "5;n" or "2;r;g;b", and how many numbers it took. */
function extended([kind, ...rest], hasSpace) {
  if (kind === 5) return [rest[0] <= 255 ? rest[0] : null, 2];
  if (kind !== 2) return [null, 1];
  const rgb = hasSpace ? rest.slice(1, 4) : rest.slice(0, 3);
  return [rgb.length === 3 && rgb.every((each) => each <= 255) ? rgb : null, hasSpace ? 5 : 4];
}

const PALETTE = [[0, 0, 0], [187, 0, 0], [0, 135, 0], [160, 110, 0], [30, 80, 210], [150, 30, 150], [0, 125, 140], [200, 200, 200], [110, 110, 110], [255, 95, 95], [95, 215, 95], [255, 215, 95], [110, 150, 255], [255, 120, 255], [95, 215, 230], [255, 255, 255]];
const STEPS = [0, 95, 135, 175, 215, 255];

function rgbOf(colour) {
  if (Array.isArray(colour)) return colour;
  if (colour < 16) return PALETTE[colour];
  if (colour >= 232) return Array(3).fill(8 + 10 * (colour - 232));
  const at = colour - 16;
  return [STEPS[Math.floor(at / 36)], STEPS[Math.floor(at / 6) % 6], STEPS[at % 6]];
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((each) => (each / 255 <= 0.04045 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

/** Return a colour for text on `back` that can be read: `fore` if it can, else black or white. */
export function readable(fore, back) {
  if (fore && contrast(fore, back) >= 4.5) return fore;
  return contrast([0, 0, 0], back) >= contrast([255, 255, 255], back) ? [0, 0, 0] : [255, 255, 255];
}

/** Return the nodes for rows. */
export function paintRows(rows) {
  return rows.flatMap((row, index) => [...row.flatMap(([text, style]) => piece(marked(seen(text)), style)), ...(index < rows.length - 1 ? ["\n"] : [])]);
}

function piece(nodes, style) {
  if (style === PLAIN) return nodes;
  const { fore, back } = style.inverse ? { fore: style.back, back: style.fore } : style;
  const flags = ["bold", "faint", "italic", "underline", "strike"].filter((name) => style[name]);
  const isSwapped = style.inverse && fore === undefined && back === undefined;
  const isNamed = back === undefined && typeof fore === "number" && fore < 16;
  const names = [...flags, ...(isSwapped ? ["swapped"] : []), ...(isNamed ? [String(fore)] : []), ...(fore !== undefined && back === undefined && !isNamed ? ["own"] : [])];
  const node = el("span", { class: names.map((name) => `ansi-${name}`).join(" ") }, ...nodes);
  const css = (rgb) => `rgb(${rgb.join(" ")})`;
  if (back !== undefined) {
    const ground = rgbOf(back);
    node.style.background = css(ground);
    node.style.color = css(readable(fore === undefined ? null : rgbOf(fore), ground));
  } else if (fore !== undefined && !isNamed) node.style.setProperty("--ansi", css(rgbOf(fore)));
  return node;
}
