"""Threads, their messages and runs, the journal, and approvals.

The tables enforce the invariants that other code relies on; each constraint's name says which.
"""

from __future__ import annotations

import json
from typing import Any, Final, cast
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.models import Agent
from links.models import Link
from mesh import keys
from mesh.lib.ids import new_id
from mesh.models import Organization
from threads.core import executors
from threads.core.rules import Rule, Scope, in_words, rule_for
from threads.run import state as run_state

UNTITLED: Final = "New chat"


class Thread(models.Model):
    """A conversation of one person with one agent.

    ``sandbox_provider_kind``, ``harness_id``, ``link`` and ``branch`` are the pins: empty
    until the first accepted message, and never changed after. ``last_seq`` is the number of
    the newest event of the journal, ``pruned_seq`` of the newest that was removed because its
    answer is stored; ``session_ref`` is the harness's own name of the conversation, with which
    the next turn resumes it. ``approval_level`` is that of the last message, or what the person
    chose since; empty before both. ``model`` and ``effort`` are the program's own, as they were
    last chosen; empty where the tier decides. The owner has not seen answers that ended after
    ``seen_at``. A deleted thread is hidden immediately and can be restored for a while; then its
    rows are removed in steps (``core/deletion.py``), the first of which sets ``purge_began_at``.
    ``handing_to`` becomes the owner as soon as nothing of the thread runs any more
    (``services/handing_over.py``).
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="threads")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="threads")
    handing_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    # Not PROTECT: an organization that is deleted takes its agents along with their threads.
    agent = models.ForeignKey(Agent, models.RESTRICT, related_name="threads")
    title = models.CharField(max_length=200, blank=True)
    sandbox_provider_kind = models.CharField(max_length=20, blank=True)
    harness_id = models.CharField(max_length=60, blank=True)
    link = models.ForeignKey(Link, models.SET_NULL, null=True, related_name="threads")
    branch = models.CharField(max_length=200, blank=True)
    session_ref = models.CharField(max_length=200, blank=True)
    approval_level = models.CharField(max_length=20, default="", blank=True)
    model = models.CharField(max_length=200, default="", blank=True)
    effort = models.CharField(max_length=40, default="", blank=True)
    last_seq = models.PositiveBigIntegerField(default=0)
    pruned_seq = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True)
    purge_began_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # A page of a person's list, and other queries for their newest threads.
            models.Index(
                fields=["owner", "organization", "-updated_at", "-id"],
                condition=Q(deleted_at=None),
                name="newest_threads",
            ),
            models.Index(
                fields=["deleted_at"],
                condition=Q(deleted_at__isnull=False),
                name="deleted_threads",
            ),
        ]

    def __str__(self) -> str:
        return self.title or UNTITLED


class Message(models.Model):
    """A person's message, or an agent's whole answer, as the AI SDK's UI message parts.

    ``client_id`` is the browser's key for a message that it sends: sending again changes nothing.
    An answer exists once its run has ended; until then it is the fold of the run's events. ``seq``
    is the number of the event that added the message to the journal.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    thread = models.ForeignKey(Thread, models.CASCADE, related_name="messages")
    role = models.CharField(max_length=10)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    client_id = models.CharField(max_length=100)
    # Of the parts as they were sent, before files are stored and the waiting message is edited.
    # Empty for answers, and for older messages.
    sent_digest = models.CharField(max_length=64, default="", blank=True)
    seq = models.PositiveBigIntegerField()
    parts = models.JSONField()
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["seq"]
        constraints = [
            models.UniqueConstraint(fields=["thread", "client_id"], name="a_message_once"),
            models.UniqueConstraint(fields=["thread", "seq"], name="one_message_per_number"),
            models.CheckConstraint(
                condition=Q(role__in=["user", "assistant", "system"]), name="known_message_role"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.id}"


class Run(models.Model):
    """One answer of an agent to a message, in one or more attempts.

    ``fence`` counts the attempts; events of an older one are refused. ``last_n`` is the number of
    this attempt's newest event in the journal, and so the cursor from which its follower reads on.
    ``executor`` (``core/executors.py``) never changes. ``node`` is the process that executes the
    run; for the ``server`` executor until ``leased_until``. ``cancelled_at``: when a person
    stopped it, which makes its end a cancellation. ``stop_due_at``: a stop is due at its machine,
    for whatever reason, until ``stop_delivered_at`` is set. ``expires_at``: the end of its wait
    for its machine. ``resting_since``: when it became unreachable, whether to be followed or to
    be stopped; it is tried again at ``retry_at``, and ``resting_code`` says why, once the outage is
    long enough to be shown. ``position`` orders the runs of a thread: it starts as the prompt's
    ``seq``, and queued runs may exchange theirs, so each run stays behind those that were sent.
    ``never_sent``: it ended while it waited, so no agent has seen its message.
    ``eased_at`` is set while a person has switched a run that asks to "auto": its later questions
    are allowed in their name. ``resumptions`` counts how often its sandbox died while it waited for
    an answer, and the agent was asked to continue: each time it asks again. ``folder_choices``
    answer in advance what its sandbox may ask about the working folder.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    thread = models.ForeignKey(Thread, models.CASCADE, related_name="runs")
    prompt = models.OneToOneField(Message, models.CASCADE, related_name="run")
    answer = models.OneToOneField(Message, models.SET_NULL, null=True, related_name="answered_run")
    state = models.CharField(max_length=12, default=run_state.QUEUED)
    position = models.PositiveBigIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    last_n = models.PositiveBigIntegerField(default=0)
    executor = models.CharField(max_length=10, default=executors.LINK)
    node = models.CharField(max_length=255, blank=True)
    leased_until = models.DateTimeField(null=True)
    tier = models.CharField(max_length=20, default="smart")
    model = models.CharField(max_length=200, default="", blank=True)
    effort = models.CharField(max_length=40, default="", blank=True)
    mode = models.CharField(max_length=20, default="default")
    approval_level = models.CharField(max_length=20, default="auto")
    resumptions = models.PositiveSmallIntegerField(default=0)
    eased_at = models.DateTimeField(null=True)
    eased_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    temperature = models.FloatField(null=True)
    folder_choices = models.JSONField(default=list)
    system_messages = models.JSONField(default=list)
    cancelled_at = models.DateTimeField(null=True)
    stop_due_at = models.DateTimeField(null=True)
    stop_delivered_at = models.DateTimeField(null=True)
    resting_since = models.DateTimeField(null=True)
    resting_code = models.CharField(max_length=60, blank=True, default="")
    retry_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    never_sent = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(default=timezone.now)
    progress_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_text = models.TextField(blank=True)
    usage = models.JSONField(default=dict)

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["state", "created_at"], name="runs_by_state"),
            # A page of a conversation, and a thread's last end; both cost the same at any length.
            # The second also finds a thread's unfinished runs, which have no end yet: SQLite makes
            # no use of a partial index whose condition is a list. So ask for ``finished_at=None``.
            models.Index(fields=["thread", "-position"], name="runs_in_order"),
            models.Index(fields=["thread", "-finished_at"], name="newest_ends"),
            # Both have few rows, and are read at every notification.
            models.Index(
                fields=["thread"],
                condition=Q(state__in=run_state.UNFINISHED),
                name="unfinished_runs",
            ),
            models.Index(
                fields=["thread"],
                condition=Q(stop_due_at__isnull=False, stop_delivered_at=None),
                name="stops_to_deliver",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["thread"],
                condition=Q(state__in=run_state.ACTIVE),
                name="one_active_run_per_thread",
            ),
            # Also refuses a state that is in neither list.
            models.CheckConstraint(
                condition=Q(state__in=run_state.UNFINISHED, finished_at__isnull=True)
                | Q(state__in=run_state.FINISHED, finished_at__isnull=False),
                name="a_run_ends_when_finished",
            ),
            models.CheckConstraint(condition=Q(executor__in=executors.ALL), name="known_executor"),
        ]

    def __str__(self) -> str:
        return f"run {self.id} ({self.state})"


class Attachment(models.Model):
    """A file that a person attached, with its bytes in the row: so it is backed up, moved and
    deleted with the other rows, and every process of a cluster has it (ADR 16).

    Message parts name it by its address. ``thread`` is empty until it is sent with a message;
    until then only its owner may read it, and it is removed after a day. ``media_type`` comes from
    the bytes. ``width`` and ``height`` in pixels are empty for a text, and for a picture that an
    older version stored without reading it; both are 0 if it turned out to be unreadable.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    thread = models.ForeignKey(Thread, models.CASCADE, null=True, related_name="attachments")
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=40)
    size = models.PositiveIntegerField()
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    data = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(
                fields=["owner", "created_at"], condition=Q(thread=None), name="unsent_files"
            )
        ]

    def __str__(self) -> str:
        return self.name


class AgentOptions(models.Model):
    """What an agent's program offers (``agents.core.offers``), as it said last: in one thread, and
    on one machine, for new threads there.

    A machine's row has no ``thread``. ``version`` is the program's when it said so; what another
    version offers is not known. ``trouble`` is the code with which its last run there ended, if
    that says that the program can't be used; a run that completes clears it.
    """

    thread = models.OneToOneField(Thread, models.CASCADE, null=True, related_name="agent_options")
    link = models.ForeignKey(Link, models.CASCADE, null=True, related_name="+")
    harness_id = models.CharField(max_length=60)
    version = models.CharField(max_length=300, blank=True)
    trouble = models.CharField(max_length=60, blank=True, default="")
    options = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["link", "harness_id"],
                condition=Q(thread=None),
                name="what_a_machines_agent_offers",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.harness_id}: {self.thread_id or self.link_id}"


class Event(models.Model):
    """One row of a thread's journal: an AI SDK UI message chunk with its number.

    ``seq`` counts the thread's events from 1 without a gap. ``n`` is the producer's number
    within (run, fence); empty for the server's own chunks. ``chunk`` is JSON text: it is written
    once and passed on to every reader as it is, so no database needs to parse it.

    The database has no foreign-key constraint on thread or run: checking both for every row costs
    more than the insert itself. Writing and deleting both hold the thread's lock instead
    (``threads.journal.rows.lock_deleted``). The constraints' own indexes serve look-ups by either.
    """

    id = models.BigAutoField(primary_key=True)
    thread = models.ForeignKey(
        Thread, models.CASCADE, related_name="events", db_constraint=False, db_index=False
    )
    seq = models.PositiveBigIntegerField()
    run = models.ForeignKey(
        Run,
        models.CASCADE,
        null=True,
        related_name="events",
        db_constraint=False,
        db_index=False,
    )
    fence = models.PositiveIntegerField(default=0)
    n = models.PositiveBigIntegerField(null=True)
    chunk = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["seq"]
        constraints = [
            models.UniqueConstraint(fields=["thread", "seq"], name="one_event_per_number"),
            models.UniqueConstraint(fields=["run", "fence", "n"], name="no_event_twice"),
        ]

    def __str__(self) -> str:
        return f"{self.thread_id}:{self.seq}"


class Steer(models.Model):
    """The handover of a waiting message to the active run, with the time of each step.

    ``run`` is the message's own run; it stays queued until the agent of ``into`` has the message,
    so if the handover fails, the message goes out in its turn. ``tried_at``: from then on the
    sandbox may have it; ``taken_at``: it does.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    run = models.OneToOneField(Run, models.CASCADE, related_name="steer")
    into = models.ForeignKey(Run, models.CASCADE, related_name="steers")
    asked_at = models.DateTimeField(default=timezone.now)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    tried_at = models.DateTimeField(null=True)
    taken_at = models.DateTimeField(null=True)
    applied_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["into"], condition=Q(taken_at=None, applied_at=None), name="open_steers"
            )
        ]

    def __str__(self) -> str:
        return f"steer {self.run_id} into {self.into_id}"


class BackgroundWork(models.Model):
    """What the agent of a thread does beside its runs, as its sandbox last told it (ADR 30).

    While the row exists, the sandbox is watched. ``tasks`` run now; those in ``stops`` are to be
    stopped. ``quiet_since``: since when nothing runs; the program may still begin a turn by
    itself, so the row stays for a moment. ``executor`` is that of the thread's last run; for
    ``server``, the process ``node`` watches until ``leased_until``.
    """

    thread = models.OneToOneField(
        Thread, models.CASCADE, primary_key=True, related_name="background"
    )
    executor = models.CharField(max_length=10, default=executors.LINK)
    tasks = models.JSONField(default=list)
    stops = models.JSONField(default=list)
    quiet_since = models.DateTimeField(null=True)
    node = models.CharField(max_length=255, blank=True)
    leased_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"background of thread {self.thread_id}: {len(self.tasks)} tasks"


class ApprovalRule(models.Model):
    """A person's permanent permission in one thread; ``core/rules.py`` says what it covers."""

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    thread = models.ForeignKey(Thread, models.CASCADE, related_name="rules")
    tool = models.CharField(max_length=200)
    scope = models.CharField(max_length=10)
    value = models.CharField(max_length=1_000, blank=True)
    folder = models.CharField(max_length=1_000, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["thread", "tool", "scope", "value", "folder"], name="a_rule_once"
            )
        ]

    def __str__(self) -> str:
        return in_words(self.rule)

    @property
    def rule(self) -> Rule:
        return Rule(self.tool, cast(Scope, self.scope), self.value, self.folder)


class Approval(models.Model):
    """A tool's question "may I?", and its answer, with the time of each step.

    It is asked on the laptop, shown to the person, answered, delivered to the laptop, and applied
    by the harness. ``level`` is the approval level in force when it was asked; at "auto", or by a
    ``rule``, it was answered immediately in the name of the person who set that. ``lost_at``: the
    sandbox that asked has died, and the agent asks again; an answer to this row is then used once
    for the same question: ``carried_at``. ``is_known``: tool and input say what would run, instead
    of only describing it. ``because``: what in the settings of the person's own program asks.
    ``withdrawn_at``: the agent took it back, so that no answer, given or not, reaches it.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    run = models.ForeignKey(Run, models.CASCADE, related_name="approvals")
    approval_id = models.CharField(max_length=100)
    tool_call_id = models.CharField(max_length=100)
    tool = models.CharField(max_length=200)
    input = models.JSONField()
    is_known = models.BooleanField(default=True, db_default=True)
    because = models.CharField(max_length=500, blank=True, default="", db_default="")
    level = models.CharField(max_length=20)
    decision = models.CharField(max_length=10, blank=True)
    reason = models.TextField(blank=True)
    # The person's answers to a tool that asks them something, by the question's text; secret ones
    # only as a marker. All of them, encrypted, until the agent has them: see ADR 29.
    answers = models.JSONField(default=dict, blank=True)
    sealed_answers = models.TextField(default="", blank=True)
    asked_at = models.DateTimeField(default=timezone.now)
    shown_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    rule = models.ForeignKey(ApprovalRule, models.SET_NULL, null=True, related_name="+")
    delivered_at = models.DateTimeField(null=True)
    applied_at = models.DateTimeField(null=True)
    lost_at = models.DateTimeField(null=True)
    carried_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["run"],
                condition=Q(answered_at__isnull=False, delivered_at=None),
                name="answers_to_deliver",
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["run", "approval_id"], name="an_approval_once"),
            models.CheckConstraint(
                condition=Q(decision="", answered_at__isnull=True)
                | Q(decision__in=["allow", "deny"], answered_at__isnull=False),
                name="answered_when_decided",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool}: {self.decision or 'open'}"

    @property
    def whole_answers(self) -> dict[str, Any]:
        """The answers for the agent, with what is secret as long as it is kept."""
        if not self.sealed_answers:
            return cast(dict[str, Any], self.answers)
        return cast(dict[str, Any], json.loads(keys.unseal(self.sealed_answers)))

    @property
    def offers(self) -> Rule | None:
        """The rule that would allow it permanently."""
        if self.because or not self.is_known:
            return None
        return rule_for(self.tool, self.input)
