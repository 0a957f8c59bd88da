"""The version of the protocol between server and laptop, and its history.

A new version is needed when a laptop of the old one can't continue: a field that it must not
ignore, or a changed event stream, registration, frame or daemon route. Anything that old programs
ignore safely (an unknown frame kind, an unknown field) needs none.

Version 1: registration, signed control plane, tunnel with frames of five header bytes,
    credits per stream, bundles; dispatch and journal of the sandbox as server-sent events.
Version 2: the server signs its requests to sandboxes, and returns its public key at the
    registration. A laptop of version 1 ignores this and works without that proof: an agent there
    can answer its own questions, which the server detects, and then stops its run.
"""

from __future__ import annotations

from typing import Final

CURRENT: Final = 2
MINIMUM: Final = 1


def is_supported(version: int) -> bool:
    """Return whether a program with protocol ``version`` is supported; newer ones are."""
    return version >= MINIMUM
