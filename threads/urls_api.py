"""Addresses below ``/api/<org>/decopilot/``."""

from django.urls import URLPattern, URLResolver, path

from threads import (
    api,
    browse_api,
    deletion_api,
    files_api,
    folder_api,
    mcp_gateway,
    options_api,
    permissions_api,
    preview_api,
    queue_api,
)
from threads.reading import stream

urlpatterns: list[URLPattern | URLResolver] = [
    path("threads", api.ThreadsApi.as_view(), name="threads"),
    path("threads/deleted", deletion_api.DeletedThreadsApi.as_view(), name="deleted-threads"),
    path(
        "threads/<uuid:thread_id>/restore",
        deletion_api.RestoreApi.as_view(),
        name="restore-thread",
    ),
    path("threads/<uuid:thread_id>", api.ThreadApi.as_view(), name="thread"),
    path("threads/<uuid:thread_id>/seen", api.SeenApi.as_view(), name="seen"),
    path("threads/<uuid:thread_id>/messages", api.MessagesApi.as_view(), name="messages"),
    path(
        "threads/<uuid:thread_id>/messages/<uuid:message_id>/part",
        api.PartApi.as_view(),
        name="part",
    ),
    path("threads/<uuid:thread_id>/stream", stream.follow_thread, name="stream"),
    path(
        "threads/<uuid:thread_id>/background/<str:task_id>",
        api.BackgroundTaskApi.as_view(),
        name="background-task",
    ),
    path("agent-options", options_api.MachineOptionsApi.as_view(), name="machine-options"),
    path(
        "threads/<uuid:thread_id>/agent-options",
        options_api.ThreadOptionsApi.as_view(),
        name="thread-options",
    ),
    path("threads/<uuid:thread_id>/queue", queue_api.QueueApi.as_view(), name="queue"),
    path(
        "threads/<uuid:thread_id>/queue/<uuid:run_id>",
        queue_api.QueuedApi.as_view(),
        name="queued",
    ),
    path(
        "threads/<uuid:thread_id>/queue/<uuid:run_id>/steer",
        queue_api.SteerApi.as_view(),
        name="steer",
    ),
    path(
        "threads/<uuid:thread_id>/queue/<uuid:run_id>/send",
        queue_api.SendAgainApi.as_view(),
        name="send_again",
    ),
    path(
        "threads/<uuid:thread_id>/approvals",
        permissions_api.ApprovalsApi.as_view(),
        name="approvals",
    ),
    path(
        "threads/<uuid:thread_id>/approvals/<str:approval_id>",
        permissions_api.ApprovalApi.as_view(),
        name="approval",
    ),
    path(
        "threads/<uuid:thread_id>/approvals/<str:approval_id>/carry-out",
        permissions_api.CarryOutApi.as_view(),
        name="carry-out",
    ),
    path("threads/<uuid:thread_id>/rules", permissions_api.RulesApi.as_view(), name="rules"),
    path(
        "threads/<uuid:thread_id>/rules/<uuid:rule_id>",
        permissions_api.RuleApi.as_view(),
        name="rule",
    ),
    path("threads/<uuid:thread_id>/mcp/<str:name>", mcp_gateway.ask, name="mcp"),
    path("threads/<uuid:thread_id>/level", permissions_api.LevelApi.as_view(), name="level"),
    path("threads/<uuid:thread_id>/sandbox/preview", preview_api.PreviewApi.as_view()),
    path("threads/<uuid:thread_id>/sandbox/port", preview_api.PortApi.as_view()),
    path("threads/<uuid:thread_id>/sandbox/settings", preview_api.SettingsApi.as_view()),
    path("threads/<uuid:thread_id>/sandbox/setup/<str:step>", preview_api.StepApi.as_view()),
    path("threads/<uuid:thread_id>/sandbox/take-along", folder_api.TakeAlongApi.as_view()),
    path("threads/<uuid:thread_id>/sandbox/events", preview_api.follow_sandbox),
    *(
        path(f"threads/<uuid:thread_id>/sandbox/files{route}", view)
        for route, view in browse_api.ROUTES
    ),
    path("files", files_api.FilesApi.as_view(), name="files"),
    path("files/<uuid:file_id>", files_api.FileApi.as_view(), name="file"),
    path("cancel/<uuid:thread_id>", api.CancelApi.as_view(), name="cancel"),
]
