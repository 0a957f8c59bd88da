// Sends one message as useChat does, with the transport of docs/ai-sdk.md, and prints the messages
// that the chat then has: node ai_sdk_chat.mjs TOOLS API THREAD TRANSPORT
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [tools, api, thread, code] = process.argv.slice(2);
const ai = pathToFileURL(createRequire(`${tools}/package.json`).resolve("ai"));
const { AbstractChat } = await import(ai);
const example = code.replace('from "ai"', `from ${JSON.stringify(ai)}`);
const { MeshTransport } = await import(`data:text/javascript,${encodeURIComponent(example)}`);

// What useChat keeps in React's state.
class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => (this.messages = [...this.messages, message]);
  popMessage = () => (this.messages = this.messages.slice(0, -1));
  replaceMessage = (at, message) => (this.messages = this.messages.with(at, this.snapshot(message)));
  snapshot = (value) => structuredClone(value);
}

class Chat extends AbstractChat {
  constructor(given) {
    super({ ...given, state: new State() });
  }
}

let resumed = Promise.resolve();
const chat = new Chat({
  id: thread,
  transport: new MeshTransport({ api, token: "t" }),
  onError: (error) => console.error(error),
  onData: ({ type }) => {
    if (type !== "data-run-restarted") return;
    resumed = new Promise((done) => setTimeout(() => chat.stop().then(() => chat.resumeStream()).then(done)));
  },
});
await chat.sendMessage({ text: "hi" });
await resumed;
console.log(JSON.stringify({ status: chat.status, messages: chat.messages }));
