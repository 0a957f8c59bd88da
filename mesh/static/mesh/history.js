// The pages of a conversation that are not loaded: older ones when the reader goes up, and the one
// that an address names. Loaded in long conversations only.

import { byId, el, icon, say } from "./dom.js";
import { nodeId } from "./parts.js";

const TOAST = 6000; // milliseconds

export class History {
  constructor(transcript) {
    Object.assign(this, { transcript, chat: transcript.chat, between: null });
    this.nearGap = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && this.fillGap(), {
      root: transcript.scroller,
      rootMargin: "400px 0px",
    });
  }

  /** Fetch the page before what is loaded, and show it above; the reader stays where they are. */
  async older() {
    const { transcript, chat } = this;
    const { older } = chat;
    const page = await this.fetch(transcript.earlier, `page=${older}`);
    if (!page || chat.older !== older) return; // the reader went elsewhere meanwhile
    transcript.first += chat.fill(page.messages, 0).length;
    chat.older = page.older;
    if (transcript.first > 0) transcript.showEarlier();
    transcript.showsEarlier();
    transcript.watchTop();
  }

  /** Show the message with this id; messages between it and the end are fetched when reached. */
  async goTo(name) {
    const { transcript, chat } = this;
    const id = decode(name);
    if (!chat.known.has(id)) {
      const page = await transcript.fetchPage(`at=${encodeURIComponent(id)}`).catch(missing);
      if (!page) return;
      this.openAt(page);
    }
    const index = chat.messages.findIndex((message) => message.id === id);
    if (index < 0) return;
    transcript.showFrom(index);
    if (this.between) transcript.views.get(chat.gap.before.id).node.before(this.between);
    if (this.between) this.watchGap();
    const node = document.getElementById(nodeId({ id }));
    node?.scrollIntoView({ block: "start" });
    node?.setAttribute("tabindex", "-1");
    node?.focus({ preventScroll: true });
  }

  openAt(page) {
    const { transcript, chat } = this;
    this.leaveGap();
    const newest = chat.messages[0];
    const fresh = chat.fill(page.messages, 0);
    this.olderThanNewest = chat.older;
    chat.older = page.older;
    transcript.first += fresh.length;
    // Where the page reaches what was loaded there is no gap.
    if (newest && page.newer && fresh.length === page.messages.length) this.putGap(newest, page.newer);
  }

  putGap(before, newer) {
    this.chat.gap = { before, newer };
    this.between = el("button", { class: "button button--bare earlier", type: "button" }, "Show the messages in between");
    this.between.addEventListener("click", () => this.fillGap());
    this.transcript.gapButton = this.between;
  }

  async fillGap() {
    const { transcript, chat } = this;
    const { gap } = chat;
    if (!gap) return;
    const page = await this.fetch(this.between, `page=${gap.newer}`);
    if (!page || chat.gap !== gap) return;
    const fresh = chat.fill(page.messages, chat.messages.indexOf(gap.before));
    const isClosed = !page.newer || fresh.length < page.messages.length;
    if (isClosed) this.forgetGap();
    else gap.newer = page.newer;
    for (const message of fresh) transcript.paintMessage(message, null);
    if (!isClosed) this.watchGap();
  }

  /** Observe it again, or a button that is still near would not be reported again. */
  watchGap() {
    this.nearGap.unobserve(this.between);
    this.nearGap.observe(this.between);
  }

  forgetGap() {
    this.nearGap.disconnect();
    this.between?.remove();
    this.chat.gap = this.between = this.transcript.gapButton = null;
  }

  /** Drop the messages before the gap: the reader has gone to the end. */
  leaveGap() {
    const { transcript, chat } = this;
    if (!chat.gap) return;
    const at = chat.messages.indexOf(chat.gap.before);
    for (const message of chat.messages.splice(0, at)) {
      chat.known.delete(message.id);
      transcript.views.get(message.id)?.node.remove();
      transcript.views.delete(message.id);
    }
    transcript.first = Math.max(0, transcript.first - at);
    chat.older = this.olderThanNewest;
    this.forgetGap();
    transcript.showsEarlier();
  }

  /** Fetch a page, and show that on `button`; null if it failed, or one is already being fetched. */
  async fetch(button, query) {
    if (button.hasAttribute("aria-busy")) return null;
    const quiet = (button.dataset.words ??= button.textContent);
    button.setAttribute("aria-busy", "true");
    button.textContent = "Loading messages…";
    try {
      const page = await this.transcript.fetchPage(query);
      button.textContent = quiet;
      return page;
    } catch (refused) {
      const words = `Could not load older messages: ${refused.message}`;
      button.replaceChildren(icon("rotate-cw"), `${words} Try again`);
      say(words);
      return null;
    } finally {
      button.removeAttribute("aria-busy");
    }
  }
}

function missing(refused) {
  const words = refused.status === 404 ? "The linked message is not in this chat." : `The message could not be loaded. ${refused.message}`;
  byId("toast").replaceChildren(el("span", {}, words));
  byId("toast").hidden = false;
  setTimeout(() => (byId("toast").hidden = true), TOAST);
}

function decode(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
