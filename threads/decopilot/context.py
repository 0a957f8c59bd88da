"""The context of a Decopilot run beyond its turn input, read from the database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from agents.core.tiers import FAST
from agents.harness.base import TurnInput, parts_of
from agents.harness.decopilot.memory import BegunCall, Lost, lost_of
from agents.keys.errors import NoModel
from agents.keys.selectors import Chosen, choose_model
from links import selectors as links
from links.selectors import LinkView
from mesh.models import User
from sandboxes.providers.base import Place
from sandboxes.selectors import recorded_link_id
from threads.core.attachments import files_of
from threads.core.fold import fold
from threads.core.title import text_of, title_of
from threads.decopilot.attempt import Answered
from threads.journal.chunks import ui_message
from threads.models import Approval, Event, Message, Run
from threads.serving.attachments import with_files
from threads.serving.history import messages_before

NAMED_WITHIN: Final = 3  # messages of a thread: if naming fails, the next message tries again
# Bytes of all files in a request, about: as Base64 they stay below the 20 MB that Gemini accepts.
FILES_LIMIT: Final = 14 * 1024 * 1024
# The code of the notice in an answer that names the files which the provider refused.
FILES_LEFT_OUT: Final = "files_left_out"
MESSAGES_LIMIT: Final = 300  # of a thread; ``memory.fit`` drops those that are too long


@dataclass(frozen=True, slots=True)
class Naming:
    """A thread that needs a name: the model, the text to name it after, and its present name."""

    chosen: Chosen
    text: str
    before: str


@dataclass(frozen=True, slots=True)
class Context:
    """``messages`` precede this run. ``lost`` is what a lost attempt of it leaves; ``answers`` are
    the person's answers to its questions, the oldest first. ``refused_files`` are the ids of
    files that the provider has refused. ``naming`` is ``None`` if the thread already
    has a name of its own."""

    chosen: Chosen
    messages: Sequence[dict[str, Any]]
    lost: Lost
    naming: Naming | None
    answers: Sequence[Approval] = ()
    temperature: float | None = None
    refused_files: frozenset[str] = frozenset()

    def answer_to(self, call: BegunCall) -> Answered | None:
        """Return the person's answer to exactly this call, if there is one.

        The id alone is the provider's, and stored shortened: two calls may share it.
        """
        for row in reversed(self.answers):
            if (row.tool_call_id, row.tool, row.input) == (call.call_id, call.name, call.input):
                return Answered(row.decision, row.reason)
        return None


def load_context(turn: TurnInput, *, fence: int) -> Context:
    """Return the context of a run.

    Raises:
        NoModel, KeyUnreadable, UnknownKey: no model can answer at the run's tier.
    """
    organization_id = UUID(turn.organization_id)
    chosen = choose_model(organization_id=organization_id, tier=turn.tier)
    run = Run.objects.select_related("prompt").get(pk=turn.run_id)
    before = messages_before(run, limit=MESSAGES_LIMIT)
    return Context(
        chosen=chosen,
        messages=with_files(
            [ui_message(message) for message in before],
            thread_id=run.thread_id,
            room=max(0, FILES_LIMIT - _size_of_files(turn)),
        ),
        lost=_lost(run, fence) if fence > 1 else Lost(),
        naming=_naming(turn, run),
        answers=_answers(run) if fence > 1 else (),
        temperature=run.temperature,
        refused_files=frozenset(_refused_files(before)),
    )


def _size_of_files(turn: TurnInput) -> int:
    """Return how many bytes the files of the run's own message have."""
    parts = [part for message in turn.messages for part in parts_of(message)]
    return sum(len(str(part.get("url", ""))) * 3 // 4 for part in files_of(parts))


def _refused_files(messages: Iterable[Message]) -> Iterator[str]:
    """Yield the ids of the files that an answer says its provider has refused."""
    for message in messages:
        for part in message.parts if message.role == "assistant" else ():
            data = part.get("data") if part.get("type") == "data-notice" else None
            if isinstance(data, dict) and data.get("code") == FILES_LEFT_OUT:
                yield from (str(file_id) for file_id in data.get("files") or ())


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


def _lost(run: Run, fence: int) -> Lost:
    """Return what the attempt leaves that came furthest; a later one may have died before it had
    repeated the steps of its predecessor."""
    events = Event.objects.filter(run=run, fence__lt=fence, n__isnull=False).order_by("seq")
    chunks: dict[int, list[dict[str, Any]]] = {}
    for number, text in events.values_list("fence", "chunk"):
        chunks.setdefault(number, []).append(json.loads(text))
    attempts = [lost_of(fold(chunks[number]).parts()) for number in sorted(chunks)]
    return max(attempts, key=lambda lost: (len(lost.settled), len(lost.begun)), default=Lost())


def _answers(run: Run) -> tuple[Approval, ...]:
    return tuple(
        Approval.objects.filter(run=run, answered_at__isnull=False).order_by("answered_at")
    )


def find_link(*, user_id: str, place: Place) -> LinkView | None:
    """Return the person's machine that has the thread's files, online or not; if there are no
    files yet, one that is online; ``None`` if there is none."""
    viewer = User.objects.get(pk=user_id)
    recorded = recorded_link_id(place.record_key) if place.record_key else None
    known = links.find_link(viewer=viewer, link_id=recorded) if recorded else None
    return known or links.find_online_link(viewer=viewer)
