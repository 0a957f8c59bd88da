from datetime import timedelta

import pytest
from django.utils import timezone

from agents import services
from agents.core.mcp import SILENT_FOR, BadMcpServer, McpServer
from agents.core.source import BadRepository, Source
from agents.errors import AgentIsDefault, BadChoice, BadIcon, BadTitle
from agents.models import Agent, McpServerRow
from agents.selectors import get_agent, list_agents, list_mcp_rows, list_mcp_servers
from agents.services import AgentFields, make_default_agent
from mesh.selectors import NotFound


def make(org, **given):
    return services.create_agent(organization=org, given=AgentFields(**{"title": "Shop", **given}))


def test_the_default_agent_is_made_once(org):
    first = make_default_agent(organization=org)

    assert make_default_agent(organization=org) == first
    assert (first.slug, first.title, Agent.objects.count()) == ("default", "Mesh", 1)


def test_what_people_made_of_it_stays(org):
    agent = make_default_agent(organization=org)
    Agent.objects.filter(pk=agent.pk).update(title="Ours", instructions="Be kind.")

    agent = make_default_agent(organization=org)

    assert (agent.title, agent.instructions) == ("Ours", "Be kind.")


@pytest.mark.parametrize(
    ("title", "slug"),
    [("Shop  Front!", "shop-front"), ("Ünïcode", "unicode"), ("日本", "agent"), ("-", "agent")],
)
def test_a_slug_is_made_of_the_title(org, title, slug):
    assert make(org, title=title).slug == slug


def test_a_slug_is_taken_once_even_by_a_removed_agent(org):
    services.remove_agent(agent=make(org))

    assert [make(org).slug for _ in range(2)] == ["shop-2", "shop-3"]


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"title": " "}, BadTitle),
        ({"title": "x" * 121}, BadTitle),
        ({"title": "a\nb"}, BadTitle),
        ({"icon": "../evil"}, BadIcon),
        ({"default_choice": "claude-code"}, BadChoice),
        ({"default_choice": "claude-code:huge"}, BadChoice),
        ({"default_choice": "nobody:smart"}, BadChoice),
        ({"source": Source("repository", url="ext::sh")}, BadRepository),
    ],
)
def test_what_an_agent_can_not_be(org, given, refusal):
    with pytest.raises(refusal):
        make(org, **given)
    assert not Agent.objects.exists()


def test_an_imported_agent_is_named_after_its_repository(org):
    agent = services.import_agent(organization=org, repository="acme/app")

    assert (agent.title, agent.slug) == ("app", "app")
    assert agent.metadata == {
        "githubRepo": {"url": "https://github.com/acme/app", "owner": "acme", "name": "app"}
    }


def test_what_is_not_given_stays(org):
    agent = make(org, icon="globe", instructions="Be kind.", default_choice="demo:fast")

    services.change_agent(agent=agent, given=AgentFields(title="Front"))

    agent.refresh_from_db()
    assert (agent.title, agent.icon, agent.instructions) == ("Front", "globe", "Be kind.")
    assert agent.default_choice == "demo:fast"


def test_another_source_leaves_what_others_keep_in_the_metadata(org):
    agent = make(org, source=Source("folder", folder="/code", link_id="l"))
    stale = Agent.objects.get(pk=agent.pk)
    services.set_metadata(agent=agent, values={"vmMap": {"1": {}}})

    services.change_agent(agent=stale, given=AgentFields(source=Source("none")))

    agent.refresh_from_db()
    assert agent.metadata == stale.metadata == {"vmMap": {"1": {}}, "files": "none"}


def test_a_folder_is_set_and_removed(org):
    agent = make(org)

    services.set_folder(agent=agent, folder="/code")
    assert agent.metadata == {"folder": "/code"}

    services.set_folder(agent=agent, folder="")
    assert Agent.objects.get(pk=agent.pk).metadata == {}


def test_a_removed_agent_is_hidden_until_it_is_restored(org):
    agent = make(org)
    services.remove_agent(agent=agent)

    assert list_agents(organization=org) == []
    with pytest.raises(NotFound):
        get_agent(organization=org, name="shop")

    services.restore_agent(agent=agent)
    assert list_agents(organization=org) == [agent]


def test_the_default_agent_can_not_be_removed(org):
    with pytest.raises(AgentIsDefault):
        services.remove_agent(agent=make_default_agent(organization=org))


def test_the_list_starts_with_the_default_agent(org):
    for title in ("zebra", "Ant"):
        make(org, title=title)
    make_default_agent(organization=org)

    assert [agent.title for agent in list_agents(organization=org)] == ["Mesh", "Ant", "zebra"]


# MCP servers

TOKEN = {"Authorization": "Bearer hunter2"}


def put(agent, url="https://mcp.example/mcp", headers=TOKEN, name="linear", **changes):
    server = McpServer(name, url, headers)
    return services.put_mcp_server(agent=agent, server=server, **changes)


def test_headers_are_sealed_at_rest_and_opened_for_a_run(org):
    agent = make(org)
    put(agent)

    row = McpServerRow.objects.get()
    assert "hunter2" not in row.sealed_headers
    assert row.header_names == ["Authorization"]
    assert list_mcp_servers(agent=agent) == [McpServer("linear", "https://mcp.example/mcp", TOKEN)]


def test_what_people_see_of_a_server_has_no_secret(org, django_assert_num_queries):
    agent = make(org)
    put(agent)

    (row,) = list_mcp_rows(agent=agent)
    assert "sealed_headers" in row.get_deferred_fields()


def test_headers_stay_where_none_are_given(org):
    agent = make(org)
    put(agent)

    put(agent, url="https://mcp.example/other", headers={}, keep_headers=True)

    (server,) = list_mcp_servers(agent=agent)
    assert (server.url, server.headers) == ("https://mcp.example/other", TOKEN)


def test_headers_never_go_to_another_host(org):
    agent = make(org)
    put(agent)

    with pytest.raises(BadMcpServer):
        put(agent, url="https://evil.example/mcp", headers={}, keep_headers=True)
    assert list_mcp_servers(agent=agent)[0].url == "https://mcp.example/mcp"


def test_headers_are_removed_on_request_and_with_their_server(org):
    agent = make(org)
    put(agent)

    assert put(agent, headers={}).sealed_headers == ""
    services.remove_mcp_server(agent=agent, name="linear")
    services.remove_mcp_server(agent=agent, name="linear")
    assert not McpServerRow.objects.exists()


def test_a_server_that_does_not_answer_is_not_asked_for_a_while(agent):
    server = McpServer("linear", "https://mcp.example/mcp")
    services.put_mcp_server(agent=agent, server=server)
    now = timezone.now()

    services.note_silent_server(agent_id=agent.pk, name="linear", url=server.url)

    (noted,) = list_mcp_servers(agent=agent)
    assert noted.is_silent(now)
    assert not noted.is_silent(now + SILENT_FOR + timedelta(seconds=60))


@pytest.mark.parametrize("how", ["again", "put", "another address"])
def test_a_silent_server_is_asked_again(agent, how):
    server = McpServer("linear", "https://mcp.example/mcp")
    services.put_mcp_server(agent=agent, server=server)
    noted = "https://mcp.example/old" if how == "another address" else server.url
    services.note_silent_server(agent_id=agent.pk, name="linear", url=noted)
    if how == "again":
        services.ask_server_again(agent=agent, name="linear")
    elif how == "put":
        services.put_mcp_server(agent=agent, server=server)

    assert list_mcp_servers(agent=agent) == [server]


def test_there_is_a_limit_to_servers(org):
    agent = make(org)
    for number in range(20):
        put(agent, name=f"s{number}")

    put(agent, name="s19")
    with pytest.raises(BadMcpServer):
        put(agent, name="one-more")
