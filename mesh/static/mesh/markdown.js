// Markdown while it is being written: finished blocks are never touched again, and the last one
// is morphed, so selected text stays selected and the cost of a frame depends on the new text.

import markdownit from "./vendor/markdown-it.js";
import "./vendor/purify.js";
import { el, fileLink, marked, morph, readable, size, visible, visibleText } from "./dom.js";

const LARGEST = 200_000; // characters; of a longer text only the start is shown, as plain text
const SLOW = 8; // milliseconds: a block that takes longer is not painted in every frame
const REFERENCE = /^ {0,3}\[[^\]]+\]:\s/m;

const md = markdownit({ html: false, linkify: true, typographer: false });
const { rules } = md.renderer;
const escape = md.utils.escapeHtml;

rules.fence = rules.code_block = (tokens, index) => {
  const { info = "" } = tokens[index];
  const content = readable(tokens[index].content);
  const language = /^[\w+#.-]+/.exec(info.trim())?.[0] ?? "";
  const named = language ? ` class="language-${escape(language)}"` : "";
  return `<figure class="code"><figcaption><span>${escape(language || "text")}</span><button type="button" class="code__copy">Copy</button></figcaption><pre tabindex="0"><code${named}>${escape(content)}</code></pre></figure>`;
};
rules.code_inline = (tokens, index) => `<code>${escape(readable(tokens[index].content))}</code>`;
// A list's marks stand at the side at which its text begins.
rules.bullet_list_open = rules.ordered_list_open = (tokens, index, options, env, self) => {
  tokens[index].attrSet("dir", "auto");
  return self.renderToken(tokens, index, options);
};

// Columns are aligned by class: the page's content security policy allows no style attributes.
rules.th_open = rules.td_open = (tokens, index) => {
  const side = /text-align:(\w+)/.exec(tokens[index].attrGet("style") ?? "")?.[1];
  return `<${tokens[index].tag}${side ? ` class="align-${side}"` : ""}>`;
};
rules.table_open = () => '<div class="table" tabindex="0"><table>';
rules.table_close = () => "</table></div>";
rules.link_open = (tokens, index, options, env, self) => {
  tokens[index].attrSet("target", "_blank");
  tokens[index].attrSet("rel", "noopener noreferrer nofollow");
  return self.renderToken(tokens, index, options);
};
// Loading a remote picture would reveal the reader to its server, so it becomes a link.
rules.image = (tokens, index) => {
  const source = tokens[index].attrGet("src") ?? "";
  const words = tokens[index].content || source;
  return `<a href="${escape(source)}" target="_blank" rel="noopener noreferrer nofollow">${escape(words)}</a>`;
};

const SAFE = {
  RETURN_DOM_FRAGMENT: true,
  ALLOWED_TAGS:
    "a b blockquote br button code del div em figcaption figure h1 h2 h3 h4 h5 h6 hr i li ol p pre s span strong table tbody td th thead tr ul".split(" "),
  ALLOWED_ATTR: ["class", "dir", "href", "rel", "start", "tabindex", "target", "title", "type"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

const PROTOCOLS = ["http:", "https:", "mailto:"];

/** Return whether a link leaves Mesh. A link into Mesh would open with the reader's session. */
export function leadsOut(address) {
  if (!URL.canParse(address, location.href)) return false;
  const { protocol, origin } = new URL(address, location.href);
  return PROTOCOLS.includes(protocol) && origin !== location.origin;
}

function clean(html, namesLinks = false) {
  const fragment = globalThis.DOMPurify.sanitize(html, SAFE);
  for (const link of fragment.querySelectorAll("a")) {
    const address = link.getAttribute("href") ?? "";
    if (!leadsOut(address)) {
      link.replaceWith(...link.childNodes);
      continue;
    }
    link.title = visibleText(address);
    const where = whereTo(link.textContent, address, namesLinks);
    if (where) link.append(el("span", { class: "link__where" }, " (", ...marked(visible(where)), ")"));
  }
  return fragment;
}

const AN_ADDRESS = /^\s*(?:[a-z][a-z+.-]*:\/\/|www\.|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?:[/:?#]|\s*$))/i;
const bare = (address) => address.trim().replace(/^[a-z]+:\/*/i, "").replace(/\/$/, "").toLowerCase();

/** Return where a link leads if its words don't say it: always with `isNamed`, else if they look
    like another address. */
function whereTo(words, address, isNamed) {
  if (bare(words) === bare(address)) return "";
  if (isNamed) return address;
  if (!AN_ADDRESS.test(words)) return "";
  const { host } = new URL(address, location.href);
  const said = bare(words).split(/[/?#]/)[0];
  return said === host.toLowerCase() ? "" : host || address;
}

/** One text part in `root`; with `namesLinks` each link says where it leads. update() takes the whole text so far and whether it is finished. */
export class Markdown {
  constructor(root, { namesLinks = false } = {}) {
    Object.assign(this, { root, namesLinks });
    root.classList.add("prose");
    this.reset();
  }

  reset() {
    this.root.replaceChildren();
    Object.assign(this, { text: "", settled: 0, live: [], env: {}, done: false, restUntil: 0 });
  }

  update(text, done) {
    clearTimeout(this.later);
    if (text === this.text && done === this.done) return;
    if (text.length > LARGEST) return this.plain(text);
    const now = performance.now();
    if (!done && now < this.restUntil) {
      this.later = setTimeout(() => this.update(text, done), this.restUntil - now);
      return;
    }
    // A reference may be defined after its use: then the whole text is rendered again once, at the end.
    const late = done && !this.done && this.settled && REFERENCE.test(text);
    if (late || !text.startsWith(this.text)) this.reset();
    this.text = text;
    this.done = done;
    this.paint(text.slice(this.settled), done);
    const took = performance.now() - now;
    this.restUntil = took > SLOW ? now + 4 * took : 0;
  }

  paint(tail, done) {
    const tokens = md.parse(tail, this.env);
    const blocks = tokens.filter((token) => token.level === 0 && token.nesting >= 0 && token.map);
    const fresh = [...clean(md.renderer.render(tokens, md.options, this.env), this.namesLinks).children];
    fresh.forEach(linkFiles);
    const nodes = fresh.map((node, index) => {
      const old = this.live[index];
      if (old) return morph(old, node);
      this.root.append(node);
      return node;
    });
    this.live.slice(fresh.length).forEach((node) => node.remove());
    const open = done || !blocks.length || nodes.length !== blocks.length ? 0 : 1;
    const finished = open || done ? nodes.slice(0, nodes.length - open) : [];
    finished.forEach(highlightLater);
    this.live = nodes.slice(finished.length);
    if (open) this.settled += lineStart(tail, blocks.at(-1).map[0]);
    else if (done) this.settled = this.text.length;
  }

  /** Show the start of a very long text, and a button that shows all of it. */
  plain(text) {
    this.text = text;
    this.done = true;
    if (!this.more) {
      this.words = el("div", { class: "plain" });
      this.more = el("button", { class: "button", type: "button" });
      this.more.addEventListener("click", () => {
        this.words.textContent = this.text;
        this.more.remove();
      });
      this.words.textContent = text.slice(0, LARGEST);
      this.root.classList.remove("prose");
      this.root.replaceChildren(this.words, this.more);
    }
    this.more.textContent = `Show all (${size(text.length)})`;
  }
}

// A path with a folder and an ending, or a file with a line: `src/app.py`, `app.py:12`, `/a/b.c:3:1`.
const FILE = /^(?=.*\/|.*:\d)(?!\/\/)[\w@.+~/-]*[\w@+~-]\.[a-z]\w{0,9}(?::\d+(?::\d+)?(?:-\d+)?)?$/i;
const HOST = /^[^/]*\.(?:com|org|net|io|dev|ai|local|internal|example|localhost)(?::\d+)?$/i;

/** Make links of the files that code in a text names; the work panel opens them. */
function linkFiles(node) {
  for (const code of node.querySelectorAll(":not(pre, a) > code")) {
    const text = code.textContent;
    if (text.length > 300 || !FILE.test(text) || HOST.test(text) || code.closest("a")) continue;
    const link = fileLink(text);
    code.replaceWith(link);
    link.append(code);
  }
}

function lineStart(text, line) {
  let at = 0;
  for (let count = 0; count < line; count += 1) at = text.indexOf("\n", at) + 1;
  return at;
}

// Code is highlighted when the browser is idle; the library is loaded only if there is code.
const waiting = [];
let library = null;

function highlightLater(node) {
  const found = node.matches("figure.code") ? [node] : node.querySelectorAll("figure.code");
  for (const figure of found) {
    const code = figure.querySelector("code[class]");
    if (code && code.textContent.length < 50_000) waiting.push(code);
  }
  if (waiting.length) idle(highlight);
}

const idle = (work) => (window.requestIdleCallback ?? ((f) => setTimeout(f, 50)))(work, { timeout: 1000 });

async function highlight() {
  library ??= import("./vendor/highlight.js").then((module) => module.default);
  const highlighter = await library.catch(() => null);
  const code = waiting.shift();
  if (!highlighter || !code) return;
  const language = code.className.replace("language-", "");
  if (isSelected(code)) {
    waiting.push(code);
    setTimeout(() => idle(highlight), 2000);
    return;
  }
  if (highlighter.getLanguage(language)) {
    code.replaceChildren(clean(highlighter.highlight(code.textContent, { language }).value));
  }
  if (waiting.length) idle(highlight);
}

function isSelected(node) {
  const selection = getSelection();
  return Boolean(selection && !selection.isCollapsed && selection.containsNode(node, true));
}
