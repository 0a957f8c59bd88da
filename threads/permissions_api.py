"""The JSON API of permissions: answers to agents' questions, rules, the approval level."""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents.harness.questions import parse_answers
from mesh.api import signed_in
from threads import selectors, services
from threads.requests import LEVELS, WHEN, Input, checked, thread_of

DECISIONS = ("allow", "deny")
MAX_ANSWERS = 100  # questions that one request answers


class AnswersField(serializers.JSONField):
    """A person's answers to a tool's questions: a text or texts by the question's text."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        try:
            return dict(parse_answers(data))
        except ValueError as exc:
            raise serializers.ValidationError(f"{exc}.") from exc


class Answered(serializers.Serializer[Any]):
    approvalId = serializers.CharField(source="approval_id")
    decision = serializers.ChoiceField(DECISIONS)
    reason = serializers.CharField()


class ApprovalApi(APIView):
    """``…/threads/<id>/approvals/<approval>``: answer a tool's question."""

    class Answer(Input):
        decision = serializers.ChoiceField(DECISIONS)
        reason = serializers.CharField(max_length=2_000, default="", allow_blank=True)
        answers = AnswersField(required=False)
        remember = serializers.BooleanField(
            default=False,
            help_text="With allow: allow it permanently in this thread, by the offered rule.",
        )

    @extend_schema(
        request=Answer,
        responses={
            200: Answered,
            409: OpenApiResponse(
                description="`approval_answered`, `question_withdrawn`, `run_over`, `no_rule` or"
                " `too_many_rules`"
            ),
        },
        operation_id="approvals_answer",
    )
    def post(self, request: Request, org: str, thread_id: UUID, approval_id: str) -> Response:
        """Allow or deny it. The first answer counts; the same one may be sent again."""
        thread = thread_of(request, org, thread_id)
        answer = services.Answer(**checked(self.Answer, request))
        approval = services.answer_approval(
            thread=thread, approval_id=approval_id, answer=answer, by=signed_in(request)
        )
        return Response(Answered(approval).data)


class CarryOutApi(APIView):
    """``…/approvals/<approval>/carry-out``: have a new thread carry out the waiting plan."""

    class Begun(serializers.Serializer[Any]):
        taskId = serializers.UUIDField(help_text="The new thread's id.")
        runId = serializers.UUIDField()

    @extend_schema(
        request=None,
        responses={
            202: Begun,
            409: OpenApiResponse(
                description="`approval_answered`, `question_withdrawn`, `run_over`, or as for a"
                " message"
            ),
        },
        operation_id="approvals_carry_out",
    )
    def post(self, request: Request, org: str, thread_id: UUID, approval_id: str) -> Response:
        """Start a thread with the plan, in the same folder, which asks for no permissions. The run
        that planned ends. Safe to repeat."""
        thread = thread_of(request, org, thread_id)
        run = services.carry_out_plan(thread=thread, approval_id=approval_id, by=signed_in(request))
        return Response({"taskId": str(run.thread_id), "runId": str(run.pk)}, status=202)


class ApprovalsApi(APIView):
    """``…/threads/<id>/approvals``: answer several permissions alike."""

    class Answers(Input):
        approvalIds = serializers.ListField(
            child=serializers.CharField(max_length=100), allow_empty=False, max_length=MAX_ANSWERS
        )
        decision = serializers.ChoiceField(DECISIONS)
        reason = serializers.CharField(max_length=2_000, default="", allow_blank=True)

    class AllAnswered(serializers.Serializer[Any]):
        answered = Answered(many=True)

    @extend_schema(
        request=Answers,
        responses={
            200: AllAnswered,
            409: OpenApiResponse(
                description="`approval_answered`, `question_withdrawn` or `run_over`: none is"
                " answered"
            ),
        },
        operation_id="approvals_answer_all",
    )
    def post(self, request: Request, org: str, thread_id: UUID) -> Response:
        """Allow or deny the named ones, all or none. Safe to repeat."""
        thread = thread_of(request, org, thread_id)
        given = checked(self.Answers, request)
        answer = services.Answer(decision=given["decision"], reason=given["reason"])
        found = services.answer_approvals(
            thread=thread, approval_ids=given["approvalIds"], answer=answer, by=signed_in(request)
        )
        return Response({"answered": Answered(found, many=True).data})


class RuleShown(serializers.Serializer[Any]):
    """Something that is permanently allowed in a thread."""

    id = serializers.UUIDField()
    words = serializers.CharField(source="*")
    tool = serializers.CharField()
    scope = serializers.ChoiceField(["command", "file", "host", "tool", "input"])
    value = serializers.CharField()
    folder = serializers.CharField()
    createdAt = serializers.DateTimeField(source="created_at")


class RulesApi(APIView):
    """``…/threads/<id>/rules``: the rules of a thread."""

    class Rules(serializers.Serializer[Any]):
        rules = RuleShown(many=True)

    @extend_schema(responses=Rules, operation_id="rules_list")
    def get(self, request: Request, org: str, thread_id: UUID) -> Response:
        """The rules by which agents need not ask in this thread, the oldest first."""
        rules = selectors.list_rules(thread=thread_of(request, org, thread_id))
        return Response({"rules": RuleShown(rules, many=True).data})


class RuleApi(APIView):
    """``…/threads/<id>/rules/<rule>``: one of them."""

    @extend_schema(responses={204: None}, operation_id="rules_remove")
    def delete(self, request: Request, org: str, thread_id: UUID, rule_id: UUID) -> Response:
        """Remove the rule: agents ask again from now on. Safe to repeat."""
        services.remove_rule(thread=thread_of(request, org, thread_id), rule_id=rule_id)
        return Response(status=204)


class LevelApi(APIView):
    """``…/threads/<id>/level``: the approval level of the thread and of its active run."""

    class Level(Input):
        level = serializers.ChoiceField(LEVELS)

    class Switched(serializers.Serializer[Any]):
        applies = serializers.ChoiceField(WHEN, help_text="next: the next message.")
        allowed = serializers.ListField(
            child=serializers.CharField(), help_text="The questions that this has answered."
        )

    @extend_schema(request=Level, responses=Switched, operation_id="level_set")
    def put(self, request: Request, org: str, thread_id: UUID) -> Response:
        """Switch the level; `auto` allows every open permission. Safe to repeat."""
        thread = thread_of(request, org, thread_id)
        level = checked(self.Level, request)["level"]
        switched = services.set_level(thread=thread, level=level, by=signed_in(request))
        applies = "now" if switched.is_now else "next"
        return Response({"applies": applies, "allowed": switched.allowed})
