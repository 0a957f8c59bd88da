"""The development session that a server on this machine mints."""

import json

import pytest

from links.daemon import cli, session
from links.daemon.errors import NoSession
from links.daemon.tokens import TokenFile

WHOLE = {
    "target": "http://127.0.0.1:8321",
    "clientId": "mesh-link",
    "accessToken": "t0ken",
    "createdAt": "2026-01-01T00:00:00Z",
    "user": {"sub": "1"},
}


@pytest.fixture
def mint(tmp_path):
    return lambda value: (tmp_path / "session.json").write_text(
        value if isinstance(value, str) else json.dumps(value)
    )


def test_a_whole_one_is_read(mint, tmp_path):
    mint(WHOLE)

    assert session.read_session(tmp_path).target == "http://127.0.0.1:8321"


async def test_its_token_is_read_again_for_each_connection(mint, tmp_path):
    mint(WHOLE)
    tokens = TokenFile(tmp_path / "session.json")
    assert await tokens.token() == "t0ken"

    mint({**WHOLE, "accessToken": "another"})

    assert await tokens.token() == "another"


@pytest.mark.parametrize(
    "value",
    [
        "{",
        "[]",
        {**WHOLE, "user": {}},
        {**WHOLE, "user": None},
        {**WHOLE, "accessToken": ""},
        {**WHOLE, "target": 5},
        *({k: v for k, v in WHOLE.items() if k != name} for name in WHOLE),
    ],
)
def test_one_that_is_not_whole_counts_as_none(mint, tmp_path, value):
    mint(value)

    assert session.read_session(tmp_path) is None


def test_one_that_never_comes(tmp_path):
    with pytest.raises(NoSession, match=r"\[dev-link\]"):
        session.wait_for_session(tmp_path, within=0)


@pytest.fixture
def configured(monkeypatch, mint, tmp_path):
    """Return ``configured(*words)``: the configuration that they make."""
    monkeypatch.setenv("MESH_HOME", str(tmp_path))
    mint(WHOLE)
    seen = []
    monkeypatch.setattr(cli, "run", lambda config: seen.append(config) or 0)

    def configure(*words):
        assert cli.main(words) == 0
        return seen[-1]

    return configure


def test_it_names_server_and_token(configured, monkeypatch, tmp_path):
    monkeypatch.setenv("MESH_ALLOW_LOCALHOST_LINKS", "1")

    config = configured("--local-sandbox-provider")

    assert (config.server, config.token_file) == (WHOLE["target"], tmp_path / "session.json")


def test_where_the_machine_does_not_allow_it_the_person_signs_in(configured):
    config = configured("https://mesh.example", "--local-sandbox-provider")

    assert config.token_file is None


@pytest.mark.parametrize(
    ("words", "address", "port"),
    [
        ([], "", 5174),
        (["--no-tunnel"], "http://localhost:5174", 5174),
        (["--no-tunnel", "--port", "6000"], "http://localhost:6000", 6000),
        (["--tunnel-url", "https://lap.ts.net/"], "https://lap.ts.net", 5174),
    ],
)
def test_where_the_server_calls(configured, words, address, port):
    config = configured("https://mesh.example", *words)

    assert (config.address, config.port) == (address, port)


@pytest.mark.parametrize(
    "words",
    [
        ["--no-tunnel", "--tunnel-url", "https://lap.ts.net"],
        ["--tunnel-url", "http://lap.ts.net"],
        ["--tunnel-url", "https://10.0.0.1"],
        ["--no-tunnel", "--port", "0"],
        ["--port", "x"],
    ],
)
def test_wrong_use(words):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["https://mesh.example", *words])

    assert stopped.value.code == 2
