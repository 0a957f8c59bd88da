"""An MCP server on stdio with one tool, ``touch``, which makes the file ``made``."""

import json
import pathlib
import sys

TOOL = {"name": "touch", "description": "Touch.", "inputSchema": {"type": "object"}}

for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if "id" not in message:
        continue
    answer: dict = {"jsonrpc": "2.0", "id": message["id"]}
    if method == "initialize":
        answer["result"] = {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "tools", "version": "1"},
        }
    elif method == "tools/list":
        answer["result"] = {"tools": [TOOL]}
    elif method == "tools/call":
        pathlib.Path("made").touch()
        answer["result"] = {"content": [{"type": "text", "text": "touched"}]}
    else:
        answer["error"] = {"code": -32601, "message": "not here"}
    print(json.dumps(answer), flush=True)
