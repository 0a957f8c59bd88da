"""Addresses below ``/api/<org>/decopilot/``."""

from django.urls import URLPattern, URLResolver, path

from threads import api, queue_api, stream

urlpatterns: list[URLPattern | URLResolver] = [
    path("threads", api.ThreadsApi.as_view(), name="threads"),
    path("threads/<uuid:thread_id>", api.ThreadApi.as_view(), name="thread"),
    path("threads/<uuid:thread_id>/messages", api.MessagesApi.as_view(), name="messages"),
    path("threads/<uuid:thread_id>/stream", stream.follow_thread, name="stream"),
    path("threads/<uuid:thread_id>/queue", queue_api.QueueApi.as_view(), name="queue"),
    path(
        "threads/<uuid:thread_id>/queue/<uuid:run_id>",
        queue_api.QueuedApi.as_view(),
        name="queued",
    ),
    path(
        "threads/<uuid:thread_id>/approvals/<str:approval_id>",
        api.ApprovalApi.as_view(),
        name="approval",
    ),
    path("cancel/<uuid:thread_id>", api.CancelApi.as_view(), name="cancel"),
]
