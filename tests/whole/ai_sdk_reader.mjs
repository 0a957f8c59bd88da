// Reads one run as the AI SDK's chat does when it resumes, and prints the message it has made:
// node ai_sdk_reader.mjs TOOLS API THREAD RUN   (the token in MESH_TOKEN)
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [tools, api, thread, run] = process.argv.slice(2);
const entry = createRequire(`${tools}/package.json`).resolve("ai");
const { DefaultChatTransport, readUIMessageStream } = await import(pathToFileURL(entry));

const transport = new DefaultChatTransport({
  headers: { Authorization: `Bearer ${process.env.MESH_TOKEN}` },
  prepareReconnectToStreamRequest: ({ id, headers }) => ({
    api: `${api}/threads/${id}/stream?run=${run}`,
    headers,
  }),
});
const stream = await transport.reconnectToStream({ chatId: thread });
let message;
for await (message of readUIMessageStream({ stream, terminateOnError: false })) {
  // Each is the message so far; the last is the whole.
}
console.log(JSON.stringify(message));
