"""Posting messages in a thread."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from agents.catalog import may_plan, takes_of
from agents.core.offers import NOTHING, Offer
from mesh.models import User
from mesh.selectors import NotFound
from sandboxes.core.resolve import LOOPS_IN_SERVER
from threads.choices import choose, offer_in, offers_on
from threads.core.title import title_from
from threads.errors import (
    AgentMismatch,
    LevelUnavailable,
    MessageChanged,
    MessageIdTaken,
    TemperatureUnsupported,
    TooManyQueued,
)
from threads.journal import rows
from threads.journal.approval_status import AUTO, PLAN
from threads.journal.chunks import status_chunk, title_chunk, user_message_chunk
from threads.journal.rows import Draft
from threads.models import Message, Run, Thread
from threads.run import state as run_state
from threads.run import transitions
from threads.services.announcements import announce
from threads.services.attachments import attach, read_files
from threads.targets import Pins, Wish, choose_pins

QUEUE_LIMIT = 100  # messages of one thread that wait


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A person's message, validated at the edge. ``client_id`` may be empty; without an
    ``approval_level`` the thread's applies, and "auto" in a new one. So do the thread's ``model``
    and ``effort``; empty ones leave them to the tier and to the program."""

    client_id: str
    parts: list[dict[str, Any]]
    metadata: dict[str, Any] = field(default_factory=dict)
    system_messages: list[dict[str, Any]] = field(default_factory=list)
    agent: str = ""
    tier: str = "smart"
    model: str | None = None
    effort: str | None = None
    mode: str = "default"
    approval_level: str = ""
    temperature: float | None = None
    folder_choices: list[str] = field(default_factory=list)
    wish: Wish = field(default_factory=Wish)


def post_message(*, author: User, thread: Thread, message: NewMessage) -> Run:
    """Add ``message`` to ``thread`` and queue a run that answers it; return the run.

    The first accepted message also pins the thread to a machine and a harness. Safe to repeat: a
    client id that was seen before returns its run; without one, so does the same message while its
    run is unfinished.

    Raises (and then stores nothing):
        LinkUnavailable: the machine is offline or can't run the harness.
        AgentMismatch, TooManyQueued, MessageIdTaken.
        MessageChanged: the client id was sent with other parts.
        KindUnavailable, HarnessUnknown.
        NoProviderKey, NoModelAtTier: Decopilot has no model to ask.
        TemperatureUnsupported: the agent program takes none.
        LevelUnavailable: the agent program can't plan.
        ModelUnavailable, EffortUnavailable: the agent program does not offer it.
        FilesNotTaken, FileUnknown and their like (``read_files``, ``attach``).
        NotFound: the thread was deleted meanwhile.
    """
    now = timezone.now()
    given = read_files(message.parts)
    with transaction.atomic():
        thread = rows.lock(thread.pk)
        if thread.deleted_at is not None:
            raise NotFound
        known, client_id = _find_known(thread, message)
        if known is not None:
            return known
        _check(thread, message)
        _check_id(thread, client_id)
        pins, executor = choose_pins(thread=thread, wish=message.wish, tier=message.tier)
        if message.temperature is not None and pins.harness_id not in LOOPS_IN_SERVER:
            raise TemperatureUnsupported
        level = message.approval_level or thread.approval_level or AUTO
        offer = _offer(thread, pins)
        if PLAN in (level, message.mode) and not may_plan(pins.harness_id, offer):
            raise LevelUnavailable
        model, effort = choose(
            thread=thread,
            harness_id=pins.harness_id,
            offer=offer,
            model=message.model,
            effort=message.effort,
        )
        takes = takes_of(pins.harness_id, message.tier)
        parts = attach(parts=message.parts, given=given, thread=thread, by=author, takes=takes)
        parts = rows.clean(parts)
        prompt = Message.objects.create(
            thread=thread,
            role="user",
            author=author,
            client_id=client_id,
            sent_digest=_digest(message),
            seq=thread.last_seq + 1,
            parts=parts,
            metadata=rows.clean(message.metadata),
            created_at=now,
        )
        run, owed = transitions.create(
            may_wait=message.wish.queue_when_offline,
            now=now,
            thread=thread,
            prompt=prompt,
            position=prompt.seq,
            executor=executor,
            tier=message.tier,
            model=model,
            effort=effort,
            # Planning is a level for people, and a mode for agents.
            mode=PLAN if level == PLAN else message.mode,
            approval_level=level,
            temperature=message.temperature,
            folder_choices=message.folder_choices,
            system_messages=rows.clean(message.system_messages),
        )
        written = rows.append(thread.pk, _drafts(thread, prompt, run))
        changed = {**pins.as_fields(), "approval_level": level, "updated_at": now}
        changed |= {"model": model, "effort": effort}
        if not thread.title:
            changed["title"] = title_from(parts)
        for name, value in changed.items():
            setattr(thread, name, value)
        thread.save(update_fields=list(changed))
        announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written, runs=owed.notifies)
    return run


def _offer(thread: Thread, pins: Pins) -> Offer:
    """Return what the program that gets the message offers, as far as it has said so."""
    if thread.harness_id:
        return offer_in(thread)
    return offers_on(pins.link_id).get(pins.harness_id, NOTHING) if pins.link_id else NOTHING


def _drafts(thread: Thread, prompt: Message, run: Run) -> list[Draft]:
    queued = status_chunk(run_state.QUEUED, run_id=run.pk, message_id=prompt.client_id)
    drafts = [
        Draft(user_message_chunk(prompt), run.pk),
        Draft(queued, run.pk),
    ]
    if not thread.title and (title := title_from(prompt.parts)):
        drafts.append(Draft(title_chunk(title), run.pk))
    return drafts


def _find_known(thread: Thread, message: NewMessage) -> tuple[Run | None, str]:
    """Return the run of this message if it was sent before, and the message's key."""
    if message.client_id:
        runs = Run.objects.filter(prompt__thread=thread, prompt__client_id=message.client_id)
        known = runs.select_related("prompt").first()
        if known is not None and known.prompt.sent_digest not in ("", _digest(message)):
            raise MessageChanged
        return known, message.client_id
    content = json.dumps(message.parts, sort_keys=True).encode()
    key = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    again = Run.objects.filter(thread=thread, prompt__client_id__startswith=key, finished_at=None)
    return again.first(), f"{key}-{thread.last_seq + 1}"


def _digest(message: NewMessage) -> str:
    """Return the digest of the parts as they were sent."""
    content = json.dumps(message.parts, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def _check_id(thread: Thread, client_id: str) -> None:
    """Refuse an id that another message has, or that the answer of a run has or will have.

    An answer is stored under its run's id; a prompt with that id would block it.
    """
    try:
        is_of_run = thread.runs.filter(pk=UUID(client_id)).exists()
    except ValueError:
        is_of_run = False
    if is_of_run or Message.objects.filter(thread=thread, client_id=client_id).exists():
        raise MessageIdTaken


def _check(thread: Thread, message: NewMessage) -> None:
    if message.agent and message.agent not in (str(thread.agent_id), thread.agent.slug):
        raise AgentMismatch
    if thread.runs.filter(state=run_state.QUEUED, finished_at=None).count() >= QUEUE_LIMIT:
        raise TooManyQueued
