"""Providers that start nothing, each named for its behaviour."""

from contextlib import asynccontextmanager

import httpx

from sandboxes.providers.base import DispatchRefused
from tests.threads.doubles import ScriptedSandbox


class NotingProvider(ScriptedSandbox):
    """Records its calls."""

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
    """Fails to start and to end."""

    async def ensure(self, place):
        raise DispatchRefused("sandbox_failed", "It did not start.")

    async def stop(self, place, *, force=False):
        raise DispatchRefused("sandbox_failed", "It did not end.")

    async def remove(self, place, *, force=False):
        await super().remove(place, force=force)
        raise DispatchRefused("sandbox_failed", "It did not end.")


class BusyProvider(NotingProvider):
    """An agent is working in its sandboxes."""

    async def remove(self, place, *, force=False):
        if not force:
            raise DispatchRefused("sandbox_busy", "An agent is at work.")
        await super().remove(place, force=force)


class AnsweringProvider(NotingProvider):
    """Returns ``answer`` to every request, or raises it."""

    def __init__(self, answer=None):
        super().__init__()
        self.answer = answer or httpx.Response(200, json={"ok": True})
        self.asked = []

    async def request(self, place, method, path, *, json=None, limit=None):
        self.asked.append((place, method, path, json))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @asynccontextmanager
    async def open(self, place, method, path, *, headers=(), body=b""):
        self.asked.append((place, method, path, None))
        answers = self.answer if isinstance(self.answer, list) else [self.answer]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        yield answer
