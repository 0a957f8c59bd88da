"""``deco_link logout``: ended there, forgotten here."""

import pytest

from links.daemon import logout, tokens
from links.daemon.tokens import TokenStore
from tests.links.daemon.scripted import ScriptedServer
from tests.links.daemon.test_tokens import HELD


@pytest.fixture
def server():
    with ScriptedServer() as server:
        server.script = [(200, b"")]
        yield server


@pytest.fixture
def store(monkeypatch, tmp_path, server):
    monkeypatch.setenv("MESH_HOME", str(tmp_path))
    store = TokenStore(tmp_path, server.url)
    store.write(HELD)
    return store


@pytest.mark.parametrize("named", [True, False])
def test_it_revokes_and_forgets(store, server, capsys, named):
    assert logout.main([server.url + "/"] if named else []) == 0

    assert server.asked == [
        ("/identity/o/api/revoke", {"client_id": "mesh-link", "token": "refresh-0"})
    ]
    assert store.read() is None
    assert "refresh-0" not in capsys.readouterr().out


def test_tokens_are_removed_even_if_the_server_is_unreachable(store, server, capsys):
    server.script = [(503, b"")]

    assert logout.main([]) == 1
    assert store.read() is None
    assert "was not notified" in capsys.readouterr().err


def test_where_there_are_several_one_must_be_named(store, tmp_path, capsys):
    TokenStore(tmp_path, "https://mesh.example").write(HELD)

    assert logout.main([]) == 2
    assert "https://mesh.example" in capsys.readouterr().err
    assert store.read() == HELD


@pytest.mark.parametrize("argv", [[], ["https://elsewhere.example"]])
def test_a_machine_without_a_sign_in_gets_a_refusal(store, argv, capsys):
    store.forget()

    assert logout.main(argv) == 2
    assert "not signed in" in capsys.readouterr().err


def test_it_does_not_cut_into_a_renewal(store, server, monkeypatch):
    monkeypatch.setattr(tokens, "LOCK_WITHIN", 0.0)
    with store.locked():
        assert logout.main([]) == 1

    assert store.read() == HELD
    assert server.asked == []
