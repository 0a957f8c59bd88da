#!/bin/sh
# watchfiles 1.3.0 (PyPI), `awatch` on Linux.
#
# Expected: a file whose name is not UTF-8 (such as one of an old archive, in Latin-1) is reported
# like any other, as os.fsdecode would name it, or left out.
# Seen: the watcher ends with an error at the first such name, and the changes that came in the same
# moment are lost with it. Names that Python itself gives out (os.listdir) are all it takes.
#
# Prints what it sees; fails if that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check watchfiles==1.3.0
mkdir "$work/folder"
"$work/venv/bin/python" - "$work/folder" <<'PY'
import asyncio
import os
import sys

import watchfiles

folder = sys.argv[1]


def write():
    with open(os.path.join(folder, "plain.txt"), "w"):
        pass
    with open(os.path.join(os.fsencode(folder), b"caf\xe9.txt"), "w"):
        pass


async def main():
    watch = watchfiles.awatch(folder, debounce=300, step=50, rust_timeout=3000)
    asyncio.get_running_loop().call_later(0.5, write)
    seen = []
    try:
        async for changes in watch:
            seen += sorted(os.path.basename(path) for _, path in changes)
            break
    except BaseException as exc:
        while isinstance(exc, BaseExceptionGroup):
            exc = exc.exceptions[0]
        return f"{type(exc).__name__}: {exc}".replace(folder, "FOLDER")
    return f"changes: {seen}"


said = asyncio.run(main())
print(watchfiles.__version__, said)
assert "decode path" in said, said
PY
