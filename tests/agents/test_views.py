"""The settings' pages of agents, as forms without script."""

import re

import pytest

from agents.models import Agent, McpServerRow
from agents.services import note_silent_server
from links.models import Link

PATH = "/home/settings/agents"
GIVEN = {"title": "Shop", "icon": "globe", "instructions": "Be kind.", "source": "scratch"}


@pytest.fixture
def as_ada(client, ada, agent):
    client.force_login(ada)
    return client


def page(answer):
    return answer.content.decode()


def post(client, path, **given):
    answer = client.post(PATH + path, given, follow=True)
    return answer, page(answer)


def make(client, **given):
    return post(client, "/new", **GIVEN | given)


def test_an_agent_is_made_and_shown(as_ada):
    answer, html = make(as_ada, source="repository", repository="acme/shop")

    assert answer.redirect_chain[-1][0] == f"{PATH}/of/shop"
    assert "Shop is ready." in html
    assert "https://github.com/acme/shop" in page(as_ada.get(PATH))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"title": ""}, "This field is required"),
        ({"source": "repository", "repository": ""}, "not the address of a repository"),
        ({"source": "repository", "repository": "https://a:hunter2@h/a/b"}, "a token"),
        ({"source": "folder", "folder": "code"}, "not a folder"),
        ({"source": "moon"}, "Select a valid choice"),
        ({"icon": "evil"}, "Select a valid choice"),
        ({"default_choice": "claude-code:huge"}, "Select a valid choice"),
        ({"link_id": "someone-elses"}, "Select a valid choice"),
    ],
)
def test_a_mistake_is_shown_at_its_field_and_nothing_is_saved(as_ada, given, said):
    _, html = make(as_ada, **given)

    assert said in html
    assert 'value="Shop"' in html or given == {"title": ""}
    assert Agent.objects.count() == 1


def test_a_change_is_kept(as_ada, ada):
    link = Link.objects.create(
        user=ada, machine_id="m", hostname="mbp", cli_version="1", protocol_version=1
    )
    make(as_ada)

    folder = {"source": "folder", "folder": "/code", "link_id": str(link.pk)}
    post(as_ada, "/of/shop", **GIVEN | folder | {"default_choice": "claude-code:fast"})

    shop = Agent.objects.get(slug="shop")
    assert shop.metadata == {"folder": "/code", "folderLink": str(link.pk)}
    assert shop.default_choice == "claude-code:fast"
    assert re.search(r'value="folder"\s+checked', page(as_ada.get(f"{PATH}/of/shop")))


def test_a_repository_is_imported_by_its_address(as_ada):
    answer, _ = post(as_ada, "/import", repository="https://github.com/acme/app")

    assert answer.redirect_chain[-1][0] == f"{PATH}/of/app"


def test_a_bad_address_comes_back_with_its_reason(as_ada):
    answer, html = post(as_ada, "/import", repository="file:///etc")

    assert answer.redirect_chain[-1][0] == PATH
    assert "can be cloned over https or ssh only" in html


def test_start_website_is_one_click(as_ada):
    answer, _ = post(as_ada, "/import", template="start-website")

    assert answer.redirect_chain[-1][0] == f"{PATH}/of/start-website"
    assert Agent.objects.get(slug="start-website").source.kind == "repository"


def test_a_removal_can_be_undone(as_ada):
    make(as_ada)
    _, html = post(as_ada, "/of/shop/remove")
    assert "Shop was removed. Its chats continue." in html
    assert 'action="/home/settings/agents/of/shop/restore"' in html
    assert as_ada.get(f"{PATH}/of/shop").status_code == 404

    _, html = post(as_ada, "/of/shop/restore")
    assert "Shop is back." in html


def test_the_default_agent_can_not_be_removed(as_ada):
    assert "/of/default/remove" not in page(as_ada.get(f"{PATH}/of/default"))
    _, html = post(as_ada, "/of/default/remove")
    assert "can&#x27;t be removed" in html


SERVER = {"name": "linear", "url": "https://mcp.example/mcp", "headers": "X-Key: hunter2"}


def test_an_mcp_servers_headers_are_written_and_never_shown(as_ada):
    _, html = post(as_ada, "/of/default/servers", **SERVER)

    assert "linear was added." in html
    assert "Headers: X-Key" in html
    assert "hunter2" not in html + page(as_ada.get(f"{PATH}/of/default"))

    post(as_ada, "/of/default/servers/linear/remove")
    assert not McpServerRow.objects.exists()


def test_a_member_has_a_silent_server_asked_again(client, as_ada, bob, agent):
    post(as_ada, "/of/default/servers", **SERVER)
    note_silent_server(agent_id=agent.pk, name="linear", url=SERVER["url"])
    client.force_login(bob)
    assert "chats go on without it for" in page(client.get(f"{PATH}/of/default"))

    _, html = post(client, "/of/default/servers/linear/again")

    assert "The next message asks linear again." in html
    assert "chats go on without it" not in html


@pytest.mark.parametrize(
    "wrong", [{"name": "1 x"}, {"url": "ftp://x"}, {"headers": "hunter2"}, {"url": ""}]
)
def test_a_form_that_comes_back_has_no_secret_in_it(as_ada, wrong):
    answer, html = post(as_ada, "/of/default/servers", **SERVER | wrong)

    assert answer.status_code == 400
    assert "hunter2" not in html
    assert "errorlist" in html


def test_a_member_reads_and_has_nothing_to_press(client, bob, agent):
    client.force_login(bob)

    listed, one = page(client.get(PATH)), page(client.get(f"{PATH}/of/default"))
    assert "Only owners and admins" in listed
    assert "Only owners and admins" in one
    assert 'method="post" action="/home/settings' not in listed + one
    assert ">Save<" not in one


@pytest.mark.parametrize(
    "path", ["/new", "/import", "/of/default", "/of/default/remove", "/of/default/servers"]
)
def test_a_member_may_not_write(client, bob, agent, path):
    client.force_login(bob)

    assert client.post(PATH + path, GIVEN).status_code == 403


@pytest.mark.parametrize("path", ["", "/new", "/of/default"])
def test_a_stranger_sees_nothing(client, eve, agent, path):
    client.force_login(eve)

    assert client.get(PATH + path).status_code == 404


def test_what_people_write_is_text(as_ada):
    make(as_ada, title="<b>Shop")

    assert "<b>Shop" not in page(as_ada.get(PATH))
    assert "&lt;b&gt;Shop" in page(as_ada.get(PATH))
