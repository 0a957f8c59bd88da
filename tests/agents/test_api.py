"""The API of agents: members read, owners and admins write, strangers see nothing."""

import pytest

from agents.models import Agent, McpServerRow

PATH = "/api/home/agents"


@pytest.fixture
def as_ada(client, ada):
    client.force_login(ada)
    return client


def send(client, method, path, body=None):
    answer = getattr(client, method)(path, body or {}, content_type="application/json")
    return answer.status_code, answer.json() if answer.content else None


def test_an_agent_is_made_read_and_changed(as_ada):
    status, made = send(
        as_ada, "post", PATH, {"title": "Shop", "repository": "acme/shop", "icon": "globe"}
    )
    assert (status, made["slug"], made["clonable"]) == (201, "shop", True)

    status, changed = send(as_ada, "patch", f"{PATH}/shop", {"instructions": "Be kind."})
    assert (status, changed["instructions"], changed["icon"]) == (200, "Be kind.", "globe")
    assert as_ada.get(f"{PATH}/{made['id']}").json() == changed


def test_a_repository_alone_is_enough(as_ada):
    status, made = send(as_ada, "post", PATH, {"repository": "git@github.com:acme/app.git"})

    assert (status, made["title"], made["repository"]["url"]) == (
        201,
        "app",
        "git@github.com:acme/app.git",
    )


def test_the_website_template_brings_a_repository_and_instructions(as_ada):
    status, made = send(as_ada, "post", PATH, {"template": "start-website", "title": "My site"})

    assert (status, made["title"], made["clonable"]) == (201, "My site", True)
    assert "preview" in made["instructions"]


def test_the_list_has_agents_and_templates(as_ada, agent, django_assert_num_queries):
    for number in range(5):
        send(as_ada, "post", PATH, {"title": f"a{number}"})

    with django_assert_num_queries(5):  # session, user, membership, agents, MCP servers
        listed = as_ada.get(PATH).json()
    assert [each["slug"] for each in listed["agents"]] == ["default", "a0", "a1", "a2", "a3", "a4"]
    assert listed["templates"][0]["id"] == "start-website"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "bad_title"),
        ({"title": "x" * 121}, "invalid_input"),
        ({"title": "Shop", "icon": "evil"}, "bad_icon"),
        ({"title": "Shop", "defaultChoice": "claude-code:huge"}, "bad_choice"),
        ({"title": "Shop", "repository": "https://ada:pw@host/a/b"}, "bad_repository"),
        ({"title": "Shop", "folder": "code"}, "bad_folder"),
        ({"title": "Shop", "folder": "/code", "repository": "a/b"}, "invalid_input"),
        ({"title": "Shop", "folder": "/code", "needsFiles": False}, "invalid_input"),
        ({"title": "Shop", "folderLinkId": "x"}, "invalid_input"),
    ],
)
def test_bad_input_has_a_code_and_keeps_nothing(as_ada, body, code):
    status, refused = send(as_ada, "post", PATH, body)

    assert (status, refused["error"]["code"]) == (400, code)
    assert not Agent.objects.exists()


def test_a_source_can_be_removed(as_ada):
    send(as_ada, "post", PATH, {"title": "Shop", "repository": "a/b"})

    assert send(as_ada, "patch", f"{PATH}/shop", {"needsFiles": False})[1]["needsFiles"] is False
    _, changed = send(as_ada, "patch", f"{PATH}/shop", {"needsFiles": True})
    assert (changed["needsFiles"], changed["repository"], changed["folder"]) == (True, None, None)


def test_a_removed_agent_can_be_restored(as_ada):
    send(as_ada, "post", PATH, {"title": "Shop"})

    assert [send(as_ada, "delete", f"{PATH}/shop")[0] for _ in range(2)] == [204, 204]
    assert as_ada.get(f"{PATH}/shop").status_code == 404
    assert send(as_ada, "post", f"{PATH}/shop/restore")[0] == 200
    assert as_ada.get(f"{PATH}/shop").status_code == 200


def test_the_default_agent_stays(as_ada, agent):
    status, refused = send(as_ada, "delete", f"{PATH}/default")

    assert (status, refused["error"]["code"]) == (409, "agent_is_default")


WRITES = [
    pytest.param("post", "", {"title": "Shop"}, id="make"),
    pytest.param("patch", "/default", {"title": "Mine"}, id="change"),
    pytest.param("delete", "/default", {}, id="remove"),
    pytest.param("post", "/default/restore", {}, id="restore"),
    pytest.param("put", "/default/mcp-servers/x", {"url": "https://x.example"}, id="add a server"),
    pytest.param("delete", "/default/mcp-servers/x", {}, id="remove a server"),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_member_reads_and_may_not_write(client, bob, agent, method, path, body):
    client.force_login(bob)

    status, refused = send(client, method, PATH + path, body)
    assert (status, refused["error"]["code"]) == (403, "forbidden")
    assert client.get(f"{PATH}/default").json()["title"] == "Mesh"


@pytest.mark.parametrize(("method", "path", "body"), [*WRITES, ("get", "/default", {})])
def test_a_stranger_learns_nothing(client, eve, agent, method, path, body):
    client.force_login(eve)

    assert send(client, method, PATH + path, body)[0] == 404


def test_nobody_is_let_in_without_a_name(client, org):
    assert client.get(PATH).status_code == 401


def test_an_mcp_servers_headers_are_never_shown(as_ada, agent):
    path = f"{PATH}/default/mcp-servers/linear"
    given = {"url": "https://mcp.example/mcp", "headers": {"Authorization": "Bearer hunter2"}}

    status, shown = send(as_ada, "put", path, given)

    assert (status, shown) == (
        200,
        {
            "name": "linear",
            "url": "https://mcp.example/mcp",
            "headers": ["Authorization"],
            "silentUntil": None,
        },
    )
    everything = as_ada.get(PATH).content + as_ada.get(f"{PATH}/default").content
    assert b"hunter2" not in everything
    assert "hunter2" not in str(McpServerRow.objects.values())


def test_an_mcp_server_is_mended_and_removed(as_ada, agent):
    path = f"{PATH}/default/mcp-servers/linear"
    send(as_ada, "put", path, {"url": "https://mcp.example/a", "headers": {"X-Key": "hunter2"}})

    assert send(as_ada, "put", path, {"url": "https://mcp.example/b"})[1]["headers"] == ["X-Key"]
    status, refused = send(as_ada, "put", path, {"url": "https://evil.example/"})
    assert (status, refused["error"]["code"]) == (400, "bad_mcp_server")
    assert send(as_ada, "delete", path)[0] == 204
    assert as_ada.get(f"{PATH}/default").json()["mcpServers"] == []
