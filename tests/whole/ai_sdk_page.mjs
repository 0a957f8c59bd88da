// Does with the real AI SDK what a page does, with the code of docs/ai-sdk.md, and prints the messages
// that it has then: node ai_sdk_page.mjs '{"entry", "base", "sdk", "thread", "blocks", "does", …}'
// The token is in MESH_TOKEN.
import { load } from "../ai_sdk.mjs";

const given = JSON.parse(process.argv[2]);
const { ai, MeshTransport, Chat } = await load(given.entry, given.blocks.transport);
const { base, sdk, thread } = given;
const transport = new MeshTransport({ base, sdk, token: process.env.MESH_TOKEN, ...given.more });

const useChat = (options) => new Chat({ ...options, onError: (error) => console.error(error) });
const AsyncFunction = (async () => {}).constructor;
const run = (code, scope) => new AsyncFunction(...Object.keys(scope), code)(...Object.values(scope));
const scope = { transport, thread, useChat };
scope.chat = await run(`${given.blocks.chat}; return chat;`, scope);
const { chat } = scope;

const asked = (message) => message?.parts.find(({ state }) => state === "approval-requested")?.approval.id;
const found = async (of) => {
  for (;;) {
    const value = chat.status === "streaming" && of(chat.messages.at(-1));
    if (value) return value;
    await new Promise((done) => setTimeout(done, 20));
  }
};
const says = (message) => message?.role === "assistant" && message.parts.some(({ text }) => text);

const DOES = {
  send: () => chat.sendMessage({ text: given.says }),
  async approve() {
    const sending = chat.sendMessage({ text: given.says });
    await run(given.blocks.approve, { ...scope, approvalId: await found(asked) });
    await sending;
  },
  async stop() {
    const sending = chat.sendMessage({ text: given.says });
    await found(says);
    await run(given.blocks.stop, scope);
    await sending;
  },
  edit: () => run(given.blocks.edit, { ...scope, runId: given.runId }),
  async regenerate() {
    await chat.sendMessage({ text: given.says });
    await run(given.blocks.regenerate, scope);
  },
  reload: () => run(given.blocks.reload, scope),
  async "reload and approve"() {
    const reading = run(given.blocks.reload, scope);
    await run(given.blocks.approve, { ...scope, approvalId: await found(asked) });
    await reading;
  },
};
await DOES[given.does]();
if (chat.messages.length) await ai.validateUIMessages({ messages: chat.messages });
console.log(JSON.stringify({ status: chat.status, messages: chat.messages }));
