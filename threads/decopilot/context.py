"""The context of a Decopilot run beyond its turn input, read from the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from agents.core.tiers import FAST
from agents.harness.base import TurnInput
from agents.harness.decopilot.memory import settled
from agents.keys.errors import NoModel
from agents.keys.selectors import Chosen, choose_model
from links import selectors as links
from links.selectors import LinkView
from mesh.models import User
from sandboxes.providers.base import Place
from sandboxes.selectors import recorded_link_id
from threads.core.fold import fold
from threads.core.title import text_of, title_of
from threads.journal.chunks import ui_message
from threads.models import Event, Message, Run
from threads.serving.attachments import with_files

NAMED_WITHIN: Final = 3  # messages of a thread: if naming fails, the next message tries again
MESSAGES_LIMIT: Final = 300  # of a thread; ``memory.fit`` drops those that are too long


@dataclass(frozen=True, slots=True)
class Naming:
    """A thread that needs a name: the model, the text to name it after, and its present name."""

    chosen: Chosen
    text: str
    before: str


@dataclass(frozen=True, slots=True)
class Context:
    """``messages`` precede this run; ``lost`` are the parts of the steps that a lost attempt of it
    completed. ``naming`` is ``None`` if the thread already has a name of its own."""

    chosen: Chosen
    messages: Sequence[dict[str, Any]]
    lost: Sequence[dict[str, Any]]
    naming: Naming | None
    temperature: float | None = None


def load_context(turn: TurnInput, *, fence: int) -> Context:
    """Return the context of a run.

    Raises:
        NoModel, KeyUnreadable, UnknownKey: no model can answer at the run's tier.
    """
    organization_id = UUID(turn.organization_id)
    chosen = choose_model(organization_id=organization_id, tier=turn.tier)
    run = Run.objects.select_related("prompt").get(pk=turn.run_id)
    before = Message.objects.filter(thread=run.thread_id, seq__lt=run.prompt.seq)
    newest = list(before.order_by("-seq")[:MESSAGES_LIMIT])
    return Context(
        chosen=chosen,
        messages=with_files(
            [ui_message(message) for message in reversed(newest)], thread_id=run.thread_id
        ),
        lost=_lost_parts(run, fence) if fence > 1 else [],
        naming=_naming(turn, run),
        temperature=run.temperature,
    )


def _naming(turn: TurnInput, run: Run) -> Naming | None:
    """Return how to name a young thread whose name is still the start of its first message."""
    prompts = Message.objects.filter(thread=run.thread_id, role="user", seq__lte=run.prompt.seq)
    first = list(prompts.order_by("seq").values_list("parts", flat=True)[: NAMED_WITHIN + 1])
    if not first or len(first) > NAMED_WITHIN:
        return None
    text = text_of(first[0])
    if not text or turn.current_thread_title != title_of(text):
        return None
    try:
        fast = choose_model(organization_id=UUID(turn.organization_id), tier=FAST)
    except NoModel:
        return None
    return Naming(fast, text, turn.current_thread_title)


def _lost_parts(run: Run, fence: int) -> list[dict[str, Any]]:
    """Return the completed steps of the attempt that came furthest; a later one may have died
    before it had repeated the steps of its predecessor."""
    events = Event.objects.filter(run=run, fence__lt=fence, n__isnull=False).order_by("seq")
    chunks: dict[int, list[dict[str, Any]]] = {}
    for number, text in events.values_list("fence", "chunk"):
        chunks.setdefault(number, []).append(json.loads(text))
    attempts = [settled(fold(chunks[number]).parts()) for number in sorted(chunks)]
    return max(attempts, key=len, default=[])


def find_link(*, user_id: str, place: Place) -> LinkView | None:
    """Return the person's machine that has the thread's files, online or not; if there are no
    files yet, one that is online; ``None`` if there is none."""
    viewer = User.objects.get(pk=user_id)
    recorded = recorded_link_id(place.record_key) if place.record_key else None
    known = links.find_link(viewer=viewer, link_id=recorded) if recorded else None
    return known or links.find_online_link(viewer=viewer)
