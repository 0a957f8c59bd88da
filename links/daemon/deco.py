"""``deco link …``: the program's name when it is installed without the server."""

from __future__ import annotations

import sys

from links.daemon import cli
from links.daemon.terminal import say
from mesh.launch import make_path_safe
from mesh.version import VERSION

USAGE = "Usage: deco link SERVER   links this machine to a Mesh server; see also: deco link --help"


def main() -> int:
    """Run the command named first; return its exit code (2: unknown command)."""
    make_path_safe()
    words = sys.argv[1:]
    if words[:1] == ["link"]:
        return cli.main(words[1:])
    if words in (["--version"], ["-V"]):
        say(VERSION)
        return 0
    is_help = words in (["--help"], ["-h"])
    say(USAGE, error=not is_help)
    return 0 if is_help else 2


if __name__ == "__main__":
    sys.exit(main())
