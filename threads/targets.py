"""Where a thread's runs execute: its pins, or for its first message, the pins to set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from agents.catalog import load_catalog, load_runnable
from agents.context import Keys, machine_of
from agents.context import choose_kind as choose_harness
from agents.core.options import DECOPILOT, parse_choice
from agents.selectors import get_keys
from links import selectors as links
from links.errors import LinkUnavailable
from links.selectors import LinkView
from links.wire.messages import needed_for
from links.wire.names import is_key
from sandboxes.core.kinds import REMOTE_USER, KindFacts, choose_kind
from sandboxes.core.resolve import (
    LOOPS_IN_SERVER,
    LinkFacts,
    Target,
    resolve_target,
)
from sandboxes.core.vm_map import VmEntry
from sandboxes.places import place_for
from sandboxes.providers import offered_kinds
from sandboxes.providers.base import Place
from sandboxes.selectors import recorded_cell
from threads.core.executors import executor_of
from threads.errors import (
    AgentHasNoFiles,
    FolderElsewhere,
    HarnessUnknown,
    KindUnavailable,
    NoModelAtTier,
    NoProviderKey,
    NotBegun,
)
from threads.models import Thread

NO_SANDBOX = ""  # none yet: the next message chooses again


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the body of a message asks for; used only while the thread has no pins."""

    kind: str = ""
    harness_id: str = ""
    link_id: UUID | None = None
    branch: str = ""
    queue_when_offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """Where a thread runs, permanently."""

    sandbox_provider_kind: str
    harness_id: str
    link_id: UUID | None
    branch: str

    def as_fields(self) -> dict[str, Any]:
        return asdict(self)


def choose_pins(*, thread: Thread, wish: Wish, tier: str) -> tuple[Pins, str]:
    """Return the pins and the executor of the next run of ``thread``, at ``tier``.

    The thread's own pins come first, then the wish, then the defaults.

    Raises:
        LinkUnavailable: the machine is offline or lacks the capability.
        AgentHasNoFiles, FolderElsewhere: the agent can't work on that machine.
        KindUnavailable, HarnessUnknown: this server can't run it.
        NoProviderKey, NoModelAtTier: Decopilot would run it, and has no model to ask.
    """
    # A thread without a branch has a folder of its own.
    branch = thread.branch or wish.branch or f"thread:{thread.pk}"
    recorded = _recorded(thread, branch)
    link = _link(thread, wish, recorded.get(REMOTE_USER))
    harness_id = thread.harness_id or _harness(thread, wish, link)
    kind = thread.sandbox_provider_kind or _kind(thread, wish, link, recorded, harness_id)
    if kind != NO_SANDBOX and kind not in offered_kinds():
        raise KindUnavailable
    if load_runnable().find(harness_id) is None:
        raise HarnessUnknown
    if harness_id == DECOPILOT:
        _check_model(get_keys(organization=thread.organization), tier)
    target = _resolve(kind, harness_id, link, may_wait=wish.queue_when_offline)
    pins = Pins(
        sandbox_provider_kind=kind,
        harness_id=harness_id,
        link_id=link.id if link and kind == REMOTE_USER else None,
        branch=branch,
    )
    return pins, executor_of(target)


def _no_model_at(keys: Keys) -> NoModelAtTier:
    """Return the error of a tier without a model, which names another one that has a model."""
    kind = load_catalog().find(DECOPILOT)
    found = next((each for each in kind.tiers if keys.answers_at(each.key)), None) if kind else None
    if found is None:
        return NoModelAtTier()
    text = f"No model is set for this tier of Decopilot. “{found.label}” has one."
    return NoModelAtTier(text, instead={"tier": found.key, "title": found.label})


def _check_model(keys: Keys, tier: str) -> None:
    # If the key is deleted later, a waiting message ends with ``no_model``.
    if not keys.has_any:
        raise NoProviderKey
    if not keys.answers_at(tier):
        raise _no_model_at(keys)


def _recorded(thread: Thread, branch: str) -> Mapping[str, VmEntry]:
    """Return the recorded sandboxes of the branch, for a thread that is not pinned yet."""
    is_settled = bool(thread.sandbox_provider_kind)
    is_fresh = is_key(branch) and not thread.harness_id
    if is_settled or is_fresh:
        return {}
    return recorded_cell(agent=thread.agent, user_id=thread.owner_id, branch=branch)


def _kind(
    thread: Thread,
    wish: Wish,
    link: LinkView | None,
    recorded: Mapping[str, VmEntry],
    harness_id: str,
) -> str:
    """Return the kind of sandbox for a thread without pins, by the resolver's precedence.

    A named machine, a folder, or a program on a known machine decides for that machine, even
    while it is offline.
    """
    harness = load_catalog().find(harness_id)
    is_local = harness is not None and harness.is_local and link is not None
    names_machine = wish.link_id is not None or thread.agent.source.kind == "folder"
    kind = choose_kind(
        KindFacts(
            explicit=wish.kind or (REMOTE_USER if names_machine else ""),
            recorded=next(iter(recorded), ""),
            is_link_online=link is not None and link.is_online,
            default=REMOTE_USER if is_local else settings.STUDIO_SANDBOX_RUNNER,
        )
    )
    is_nowhere = kind == REMOTE_USER and not (link and link.is_online)
    if is_nowhere and harness_id in LOOPS_IN_SERVER and not (wish.kind or names_machine):
        return NO_SANDBOX  # it can answer, and chooses a machine when a tool needs one
    return kind


def _harness(thread: Thread, wish: Wish, link: LinkView | None) -> str:
    """Return the harness: the wished one, or the one that the page shows without a choice."""
    agent, wished = thread.agent, load_catalog().find(wish.harness_id)
    if wished is not None:
        if wished.is_local and not agent.source.has_files:
            raise AgentHasNoFiles
        return wish.harness_id
    if wish.harness_id:
        raise HarnessUnknown
    keys = get_keys(organization=thread.organization)
    return choose_harness(
        agent=agent, kind="", machine=machine_of(link) if link else None, keys=keys
    )


def _link(thread: Thread, wish: Wish, recorded: VmEntry | None) -> LinkView | None:
    """Return the machine: the pinned one, the wished one, the one that has the files, an online
    one that has the agent, an online one, or any. A thread that starts while the machine with the
    files is offline starts without them."""
    owner = thread.owner
    source = thread.agent.source
    chosen = thread.link_id or wish.link_id
    if not thread.harness_id and source.kind == "folder" and source.link_id:
        if chosen is not None and str(chosen) != source.link_id:
            raise FolderElsewhere
        chosen = UUID(source.link_id)
    if chosen is not None:
        return links.find_link(viewer=owner, link_id=chosen)
    if thread.harness_id and thread.sandbox_provider_kind:
        return None  # its machine was removed: another one lacks the thread's files
    if recorded is not None and recorded.machine:
        known = links.find_link(viewer=owner, link_id=recorded.machine)
        if known is not None and (known.is_online or thread.harness_id):
            return known
    return _with_agent(links.list_links(viewer=owner), thread, wish)


def _with_agent(machines: Sequence[LinkView], thread: Thread, wish: Wish) -> LinkView | None:
    """Return the first of the ``machines`` that is online and has the agent, else the first."""
    by_default, _ = parse_choice(thread.agent.default_choice)
    needed = needed_for(thread.harness_id or wish.harness_id or by_default)
    able = (each for each in machines if each.is_online and needed in each.capabilities)
    return next(able, None) or next(iter(machines), None)


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


def begun_place(thread: Thread) -> Place:
    """Return where the thread's sandbox is.

    Raises:
        NotBegun: it has none yet; its first message decides.
    """
    if not thread.harness_id:
        raise NotBegun
    return place_of(thread)


def place_of(thread: Thread) -> Place:
    """Return the place of a pinned thread's sandbox; the thread's agent must be loaded."""
    return place_for(
        agent=thread.agent,
        user_id=thread.owner_id,
        branch=thread.branch,
        kind=thread.sandbox_provider_kind,
        link_id=thread.link_id,
    )
