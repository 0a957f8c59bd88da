"""Where a thread's runs go: its pins, or for the first message what is to be pinned."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from agents.catalog import load_catalog, load_runnable
from agents.context import choose_kind, machine_of
from agents.selectors import get_keys
from links import selectors as links
from links.selectors import LinkView
from sandboxes.core.handle import handle_for
from sandboxes.core.resolve import (
    REMOTE_USER,
    LinkFacts,
    LinkUnavailable,
    Target,
    resolve_target,
)
from sandboxes.providers.base import Place
from threads.core.lanes import lane_of
from threads.errors import AgentHasNoFiles, FolderElsewhere, HarnessUnknown, KindUnavailable
from threads.models import Thread

KINDS = (REMOTE_USER,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the body of a message asks for; heard only while the thread is unlocked."""

    kind: str = ""
    harness_id: str = ""
    link_id: UUID | None = None
    branch: str = ""
    queue_when_offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """Where a thread runs, for good."""

    sandbox_provider_kind: str
    harness_id: str
    link_id: UUID | None
    branch: str

    def as_fields(self) -> dict[str, Any]:
        return asdict(self)


def choose_pins(*, thread: Thread, wish: Wish) -> tuple[Pins, str]:
    """Return where the next run of ``thread`` goes, and its lane (``core/lanes.py``).

    It goes where the thread is pinned, else as wished, else by default.

    Raises:
        LinkUnavailable: the machine is offline or lacks the capability.
        AgentHasNoFiles, FolderElsewhere: the agent can't work on that machine.
        KindUnavailable, HarnessUnknown: nobody could run this.
    """
    link = _link(thread, wish)
    harness_id = thread.harness_id or _harness(thread, wish, link)
    kind = thread.sandbox_provider_kind or wish.kind or KINDS[0]
    if kind not in KINDS:
        raise KindUnavailable
    if load_runnable().find(harness_id) is None:
        raise HarnessUnknown
    target = _resolve(kind, harness_id, link, may_wait=wish.queue_when_offline)
    pins = Pins(
        sandbox_provider_kind=kind,
        harness_id=harness_id,
        link_id=link.id if link and kind == REMOTE_USER else None,
        # A thread without a branch has a folder of its own.
        branch=thread.branch or wish.branch or f"thread:{thread.pk}",
    )
    return pins, lane_of(target)


def _harness(thread: Thread, wish: Wish, link: LinkView | None) -> str:
    """Return who is to answer: as wished, or whom the page would show for nobody picked."""
    agent, wished = thread.agent, load_catalog().find(wish.harness_id)
    if wished is not None:
        if wished.is_local and not agent.source.has_files:
            raise AgentHasNoFiles
        return wish.harness_id
    if wish.harness_id:
        raise HarnessUnknown
    keys = get_keys(organization=thread.organization)
    return choose_kind(agent=agent, kind="", machine=machine_of(link) if link else None, keys=keys)


def _link(thread: Thread, wish: Wish) -> LinkView | None:
    """Return the machine: the pinned one, the wished one, the one that is online, any."""
    owner = thread.owner
    source = thread.agent.source
    chosen = thread.link_id or wish.link_id
    if not thread.harness_id and source.kind == "folder" and source.link_id:
        if chosen is not None and str(chosen) != source.link_id:
            raise FolderElsewhere
        chosen = UUID(source.link_id)
    if chosen is not None:
        return links.find_link(viewer=owner, link_id=chosen)
    if thread.harness_id:
        return None  # its machine was removed: another one lacks the thread's files
    online = links.find_online_link(viewer=owner)
    return online or next(iter(links.list_links(viewer=owner)), None)


def _resolve(kind: str, harness_id: str, link: LinkView | None, *, may_wait: bool) -> Target:
    facts = None
    if link is not None and (link.is_online or may_wait):
        facts = LinkFacts(capabilities=link.capabilities, machine=link.name)
    try:
        return resolve_target(kind=kind, harness_id=harness_id, link=facts)
    except LinkUnavailable as exc:
        if link is not None:
            exc.extra.setdefault("machine", link.name)
        raise


def place_of(thread: Thread) -> Place:
    """Return where the sandbox of a pinned thread is; its agent must be loaded."""
    metadata = thread.agent.metadata
    return Place(
        kind=thread.sandbox_provider_kind,
        link_id=thread.link_id,
        handle=handle_for(
            user_id=thread.owner_id,
            org_id=thread.organization_id,
            agent_id=thread.agent_id,
            branch=thread.branch,
        ),
        folder=metadata.get("folder"),
        repo=_repo_of(metadata),
        branch=None if thread.branch.startswith("thread:") else thread.branch,
    )


def _repo_of(metadata: dict[str, Any]) -> dict[str, str] | None:
    """Return what to clone: the agent's source, whose URL is a text (chat-ui.md §1)."""
    source = metadata.get("githubRepo")
    url = source.get("url") if isinstance(source, dict) else None
    return {"cloneUrl": url} if isinstance(url, str) and url else None
