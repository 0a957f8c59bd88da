"""The rules of a thread, which allow something permanently: made by an answer, and removed."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from mesh.models import User
from threads.errors import NoRule, TooManyRules
from threads.journal import rows
from threads.journal.chunks import rules_chunk
from threads.journal.rows import Draft
from threads.models import Approval, ApprovalRule, Thread
from threads.services.announcements import announce

RULES_LIMIT = 100  # of one thread: more than a person can keep track of


def make_rule(*, approval: Approval, by: User) -> tuple[ApprovalRule, list[Draft]]:
    """Return the rule that permanently allows a question, and the drafts for readers if it is new.

    In the caller's transaction, with the thread locked.

    Raises:
        NoRule: no rule can allow such a question.
        TooManyRules: the thread has as many as it may.
    """
    rule = approval.offers
    if rule is None:
        raise NoRule
    thread_id = approval.run.thread_id
    rules = ApprovalRule.objects.filter(thread=thread_id)
    known = {each.rule: each for each in rules}
    if found := known.get(rule):
        return found, []
    if len(known) >= RULES_LIMIT:
        raise TooManyRules
    made = ApprovalRule.objects.create(
        thread_id=thread_id,
        tool=rule.tool,
        scope=rule.scope,
        value=rule.value,
        folder=rule.folder,
        created_by=by,
    )
    return made, [Draft(rules_chunk([*known.values(), made]))]


def remove_rule(*, thread: Thread, rule_id: UUID) -> None:
    """Remove a rule: from now on the agent asks again. Safe to repeat."""
    with transaction.atomic():
        rows.lock(thread.pk)
        rules = ApprovalRule.objects.filter(thread=thread)
        removed, _ = rules.filter(pk=rule_id).delete()
        if removed:
            written = rows.append(thread.pk, [Draft(rules_chunk(rules))])
            announce(thread_id=thread.pk, owner_id=thread.owner_id, rows=written)
