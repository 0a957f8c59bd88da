// An agent made with the protocol's own SDK, for either version: what the SDK refuses or reads in
// another way than we mean it, shows here. It validates whatever we send and whatever is said here.
//
// It is started as `node peer.mjs SDK [VERSIONS]`: the folder of the SDK, and "1", "2" or "12".
import { Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";

const [folder, versions = "12"] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(`${folder}/${file}`).href);
const v1 = await load("dist/v1/stable/acp.js");
const v2 = await load("dist/v2/stable/acp.js");

const INFO = { name: "peer", version: "1.0.0" };
const SESSION = "session-1";
const MODES = ["ask", "plan"].map((value) => ({ value, name: value }));
const OPTIONS = [{ value: "allow", name: "Yes", kind: "allow_once" }, { value: "deny", name: "No", kind: "reject_once" }];
const permissions = OPTIONS.map(({ value, ...option }) => ({ optionId: value, ...option }));
const base64 = (text) => Buffer.from(text).toString("base64");
const words = (prompt) => prompt.map((block) => block.text ?? "").join("");
const settled = (response) => response.outcome.outcome === "selected" && response.outcome.optionId === "allow";

let stopped = () => {};
const untilStopped = () => new Promise((resolve) => { stopped = resolve; });
let mode = "ask";

function first() {
  const modeOption = () => [{ id: "mode", name: "Mode", category: "mode", type: "select", currentValue: mode, options: MODES }];
  return v1
    .agent({ name: "peer" })
    .onRequest(v1.methods.agent.initialize, () => ({
      protocolVersion: 1,
      agentInfo: INFO,
      agentCapabilities: { sessionCapabilities: { resume: {}, close: {} } },
    }))
    .onRequest(v1.methods.agent.session.new, () => ({ sessionId: SESSION, configOptions: modeOption() }))
    .onRequest(v1.methods.agent.session.resume, () => ({ configOptions: modeOption() }))
    .onRequest(v1.methods.agent.session.setConfigOption, ({ params }) => {
      mode = params.value;
      return { configOptions: modeOption() };
    })
    .onNotification(v1.methods.agent.session.cancel, () => stopped())
    .onRequest(v1.methods.agent.session.prompt, async ({ params, client }) => {
      const update = (update) => client.notify(v1.methods.client.session.update, { sessionId: SESSION, update });
      const say = (text) => update({ sessionUpdate: "agent_message_chunk", messageId: "m", content: { type: "text", text } });
      const said = words(params.prompt);
      if (said === "stall") {
        await say("I begin");
        await untilStopped();
        return { stopReason: "cancelled" };
      }
      if (said === "fail") throw new v1.RequestError(-32603, "Overloaded");
      if (said !== "work") {
        await say(`${mode}: `);
        await say(said);
        return { stopReason: "end_turn" };
      }
      const call = { toolCallId: "c", title: "make", kind: "execute", rawInput: { command: "make" } };
      await update({ sessionUpdate: "tool_call", status: "pending", ...call });
      const answer = await client.request(v1.methods.client.session.requestPermission, {
        sessionId: SESSION, toolCall: call, options: permissions,
      });
      const content = [{ type: "content", content: { type: "text", text: "made ✓" } }];
      await update({ sessionUpdate: "tool_call_update", toolCallId: "c", status: settled(answer) ? "completed" : "failed", content });
      return { stopReason: "end_turn" };
    });
}

function second() {
  const modeOption = () => [{ configId: "mode", name: "Mode", category: "mode", type: "select", currentValue: mode, options: MODES }];
  return v2
    .agent({ name: "peer" })
    .onRequest(v2.methods.agent.initialize, () => ({ protocolVersion: 2, info: INFO, capabilities: { session: {} } }))
    .onRequest(v2.methods.agent.session.new, () => ({ sessionId: SESSION, configOptions: modeOption() }))
    .onRequest(v2.methods.agent.session.resume, async ({ client }) => {
      await client.notify(v2.methods.client.session.update, { sessionId: SESSION, update: { sessionUpdate: "state_update", state: "idle" } });
      return { configOptions: modeOption() };
    })
    .onRequest(v2.methods.agent.session.setConfigOption, ({ params }) => {
      mode = params.value;
      return { configOptions: modeOption() };
    })
    .onNotification(v2.methods.agent.session.cancel, () => stopped())
    .onRequest(v2.methods.agent.session.prompt, ({ params, client }) => {
      const update = (update) => client.notify(v2.methods.client.session.update, { sessionId: SESSION, update });
      const say = (text) => update({ sessionUpdate: "agent_message_chunk", messageId: "m", content: { type: "text", text } });
      const state = (state, more = {}) => update({ sessionUpdate: "state_update", state, ...more });
      const idle = (stopReason, more = {}) => state("idle", { stopReason, ...more });
      const said = words(params.prompt);
      async function answer() {
        await state("running");
        if (said === "stall") {
          await say("I begin");
          await untilStopped();
          return idle("cancelled");
        }
        if (said === "fail") return idle("error", { error: { code: -32603, message: "Overloaded" } });
        if (said === "later") {
          await idle("end_turn");
          await state("running");
          await say("by myself");
          return idle("end_turn");
        }
        if (said !== "work") {
          await say(`${mode}: `);
          const content = [{ type: "text", text: `${mode}: ${said}` }];
          await update({ sessionUpdate: "agent_message", messageId: "m", content });
          return idle("end_turn");
        }
        const shown = [{ type: "terminal", terminalId: "t" }];
        const call = { toolCallId: "c", title: "make", kind: "execute", rawInput: { command: "make" }, content: shown };
        await update({ sessionUpdate: "tool_call_update", ...call });
        await state("requires_action");
        const allowed = settled(await client.request(v2.methods.client.session.requestPermission, {
          sessionId: SESSION, title: "May I?", subject: { type: "tool_call", toolCall: call }, options: permissions,
        }));
        await state("running");
        const bytes = Buffer.from("made ✓");
        for (const part of [bytes.subarray(0, 6), bytes.subarray(6)]) {
          await update({ sessionUpdate: "terminal_output_chunk", terminalId: "t", data: base64(part) });
        }
        await update({ sessionUpdate: "terminal_update", terminalId: "t", exitStatus: { exitCode: 0 } });
        await update({ sessionUpdate: "tool_call_update", toolCallId: "c", status: allowed ? "completed" : "failed" });
        return idle("end_turn");
      }
      void answer();
      return { messageId: "u" };
    });
}

const router = v2.agentProtocolRouter();
if (versions.includes("1")) router.withV1(first());
if (versions.includes("2")) router.withV2(second());
router.connect(v2.ndJsonStream(Writable.toWeb(process.stdout), Readable.toWeb(process.stdin)));
