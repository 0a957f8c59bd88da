#!/usr/bin/env python
"""Mesh's command line."""

import os
import sys
from importlib import import_module

from mesh.launch import make_path_safe

# These two run on laptops and in containers that have no database: they start in a fraction
# of the time, and stay within 60 MB, when Django is not loaded for them at all.
WITHOUT_DJANGO = {"deco_link": "links.daemon.cli", "deco_sandbox": "sandboxes.daemon.cli"}


def main() -> None:
    make_path_safe()
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command in WITHOUT_DJANGO:
        sys.exit(import_module(WITHOUT_DJANGO[command]).main(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mesh.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
