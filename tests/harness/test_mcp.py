"""The MCP servers of a turn: read, and told to each program in its own words."""

import json

import pytest

from agents.harness import ADAPTERS
from agents.harness.base import Write
from agents.harness.mcp import McpServer, digest, servers_of
from tests.harness.driver import chunks_of, one, turn
from tests.secrecy import MARK

SECRET = f"s3cr3t-{MARK}"
SERVER = {
    "name": "mail",
    "url": "https://mcp.example/mcp",
    "headers": {"Authorization": f"Bearer {SECRET}"},
}


def given(**changes):
    return turn("hi", virtualMcp={"id": "a", "mcpServers": [SERVER | changes]})


def written(outs):
    return [json.loads(out.line) for out in outs if isinstance(out, Write)]


def test_the_servers_of_the_agent_and_of_mesh():
    own = {"url": "https://mesh.example/mcp", "headers": {"X": "y"}, "expiresAt": "2026-01-01"}

    servers = servers_of(turn("hi", virtualMcp={"id": "a", "mcpServers": [SERVER]}, mcp=own))

    assert servers == (
        McpServer("mail", SERVER["url"], SERVER["headers"]),
        McpServer("mesh", own["url"], {"X": "y"}),
    )


@pytest.mark.parametrize("virtual", [None, "x", {"id": "a"}, {"mcpServers": [{"name": "a"}, 7]}])
def test_what_is_no_server_is_left_out(virtual):
    assert servers_of(turn("hi", virtualMcp=virtual)) == ()


def test_a_token_is_not_shown():
    assert SECRET not in repr(servers_of(given()))
    assert SECRET not in digest(given())


def test_another_token_is_another_digest():
    assert digest(given()) == digest(given())
    assert digest(given()) != digest(given(headers={"Authorization": "Bearer other"}))
    assert digest(turn("hi")) == ""


@pytest.mark.parametrize("kind", ADAPTERS)
def test_no_token_in_arguments_environment_or_key(kind):
    adapter = ADAPTERS[kind]()
    launch = adapter.launch(given())

    assert SECRET not in f"{launch} {adapter.key(given())}"


class TestClaudeCode:
    """Takes them at any time, so a new token needs no other program."""

    @pytest.fixture
    def adapter(self):
        return ADAPTERS["claude-code"]()

    def say(self, adapter, **message):
        return adapter.feed(json.dumps(message).encode())

    def answer(self, adapter, asked, **response):
        told = {"request_id": asked["request_id"], "subtype": "success"} | response
        return self.say(adapter, type="control_response", response=told)

    def test_the_message_waits_until_the_program_has_them(self, adapter):
        _, asked = written(adapter.begin(given()))
        assert asked["request"]["servers"]["mail"]["headers"] == SERVER["headers"]

        (said,) = written(self.answer(adapter, asked))

        assert said["type"] == "user"

    def test_the_servers_are_sent_again_when_a_token_has_changed(self, adapter):
        _, asked = written(adapter.begin(given()))
        self.answer(adapter, asked)
        self.say(adapter, type="result", subtype="success")
        key = adapter.key(given())

        (same,) = written(adapter.begin(given()))
        self.say(adapter, type="result", subtype="success")
        (again,) = written(adapter.begin(given(headers={"Authorization": "Bearer new"})))

        assert same["type"] == "user"
        assert again["request"]["subtype"] == "mcp_set_servers"
        assert adapter.key(given(headers={})) == key

    def test_an_unreachable_server_is_reported_and_the_turn_continues(self, adapter):
        _, asked = written(adapter.begin(given()))

        outs = self.answer(adapter, asked, response={"errors": {"mail": f"401 {SECRET}"}})

        notice = one(chunks_of(outs), "data-notice")["data"]
        assert (notice["code"], SECRET in notice["text"]) == ("mcp_server", False)
        assert written(outs)[-1]["type"] == "user"

    def test_the_page_learns_what_it_waits_for(self, adapter):
        begun = adapter.begin(given())
        _, asked = written(begun)

        answered = self.answer(adapter, asked)

        told = [one(chunks_of(outs), "data-waiting") for outs in (begun, answered)]
        assert [chunk["data"]["servers"] for chunk in told] == [["mail"], []]
        assert all(chunk["transient"] for chunk in told)

    @pytest.mark.parametrize(
        ("why", "texts"),
        [
            ("timed out after 10000ms", ["can't use the MCP server mail here: it does not answer"]),
            ('POSTing to endpoint: {"error":{"code":"mcp_silent"}}', []),
        ],
        ids=["it does not answer", "the gateway tells it"],
    )
    def test_why_a_server_can_t_be_used_is_told_once(self, adapter, why, texts):
        _, asked = written(adapter.begin(given()))

        outs = self.answer(adapter, asked, response={"errors": {"mail": why}})

        told = [each["data"]["text"] for each in chunks_of(outs) if each["type"] == "data-notice"]
        assert told == [f"Claude Code {text}." for text in texts]

    def test_an_older_version_runs_without_servers(self, adapter):
        _, asked = written(adapter.begin(given()))

        outs = self.answer(adapter, asked, subtype="error", error="unknown")

        assert one(chunks_of(outs), "data-notice")["data"]["code"] == "mcp_server"
        assert written(outs)[-1]["type"] == "user"

    def test_a_stop_while_it_waits_ends_the_turn(self, adapter):
        _, asked = written(adapter.begin(given()))
        adapter.interrupt()

        outs = self.answer(adapter, asked)

        assert [chunk["type"] for chunk in chunks_of(outs)] == ["abort", "finish"]


def test_codex_gets_the_servers_with_the_thread():
    adapter = ADAPTERS["codex"]()
    adapter.begin(given())

    _, start = written(adapter.feed(b'{"id": 1, "result": {}}'))

    told = start["params"]["config"]["mcp_servers"]["mail"]
    assert told == {"url": SERVER["url"], "http_headers": SERVER["headers"]}


@pytest.mark.parametrize("takes_http", [True, False])
def test_an_acp_agent_gets_the_servers_with_the_session_if_it_accepts_them(takes_http):
    adapter = ADAPTERS["acp:gemini"]()
    adapter.begin(given())
    abilities = {"mcpCapabilities": {"http": takes_http}}
    hello = {"id": 1, "result": {"agentCapabilities": abilities}}

    (new,) = written(adapter.feed(json.dumps(hello).encode()))
    outs = adapter.feed(b'{"id": 2, "result": {"sessionId": "s"}}')

    headers = [{"name": "Authorization", "value": f"Bearer {SECRET}"}]
    told = [{"type": "http", "name": "mail", "url": SERVER["url"], "headers": headers}]
    assert new["params"]["mcpServers"] == (told if takes_http else [])
    notices = [chunk for chunk in chunks_of(outs) if chunk["type"] == "data-notice"]
    assert len(notices) == (0 if takes_http else 1)


@pytest.mark.parametrize("kind", ["codex", "acp:gemini", "acp:opencode"])
def test_an_agent_that_takes_servers_only_at_its_start_is_restarted_for_a_new_token(kind):
    adapter = ADAPTERS[kind]()

    assert adapter.key(given()) == adapter.key(given())
    assert adapter.key(given()) != adapter.key(given(headers={"Authorization": "Bearer new"}))
