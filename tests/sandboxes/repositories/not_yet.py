"""What does not work yet, by kind and test: removed as it does."""

from __future__ import annotations

_START = (
    *("the_chat_gets_a_worktree_of_its_own", "nothing_is_changed_at_first"),
    *("what_the_agent_changed_is_listed", "what_is_discarded_can_be_had_back"),
)
_REBASE = ("a_rebase_brings_what_others_did",)
_PUBLISH = (
    *("the_branch_is_published", "the_branch_is_published_again"),
    *("a_sandbox_is_removed_when_nothing_would_be_lost",),
    *("a_removed_sandbox_comes_back_as_it_was",),
)
_ROWS: dict[str, tuple[int, tuple[str, ...]]] = {
    "branch named mesh": (16, _START + _REBASE + _PUBLISH),
}


def not_yet(name: str, test: str) -> int:
    """Return the row of what is missing for a test; 0 where it must pass."""
    row, tests = _ROWS.get(name, (0, ()))
    return row if test in tests else 0
