// The panels above the composer: questions, what runs in the background, queued messages, and what is
// always allowed. Loaded with the first of them; the module of each is loaded when it is first needed.

export class Panels {
  /** `base()` returns the URL of the open thread, `facts()` returns {thread, machine}. `onUndo` and
      `onLost` as for Queue; `onQuestions()` is called when the open questions may have changed. */
  constructor(chat, { base, facts, onUndo, onLost, onQuestions }) {
    Object.assign(this, { chat, base, facts, onUndo, onLost, onQuestions });
  }

  paint() {
    this.paintQuestions();
    this.paintBackground();
    this.paintQueue();
    this.paintRules();
  }

  async paintQuestions() {
    if (!this.approvals && !this.chat.questions().length) return;
    if (!this.approvals) {
      const { Approvals } = await import("./approvals.js");
      const all = () => `${this.base()}/approvals`;
      this.approvals ??= new Approvals((id) => (id === undefined ? all() : `${all()}/${encodeURIComponent(id)}`));
      this.approvals.onChange = () => this.paintQuestions();
    }
    const { thread, machine } = this.facts();
    this.approvals.paint(this.chat.questions(), { machine, hearsReasons: thread?.hearsReasons ?? true });
    this.onQuestions();
  }

  async paintBackground() {
    if (!this.background && !this.facts().thread?.background?.length) return;
    if (!this.background) {
      const { Background } = await import("./background.js");
      this.background ??= new Background((taskId) => `${this.base()}/background/${encodeURIComponent(taskId)}`);
    }
    const { thread, machine } = this.facts();
    this.background.paint(thread?.background ?? [], { machine });
  }

  async paintQueue() {
    if (!this.queue && !this.chat.queue.length) return;
    if (!this.queue) {
      const { Queue } = await import("./queue.js");
      this.queue ??= new Queue({ url: (runId) => `${this.base()}/queue/${runId}`, onUndo: this.onUndo, onLost: this.onLost });
    }
    const { thread } = this.facts();
    const items = this.chat.queue.map((message) => ({ message, runId: this.chat.runOfPrompt(message.id)?.id ?? null }));
    const isAtWork = ["dispatched", "running", "waiting"].includes(this.chat.current()?.state);
    this.queue.paint(items, { steer: isAtWork && thread?.steer === "now", harness: thread?.harnessId });
  }

  async paintRules() {
    if (!this.rules && !this.chat.rules.length) return;
    if (!this.rules) {
      const { Rules } = await import("./rules.js");
      this.rules ??= new Rules((id) => `${this.base()}/rules/${id}`);
    }
    if (this.rules.shown !== this.chat.rules) this.rules.paint((this.rules.shown = this.chat.rules));
  }
}
