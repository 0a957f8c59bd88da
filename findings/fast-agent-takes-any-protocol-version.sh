#!/bin/sh
# fast-agent-mcp 0.10.48 (PyPI, needs Python 3.12 or later), `fast-agent-acp` over stdio.
#
# Expected: ACP says that an agent which does not know the client's protocol version answers
# `initialize` with the newest version that it does know, here 1; version 2 has other messages.
# Seen: it repeats whatever number it is given, and goes on to speak version 1: its answer has the
# fields of version 1 (`agentCapabilities`, `agentInfo`), not those of version 2 (`capabilities`,
# `info`). A client that believes the number sends what the agent does not understand.
#
# Prints what it sees; fails if that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in python3.14 python3.13 python3.12; do
    "$python" -c '' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check fast-agent-mcp==0.10.48
HOME="$work" "$python" - "$work" <<'PY'
import json
import subprocess
import sys

work = sys.argv[1]
seen = {}
for version in (1, 2, 77):
    program = subprocess.Popen(
        [f"{work}/venv/bin/fast-agent-acp", "--model", "passthrough"],
        cwd=work,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    params = {"protocolVersion": version, "clientCapabilities": {}}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    program.stdin.write(json.dumps(asked) + "\n")
    program.stdin.flush()
    answer = {}
    while "result" not in answer:
        answer = json.loads(program.stdout.readline())
    program.terminate()
    program.wait()
    result = answer["result"]
    names = sorted({"agentCapabilities", "agentInfo", "capabilities", "info"} & result.keys())
    seen[version] = (result["protocolVersion"], names)
    print(f"asked for {version}: answered {result['protocolVersion']}, with {names}")

ones = ["agentCapabilities", "agentInfo"]
assert seen == {number: (number, ones) for number in (1, 2, 77)}, seen
PY
