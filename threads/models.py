"""Threads, their messages and runs, the journal, and approvals.

The tables enforce what the rest relies on; the constraints' names say what that is.
"""

from __future__ import annotations

from typing import Final, cast
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from agents.models import Agent
from links.models import Link
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
    answer is stored; ``session_ref`` is the harness's own name of the conversation, for the
    next turn's resume. What ended after ``seen_at``, its owner has not seen. A deleted thread
    is hidden at once and can be restored for a while; then its rows are removed in steps
    (``core/deletion.py``), the first of which sets ``purge_began_at``.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="threads")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="threads")
    # Not PROTECT: an organization that is deleted takes its agents along with their threads.
    agent = models.ForeignKey(Agent, models.RESTRICT, related_name="threads")
    title = models.CharField(max_length=200, blank=True)
    sandbox_provider_kind = models.CharField(max_length=20, blank=True)
    harness_id = models.CharField(max_length=60, blank=True)
    link = models.ForeignKey(Link, models.SET_NULL, null=True, related_name="threads")
    branch = models.CharField(max_length=200, blank=True)
    session_ref = models.CharField(max_length=200, blank=True)
    last_seq = models.PositiveBigIntegerField(default=0)
    pruned_seq = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True)
    purge_began_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # A page of a person's list, and whatever else begins with their newest threads.
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
    """What a person said, or an agent's whole answer, as the AI SDK's UI message parts.

    ``client_id`` is the browser's key for a message it sends: sending again changes nothing.
    An answer exists once its run is finished; until then it is the fold of the run's events.
    ``seq`` is the number of the event that brought the message into the journal.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    thread = models.ForeignKey(Thread, models.CASCADE, related_name="messages")
    role = models.CharField(max_length=10)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    client_id = models.CharField(max_length=100)
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
    """One answer of an agent to a message, whichever number of attempts it takes.

    ``fence`` counts the attempts: who comes with an older one is refused. ``last_n`` is the
    number of the newest event of this attempt that is in the journal, and so the cursor with
    which its reader comes back. ``executor`` (``core/executors.py``) never changes. ``node`` is the
    process that executes it; for the ``server`` executor until ``leased_until``.
    ``cancelled_at``: a person has stopped it, which decides what its end is called.
    ``stop_due_at``: its machine must be told to stop, whatever the reason, until
    ``stop_delivered_at`` is set. ``expires_at``: until when it waits for its machine.
    ``resting_since``: since when it can't be reached, be it to follow it or to stop it; it is tried
    again at ``retry_at``, and ``resting_code`` says why, once that is worth a word.
    ``position`` orders the runs of a thread: at first it is the prompt's ``seq``, and queued runs
    may exchange theirs, so that every run still stands behind those that went before it.
    ``eased_at`` is set while a person has switched a run that asks to "auto": what it asks from
    then on is allowed in their name. ``resumptions`` counts how often its sandbox died while it
    waited for an answer, and the agent was asked to go on: each time it asks anew.
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
    mode = models.CharField(max_length=20, default="default")
    approval_level = models.CharField(max_length=20, default="auto")
    resumptions = models.PositiveSmallIntegerField(default=0)
    eased_at = models.DateTimeField(null=True)
    eased_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    temperature = models.FloatField(null=True)
    system_messages = models.JSONField(default=list)
    cancelled_at = models.DateTimeField(null=True)
    stop_due_at = models.DateTimeField(null=True)
    stop_delivered_at = models.DateTimeField(null=True)
    resting_since = models.DateTimeField(null=True)
    resting_code = models.CharField(max_length=60, blank=True, default="")
    retry_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
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
            # A page of a conversation; what a thread did last. Both cost the same at any length.
            models.Index(fields=["thread", "-position"], name="runs_in_order"),
            models.Index(fields=["thread", "-finished_at"], name="newest_ends"),
            # Both are few, and are asked for at every ring of the bell.
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
            # Also keeps out any state that neither list names.
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
    """A file that a person attached, whole: rows are the post, so it is backed up, moved and
    deleted with them, and every process of a cluster has it (ADR 16).

    Message parts name it by its address. ``thread`` is empty until it is sent with a message;
    until then it is its owner's alone, and what is never sent is removed after a day.
    ``media_type`` was read from the bytes.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    thread = models.ForeignKey(Thread, models.CASCADE, null=True, related_name="attachments")
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=40)
    size = models.PositiveIntegerField()
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


class Event(models.Model):
    """One line of a thread's journal: an AI SDK UI message chunk under its number.

    ``seq`` counts the thread's events from 1 without a gap. ``n`` is the producer's number
    within (run, fence); empty for what the server itself wrote. ``chunk`` is JSON text: it is
    written once and handed on to every reader as it is, so no database needs to understand it.

    The database checks neither thread nor run: it would look both up for every row, which costs
    more than all else about it. Who writes holds the thread's lock, and so does who deletes it
    (``threads.journal.rows.lock_deleted``). Both are found by the constraints' own indexes.
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
    """A waiting message handed over to the run that goes on, and each station of it, stamped.

    ``run`` is the waiting run whose message it is; it stays queued until the agent of ``into``
    has the message, so whatever goes wrong before, the message goes out in its turn.
    ``tried_at``: the sandbox may know it from then on; ``taken_at``: it does.
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


class ApprovalRule(models.Model):
    """What a person allowed for good in one thread; ``core/rules.py`` says what it answers."""

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
    """A tool's question "may I?", and each station of its answer, stamped.

    Asked on the laptop, shown to the person, answered, delivered to the laptop, applied by
    the harness. ``level`` is the approval level in force when it was asked; at "auto", or by a
    ``rule``, it was answered at once in the name of who set that. ``lost_at``: the sandbox
    that asked has died, and the agent asks anew; an answer given before, or to this row, goes
    to the same question then, once: ``carried_at``.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True, default=new_id)
    run = models.ForeignKey(Run, models.CASCADE, related_name="approvals")
    approval_id = models.CharField(max_length=100)
    tool_call_id = models.CharField(max_length=100)
    tool = models.CharField(max_length=200)
    input = models.JSONField()
    level = models.CharField(max_length=20)
    decision = models.CharField(max_length=10, blank=True)
    reason = models.TextField(blank=True)
    # What the person said to a tool that asks them something, by the question's text.
    answers = models.JSONField(default=dict, blank=True)
    asked_at = models.DateTimeField(default=timezone.now)
    shown_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    rule = models.ForeignKey(ApprovalRule, models.SET_NULL, null=True, related_name="+")
    delivered_at = models.DateTimeField(null=True)
    applied_at = models.DateTimeField(null=True)
    lost_at = models.DateTimeField(null=True)
    carried_at = models.DateTimeField(null=True)

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
    def offers(self) -> Rule | None:
        """The rule with which it may be allowed for good."""
        return rule_for(self.tool, self.input)
