"""Whether open connections may stay open: checked every few seconds, for all of them together.

A connection names the rights that it depends on. One check covers every right in the process, so
that a thousand readers cost a few queries and not a thousand. While the database can't be
reached, every connection stays open: nothing new could be read then either.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Hashable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from mesh import database_pool
from mesh.database_errors import DATABASE_AWAY

T = TypeVar("T")
Key = Any  # hashable; only its check knows what it means
Check = Callable[[Collection[Key]], set[Key]]

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 3.0  # seconds; a connection ends within five after losing a right


class RightLost(Exception):
    """A connection has lost a right that it depends on; ``lost`` says which ones."""

    def __init__(self, lost: Collection[Right] = ()) -> None:
        super().__init__("a right was lost")
        self.lost = frozenset(lost)


@dataclass(frozen=True, slots=True)
class Right:
    """``check`` takes many keys and returns those that are still valid."""

    check: Check
    key: Hashable


class Held:
    """The rights of one connection; only its event loop may touch it."""

    def __init__(self, rights: Collection[Right]) -> None:
        self.rights = set(rights)
        self.lost: set[Right] = set()
        self._changed = asyncio.Event()

    def lose(self, lost: set[Right]) -> None:
        """Record that these were lost, and wake ``wait``."""
        self.rights -= lost
        self.lost |= lost
        self._changed.set()

    async def wait(self) -> set[Right]:
        """Wait for rights to be lost, and return those lost since the last call."""
        await self._changed.wait()
        self._changed.clear()
        lost, self.lost = self.lost, set()
        return lost


@contextmanager
def hold(*rights: Right) -> Iterator[Held]:
    """Check these rights of a connection until the block ends; yield them."""
    watch = _of_this_loop()
    held = Held(rights)
    watch.add(held)
    try:
        yield held
    finally:
        watch.remove(held)


async def while_held(work: Coroutine[Any, Any, T], *rights: Right) -> T:
    """Return the result of ``work``; cancel it as soon as one of ``rights`` is lost.

    Raises:
        RightLost: one was lost, and ``work`` has been cancelled.
    """
    with hold(*rights) as held:
        working = asyncio.ensure_future(work)
        losing = asyncio.ensure_future(held.wait())
        try:
            await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise RightLost(losing.result())
            return working.result()
        finally:
            await _end(working, losing)


async def pieces_while_held(
    pieces: AsyncGenerator[T, None], *rights: Right
) -> AsyncGenerator[T, None]:
    """Yield the pieces until they end.

    Raises:
        RightLost: one of ``rights`` was lost; nothing was yielded since.
    """
    with hold(*rights) as held:
        losing = asyncio.ensure_future(held.wait())
        upcoming: asyncio.Future[T] | None = None
        try:
            while True:
                upcoming = asyncio.ensure_future(anext(pieces))
                await asyncio.wait({upcoming, losing}, return_when=asyncio.FIRST_COMPLETED)
                if losing.done():
                    raise RightLost(losing.result())
                try:
                    piece = upcoming.result()
                except StopAsyncIteration:
                    return
                yield piece
        finally:
            await _end(losing, *([upcoming] if upcoming else []))
            await pieces.aclose()


async def until_lost(pieces: AsyncGenerator[T, None], *rights: Right) -> AsyncGenerator[T, None]:
    """Yield the pieces until they end, or one of ``rights`` is lost."""
    try:
        async with aclosing(pieces_while_held(pieces, *rights)) as held:
            async for piece in held:
                yield piece
    except RightLost:
        return


class Watch:
    """All connections of one event loop. It checks only while there are any."""

    def __init__(self) -> None:
        self._held: set[Held] = set()
        self._looking: asyncio.Task[None] | None = None

    def add(self, held: Held) -> None:
        self._held.add(held)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._run())

    def remove(self, held: Held) -> None:
        self._held.discard(held)

    async def look(self) -> None:
        """Check every right once, and tell each connection which ones it has lost."""
        asked: defaultdict[Check, set[Key]] = defaultdict(set)
        for held in self._held:
            for right in held.rights:
                asked[right.check].add(right.key)
        good = await database_pool.rights.run(_ask, asked)
        for held in list(self._held):
            lost = {
                right
                for right in held.rights
                if right.key in asked.get(right.check, ()) and right.key not in good[right.check]
            }
            if lost:
                held.lose(lost)

    async def _run(self) -> None:
        while self._held:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except DATABASE_AWAY as exc:
                logger.warning(
                    "open connections: rights not checked, the database is unreachable;"
                    " will retry in %.0f s: %s",
                    LOOK_EVERY,
                    exc,
                )
            except Exception:
                logger.exception(
                    "open connections: rights check failed; will retry in %.0f s", LOOK_EVERY
                )


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, Watch] = WeakKeyDictionary()


def _of_this_loop() -> Watch:
    return _watches.setdefault(asyncio.get_running_loop(), Watch())


def _ask(asked: dict[Check, set[Key]]) -> dict[Check, set[Key]]:
    return {check: check(keys) for check, keys in asked.items()}


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
