#!/bin/sh
# @openai/codex 0.171.0 (npm), `codex app-server`, set up with a provider of one's own.
#
# Expected: `model/list` lists the models that can be chosen, so with `model_provider` set to a
# provider of one's own that one's models, or none, as Codex can't know them.
# Seen: it lists OpenAI's models, as it does without that provider; the configured model is not
# among them, and none of those listed may exist at the provider. `thread/start` takes any name.
#
# Prints what it sees; fails if that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-save --no-package-lock --prefix "$work" @openai/codex@0.171.0 >/dev/null
python3 - "$work" <<'PY'
import json
import os
import pathlib
import subprocess
import sys

work = pathlib.Path(sys.argv[1])
OWN = """
model = "our-model"
model_provider = "own"
[model_providers.own]
name = "own"
base_url = "http://127.0.0.1:9/v1"
env_key = "OWN_KEY"
wire_api = "responses"
"""


def ask(config, *requests):
    home = work / f"home-{len(config)}"
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(config)
    program = subprocess.Popen(
        [str(work / "node_modules/.bin/codex"), "app-server"],
        cwd=work,
        env=os.environ | {"CODEX_HOME": str(home), "OWN_KEY": "x"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    client = {"clientInfo": {"name": "client", "title": "client", "version": "1"}}
    answers = []
    for number, (method, params) in enumerate([("initialize", client), *requests], 1):
        asked = {"id": number, "method": method, "params": params}
        program.stdin.write(json.dumps(asked) + "\n")
        program.stdin.flush()
        answer = {}
        while answer.get("id") != number:
            answer = json.loads(program.stdout.readline())
        answers.append(answer)
    program.terminate()
    program.wait()
    return answers[1:]


def names(answer):
    return [model["model"] for model in answer["result"]["data"]]


(without,) = ask("", ("model/list", {}))
listed, started = ask(OWN, ("model/list", {}), ("thread/start", {"model": "no-such-model"}))
print("listed with a provider of one's own:", names(listed))
print("thread/start with no-such-model:", started["result"]["model"])
assert names(listed) == names(without)
assert names(listed)
assert "our-model" not in names(listed)
assert all(name.startswith("gpt-") for name in names(listed)), names(listed)
assert started["result"]["model"] == "no-such-model"
PY
