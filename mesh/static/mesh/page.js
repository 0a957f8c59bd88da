// The chat page: connects the store, the conversation, the composer, the list and the socket.
// It also describes the current run in words.

import { Chat, filesOf, textOf } from "./chat.js";
import { Agents, Composer, Outbox, inherit, keyOf as keyOfTab, newTabId, offlineNotice, openTab } from "./composer.js";
import { api, apiWithPatience, asWords, byId, duration, el, icon, marked, offerReload, pressed, read, readableText, say, visibleText } from "./dom.js";
import { providerSaid } from "./parts.js";
import { Sidebar } from "./sidebar.js";
import { Socket } from "./socket.js";
import { Transcript } from "./transcript.js";

const data = JSON.parse(byId("page-data").textContent);
const base = `/api/${data.org}/decopilot`;
const agent = data.agent ?? "default";
let thread = data.thread;
let tab = null;
let branch = () => "";
// The page reacts immediately; what it stores waits until the tab has its id.
const opened = openDrafts();

async function openDrafts() {
  tab = await openTab();
  await inherit(tab, baseOf).catch(() => {}); // what a closed tab left stays for the next page
  if (byId("branch-menu")) ({ branch } = await import("./branch.js"));
  outbox.key = keyOf("outbox");
  composer.keepAs(keyOf("draft"));
}

// The conversation

let statusFrame = null;
const chat = new Chat(data, {
  onChange: (message, part) => transcript.change(message, part),
  onStatus: () => (statusFrame ??= requestAnimationFrame(paintStatus)),
  onTitle: (title) => showTitle(title),
});
const transcript = new Transcript(chat, {
  onRetry: (message) => post(message.id, message.parts),
  onEdit: edit,
  onSend: sendUnsent,
  onAgain: (asked, { files = filesOf(asked), metadata } = {}) => send(textOf(asked), files, metadata),
  onRephrase: (asked) => composer.giveBack(textOf(asked), filesOf(asked)),
  fetchPage: (query) => api("GET", `${base}/threads/${thread.id}/messages?${query}&short=true`),
});
const agents = new Agents({ onMachine: () => sidebar.refresh(), onChoice: chosen });
const composer = new Composer({
  opened,
  filesUrl: `${base}/files`,
  onSend: send,
  onStop: stop,
  onLevel: switchLevel,
  takes: () => agents.takes(),
  levels: () => agents.levels(),
});
const outbox = new Outbox();

// The menu of the agent's commands, loaded with the first message that begins with "/".
let commands = null;
byId("text").addEventListener("input", async ({ target }) => {
  if (commands || !target.value.startsWith("/")) return;
  commands = {};
  const { Commands } = await import("./commands.js");
  commands = new Commands({ text: target, load: loadCommands });
});

/** Return what the chosen agent announces: in this chat, or on the machine of a new one. */
async function loadCommands() {
  const choice = agents.choice();
  if (thread?.locked) return (await api("GET", `${base}/threads/${thread.id}/agent-options`)).commands;
  if (!choice?.isLocal) return [];
  const where = { harnessId: choice.harness, ...(agents.machine() ? { linkId: agents.machine() } : {}) };
  return (await api("GET", `${base}/agent-options?${new URLSearchParams(where)}`)).commands;
}

// A person who leaves before the tab has its id leaves a draft as a closed tab does.
addEventListener("pagehide", () => composer.draftKey ?? composer.keepAs(keyOfTab(baseOf("draft"), newTabId())));

function baseOf(kind) {
  return `mesh:${kind}:${data.org}:${thread?.id ?? "new"}`;
}

function keyOf(kind) {
  return keyOfTab(baseOf(kind), tab);
}

function send(text, files = [], metadata = {}) {
  const id = newId();
  const parts = [...(text ? [{ type: "text", text }] : []), ...files];
  document.body.dataset.view = "thread";
  chat.addOwn(id, parts, metadata);
  paintStatus();
  transcript.toEnd();
  return post(id, parts);
}

/** Put a message that was not sent back into the message box. */
function edit(message) {
  composer.giveBack(textOf(message), filesOf(message));
  if (message.unsent) return askUnsent(message, "DELETE", "");
  outbox.drop(message.id);
  return chat.remove(message.id);
}

/** Send a message whose turn never came; the server replaces it by a new one, on all pages. */
async function sendUnsent(message) {
  const whenOffline = machine()?.state === "offline" ? "queue" : "refuse";
  transcript.toEnd();
  if (await askUnsent(message, "POST", "/send", { whenOffline })) composer.text.focus();
}

async function askUnsent(message, method, path, body) {
  const show = (facts) => {
    Object.assign(message.unsent, { isSending: false, refused: null }, facts);
    transcript.change(message, null);
  };
  show({ isSending: true });
  try {
    await apiWithPatience(method, `${base}/threads/${thread.id}/queue/${message.unsent.runId}${path}`, body);
    return true;
  } catch (refused) {
    show({ refused });
    return false;
  }
}

/** Send a withdrawn message again, at its old place in the queue. */
async function restore({ parts }, before) {
  const id = newId();
  chat.addOwn(id, parts);
  paintStatus();
  const answer = await post(id, parts);
  if (!answer || !before) return;
  // If it is the next one by now, or the other one has been sent, it stays where it is.
  await api("PATCH", `${base}/threads/${thread.id}/queue/${answer.runId}`, { before }).catch(() => {});
}

// crypto.randomUUID is missing on a page that was loaded over plain http from another machine.
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `m-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Send a message, the thread first if there is none; sending again under the same id is safe. */
async function post(id, parts) {
  const message = chat.known.get(id);
  const show = (now) => {
    Object.assign(message, { sending: "sending", refused: null, delayed: null }, now);
    transcript.change(message, null);
  };
  show({});
  await opened;
  outbox.put(id, textOf(message), filesOf(message));
  try {
    // A second message may be written before the first one has its thread.
    const fresh = thread ? null : await (opening ??= openThread().finally(() => (opening = null)));
    const choice = agents.choice();
    const body = {
      messages: [{ id, role: "user", parts, ...(message.metadata?.withoutEarlier ? { metadata: { withoutEarlier: true } } : {}) }],
      agent: { id: thread.agent?.id ?? agent },
      tier: choice?.tier ?? "smart",
      ...(choice ? { model: choice.model, effort: choice.effort } : {}),
      // Left out, the thread's applies: another page may have switched it since this one was opened.
      ...(thread.locked && !isLevelOwn ? {} : { toolApprovalLevel: composer.level.value }),
      // The composer says so before a message is sent to an offline machine.
      ...(machine()?.state === "offline" ? { whenOffline: "queue" } : {}),
      ...(thread.locked ? {} : firstPins(choice)),
    };
    const answer = await apiWithPatience("POST", `${base}/threads/${thread.id}/messages`, body, (delayed) => show({ delayed }));
    outbox.drop(id);
    chat.settle(id);
    if (fresh) sidebar.refreshSoon();
    return answer;
  } catch (refused) {
    chat.settle(id, refused);
    say(`Not sent. ${refused.message}`);
    return null;
  }
}

/** The choices that the first message fixes; the server decides those that are left out. */
function firstPins(choice) {
  const here = choice?.isLocal ? { sandboxProviderKind: "remote-user", linkId: agents.machine() } : {};
  return { ...(branch() ? { branch: branch() } : {}), ...(choice ? { harnessId: choice.harness, ...here } : {}) };
}

function chosen(choice) {
  commands?.forget?.();
  composer.judge();
  composer.explainLevel();
  warmUp(choice);
}

/** Start the sandbox while the person writes. The first message works without it, so a failure
    is not reported. */
function warmUp(choice) {
  if (!choice.isLocal || !branch() || thread?.locked) return;
  const body = { virtualMcpId: agent, branch: branch(), sandboxProviderKind: "remote-user" };
  api("POST", `/api/${data.org}/tools/VM_START`, body).catch(() => {});
}

/** Show messages again that were sent from a page that was closed before the server answered. */
function restoreUnsent() {
  const waiting = outbox.all();
  if (!thread && waiting.length) composer.giveBack(waiting.map(({ text }) => text).join("\n\n"), waiting.flatMap(({ files = [] }) => files));
  for (const { id, text, files = [] } of waiting) {
    if (!thread || chat.known.has(id)) outbox.drop(id);
    else {
      chat.addOwn(id, [...(text ? [{ type: "text", text }] : []), ...files]);
      chat.settle(id, { message: "The page was closed before the server answered." });
    }
  }
}

let opening = null;

/** The new chat becomes a thread in place: nothing reloads, no keystroke is lost. */
async function openThread() {
  thread = await api("POST", `${base}/threads`, { agentId: agent });
  chat.thread = thread;
  history.pushState({}, "", `/${data.org}/threads/${thread.id}`);
  shown = location.pathname;
  composer.moveDraft(keyOf("draft"));
  outbox.move(keyOf("outbox"));
  socket.follow(thread.id, 0);
  return thread;
}

// Whether the person switched the level here and the server has not confirmed it.
let isLevelOwn = false;

/** The level is the thread's; while an agent works, it applies to it as far as possible. */
async function switchLevel(level) {
  if (!thread) return;
  isLevelOwn = true;
  try {
    const { applies } = await api("PUT", `${base}/threads/${thread.id}/level`, { level });
    if (composer.level.value === level) isLevelOwn = false;
    if (!chat.current()) return;
    say(applies === "now" ? "The approval level applies from now on." : "The approval level applies from your next message on.");
    composer.levelHint(applies === "next");
  } catch (refused) {
    say(`The approval level could not be changed. ${refused.message}`);
  }
}

let stopping = null;

async function stop() {
  stopping = chat.current();
  paintStatus();
  try {
    await apiWithPatience("POST", `${base}/cancel/${thread.id}`, {});
  } catch (refused) {
    stopping = null;
    // 404: it had already ended, which the page will receive in a moment.
    if (refused.status !== 404) say(`The agent could not be stopped. ${refused.message}`);
  }
  paintStatus();
}

// The current run in words

let away = false;

function machine() {
  return thread?.machine ?? null;
}

function words({ state, retry, awaits, why }) {
  const where = machine() && visibleText(machine().name);
  if (stopping) return "Stopping…";
  if (state === "queued") {
    if (why) return readableText(why); // why no process can take it
    if (machine()?.state === "offline") return `Waiting for ${where}, which is offline. Your message is sent when the machine is back.`;
    return where ? `Waiting for ${where}…` : "Waiting for its turn…";
  }
  if (thread?.runsOnMachine && machine()?.state === "offline") return `${where} is offline. The answer arrives when it is back.`;
  if (thread?.resting) return readableText(thread.resting.message); // it can't be reached just now
  if (state === "dispatched") return where ? `Starting the agent on ${where}…` : "Starting the agent…";
  if (state === "waiting") return "Waiting for your answer";
  if (retry) return retryWords(retry);
  // A server that answers is not worth a word that is read aloud.
  if (awaits && Date.now() - awaits.at >= 1000) return awaitsWords(awaits.servers);
  return where ? `Working on ${where}` : "Working";
}

/** The run has ended here, but what runs it has not been told: it may go on. */
function stopDueWords() {
  const where = machine() && visibleText(machine().name);
  if (thread.runsOnMachine && machine()?.state === "offline") return `Stopped here. ${where} is offline: what the agent does there goes on until it is back.`;
  return where ? `Stopping the agent on ${where}…` : "Stopping the agent…";
}

const awaitsWords = (servers) => `Waiting for the MCP server${servers.length > 1 ? "s" : ""} ${visibleText(servers.join(", "))}…`;

function retryWords(retry) {
  const { attempt, of } = retry;
  const many = attempt ? ` (attempt ${attempt}${of ? ` of ${of}` : ""})` : "";
  return `Trying again${many}: ${providerSaid(retry)}`;
}

/** Return the seconds until the provider is asked again, as words; not announced as they pass. */
function retryIn({ inMs, at }) {
  const left = Math.ceil((at + inMs - Date.now()) / 1000);
  return inMs && left > 0 ? `in ${left} s` : "";
}

function paintStatus() {
  cancelAnimationFrame(statusFrame);
  statusFrame = null;
  chat.setAway(machine()?.state === "offline");
  const current = chat.current();
  if (!current || (stopping && stopping.id !== current.id)) stopping = null;
  composer.setBusy(Boolean(current), Boolean(stopping));
  const line = transcript.statusLine;
  const text = current ? words(current) : thread?.stopDue ? stopDueWords() : "";
  line.hidden = !text;
  if (text && line.dataset.words !== text) {
    line.dataset.words = text;
    line.dataset.state = current?.state ?? "stopping";
    line.replaceChildren(mark(line.dataset.state), el("span", {}, ...marked(text)), el("span", { class: "status__time" }));
    say(text);
  }
  if (current) {
    const took = Date.now() - current.since;
    const isRetry = current.retry && text.startsWith("Trying again");
    line.lastChild.textContent = isRetry ? retryIn(current.retry) : current.state !== "waiting" && took >= 2000 ? duration(took) : "";
  } else if (!text && line.dataset.words) {
    delete line.dataset.words;
    say(ended());
  }
  if (!current) composer.levelHint(false);
  paintContext();
  paintPanels();
  work?.told();
  const offline = machine()?.state === "offline" && !current;
  composer.notice(...(offline ? [offlineNotice(machine())] : []));
  composer.explainLevel();
}

const mark = (state) => (state === "waiting" ? icon("hand") : state === "queued" ? icon("clock") : el("span", { class: "pulse", "aria-hidden": "true" }));

let ring = null;

/** Show how full the model's context was after the last answer that says so. */
async function paintContext() {
  const told = chat.messages.findLast(({ metadata }) => metadata?.usage?.contextWindow && metadata.usage.contextUsed);
  if (!told && !ring) return;
  ring ??= await import("./context.js");
  ring.paint(byId("context"), told?.metadata.usage);
}

function ended() {
  const last = chat.messages.findLast(({ role }) => role === "assistant");
  const unsent = chat.messages.slice(chat.messages.indexOf(last)).filter((message) => message.unsent).length;
  if (unsent) return `Stopped. ${unsent === 1 ? "1 message was" : `${unsent} messages were`} not sent.`;
  if (last?.state === "failed") return `The run failed. ${readableText(last.error?.message ?? "")}`;
  return last?.state === "cancelled" ? "Stopped." : "The answer is complete.";
}

let panels = null;

/** Paint the panels above the composer, once there is something to show. */
async function paintPanels() {
  if (!panels && !chat.questions().length && !chat.queue.length && !chat.rules.length && !thread?.background?.length) return;
  if (!panels) {
    const { Panels } = await import("./panels.js");
    panels ??= new Panels(chat, {
      base: () => `${base}/threads/${thread.id}`,
      facts: () => ({ thread, machine: machine() }),
      onUndo: restore,
      onLost: (text) => composer.giveBack(text),
      onQuestions: paintTitle,
    });
  }
  panels.paint();
}

setInterval(() => chat.current() && !document.hidden && paintStatus(), 1000);

// Title and favicon

const favicon = document.querySelector("link[rel=icon]");
const quiet = favicon.href;
// The same picture with an amber dot: the address contains the SVG as text.
const needsPerson = quiet.replace(/%3C\/svg%3E$/i, "%3Ccircle cx='24' cy='8' r='7.5' fill='%23f5a524' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E");

function showTitle(title) {
  document.body.dataset.title = title;
  byId("title").replaceChildren(asWords(title));
  paintTitle();
  sidebar.refreshSoon();
}

function paintTitle() {
  const listed = Number(byId("needs").dataset.count);
  const needs = Math.max(listed, chat.questions().some(({ answer }) => !answer) ? 1 : 0);
  document.title = `${needs ? `(${needs}) ` : ""}${readableText(document.body.dataset.title)} · Mesh`;
  const picture = needs ? needsPerson : quiet;
  if (favicon.href !== picture) favicon.href = picture;
}

// The server

function paintAway(text) {
  byId("away").hidden = !text;
  byId("away").querySelector("span").textContent = text ?? "";
  if (text) say(text);
}

function signedOut() {
  paintAway("Signed out");
  byId("away").querySelector("span").replaceChildren("Signed out. ", el("a", { href: location.pathname }, "Sign in"));
}

let patience = null;

function onState(state) {
  if (state !== "away") clearTimeout(patience);
  if (state === "signed-out") return signedOut();
  if (state === "open") {
    if (away) sidebar.refreshSoon();
    away = false;
    return paintAway(null);
  }
  if (away) return null;
  away = true;
  // A short interruption is not worth a message.
  patience = setTimeout(() => paintAway("Reconnecting…"), 800);
  return null;
}

const AS_ACTIVE = new Set(["queued", "running", "requires_action"]);

function onMessage(message) {
  if (message.type === "events") {
    chat.apply(message.events);
    for (const { chunk } of message.events) if (chunk.type === "data-user-message") outbox.drop(chunk.id);
  } else if (message.type === "thread") {
    if (message.thread.id === thread?.id) {
      thread = message.thread;
      if (thread.level && !isLevelOwn) composer.level.value = thread.level;
      byId("panel-open").hidden = !thread.locked;
      if (!AS_ACTIVE.has(thread.status)) chat.expect(null);
      see();
      if (thread.title && thread.title !== document.body.dataset.title) showTitle(thread.title);
      paintStatus();
    }
    sidebar.rename(message.thread);
    sidebar.refreshSoon();
  } else if (message.type === "links") {
    const mine = message.links.find((link) => link.id === thread?.machine?.id);
    if (mine) thread.machine = { ...thread.machine, ...mine };
    paintStatus();
    sidebar.refreshSoon();
  } else if (message.type === "error" && message.thread === thread?.id) {
    if (message.code === "not_found") paintAway("This chat was deleted");
    // Offline for so long that the events in between are gone: reload to get the answers.
    else if (message.code === "cursor_too_old") location.reload();
    else setTimeout(() => socket.follow(thread.id, socket.cursor), 3000);
  }
}

/** Mark the thread as read while it is visible; the server notifies the person's other pages. */
function see() {
  if (!thread?.unread || document.hidden) return;
  thread.unread = false;
  api("PUT", `${base}/threads/${thread.id}/seen`).catch(() => {}); // retried when the page is next visible
}
document.addEventListener("visibilitychange", see);

const sidebar = new Sidebar({
  org: data.org,
  agent,
  thread: () => thread,
  agents,
  onRefreshed: () => {
    paintTitle();
    composer.judge();
    connect?.refreshed();
  },
  onSignedOut: signedOut,
  focusComposer: () => composer.text.focus(),
});
// The actions on a chat in the list, loaded when a menu is first opened.
let rows = null;
addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-row]");
  if (!button) return;
  const { Rows } = await import("./rows.js");
  rows ??= new Rows({
    base,
    gone: sidebar.gone,
    onChanged: () => {
      sidebar.filter();
      sidebar.refreshSoon();
    },
    onDeleted: (id) => (id === thread?.id ? location.assign(`/${data.org}/`) : sidebar.refreshSoon()),
  });
  rows.open(button);
});
// The dialog that connects a desktop, opened from several places.
let connect = null;
addEventListener("click", async ({ target }) => {
  if (!target.closest?.("[data-connect]")) return;
  const { Connect } = await import("./connect.js");
  connect ??= new Connect();
  for (const menu of document.querySelectorAll(":popover-open")) menu.hidePopover();
  connect.open();
});
// A notice says that the agent's copy lacks what the person has not committed.
addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-take-along]");
  if (!button) return;
  const { takeAlong } = await import("./take_along.js");
  takeAlong(button, `${base}/threads/${thread.id}/sandbox/take-along`);
});
// The work panel, loaded when it is first opened. It stands as it was left, where there is room beside.
let work = null;
async function openWork(act) {
  if (!thread?.locked) return;
  const { Panel } = await import("./panel.js");
  work ??= new Panel({ org: data.org, facts: workFacts });
  act(work);
}
const workFacts = () => ({ thread, machine: machine(), isWorking: Boolean(chat.current()) });
byId("panel-open").addEventListener("click", () => openWork((panel) => panel.toggle()));
addEventListener("mesh:panel", ({ detail }) => openWork((panel) => panel.show(detail.tab, detail.target)));
addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-panel]");
  if (!button) return;
  event.preventDefault(); // it may be a link, which leads nowhere without this script
  openWork((panel) => panel.show(button.dataset.panel, button.dataset.panelTarget));
});
addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || pressed(event).toLowerCase() !== "j") return;
  event.preventDefault();
  openWork((panel) => panel.toggle());
});
if (matchMedia("(min-width: 1001px)").matches && read(localStorage, `mesh:panel:${data.thread?.id}`).includes('"isOpen":true')) openWork((panel) => panel.restore());
// A link to a place on this page is not a new page. Back and Forward may have changed the address
// before this script ran: then the page is not that of its address either.
let shown = location.pathname;
addEventListener("popstate", () => location.pathname === shown || location.reload());
if ((shown.split("/threads/")[1] ?? "") !== (data.thread?.id ?? "")) location.reload();

// "New chat with …" has its choice in the address; from now on it is the last choice.
if (location.search) {
  agents.keep();
  history.replaceState(null, "", location.pathname);
}

// A phone's keyboard covers the page unless the browser shrinks the page itself.
window.visualViewport?.addEventListener("resize", () => {
  document.documentElement.style.setProperty("--height", `${visualViewport.height}px`);
});

// The server was upgraded under this page, or a script that is loaded late is gone with its version,
// for which each browser has its own words. Neither may depend on a script that is loaded late.
const STAYS = "What you have written stays.";
const onHello = ({ version }) => version !== data.version && offerReload(`Mesh has been upgraded. ${STAYS}`);
addEventListener("unhandledrejection", ({ reason }) => {
  const isMissing = reason instanceof TypeError && /\bmodule\b/i.test(reason.message);
  if (isMissing) offerReload(`A part of this page could not be loaded. ${STAYS}`);
});
const socket = new Socket(data.socket ?? "/ws", { onMessage, onState, onHello });
transcript.start();
composer.judge();
see();
paintStatus();
paintTitle();
await opened;
restoreUnsent();
if (thread) socket.follow(thread.id, data.cursor);
document.body.dataset.ready = ""; // for programs that drive the page, such as its tests
