"""The working folder as the tools see it: only when it is ready, and nothing outside it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from mesh.lib.errors import AppError
from sandboxes.daemon.files.tree import Tree

WAIT = 10.0  # seconds that a tool waits for a running checkout


class NotReady(AppError):
    code = "not_ready"
    text = "The working folder is still being prepared."
    hint = "Try again in a moment; the sandbox's events show the progress."
    status = 409


class Checkout(Protocol):
    async def ready(self) -> Path: ...


class Workplace:
    """Provides the tree of the working folder; ``repo`` is the path of Mesh's own checkout."""

    def __init__(self, checkout: Checkout, repo: Path) -> None:
        self._checkout = checkout
        self._repo = repo
        self._folder: Path | None = None
        self._tree: Tree | None = None

    async def tree(self) -> Tree:
        """Return the tree in which the agents of the sandbox work.

        Raises:
            NotReady: the folder is still being prepared.
            GitFailed: the folder can't be prepared.
        """
        try:
            async with asyncio.timeout(WAIT):
                folder = await self._checkout.ready()
        except TimeoutError as exc:
            raise NotReady(notReady=True) from exc
        if self._tree is None or self._folder != folder:
            # A person may work in a subfolder of a repository; the rest of it is theirs, too.
            top = self._repo if folder.is_relative_to(self._repo) else folder
            self._tree, self._folder = Tree(top, folder), folder
        return self._tree
