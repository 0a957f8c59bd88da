#!/bin/sh
# @google/gemini-cli 0.61.0 (npm), `gemini mcp list`, with GEMINI_CLI_SYSTEM_DEFAULTS_PATH.
#
# Expected: the variable names a file of settings that lie below the person's own, and the file is
# read as those are.
# Seen: it is skipped unless root owns it and every folder above it, and nobody else may write there,
# so a person's installation in their home can't use it. The program works on, with exit code 0; only
# a line on stderr, which a client of `--acp` does not read, says so.
#
# Prints what it sees; fails if that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-save --no-package-lock --prefix "$work" \
  @google/gemini-cli@0.61.0 node@22.23.3 >/dev/null
mkdir "$work/home"
echo '{"mcpServers": {"from-defaults": {"command": "true"}}}' >"$work/settings.json"
cp "$work/settings.json" "$work/defaults.json"
[ "$(id -u)" != 0 ] || chown 65534 "$work/defaults.json"
gemini() {
  (cd "$work" && HOME="$work/home" GEMINI_API_KEY=x GEMINI_CLI_TRUST_WORKSPACE=true "$@" \
    node_modules/node/bin/node node_modules/.bin/gemini mcp list 2>&1)
}
skipped=$(gemini env GEMINI_CLI_SYSTEM_DEFAULTS_PATH="$work/defaults.json")
echo "$skipped"
echo "$skipped" | grep -q "Skipping system defaults file"
echo "$skipped" | grep -q "No MCP servers configured"
mkdir -p "$work/home/.gemini"
mv "$work/settings.json" "$work/home/.gemini/settings.json"
own=$(gemini env)
echo "$own"
echo "$own" | grep -q "from-defaults"
