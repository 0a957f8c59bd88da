"""Messages that were never sent: their run ended while they waited, so no agent has them."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from mesh.models import User
from mesh.selectors import NotFound
from threads.core.run_errors import WITHDRAWN
from threads.errors import AlreadyDispatched
from threads.journal.approval_status import PLAN
from threads.models import Run, Thread
from threads.services.messages import NewMessage, post_message
from threads.services.queue import lock_own, withdraw_unsent
from threads.targets import Wish


def send_unsent(*, thread: Thread, run_id: UUID, by: User, queue_when_offline: bool) -> Run:
    """Send a message that was never sent, behind those that wait; return its new run.

    It is a new message with the same parts; the old one disappears. Safe to repeat.

    Raises (and then changes nothing):
        NotFound: the thread has no such run, or the message was withdrawn.
        NotTheAuthor: another person wrote it.
        AlreadyDispatched: it waits, or was sent.
        LinkUnavailable and the others of ``post_message``.
    """
    with transaction.atomic():
        run = lock_own(thread, run_id, by)
        client_id = f"again-{run.pk}"  # two tabs may send it at the same time
        sent = Run.objects.filter(thread=thread, prompt__client_id=client_id)
        if known := sent.select_related("prompt").first():
            return known
        if run.error_code == WITHDRAWN:
            raise NotFound("The message was taken back.")
        if not run.never_sent:
            raise AlreadyDispatched
        withdraw_unsent(run)
        message = NewMessage(
            client_id=client_id,
            parts=run.prompt.parts,
            metadata=run.prompt.metadata,
            system_messages=run.system_messages,
            tier=run.tier,
            # The level is the thread's, as for any message; "plan" was one of it, not a mode.
            mode="default" if run.approval_level == PLAN else run.mode,
            temperature=run.temperature,
            folder_choices=run.folder_choices,
            wish=Wish(queue_when_offline=queue_when_offline),
        )
        return post_message(author=by, thread=thread, message=message)
