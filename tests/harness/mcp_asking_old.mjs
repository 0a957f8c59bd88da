// An MCP server of the protocol with sessions, whose tool asks the person first:
// node mcp_asking_old.mjs TOOLS   (prints its port)
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const found = createRequire(`${process.argv[2]}/package.json`);
const load = (name) => import(pathToFileURL(found.resolve(`@modelcontextprotocol/sdk/${name}.js`)));
const { McpServer } = await load("server/mcp");
const { StreamableHTTPServerTransport } = await load("server/streamableHttp");

const schema = {
  type: "object",
  properties: { colour: { type: "string", enum: ["red", "blue"] }, coats: { type: "integer", minimum: 1, maximum: 3 } },
  required: ["colour", "coats"],
};

function painter() {
  const server = new McpServer({ name: "painter", version: "1" });
  server.registerTool("paint", { description: "Paint it." }, async () => {
    const asked = await server.server.elicitInput({ message: "How shall it look?", requestedSchema: schema });
    const text = asked.action === "accept" ? `${asked.content.coats} coats of ${asked.content.colour}` : asked.action;
    return { content: [{ type: "text", text }] };
  });
  return server;
}

const sessions = new Map();
const http = createServer(async (request, response) => {
  let transport = sessions.get(request.headers["mcp-session-id"]);
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    await painter().connect(transport);
  }
  await transport.handleRequest(request, response);
});
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
