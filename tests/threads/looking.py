"""A dispatcher whose looks can be waited for."""

from __future__ import annotations

from tests.waiting import auntil
from threads.serving.dispatcher import Dispatcher


class LookingDispatcher(Dispatcher):
    """Ends one look before it starts the next, as it always does: two that overlap, as when a test
    calls ``_look`` itself, would each forget what ended during the other."""

    looks = 0

    async def _look(self):
        wait = await super()._look()
        self.looks += 1
        return wait

    async def looked(self):
        """Return once a look has ended that started after this call."""
        wanted = self.looks + 2
        self.notify()
        await auntil(lambda: self.looks >= wanted, what="a look")
