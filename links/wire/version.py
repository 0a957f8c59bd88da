"""The version of the protocol between server and laptop, and its history.

A new version is due when a laptop of the old one can't go on: a field it may not ignore, another
shape of the event stream, of the registration, of the frames or of the daemon's routes.
What old programs ignore safely (an unknown frame kind, an unknown field) needs none.

Version 1: registration, signed control plane, tunnel with frames of five header bytes,
    credits per stream, bundles; dispatch and journal of the sandbox as server-sent events.
Version 2: the server signs what it asks of a sandbox, and tells its public key at the
    registration. A laptop of version 1 takes no notice and goes on without that proof: an agent
    there can answer its own questions, which the server notices and then stops its run.
"""

from __future__ import annotations

from typing import Final

CURRENT: Final = 2
MINIMUM: Final = 1


def is_supported(version: int) -> bool:
    """Return whether a program that speaks ``version`` is still served; newer ones are."""
    return version >= MINIMUM
