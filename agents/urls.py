"""Addresses of the agents' pages, below ``/<org>/settings/agents``."""

from django.urls import URLPattern, URLResolver, path

from agents import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("agents", views.agents, name="settings_agents"),
    path("agents/import", views.import_agent, name="settings_agent_import"),
    path("agents/new", views.new_agent, name="settings_agent_new"),
    path("agents/of/<slug:slug>", views.agent, name="settings_agent"),
    path("agents/of/<slug:slug>/remove", views.remove_agent, name="settings_agent_remove"),
    path("agents/of/<slug:slug>/restore", views.restore_agent, name="settings_agent_restore"),
    path("agents/of/<slug:slug>/servers", views.put_mcp_server, name="settings_agent_server"),
    path(
        "agents/of/<slug:slug>/servers/<slug:name>/remove",
        views.remove_mcp_server,
        name="settings_agent_server_remove",
    ),
    path(
        "agents/of/<slug:slug>/servers/<slug:name>/again",
        views.ask_server_again,
        name="settings_agent_server_again",
    ),
]
