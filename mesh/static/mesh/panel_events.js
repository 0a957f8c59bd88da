// What the open chat's sandbox tells, for all tabs of the work panel over one connection.

// Events that say how something is: a reader that comes late gets the last one.
const STATES = ["phase", "lifecycle", "scripts", "tasks", "status", "branch"];
const NEWS = ["log", "reload", "file-changed", "gone"];
const LOGS = 400; // events of the log that are kept for readers that come late

export class SandboxEvents {
  /** `url()` returns the address of the events. */
  constructor(url) {
    Object.assign(this, { url, readers: new Map(), last: new Map(), logs: [], source: null });
  }

  /** Call `take` with the data of each event of that name; returns a function that ends it. */
  on(name, take) {
    const takers = this.readers.get(name) ?? new Set();
    this.readers.set(name, takers.add(take));
    if (this.last.has(name)) take(this.last.get(name));
    if (name === "log") this.logs.forEach((each) => take(each));
    return () => takers.delete(take);
  }

  /** Pass an event on to its readers; those of the page itself come this way too. */
  tell(name, data) {
    if (STATES.includes(name)) this.last.set(name, data);
    if (name === "log") this.logs = [...this.logs, data].slice(-LOGS);
    for (const take of [...(this.readers.get(name) ?? [])]) take(data);
  }

  get isOpen() {
    return this.source !== null;
  }

  /** Follow the sandbox, from its snapshot on. */
  open() {
    this.close();
    const source = new EventSource(this.url());
    this.source = source;
    // A new connection begins with a snapshot, so what was kept before it is no longer so.
    source.addEventListener("open", () => this.forget());
    for (const name of [...STATES, ...NEWS])
      source.addEventListener(name, ({ data }) => {
        const told = JSON.parse(data);
        this.tell(name, told);
        if (name === "phase" && told?.kind === "failed") this.close(); // or it would keep reconnecting
      });
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  forget() {
    this.last.clear();
    this.logs = [];
    this.tell("snapshot", null); // readers that gather, as the log's do, begin anew
  }
}
