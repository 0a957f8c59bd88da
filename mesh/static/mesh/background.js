// What the agent runs in the background, above the composer, with a button to stop each. Loaded with
// the first of it.

import { api, asName, byId, duration, el, icon, say, visibleText } from "./dom.js";

const EVERY = 1000; // ms between two looks at the clock

/** `url(taskId)` returns the URL that stops a task. */
export class Background {
  constructor(url) {
    this.url = url;
    this.slot = byId("background");
    this.refused = new Map(); // the error of each task
    this.asked = new Set(); // tasks whose stop the server has yet to confirm
    this.titles = null; // of the tasks that were painted last, by id
    setInterval(() => document.hidden || this.paintTimes(), EVERY);
  }

  /** Show `tasks` as the thread's summary names them. */
  paint(tasks, { machine }) {
    this.tasks = tasks;
    this.machine = machine;
    const ids = tasks.map(({ id }) => id);
    for (const id of this.refused.keys()) if (!ids.includes(id)) this.refused.delete(id);
    for (const id of this.asked) if (!ids.includes(id)) this.asked.delete(id);
    const away = machine?.state === "offline" ? machine.name : null;
    const key = JSON.stringify([tasks, [...this.refused], [...this.asked], away]);
    if (key === this.key) return;
    this.key = key;
    this.announce(tasks);
    const focus = this.slot.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    this.slot.replaceChildren(...(tasks.length ? [this.card(tasks, away)] : []));
    this.paintTimes();
    if (focus) this.focus(focus);
  }

  again() {
    this.key = null;
    this.paint(this.tasks, { machine: this.machine });
  }

  /** Say what has begun and ended since; what a page is opened with is not news. */
  announce(tasks) {
    const now = new Map(tasks.map(({ id, title }) => [id, title]));
    const before = this.titles ?? now;
    this.titles = now;
    for (const [id, title] of now) if (!before.has(id)) say(`Running in the background: ${visibleText(title)}`);
    for (const [id, title] of before) if (!now.has(id)) say(`No longer running in the background: ${visibleText(title)}`);
  }

  card(tasks, away) {
    return el("section", { class: "background", "aria-label": "Running in the background" }, el("ul", { class: "background__list" }, ...tasks.map((task) => this.row(task, away))));
  }

  row(task, away) {
    const { id, title, kind } = task;
    const words = visibleText(title);
    const refused = this.refused.get(id);
    const isStopping = task.isStopping || this.asked.has(id);
    const state = el("span", { class: "background__state", role: "status" }, ...(away ? ["Stops when ", asName(away), " is back"] : ["Stopping…"]));
    const stop = el("button", { class: "button button--bare", type: "button", "data-id": id, "aria-label": `Stop ${words}`, onclick: () => this.stop(id) }, icon("square"), "Stop");
    return el(
      "li",
      { class: "background__row", "data-id": id, tabindex: "-1" },
      icon(kind === "agent" ? "bot" : "terminal"),
      el("span", { class: "background__what", title: words }, el("span", { class: "background__where" }, "Running in the background: "), asName(title)),
      el("span", { class: "background__time" }),
      isStopping ? state : stop,
      refused ? el("p", { class: "card__refused", role: "alert" }, refused) : null,
    );
  }

  paintTimes() {
    for (const { id, startedAt } of this.tasks ?? []) {
      const time = this.find(".background__row", id)?.querySelector(".background__time");
      const took = Date.now() - startedAt * 1000;
      // By the machine's own clock, which may be wrong.
      if (time) time.textContent = startedAt && took >= 2000 ? duration(took) : "";
    }
  }

  async stop(id) {
    this.refused.delete(id);
    this.asked.add(id);
    this.again();
    try {
      await api("DELETE", this.url(id));
    } catch (refused) {
      // 404: it has ended, which the page receives in a moment.
      if (refused.status !== 404) this.refused.set(id, `${refused.message} ${refused.hint ?? ""}`.trim());
    }
    this.asked.delete(id);
    this.again();
  }

  find(selector, id) {
    return [...this.slot.querySelectorAll(selector)].find((each) => each.dataset.id === id);
  }

  /** Keep the focus at the task, or give it to the composer once the task has ended. */
  focus(id) {
    (this.find("button", id) ?? this.find(".background__row", id) ?? byId("text")).focus();
  }
}
