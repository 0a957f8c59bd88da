"""The chat's pages for the person they belong to, and for nobody else."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from agents.models import Agent
from links.models import Link
from tests.browser import made_up
from threads.models import Message, Run, Thread


@pytest.fixture
def link(ada):
    return Link.objects.create(
        user=ada, machine_id="m", hostname="mbp", cli_version="1", protocol_version=1, secret="x"
    )


@pytest.fixture
def thread(org, ada, agent):
    return Thread.objects.create(organization=org, owner=ada, agent=agent, title="Fix it")


def data_of(answer):
    found = re.search(rb'id="page-data" type="application/json">(.*?)</script>', answer.content)
    return json.loads(found[1])


def test_who_is_not_signed_in_is_asked_to(client, org):
    answer = client.get("/home/")

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/")


def test_the_start_is_the_first_organization(client, ada):
    client.force_login(ada)

    assert client.get("/").headers["Location"] == "/home/"


def test_a_person_in_no_organization_learns_what_to_do(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("lone"))
    answer = client.get("/")

    assert answer.status_code == 403
    assert b"Ask an owner or admin of your team" in answer.content


def test_home_is_a_composer_and_the_list(client, ada, thread, link):
    client.force_login(ada)
    answer = client.get("/home/")

    assert answer.status_code == 200
    assert b"Fix it" in answer.content
    assert b"mbp" in answer.content
    assert data_of(answer)["thread"] is None


def test_the_first_page_of_a_new_organization_has_its_default_agent(client, ada):
    client.force_login(ada)

    answer = client.get("/home/")

    assert (answer.status_code, answer.context["agent"].slug) == (200, "default")


def test_a_thread_comes_with_its_messages_and_its_cursor(client, ada, thread):
    said = Message.objects.create(
        thread=thread, role="user", client_id="c1", seq=0, parts=[made_up.text("</script>hi")]
    )
    Run.objects.create(thread=thread, prompt=said)
    client.force_login(ada)
    data = data_of(client.get(f"/home/threads/{thread.pk}"))

    assert data["thread"]["id"] == str(thread.pk)
    assert data["cursor"] == 0
    assert data["messages"][0]["parts"][0]["text"] == "</script>hi"


@pytest.mark.parametrize("path", ["/home/", "/home/live", "/home/threads/{thread}", "/nowhere/"])
def test_a_stranger_sees_no_difference_between_foreign_and_unknown(client, eve, thread, path):
    client.force_login(eve)
    answer = client.get(path.format(thread=thread.pk))

    assert answer.status_code == 404
    assert b"There is nothing here" in answer.content


def test_someone_elses_thread_in_ones_own_organization_is_unknown_too(client, bob, thread):
    client.force_login(bob)

    assert client.get(f"/home/threads/{thread.pk}").status_code == 404
    assert client.get(f"/home/live?thread={thread.pk}").status_code == 404


def test_a_thread_id_that_is_none_is_unknown(client, ada, agent):
    client.force_login(ada)

    assert client.get("/home/live?thread=x").status_code == 404


def test_the_fragment_has_what_a_change_may_alter(client, ada, thread):
    client.force_login(ada)
    html = client.get(f"/home/live?thread={thread.pk}").content.decode()

    for name in ("threads", "machines", "thread-machine", "agents"):
        assert f'id="{name}"' in html
    assert 'aria-current="page"' in html


def test_the_last_choice_is_what_the_page_shows(client, ada, agent, link):
    client.force_login(ada)
    client.cookies["mesh_choice"] = "claude-code:thinking"
    client.cookies["mesh_level"] = "readonly"
    html = client.get("/home/").content.decode()

    assert re.search(r'value="claude-code:thinking"[^>]* checked', html)
    assert '<option value="readonly" selected>' in html


def test_a_thread_shows_its_own_level_whatever_the_browsers_last_one_was(client, ada, thread):
    Thread.objects.filter(pk=thread.pk).update(approval_level="readonly")
    client.force_login(ada)
    client.cookies["mesh_level"] = "auto"

    html = client.get(f"/home/threads/{thread.pk}").content.decode()

    assert '<option value="readonly" selected>' in html


def test_a_thread_shows_its_own_tier_whatever_the_browsers_last_one_was(client, ada, thread, say):
    Run.objects.filter(pk=say("hi", may_wait=True).pk).update(tier="fast")
    Thread.objects.filter(pk=thread.pk).update(harness_id="claude-code")
    client.force_login(ada)
    client.cookies["mesh_choice"] = "claude-code:thinking"
    html = client.get(f"/home/threads/{thread.pk}").content.decode()

    assert re.search(r'value="claude-code:fast"[^>]* checked', html)


def test_a_choice_in_the_address_goes_before_the_last_one(client, ada, agent, link):
    client.force_login(ada)
    client.cookies["mesh_choice"] = "claude-code:thinking"
    html = client.get("/home/?choice=claude-code:fast").content.decode()

    assert re.search(r'value="claude-code:fast"[^>]* checked', html)


def test_a_page_asks_the_database_as_often_for_many_threads_as_for_one(
    client, ada, agent, org, thread, django_assert_max_num_queries
):
    client.force_login(ada)
    for number in range(30):
        Thread.objects.create(organization=org, owner=ada, agent=agent, title=f"t{number}")

    # session, user, membership, agent, machines, threads, default models, any key
    with django_assert_max_num_queries(7):
        client.get("/home/live")


def test_the_stylesheet_is_one_file_that_may_be_cached_forever(client, db):
    address = re.search(
        r'href="(/style\.\w+\.css)"', client.get("/accounts/login/").content.decode()
    )
    answer = client.get(address[1], headers={"Accept-Encoding": "gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" in answer.headers["Cache-Control"]
    assert b"--accent" in client.get(address[1]).content


@pytest.mark.parametrize("path", ["login/", "logout/", "password/change/", "2fa/", "email/"])
def test_account_pages_are_in_our_look(client, ada, path):
    if path != "login/":
        client.force_login(ada)
    answer = client.get(f"/accounts/{path}", follow=True)

    assert answer.status_code == 200
    assert b'class="entrance"' in answer.content


# The popover


@pytest.fixture
def full_house(ada, org, agent):
    """Five machines and twenty agents."""
    for number in range(5):
        Link.objects.create(
            user=ada,
            machine_id=f"m{number}",
            hostname=f"m{number}",
            cli_version="1",
            protocol_version=1,
            capabilities=["claude-code", "codex"],
            offline_after=timezone.now() + timedelta(minutes=5),
            seen_at=timezone.now(),
        )
    for number in range(20):
        Agent.objects.create(organization=org, slug=f"a{number}", title=f"A{number}")


def test_the_popover_asks_the_database_a_constant_number_of_times(
    client, ada, full_house, django_assert_num_queries
):
    client.force_login(ada)
    # session, user, membership, agent, machines, models of keys, what is offered there
    with django_assert_num_queries(7):
        html = client.get("/home/popover").content.decode()

    assert html.count('name="machine"') == 5


def test_the_popover_of_a_thread_is_locked_to_its_pins(client, ada, thread, link):
    Thread.objects.filter(pk=thread.pk).update(harness_id="demo", link=link)
    client.force_login(ada)
    html = client.get(f"/home/popover?thread={thread.pk}").content.decode()

    assert "New chat with Claude Code" in html
    assert 'name="machine"' not in html


@pytest.mark.parametrize("query", ["?agent=nobody", "?thread=x"])
def test_a_popover_of_nothing(client, ada, agent, query):
    client.force_login(ada)

    assert client.get(f"/home/popover{query}").status_code == 404


def choose(client, **given):
    return client.post("/home/choose", given)


def test_a_choice_is_kept_without_script(client, ada, agent, link):
    client.force_login(ada)
    answer = choose(client, choice="claude-code:fast", machine=str(link.pk), next="/home/?x=1")

    assert answer.headers["Location"] == f"/home/?x=1&choice=claude-code:fast&machine={link.pk}"
    assert client.cookies["mesh_choice"].value == "claude-code:fast"
    assert client.cookies["mesh_machine"].value == str(link.pk)
    html = client.get("/home/").content.decode()
    assert re.search(r'value="claude-code:fast"[^>]* checked', html)


@pytest.mark.parametrize(
    "given",
    [
        {"choice": "claude-code:huge", "machine": "x"},
        {"choice": "evil; Path=/", "machine": ""},
        {"next": "https://evil.example/"},
        {"next": "//evil.example"},
        {"next": "javascript:alert(1)"},
        {},
    ],
)
def test_what_is_no_choice_is_left_out(client, ada, agent, given):
    client.force_login(ada)
    answer = choose(client, **given)

    assert answer.headers["Location"] == "/home/"
    assert not {"mesh_choice", "mesh_machine"} & client.cookies.keys()


def test_a_stranger_can_not_choose(client, eve, org):
    client.force_login(eve)

    assert choose(client, choice="demo:fast").status_code == 404


# A new chat


def test_a_new_chat_is_with_whom_the_address_names(client, ada, agent, org, link):
    Agent.objects.create(organization=org, slug="shop", title="Shop", default_choice="demo:fast")
    client.force_login(ada)
    answer = client.get("/home/?agent=shop")

    assert data_of(answer)["agent"] == str(Agent.objects.get(slug="shop").pk)
    assert b'aria-label="Chat with Shop"' in answer.content
    assert re.search(rb'value="demo:fast"[^>]* checked', answer.content)
    assert client.get("/home/?agent=nobody").status_code == 404


def test_a_new_chat_offers_the_branches_of_ones_own_threads(client, ada, bob, agent, org, link):
    Agent.objects.filter(pk=agent.pk).update(metadata={"folder": "/code"})
    for owner, branch in ((ada, "fix/login"), (ada, "thread:1"), (ada, ""), (bob, "bobs")):
        Thread.objects.create(organization=org, owner=owner, agent=agent, branch=branch)
    client.force_login(ada)
    html = client.get("/home/?branch=topic/x").content.decode()

    found = re.findall(r'name="branch" value="([^"]*)"', html)
    assert found[0] == ""
    assert found[1].startswith("deco/")
    assert found[2:] == ["topic/x", "fix/login"]
    assert 'id="branch-words">topic/x<' in html


@pytest.mark.parametrize("branch", ["a..b", "--force", "a b"])
def test_what_is_no_branch_is_not_offered(client, ada, agent, branch):
    Agent.objects.filter(pk=agent.pk).update(metadata={"folder": "/code"})
    client.force_login(ada)
    html = client.get("/home/", {"branch": branch}).content.decode()

    assert 'id="branch-words">New branch<' in html


def test_without_key_and_desktop_a_new_chat_says_what_to_connect(client, ada, agent):
    client.force_login(ada)

    assert b"Home is ready for agents" in client.get("/home/").content


def test_with_a_desktop_and_an_agent_on_it_nothing_is_missing(client, ada, full_house):
    client.force_login(ada)

    assert b"What shall we work on?" in client.get("/home/").content
