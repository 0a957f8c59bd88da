#!/bin/sh
# @openai/codex 0.171.0 (npm), `codex app-server`, with a provider of one's own on loopback that
# speaks the Responses API.
#
# Expected: a model's refusal (a `refusal` part of an assistant's message, which the Responses API
# has for it) is told to the client: as an item with its words, or as a failed turn.
# Seen: the turn is `completed`, without an assistant's item and without the words; nothing tells
# the client that there was an answer, let alone that it was a refusal. The message stays in the
# thread, and goes to the model again with the next one.
#
# Prints what it sees; fails if that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-save --no-package-lock --prefix "$work" @openai/codex@0.171.0 >/dev/null
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
WORDS = "I can not help with that."


def events(number):
    item = {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed"}
    content = [{"type": "refusal", "refusal": WORDS}]
    if number > 1:
        content = [{"type": "output_text", "text": "hello", "annotations": []}]
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    done = {"id": f"resp_{number}", "status": "completed", "usage": usage, "output": []}
    yield {"type": "response.created", "response": {"id": f"resp_{number}"}}
    start = item | {"content": [], "status": "in_progress"}
    yield {"type": "response.output_item.added", "output_index": 0, "item": start}
    if number == 1:
        part = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        yield part | {"type": "response.refusal.delta", "delta": WORDS}
        yield part | {"type": "response.refusal.done", "refusal": WORDS}
    yield {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": item | {"content": content},
    }
    yield {"type": "response.completed", "response": done}


class Provider(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)

    def do_POST(self):
        asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for event in events(len(asked)):
            line = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
            self.wfile.write(line.encode())

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
home = work / "home"
home.mkdir()
(home / "config.toml").write_text(
    'model = "m"\nmodel_provider = "own"\n[model_providers.own]\nname = "own"\n'
    f'base_url = "http://127.0.0.1:{server.server_port}/v1"\n'
    'env_key = "OWN_KEY"\nwire_api = "responses"\n'
)
program = subprocess.Popen(
    [str(work / "node_modules/.bin/codex"), "app-server"],
    cwd=work,
    env=os.environ | {"CODEX_HOME": str(home), "OWN_KEY": "x"},
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
)
told = []


def send(method, params, number=None):
    message = {"method": method, "params": params} | ({"id": number} if number else {})
    program.stdin.write(json.dumps(message) + "\n")
    program.stdin.flush()


def until(is_it):
    while True:
        message = json.loads(program.stdout.readline())
        told.append(message)
        if is_it(message):
            return message


client = {"name": "client", "title": "client", "version": "1"}
send("initialize", {"clientInfo": client}, 1)
until(lambda m: m.get("id") == 1)
send("initialized", {})
send("thread/start", {"cwd": str(work)}, 2)
thread = until(lambda m: m.get("id") == 2)["result"]["thread"]["id"]


def turn(text, number):
    told.clear()
    words = [{"type": "text", "text": text}]
    send("turn/start", {"threadId": thread, "input": words}, number)
    ended = until(lambda m: m.get("method") == "turn/completed")["params"]["turn"]
    items = [m["params"]["item"]["type"] for m in told if m.get("method") == "item/completed"]
    return ended["status"], ended.get("error"), items


refused = turn("an odd wish", 3)
was_told = WORDS in json.dumps(told)
after = turn("hello", 4)
program.terminate()
program.wait()
again = "an odd wish" in json.dumps(asked[1]["input"])
print(f"the refused turn: {refused}; its words were told: {was_told}")
print(f"the next turn: {after}; the refused message was sent again: {again}")
assert refused == ("completed", None, ["userMessage"]), refused
assert not was_told
assert after == ("completed", None, ["userMessage", "agentMessage"]), after
assert again
PY
