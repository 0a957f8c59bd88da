"""What ``make run`` tells the link of this machine."""

import pytest

from links.daemon import cli
from links.daemon.config import Agent
from mesh.embedded.companions import acp_words, argv_of


def test_agents_of_the_environment_are_given_to_the_link(tmp_path, monkeypatch):
    monkeypatch.setenv("MESH_HOME", str(tmp_path))
    acp = acp_words("goose=goose acp; mine='/my own/agent' -x", "mine=MY_KEY,MY_URL")
    argv = argv_of(port=1, token=tmp_path / "t", name="lap", acp=acp)

    words = argv[argv.index("deco_link") + 1 :]
    ran = []
    monkeypatch.setattr(cli, "run", lambda config: ran.append(config) or 0)
    assert cli.main(words) == 0
    assert ran[0].acp == (
        Agent("goose", ("goose", "acp")),
        Agent("mine", ("/my own/agent", "-x"), ("MY_KEY", "MY_URL")),
    )


def test_without_any_the_link_is_started_as_ever(tmp_path):
    assert acp_words("", "") == []
    assert "--acp" not in " ".join(argv_of(port=1, token=tmp_path / "t", name="lap"))


@pytest.mark.parametrize(
    ("commands", "variables", "why"),
    [
        pytest.param("goose", "", "MESH_ACP goose: use NAME=COMMAND", id="no command"),
        pytest.param("a='b", "", "MESH_ACP a='b: a quote is not closed", id="an open quote"),
        pytest.param("gemini=evil", "", "of this name exists already", id="a name of ours"),
        pytest.param("", "a=KEY", "MESH_ACP_ENV a=KEY: no agent of this name", id="no agent"),
        pytest.param("a=b", "a=MESH_URL", "'MESH_URL' can't be passed", id="a variable of ours"),
    ],
)
def test_what_is_wrong_is_told_before_the_start(commands, variables, why):
    with pytest.raises(ValueError, match=why):
        acp_words(commands, variables)
