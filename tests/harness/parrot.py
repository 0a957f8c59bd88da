"""A small agent that speaks ACP on stdio: it answers with how it was started, as JSON."""

import json
import os
import sys


def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "initialize":
        send(id=asked["id"], result={"protocolVersion": 1, "agentCapabilities": {}})
    elif asked["method"] == "session/new":
        send(id=asked["id"], result={"sessionId": "s-1"})
    elif asked["method"] == "session/prompt":
        text = json.dumps({"argv": sys.argv[1:], "env": dict(os.environ)})
        content = {"type": "text", "text": text}
        update = {"sessionUpdate": "agent_message_chunk", "content": content}
        send(method="session/update", params={"sessionId": "s-1", "update": update})
        send(id=asked["id"], result={"stopReason": "end_turn"})
