"""Names of branches: validation, and generated ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

LENGTH_LIMIT: Final = 200

# git-check-ref-format(1), rules 1 to 10; "-" at the start would be read as an option.
_REFUSED: Final = re.compile(
    r"""
    ^[-/.] | [/.]$ | \.\. | // | @\{ | ^@$ | \.lock(?:/|$) | /\. |
    [\x00-\x20\x7f~^:?*\[\\]
    """,
    re.VERBOSE,
)

_ADJECTIVES: Final = (
    *("amber", "brave", "brisk", "calm", "clear", "clever", "cosy", "crisp", "eager", "early"),
    *("fair", "fleet", "fond", "gentle", "glad", "golden", "keen", "kind", "light", "lively"),
    *("lucky", "mellow", "merry", "mild", "neat", "nimble", "plain", "proud", "quick", "quiet"),
    *("rapid", "ready", "silver", "smooth", "snug", "steady", "sunny", "swift", "tidy", "warm"),
)
_NOUNS: Final = (
    *("acorn", "badger", "beacon", "birch", "breeze", "brook", "cedar", "cliff", "comet", "cove"),
    *("crane", "dune", "ember", "falcon", "fern", "fjord", "grove", "harbor", "hazel", "heron"),
    *("island", "juniper", "lantern", "larch", "lark", "maple", "meadow", "mesa", "moss", "otter"),
    *("pebble", "pine", "prairie", "raven", "reed", "ridge", "river", "sparrow", "thicket", "wren"),
)


def is_branch(name: str) -> bool:
    """Return whether git accepts ``name`` as a branch name."""
    return 0 < len(name) <= LENGTH_LIMIT and name.isprintable() and _REFUSED.search(name) is None


def new_branch(pick: Callable[[Sequence[str]], str]) -> str:
    """Return a generated name, such as ``deco/quiet-otter``."""
    return f"deco/{pick(_ADJECTIVES)}-{pick(_NOUNS)}"
