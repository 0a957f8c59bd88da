#!/bin/sh
# opencode-ai 1.18.33 (npm), `opencode acp`, with a provider of one's own on loopback.
#
# Expected: a prompt that begins with a slash and names none of the commands that opencode has
# announced, such as a path, goes to the model as words, or is refused with a sentence.
# Seen: `session/prompt` ends with `end_turn` at once. The model is never asked, and nothing is
# said.
#
# Prints what it sees; fails if that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-save --no-package-lock --prefix "$work" opencode-ai@1.18.33 >/dev/null
python3 - "$work" <<'PY'
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading

work = pathlib.Path(sys.argv[1])
asked = []


class Provider(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked.append(self.rfile.read(int(self.headers["content-length"])).decode())
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        delta = {"index": 0, "delta": {"role": "assistant", "content": "hello"}}
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        for choice in (delta, end):
            self.wfile.write(f"data: {json.dumps(base | {'choices': [choice]})}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"
provider = {
    "npm": "@ai-sdk/openai-compatible",
    "options": {"baseURL": url, "apiKey": "x"},
    "models": {"m": {"name": "M", "limit": {"context": 100_000, "output": 8_000}}},
}
config = {"provider": {"own": provider}, "model": "own/m", "small_model": "own/m"}
config |= {"autoupdate": False, "share": "disabled"}
project = work / "project"
project.mkdir()
program = subprocess.Popen(
    [str(work / "node_modules/.bin/opencode"), "acp"],
    cwd=project,
    env=os.environ
    | {"HOME": str(work), "XDG_CONFIG_HOME": str(work / "config"), "XDG_DATA_HOME": str(work / "d")}
    | {"OPENCODE_CONFIG_CONTENT": json.dumps(config), "OPENCODE_DISABLE_MODELS_FETCH": "1"},
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
)
numbers = iter(range(1, 100))
commands = set()


def ask(method, params):
    """Return the answer, and what the agent has said until then."""
    number, said = next(numbers), ""
    asking = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    program.stdin.write(json.dumps(asking) + "\n")
    program.stdin.flush()
    while True:
        message = json.loads(program.stdout.readline())
        update = message.get("params", {}).get("update", {})
        if update.get("sessionUpdate") == "agent_message_chunk":
            said += update["content"].get("text", "")
        commands.update(one["name"] for one in update.get("availableCommands", []))
        if message.get("id") == number:
            return message["result"], said


ask("initialize", {"protocolVersion": 1, "clientCapabilities": {}})
started, _ = ask("session/new", {"cwd": str(project), "mcpServers": []})


def prompt(words):
    asked.clear()
    blocks = [{"type": "text", "text": words}]
    ended, said = ask("session/prompt", {"sessionId": started["sessionId"], "prompt": blocks})
    return ended["stopReason"], said, any(words.strip() in one for one in asked)


plain = prompt("my hosts file is broken")
path = prompt("/etc/hosts is broken")
program.terminate()
program.wait()
print("commands:", sorted(commands))
print("words: (stop reason, said, model was asked) =", plain)
print("a path:", path)
assert plain == ("end_turn", "hello", True), plain
assert path == ("end_turn", "", False), path
assert "etc/hosts" not in commands
PY
