"""Ada's laptop and her threads."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone


def _stand_ins():  # TEMPORARY until sandboxes.core and sandboxes.providers are there
    try:
        import sandboxes.core.handle
        import sandboxes.core.resolve
        import sandboxes.providers.base  # noqa: F401

        return
    except ImportError:
        pass
    from mesh.lib.errors import AppError

    handle = types.ModuleType("sandboxes.core.handle")
    handle.handle_for = lambda **kw: f"default-{abs(hash(str(kw))):016x}"[:40]
    resolve = types.ModuleType("sandboxes.core.resolve")

    class LinkUnavailable(AppError):
        status = 409

        def __init__(self, code, **extra):
            super().__init__("", **extra)
            self.code = code

    @dataclass(frozen=True, slots=True)
    class LinkFacts:
        capabilities: tuple
        machine: str = ""

    def resolve_target(*, kind, harness_id, link):
        if link is None:
            raise LinkUnavailable("link_offline")
        if harness_id == "claude-code" and harness_id not in link.capabilities:
            raise LinkUnavailable("capability_missing", activeCapabilities=list(link.capabilities))

    resolve.LinkUnavailable = LinkUnavailable
    resolve.LinkFacts = LinkFacts
    resolve.resolve_target = resolve_target
    base = types.ModuleType("sandboxes.providers.base")

    @dataclass(frozen=True, slots=True)
    class Place:
        kind: str
        link_id: object
        handle: str
        folder: str | None = None
        repo: dict | None = None
        branch: str | None = None

    @dataclass(frozen=True, slots=True)
    class SandboxEvent:
        n: int
        body: dict

    class SandboxDown(AppError):
        code = "sandbox_down"

    class UnknownRun(AppError):
        code = "unknown_run"

    class StreamCut(AppError):
        code = "stream_cut"

    class DispatchRefused(AppError):
        def __init__(self, code, message=""):
            super().__init__(message)
            self.code = code

    for kind in (Place, SandboxEvent, SandboxDown, UnknownRun, StreamCut, DispatchRefused):
        setattr(base, kind.__name__, kind)
    base.SandboxProvider = object
    for module in (handle, resolve, base):
        sys.modules[module.__name__] = module


_stand_ins()


@pytest.fixture
def link(ada):
    """Ada's laptop, online and able to run Claude Code."""
    from links.models import Link

    return Link.objects.create(
        user=ada,
        machine_id="m1",
        hostname="adas-laptop",
        cli_version="0.1.0",
        protocol_version=1,
        capabilities=["decopilot-sandbox", "claude-code"],
        offline_after=timezone.now() + timedelta(minutes=5),
        seen_at=timezone.now(),
    )


@pytest.fixture
def thread(ada, org, agent):
    from threads import services

    return services.create_thread(owner=ada, organization=org, agent=agent)


@pytest.fixture
def say(thread, ada, link):
    """Return ``say(text, …)``, which posts a message of Ada's and returns its run."""
    from threads import services
    from threads.targets import Wish

    def post(text="hi", *, client_id=None, to=None, **fields):
        message = services.NewMessage(
            client_id=str(uuid4()) if client_id is None else client_id,
            parts=[{"type": "text", "text": text}],
            wish=Wish(harness_id=fields.pop("harness_id", "demo")),
            **fields,
        )
        return services.post_message(author=ada, thread=to or thread, message=message)

    return post


@pytest.fixture
def chunks():
    """Return ``chunks(thread)``: the journal's chunks, in order."""
    import json

    from threads.models import Event

    def read(thread, **only):
        rows = Event.objects.filter(thread=thread, **only).order_by("seq")
        return [json.loads(text) for text in rows.values_list("chunk", flat=True)]

    return read
