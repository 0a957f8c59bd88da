"""Addresses below ``/api/<org>/``."""

from django.urls import URLPattern, URLResolver, path

from agents import api

urlpatterns: list[URLPattern | URLResolver] = [
    path("agents", api.AgentsApi.as_view(), name="agents_api"),
    path("agents/<slug:name>", api.AgentApi.as_view(), name="agent_api"),
    path("agents/<slug:name>/restore", api.RestoreApi.as_view(), name="agent_restore_api"),
    path(
        "agents/<slug:name>/mcp-servers/<slug:server>",
        api.McpServerApi.as_view(),
        name="agent_mcp_server_api",
    ),
]
