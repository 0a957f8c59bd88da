// The tab's one WebSocket: follows a thread from a cursor, and reconnects automatically.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
const PING_EVERY = 20_000;
const PATIENCE = 8_000;
const SIGNED_OUT = 4401;
const MOST_UNFINISHED = 8;

/** Calls `onMessage(message)` for each message, `onHello(message)` for the first of each connection,
    and `onState("open" | "away" | "signed-out")`. */
export class Socket {
  constructor(path, { onMessage, onState, onHello = () => {} }) {
    this.url = new URL(path, location.href);
    this.url.protocol = this.url.protocol === "https:" ? "wss:" : "ws:";
    Object.assign(this, { onMessage, onState, onHello, thread: null, cursor: 0, failures: 0 });
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
    this.connect();
  }

  /** Follow a thread: events after `cursor` come, now and after each reconnect. */
  follow(thread, cursor) {
    if (this.thread && this.thread !== thread) this.send({ type: "unfollow", thread: this.thread });
    Object.assign(this, { thread, cursor });
    this.send({ type: "follow", thread, after: cursor, pieces: true });
  }

  connect() {
    clearTimeout(this.retry);
    this.retry = null;
    this.pieces = new Map();
    const socket = (this.socket = new WebSocket(this.url));
    socket.onmessage = (event) => this.socket === socket && this.receive(JSON.parse(event.data));
    socket.onclose = ({ code }) => this.socket === socket && this.lost(code);
    // A network that drops all packets gives no error, before the server's hello or after.
    this.watch = setTimeout(() => this.drop(), PATIENCE);
  }

  receive(message) {
    clearTimeout(this.watch);
    this.alive();
    if (message.type === "piece") {
      this.receivePiece(message);
    } else if (message.type === "hello") {
      this.failures = 0;
      this.onState("open");
      this.onHello(message);
      if (this.thread) this.follow(this.thread, this.cursor);
    } else if (message.type === "events") {
      if (message.thread !== this.thread) return;
      // After a reconnect some may come twice.
      const fresh = message.events.filter((event) => event.seq > this.cursor);
      if (!fresh.length) return;
      this.cursor = fresh.at(-1).seq;
      this.onMessage({ ...message, events: fresh });
    } else if (message.type !== "pong") {
      this.onMessage(message);
    }
  }

  /** Reassemble a long message. Each piece shows that the connection is alive. */
  receivePiece({ of, last, text }) {
    const texts = this.pieces.get(of) ?? [];
    texts.push(text);
    this.pieces.set(of, texts);
    // A thread that is no longer followed leaves its last message unfinished.
    if (this.pieces.size > MOST_UNFINISHED) this.pieces.delete(this.pieces.keys().next().value);
    if (!last) return;
    this.pieces.delete(of);
    this.receive(JSON.parse(texts.join("")));
  }

  alive() {
    clearTimeout(this.ping);
    this.ping = setTimeout(() => {
      this.send({ type: "ping" });
      this.watch = setTimeout(() => this.drop(), PATIENCE);
    }, PING_EVERY);
  }

  drop() {
    this.socket.onclose = null;
    this.socket.close();
    this.lost();
  }

  lost(code) {
    clearTimeout(this.ping);
    clearTimeout(this.watch);
    if (code === SIGNED_OUT) return this.onState("signed-out");
    this.failures += 1;
    this.onState("away");
    const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (this.failures - 1));
    // Jitter: not all tabs of a team reconnect in the same moment when the server is back.
    this.retry = setTimeout(() => this.connect(), longest * (0.5 + Math.random() / 2));
  }

  /** End the pause before the next attempt. A socket that was dropped may stay CLOSING for long. */
  retryNow() {
    if (this.retry) this.connect();
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}
