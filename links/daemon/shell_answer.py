"""What a login shell is asked to run: prints its environment, as far as agents and tools need it.

    python -I mesh/launch.py links.daemon.shell_answer MARK [NAME …]

The answer stands between two MARKs, because the person's start files may print something as well.
"""

from __future__ import annotations

import json
import os
import sys

from links.daemon.needed_variables import is_needed


def main() -> None:
    """Print the variables that are needed, and those named on the command line."""
    mark, *named = sys.argv[1:]
    found = {name: value for name, value in os.environ.items() if is_needed(name, named)}
    if found.get("LC_CTYPE") == "C.UTF-8":  # Python sets it itself where no locale is set
        del found["LC_CTYPE"]
    sys.stdout.write(f"{mark}{json.dumps(found)}{mark}\n")


if __name__ == "__main__":
    main()
