"""The kinds of repositories that people have; each is made by plain git.

A kind is added by an entry in ``layouts``, ``contents``, ``histories`` or ``settings``. All tests
of this folder run over all of them, and ``docs/git.md`` lists them.
"""

from __future__ import annotations

from tests.sandboxes.repositories import contents, histories, layouts, settings
from tests.sandboxes.repositories.kind import Kind

KINDS: dict[str, Kind] = {
    **layouts.KINDS,
    **histories.KINDS,
    **contents.KINDS,
    **settings.KINDS,
}
