"""Which requests may carry a body that is passed on as it arrives, and how a hop says that it can.

The signature of such a request covers its head, not its body (ADR 32): it is checked before
anything is read, and a body of any length needs no memory on the way. That is enough for what
goes to a project's dev server, which everything on its machine can reach without any signature.
Every other request changes something in the sandbox, and its body must be signed.
"""

from __future__ import annotations

import re
from typing import Final

# In an answer to ``/health``: every hop up to the sandbox passes streamed bodies on. A hop that
# does not know them passes none of this on, or its caller removes it.
HEADER: Final = "x-mesh-streams"
# Up to this many bytes a body is read whole and signed: most forms, and no question is needed.
WHOLE: Final = 256 * 1024

_OF_SANDBOX: Final = re.compile(r"/_sandbox/preview(?:[/?]|\Z)")
_OF_LAPTOP: Final = re.compile(r"/_sandbox/[^/?]+/preview(?:[/?]|\Z)")


def sandbox_may_stream(target: str) -> bool:
    """Return whether ``target``, a sandbox's own path, is one of its dev server."""
    return _OF_SANDBOX.match(target) is not None


def laptop_may_stream(target: str) -> bool:
    """Return whether ``target`` of a laptop's control plane leads to a dev server."""
    return _OF_LAPTOP.match(target) is not None
