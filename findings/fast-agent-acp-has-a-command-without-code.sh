#!/bin/sh
# fast-agent-acp 0.10.48 (PyPI, needs Python 3.12 or later).
#
# Expected: the package that the ACP registry names for fast-agent brings the command
# `fast-agent-acp`, which speaks ACP over stdio.
# Seen: its wheel has the command and no module behind it; the command ends with
# ModuleNotFoundError. Installed together with fast-agent-mcp, whose own working command has the
# same name, it replaces that. fast-agent-mcp alone works.
#
# Prints what it sees; fails if that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in python3.14 python3.13 python3.12; do
    "$python" -c '' 2>/dev/null && break
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps fast-agent-acp==0.10.48
code=0
"$work/venv/bin/fast-agent-acp" --help >"$work/said" 2>&1 || code=$?
last=$(tail -n 1 "$work/said")
files=$("$work/venv/bin/pip" show --files fast-agent-acp | grep -c '\.py$' || true)
echo "exit code $code, $files Python files, last line: $last"
test "$code" = 1
test "$files" = 0
test "$last" = "ModuleNotFoundError: No module named 'fast_agent_acp'"
