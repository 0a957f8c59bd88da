"""The JSON API of threads; streams are in ``stream.py``."""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from typing import Any, Final, get_args
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents.core.branches import is_branch
from agents.core.tiers import KEYS as TIER_KEYS
from agents.harness.questions import FOLDER_CHOICES
from agents.selectors import get_agent
from agents.services import DEFAULT_SLUG, make_default_agent
from mesh.api import signed_in
from mesh.selectors import get_membership
from threads import selectors, services
from threads.core import ai_sdk
from threads.errors import BadBranch, ModeUnavailable, TierUnavailable
from threads.reading.message_pages import MOST_TURNS, TURNS, cursor_at, get_part
from threads.reading.page_cursors import MessageCursor, ThreadCursor
from threads.reading.thread_pages import MOST_THREADS, THREADS, list_threads
from threads.requests import LEVELS, WHEN, Input, Paged, PageQuery, PartsField, checked_query
from threads.requests import checked as _checked
from threads.requests import thread_of as _thread
from threads.services import NewMessage
from threads.targets import Wish

MODES: Final = ("default", "plan")
FUTURE_MODES: Final = ("web-search", "gen-image")  # the reference has them; refused by name


class MachineShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.ChoiceField(["unknown", "online", "offline"])
    cause = serializers.CharField(allow_blank=True)


class RestShown(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class BackgroundTaskShown(serializers.Serializer[Any]):
    id = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.ChoiceField(["command", "agent"])
    startedAt = serializers.FloatField(help_text="By its machine's clock, in seconds since 1970.")
    isStopping = serializers.BooleanField(help_text="A stop is on its way.")


class AgentOfThread(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    slug = serializers.CharField()
    title = serializers.CharField()


class ThreadShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    title = serializers.CharField()
    status = serializers.CharField()
    resting = RestShown(allow_null=True, help_text="Why its run can't be reached at present.")
    stopDue = serializers.BooleanField(
        help_text="Whether a run has ended that its machine has not been told to stop yet."
    )
    unread = serializers.BooleanField(
        help_text="Whether it has an answer that its owner has not seen."
    )
    background = BackgroundTaskShown(
        many=True, help_text="What its agent runs in the background, beside its answers."
    )
    harnessId = serializers.CharField(allow_null=True)
    machine = MachineShown(allow_null=True)
    branch = serializers.CharField(allow_null=True)
    level = serializers.ChoiceField(
        LEVELS, allow_null=True, help_text="Its approval level; null before the first message."
    )
    model = serializers.CharField(allow_null=True, help_text="As it was chosen; null: the tier's.")
    effort = serializers.CharField(
        allow_null=True, help_text="As it was chosen; null: the program's own."
    )
    runsOnMachine = serializers.BooleanField(help_text="Whether its agent is a program there.")
    locked = serializers.BooleanField()
    steer = serializers.ChoiceField(
        WHEN,
        help_text="Whether its agent takes a message while it works.",
    )
    hearsReasons = serializers.BooleanField(help_text="Whether it is told why it was denied.")
    agent = AgentOfThread()
    createdAt = serializers.DateTimeField()
    updatedAt = serializers.DateTimeField()


class ThreadsApi(APIView):
    """``…/threads``: the caller's threads, and new ones."""

    class ThreadList(Paged):
        threads = ThreadShown(many=True)

    class ListQuery(PageQuery):
        limit = serializers.IntegerField(default=THREADS, min_value=1, max_value=MOST_THREADS)
        search = serializers.CharField(
            default="",
            allow_blank=True,
            max_length=200,
            help_text="Only threads whose titles have all these words.",
        )

    class NewThread(Input):
        agentId = serializers.CharField(max_length=60, default=DEFAULT_SLUG)
        title = serializers.CharField(max_length=200, default="", allow_blank=True)

    @extend_schema(
        parameters=[ListQuery],
        responses={200: ThreadList, 400: OpenApiResponse(description="`bad_page_cursor`")},
        operation_id="threads_list",
    )
    def get(self, request: Request, org: str) -> Response:
        """The caller's threads in pages, the last changed first."""
        user = signed_in(request)
        organization = get_membership(viewer=user, slug=org).organization
        given = checked_query(self.ListQuery, request)
        page = list_threads(
            viewer=user,
            organization=organization,
            behind=ThreadCursor.parse(given["page"]) if given["page"] else None,
            search=given["search"],
            limit=given["limit"],
        )
        shown = [selectors.thread_summary(thread) for thread in page.threads]
        return Response({"threads": shown, "older": page.older, "newer": page.newer})

    @extend_schema(request=NewThread, responses={201: ThreadShown}, operation_id="threads_create")
    def post(self, request: Request, org: str) -> Response:
        """Create a thread. Nothing runs before its first message."""
        user = signed_in(request)
        organization = get_membership(viewer=user, slug=org).organization
        given = _checked(self.NewThread, request)
        if given["agentId"] == DEFAULT_SLUG:
            agent = make_default_agent(organization=organization)
        else:
            agent = get_agent(organization=organization, name=given["agentId"])
        thread = services.create_thread(
            owner=user, organization=organization, agent=agent, title=given["title"]
        )
        return Response(_shown(request, org, thread.pk), status=201)


class ThreadApi(APIView):
    """``…/threads/<id>``: one thread."""

    open_to_viewers = True

    class ThreadChange(Input):
        title = serializers.CharField(max_length=200)

    @extend_schema(responses=ThreadShown, operation_id="threads_get")
    def get(self, request: Request, org: str, thread_id: UUID) -> Response:
        """The thread, as in lists."""
        return Response(_shown(request, org, thread_id))

    @extend_schema(request=ThreadChange, responses=ThreadShown, operation_id="threads_rename")
    def patch(self, request: Request, org: str, thread_id: UUID) -> Response:
        """Change the thread's title."""
        thread = _thread(request, org, thread_id)
        given = _checked(self.ThreadChange, request)
        services.rename_thread(thread=thread, title=given["title"])
        return Response(selectors.thread_summary(thread))

    @extend_schema(responses={204: None}, operation_id="threads_delete")
    def delete(self, request: Request, org: str, thread_id: UUID) -> Response:
        """Stop all runs of the thread, and hide it. It can be restored for some days
        (``…/restore``), and is then removed permanently."""
        services.delete_thread(thread=_thread(request, org, thread_id))
        return Response(status=204)


class SeenApi(APIView):
    """``…/threads/<id>/seen``: the owner has seen the answers so far."""

    open_to_viewers = True

    @extend_schema(request=None, responses={204: None}, operation_id="threads_see")
    def put(self, request: Request, org: str, thread_id: UUID) -> Response:
        """Mark all answers so far as read, on all devices. Safe to repeat."""
        services.mark_seen(thread=_thread(request, org, thread_id))
        return Response(status=204)


class SaidMessage(Input):
    """One message of the body; other keys are stored with it."""

    role = serializers.ChoiceField(["user", "assistant", "system"])
    parts = PartsField()
    id = serializers.CharField(max_length=100, required=False, allow_blank=True)
    metadata = serializers.DictField(
        required=False,
        allow_null=True,
        help_text="Stored with the message. With `withoutEarlier: true` the agent is sent none of"
        " the earlier messages, from then on.",
    )


class AgentNamed(Input):
    id = serializers.CharField(max_length=60)


class Memory(Input):
    windowSize = serializers.IntegerField(required=False)
    thread_id = serializers.CharField(required=False, allow_null=True)


class MessagesApi(APIView):
    """``…/threads/<id>/messages``: reading and posting messages."""

    class NewMessageInput(Input):
        messages = SaidMessage(many=True, allow_empty=False)
        agent = AgentNamed(required=False)
        tier = serializers.CharField(max_length=40, default="smart")
        model = serializers.CharField(
            max_length=200,
            required=False,
            allow_null=True,
            allow_blank=True,
            help_text="An id of `agent-options`. Left out: the thread's; empty: the tier decides.",
        )
        effort = serializers.CharField(
            max_length=40,
            required=False,
            allow_null=True,
            allow_blank=True,
            help_text="An id of `agent-options`. Left out: the thread's; empty: the program's.",
        )
        thread_id = serializers.CharField(required=False, allow_null=True)
        memory = Memory(required=False, allow_null=True)
        temperature = serializers.FloatField(
            required=False,
            allow_null=True,
            min_value=0,
            max_value=2,
            help_text="For Decopilot only; without it, the provider's default applies.",
        )
        toolApprovalLevel = serializers.ChoiceField(
            LEVELS,
            default="",
            help_text="Left out: the thread's level, and `auto` in a new thread. It becomes the"
            " thread's level.",
        )
        mode = serializers.ChoiceField([*MODES, *FUTURE_MODES], default="default")
        branch = serializers.CharField(max_length=200, required=False, allow_null=True)
        sandboxProviderKind = serializers.CharField(max_length=20, required=False, allow_null=True)
        harnessId = serializers.CharField(max_length=60, required=False, allow_null=True)
        linkId = serializers.UUIDField(required=False, allow_null=True)
        folderChoices = serializers.ListField(
            child=serializers.ChoiceField(FOLDER_CHOICES),
            required=False,
            max_length=len(FOLDER_CHOICES),
            help_text="Answers in advance to what a person is asked before an agent works in their"
            " folder, at any approval level. Without the one that fits, the run waits for a person."
            " `start_repository` (git init and one commit of what is there) or `work_here` in a"
            " folder without history; `work_there` or `new_branch` when the branch is checked out"
            " elsewhere.",
        )
        whenOffline = serializers.ChoiceField(["refuse", "queue"], default="refuse")

        def validate_messages(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
            prompts = [message for message in messages if message["role"] != "system"]
            if len(prompts) != 1:
                raise serializers.ValidationError("Expected exactly one non-system message")
            if prompts[0]["role"] != "user":
                raise serializers.ValidationError("The message must be the user's.")
            if not prompts[0]["parts"]:
                raise serializers.ValidationError("The message is empty.")
            return messages

    class Accepted(serializers.Serializer[Any]):
        taskId = serializers.UUIDField(help_text="The thread's id.")
        runId = serializers.UUIDField()
        messageId = serializers.CharField()
        answeredBy = serializers.UUIDField(
            allow_null=True,
            help_text="The run whose agent got the message in the middle of its work, and whose"
            " answer contains it; null unless it was handed over.",
        )

    class MessagesQuery(PageQuery):
        limit = serializers.IntegerField(
            default=TURNS,
            min_value=1,
            max_value=MOST_TURNS,
            help_text="How many messages of people, each with its answer; fewer if they are large.",
        )
        at = serializers.CharField(
            default="",
            allow_blank=True,
            max_length=100,
            help_text="A message's id: the page that starts with its turn.",
        )
        short = serializers.BooleanField(
            default=False,
            help_text="Cut long outputs of tools; `outputCut` then has the address of the whole.",
        )
        sdk = serializers.ChoiceField(
            ai_sdk.VERSIONS,
            default=ai_sdk.VERSIONS[0],
            help_text="The version of the AI SDK whose message parts are wanted.",
        )

    class Page(Paged):
        messages = serializers.ListField(child=serializers.DictField())
        cursor = serializers.IntegerField(help_text="Follow the stream from here on.")
        queue = serializers.ListField(
            child=serializers.DictField(), help_text="The waiting messages, the next one first."
        )

    @extend_schema(
        parameters=[MessagesQuery],
        responses={200: Page, 400: OpenApiResponse(description="`bad_page_cursor`")},
        operation_id="messages_list",
    )
    def get(self, request: Request, org: str, thread_id: UUID) -> Response:
        """The newest messages, including an unfinished answer; older ones in pages."""
        thread = _thread(request, org, thread_id)
        given = checked_query(self.MessagesQuery, request)
        behind = MessageCursor.parse(given["page"]) if given["page"] else None
        if behind is None and given["at"]:
            behind = cursor_at(thread, given["at"])
        page = selectors.page_of(
            thread, behind=behind, limit=given["limit"], is_short=given["short"], sdk=given["sdk"]
        )
        return Response(page)

    @extend_schema(
        request=NewMessageInput,
        responses={
            202: Accepted,
            400: OpenApiResponse(
                description="`tier_unavailable`: no such tier, or Decopilot has no model at it;"
                " `mode_unavailable`; `temperature_unsupported`: the agent's program takes none;"
                " `model_not_offered`, `effort_not_offered`: the agent's program does not have it"
            ),
            409: OpenApiResponse(
                description="`link_offline`, `capability_missing`, or `level_unavailable`: the"
                " agent's program has no way to plan"
            ),
        },
        operation_id="messages_create",
    )
    def post(self, request: Request, org: str, thread_id: UUID) -> Response:
        """Post a message; the answer comes on the stream. Safe to repeat with the same id."""
        user = signed_in(request)
        thread = _thread(request, org, thread_id)
        given = _checked(self.NewMessageInput, request)
        _same_thread(given, thread_id)
        if given["tier"] not in TIER_KEYS:
            raise TierUnavailable
        if given["mode"] not in MODES:
            raise ModeUnavailable(f"Mesh has no mode {given['mode']} yet.")
        if given.get("branch") and not is_branch(given["branch"]):
            raise BadBranch
        message = _new_message(given)
        run = services.post_message(author=user, thread=thread, message=message)
        return Response(
            {
                "taskId": str(thread.pk),
                "runId": str(run.pk),
                "messageId": run.prompt.client_id,
                "answeredBy": selectors.find_answering_run(run),
            },
            status=202,
        )


class PartApi(APIView):
    """``…/messages/<id>/part``: a part that a page of messages had cut, uncut."""

    class PartQuery(Input):
        toolCallId = serializers.CharField(max_length=1_000)

    class PartShown(serializers.Serializer[Any]):
        part = serializers.DictField()

    @extend_schema(parameters=[PartQuery], responses=PartShown, operation_id="messages_part")
    def get(self, request: Request, org: str, thread_id: UUID, message_id: UUID) -> Response:
        """One call of a tool in a stored answer, with all of its output."""
        thread = _thread(request, org, thread_id)
        call_id = checked_query(self.PartQuery, request)["toolCallId"]
        return Response({"part": get_part(thread, message_id=message_id, call_id=call_id)})


class CancelApi(APIView):
    """``…/cancel/<thread>``: stop the runs of a thread."""

    open_to_viewers = True

    class StoppedRun(serializers.Serializer[Any]):
        runId = serializers.UUIDField(source="run_id")
        messageId = serializers.CharField(source="message_id")
        became = serializers.ChoiceField(
            get_args(services.Became),
            help_text="`stopping`: the agent is told, and the run ends within a second; `stopped`;"
            " `never_sent`: its message waited; `handed_over`: it waited, but the agent may have"
            " read it in the middle of its work.",
        )

    class Cancelled(serializers.Serializer[Any]):
        cancelled = serializers.BooleanField()
        background = BackgroundTaskShown(
            many=True,
            required=False,
            help_text="What is stopped of the agent's background work, if anything.",
        )
        # "async" is a keyword, so the field is added here.

        def get_fields(self) -> dict[str, Any]:
            return {
                **super().get_fields(),
                "async": serializers.BooleanField(required=False),
                "runs": CancelApi.StoppedRun(many=True),
            }

    @extend_schema(
        request=None, responses={200: Cancelled, 202: Cancelled}, operation_id="threads_cancel"
    )
    def post(self, request: Request, org: str, thread_id: UUID) -> Response:
        """Stop the thread's active run and all queued ones; without any, what its agent runs in
        the background. Safe to repeat.

        `runs` says what became of each, in the order in which they would have been sent.
        """
        stopped = services.cancel(thread=_thread(request, org, thread_id))
        tasks = [{**task, "isStopping": True} for task in stopped.background]
        answer = {
            "cancelled": True,
            "runs": self.StoppedRun(stopped.runs, many=True).data,
            **({"background": tasks} if tasks else {}),
        }
        if stopped.is_over:
            return Response(answer)
        return Response({**answer, "async": True}, status=202)


class BackgroundTaskApi(APIView):
    """``…/threads/<id>/background/<task>``: one thing that an agent runs in the background."""

    open_to_viewers = True

    @extend_schema(
        responses={
            202: BackgroundTaskShown,
            404: OpenApiResponse(description="`unknown_task`: nothing of that name runs"),
        },
        operation_id="background_stop",
    )
    def delete(self, request: Request, org: str, thread_id: UUID, task_id: str) -> Response:
        """Stop it: now, or when its machine is back. Safe to repeat."""
        thread = _thread(request, org, thread_id)
        task = services.stop_task(thread=thread, task_id=task_id)
        return Response({**task, "isStopping": True}, status=202)


def _shown(request: Request, org: str, thread_id: UUID) -> dict[str, Any]:
    return selectors.thread_summary(_thread(request, org, thread_id))


def _same_thread(given: dict[str, Any], thread_id: UUID) -> None:
    ids = [given.get("thread_id"), (given.get("memory") or {}).get("thread_id")]
    if any(each and each != str(thread_id) for each in ids):
        raise serializers.ValidationError(
            {"thread_id": ["threadId in URL does not match thread_id in body"]}
        )


def _new_message(given: dict[str, Any]) -> NewMessage:
    prompt = next(message for message in given["messages"] if message["role"] != "system")
    system = [message for message in given["messages"] if message["role"] == "system"]
    return NewMessage(
        client_id=prompt.get("id", ""),
        parts=prompt["parts"],
        metadata=prompt.get("metadata") or {},
        system_messages=system,
        agent=given.get("agent", {}).get("id", ""),
        tier=given["tier"],
        model=given.get("model"),
        effort=given.get("effort"),
        mode=given["mode"],
        approval_level=given["toolApprovalLevel"],
        temperature=given.get("temperature"),
        folder_choices=given.get("folderChoices", []),
        wish=Wish(
            kind=given.get("sandboxProviderKind") or "",
            harness_id=given.get("harnessId") or "",
            link_id=given.get("linkId"),
            branch=given.get("branch") or "",
            queue_when_offline=given["whenOffline"] == "queue",
        ),
    )
