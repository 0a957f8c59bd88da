// Sends one message as useChat does, with the transport of docs/ai-sdk.md, and prints the messages
// that the chat then has: node ai_sdk_chat.mjs ENTRY VERSION BASE THREAD TRANSPORT
import { load } from "../ai_sdk.mjs";

const [entry, sdk, base, thread, code] = process.argv.slice(2);
const { MeshTransport, Chat } = await load(entry, code);

let resumed = Promise.resolve();
const chat = new Chat({
  id: thread,
  transport: new MeshTransport({ base, sdk, token: "t" }),
  onError: (error) => console.error(error),
  onData: ({ type }) => {
    if (type !== "data-run-restarted") return;
    resumed = new Promise((done) => setTimeout(() => chat.stop().then(() => chat.resumeStream()).then(done)));
  },
});
await chat.sendMessage({ text: "hi" });
await resumed;
console.log(JSON.stringify({ status: chat.status, messages: chat.messages }));
