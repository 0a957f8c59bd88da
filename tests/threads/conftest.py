"""Ada's laptop and her threads."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone


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
def key(ada, org):
    """A key of the organization's, with a model at every tier, so that Decopilot can answer."""
    from agents.keys.services import NewKey, add_key
    from mesh.models import Membership
    from tests.secrecy import MARK

    member = Membership.objects.select_related("organization").get(user=ada)
    return add_key(member=member, new=NewKey(provider="anthropic", secret=f"sk-ant-{MARK}"))


@pytest.fixture
def thread(ada, org, agent):
    from threads import services

    return services.create_thread(owner=ada, organization=org, agent=agent)


@pytest.fixture
def say(thread, ada, link):
    """Return ``say(text, …)``, which posts a message of Ada's and returns its run."""
    from threads import services
    from threads.targets import Wish

    def post(text="hi", *, client_id=None, to=None, may_wait=False, **fields):
        message = services.NewMessage(
            client_id=str(uuid4()) if client_id is None else client_id,
            parts=[{"type": "text", "text": text}],
            wish=Wish(harness_id="demo", queue_when_offline=may_wait),
            **fields,
        )
        return services.post_message(author=ada, thread=to or thread, message=message)

    return post


@pytest.fixture
def served(settings, thread):
    """Ada's thread, pinned to a container: its runs are of the server executor."""
    settings.MESH_SANDBOX_KINDS = ["docker"]
    thread.sandbox_provider_kind, thread.harness_id, thread.branch = "docker", "demo", "main"
    thread.save()
    return thread


@pytest.fixture
def chunks():
    """Return ``chunks(thread)``: the journal's chunks, in order."""
    import json

    from threads.models import Event

    def read(thread, **only):
        rows = Event.objects.filter(thread=thread, **only).order_by("seq")
        return [json.loads(text) for text in rows.values_list("chunk", flat=True)]

    return read


@pytest.fixture
def asking_run(say):
    """An active run whose agent asks before it edits."""
    from threads import services

    run = say(approval_level="readonly")
    services.claim_run(run_id=run.pk)
    return run


@pytest.fixture
def ask(asking_run):
    """Return ``ask(id, tool, input, **facts)``: the agent of ``asking_run`` asks; returns the
    outcome."""
    from itertools import count

    from sandboxes.providers.base import SandboxEvent
    from tests.threads.doubles import chunk
    from threads.journal import committing

    numbers = count(1)

    def commit(approval="a1", tool="Bash", given=None, **facts):
        event = {
            **chunk("tool-approval-request", approvalId=approval, toolCallId=f"c-{approval}"),
            "approval": {
                "tool": tool,
                "input": {"command": "ls -l"} if given is None else given,
                **facts,
            },
        }
        events = [SandboxEvent(next(numbers), event)]
        [outcome] = committing.commit([committing.Share(asking_run.pk, 1, events)])
        return outcome

    return commit
