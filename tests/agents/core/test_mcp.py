"""MCP servers: names, addresses and headers that an agent's program can be given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.core.mcp import BadMcpServer, read_header_lines, read_mcp_server

URL = "https://mcp.linear.app/mcp"


def read(name="linear", url=URL, headers=None):
    return read_mcp_server(name=name, url=url, headers=headers or {})


def test_a_harness_gets_a_server_with_its_headers():
    server = read(headers={"Authorization": "Bearer hunter2"})

    assert server.as_input() == {
        "name": "linear",
        "url": URL,
        "headers": {"Authorization": "Bearer hunter2"},
    }
    assert "headers" not in read().as_input()


def test_a_server_does_not_print_its_secrets():
    assert "hunter2" not in repr(read(headers={"Authorization": "Bearer hunter2"}))


@pytest.mark.parametrize("name", ["", "Linear", "1st", "a b", "a.b", "a" * 41, "a__b\n"])
def test_a_name_that_no_tool_could_carry(name):
    with pytest.raises(BadMcpServer):
        read(name=name)


@pytest.mark.parametrize(
    "url",
    [
        *("", "linear", "ftp://host/mcp", "file:///etc/passwd", "https://", "https:///mcp"),
        *("https://ada:pw@host/mcp", "https://host:99999/", "https://host/a b", "https://h/\n"),
        "https://host/" + "a" * 1_000,
    ],
)
def test_an_address_that_is_none(url):
    with pytest.raises(BadMcpServer):
        read(url=url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("Authorization", "Bearer hunter2\r\nX-Evil: 1", id="another header"),
        pytest.param("Authorization", "hunter2\n", id="a line break"),
        pytest.param("Authorization", "hunter2\x00", id="a control character"),
        pytest.param("Authorization", "hunter2…", id="no ASCII"),
        pytest.param("Authorization", "hunter2" * 1_000, id="too long"),
        pytest.param("X Y", "hunter2", id="a name with a space"),
        pytest.param("Host", "hunter2", id="the connection's own"),
        pytest.param("Mcp-Session-Id", "hunter2", id="the protocol's own"),
    ],
)
def test_a_header_that_is_refused_is_not_repeated(name, value):
    with pytest.raises(BadMcpServer) as refused:
        read(headers={name: value})

    assert "hunter2" not in str(refused.value.body())


def test_there_is_a_limit_to_headers():
    assert read(headers={f"X-{n}": "" for n in range(20)})
    with pytest.raises(BadMcpServer):
        read(headers={f"X-{n}": "" for n in range(21)})


def test_headers_stand_one_a_line():
    text = "Authorization: Bearer a:b \n\n  X-Team:core"

    assert read_header_lines(text) == {"Authorization": "Bearer a:b", "X-Team": "core"}


@pytest.mark.parametrize("text", ["Bearer x", ": x", "A: 1\na: 2"])
def test_lines_that_are_no_headers(text):
    with pytest.raises(BadMcpServer):
        read_header_lines(text)


@given(st.text(max_size=200))
def test_any_text_is_headers_or_refused(text):
    try:
        headers = read_header_lines(text)
    except BadMcpServer:
        return
    assert all(name and ":" not in name for name in headers)
