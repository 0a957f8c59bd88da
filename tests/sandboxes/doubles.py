"""Providers that start nothing, each named for what it does."""

from sandboxes.providers.base import DispatchRefused
from tests.threads.doubles import ScriptedSandbox


class NotingProvider(ScriptedSandbox):
    """Notes what it is asked for."""

    def __init__(self):
        super().__init__()
        self.places, self.removed, self.stopped = [], [], []

    async def ensure(self, place):
        self.places.append(place)

    async def stop(self, place, *, force=False):
        self.stopped.append((place, force))

    async def remove(self, place, *, force=False):
        self.removed.append((place, force))


class FailingProvider(NotingProvider):
    """Starts and ends nothing."""

    async def ensure(self, place):
        raise DispatchRefused("sandbox_failed", "It did not start.")

    async def stop(self, place, *, force=False):
        raise DispatchRefused("sandbox_failed", "It did not end.")

    async def remove(self, place, *, force=False):
        await super().remove(place, force=force)
        raise DispatchRefused("sandbox_failed", "It did not end.")
