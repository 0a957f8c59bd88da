// What the tests with the real AI SDK share: the transport of docs/ai-sdk.md, and a chat as useChat makes
// it, which keeps in this object what React would keep.
import { pathToFileURL } from "node:url";

/** Load the package at `entry` and the code of the transport; return {ai, MeshTransport, Chat}. */
export async function load(entry, code) {
  const address = pathToFileURL(entry);
  const ai = await import(address);
  const example = code.replace('from "ai"', `from ${JSON.stringify(address)}`);
  const { MeshTransport } = await import(`data:text/javascript,${encodeURIComponent(example)}`);

  class Chat extends ai.AbstractChat {
    constructor(options) {
      super({ ...options, state: new State() });
    }

    setMessages(messages) {
      this.messages = messages;
    }
  }
  return { ai, MeshTransport, Chat };
}

class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => (this.messages = [...this.messages, message]);
  popMessage = () => (this.messages = this.messages.slice(0, -1));
  replaceMessage = (at, message) => (this.messages = this.messages.with(at, this.snapshot(message)));
  snapshot = (value) => structuredClone(value);
}
