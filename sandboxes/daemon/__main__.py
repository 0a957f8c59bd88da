"""``python -m sandboxes.daemon``: what the link program starts."""

from sandboxes.daemon.cli import main

raise SystemExit(main())
