"""The table of docs/git.md, made from the kinds:  python -m tests.sandboxes.repositories.table"""

from __future__ import annotations

from collections.abc import Iterator

from tests.sandboxes.repositories.kind import Kind
from tests.sandboxes.repositories.kinds import KINDS

HEAD = ("| Kind | What it is | What a chat can do in it |", "|---|---|---|")


def lines() -> list[str]:
    """Return the lines of the table."""
    return [*HEAD, *(f"| {name} | {kind.says} | {_holds(kind)} |" for name, kind in KINDS.items())]


def _holds(kind: Kind) -> str:
    if kind.is_asked:
        return f"what you answer to a question{_with_which_git(kind)}"
    if kind.refused:
        return f"nothing: refused (`{kind.refused}`)"
    return "; ".join(["everything", *_differences(kind)])


def _with_which_git(kind: Kind) -> str:
    return " (before git {}.{})".format(*kind.until) if kind.until < (99, 0) else ""


def _differences(kind: Kind) -> Iterator[str]:
    if kind.since > (2, 34):
        yield "from git {}.{} on".format(*kind.since)
    if kind.named:
        yield "on a branch of another name"
    if kind.brings:
        yield "takes along " + ", ".join(f"`{name}`" for name in kind.brings)
    if not kind.remote:
        yield "there is nowhere to publish to"
    if kind.rebase_refused:
        yield f"a rebase is refused (`{kind.rebase_refused}`)"
    if kind.publish_refused:
        yield f"publishing is refused (`{kind.publish_refused}`)"
    if kind.runs:
        yield "publishing runs " + ", ".join(f"`{name}`" for name in sorted(kind.runs))


if __name__ == "__main__":
    print("\n".join(lines()))
